"""A hit driven by hand: what the caller gets, what the ledger is told, and when it is a miss."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from by_hand import CATALOG, LARGE, NOW, SMALL, ask, finish
from keeping import kept_reply

from router.completion import chunk_from, completion_from
from router.effects import Emit, Graded, Post, Verify
from router.errors import LedgerError, UnknownModelError
from router.ledgers import Reservation, Settlement
from router.recall import chunks_of, kept, recalled
from router.responses import Gathered
from router.streamed import StreamClosed
from router.testing import reply
from router.types import Attempt, Cost, Usage

CALL = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def hit(services, cached=None, **changes):
    """The generator of a hit."""
    return recalled(ask(**changes), services, cached or kept_reply(), 0.0)


def test_a_hit_is_a_line_of_the_ledger_and_costs_nothing(services):
    """No cost, no tokens, no budget; who had answered, and what it saved."""
    line = hit(services, tags={"team": "search"})
    post = next(line)
    assert isinstance(post, Post)
    reservation, settlement = post.reservation, post.settlement
    assert isinstance(reservation, Reservation)
    assert isinstance(settlement, Settlement)
    assert (reservation.id, reservation.amount, reservation.holds) == ("r/cache", 0, ())
    record = reservation.record
    assert (record.request_id, record.policy, record.tags) == ("r", "cache", {"team": "search"})
    assert (record.candidate, record.model, record.mode, record.host) == (
        SMALL,
        "deepseek-small",
        "chat",
        "h",
    )
    assert (record.rates_id, record.forecast_cost) == ("row-1", 0)
    assert (settlement.outcome, settlement.cost.pico, settlement.usage) == ("cached", 0, Usage())
    assert settlement.saved == 123_000_000
    assert not settlement.charged
    got, route = finish(line, None)
    assert got.body == kept_reply().body
    assert (route.candidate, route.usage, route.attempts) == (SMALL, Usage(), ())
    assert (route.cost.usd, route.total_cost_usd) == (0, 0)
    assert route.cost.rates_id == "row-1"
    assert route.decision.policy == "cache"
    assert route.decision.reason == (
        "answered from the response cache, kept at 2026-11-22 12:00:00 UTC"
    )
    assert route.notes == (
        "saved $0.000123, which deepseek-small@h cost at 2026-11-22 12:00:00 UTC",
    )
    assert route.finished_at == NOW


def test_the_route_of_a_hit_is_as_any_other(services):
    """Code that reads the forecast, the host or the completion of a route meets no surprise."""
    line = hit(services)
    next(line)
    got, route = finish(line, None)
    assert route.forecast.cost_usd == Decimal(0)
    assert (route.forecast.quality, route.forecast.basis) == (0.75, "cached")
    assert route.host == "h"
    made = completion_from(got, route)
    assert made.text == "Hello"
    assert made.usage.total_tokens == 0
    assert made.choices[0].finish_reason == "stop"


def test_an_answer_without_a_known_price_saves_what_nobody_knows(services):
    """Unknown is not zero: the note says so; that the hit cost nothing is known."""
    line = hit(services, kept_reply(cost=None, rates_id=""))
    post = next(line)
    assert post.settlement.saved == 0
    assert post.settlement.cost == Cost(pico=0, rates_id="cache")
    _, route = finish(line, None)
    assert route.notes == ("what it saved is not known: deepseek-small@h has no known price",)
    assert route.total_cost_usd == 0


def test_a_ledger_that_fails_costs_a_note_not_the_answer(services):
    """There is nothing to account for but what was saved."""
    line = hit(services)
    next(line)
    with pytest.raises(StopIteration) as stop:
        line.throw(LedgerError("the disk is full"))
    got, route = stop.value.value
    assert got.body == kept_reply().body
    assert route.notes[-1] == "the ledger could not note what was saved: the disk is full"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, GeneratorExit])
def test_interrupts_pass(services, interruption):
    """Ctrl-C is the caller's."""
    line = hit(services)
    next(line)
    with pytest.raises(interruption):
        line.throw(interruption())


def test_a_candidate_that_is_not_configured_does_not_serve(services):
    """Nor does the cache on its behalf: a client limited to one host gets none of another's."""
    large = replace(
        services,
        candidates=lambda names, at: [c for c in CATALOG.candidates(at=at) if c.name == LARGE],
    )
    with pytest.raises(StopIteration) as stop:
        next(hit(large))
    assert stop.value.value is None


def test_an_unknown_model_is_left_to_the_plan(services):
    """Its error is the one that is told, as without a cache."""

    def unknown(names, at):
        raise UnknownModelError("no such model")

    with pytest.raises(StopIteration) as stop:
        next(hit(replace(services, candidates=unknown)))
    assert stop.value.value is None


def test_a_verifier_judges_a_kept_answer_too(services):
    """One that it finds wrong is a miss, and nothing was booked; one found right has the grade."""
    checked = replace(services, verify=lambda completion: True)
    line = hit(checked)
    verify = next(line)
    assert isinstance(verify, Verify)
    assert verify.reply.body == kept_reply().body
    assert verify.route.candidate == SMALL
    with pytest.raises(StopIteration) as stop:
        line.send(0.25)
    assert stop.value.value is None
    line = hit(checked)
    next(line)
    assert isinstance(line.send(0.75), Post)
    graded = line.send(None)
    assert isinstance(graded, Graded)
    assert [(g.candidate, g.score, g.by) for g in graded.grades] == [(SMALL, 0.75, "verifier")]
    assert finish(line, 1)[1].verified == 0.75


