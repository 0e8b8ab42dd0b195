"""The rows that price one's own GPUs: `[[fleet]]`, and `[[utilisation]]` as it was measured."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from router.catalog.fields import EPOCH, Amount, EndpointName, Instant, Row
from router.catalog.fleet import Basis, Fleet, Flow, Point
from router.catalog.prices import Rate
from router.catalog.steps import Step
from router.money import to_usd


def _number(value: Any) -> Any:
    """A decimal; a float is read by its shortest form, so that prices repeat on every machine."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f"expected a number such as 2346.7, got {value!r}")
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise ValueError(f"expected a number such as 2346.7, got {value!r}") from None
    if not number.is_finite() or number < 0:
        raise ValueError(f"expected a number of zero or more, got {value!r}")
    return number


_NUMBER = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}
Number = Annotated[Decimal, BeforeValidator(_number), WithJsonSchema(_NUMBER)]
Percent = Annotated[int, Field(ge=1, le=100)]
Count = Annotated[int, Field(gt=0)]


class CurvePoint(Row):
    """What one replica serves, in tokens a second, with so many requests in flight.

    Instead of `in_flight`, a mean, `requests_per_second` that were served and `seconds` that each
    took, mean too. A single point without either is the throughput at saturation.
    """

    in_flight: Number | None = None
    requests_per_second: Number | None = None
    seconds: Number | None = None
    input: Number = Decimal(0)
    """Input tokens a second, those read from its prefix cache included."""
    cache_read: Number = Decimal(0)
    output: Number

    @property
    def point(self) -> Point:
        """The same as a value."""
        load = self.in_flight
        if self.requests_per_second is not None and self.seconds is not None:
            load = self.requests_per_second * self.seconds
        flow = Flow(
            input_tokens=Fraction(self.input),
            cache_read_tokens=Fraction(self.cache_read),
            output_tokens=Fraction(self.output),
        )
        return Point(None if load is None else Fraction(load), flow)

    @model_validator(mode="after")
    def _one_load(self) -> CurvePoint:
        arrivals = (self.requests_per_second is not None, self.seconds is not None)
        if arrivals[0] != arrivals[1] or (arrivals[0] and self.in_flight is not None):
            raise ValueError("expected in_flight, or requests_per_second and seconds, or none")
        return self


class FleetRow(Row):
    """GPUs that serve an endpoint and are paid by the hour; its rates follow from how busy they
    are. See `router.catalog.fleet.Fleet` for what the figures mean.
    """

    endpoint: EndpointName
    valid_from: Instant = EPOCH
    valid_to: Instant | None = None
    known_since: Instant | None = None
    gpus: Count
    """Of one replica."""
    usd_per_gpu_hour: Amount
    replicas: Count = 1
    basis: Basis = "amortised"
    """What a call is charged: its share of the rent, or the GPU time that it adds."""
    utilisation: Percent
    """Percent of capacity that is in use, assumed until it is measured."""
    least_utilisation: Percent | None = None
    """No price assumes less; absent: half of `utilisation`, or 1 where prices are marginal. At its
    full rent an idle fleet would be too dear to ever get busy again."""
    input_weight: Number = Decimal(1)
    """GPU time of an input token in that of an output token."""
    cached_weight: Number | None = None
    """The same of an input token that is read from the prefix cache; absent: as input."""
    curve: tuple[CurvePoint, ...] = Field(min_length=1)
    source: str = Field(min_length=1)
    checked: date

    @property
    def known(self) -> datetime:
        """Since when it can have been known."""
        return self.known_since or self.valid_from

    @property
    def least(self) -> int:
        """The least percentage of capacity that a price assumes."""
        if self.least_utilisation is not None:
            return self.least_utilisation
        return 1 if self.basis == "marginal" else max(self.utilisation // 2, 1)

    @property
    def fleet(self) -> Fleet:
        """The same as a value."""
        cached = self.cached_weight
        return Fleet(
            gpus=self.gpus,
            usd_per_gpu_hour=self.usd_per_gpu_hour,
            curve=tuple(point.point for point in self.curve),
            replicas=self.replicas,
            input_weight=Fraction(self.input_weight),
            cached_weight=None if cached is None else Fraction(cached),
            least_utilisation=self.least,
            source=self.source,
        )

    @model_validator(mode="after")
    def _sane(self) -> FleetRow:
        _ = self.fleet  # its errors say what was expected
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError(f"expected valid_to after valid_from, got {self.valid_to}")
        return self

    def rate(self, percent: int) -> Rate:
        """The price row that follows at so many percent of capacity."""
        prices = self.fleet.prices(self.basis, percent)
        return Rate.model_validate(
            {
                "endpoint": self.endpoint,
                "valid_from": self.valid_from,
                "valid_to": self.valid_to,
                "known_since": self.known_since,
                "input": to_usd(prices.input),
                "cache_read": to_usd(prices.cache_read),
                "output": to_usd(prices.output),
                "source": f"{self.basis} at {percent}% of capacity: {self.source}",
                "checked": self.checked,
            }
        )

    def step(self, start: datetime, percent: int) -> Step:
        """The price from `start` on, at so many percent of capacity."""
        percent = max(percent, self.least)
        return Step(start, percent, f"{self.basis}@{percent}%", self.rate(percent))

    def steps(self, measured: Iterable[UtilisationRow]) -> tuple[Step, ...]:
        """The prices in the order in which they came into force: first as assumed."""
        since = [row for row in measured if row.valid_from >= self.valid_from]
        since.sort(key=lambda row: row.valid_from)
        assumed = self.step(self.valid_from, self.utilisation)
        return assumed, *(self.step(row.valid_from, row.percent) for row in since)


class UtilisationRow(Row):
    """How busy an endpoint's fleet was found to be, from an instant until the next row."""

    endpoint: EndpointName
    valid_from: Instant
    percent: Percent
    """Of capacity; a price assumes no less than the fleet's `least_utilisation`."""
    source: str = ""
    checked: date | None = None
