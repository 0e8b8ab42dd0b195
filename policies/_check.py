"""What policies ask of their parameters: each is checked once, and kept in one form.

Numbers are kept as floats and money as decimal text in USD, so that policies that mean the same
are equal, hash alike and have the same spec. Every check raises a `refusal` that names the
parameter, what was expected, and what came.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

Amount = str | int | float | Decimal
"""What may be given as an amount of USD."""
_PICO_PER_USD = 10**12
_kind: type[ValueError] = ValueError


def refuse_as(kind: type[ValueError]) -> None:
    """Refuse with this kind of error from now on: the router's own, which we cannot import."""
    global _kind  # noqa: PLW0603 - said once, by whoever hands these policies out
    _kind = kind


def refusal(why: str) -> ValueError:
    """The error to raise for a parameter that makes no sense."""
    return _kind(why)


def settle(policy: object, /, **values: object) -> None:
    """Keep checked `values` in a frozen policy; only its own construction may do this."""
    for name, value in values.items():
        object.__setattr__(policy, name, value)


def from_0_to_1(name: str, value: object) -> float:
    """A chance or share, both ends included."""
    found = _float(value)
    if not 0.0 <= found <= 1.0:
        raise refusal(f"{name}: expected 0 to 1, got {value!r}")
    return found


def above_0_to_1(name: str, value: object) -> float:
    """A share that is not nothing."""
    found = _float(value)
    if not 0.0 < found <= 1.0:
        raise refusal(f"{name}: expected above 0 and at most 1, got {value!r}")
    return found


def at_least(name: str, value: object, least: float = 0.0) -> float:
    """A finite number that is `least` or more."""
    found = _float(value)
    if not least <= found < math.inf:
        raise refusal(f"{name}: expected {least:g} or more, got {value!r}")
    return found


def above_0(name: str, value: object) -> float:
    """A finite number above 0."""
    found = _float(value)
    if not 0.0 < found < math.inf:
        raise refusal(f"{name}: expected above 0, got {value!r}")
    return found


def money(name: str, amount: object, *, or_0: bool = False) -> str:
    """An amount in USD as plain decimal text: "0.010" and 0.01 are both kept as "0.01"."""
    try:
        value = Decimal("NaN") if isinstance(amount, bool) else Decimal(str(amount))
    except InvalidOperation:
        value = Decimal("NaN")
    # The bounds keep 1e999999 from being written out.
    if value.is_finite() and value == 0 and or_0:
        return "0"
    if not (value.is_finite() and value > 0 and -30 < value.adjusted() < 12):
        least = "of 0 or more" if or_0 else "above 0"
        raise refusal(f"{name}: expected an amount {least} in USD, got {amount!r}")
    return f"{value.normalize():f}"


def pico(amount: object) -> float:
    """Pico-dollars of an amount that `money` has checked."""
    return float(Decimal(str(amount)) * _PICO_PER_USD)


def texts(name: str, values: object) -> tuple[str, ...]:
    """Several texts as a tuple; a single one is likelier a slip than a sequence of letters."""
    found = tuple(values) if isinstance(values, Iterable) and not isinstance(values, str) else None
    if found is None or not all(isinstance(v, str) and v for v in found):
        raise refusal(f"{name}: expected a sequence of texts, got {values!r}")
    return found


def text_or_none(name: str, value: object) -> None:
    """A name or pattern, or None."""
    if value is not None and not (isinstance(value, str) and value):
        raise refusal(f"{name}: expected a name, a pattern or None, got {value!r}")


def flag_or_none(name: str, value: object) -> None:
    """Yes, no, or None where it does not matter."""
    if value is not None and not isinstance(value, bool):
        raise refusal(f"{name}: expected true, false or None, got {value!r}")


def policy(name: str, value: object) -> None:
    """A policy is anything that can be called."""
    if not callable(value) or isinstance(value, type):
        raise refusal(f"{name}: expected a policy such as cheapest(), got {value!r}")


def _float(value: object) -> float:
    """NaN for what is no number, so that every comparison refuses it; -0.0 becomes 0.0."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return math.nan
    try:
        return float(value) + 0.0
    except (OverflowError, ValueError):
        return math.nan
