"""Decisions in the ledger: what tuning needs of every request, and no word of its prompt."""

import base64
import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
from learning import Learning

from router import AsyncClient, Client, cascade, explore, recorded_prompts, utility
from router.errors import AlreadyGradedError, RecordError, UnknownRequestError
from router.packing import pack, packed, unpack

PROMPTS = [r.prompt for r in recorded_prompts(source="zeroeval")[:40]]


def ask(prompt):
    return [{"role": "user", "content": prompt}]


def test_a_packed_record_unpacks_to_an_equal_one():
    """Equal to the last bit, as one word of text."""
    made = Client(ledger=":memory:").plan(ask(PROMPTS[0])).record
    text = pack(made)
    assert unpack(text) == made
    assert text.isascii()
    assert not set(text) & set(' "\n')


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no base 64!",
        base64.b64encode(b"not compressed").decode(),
        base64.b64encode(zlib.compress(b"[]")).decode(),
        base64.b64encode(zlib.compress(b"\xff\xfe")).decode(),
        base64.b64encode(zlib.compress(b" " * (17 * 2**20))).decode(),
    ],
)
def test_what_is_no_packed_record_is_refused(text):
    """Damaged, foreign or absurdly large texts are a typed error."""
    with pytest.raises(RecordError):
        unpack(text)


def test_the_ledger_keeps_each_decision_once():
    """The first attempt has the record with all chances, later ones have none; it replays."""
    policy = explore(utility("0.01"), 0.5)
    with Client(ledger=":memory:", policy=policy, log_decisions=True) as client:
        routes = [client.chat.completions.create(ask(p)).route for p in PROMPTS]
        entries = list(client._core.ledger.entries())
        kept = {name: unpack(text) for name, text in client._core.ledger.decisions()}
    assert len(entries) == len(routes) == len(kept)
    for entry, route in zip(entries, routes, strict=True):
        record = kept[entry.record.request_id]
        assert record == route.record
        assert record.replays()
        assert entry.record.propensity == record.decision.propensity
        assert sum(record.decision.propensities.values()) == pytest.approx(1)
    assert {r.decision.propensity for r in routes} != {1.0}
    texts = [json.dumps(kept[r.request_id].to_json()) for r in routes]
    assert not any(p[:40] in t for p, t in zip(PROMPTS, texts, strict=True))


def test_an_escalated_request_logs_one_decision():
    """Its later stages obey the same one."""
    with Client(
        ledger=":memory:", policy=cascade("1"), verify=lambda _: False, log_decisions=True
    ) as client:
        route = client.chat.completions.create(ask(PROMPTS[0])).route
        entries = list(client._core.ledger.entries())
        kept = list(client._core.ledger.decisions())
    assert len(entries) == len(route.attempts) > 1
    assert [name for name, _ in kept] == [route.request_id]


def test_nothing_is_logged_unless_asked_for():
    """By default rows are as small as before."""
    with Client(ledger=":memory:") as client:
        client.chat.completions.create(ask(PROMPTS[0]))
        assert list(client._core.ledger.decisions()) == []


def test_a_decision_that_cannot_be_logged_costs_no_answer():
    """A policy of one's own may answer with numbers that JSON lacks, or with anything."""

    def odd(quotes, context):
        found = utility("0.01")(quotes, context)
        return replace(found, propensities={found.chosen: np.float32(0.7)})

    with Client(ledger=":memory:", policy=odd, log_decisions=True) as client:
        reply = client.chat.completions.create(ask(PROMPTS[0]))
        ((_, text),) = client._core.ledger.decisions()
    assert unpack(text).decision.propensity == float(np.float32(0.7))
    assert reply.route.cost is not None
    assert packed(Decided()) == ""


class Decided:
    """A route whose record cannot be made."""

    @property
    def record(self):
        raise RuntimeError("no record")


@pytest.mark.parametrize("cls", [Client, AsyncClient])
async def test_verdicts_are_in_the_ledger(cls):
    """Each stage that the verifier judged has its grade, under the name of who answered."""
    verdicts = iter([0.0, 1.0])
    made = cls(ledger=":memory:", policy=cascade("0.01"), verify=lambda _: next(verdicts))
    reply = made.chat.completions.create(ask(PROMPTS[0]))
    route = (await reply if cls is AsyncClient else reply).route
    assert [(g.candidate, g.score, g.by) for g in made._core.ledger.grades()] == [
        (a.candidate, a.grade, "verifier") for a in route.attempts
    ]
    assert {g.request_id for g in made._core.ledger.grades()} == {route.request_id}


def test_a_ledger_that_cannot_keep_a_verdict_costs_a_note_only(monkeypatch):
    """The answer is paid for: it is handed over."""
    with Client(ledger=":memory:", verify=lambda _: True) as client:
        monkeypatch.setattr(
            client._core.ledger, "grade", lambda _: (_ for _ in ()).throw(UnknownRequestError("x"))
        )
        route = client.chat.completions.create(ask(PROMPTS[0])).route
    assert any("could not keep the verifier's grade" in note for note in route.notes)


