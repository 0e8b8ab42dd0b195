"""A decision as a record: all that the policy saw, to decide again, equal to the last bit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from policies.types import Context, Decision, Policy, Purse, Quote
from router.errors import RecordError
from router.money import format_usd

if TYPE_CHECKING:
    from router.catalog import Catalog

FORMAT = "decision/1"
_TELLING = 20
"""The price of leaving a cache is told from a twentieth of the cost on."""
_ENVELOPE = "expected the JSON of a decision record"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """What was decided for one request, from what, under which versions. It holds no prompt.

    `quotes` and `context` are what the policy was given; `policy` is its spec, None for a callable
    of your own, and `policy_name` its qualified name. `obstacles` says who was out before the
    policy was asked, and why; `rates` names the price row of each forecast. `versions` has those
    of "router", "scorer", "catalog" and "policy" (its fingerprint).

    >>> from router import Client, DecisionRecord
    >>> plan = Client(ledger=":memory:").plan(
    ...     [{"role": "user", "content": "Hi"}], model=["deepseek-v3.2@deepinfra"]
    ... )
    >>> DecisionRecord.from_json(plan.record.to_json()).replays()
    True
    """

    request_id: str
    quotes: tuple[Quote, ...]
    context: Context
    policy: Mapping[str, Any] | None
    policy_name: str
    decision: Decision
    obstacles: Mapping[str, str] = field(default_factory=dict)
    rates: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    format: str = FORMAT

    def to_json(self) -> str:
        """The record as JSON text; `from_json` gives an equal one, floats to the last bit."""
        return json.dumps(_plain(self), default=json_value)

    @classmethod
    def from_json(cls, text: str) -> DecisionRecord:
        """The record of such a text.

        Raises:
            RecordError: it is no record, or one of another format.
        """
        try:
            row = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise RecordError(f"{_ENVELOPE}, got no JSON: {error}") from None
        return record_from(row)

    def replay(self, policy: Policy | None = None) -> Decision:
        """Decide again, by the recorded policy or another one.

        Where no price was known no policy was asked: then the decision is the recorded one.

        Raises:
            RecordError: the policy was a callable of your own, so it must be handed in; or its
                spec is not one that this version knows.
        """
        if not self.quotes:
            return self.decision
        own = self._policy() if policy is None else policy
        try:
            return completed(own(self.quotes, self.context), self.obstacles, self.quotes)
        except (TypeError, ValueError, AttributeError) as error:
            if policy is not None:
                raise
            raise RecordError(f"{_ENVELOPE}: {type(error).__name__}: {error}") from None

    def replays(self, policy: Policy | None = None) -> bool:
        """Whether deciding again gives the recorded decision, equal to the last bit.

        Raises:
            RecordError: as in `replay`.
        """
        return _exact(self.replay(policy)) == _exact(self.decision)

    def _policy(self) -> Policy:
        if self.policy is None:
            raise RecordError(
                f"the policy {self.policy_name} is, or holds, a callable of your own, of which a "
                "record has the name only: hand it in, replay(policy=...)"
            )
        from policies.spec import from_spec

        try:
            return from_spec(self.policy)
        except (ValueError, TypeError, RecursionError) as error:
            raise RecordError(f"policy: {error}") from None


def record_from(row: object) -> DecisionRecord:
    """The record of what `to_json` wrote, read as JSON; its quotes may be made already.

    Raises:
        RecordError: it is no record, or one of another format.
    """
    if not isinstance(row, dict):
        raise RecordError(f"{_ENVELOPE}, got {type(row).__name__}")
    if row.get("format") != FORMAT:
        raise RecordError(f"format: expected {FORMAT!r}, got {row.get('format')!r}")
    try:
        return DecisionRecord(
            **{
                **row,
                "quotes": tuple(
                    quote if isinstance(quote, Quote) else _quote(quote) for quote in row["quotes"]
                ),
                "context": _context(row["context"]),
                "decision": _decision(row["decision"]),
            }
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise RecordError(f"{_ENVELOPE}: {type(error).__name__}: {error}") from None


def completed(
    decision: Decision, obstacles: Mapping[str, str], quotes: Sequence[Quote] = ()
) -> Decision:
    """A policy's decision in plain tuples and dicts, with who was out before it was asked.

    Reasons say what of a price is due to leaving a warm cache.
    """
    leaving = {q.name: words for q in quotes if (words := _leaving(q, quotes))}
    rejected = {name: why + leaving.get(name, "") for name, why in decision.rejected.items()}
    chosen = decision.ranking[0] if decision.ranking else ""
    return replace(
        decision,
        reason=decision.reason + leaving.get(chosen, ""),
        ranking=tuple(decision.ranking),
        rejected={**obstacles, **rejected},
        escalation=tuple(decision.escalation),
        propensities={str(name): float(p) for name, p in decision.propensities.items()},
        steps=tuple(decision.steps),
    )


def _leaving(quote: Quote, quotes: Sequence[Quote]) -> str:
    if quote.leaving * _TELLING < quote.cost or not quote.leaving:
        return ""
    warm = max(quotes, key=lambda q: q.cache_read_tokens)
    if warm is quote or not warm.cache_read_tokens:
        return ""
    return (
        f"; {format_usd(quote.leaving)} of it for leaving the cache of {warm.name} "
        f"({warm.cache_read_tokens:,} tokens)"
    )


class _Priced(Protocol):
    @property
    def rates_id(self) -> str: ...


class Grounds:
    """What a decision rests on, kept as it is until somebody asks for the record.

    Copied or pickled, it becomes the record: a policy or a catalogue does not travel with a route.
    """

    __slots__ = ("_made", "_parts")

    def __init__(
        self,
        *,
        request_id: str,
        quotes: Sequence[Quote],
        context: Context,
        policy: Policy,
        decision: Decision,
        obstacles: Mapping[str, str],
        forecasts: Mapping[str, _Priced],
        catalog: Catalog,
        scorer: str,
    ) -> None:
        self._parts = (
            (request_id, tuple(quotes), context, decision, obstacles),
            (policy, forecasts, catalog, scorer),
        )
        self._made: DecisionRecord | None = None

    @property
    def record(self) -> DecisionRecord:
        """The record, made when first asked for."""
        if self._made is None:
            (request_id, quotes, context, decision, obstacles), rest = self._parts
            policy, forecasts, catalog, scorer = rest

            spec, digits = _described(policy)
            self._made = DecisionRecord(
                request_id=request_id,
                quotes=quotes,
                context=context,
                policy=spec,
                policy_name=_name(policy),
                decision=decision,
                obstacles=dict(obstacles),
                rates={name: f.rates_id for name, f in forecasts.items()},
                versions={
                    "router": _version(),
                    "scorer": scorer,
                    "catalog": catalog.version,
                    "policy": digits,
                },
            )
        return self._made

    def __reduce__(self) -> tuple[object, ...]:
        return _grounds, (self.record,)


def _grounds(made: DecisionRecord) -> Grounds:
    grounds = Grounds.__new__(Grounds)
    grounds._made = made
    return grounds


_last: tuple[Policy, Mapping[str, Any] | None, str] | None = None
"""The policy that was described last: a client has one for all its requests, and none changes."""


def _described(policy: Policy) -> tuple[Mapping[str, Any] | None, str]:
    """Its spec, None for a callable of one's own, and its fingerprint."""
    global _last  # noqa: PLW0603 - swapped whole, so threads see one or another
    last = _last
    if last is None or last[0] is not policy:
        from policies.spec import fingerprint, to_spec

        try:
            spec: Mapping[str, Any] | None = to_spec(policy)
        except ValueError:
            spec = None
        last = _last = (policy, spec, fingerprint(policy))
    return last[1], last[2]


