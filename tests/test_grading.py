"""Judging whole tables: one budget for all of it, nothing lost, grades under their answers."""

import asyncio
import json
from decimal import Decimal

import pytest
from learning import models

from router import (
    AsyncClient,
    Client,
    ConfigError,
    LeasedLedger,
    ProviderTimeoutError,
    cascade,
    recorded_prompts,
    tuning,
)
from router.ledgers.sqlite import SQLiteLedger
from router.money import to_usd
from router.testing import AsyncMockTransport, FakeClock, MockTransport, reply

DEEP = "deepseek-v3.2@deepinfra"
FIVE = reply('{"score": 5}', input_tokens=300, output_tokens=10)
LOST = ProviderTimeoutError("slow", candidate=DEEP, billable=True)


def judge_of(*answers, kind=Client, ledger=":memory:", transport=None, **arguments):
    """A judge whose calls are answered by these, and what they were."""
    mock = AsyncMockTransport if kind is AsyncClient else MockTransport
    sent = transport or mock(*answers)
    settings = {"keys": {"deepinfra": "k"}, "max_retries": 0, "now": FakeClock()}
    client = kind(transport=sent, ledger=ledger, **settings)
    return tuning.Judge(client, model=DEEP, max_tokens=100, **arguments), sent


def spent(judge):
    """USD that the ledger of a judge's client has, whatever it was for."""
    return to_usd(sum(entry.cost for entry in judge.client._core.ledger.entries()))


def rows(count):
    return [{"question": f"Q{i}?", "answer": "A"} for i in range(count)]


@pytest.mark.parametrize("leased", [False, True])
def test_calls_that_failed_and_were_charged_count_against_the_budget(leased):
    """Timeouts that the host may charge are spend: the budget holds, and all of it is told."""
    store = SQLiteLedger(":memory:")
    ledger = LeasedLedger(store) if leased else store
    judge, _ = judge_of(*([LOST, LOST, FIVE] * 30), ledger=ledger)
    found = tuning.grade(judge, rows(90), budget_usd="0.002", progress=False)
    assert any(found.scores)
    assert found.failed
    assert "this judging" in found.stopped
    assert found.cost_usd == spent(judge) <= Decimal("0.002")
    assert found.cost_usd > sum(j.cost_usd for j in found.judgements if j is not None)
    ledger.close()


def test_the_cost_of_a_table_is_its_own():
    """What the same client spends otherwise, judging too, is none of it."""
    judge, _ = judge_of(FIVE)
    judge("Q?", "A")
    found = tuning.grade(judge, rows(3), progress=False)
    assert found.cost_usd == judge("Q?", "A").cost_usd * 3 == spent(judge) * 3 / 5


def test_what_nobody_has_a_price_for_is_not_free():
    """One call of unknown cost makes the whole unknown, in its words, too."""
    catalog = {**models("own"), "rate": []}
    sent = MockTransport(FIVE)
    with Client(
        transport=sent, ledger=":memory:", catalog=catalog, candidates=["own@h"], keys={"h": "k"}
    ) as asked:
        judge = tuning.Judge(asked, model="own@h")
        found = tuning.grade(judge, rows(2), progress=False)
        assert found.scores == [0.5, 0.5]
        assert found.cost_usd is found[0].cost_usd is None
        assert "2 of 2 graded at unknown cost" in str(found)


def test_the_summary_says_what_to_do():
    """It names the first row that failed, and what helps where most verdicts are none."""
    judge, _ = judge_of(ValueError("odd"), FIVE, reply("well"), reply("hm"), reply("so"))
    found = str(tuning.grade(judge, rows(5), progress=False))
    assert "the first, row 1: ValueError: odd" in found
    assert found.endswith("response_format=tuning.VERDICT holds one to the form")
    judge, _ = judge_of(FIVE, FIVE, reply("well"))
    assert str(tuning.grade(judge, rows(3), progress=False)).endswith("0 failed")


def test_a_cap_of_the_judge_holds_beside_the_budget():
    """A judge's own cap on each call is not taken away by the table's."""
    judge, sent = judge_of(FIVE, budget="0.000000001")
    found = tuning.grade(judge, rows(3), budget_usd="1", progress=False)
    assert (found.scores, found.cost_usd, len(sent.calls)) == ([None] * 3, 0, 0)
    assert found.stopped


