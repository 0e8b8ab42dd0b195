"""Judges: what they are told, how they are read, whom they may judge, what they may spend.

No real model judges here (`test_local_judge.py` has one): answers are made up. How well a judge
grades, `agreement` has to tell on each user's own labels.
"""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import (
    AsyncClient,
    Budget,
    Client,
    ConfigError,
    Decision,
    NoCandidateError,
    ServerError,
    recorded_prompts,
    tuning,
)
from router.ledgers.sqlite import SQLiteLedger
from router.testing import AsyncMockTransport, FakeClock, MockTransport, reply
from router.tuning.judge_prompt import layout, verdict

DEEP = "deepseek-v3.2@deepinfra"
THINKING = "deepseek-v3.2:thinking@deepinfra"
NINE = '{"score": 9}'


def client(*answers, kind=Client, transport=MockTransport, **settings):
    sent = transport(*(reply(a) if isinstance(a, str) else a for a in answers))
    settings = {"ledger": ":memory:", "keys": {"deepinfra": "k"}, **settings}
    return kind(transport=sent, now=FakeClock(), **settings), sent


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        (NINE, 0.9),
        ('{"score": 0}', 0.0),
        ('{"why": "fine", "score": 7.5}', 0.75),
        ('```json\n{"score": 10}\n```', 1.0),
        ('It is mostly right.\n{"score": 8}', 0.8),
        ("Correct.", 1.0),
        ("WRONG", 0.0),
        ("", None),
        ("8", None),
        ("Score: 8/10", None),
        ('{"score": 11}', None),
        ('{"score": -1}', None),
        ('{"score": NaN}', None),
        ('{"score": 1e999}', None),
        ('{"score": true}', None),
        ('{"score": "9"}', None),
        ('{"score": null}', None),
        ("[9]", None),
        ("I cannot grade this.", None),
        ('{"score": 9} I hope that helps!', None),
        ('{"score": 9}\nBut I am not sure', None),
        ('{"score": 2, "score": 9}', None),
        ('{"score": 2, "score": 2}', 0.2),
        ("[" * 100_000, None),
    ],
)
def test_a_verdict_is_read_strictly(text, grade):
    """A grade, or nothing: prose, refusals and numbers off the scale are no grade."""
    assert verdict(text) == grade


def test_a_form_for_servers_that_hold_a_model_to_it():
    """It goes out as it is, allows whole points of the scale alone, and what it allows is read."""
    asked, sent = client(NINE)
    tuning.Judge(asked, model=DEEP, response_format=tuning.VERDICT)("Q?", "A")
    assert sent.calls[0].request.response_format == tuning.VERDICT
    score = tuning.VERDICT["json_schema"]["schema"]["properties"]["score"]
    points = range(score["minimum"], score["maximum"] + 1)
    assert [verdict(f'{{"score": {n}}}') for n in points] == [n / 10 for n in range(11)]


@given(st.text())
def test_no_words_raise_or_leave_the_scale(text):
    """Whatever a judge says, it is a grade from 0 to 1 or none."""
    found = verdict(text)
    assert found is None or 0 <= found <= 1


@given(st.text(), st.text(min_size=1))
def test_material_cannot_leave_its_place(answer, question):
    """Question and answer are one JSON object in the user's message: read back as they were."""
    messages = layout("Rubric.", question, answer, None).messages
    assert [m["role"] for m in messages] == ["system", "user"]
    assert json.loads(messages[1]["content"]) == {"question": question, "answer": answer}
    assert messages[0] == layout("Rubric.", "another", "text", "x").messages[0]


def test_a_judge_is_a_request_like_others():
    """It is routed, tagged, charged and asked at temperature 0; the grade comes with its cost."""
    asked, sent = client(NINE, budgets=Budget("1", scope={"task": "judge"}, name="judging"))
    judge = tuning.Judge(asked, model=DEEP)
    found = judge("What is 2 + 2?", "4", reference="four")
    assert (found.score, found.candidate, found.raw) == (0.9, DEEP, NINE)
    assert found.cost_usd > 0
    call = sent.calls[0]
    assert call.request.extra["temperature"] == 0
    assert json.loads(call.request.messages[-1]["content"])["reference"] == "four"
    assert asked.budgets.status({"task": "judge"})[0].spent == found.cost_usd
    assert NINE not in repr(found)
    entry = next(asked._core.ledger.entries())
    assert entry.record.tags["task"] == "judge"


