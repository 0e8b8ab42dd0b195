"""Prices of a data set -> strings in USD per million tokens, as catalogue rows are written."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal, InvalidOperation, localcontext
from typing import Any

_FINEST = Decimal(1).scaleb(-12)
"""What a rate can hold: 1e-12 USD per million tokens."""
_MEANT = Decimal(1).scaleb(-6)
"""1e-12 USD per token: all but two of 15,030 prices of LiteLLM 1.109.1 need no more."""
_NOISE = Decimal("1e-9")
_LARGEST = Decimal(10**6)


class Amounts:
    """Reads the prices of one data set, and counts those that it had to round.

    A price finer than a rate can hold is a float's noise (5.0000000000000004e-08) where six
    decimals per million come within a billionth of it, and is read as these. Other such prices
    (8/7) are rounded up.
    """

    def __init__(self) -> None:
        self.rounded = 0

    def per_token(self, value: Any) -> str | None:
        """USD per million of a price per token; None where there is none.

        Raises:
            ValueError: not a number, negative, or beyond a million USD per million tokens.
        """
        return self._read(value, 6)

    def plain(self, value: Any) -> str | None:
        """USD per million of a price per million, or for one of a price for one; None where
        there is none.

        Raises:
            ValueError: see `per_token`.
        """
        return self._read(value, 0)

    def per_thousand(self, value: Any) -> str | None:
        """USD for one of what is priced by the thousand; None where there is no price.

        Raises:
            ValueError: see `per_token`.
        """
        return self._read(value, -3)

    def _read(self, value: Any, shift: int) -> str | None:
        if value is None:
            return None
        with localcontext() as context:
            context.prec = 60
            price = _decimal(value).scaleb(shift)
            if not 0 <= price <= _LARGEST:
                raise ValueError(f"a price out of range: {value!r}")
            if price.quantize(_FINEST) != price:
                self.rounded += 1
                near = price.quantize(_MEANT)
                noise = abs(near - price) <= price * _NOISE
                price = near if noise else price.quantize(_FINEST, rounding=ROUND_CEILING)
            return f"{price.normalize():f}"


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"no number: {value!r}")
    try:
        # A float is read by its shortest decimal form, which is what the file says.
        number = Decimal(float.__repr__(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise ValueError(f"no number: {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"no number: {value!r}")
    return number
