"""Budgets in dollars, tokens and requests, by whom and at whom: all of them hold, or none."""

import asyncio
from decimal import Decimal

import pytest
from calling import FixedScorer, in_order

from router import AsyncClient, Budget, Client
from router.budgets import holds_for
from router.catalog import Catalog
from router.errors import (
    BudgetExceededError,
    BudgetFrozenError,
    ConnectionFailedError,
    InvalidBudgetError,
    RateLimitError,
    ServerError,
    UnpricedModelError,
)
from router.forecast import input_bound
from router.ledgers.sqlite import SQLiteLedger
from router.testing import AsyncMockTransport, FakeClock, MockTransport, reply

MESSAGES = [{"role": "user", "content": "Which colour has a zebra?"}]
KNOWN = {"source": "test", "checked": "2026-11-22"}
ENDPOINTS = [(m, h) for h in ("north", "south") for m in ("small", "large")]
LIMITS = {"context_tokens": 1000, "max_output_tokens": 500}
CATALOG = Catalog.load(
    {
        "host": [{"name": h, "base_url": "http://localhost:1"} for h in ("north", "south")],
        "model": [{"name": m, "tokenizer": "deepseek-v3"} for m in ("small", "large", "unpriced")],
        "endpoint": [
            {"model": m, "host": h, "model_id": m, **LIMITS}
            for m, h in [*ENDPOINTS, ("unpriced", "north")]
        ],
        "rate": [
            {"endpoint": f"{m}@{h}", "input": i, "output": i, **KNOWN}
            for (m, h), i in zip(ENDPOINTS, ("1", "10", "2", "20"), strict=True)
        ],
    }
)
ALL = [f"{m}@{h}" for m, h in ENDPOINTS]
PERSON = {
    "tenant": "acme",
    "team": "search",
    "user": "ann",
    "feature": "chat",
    "project": "zebra",
    "org": "acme/search/ann",
}


class Answering:
    """A client of four candidates with a transport that answers 100 tokens to 10."""

    def __init__(self, *answers, **settings):
        self.ledger = SQLiteLedger(":memory:")
        self.host = MockTransport(*(answers or [reply("x", input_tokens=10, output_tokens=100)]))
        self.settings = {
            "catalog": CATALOG,
            "hosts": ["north", "south"],
            "ledger": self.ledger,
            "scorer": FixedScorer(),
            "policy": in_order,
            "now": FakeClock(),
            "environ": {},
            "max_retries": 0,
        } | settings
        self.client = Client(transport=self.host, **self.settings)

    def ask(self, model=ALL, **arguments):
        return self.client.chat.completions.create(MESSAGES, model=model, **arguments)

    def balances(self, tags):
        """By budget and unit: spent, reserved."""
        holds = holds_for(tuple(self.client.budgets), tags, FakeClock()(), "")
        found = zip(holds, self.ledger.balances(holds), strict=True)
        return {(h.name, h.unit): (b.spent, b.reserved) for h, b in found}


def scoped(**scopes):
    return [Budget("1", "day", {k: v}, name=k) for k, v in scopes.items()]


def test_one_request_counts_in_every_scope():
    """Tenant, team, user, feature, project, nested paths, model and host: each has its account."""
    budgets = [
        *scoped(tenant="acme", team="search", user="*", feature="chat", project="*"),
        Budget("1", "month", {"org": "acme"}, name="org"),
        Budget("1", "month", {"org": "acme/*"}, name="org team"),
        Budget("1", "month", {"org": "acme/*/*"}, name="org user"),
        *scoped(model="small", host="north", mode="*", candidate="small@north"),
        *scoped(other="x"),
    ]
    one = Answering(budgets=budgets)
    done = one.ask("small@north", tags=PERSON)
    called = {"model": "small", "mode": "chat", "host": "north", "candidate": "small@north"}
    found = one.balances(PERSON | called)
    assert len(found) == 12
    assert set(found.values()) == {(done.route.cost.pico, 0)}


@pytest.mark.parametrize("tight", ["tenant", "team", "user", "feature", "project", "org"])
def test_one_scope_that_is_full_refuses_for_all(tight):
    """All or none: the error names the one budget, and nothing is set aside in the others."""
    budgets = [
        Budget("0.0001" if key == tight else "1", "day", {key: "*"}, name=f"of {key}")
        for key in PERSON
    ]
    one = Answering(budgets=budgets)
    with pytest.raises(BudgetExceededError) as caught:
        one.ask(tags=PERSON)
    whose = PERSON[tight].partition("/")[0]
    assert caught.value.budget == f"of {tight} [{tight}={whose}]"
    assert caught.value.remaining == Decimal("0.0001")
    assert one.host.calls == []
    assert set(one.balances(PERSON).values()) == {(0, 0)}
    assert one.ask(tags={k: v for k, v in PERSON.items() if k != tight}).text == "x"


