"""The instruments of one meter, made by their descriptions in `names`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.telemetry import names
from router.telemetry.names import Generation, Instrument

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, Meter, _Gauge


class Instruments:
    """All that is recorded when it happens. The gauges that are read are elsewhere."""

    def __init__(self, meter: Meter, generation: Generation) -> None:
        self.meter, self.generation = meter, generation
        self.spend = counter(meter, names.SPEND)
        self.expired = counter(meter, names.SPEND_EXPIRED)
        self.corrected = counter(meter, names.SPEND_CORRECTED)
        self.forecast_cost = counter(meter, names.FORECAST_COST)
        self.forecast_error = histogram(meter, names.FORECAST_ERROR)
        self.reservation_cost = counter(meter, names.RESERVATION_COST)
        self.reservation_used = histogram(meter, names.RESERVATION_USED)
        self.token_count = counter(meter, names.TOKEN_COUNT)
        self.attempts = counter(meter, names.ATTEMPTS)
        self.refusals = counter(meter, names.REFUSALS)
        self.ledger_failures = counter(meter, names.LEDGER_FAILURES)
        self.saved = counter(meter, names.SAVED)
        self.overhead = histogram(meter, names.OVERHEAD)
        self.cost = histogram(meter, names.COST)
        self.utilisation = gauge(meter, names.UTILISATION)
        self.token_cost = gauge(meter, names.TOKEN_COST)
        self.duration = histogram(meter, generation.duration)
        self.first_chunk = histogram(meter, generation.first_chunk)
        self.tokens = None if generation.tokens is None else histogram(meter, generation.tokens)
        self.usage = {kind: counter(meter, one) for kind, one in generation.usage.items()}
        self.sizes = {kind: histogram(meter, one) for kind, one in generation.sizes.items()}


def counter(meter: Meter, one: Instrument) -> Counter:
    """The counter that a description names."""
    return meter.create_counter(one.name, unit=one.unit, description=one.description)


def histogram(meter: Meter, one: Instrument) -> Histogram:
    """The histogram that a description names, with its buckets as advice."""
    return meter.create_histogram(
        one.name,
        unit=one.unit,
        description=one.description,
        explicit_bucket_boundaries_advisory=one.buckets,
    )


def gauge(meter: Meter, one: Instrument) -> _Gauge:
    """The gauge that a description names, set when its value is known."""
    return meter.create_gauge(one.name, unit=one.unit, description=one.description)
