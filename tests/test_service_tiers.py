"""Service tiers: which are asked for, which a host says it served, and what they are billed at."""

import pytest

from router import AsyncClient, Budget, Client, InvalidRequestError
from router.horizon import served_tier
from router.money import to_pico
from router.testing import Chunk, chunks
from router.types import Reply
from tests.test_billed_span import ANSWER, ASK, book, made, of, read


@pytest.fixture(params=[Client, AsyncClient])
def cls(request):
    return request.param


TIERS = {
    "flex": {"input": "0.5", "output": "1"},
    "priority": {"input": "2", "output": "4"},
}


def told(tier):
    """The answer of a host that names the tier it served."""
    return Reply(
        body=dict(ANSWER.body) | {"service_tier": tier},
        usage=ANSWER.usage,
        finish_reason="stop",
    )


def pieces(tier):
    """The same as a stream that names it in the last chunk."""
    *first, last = chunks(ANSWER)
    body = dict(last.body) | {"service_tier": tier}
    return [*first, Chunk(body=body, usage=last.usage, finish_reason="stop")]


@pytest.mark.parametrize("tier", [5, True, ["flex"], {"a": "secret"}])
def test_a_tier_that_is_no_text_is_refused(cls, tier):
    """At once, and its value is not quoted."""
    client = made(cls=cls, catalog=book(**TIERS))
    with pytest.raises(InvalidRequestError, match="service_tier: expected a text") as caught:
        of(client.chat.completions.create(ASK, model="m@h", service_tier=tier))
    assert caught.value.param == "service_tier"
    assert "secret" not in str(caught.value)
    assert list(client.kept.entries()) == []


def test_batch_is_no_live_tier(cls):
    """Its price is half, and no host serves a live call at it."""
    client = made(cls=cls, catalog=book(batch=TIERS["flex"]))
    for call in (client.plan, client.chat.completions.create):
        with pytest.raises(InvalidRequestError, match="'batch' is no tier of live calls"):
            of(call(ASK, model="m@h", service_tier="Batch"))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("asked", "served", "dollars", "note"),
    [
        ("flex", "flex", "0.000105", ""),
        ("flex", "default", "0.00021", "asked for service tier 'flex', the host says it served "),
        ("priority", "default", "0.00021", "asked for service tier 'priority', "),
        ("priority", None, "0.00042", ""),
        ("flex", "turbo", "0.000105", "the host says it served 'turbo'"),
        (None, "default", "0.00021", ""),
        (None, "on_demand", "0.00021", ""),
        (None, "priority", "0.00042", "asked for service tier 'standard', "),
        ("flex", "Which colour has the zebra", "0.000105", ""),
        ("flex", 7, "0.000105", ""),
    ],
)
def test_the_tier_that_was_served_is_billed(cls, streamed, asked, served, dollars, note):
    """Where it has a price, else the one that was asked for; a note where they differ."""
    client = made(pieces(served) if streamed else told(served), cls=cls, catalog=book(**TIERS))
    arguments = {"model": "m@h", "service_tier": asked}
    if streamed:
        route = read(client, pause_after=0, seconds=0, **arguments)
    else:
        route = of(client.chat.completions.create(ASK, **arguments)).route
    # 10 tokens in, 100 out
    assert route.cost.pico == to_pico(dollars)
    (entry,) = client.kept.entries()
    assert entry.cost == route.cost.pico
    tiers = [n for n in route.notes if "service tier" in n]
    assert len(tiers) == bool(note)
    assert note in "".join(tiers)
    assert "zebra" not in "".join(route.notes)
    if asked:  # a tier that is served as standard still fits into what was reserved
        assert entry.overage == 0


def test_a_closed_stream_tells_the_tier_too(cls):
    """As far as it was named in what came."""
    piece = Chunk(body={"service_tier": "default"}, text="one two three")
    soft = Budget("1", hard=False)  # a hard one is charged all that was reserved
    client = made([piece, *chunks(ANSWER)], cls=cls, catalog=book(**TIERS), budgets=soft)
    route = read(client, pause_after=0, seconds=0, stop=2, model="m@h", service_tier="flex")
    assert route.attempts[0].outcome == "closed"
    assert route.cost.rates_id == "m@h/1970-01-01"
    assert any("says it served 'standard'" in n for n in route.notes)


def test_a_tier_reserves_no_less_than_the_standard_price():
    """A host may serve it as standard; what is expected is the tier's own price."""
    client = made(catalog=book(**TIERS))
    plain = client.plan(ASK, model="m@h").forecast
    flex = client.plan(ASK, model="m@h", service_tier="flex").forecast
    fast = client.plan(ASK, model="m@h", service_tier="priority").forecast
    assert (2 * flex.cost, fast.cost) == (plain.cost, 2 * plain.cost)
    assert flex.cost_ceiling == plain.cost_ceiling
    assert fast.cost_ceiling == 2 * plain.cost_ceiling


def test_a_tier_that_a_host_names():
    """A plain word; nothing else is taken for one, nor ever shown."""
    for body, expected in [
        ({}, None),
        ({"service_tier": None}, None),
        ({"service_tier": "Priority"}, "priority"),
        ({"service_tier": "default"}, ""),
        ({"service_tier": "x" * 25}, None),
        ({"service_tier": "say cheese"}, None),
        ({"service_tier": ""}, None),
    ]:
        assert served_tier(body) == expected