def test_a_conversation_can_be_judged():
    """Messages are material, too, and their roles stay inside of it."""
    asked, sent = client(NINE)
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    tuning.Judge(asked, model=DEEP)(talk, "Hello")
    messages = sent.calls[0].request.messages
    assert [m["role"] for m in messages] == ["system", "user"]
    assert json.loads(messages[1]["content"])["conversation"] == talk


def test_no_model_judges_its_own_answers():
    """The model that answered is left out in all its modes and hosts, unless it is allowed."""
    asked, sent = client(NINE, candidates=["deepseek-v3.2", "deepseek-v3.2:thinking"])
    with pytest.raises(NoCandidateError, match="nobody else can judge"):
        tuning.Judge(asked)("Q?", "A", answered_by="deepseek-v3.2:thinking@novita")
    assert not sent.calls
    assert tuning.Judge(asked, own=True)("Q?", "A", answered_by=DEEP).score == 0.9
    assert tuning.Judge(asked)("Q?", "A", answered_by="gpt-5@openai").score == 0.9
    with pytest.raises(ConfigError, match="expected a question"):
        tuning.Judge(asked)("Q?", None)


@pytest.mark.parametrize(
    "question", [["x"], b"q", [], "", 5, None, float("nan"), {"role": "user"}]
)
def test_what_is_no_question_is_refused_before_it_is_sent(question):
    """A typed error, not the one of the place where it would not fit."""
    asked, sent = client(NINE)
    with pytest.raises(ConfigError, match="judge: expected"):
        tuning.Judge(asked, model=DEEP)(question, "A")
    assert not sent.calls


def test_a_verifier_judges_without_being_judged():
    """A client whose verifier judges through it ends: a judge's answers are not judged."""
    asked, sent = client("Paris", NINE)
    judge = tuning.Judge(asked, model=DEEP, own=True)
    messages = [{"role": "user", "content": "Capital of France?"}]
    made = asked.chat.completions.create(messages, model=DEEP, verify=judge.verifier(messages))
    assert made.text == "Paris"
    assert made.route.verified == 0.9
    assert len(sent.calls) == 2


def test_a_verifier_without_a_verdict_leaves_the_answer_unverified():
    """No grade is made up: the answer is there, not verified, and a note says why."""
    asked, _ = client("Paris", "I would rather not.")
    judge = tuning.Judge(asked, model=DEEP, own=True)
    messages = [{"role": "user", "content": "Capital of France?"}]
    made = asked.chat.completions.create(messages, model=DEEP, verify=judge.verifier(messages))
    assert made.route.verified is None
    assert any("gave no verdict" in note for note in made.route.notes)


async def test_judging_can_be_awaited():
    """An `AsyncClient` judges, and verifies by a judge."""
    asked, _ = client("Paris", NINE, NINE, kind=AsyncClient, transport=AsyncMockTransport)
    judge = tuning.Judge(asked, model=DEEP, own=True)
    messages = [{"role": "user", "content": "Capital of France?"}]
    made = await asked.chat.completions.create(
        messages, model=DEEP, verify=judge.averifier(messages)
    )
    assert made.route.verified == 0.9
    assert (await judge.ajudge("Q?", "A")).score == 0.9
    await asked.close()


def rows(count):
    return [{"question": f"Q{i}?", "answer": "A", "request_id": f"r{i}"} for i in range(count)]


def test_a_table_is_graded_until_its_money_is_spent():
    """What fits is graded, the rest is None, and what was spent is within the budget."""
    asked, sent = client(NINE)
    judge = tuning.Judge(asked, model=DEEP, max_tokens=20)
    one = judge("Q0?", "A").cost_usd
    found = tuning.grade(judge, rows(40), budget_usd="0.00012", progress=False)
    graded = [score for score in found.scores if score is not None]
    assert 0 < len(graded) < 40
    assert found.cost_usd == one * len(graded) <= Decimal("0.00012")
    assert found.stopped
    assert found.scores[len(graded) :] == [None] * (40 - len(graded))
    assert len(sent.calls) == len(graded) + 1
    assert "graded for $" in str(found)


def test_garbage_is_counted_and_never_a_grade():
    """Words without a verdict leave the row without a grade; the others keep theirs."""
    asked, _ = client(NINE, "no idea", '{"score": 2}')
    found = tuning.grade(tuning.Judge(asked, model=DEEP), rows(3), progress=False)
    assert found.scores == [0.9, None, 0.2]
    assert (found.unclear, found.stopped, found.failed) == (1, "", {})


