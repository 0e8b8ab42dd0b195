"""Money as integers: pico-dollars (1e-12 USD) inside, `Decimal` USD at the edges.

A rate is quoted in USD per million tokens and kept as pico-dollars per million
tokens, so that tokens x rate is an exact integer and one rounding, up, is left
for the end of a request (`router.pricing`).
"""

from __future__ import annotations

from decimal import Decimal, Inexact, InvalidOperation, localcontext

PICO_PER_USD = 10**12
_PICO = Decimal(1).scaleb(-12)
MAX_PICO = 2**63 - 1
"""The largest amount a ledger row can hold: 9,223,372.036854775807 USD."""


def to_pico(amount: str | int | Decimal | float) -> int:
    """Pico-dollars of an amount in USD, exactly.

    A float is read by its shortest decimal form (0.1 is ten cents, not 0.1000000000000000055).

    Raises:
        ValueError: not a number, not finite, finer than 1e-12 USD, or beyond `MAX_PICO`.

    >>> to_pico("0.028")
    28000000000
    """
    if isinstance(amount, bool):
        raise ValueError(f"expected an amount in USD, got {amount!r}")
    try:
        value = Decimal(float.__repr__(amount) if isinstance(amount, float) else amount)
    except (InvalidOperation, TypeError, ValueError):
        raise ValueError(f"expected an amount in USD such as '0.25', got {amount!r}") from None
    if not value.is_finite():
        raise ValueError(f"expected a finite amount in USD, got {amount!r}")
    if value.adjusted() > 12:  # also keeps Decimal('1e999999') from being written out
        raise ValueError(f"amounts end at {to_usd(MAX_PICO)} USD, got {amount!r}")
    with localcontext() as context:
        context.prec = 60
        context.traps[Inexact] = True  # more digits than that are finer than pico-dollars, too
        try:
            scaled = (value * PICO_PER_USD).quantize(Decimal(1))
        except (Inexact, InvalidOperation):
            raise ValueError(
                f"amounts are whole pico-dollars (12 decimals), got {amount!r}"
            ) from None
    pico = int(scaled)
    if abs(pico) > MAX_PICO:
        raise ValueError(f"amounts end at {to_usd(MAX_PICO)} USD, got {amount!r}")
    return pico


def to_usd(pico: int) -> Decimal:
    """USD of an amount in pico-dollars, exactly (`f"{usd:f}"` never has an exponent).

    >>> str(to_usd(28_000_000_000))
    '0.028000000000'
    """
    with localcontext() as context:
        context.prec = 60
        return (Decimal(pico) * _PICO).quantize(_PICO)


def format_usd(pico: int, places: int = 6) -> str:
    """A dollar amount for people, rounded half-even to `places` decimals.

    >>> format_usd(28_000_000_000)
    '$0.028000'
    """
    with localcontext() as context:
        context.prec = 60
        text = f"{abs(to_usd(pico)):.{places}f}"
    return f"-${text}" if pico < 0 else f"${text}"


def exact_usd(pico: int) -> str:
    """A dollar amount for people, to the last digit, with six decimals at the least.

    For amounts that are to be compared: rounded, less would read as more.

    >>> exact_usd(2_000_000_000), exact_usd(500_000)
    ('$0.002000', '$0.0000005')
    """
    whole, _, decimals = format_usd(pico, 12).partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<6}"
