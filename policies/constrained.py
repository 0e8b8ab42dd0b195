"""Where data may go and who may see it, as rules; how fast, dear and sure, as targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace

from policies import _check
from policies._ranking import exact_usd, label, matches_any, nobody
from policies.types import Context, Decision, Policy, Quote


@dataclass(frozen=True, slots=True)
class constrained:  # noqa: N801 - used like a function
    """`policy` among the candidates that keep the rules, and of these among those on target.

    Rules are hard. `regions`: the host must keep data in one of them (one whose region nobody says
    is out). `allow` and `deny`: patterns of names (`model@host`, with `*`; a bare word is a model
    or a host), one of which the name must match, or none of which it may. When nobody keeps the
    rules, the ranking is empty and `rejected` says why.

    Targets are wishes. `max_seconds` is the expected time to the whole answer (unknown times
    pass), `max_cost_usd` the expected cost of this request, and `quality_floors` maps a tag to a
    least P(correct), such as `{"feature=checkout": 0.8}`; of several that hold the highest counts.
    When nobody meets all targets, those are kept that miss them by least, added up as shares of
    the targets, and the reason says so. Who misses a target another one meets is no fallback.

    Raises:
        ValueError: a parameter is out of its range, or a floor's key is not `tag=value`.
    """

    policy: Policy
    _: KW_ONLY
    regions: Sequence[str] = ()
    allow: Sequence[str] = ()
    deny: Sequence[str] = ()
    max_seconds: float | None = None
    max_cost_usd: _check.Amount | None = None
    quality_floors: Mapping[str, float] | Sequence[tuple[str, float]] = ()

    def __post_init__(self) -> None:
        _check.policy("policy", self.policy)
        _check.settle(
            self,
            regions=_check.texts("regions", self.regions),
            allow=_check.texts("allow", self.allow),
            deny=_check.texts("deny", self.deny),
            quality_floors=_floors(self.quality_floors),
        )
        if self.max_seconds is not None:
            _check.settle(self, max_seconds=_check.above_0("max_seconds", self.max_seconds))
        if self.max_cost_usd is not None:
            _check.settle(self, max_cost_usd=_check.money("max_cost_usd", self.max_cost_usd))

    def __str__(self) -> str:
        return f"constrained({label(self.policy)})"

    def __call__(self, quotes: Sequence[Quote], context: Context, /) -> Decision:
        out = {q.name: why for q in quotes if (why := self._breach(q))}
        lawful = [q for q in quotes if q.name not in out]
        if not lawful:
            return nobody(str(self), "no candidate keeps the rules", out)
        misses = {q.name: self._misses(q, context) for q in lawful}
        least = min(sum(m.values()) for m in misses.values())
        kept = [q for q in lawful if sum(misses[q.name].values()) <= least]
        found = self.policy(kept, context)
        out |= {q.name: "; ".join(misses[q.name]) for q in lawful if q not in kept}
        reason = found.reason
        if least and found.ranking:
            nearest = "; ".join(misses[found.chosen])
            reason = f"nobody meets the targets, the nearest ({nearest}): {reason}"
        return replace(
            found,
            reason=reason,
            rejected={**found.rejected, **out},
            policy=f"constrained({found.policy})",
        )

    def _breach(self, quote: Quote) -> str:
        """The rule that a candidate breaks, in words; empty if it keeps them all."""
        if self.regions and quote.region not in self.regions:
            where = f"in {quote.region}" if quote.region else "nobody says where"
            return f"keeps data {where}, allowed: {', '.join(self.regions)}"
        if self.allow and not matches_any(quote.name, self.allow):
            return f"its name matches none of the allowed {', '.join(self.allow)}"
        if matches_any(quote.name, self.deny):
            return f"its name matches one of the denied {', '.join(self.deny)}"
        return ""

    def _misses(self, quote: Quote, context: Context) -> dict[str, float]:
        """The targets that a candidate misses, in words, and by what share of the target."""
        missed: dict[str, float] = {}
        if self.max_seconds is not None and (quote.seconds or 0.0) > self.max_seconds:
            seconds = quote.seconds or 0.0
            said = f"{seconds:.1f} s is above {self.max_seconds:g} s"
            missed[said] = seconds / self.max_seconds - 1
        if self.max_cost_usd is not None and quote.cost > (cap := _check.pico(self.max_cost_usd)):
            said = f"expected cost {exact_usd(quote.cost)} is above {exact_usd(cap)}"
            missed[said] = quote.cost / cap - 1
        floor = max((f for key, f in self._floors() if _holds(key, context.tags)), default=0.0)
        if quote.quality < floor:
            said = f"P(correct) {quote.quality:.2f} is below {floor:g}"
            missed[said] = 1 - quote.quality / floor
        return missed

    def _floors(self) -> tuple[tuple[str, float], ...]:
        floors = self.quality_floors
        return tuple(floors.items() if isinstance(floors, Mapping) else floors)


def _holds(key: str, tags: Mapping[str, str]) -> bool:
    tag, _, value = key.partition("=")
    return tags.get(tag) == value


def _floors(given: object) -> tuple[tuple[str, float], ...]:
    """The floors in one order, so that policies that mean the same are equal and hash alike."""
    wanted = "expected a mapping such as {'feature=checkout': 0.8}"
    if given == () or isinstance(given, Mapping):
        pairs = dict(given or {})
    elif isinstance(given, tuple | list) and all(
        isinstance(p, tuple) and len(p) == 2 for p in given
    ):
        pairs = dict(given)
    else:
        raise _check.refusal(f"quality_floors: {wanted}, got {given!r}")
    for key in pairs:
        if not (isinstance(key, str) and key.partition("=")[0] and key.partition("=")[2]):
            raise _check.refusal(f"quality_floors: {wanted}, got the key {key!r}")
    return tuple(
        sorted((k, _check.from_0_to_1(f"quality_floors: {k}", v)) for k, v in pairs.items())
    )