@pytest.mark.parametrize(
    ("scope", "served", "told"),
    [
        ({"model": "small"}, "large@north", "small@north"),
        ({"host": "north"}, "small@south", "small@north"),
        ({"candidate": "small@north"}, "large@north", "small@north"),
        ({"model": "*", "host": "north"}, "small@south", "large@north"),
    ],
)
def test_a_budget_of_who_is_called_shuts_out_that_one_alone(scope, served, told):
    """The request goes to another; the decision says what the budget lacked."""
    one = Answering(budgets=[Budget("0.0001", "day", scope, name="tight"), Budget("1")])
    route = one.ask().route
    assert route.candidate == served
    assert route.decision.rejected[told].startswith("needs $")
    assert "the budget has $0.000100 left" in route.decision.rejected[told]
    with pytest.raises(BudgetExceededError) as caught:
        one.ask(told)
    assert caught.value.budget.startswith("tight")


def test_taken_by_others_meanwhile_another_candidate_serves():
    """A budget of one host that filled up since the plan: the next of the ranking is asked."""
    budgets = [Budget("0.0006", "day", {"host": "north"}, name="north"), Budget("1")]
    one, inner = Answering(budgets=budgets), []

    def policy(quotes, context):
        if not inner:
            inner.append(True)
            inner.append(one.ask("small@north").route)
        return in_order(quotes, context)

    two = Client(transport=one.host, **(one.settings | {"policy": policy, "budgets": budgets}))
    route = two.chat.completions.create(MESSAGES, model=["small@north", "small@south"]).route
    assert inner[1].candidate == "small@north"
    assert route.candidate == "small@south"


def test_a_token_budget_shortens_the_answer():
    """`max_tokens` is lowered to what is left, which is what is reserved; then nothing fits."""
    one = Answering(budgets=Budget(tokens=520, name="t"))
    route = one.ask("small@north").route
    (call,), forecast = one.host.calls, route.forecasts["small@north"]
    assert call.max_tokens == forecast.max_tokens < 500
    assert forecast.tokens_ceiling == 520
    assert "what the budget can pay" in forecast.notes[0]
    (status,) = one.client.budgets.status()
    assert (status.unit, status.limit, status.spent, status.remaining) == ("tokens", 520, 110, 410)
    with pytest.raises(BudgetExceededError, match="tokens left, the cheapest") as caught:
        for _ in range(3):
            one.ask("small@north")
    error = caught.value
    assert (error.unit, error.budget, error.limit) == ("tokens", "t", 520)
    assert {(e.tokens, e.requests) for e in one.ledger.entries()} == {(110, 1)}


async def test_callers_at_once_share_a_limit():
    """Of ten that ask an event loop together, as many are served as there is room for."""
    made = Answering().settings | {"budgets": Budget(requests=3, tokens=10_000)}
    host = AsyncMockTransport(reply("x", input_tokens=10, output_tokens=100))
    async with AsyncClient(transport=host, **made) as client:
        ask = client.chat.completions.create
        done = await asyncio.gather(
            *(ask(MESSAGES, model="small@north") for _ in range(10)), return_exceptions=True
        )
        spent = [(s.unit, s.spent) for s in client.budgets.status()]
    assert sum(isinstance(one, BudgetExceededError) for one in done) == 7
    assert spent == [("tokens", 330), ("requests", 3)]


def test_a_token_budget_needs_no_price():
    """A model whose price nobody knows is served within a limit in tokens, not in dollars."""
    one = Answering(budgets=Budget(tokens=1000, requests=3))
    done = one.ask("unpriced@north")
    assert done.route.cost is None
    assert one.host.calls[0].max_tokens == 500
    assert [(s.unit, s.spent) for s in one.client.budgets.status()] == [
        ("tokens", 110),
        ("requests", 1),
    ]
    with pytest.raises(UnpricedModelError):
        one.ask("unpriced@north", budget="1")


