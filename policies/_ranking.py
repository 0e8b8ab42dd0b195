"""What policies share: turning a chosen order into a `Decision` with a reason for everyone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from policies.types import Decision, Quote

_PICO_PER_USD = 10**12


def usd(pico: int) -> str:
    """Pico-dollars in words."""
    return f"${pico / _PICO_PER_USD:.6f}"


def decision(
    policy: str, order: Sequence[Quote], reason: str, why_not: Callable[[Quote, Quote], str]
) -> Decision:
    """A decision for the first of `order`, the rest as fallbacks; `why_not(other, chosen)`."""
    chosen, *others = order
    return Decision(
        ranking=tuple(q.name for q in order),
        reason=reason,
        rejected={q.name: why_not(q, chosen) for q in others},
        policy=policy,
    )