@pytest.mark.parametrize("verdict", [ValueError("secret prompt"), "yes"])
def test_a_verifier_that_fails_costs_a_note(services, verdict):
    """As with a fresh answer; what it said of the prompt is not repeated."""
    line = hit(replace(services, verify=lambda completion: True))
    next(line)
    step = line.throw if isinstance(verdict, Exception) else line.send
    assert isinstance(step(verdict), Post)
    _, route = finish(line, None)
    assert route.verified is None
    assert route.notes[-1].startswith("not verified")
    assert "secret" not in str(route.notes)


def test_a_streamed_hit_is_a_stream(services):
    """It opens, says all, and ends with the reason and a usage of nothing."""
    line = hit(services, stream=True)
    assert isinstance(next(line), Post)
    emitted, effect = [], line.send(None)
    while True:
        assert isinstance(effect, Emit)
        emitted.append(effect.chunk)
        try:
            effect = line.send(None)
        except StopIteration as stop:
            got, route = stop.value
            break
    opened, *pieces = emitted
    assert opened is None
    assert "".join(p.text for p in pieces) == "Hello"
    assert (pieces[-1].finish_reason, pieces[-1].usage) == ("stop", Usage())
    assert got is None
    assert route.usage == Usage()
    public = [chunk_from(p) for p in pieces]
    assert [p.object for p in public] == ["chat.completion.chunk"] * 2
    assert public[0].choices[0].delta.role == "assistant"
    assert public[-1].usage.total_tokens == 0


def test_a_streamed_hit_is_not_verified(services):
    """No stream is."""
    line = hit(replace(services, verify=lambda completion: False), stream=True)
    assert isinstance(next(line), Post)


def test_a_streamed_hit_may_be_closed(services):
    """The caller has enough: it is booked, and told."""
    line = hit(services, stream=True)
    next(line)
    line.send(None)
    with pytest.raises(StopIteration) as stop:
        line.throw(StreamClosed())
    got, route = stop.value.value
    assert got is None
    assert route.notes[-1] == "the stream was closed before its end"


def test_chunks_of_an_answer_make_the_answer_again():
    """Text, reasoning and calls of tools, gathered as any stream is."""
    message = {
        "role": "assistant",
        "content": "Hello",
        "reasoning_content": "Hm",
        "tool_calls": [CALL],
        "refusal": None,
    }
    body = {"id": "c", "model": "m", "choices": [{"index": 0, "message": message}], "usage": {}}
    whole = Gathered()
    pieces = chunks_of(kept_reply(body=body, finish_reason="tool_calls"))
    for piece in pieces:
        whole.take(piece)
    made = whole.reply(None)
    assert made.body["choices"][0]["message"] == {
        k: v for k, v in message.items() if v is not None
    }
    assert (pieces[0].text, pieces[0].reasoning) == ("Hello", "Hm")
    assert pieces[0].body["choices"][0]["delta"]["tool_calls"] == [{**CALL, "index": 0}]
    assert made.finish_reason == "tool_calls"


def attempt_of(**changes):
    made = Attempt(
        candidate=SMALL,
        outcome="ok",
        seconds=1.0,
        usage=Usage(input_tokens=10, output_tokens=5),
        cost=Cost(pico=20, rates_id="row-1"),
        finish_reason="stop",
    )
    return replace(made, **changes)


CANDIDATE = CATALOG.candidate(SMALL, at=NOW)


def test_what_is_kept_of_an_answer():
    """The body, who gave it, what it took and cost, when, and how good it was thought to be."""
    answer = reply("Hello")
    made = kept(ask(), answer, attempt_of(), CANDIDATE, NOW, quality=0.5)
    assert made == kept_reply(
        body=answer.body,
        usage=Usage(input_tokens=10, output_tokens=5),
        cost=20,
        quality=0.5,
    )
    graded = kept(ask(), answer, attempt_of(grade=0.75), CANDIDATE, NOW, quality=0.5)
    assert graded.quality == 0.75
    unpriced = kept(ask(), answer, attempt_of(cost=None), CANDIDATE, NOW)
    assert (unpriced.cost, unpriced.rates_id) == (None, "")


@pytest.mark.parametrize(
    ("answer", "changes"),
    [
        (None, {}),
        (reply("Hello"), {"usage": None}),
        (reply("Hello"), {"outcome": "rejected", "grade": 0.1}),
        (reply("Hello"), {"grade": 0.1}),
        (reply("Hello"), {"outcome": "closed"}),
        (reply("Hello", finish_reason="length"), {}),
        (reply(""), {}),
    ],
)
def test_what_is_not_worth_keeping_is_not(answer, changes):
    """No answer, a wrong one, a cut one."""
    assert kept(ask(), answer, attempt_of(**changes), CANDIDATE, NOW) is None


def test_broken_json_is_not_kept():
    """Where JSON was asked for."""
    asked = ask(response_format={"type": "json_object"})
    assert kept(asked, reply("{"), attempt_of(), CANDIDATE, NOW) is None
    assert kept(asked, reply("{}"), attempt_of(), CANDIDATE, NOW) is not None


def test_a_hit_does_not_prolong_an_answer(services):
    """What is kept says when it was given, so it ends when it would have."""
    later = replace(services, now=lambda: NOW + timedelta(hours=1))
    line = hit(later)
    next(line)
    _, route = finish(line, None)
    assert "12:00:00" in route.decision.reason
    assert route.started_at == NOW + timedelta(hours=1)