def _name(policy: Policy) -> str:
    named: Any = policy if hasattr(policy, "__qualname__") else type(policy)
    # Ours say they live in `router` once they were imported from there.
    ours = named.__module__.partition(".")[0] == "policies"
    return f"{'router' if ours else named.__module__}.{named.__qualname__}"


@lru_cache(maxsize=1)
def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("centroute")
    except PackageNotFoundError:  # run from a source tree
        return ""


def _exact(decision: Decision) -> str:
    return json.dumps(_plain(decision), sort_keys=True, default=json_value)


def _plain(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in _fields(value.__class__)}


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind))


def json_value(value: Any) -> Any:
    """What a record holds beyond JSON, as JSON: a `default` of `json.dumps`."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (Quote, Context, Purse, Decision)):
        return _plain(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def _quote(row: Mapping[str, Any]) -> Quote:
    return Quote(
        **{
            **row,
            "quality_draws": tuple(row.get("quality_draws", ())),
            "cheaper_at": instant(row.get("cheaper_at")),
        }
    )


def _context(row: Mapping[str, Any]) -> Context:
    purses = tuple(
        Purse(**{**purse, "starts": instant(purse["starts"]), "ends": instant(purse["ends"])})
        for purse in row["purses"]
    )
    return Context(**{**row, "now": datetime.fromisoformat(row["now"]), "purses": purses})


def _decision(row: Mapping[str, Any]) -> Decision:
    tuples = {name: tuple(row.get(name, ())) for name in ("ranking", "escalation", "steps")}
    return Decision(**{**row, **tuples, "defer_until": instant(row.get("defer_until"))})


def instant(text: str | None) -> datetime | None:
    """An instant out of a record's JSON; None stays."""
    return None if text is None else datetime.fromisoformat(text)
