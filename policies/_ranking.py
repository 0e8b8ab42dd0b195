"""What policies share: orders, names that match, and a `Decision` with a reason for everyone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from policies.types import Decision, Policy, Quote

_PICO_PER_USD = 10**12


def usd(pico: float) -> str:
    """Pico-dollars in words."""
    return f"${pico / _PICO_PER_USD:.6f}"


def exact_usd(pico: float) -> str:
    """The same to the last digit, six decimals at the least: for amounts that are compared."""
    whole, rest = divmod(round(pico), _PICO_PER_USD)
    return f"${whole}.{f'{rest:012}'.rstrip('0'):0<6}"


def cheapest_first(quote: Quote) -> tuple[int, float, str]:
    """A sort key: cost, then quality, then name, so that an order is always the same."""
    return quote.cost, -quote.quality, quote.name


def best_first(quote: Quote) -> tuple[float, int, str]:
    """A sort key: quality, then cost, then name."""
    return -quote.quality, quote.cost, quote.name


def matches(name: str, pattern: str) -> bool:
    """Whether a candidate's name, `model@host`, fits a pattern such as `deepseek-*@deepinfra`.

    A bare word is a host or a model: `deepinfra` says `*@deepinfra`. Case does not matter.
    """
    name, pattern = name.casefold(), pattern.casefold()
    model, _, host = name.rpartition("@")
    return fnmatchcase(name, pattern) or pattern in {model, host}


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Whether the name fits one of the patterns."""
    return any(matches(name, pattern) for pattern in patterns)


def label(policy: Policy) -> str:
    """A policy's short name: its own text if it is one of ours, else the name of the function."""
    ours = type(policy).__str__ is not object.__str__
    return str(policy) if ours else getattr(policy, "__name__", type(policy).__name__)


def decision(
    policy: str,
    order: Sequence[Quote],
    reason: str,
    why_not: Callable[[Quote, Quote], str],
    *,
    escalation: tuple[str, ...] = (),
) -> Decision:
    """A decision for the first of `order`, the rest as fallbacks; `why_not(other, chosen)`."""
    chosen, *others = order
    return Decision(
        ranking=tuple(q.name for q in order),
        reason=reason,
        rejected={q.name: why_not(q, chosen) for q in others},
        policy=policy,
        escalation=escalation,
    )


def nobody(policy: str, reason: str, rejected: Mapping[str, str]) -> Decision:
    """The decision of a policy that allows none of the candidates."""
    return Decision(ranking=(), reason=reason, rejected=dict(rejected), policy=policy)


def noise(a: Quote, b: Quote) -> float:
    """The standard error of the difference of two P(correct).

    Where both carry draws these are paired: what the two have in common, such as a prompt that is
    harder than it looks, is no noise in the difference. Else they are taken as independent.
    """
    n = len(a.quality_draws)
    if n < 2 or n != len(b.quality_draws):
        return math.hypot(a.quality_se, b.quality_se)
    gains = [x - y for x, y in zip(a.quality_draws, b.quality_draws, strict=True)]
    mean = math.fsum(gains) / n
    return math.sqrt(math.fsum((gain - mean) ** 2 for gain in gains) / (n - 1))
