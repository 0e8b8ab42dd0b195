"""What a refusal says of money is exact: read as it stands, it is always too little."""

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning import Learning, models

from policies import Context, Quote, cheapest, constrained
from router import Budget, BudgetExceededError, Client
from router.budgets import Balance, Hold, exceeded
from router.jobplan import Fit
from router.money import MAX_PICO, exact_usd, format_usd, to_pico, to_usd
from router.testing import FakeClock, MockTransport, reply

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AMOUNTS = st.one_of(st.integers(0, 3_000_000), st.integers(0, MAX_PICO // 4))


def amounts(text):
    """The dollars in a text, in its order."""
    return [Decimal(found) for found in re.findall(r"\$([0-9]+\.[0-9]{6,})", text)]


def hold(limit):
    return Hold(key="k", window_start=NOW, resets_at=None, limit=limit, hard=True, name="b")


@given(st.integers(-MAX_PICO, MAX_PICO))
def test_exact_amounts_are_exact(pico):
    """No digit is lost, none is added that says nothing, and cents line up as elsewhere."""
    text = exact_usd(pico)
    assert to_pico(text.replace("$", "")) == pico
    assert len(text.partition(".")[2]) == 6 or text[-1] != "0"
    if pico % 10**6 == 0:
        assert text == format_usd(pico)


@given(AMOUNTS, AMOUNTS, AMOUNTS, st.integers(1, 3_000_000))
def test_what_is_needed_is_more_than_what_is_left(limit, spent, reserved, more):
    """However close the two are, the text says which is more, and says what the error holds."""
    balance = Balance(spent=spent, reserved=reserved)
    rest = max(0, limit - spent - reserved)
    error = exceeded(hold(limit), balance, rest + more, "this call may cost up to")
    left, needed = amounts(str(error))
    assert left < needed
    assert (left, needed) == (error.remaining, error.requested) == (to_usd(rest), needed)


@given(st.integers(1, 2_000_000))
def test_a_tiny_budget_is_shown_as_it_is(pico):
    """From a client's budget to its error: name, rest and need are what they are."""

    client = Client(
        transport=MockTransport(reply("Blue")),
        catalog=models("small"),
        candidates=["small@h"],
        base_urls={"h": "http://localhost:1"},
        policy="frugal",
        scorer=Learning(),
        ledger=":memory:",
        now=FakeClock(),
        budgets=to_usd(pico),
    )
    with pytest.raises(BudgetExceededError) as caught:
        client.chat.completions.create([{"role": "user", "content": "Hi"}])
    name, left, needed, *reason = amounts(str(caught.value))
    assert name == left == to_usd(pico) < needed == caught.value.requested
    assert reason == [needed, left]


def test_half_a_millionth():
    """The amounts that used to be rounded to the wrong side."""
    assert Budget("0.0000005").words == "$0.0000005 in all"
    error = exceeded(hold(500_000), Balance(), 500_001, "this call may cost up to")
    assert "has $0.0000005 left, this call may cost up to $0.000000500001." in str(error)
    fit = Fit(budget="b", hard=True, left=1_500_000, p90_fits=False, ceiling_fits=None)
    assert str(fit).startswith("b: $0.0000015 left; the p90 does not fit")


@given(st.integers(1, 10**13), st.integers(1, 10**7))
def test_a_target_that_is_missed_by_little(cap, more):
    """`constrained` says by which amounts, and the cost is the larger one as it is written."""
    quote = Quote(
        name="a@h", quality=0.5, cost=cap + more, cost_p90=cap + more, cost_ceiling=cap + more
    )
    cheap = Quote(name="b@h", quality=0.5, cost=0, cost_p90=0, cost_ceiling=0)
    policy = constrained(cheapest(), max_cost_usd=to_usd(cap))
    said = policy([quote, cheap], Context(now=NOW)).rejected["a@h"]
    assert amounts(said) == [to_usd(cap + more), to_usd(cap)]
