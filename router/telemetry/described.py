"""What a metric is, in words; those that there are, are in `router.telemetry.names`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["counter", "histogram", "gauge", "observed"]


@dataclass(frozen=True, slots=True)
class Instrument:
    """A metric: its name, unit and meaning; `labels` are those besides `names.COMMON`'s.

    An "observed" gauge is read when it is collected. `common` says whether it has those.
    """

    kind: Kind
    name: str
    unit: str
    description: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    common: bool = True


def counter(name: str, unit: str, text: str, *labels: str, common: bool = True) -> Instrument:
    """A sum that only grows."""
    return Instrument("counter", name, unit, text, labels, common=common)


def histogram(
    name: str, unit: str, text: str, buckets: tuple[float, ...], *labels: str
) -> Instrument:
    """A distribution, with the upper bounds of its buckets."""
    return Instrument("histogram", name, unit, text, labels, buckets)


def gauge(name: str, unit: str, text: str, *labels: str, kind: Kind = "gauge") -> Instrument:
    """A value of the moment, without the labels of calls."""
    return Instrument(kind, name, unit, text, labels, common=False)


@dataclass(frozen=True, slots=True)
class Generation:
    """What differs between the generations of the GenAI conventions.

    `usage` are counters and `sizes` histograms of tokens by kind, both of them without a
    `gen_ai.token.type`; `tokens` is the histogram that has it (None: not in this one).
    """

    name: str
    schema: str
    cache_write: str
    duration: Instrument
    first_chunk: Instrument
    tokens: Instrument | None = None
    usage: Mapping[str, Instrument] = field(default_factory=dict)
    sizes: Mapping[str, Instrument] = field(default_factory=dict)

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """All conventional metrics of this generation."""
        tokens = () if self.tokens is None else (self.tokens,)
        more = (*self.usage.values(), *self.sizes.values())
        return (self.duration, self.first_chunk, *tokens, *more)