class Numbered(AsyncMockTransport):
    """Grades row i with i % 10, after a while of its own; every fourth times out, charged."""

    async def send(self, call):
        at = int(json.loads(call.request.messages[-1]["content"])["question"][1:-1])
        await asyncio.sleep(0.001 * (at * 7 % 5))
        self.calls.append(call)
        if at % 4 == 3:
            raise LOST
        return reply(f'{{"score": {at % 10}}}', input_tokens=300, output_tokens=10)


@pytest.mark.parametrize("at_once", [1, 7])
async def test_a_table_can_be_awaited_within_its_budget(at_once):
    """Several at a time: grades stand at their rows, and the budget holds for all together."""
    judge, _ = judge_of(FIVE, kind=AsyncClient, transport=Numbered(FIVE))
    found = await tuning.agrade(
        judge, rows(60), budget_usd="0.002", at_once=at_once, progress=False
    )
    graded = {at: score for at, score in enumerate(found.scores) if score is not None}
    assert len(graded) > 5
    assert all(score == at % 10 / 10 for at, score in graded.items())
    assert found.failed
    assert "this judging" in found.stopped
    assert found.cost_usd == spent(judge) <= Decimal("0.002")
    await judge.client.close()


async def test_what_does_not_fit_beside_the_others_is_tried_again():
    """Money that others only hold comes back: the budget is used as one by one."""
    short = reply('{"score": 5}', input_tokens=30, output_tokens=10)
    judge, _ = judge_of(short)
    alone = tuning.grade(judge, rows(80), budget_usd="0.0003", progress=False)
    together, _ = judge_of(short, kind=AsyncClient)
    found = await tuning.agrade(
        together, rows(80), budget_usd="0.0003", at_once=16, progress=False
    )
    assert found.scores == alone.scores
    assert 16 < found.scores.count(0.5) < 80
    assert found.cost_usd == alone.cost_usd
    assert found.stopped
    await together.client.close()


async def test_a_table_that_is_awaited_is_graded_to_its_end():
    """Failures are named, the rest is graded; many in a row end it."""
    judge, _ = judge_of(FIVE, LOST, FIVE, kind=AsyncClient)
    found = await tuning.agrade(judge, rows(30), at_once=3)
    assert (len(found.failed), found.stopped) == (1, "")
    assert found.scores.count(0.5) == 29
    down, sent = judge_of(LOST, kind=AsyncClient)
    found = await tuning.agrade(down, rows(30), at_once=2, progress=False)
    assert "5 calls in a row failed" in found.stopped
    assert len(sent.calls) <= 6
    with pytest.raises(ConfigError, match="at_once"):
        await tuning.agrade(judge, rows(1), at_once=0)
    await judge.client.close()
    await down.client.close()


async def test_a_judge_is_called_as_its_client_is():
    """Awaiting a client that is not awaited, or not awaiting one that is: refused unsent."""
    judge, sent = judge_of(FIVE)
    for call in (judge.ajudge("Q?", "A"), tuning.agrade(judge, rows(1))):
        with pytest.raises(ConfigError, match="a Client is not awaited"):
            await call
    with pytest.raises(ConfigError, match="a Client is not awaited"):
        judge.averifier("Q?")
    awaited, also = judge_of(FIVE, kind=AsyncClient)
    for call in (
        lambda: awaited("Q?", "A"),
        lambda: tuning.grade(awaited, rows(1)),
        lambda: awaited.verifier("Q?"),
    ):
        with pytest.raises(ConfigError, match="an AsyncClient is awaited"):
            call()
    assert not sent.calls
    assert not also.calls
    await awaited.client.close()


