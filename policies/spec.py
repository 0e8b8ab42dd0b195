"""Policies as data, and back: what a file, a log or another process needs to know of one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, cast

from policies import _check
from policies.cascade import cascade
from policies.cheapest import cheapest, cheapest_adequate
from policies.compose import first_of, restrict, sparing
from policies.constrained import constrained
from policies.explore import explore
from policies.ladder import ladder
from policies.pacing import pacing
from policies.threshold import threshold
from policies.types import Policy
from policies.utility import utility

_KINDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        cascade,
        cheapest,
        cheapest_adequate,
        constrained,
        explore,
        first_of,
        ladder,
        pacing,
        restrict,
        sparing,
        threshold,
        utility,
    )
}
_INNER = {"policy", "policies"}  # fields that hold policies; a spec calls them "of"


def to_spec(policy: Policy) -> dict[str, Any]:
    """A policy as JSON-able data, such as `{"policy": "utility", "value_usd": "0.01", ...}`.

    Every parameter is there, defaults too; money is text in USD; the policies inside of one are
    specs under "of". `from_spec` gives an equal policy.

    Raises:
        ValueError: it is, or holds, a callable that is not one of ours.
    """
    spec: dict[str, Any] = _spec(policy, _refuse)
    return spec


def from_spec(spec: Mapping[str, Any]) -> Policy:
    """The policy of a spec; parameters that are left out have their defaults.

    Raises:
        ValueError: an unknown policy or parameter, or a value out of its range. The message says
            where, as in "of[1].share: expected above 0 and at most 1, got 2".
    """
    return _policy(spec, "")


def fingerprint(policy: Policy) -> str:
    """Twelve hex digits that are equal for equal policies; for a callable of yours, its name.

    The digits are the first of the SHA-256 of the spec as JSON with sorted keys, so they are the
    same in every process. Of a foreign callable only the name counts, also inside of a policy.
    """
    if not _is_ours(policy):
        return _name(policy)
    text = json.dumps(_spec(policy, _name), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _spec(policy: Policy, foreign: Callable[[Policy], Any]) -> Any:
    if not _is_ours(policy):
        return foreign(policy)
    spec: dict[str, Any] = {"policy": type(policy).__name__}
    for field in fields(cast("Any", policy)):
        value = getattr(policy, field.name)
        if field.name == "policy":
            spec["of"] = _spec(value, foreign)
        elif field.name == "policies":
            spec["of"] = [_spec(inner, foreign) for inner in value]
        elif field.name == "quality_floors":
            spec[field.name] = dict(value)
        elif field.name == "rungs":
            spec[field.name] = [rung.spec() for rung in value]
        else:
            spec[field.name] = list(value) if isinstance(value, tuple) else value
    return spec


def _policy(spec: object, where: str) -> Policy:
    at = where.removesuffix(".") + ": " if where else ""
    if not isinstance(spec, Mapping):
        raise _check.refusal(f"{at}expected a policy as a table or mapping, got {spec!r}")
    name = spec.get("policy")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise _check.refusal(
            f"{where}policy: expected one of {', '.join(sorted(_KINDS))}; got {name!r}"
        )
    parameters = {key: value for key, value in spec.items() if key != "policy"}
    known = [f.name for f in fields(kind) if f.name not in _INNER]
    wraps = {f.name for f in fields(kind)} & _INNER
    for key in parameters.keys() - {*known, *(["of"] if wraps else [])}:
        expected = ", ".join([*known, *(["of"] if wraps else [])]) or "no parameters"
        raise _check.refusal(f"{where}{key}: {name} has no such parameter; expected {expected}")
    inner: tuple[Policy, ...] = ()
    if wraps:
        inner = _inner(parameters.pop("of", None), kind is first_of, where)
    patterns: Any = ()
    if kind is restrict and not isinstance(
        patterns := parameters.pop("patterns", ()), list | tuple
    ):
        raise _check.refusal(f"{where}patterns: expected a sequence of texts, got {patterns!r}")
    try:
        return cast("Policy", kind(*inner, *patterns, **parameters))
    except ValueError as error:
        raise _check.refusal(f"{where}{error}") from None


def _inner(of: object, several: bool, where: str) -> tuple[Policy, ...]:
    if not several:
        return (_policy(of, f"{where}of."),)
    if not isinstance(of, list | tuple):
        raise _check.refusal(f"{where}of: expected a list of policies, got {of!r}")
    return tuple(_policy(spec, f"{where}of[{i}].") for i, spec in enumerate(of))


def _is_ours(policy: object) -> bool:
    return type(policy) in _KINDS.values()


def _name(policy: Policy) -> str:
    named = policy if hasattr(policy, "__qualname__") else type(policy)
    return f"{named.__module__}.{named.__qualname__}"


def _refuse(policy: Policy) -> Any:
    raise _check.refusal(f"policy: expected one of {', '.join(sorted(_KINDS))}; got {policy!r}")
