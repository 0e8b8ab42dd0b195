"""Top-ups, transfers and freezes: in this window, all or none, each with who and why."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from calling import FixedScorer, in_order

from router import Budget, Client
from router.budgets import holds_for
from router.errors import BudgetExceededError, BudgetFrozenError, InvalidBudgetError, LedgerError
from router.ledgers import Adjustment
from router.ledgers.sqlite import SQLiteLedger
from router.testing import MockTransport, reply

MESSAGES = [{"role": "user", "content": "Which colour has a zebra?"}]
MODEL = "deepseek-v3.2@deepinfra"
DAILY = Budget("5", "day", name="daily", tokens=1000)
TEAM = Budget("1", "month", {"team": "*"}, name="team")
WHO = {"by": "ann", "why": "launch"}


@pytest.fixture(params=["memory", "file"])
def at(request, tmp_path):
    """Where the ledger is."""
    return SQLiteLedger(":memory:") if request.param == "memory" else tmp_path / "l.sqlite3"


@pytest.fixture
def made(at, clock):
    """Makes clients on one ledger and one clock; at a file each opens it anew."""
    clients = []

    def make(*budgets, **settings):
        host = MockTransport(reply("x", input_tokens=10, output_tokens=100))
        defaults = {
            "transport": host,
            "budgets": budgets,
            "ledger": at,
            "keys": {"deepinfra": "k"},
            "scorer": FixedScorer(),
            "policy": in_order,
            "now": clock,
            "environ": {},
        }
        clients.append(Client(**(defaults | settings)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def of(client, name, unit="usd", **tags):
    """The status of one limit."""
    whose = "".join(f" [{key}={value}]" for key, value in tags.items())
    states = client.budgets.status(tags)
    (found,) = (s for s in states if (s.name, s.unit) == (name + whose, unit))
    return found


def create(client, **tags):
    return client.chat.completions.create(MESSAGES, model=MODEL, tags=tags)


def test_a_top_up_counts_at_once_and_in_this_window(made, clock):
    """The limit is higher for all clients of the ledger until the window ends, then as it was."""
    client = made(DAILY)
    state = client.budgets.top_up("daily", "2.50", **WHO)
    assert (state.limit, state.adjusted, state.remaining) == (7.5, 2.5, 7.5)
    other = made(DAILY)
    assert of(other, "daily") == state
    assert of(other, "daily", "tokens").limit == 1000, "another limit of the same budget"
    assert other.budgets.top_up(DAILY, 500, unit="tokens", **WHO).limit == 1500
    clock.advance(24 * 3600)
    assert (of(client, "daily").limit, of(client, "daily").adjusted) == (5, 0)
    assert of(client, "daily", "tokens").limit == 1000


def test_what_was_refused_is_served_after_a_top_up(made):
    """And refused again once it is spent."""
    client = made(Budget("0.0001", "day", name="tiny"))
    with pytest.raises(BudgetExceededError):
        create(client)
    client.budgets.top_up("tiny", "0.01", **WHO)
    assert create(client).text == "x"
    client.budgets.top_up("tiny", -of(client, "tiny").remaining, **WHO)
    with pytest.raises(BudgetExceededError) as caught:
        create(client)
    assert caught.value.limit == of(client, "tiny").spent, "the error counts what was adjusted"


def test_a_negative_top_up_takes_no_more_than_is_left(made):
    """Below what is spent and reserved no limit is lowered."""
    client = made(DAILY)
    create(client)
    spent = of(client, "daily").spent
    with pytest.raises(BudgetExceededError, match="this would take") as caught:
        client.budgets.top_up("daily", "-5", **WHO)
    assert caught.value.remaining == 5 - spent
    assert of(client, "daily").adjusted == 0
    assert client.budgets.history() == []
    assert client.budgets.top_up("daily", spent - 5, **WHO).remaining == 0


def test_a_transfer_is_one_step(made):
    """What one gives the other gets; where the giver has too little, neither changes."""
    client = made(DAILY, TEAM)
    client.budgets.transfer("daily", TEAM, "2", tags={"team": "search"}, **WHO)
    assert of(client, "daily").limit == 3
    assert of(client, "team", team="search").limit == 3
    assert of(client, "team", team="ads").limit == 1, "another account of the same budget"
    with pytest.raises(BudgetExceededError) as caught:
        client.budgets.transfer("daily", "team", "3.01", tags={"team": "ads"}, **WHO)
    assert caught.value.budget == "daily"
    assert (of(client, "daily").limit, of(client, "team", team="ads").limit) == (3, 1)
    teams = {"tags": {"team": "search"}, "target_tags": {"team": "ads"}}
    client.budgets.transfer("team", "team", Decimal("0.5"), **teams, **WHO)
    assert of(client, "team", team="search").adjusted == Decimal("1.5")
    assert of(client, "team", team="ads").adjusted == Decimal("0.5")
    adjusted = [a.amount for a in client.budgets.history()]
    assert sum(adjusted) == 0
    assert len(adjusted) == 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("daily", "daily", "1"), "both are the budget of daily"),
        (("daily", "month", "0"), "above 0"),
        (("daily", "month", "-1"), "above 0"),
        (("daily", "month", "ten"), "expected an amount in USD"),
        (("daily", "month", 1.5, "tokens"), "expected whole tokens"),
        (("daily", "month", True, "tokens"), "expected whole tokens"),
        (("daily", "month", 5, "tokens"), "month has limits in usd, got 'tokens'"),
        (("daily", "month", 5, "requests"), "daily has limits in usd, tokens, got 'requests'"),
        (("daily", "nobody's", "1"), "no such budget of this client"),
        (("daily", Budget("3"), "1"), "no such budget of this client"),
        (("daily", "each", "1"), "each caps each request: it has no window"),
        (("daily", "team", "1"), "say whose with tags"),
    ],
)
def test_transfers_that_make_no_sense(made, arguments, says):
    """Nothing is booked; the error says what was expected."""
    month, each = Budget("9", "month", name="month"), Budget("1", "request", name="each")
    client = made(DAILY, TEAM, month, each)
    source, target, amount, *unit = arguments
    more = {"unit": unit[0]} if unit else {}
    with pytest.raises(InvalidBudgetError, match=says):
        client.budgets.transfer(source, target, amount, **more, **WHO)
    assert client.budgets.history() == []


@pytest.mark.parametrize("who", [{"by": "", "why": "x"}, {"by": "ann", "why": " "}])
def test_everything_needs_who_and_why(made, who):
    """Without a name and a reason nothing is changed."""
    client = made(DAILY)
    for change in (
        lambda: client.budgets.top_up("daily", "1", **who),
        lambda: client.budgets.freeze("daily", **who),
    ):
        with pytest.raises(InvalidBudgetError, match="expected a text"):
            change()
    assert client.budgets.history() == []
    assert not of(client, "daily").frozen


def test_a_freeze_lasts_until_it_is_ended(made, clock):
    """Over windows, restarts and top-ups; what is under way is settled all the same."""
    client = made(DAILY)
    client.budgets.freeze("daily", **WHO)
    client.budgets.top_up("daily", "1", **WHO)
    clock.advance(24 * 3600)
    other = made(DAILY)
    assert [s.frozen for s in other.budgets.status()] == [True, True]
    with pytest.raises(BudgetFrozenError) as caught:
        create(other)
    assert caught.value.resets_at is None
    other.budgets.unfreeze("daily", by="bob", why="checked")
    assert not of(client, "daily").frozen
    assert create(client).text == "x"
    with pytest.raises(InvalidBudgetError, match="soft and refuses nothing"):
        made(Budget("1", hard=False, name="soft")).budgets.freeze("soft", **WHO)


def test_the_history_says_who_and_why(made, clock):
    """A row each, oldest first, in every client of the ledger, and only those asked for."""
    client = made(DAILY, TEAM)
    start = clock()
    client.budgets.top_up("daily", "2", **WHO)
    clock.advance(60)
    client.budgets.transfer("daily", "team", "1", tags={"team": "search"}, by="bob", why="hot")
    clock.advance(60)
    client.budgets.freeze("team", tags={"team": "ads"}, by="eve", why="loop")
    rows = made(Budget("7", name="other")).budgets.history()
    assert [(r.kind, r.by, r.why, r.budget, r.amount, r.unit) for r in rows] == [
        ("top_up", "ann", "launch", "daily", 2 * 10**12, "usd"),
        ("transfer", "bob", "hot", "daily", -(10**12), "usd"),
        ("transfer", "bob", "hot", "team [team=search]", 10**12, "usd"),
        ("freeze", "eve", "loop", "team [team=ads]", 0, "usd"),
    ]
    assert rows[0].at == start
    assert rows[0].window_start == datetime(2026, 11, 22, tzinfo=UTC)
    assert len({r.id for r in rows}) == 4
    assert client.budgets.history(since=rows[1].at, until=rows[3].at) == rows[1:3]


def test_a_change_is_booked_once(made, clock):
    """A ledger that is given the same row again, after a lost answer say, changes nothing."""
    client = made(DAILY)
    ledger = client._core.ledger
    ledger = getattr(ledger, "ledger", ledger)
    hold = holds_for([DAILY], {}, clock(), "")[0]
    row = Adjustment(
        id="once",
        kind="top_up",
        at=clock(),
        key=hold.key,
        window_start=hold.window_start,
        unit="usd",
        amount=10**12,
        budget="daily",
        **WHO,
    )
    ledger.adjust([row], [hold])
    ledger.adjust([row], [hold])
    assert of(client, "daily").limit == 6
    assert client.budgets.history() == [row]
    ledger.check()


def test_a_named_budget_is_its_own_whatever_the_client_s_tags(made):
    """A budget of one team is meant where it is named, by a client of another team, too."""
    search = Budget("1", "day", {"team": "search"}, name="search")
    client = made(search, TEAM, tags={"team": "ads"})
    assert client.budgets.top_up("search", "1", **WHO).limit == 2
    assert client.budgets.top_up("team", "1", **WHO).limit == 2
    assert of(client, "team", team="ads").adjusted == 1
    assert of(client, "team", team="search").adjusted == 0
    with pytest.raises(InvalidBudgetError, match="does not fit"):
        client.budgets.top_up("search", "1", tags={"team": "ads"}, **WHO)


def test_amounts_that_a_ledger_cannot_hold(made):
    """Beyond 2^63 pico-dollars together: a typed error, and nothing is changed."""
    client = made(DAILY)
    client.budgets.top_up("daily", "9000000", **WHO)
    with pytest.raises((LedgerError, InvalidBudgetError)):
        client.budgets.top_up("daily", "9000000", **WHO)
    assert of(client, "daily").limit == 9_000_005
    assert len(client.budgets.history()) == 1
    assert create(client).text == "x"


def test_the_budgets_of_a_client(made):
    """They can be counted and gone through, in their order."""
    client = made(DAILY, TEAM)
    assert list(client.budgets) == [DAILY, TEAM]
    assert len(client.budgets) == 2
    rolling = made(Budget("1", "rolling 24h", name="rolling"))
    assert rolling.budgets.top_up("rolling", "1", **WHO).limit == 2
