"""What `client.budgets` refuses: whose account it is must be plain, and so must who asks for what.

Nothing is booked then."""

import pytest
from calling import FixedScorer

from router import Budget, Client
from router.budgets import Balance, Hold, exceeded
from router.errors import BudgetExceededError, BudgetFrozenError, InvalidBudgetError
from router.ledgers.sqlite import SQLiteLedger
from router.testing import FakeClock, MockTransport, reply

TEAM = Budget("1", "day", {"team": "*"}, name="team", tokens=100)
WHO = {"by": "ann", "why": "launch"}


def made(*budgets, **settings):
    return Client(
        transport=MockTransport(reply("x")),
        budgets=budgets,
        ledger=SQLiteLedger(":memory:"),
        keys={"deepinfra": "k"},
        scorer=FixedScorer(),
        now=FakeClock(),
        environ={},
        **settings,
    )


CHANGES = {
    "top_up": lambda client, name, **more: client.budgets.top_up(name, "1", **(WHO | more)),
    "transfer": lambda client, name, **more: client.budgets.transfer(
        name, "other", "1", **(WHO | more)
    ),
    "transfer to": lambda client, name, **more: client.budgets.transfer(
        "other", name, "1", **(WHO | more)
    ),
    "freeze": lambda client, name, **more: client.budgets.freeze(name, **(WHO | more)),
}
OTHER = Budget("9", name="other")


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ({"team": "*"}, "team='\\*' is a pattern of a scope; say whose account is meant"),
        ({"team": "acme/*"}, "is a pattern of a scope"),
        ({"team": "a\0b"}, "without control characters, got 'team': 'a.x00b'"),
        ({"team": "a\nb"}, "without control characters"),
        ({"team": "\ud800"}, "without control characters"),
        ({"te\x7fam": "a"}, "without control characters"),
        ({"team": "a" * 257}, "at most 256 characters .* got 'team': 'aaa"),
        ({"a" * 257: "a"}, "at most 256 characters"),
        ({"team": 1}, "expected text"),
        ({"": "a"}, "expected text"),
        ({1: "a"}, "expected text"),
        ([("team", "a")], "expected a dict such as"),
    ],
)
def test_tags_that_no_request_may_have(tags, says):
    """They would name an account of nobody's, or one that a server's ledger cannot take."""
    client = made(TEAM, OTHER)
    for change in CHANGES.values():
        with pytest.raises(InvalidBudgetError, match=says):
            change(client, "team", tags=tags)
    with pytest.raises(InvalidBudgetError, match=says):
        client.budgets.status(tags)
    with pytest.raises(InvalidBudgetError, match=says):
        client.budgets.unfreeze("team", tags=tags, **WHO)
    assert client.budgets.history() == []


def test_the_longest_tag():
    """Of 256 characters, whatever they mean elsewhere."""
    client = made(TEAM)
    tags = {"team": "~" * 256}
    assert client.budgets.top_up("team", "1", tags=tags, **WHO).limit == 2


@pytest.mark.parametrize(
    "text", ["", " ", "a\nb", "a\0b", "\ud800", "x" * 501, None, 1, b"ann"], ids=repr
)
@pytest.mark.parametrize("name", ["by", "why"])
def test_who_and_why_are_lines_of_text(name, text):
    """A history that people read has no line breaks, and what is in it can be written anywhere."""
    client = made(TEAM, OTHER)
    for change in CHANGES.values():
        with pytest.raises(InvalidBudgetError, match=f"{name}: expected a text of at most 500"):
            change(client, "team", tags={"team": "a"}, **{name: text})
    assert client.budgets.history() == []
    client.budgets.freeze("other", **(WHO | {name: "\u00fc" * 500}))


