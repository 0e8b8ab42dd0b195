"""One request as it was logged, and as a row of a table."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from router.errors import ConfigError
from router.money import to_usd
from router.record import DecisionRecord

COLUMNS = (
    "request_id",
    "at",
    "policy",
    "chosen",
    "propensity",
    "served",
    "cost_usd",
    "quality",
    "quality_by",
    "seconds",
    "tags",
    "outcomes",
    "record",
)
"""Columns of a traffic table. `tags`, `outcomes` and `record` are JSON text."""
_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one candidate would make of a request: a grade from 0 to 1, and pico-dollars."""

    score: float
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One request as it was logged. It holds no prompt and no answer.

    `chosen` is whom the decision chose ("": it refused) and `propensity` the chance that it had
    to; `served` is who answered in the end. `record` has the quotes of all candidates (None: it
    was not logged).
    `cost` is that of all attempts together, in pico-dollars (None: a price is not known);
    `quality` the grade of the answer, from 0 to 1 (None: nobody graded it), `quality_by` whose.
    `seconds` are those of all attempts. `outcomes` says what every candidate would have made of
    the request, where that is known: evaluation sets, recordings.
    """

    request_id: str
    at: datetime
    chosen: str
    propensity: float = 1.0
    tags: Mapping[str, str] = field(default_factory=dict)
    record: DecisionRecord | None = None
    served: str = ""
    policy: str = ""
    cost: int | None = None
    quality: float | None = None
    quality_by: str = ""
    seconds: float = 0.0
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether the outcome of every candidate that the decision saw is known."""
        if self.record is None or not self.record.quotes or not self.outcomes:
            return False
        return all(quote.name in self.outcomes for quote in self.record.quotes)

    def row(self) -> dict[str, Any]:
        """The request as a row of `COLUMNS`: money is `Decimal` USD, an empty text is None."""
        outcomes = {
            name: {"score": o.score, "cost_usd": f"{to_usd(o.cost):f}"}
            for name, o in self.outcomes.items()
        }
        return {
            "request_id": self.request_id,
            "at": self.at,
            "policy": self.policy,
            "chosen": self.chosen,
            "propensity": self.propensity,
            "served": self.served,
            "cost_usd": None if self.cost is None else to_usd(self.cost),
            "quality": self.quality,
            "quality_by": self.quality_by or None,
            "seconds": self.seconds,
            "tags": json.dumps(dict(self.tags)) if self.tags else None,
            "outcomes": json.dumps(outcomes) if outcomes else None,
            "record": None if self.record is None else self.record.to_json(),
        }


Cluster: TypeAlias = str | Callable[[Logged], Hashable]
"""What tells which requests belong together: the name of a tag, or a function of a request."""


def keys_of(requests: Sequence[Logged], cluster: Cluster) -> list[Hashable]:
    """Of each request the value of what tells clusters apart; None where there is none (or "").

    Raises:
        ConfigError: `cluster` is neither a tag's name nor a function, fails, or gives what is no
            key; or no request has a value.
    """
    keys = [_key(request, cluster) for request in requests]
    if keys and all(key is None for key in keys):
        tags = sorted({name for request in requests for name in request.tags})
        raise ConfigError(
            f"cluster: none of {len(keys):,} requests has a value by {cluster_words(cluster)}; "
            f"tags that they have: {', '.join(tags[:_NAMED]) or 'none'}"
        )
    return keys


def _key(request: Logged, cluster: Cluster) -> Hashable:
    if isinstance(cluster, str) and cluster:
        return request.tags.get(cluster) or None
    if not callable(cluster):
        raise ConfigError(
            f"cluster: expected the name of a tag, or a function of a request, got {cluster!r}"
        )
    try:
        key = cluster(request)
    except Exception as error:
        raise ConfigError(
            f"cluster: {cluster_words(cluster)} raised {type(error).__name__} on request "
            f"{request.request_id!r}; let it give None where a request has no value"
        ) from error
    try:
        hash(key)
    except TypeError:
        kind = type(key).__name__
        raise ConfigError(
            f"cluster: expected {cluster_words(cluster)} to give a text or a number, got a {kind}"
        ) from None
    # NaN is what a table has for nothing.
    return None if key == "" or (isinstance(key, float) and math.isnan(key)) else key


def cluster_words(cluster: Cluster) -> str:
    """What tells clusters apart, in words."""
    if isinstance(cluster, str):
        return f"tag {cluster!r}"
    name = getattr(cluster, "__name__", "")
    return f"function {name}" if name.isidentifier() else "its function"