def test_a_limit_of_requests():
    """So many that are charged, and no more; what was refused by the host does not count."""
    one = Answering(budgets=Budget(requests=2, window="day", name="two"))
    one.ask("small@north")
    one.host.enqueue(RateLimitError("no"), reply("x"))
    one.host._answers.popleft()
    with pytest.raises(RateLimitError):
        one.ask("small@north")
    one.ask("small@north")
    with pytest.raises(BudgetExceededError, match="has 0 requests left") as caught:
        one.ask("small@north")
    assert (caught.value.unit, caught.value.limit, caught.value.remaining) == ("requests", 2, 0)
    assert len(one.host.calls) == 3
    assert [e.requests for e in one.ledger.entries()] == [1, 0, 1]


def test_a_fallback_that_was_charged_is_a_request_of_its_own():
    """A call that may have been charged counts, and so does the one that answered instead."""
    lost = ConnectionFailedError("lost", billable=True)
    one = Answering(lost, reply("x"), budgets=Budget(requests=2, tokens=10_000))
    one.ask(["small@north", "small@south"])
    usd, tokens = zip(*((e.cost, e.tokens) for e in one.ledger.entries()), strict=True)
    assert min(usd) > 0
    call = one.host.calls[0]
    bound = input_bound(call.candidate, call.input_tokens, 0)
    assert tokens[0] == bound + call.max_tokens, "as reserved"
    assert [(s.unit, s.spent) for s in one.client.budgets.status()] == [
        ("tokens", sum(tokens)),
        ("requests", 2),
    ]


def test_a_cap_on_one_request_counts_its_fallbacks():
    """Under `requests=1` for each request, no fallback follows a call that was charged."""
    lost = ConnectionFailedError("lost", billable=True)
    one = Answering(lost, reply("x"), budgets=Budget(requests=1, window="request"))
    with pytest.raises(ConnectionFailedError) as caught:
        one.ask(["small@north", "small@south"])
    assert "no fallback: the budget of 1 request a request" in caught.value.__notes__[0]
    assert len(one.host.calls) == 1
    assert one.ask("small@south").text == "x"
    one.host.enqueue(ServerError("no"), reply("x"))
    one.host._answers.popleft()
    assert one.ask(["small@north", "small@south"]).route.candidate == "small@south"


def test_a_soft_limit_records_and_never_refuses():
    """In any unit; a soft budget lowers no `max_tokens` either."""
    one = Answering(budgets=Budget("0.0001", tokens=50, requests=1, hard=False))
    for _ in range(3):
        one.ask("small@north")
    assert {call.max_tokens for call in one.host.calls} == {None}
    assert [(s.unit, s.spent) for s in one.client.budgets.status()] == [
        ("usd", Decimal("0.00033")),
        ("tokens", 330),
        ("requests", 3),
    ]
    assert all(s.remaining < 0 for s in one.client.budgets.status())


def test_a_frozen_budget_refuses_whatever_is_left():
    """Nobody is served who counts against it, others are; the error says who can tell why."""
    budgets = [Budget("1", "day", {"team": "*"}, name="team"), Budget("1", name="all")]
    one = Answering(budgets=budgets)
    one.client.budgets.freeze("team", tags={"team": "search"}, by="ann", why="runaway loop")
    with pytest.raises(BudgetFrozenError, match="is frozen") as caught:
        one.ask(tags={"team": "search"})
    assert (caught.value.budget, caught.value.resets_at) == ("team [team=search]", None)
    assert one.host.calls == []
    assert one.ask(tags={"team": "ads"}).text == "x"
    one.client.budgets.unfreeze("team", tags={"team": "search"}, by="ann", why="fixed")
    assert one.ask(tags={"team": "search"}).text == "x"


def test_a_freeze_of_one_host_sends_requests_elsewhere():
    """A budget of who is called can be frozen as well: the decision says so."""
    one = Answering(budgets=[Budget("1", "day", {"host": "*"}, name="host"), Budget("1")])
    one.client.budgets.freeze("host", tags={"host": "north"}, by="ann", why="wrong bills")
    route = one.ask().route
    assert route.candidate == "small@south"
    assert route.decision.rejected["small@north"] == "the budget of host [host=north] is frozen"


def test_budgets_out_of_a_file(tmp_path):
    """A path is as good as a list of them, and stands beside others."""
    path = tmp_path / "x.toml"
    path.write_text('[[budget]]\nname = "file"\nrequests = 1\n')
    one = Answering(budgets=[path, "1", str(path)])
    assert [b.name for b in one.client.budgets] == ["file", "$1.000000 in all", "file"]
    one.ask("small@north")
    with pytest.raises(BudgetExceededError) as caught:
        one.ask("small@north")
    assert caught.value.budget == "file"
    with pytest.raises(InvalidBudgetError, match=r"missing\.toml"):
        Answering(budgets=tmp_path / "missing.toml")