@pytest.mark.parametrize(
    ("amount", "unit", "says"),
    [
        ("9223372.036854775808", "usd", "amounts end at 9223372.036854775807 USD"),
        ("-1e99", "usd", "amounts end at"),
        pytest.param(10**5000, "usd", "amount: ", id="long"),
        ((0, (1,), 0), "usd", "expected an amount in USD"),
        (None, "usd", "expected an amount in USD, got NoneType"),
        ("NaN", "usd", "finite"),
        (2**62 + 1, "tokens", "at most 4,611,686,018,427,387,904 tokens"),
        (-(2**62) - 1, "tokens", "at most 4,611,686,018,427,387,904 tokens"),
        pytest.param(10**5000, "tokens", "at most 4,611,686,018,427,387,904 tok", id="long"),
        ("5", "tokens", "expected whole tokens"),
    ],
)
def test_amounts_that_no_ledger_holds(amount, unit, says):
    """Each with a typed error before anything is asked of the ledger."""
    client = made(TEAM, OTHER)
    with pytest.raises(InvalidBudgetError, match=says):
        client.budgets.top_up("team", amount, unit=unit, tags={"team": "a"}, **WHO)
    with pytest.raises(InvalidBudgetError, match=says):
        client.budgets.transfer("team", "other", amount, unit=unit, tags={"team": "a"}, **WHO)
    assert client.budgets.history() == []


def test_a_name_that_two_budgets_have():
    """It means neither; the budget itself does."""
    day, week = Budget("1", "day", name="all"), Budget("2", "week", name="all", tz="Asia/Tokyo")
    client = made(day, week, OTHER)
    says = r"named 'all': all \(\$1.000000 a day\) and all \(\$2.000000 a week, Asia/Tokyo\)"
    for change in CHANGES.values():
        with pytest.raises(InvalidBudgetError, match=says):
            change(client, "all")
    assert client.budgets.history() == []
    assert client.budgets.top_up(week, "1", **WHO).limit == 3


@pytest.mark.parametrize(
    "sharing",
    [
        Budget("0.5", "day", {"team": "*"}, name="soft", hard=False),
        Budget("3", "day", {"team": "search"}, name="search"),
    ],
)
def test_an_account_that_two_budgets_have(sharing):
    """A change is of the account, so it would be of both: it says which, and what to do."""
    client = made(TEAM, sharing, OTHER)
    for change in CHANGES.values():
        with pytest.raises(
            InvalidBudgetError,
            match=rf"team \(.*one account .* {sharing.name} \(.*scope or window",
        ):
            change(client, "team", tags={"team": "search"})
    assert client.budgets.history() == []
    client.budgets.unfreeze("team", tags={"team": "search"}, **WHO)  # there is always a way back
    tokens = client.budgets.top_up("team", 5, unit="tokens", tags={"team": "search"}, **WHO)
    assert tokens.limit == 105, "another unit is another account"


def test_accounts_apart():
    """Another value of the tag, another window or zone: nobody else's limit is touched."""
    client = made(
        TEAM,
        Budget("1", "day", {"team": "search"}, name="search"),
        Budget("1", "week", {"team": "*"}, name="week"),
        Budget("1", "day", {"team": "*"}, name="tokyo", tz="Asia/Tokyo"),
        Budget("1", "request", {"team": "*"}, name="cap"),
    )
    assert client.budgets.top_up("team", "1", tags={"team": "ads"}, **WHO).limit == 2
    assert client.budgets.top_up("tokyo", "2", tags={"team": "ads"}, **WHO).limit == 3


def test_a_refusal_is_about_the_change():
    """What a request could do about it is no advice here; figures are those of the ledger."""
    client = made(TEAM, OTHER)
    client.budgets.freeze("other", **WHO)
    for change in (
        lambda: client.budgets.top_up("other", "-9.5", **WHO),
        lambda: client.budgets.transfer("other", "team", "9.5", tags={"team": "a"}, **WHO),
    ):
        with pytest.raises(BudgetExceededError) as caught:
            change()
        assert str(caught.value) == (
            "the budget of other has $9.000000 left, this would take $9.500000. "
            "Nothing was changed."
        )
        assert not isinstance(caught.value, BudgetFrozenError)
        assert (caught.value.remaining, caught.value.requested) == (9, 9.5)
    with pytest.raises(BudgetExceededError, match="has 100 tokens left, this would take 101 tok"):
        client.budgets.top_up("team", -101, unit="tokens", tags={"team": "a"}, **WHO)


def test_one_is_one_request():
    """Amounts in words: a single one is singular."""
    hold = Hold(
        key="k",
        window_start=FakeClock()(),
        resets_at=None,
        limit=1,
        hard=True,
        name="n",
        unit="requests",
    )
    error = exceeded(hold, Balance(), 2, "this needs")
    assert "has 1 request left, this needs 2 requests. Nothing was sent. Lower" in str(error)