def test_grades_are_kept_for_the_answer_that_was_graded(tmp_path):
    """A cascade's rejected answer keeps its own grade: the request has that of the one served."""
    path = tmp_path / "spend.sqlite3"
    prompt = recorded_prompts(source="zeroeval")[0].prompt
    with Client(ledger=str(path), policy=cascade("1"), verify=lambda answer: False) as live:
        route = live.chat.completions.create([{"role": "user", "content": prompt}]).route
    names = [attempt.candidate for attempt in route.attempts]
    assert len(names) > 1
    table = [
        {"question": "Q?", "answer": "A", "request_id": route.request_id, "candidate": name}
        for name in names
    ]
    scores = [i / 10 for i in range(len(names))]
    judge, _ = judge_of(*(reply(f'{{"score": {i}}}') for i in range(len(names))))
    assert tuning.grade(judge, table, ledger=path, progress=False).scores == scores
    ledger = SQLiteLedger(path)
    kept = {g.candidate: g.score for g in ledger.grades() if g.by == "judge"}
    ledger.close()
    assert kept == dict(zip(names, scores, strict=True))
    assert tuning.load(path, by="judge")[0].quality == kept[route.candidate]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"request_id": "nope"}, "row 3: request_id: the ledger has no request 'nope'"),
        ({"request_id": 7}, "row 3: request_id: expected a text"),
        ({"candidate": 7}, "row 3: candidate: expected a text"),
        ({"question": None, "messages": ["hello"]}, "row 3: judge: expected messages as dicts"),
        ({"question": b"Q?"}, "row 3: judge: expected a question .* got bytes"),
        ({"question": float("nan")}, "row 3: expected a question"),
        ({"answer": float("nan")}, "row 3: expected a question .* and an answer"),
    ],
)
def test_all_is_checked_before_the_first_call(bad, words, tmp_path):
    """A row that cannot be judged or kept costs nothing: it is found before any is paid."""
    path = tmp_path / "spend.sqlite3"
    with Client(ledger=str(path), candidates=["deepseek-v2.5@replay"]) as live:
        prompt = recorded_prompts(source="zeroeval")[0].prompt
        made = live.chat.completions.create([{"role": "user", "content": prompt}])
    judge, sent = judge_of(FIVE)
    good = {"question": "Q?", "answer": "A", "request_id": made.route.request_id}
    with pytest.raises(ConfigError, match=words):
        tuning.grade(judge, [good, good, {**good, **bad}], ledger=path, progress=False)
    assert not sent.calls
    assert tuning.load(path).graded == tuning.Traffic([])


def test_a_ledger_that_is_none_is_refused_and_not_made(tmp_path):
    """A name that was mistyped makes no empty ledger."""
    judge, sent = judge_of(FIVE)
    table = [{"question": "Q?", "answer": "A", "request_id": "r"}]
    for ledger in (tmp_path / "none.sqlite3", 7):
        with pytest.raises(ConfigError, match="ledger"):
            tuning.grade(judge, table, ledger=ledger)
    assert not list(tmp_path.iterdir())
    assert not sent.calls


@pytest.mark.parametrize("budget", ["abc", True, "NaN", float("nan"), "-1", "1e-15", object()])
def test_a_budget_that_is_none_is_refused(budget):
    """A typed error that names the argument, before anything is sent."""
    judge, sent = judge_of(FIVE)
    with pytest.raises(ConfigError, match="budget_usd"):
        tuning.grade(judge, rows(1), budget_usd=budget)
    assert not sent.calls


def test_what_is_no_judge_is_refused():
    """A function is not a judge: it has no client whose ledger keeps the budget."""
    with pytest.raises(ConfigError, match=r"expected a tuning\.Judge"):
        tuning.grade(lambda *a, **k: None, rows(1))


def test_errors_of_one_row_do_not_cost_the_others():
    """Whatever a call raises, what was graded before and after is there."""
    judge, _ = judge_of(FIVE, ValueError("odd"), FIVE)
    found = tuning.grade(judge, rows(3), progress=False)
    assert found.scores == [0.5, None, 0.5]
    assert "odd" in found.failed[1]


def test_a_ledger_that_fails_does_not_cost_the_grade(tmp_path, monkeypatch):
    """A grade that could not be kept is in the result, and its failure is named."""
    path = tmp_path / "spend.sqlite3"
    with Client(ledger=str(path), candidates=["deepseek-v2.5@replay"]) as live:
        prompt = recorded_prompts(source="zeroeval")[0].prompt
        made = live.chat.completions.create([{"role": "user", "content": prompt}])
    keeper = SQLiteLedger(path)

    def full(grades):
        raise OSError("disk full")

    monkeypatch.setattr(keeper, "grade", full)
    judge, _ = judge_of(FIVE)
    row = {"question": "Q?", "answer": "A", "request_id": made.route.request_id}
    found = tuning.grade(judge, [row], ledger=keeper, progress=False)
    assert found.scores == [0.5]
    assert "disk full" in found.failed[0]
    keeper.close()
