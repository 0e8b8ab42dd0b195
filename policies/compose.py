"""Policies made of policies: who may be chosen, who is asked next, how much one may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from policies import _check
from policies._ranking import label, matches_any, nobody, usd
from policies.types import Context, Decision, Policy, Quote


@dataclass(frozen=True, slots=True)
class sparing:  # noqa: N801 - used like a function
    """`policy`, but no request may expect to take more than `share` of what the budget has left.

    So a budget that runs low is stretched: dear candidates go first, the cheap ones carry on.
    When all are dearer than that, the cheapest stays. Without a budget it changes nothing.

    Raises:
        ValueError: `share` is not in (0, 1], or `policy` is none.
    """

    policy: Policy
    share: float = 0.05

    def __post_init__(self) -> None:
        _check.policy("policy", self.policy)
        _check.settle(self, share=_check.above_0_to_1("share", self.share))

    def __str__(self) -> str:
        return self._spell(label(self.policy))

    def __call__(self, quotes: Sequence[Quote], context: Context, /) -> Decision:
        if context.remaining is None:
            found = self.policy(quotes, context)
            return replace(found, policy=self._spell(found.policy))
        allowed = context.remaining * self.share
        within = [q for q in quotes if q.cost <= allowed]
        within = within or [min(quotes, key=lambda q: (q.cost, q.name))]
        found = self.policy(within, context)
        out = {
            q.name: f"{usd(q.cost)} is more than {self.share:.0%} of what the budget has left"
            for q in quotes
            if q not in within
        }
        return replace(found, rejected={**found.rejected, **out}, policy=self._spell(found.policy))

    def _spell(self, inner: str) -> str:
        return f"sparing({inner}, {self.share:g})"


@dataclass(frozen=True, slots=True, init=False, repr=False)
class restrict:  # noqa: N801
    """`policy` among those candidates only that fit; when none does, nobody is chosen.

    A candidate fits if its name matches one of `patterns` (`model@host`, with `*`; a bare word is
    a model or a host; none given: any name), if it is self-hosted or thinks as asked for (None:
    either way), and if its P(correct) is at least `min_quality`.

    Raises:
        ValueError: a pattern is no text, a flag is no truth value, `min_quality` is not in [0, 1],
            or `policy` is none.
    """

    policy: Policy
    patterns: tuple[str, ...]
    self_hosted: bool | None
    thinking: bool | None
    min_quality: float

    def __init__(
        self,
        policy: Policy,
        *patterns: str,
        self_hosted: bool | None = None,
        thinking: bool | None = None,
        min_quality: float = 0.0,
    ) -> None:
        _check.policy("policy", policy)
        _check.flag_or_none("self_hosted", self_hosted)
        _check.flag_or_none("thinking", thinking)
        _check.settle(
            self,
            policy=policy,
            patterns=_check.texts("patterns", patterns),
            self_hosted=self_hosted,
            thinking=thinking,
            min_quality=_check.from_0_to_1("min_quality", min_quality),
        )

    def __repr__(self) -> str:
        return f"restrict({', '.join([repr(self.policy), *self._terms()])})"

    def __str__(self) -> str:
        return self._spell(label(self.policy))

    def __call__(self, quotes: Sequence[Quote], context: Context, /) -> Decision:
        out = {q.name: why for q in quotes if (why := self._misfit(q))}
        fit = [q for q in quotes if q.name not in out]
        if not fit:
            return nobody(str(self), "no candidate fits", out)
        found = self.policy(fit, context)
        return replace(found, rejected={**found.rejected, **out}, policy=self._spell(found.policy))

    def _misfit(self, quote: Quote) -> str:
        """Why a candidate may not be chosen; empty if it may."""
        if self.patterns and not matches_any(quote.name, self.patterns):
            return f"its name matches none of {', '.join(self.patterns)}"
        if self.self_hosted not in {None, quote.self_hosted}:
            return "self-hosted" if quote.self_hosted else "not self-hosted"
        if self.thinking not in {None, quote.thinking}:
            return "a thinking candidate" if quote.thinking else "not a thinking candidate"
        if quote.quality < self.min_quality:
            return f"P(correct) {quote.quality:.2f} is below {self.min_quality:g}"
        return ""

    def _terms(self) -> list[str]:
        flags = {"self_hosted": self.self_hosted, "thinking": self.thinking}
        terms = [repr(p) for p in self.patterns]
        terms += [f"{name}={value}" for name, value in flags.items() if value is not None]
        return terms + ([f"min_quality={self.min_quality!r}"] if self.min_quality else [])

    def _spell(self, inner: str) -> str:
        return f"restrict({', '.join([inner, *self._terms()])})"


@dataclass(frozen=True, slots=True, init=False, repr=False)
class first_of:  # noqa: N801
    """The decision of the first policy that allows anybody; those of the later ones as fallbacks.

    So `first_of(restrict(cheapest(), self_hosted=True), utility())` keeps to one's own machines
    while there are any that may serve, and goes on to `utility` when they fail to answer.

    Raises:
        ValueError: no policy is given, or one is none.
    """

    policies: tuple[Policy, ...]

    def __init__(self, *policies: Policy) -> None:
        if not policies:
            raise _check.refusal("policies: expected one or more, got none")
        for policy in policies:
            _check.policy("policies", policy)
        _check.settle(self, policies=policies)

    def __repr__(self) -> str:
        return f"first_of({', '.join(map(repr, self.policies))})"

    def __str__(self) -> str:
        return f"first_of({', '.join(map(label, self.policies))})"

    def __call__(self, quotes: Sequence[Quote], context: Context, /) -> Decision:
        decisions = [policy(quotes, context) for policy in self.policies]
        name = f"first_of({', '.join(d.policy for d in decisions)})"
        empty = [f"{d.policy}: {d.reason}" for d in decisions if not d.ranking]
        first = next((d for d in decisions if d.ranking), None)
        rejected: dict[str, str] = {}
        if first is None:
            for quote in quotes:
                whys = dict.fromkeys(d.rejected.get(quote.name, d.reason) for d in decisions)
                rejected[quote.name] = "; ".join(whys)
            return nobody(name, "; ".join(empty), rejected)
        later = decisions[decisions.index(first) :]
        ranking = tuple(dict.fromkeys(n for d in later for n in d.ranking))
        for found in reversed(decisions):  # the first word on each is the one that counts
            rejected |= found.rejected
        rejected |= first.rejected
        rejected.pop(first.chosen, None)
        skipped = decisions[: decisions.index(first)]
        reason = "; ".join([*(f"{d.policy}: {d.reason}" for d in skipped), first.reason])
        return replace(first, ranking=ranking, reason=reason, rejected=rejected, policy=name)
