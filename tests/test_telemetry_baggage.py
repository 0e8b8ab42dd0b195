"""Tags that come with a request by OpenTelemetry's baggage, from an allow-list."""

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor

import pytest
from observing import ANSWER, MODEL, ask, client_of
from opentelemetry import baggage, context

from router import AsyncClient, Budget, BudgetExceededError
from router.errors import InvalidRequestError
from router.telemetry.baggage import tags_carried
from router.testing import AsyncMockTransport, reply

ASK = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def carried():
    """Puts entries into the baggage of the current context, until the test ends."""
    tokens = []

    def put(**entries):
        now = context.get_current()
        for name, value in entries.items():
            now = baggage.set_baggage(name, value, context=now)
        tokens.append(context.attach(now))

    yield put
    for token in reversed(tokens):
        context.detach(token)


def tags_of(client):
    return [dict(entry.record.tags) for entry in client._core.ledger.entries()]


def test_listed_entries_become_tags(carried):
    """Those that the client names, and no other; without any there are none."""
    with client_of(reply(ANSWER), reply(ANSWER), baggage=["team", "feature"]) as client:
        ask(client)
        carried(team="search", feature="chat", user="ann")
        ask(client)
        assert tags_of(client) == [{}, {"team": "search", "feature": "chat"}]


def test_without_a_list_nothing_is_read(carried):
    """Baggage is what callers sent along: not believed unasked."""
    carried(team="search")
    with client_of(reply(ANSWER)) as client:
        ask(client)
        assert tags_of(client) == [{}]


def test_what_the_application_says_wins(carried):
    """Tags of the call, then of the client, then baggage."""
    carried(team="theirs", tenant="theirs", feature="theirs")
    settings = {"baggage": ["team", "tenant", "feature"], "tags": {"tenant": "acme"}}
    with client_of(reply(ANSWER), **settings) as client:
        ask(client, tags={"team": "ours"})
        assert tags_of(client) == [{"team": "ours", "tenant": "acme", "feature": "theirs"}]


def test_budgets_and_labels_see_them(observed, carried):
    """A team's budget holds for calls that say by baggage whose they are."""
    carried(team="search")
    settings = {"baggage": ["team"], "metric_tags": ["team"]}
    budgets = [Budget("0", scope={"team": "search"})]
    with client_of(reply(ANSWER), budgets=budgets, **settings) as client:
        with pytest.raises(BudgetExceededError):
            ask(client)
        ask(client, tags={"team": "ads"})
        report = client.report(by="team")
    assert [row["team"] for row in report] == ["ads"]
    assert observed.values("centroute.refusals", "centroute.tag.team") == {("search",): 1}
    assert observed.values("centroute.attempts", "centroute.tag.team") == {("ads",): 1}


@pytest.mark.parametrize("value", ["a\nb", "x" * 300, 7, object()])
def test_a_value_that_is_no_tag_is_the_requests_error(carried, value):
    """Dropping it would let the call past the budget that it is scoped by; nothing is sent."""
    carried(team=value)
    scoped = [Budget("1", "day", {"team": "*"})]
    with client_of(reply(ANSWER), baggage=["team"], budgets=scoped) as client:
        with pytest.raises(InvalidRequestError, match="tags"):
            ask(client)
        assert tags_of(client) == []


@pytest.mark.parametrize("value", ["a\nb", "x" * 300, 7, "\ud800"])
def test_a_strangers_value_that_is_no_tag_is_left_out(carried, caplog, monkeypatch, value):
    """Whoever calls a service cannot make its requests fail; it is said once, and not what."""
    monkeypatch.setattr("router.telemetry.baggage._warned", set())
    carried(team=value, feature="chat", tenant="")
    for _ in range(3):
        found = tags_carried(["team", "feature", "tenant", "absent"], scoped=["tenant"])
        assert found == {"feature": "chat", "tenant": ""}
    (warning,) = caplog.records
    assert "team" in warning.getMessage()
    assert repr(value) not in warning.getMessage()


@pytest.mark.parametrize("scoped", [None, ["team"]])
def test_what_a_budget_is_scoped_by_is_not_left_out(carried, caplog, scoped):
    """Without it the request would not count against that budget: it is to be refused."""
    carried(team="x" * 300, feature="chat")
    assert tags_carried(["team", "feature"], scoped) == {"team": "x" * 300, "feature": "chat"}
    assert caplog.records == []


async def test_each_task_has_its_own():
    """Tasks of an event loop do not see each other's baggage."""

    async def called(client, team):
        context.attach(baggage.set_baggage("team", team))
        await asyncio.sleep(0)
        made = await client.chat.completions.create(ASK, model=MODEL)
        return team, made.route.request_id

    settings = {"keys": {"deepinfra": "k"}, "ledger": ":memory:", "environ": {}}
    answers = AsyncMockTransport(*[reply(ANSWER)] * 6)
    async with AsyncClient(transport=answers, baggage=["team"], **settings) as client:
        made = await asyncio.gather(*(called(client, f"t{i}") for i in range(6)))
        found = {e.record.request_id: e.record.tags["team"] for e in client._core.ledger.entries()}
    assert found == {request: team for team, request in made}


def test_threads_that_were_given_a_context(carried):
    """A thread sees the baggage of the context that it runs in."""
    carried(team="search")
    with (
        client_of(reply(ANSWER), reply(ANSWER), baggage=["team"]) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        threads.submit(contextvars.copy_context().run, ask, client).result()
        threads.submit(ask, client).result()
        assert tags_of(client) == [{"team": "search"}, {}]


def test_batches_carry_them(carried):
    """Requests of a batch are the caller's, whichever thread sends them."""
    carried(team="search")
    with client_of(reply(ANSWER), reply(ANSWER), baggage=["team"]) as client:
        client.batch([ASK, ASK], model=MODEL)
        assert tags_of(client) == [{"team": "search"}] * 2


def test_requests_do_not_fail_for_a_strangers_baggage(carried):
    """Where no budget is scoped by it."""
    carried(team="x" * 300, feature="chat")
    budgets = [Budget("1", "day", {"feature": "*"})]
    with client_of(reply(ANSWER), baggage=["team", "feature"], budgets=budgets) as client:
        ask(client)
        assert tags_of(client) == [{"feature": "chat"}]