def test_feedback_is_in_the_ledger(tmp_path):
    """With who said so; a client that never saw the request keeps it as well, once."""
    path = tmp_path / "ledger.sqlite3"
    with Client(ledger=path) as client:
        ids = [client.chat.completions.create(ask(p)).route.request_id for p in PROMPTS[:2]]
        client.feedback(ids[0], 0.25, by="ann")
    with Client(ledger=path) as another:
        another.feedback(ids[1], 1.0)
        with pytest.raises(AlreadyGradedError):
            another.feedback(ids[1], 0.0)
        with pytest.raises(UnknownRequestError, match="not remembered"):
            another.feedback("never", 1.0)
        kept = [(g.request_id, g.candidate, g.score, g.by) for g in another._core.ledger.grades()]
    assert kept == [(ids[0], "", 0.25, "ann"), (ids[1], "", 1.0, "feedback")]


def test_a_grade_that_the_ledger_refuses_is_not_learned(monkeypatch):
    """Nothing is learned that is not kept, and the next try is a first one."""
    scorer = Learning()
    client = Client(ledger=":memory:", scorer=scorer)
    request = client.chat.completions.create(ask(PROMPTS[0])).route.request_id
    with monkeypatch.context() as patched:
        patched.setattr(client._core.ledger, "grade", lambda _: (_ for _ in ()).throw(OSError()))
        with pytest.raises(OSError):
            client.feedback(request, 1.0)
    assert scorer.told == []
    client.feedback(request, 1.0)
    assert len(scorer.told) == 1


def test_a_verified_answer_keeps_what_people_say_of_it():
    """The scorer learned the verdict and learns no more; the ledger keeps both, and says so."""
    with Client(ledger=":memory:", verify=lambda _: True) as client:
        request = client.chat.completions.create(ask(PROMPTS[0])).route.request_id
        with pytest.raises(AlreadyGradedError, match="by the verifier") as caught:
            client.feedback(request, 0.0)
        assert caught.value.__notes__ == ["The ledger has kept this grade beside it."]
        with pytest.raises(AlreadyGradedError):
            client.feedback(request, 0.5, by="ann")
        with pytest.raises(AlreadyGradedError, match="by feedback in the ledger"):
            client.feedback(request, 1.0)
        kept = [(g.score, g.by) for g in client._core.ledger.grades()]
    assert kept == [(1.0, "verifier"), (0.0, "feedback"), (0.5, "ann")]


def test_a_grade_of_another_process_is_not_learned_differently(tmp_path):
    """What the ledger has from elsewhere stands: this scorer does not learn another one."""
    path, scorer = tmp_path / "ledger.sqlite3", Learning()
    with Client(ledger=path, scorer=scorer) as here, Client(ledger=path) as there:
        request = here.chat.completions.create(ask(PROMPTS[0])).route.request_id
        there.feedback(request, 0.0)
        with pytest.raises(AlreadyGradedError):
            here.feedback(request, 1.0)
    assert scorer.told == []


def test_a_scorer_that_failed_can_try_again():
    """The ledger has the grade from the first try; the second one learns."""

    class Failing(Learning):
        fails = True

        def learn(self, *arguments, **named):
            if self.fails:
                raise RuntimeError("full")
            super().learn(*arguments, **named)

    scorer = Failing()
    with Client(ledger=":memory:", scorer=scorer) as client:
        request = client.chat.completions.create(ask(PROMPTS[0])).route.request_id
        with pytest.raises(Exception, match="full"):
            client.feedback(request, 1.0)
        scorer.fails = False
        client.feedback(request, 1.0)
        assert len(list(client._core.ledger.grades())) == len(scorer.told) == 1


def test_a_verdict_on_a_cached_answer_is_kept(tmp_path):
    """A hit is judged as well, and its verdict is in the ledger."""
    verdicts = iter([1.0, 0.9])
    with Client(ledger=":memory:", cache=tmp_path, verify=lambda _: next(verdicts)) as client:
        routes = [client.chat.completions.create(ask(PROMPTS[0])).route for _ in range(2)]
        kept = [(g.request_id, g.candidate, g.score) for g in client._core.ledger.grades()]
    assert kept == [
        (r.request_id, r.candidate, g) for r, g in zip(routes, (1.0, 0.9), strict=True)
    ]


@pytest.mark.parametrize("by", ["", "x" * 41, "two\nlines", 7])
def test_whose_word_it_is_must_be_a_word(by):
    """Else a typed error says what was expected."""
    with Client(ledger=":memory:") as client:
        request = client.chat.completions.create(ask(PROMPTS[0])).route.request_id
        with pytest.raises(Exception, match="expected a word such as 'feedback'"):
            client.feedback(request, 1.0, by=by)


def test_the_billed_price_row_is_on_the_line():
    """Settled lines name the row that was billed."""
    with Client(ledger=":memory:") as client:
        route = client.chat.completions.create(ask(PROMPTS[0])).route
        (entry,) = client._core.ledger.entries()
    assert entry.rates_id == route.cost.rates_id != ""
