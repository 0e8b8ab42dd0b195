"""The rungs of `ladder`: what each does to a decision when money is tight, as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from statistics import NormalDist
from typing import Any, ClassVar

from policies import _check
from policies._ranking import nobody, usd
from policies._stand import Stand
from policies._worth import Scale

_DEAREST = 1e6
"""The most that a dollar may count: there the cheapest candidate is left, whatever it can do."""
_VALUE_USD = "0.01"
_Z90 = NormalDist().inv_cdf(0.9)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Rung:
    """A rung that is on while less than `below` of what the window needs is left."""

    do: ClassVar[str]
    below: float

    def __post_init__(self) -> None:
        _check.settle(self, below=_check.above_0_to_1("below", self.below))

    def __repr__(self) -> str:
        return repr(self.spec())

    def spec(self) -> dict[str, Any]:
        """The rung as JSON-able data; `rungs_of` gives an equal one."""
        return {"do": self.do} | {f.name: getattr(self, f.name) for f in fields(self)}

    def __call__(self, stand: Stand) -> Stand:
        """What becomes of a decision on this rung."""
        raise NotImplementedError

    def _said(self, stand: Stand, what: str) -> str:
        return f"{self.do}: {stand.pinch.left:.2f} of what the window needs is left, {what}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Cheaper(Rung):
    """Nobody dearer than the candidate that is worth most while a dollar counts for more.

    It counts (`below` / what is left) to the power of `strength`: 1 at the threshold, so that
    there is no jump; only a cascade loses its dearer stage at once. `value_usd` is what a right
    answer is worth; None: as in the policy on the ladder, else a cent.
    """

    do: ClassVar[str] = "cheaper"
    below: float = 0.95
    value_usd: _check.Amount | None = None
    strength: float = 8.0

    def __post_init__(self) -> None:
        Rung.__post_init__(self)
        _check.settle(self, strength=_check.above_0("strength", self.strength))
        if self.value_usd is not None:
            _check.settle(self, value_usd=_check.money("value_usd", self.value_usd))

    def __call__(self, stand: Stand) -> Stand:
        left = max(stand.pinch.left, 1e-9)
        exponent = self.strength * math.log(self.below / left)
        price = math.exp(min(exponent, math.log(_DEAREST)))
        value = self.value_usd or _value_of(stand.policy) or _VALUE_USD
        scale = Scale(worth=_check.pico(value), price=price)
        best = min(stand.quotes, key=lambda q: (-scale(q), q.cost, q.name))
        cap = min(best.cost, stand.chosen.cost)
        return stand.only(
            [q for q in stand.quotes if q.cost <= cap],
            f"above {usd(cap)}, and money is tight",
            self._said(stand, f"a dollar counts as {price:,.2f}: nobody above {usd(cap)}"),
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Shorter(Rung):
    """Cut the answer at a quantile of its forecast length, but not below `least` tokens.

    Other quantiles than the forecast's p50 and p90 are those of the log-normal through these two.
    Fallbacks of which even the usual answer does not fit are out.
    """

    do: ClassVar[str] = "shorter"
    below: float = 0.5
    quantile: float = 0.95
    least: int = 256

    def __post_init__(self) -> None:
        Rung.__post_init__(self)
        quantile = _check.from_0_to_1("quantile", self.quantile)
        if not 0.5 <= quantile < 1.0:
            raise _check.refusal(f"quantile: expected 0.5 or more, below 1, got {self.quantile!r}")
        least = _check.at_least("least", self.least, 1.0)
        if least != int(least):
            raise _check.refusal(f"least: expected whole tokens, got {self.least!r}")
        _check.settle(self, quantile=quantile, least=int(least))

    def __call__(self, stand: Stand) -> Stand:
        quote, found = stand.chosen, stand.found
        if not 0.0 < quote.output_tokens_p50 <= quote.output_tokens_p90:  # nobody knows how long
            return stand
        p50, p90 = max(1.0, quote.output_tokens_p50), max(1.0, quote.output_tokens_p90)
        reach = NormalDist().inv_cdf(self.quantile) / _Z90
        cap = max(self.least, math.ceil(p50 * (p90 / p50) ** reach))
        ends = [n for n in (quote.max_tokens, found.max_tokens) if n is not None]
        if cap >= min(ends, default=math.inf):
            return stand
        out = {
            q.name: f"its usual answer does not fit in {cap:,} tokens"
            for q in stand.quotes
            if q.output_tokens_p50 > cap and q.name not in found.propensities
        }
        kept = tuple(q for q in stand.quotes if q.name not in out)
        found = replace(
            found,
            max_tokens=cap,
            ranking=tuple(n for n in found.ranking if n not in out),
            escalation=tuple(n for n in found.escalation if n not in out),
        )
        step = self._said(stand, f"the answer ends at {cap:,} tokens")
        return replace(
            stand, quotes=kept, found=found, out={**stand.out, **out}, steps=(*stand.steps, step)
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SelfHosted(Rung):
    """One's own machines only, where there are any that cost no more than the choice."""

    do: ClassVar[str] = "self_hosted"
    below: float = 0.35

    def __call__(self, stand: Stand) -> Stand:
        return stand.only(
            [q for q in stand.quotes if q.self_hosted and q.cost <= stand.chosen.cost],
            "not self-hosted, and money is tight",
            self._said(stand, "one's own machines only"),
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Defer(Rung):
    """Send it when the price falls, or when the tightest budget is renewed: whichever is first.

    A fall counts if it is at least the share `saving` of what the choice costs now, for a
    candidate at least as sure to be right. Nobody waits longer than `hours`. A request whose
    caller has not the patience is sent at once, but below `impatient`.
    """

    do: ClassVar[str] = "defer"
    below: float = 0.9
    hours: float = 24.0
    saving: float = 0.2
    impatient: float = 0.05

    def __post_init__(self) -> None:
        Rung.__post_init__(self)
        _check.settle(
            self,
            hours=_check.above_0("hours", self.hours),
            saving=_check.from_0_to_1("saving", self.saving),
            impatient=_check.from_0_to_1("impatient", self.impatient),
        )

    def __call__(self, stand: Stand) -> Stand:
        now, chosen = stand.context.now, stand.chosen
        enough = (1 - self.saving) * chosen.cost
        found: list[tuple[datetime, str]] = [
            (q.cheaper_at, f"when {q.name} costs {usd(q.cheaper_cost)}")
            for q in stand.quotes
            if q.cheaper_at is not None
            and q.cheaper_cost is not None
            and q.cheaper_cost <= enough
            and q.cheaper_cost < chosen.cost
            and q.quality >= chosen.quality
        ]
        if stand.pinch.ends is not None:
            found.append((stand.pinch.ends, "when the budget is renewed"))
        hours = timedelta(hours=self.hours)
        until, why = min((f for f in found if now < f[0] <= now + hours), default=(now, ""))
        waits = (until - now).total_seconds() <= stand.context.patience
        if not why or not (waits or stand.pinch.left < self.impatient):
            return stand
        step = self._said(stand, f"not before {until:%Y-%m-%d %H:%M:%S} UTC, {why}")
        return replace(
            stand,
            found=replace(stand.found, defer_until=until),
            steps=(*stand.steps, step),
            ended=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Refuse(Rung):
    """Refuse what would take more than `share` of what is left; what is as good as free goes on.

    Only hard budgets refuse, and only those that are renewed: what an endless one keeps back would
    be kept for nobody.
    """

    do: ClassVar[str] = "refuse"
    below: float = 0.05
    share: float = 0.001

    def __post_init__(self) -> None:
        Rung.__post_init__(self)
        _check.settle(self, share=_check.from_0_to_1("share", self.share))

    def __call__(self, stand: Stand) -> Stand:
        remaining, chosen = stand.context.remaining, stand.chosen
        if (
            remaining is None
            or stand.pinch.hard_left >= self.below
            or chosen.cost <= self.share * remaining
        ):
            return stand
        step = self._said(stand, f"{usd(chosen.cost)} for one request would be too much of it")
        refused = {chosen.name: "refused, for money is tight"}
        found = nobody(stand.found.policy, stand.found.reason, stand.found.rejected)
        return replace(
            stand,
            found=found,
            out={**stand.out, **refused},
            steps=(*stand.steps, step),
            ended=True,
        )


RUNGS: dict[str, type[Rung]] = {
    kind.do: kind for kind in (Cheaper, Shorter, SelfHosted, Defer, Refuse)
}


def rungs_of(given: object) -> tuple[Rung, ...]:
    """Rungs out of mappings such as `{"do": "cheaper", "below": 0.9}`, in their order.

    Raises:
        ValueError: unknown, twice, without `do`, or a parameter out of its range; says which.
    """
    wanted = "expected a sequence of mappings such as {'do': 'cheaper', 'below': 0.9}"
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise _check.refusal(f"rungs: {wanted}, got {given!r}")
    if not given:
        raise _check.refusal(f"rungs: {wanted}, got none")
    found: list[Rung] = []
    for i, each in enumerate(given):
        rung = each if isinstance(each, Rung) else _rung(each, f"rungs[{i}]")
        if any(rung.do == other.do for other in found):
            raise _check.refusal(f"rungs[{i}].do: expected each once, got {rung.do!r} again")
        found.append(rung)
    return tuple(found)


def _rung(given: object, where: str) -> Rung:
    if not isinstance(given, Mapping):
        raise _check.refusal(f"{where}: expected a mapping with 'do', got {given!r}")
    name = given.get("do")
    kind = RUNGS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise _check.refusal(f"{where}.do: expected one of {', '.join(RUNGS)}; got {name!r}")
    known = [f.name for f in fields(kind)]
    parameters = {key: value for key, value in given.items() if key != "do"}
    for key in parameters:
        if key not in known:
            raise _check.refusal(
                f"{where}.{key}: {name} has no such parameter; expected {', '.join(known)}"
            )
    try:
        return kind(**parameters)
    except ValueError as error:
        raise _check.refusal(f"{where}.{error}") from None


def _value_of(policy: object) -> Any:
    """What a right answer is worth to a policy or the one inside of it; None if nobody says."""
    while policy is not None:
        if (value := getattr(policy, "value_usd", None)) is not None:
            return value
        policy = getattr(policy, "policy", None)
    return None
