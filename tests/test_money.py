from decimal import Decimal, Inexact, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.money import MAX_PICO, PICO_PER_USD, format_usd, to_pico, to_usd

PICO = st.integers(-MAX_PICO, MAX_PICO)


@given(PICO)
def test_every_amount_survives_the_round_trip(pico):
    """An amount that a ledger row can hold is the same after USD and back, as Decimal and text."""
    assert to_pico(to_usd(pico)) == pico
    assert to_pico(f"{to_usd(pico):f}") == pico


@given(PICO, PICO)
def test_usd_adds_up_like_the_integers(a, b):
    """Sums of Decimals equal the Decimal of the sum, so reports add up to the last digit."""
    with localcontext() as context:
        context.traps[Inexact] = True
        assert to_usd(a) + to_usd(b) == to_usd(a + b)


@pytest.mark.parametrize(
    ("amount", "pico"),
    [
        ("0.028", 28_000_000_000),
        ("1", PICO_PER_USD),
        (3, 3 * PICO_PER_USD),
        (0, 0),
        ("-0", 0),
        ("-0.5", -PICO_PER_USD // 2),
        ("1e3", 1000 * PICO_PER_USD),
        ("0.000000000001", 1),
        ("1.00000000000000000000", PICO_PER_USD),
        (0.1, PICO_PER_USD // 10),
        (0.1 + 0.2 - 0.3 + 1e-12, None),
        (Decimal("0.42"), 420_000_000_000),
        ("9223372.036854775807", MAX_PICO),
        ("-9223372.036854775807", -MAX_PICO),
    ],
)
def test_amounts_are_read_exactly(amount, pico):
    """Text, integers, Decimals and floats by their shortest form give the exact integer."""
    if pico is None:  # a float whose error is finer than money
        with pytest.raises(ValueError, match="12 decimals"):
            to_pico(amount)
        return
    assert to_pico(amount) == pico


def test_a_numpy_float_is_read_like_a_float():
    """A float from a data frame is an amount, too, although its repr is not a number."""
    numpy = pytest.importorskip("numpy")
    assert to_pico(numpy.float64(0.1)) == PICO_PER_USD // 10


@pytest.mark.parametrize(
    ("amount", "says"),
    [
        (float("nan"), "finite"),
        ("NaN", "finite"),
        ("sNaN", "finite"),
        (float("inf"), "finite"),
        ("-Infinity", "finite"),
        ("0.0000000000001", "12 decimals"),
        ("1." + "0" * 70 + "1", "12 decimals"),  # more digits than a context holds
        ("1e-1000020", "12 decimals"),  # beyond a context's exponents
        ("9223372.036854775808", "end at 9223372.036854775807"),
        ("-9223372.036854775808", "end at 9223372.036854775807"),
        ("1e999999999", "end at"),
        (10**30, "end at"),
        (True, "expected an amount"),
        (False, "expected an amount"),
        (None, "expected an amount"),
        ("", "expected an amount"),
        ("five", "expected an amount"),
        ("$5", "expected an amount"),
        (b"5", "expected an amount"),
        ([], "expected an amount"),
        (1j, "expected an amount"),
    ],
)
def test_what_is_not_an_amount_is_refused(amount, says):
    """NaN, infinity, too fine, too large, a bool or no number at all: an error that says which."""
    with pytest.raises(ValueError, match=says):
        to_pico(amount)


def test_a_callers_decimal_context_changes_nothing():
    """A program that set a tiny decimal precision still gets exact amounts."""
    with localcontext() as context:
        context.prec = 3
        assert to_pico("9223372.036854775807") == MAX_PICO
        assert f"{to_usd(MAX_PICO):f}" == "9223372.036854775807"


@pytest.mark.parametrize(
    ("pico", "places", "text"),
    [
        (28_000_000_000, 6, "$0.028000"),
        (0, 6, "$0.000000"),
        (-1_500_000, 6, "-$0.000002"),
        (500_000, 6, "$0.000000"),  # half to even
        (1_500_000, 6, "$0.000002"),
        (MAX_PICO, 2, "$9223372.04"),
    ],
)
def test_amounts_for_people(pico, places, text):
    """Amounts are shown with a fixed number of decimals and the sign before the dollar."""
    assert format_usd(pico, places) == text