def test_failures_are_named_and_many_in_a_row_end_it():
    """A row that fails does not cost the others; a host that is down is not asked for ever."""
    failing = [ServerError("down", candidate=DEEP)] * 9
    asked, sent = client(NINE, *failing, max_retries=0)
    found = tuning.grade(tuning.Judge(asked, model=DEEP), rows(40), progress=False)
    assert found.scores == [0.9] + [None] * 39
    assert sorted(found.failed) == [1, 2, 3, 4, 5]
    assert "5 calls in a row failed" in found.stopped
    assert len(sent.calls) == 6


def test_grades_can_be_kept_in_the_ledger(tmp_path):
    """Judged after the fact, the grades of a ledger's requests steer what is tuned on it."""
    path = tmp_path / "spend.sqlite3"
    prompts = recorded_prompts(source="zeroeval")[:3]
    with Client(ledger=str(path), candidates=["deepseek-v2.5@replay"], log_decisions=True) as live:
        answers = [
            live.chat.completions.create([{"role": "user", "content": each.prompt}])
            for each in prompts
        ]
    table = [
        {
            "prompt": each.prompt,
            "answer": made.text,
            "request_id": made.route.request_id,
            "candidate": made.route.candidate,
        }
        for each, made in zip(prompts, answers, strict=True)
    ]
    asked, _ = client(NINE, "?", '{"score": 3}')
    judge = tuning.Judge(asked, model=DEEP)
    tuning.grade(judge, table, ledger=path, progress=False)
    traffic = tuning.load(path)
    assert [r.quality for r in traffic] == [0.9, None, 0.3]
    assert {r.quality_by for r in traffic.graded} == {"judge"}
    ledger = SQLiteLedger(path)
    assert len(list(ledger.grades())) == 2
    ledger.close()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"question": "Q?"}, "row 2: expected a question"),
        ({"answer": "A"}, "row 2: expected a question"),
        ({"question": "Q?", "answer": "A"}, "row 2: request_id"),
    ],
)
def test_a_row_that_cannot_be_judged_is_named(row, words):
    """All rows are checked before any is judged."""
    asked, sent = client(NINE)
    with pytest.raises(ConfigError, match=words):
        tuning.grade(tuning.Judge(asked), [rows(1)[0], row], ledger=SQLiteLedger(":memory:"))
    assert not sent.calls


def test_agreement_tells_a_good_judge_from_a_bad_one():
    """Kappa is 1 for the same verdicts, 0 for a coin, and bias says who is lenient."""
    labels = [1.0, 0.0, 1.0, 0.0]
    same = tuning.agreement(labels, labels)
    assert (same.accuracy, same.kappa, same.bias, same.n) == (1.0, 1.0, 0.0, 4)
    assert same.correlation == pytest.approx(1.0)
    lenient = tuning.agreement([1.0, 1.0, 1.0, 1.0], labels)
    assert (lenient.accuracy, lenient.kappa, lenient.bias) == (0.5, 0.0, 0.5)
    assert lenient.correlation is None
    partly = tuning.agreement([1.0, None, 0.0, 0.0], [1.0, 1.0, None, 0.0])
    assert (partly.n, partly.missing, partly.kappa) == (2, 2, 1.0)
    assert "kappa 1.00" in str(partly)
    assert tuning.agreement([1.0, 1.0], [1.0, 1.0]).kappa is None
    for scores, others, words in (
        ([1.0], [], "as many"),
        ([None], [1.0], "got none"),
        ([2.0], [1.0], "from 0 to 1"),
        (["a"], [1.0], "from 0 to 1, got 'a'"),
        ([1.0], [object()], "from 0 to 1"),
    ):
        with pytest.raises(ConfigError, match=words):
            tuning.agreement(scores, others)


def climbing(quotes, context):
    """Thinking is asked where the first answer is found wrong."""
    then = tuple(quote.name for quote in quotes if quote.name != DEEP)
    return Decision(ranking=(DEEP,), reason="", rejected={}, policy="climbing", escalation=then)


def test_a_judge_sends_a_wrong_answer_on():
    """As verifier it has the next stage asked, and both answers and both verdicts are paid."""
    asked, sent = client("no idea", '{"score": 0}', "Paris", NINE, policy=climbing)
    judge = tuning.Judge(asked, model=DEEP, own=True)
    messages = [{"role": "user", "content": "Capital of France?"}]
    made = asked.chat.completions.create(
        messages, model=[DEEP, THINKING], verify=judge.verifier(messages)
    )
    assert made.text == "Paris"
    assert [a.grade for a in made.route.attempts] == [0.0, 0.9]
    assert [c.candidate.name for c in sent.calls] == [DEEP, DEEP, THINKING, DEEP]
    assert len(list(asked._core.ledger.entries())) == 4
