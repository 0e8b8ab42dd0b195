"""Forecasts against what came: how far off, how often within the interval, how well reserved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import median
from typing import Any

from router.ledgers import Entry
from router.money import to_usd
from router.reports.keys import Group, Grouping, told
from router.reports.rows import part
from router.reports.table import Table

_PLACES = Decimal("0.000001")
_FIGURES: dict[str, type] = {
    "calls": int,
    "forecast_usd": Decimal,
    "cost_usd": Decimal,
    "ratio": Decimal,
    "median_error": Decimal,
    "within_p90": Decimal,
    "reserved_usd": Decimal,
    "over_reserved": Decimal,
}


@dataclass(slots=True)
class AccuracyRow:
    """One group of answered calls that had a forecast; amounts in pico-dollars.

    `errors` has each call's difference from its forecast, as a part of the forecast.
    """

    group: Group
    calls: int = 0
    forecast: int = 0
    cost: int = 0
    reserved: int = 0
    covered: int = 0
    intervals: int = 0
    over: int = 0
    errors: list[float] = field(default_factory=list)

    def add(self, entry: Entry, forecast: int) -> None:
        """Count a call."""
        self.calls += 1
        self.forecast += forecast
        self.cost += entry.cost
        self.reserved += entry.reserved
        self.over += entry.cost > entry.reserved
        p90 = entry.record.forecast_cost_p90
        if p90 is not None:
            self.intervals += 1
            self.covered += entry.cost <= p90
        if forecast:
            self.errors.append(abs(entry.cost - forecast) / forecast)


@dataclass(frozen=True, slots=True, repr=False)
class Accuracy(Table):
    """By group: `ratio` is cost by forecast, both summed; `median_error` the median of each call's
    difference, as a part of its forecast; `within_p90` the part of calls that cost no more than
    the forecast's 90% quantile, `over_reserved` that cost more than was set aside. None where
    there is nothing to divide by.
    """

    by: tuple[str, ...]
    rows: list[AccuracyRow]

    @property
    def brief(self) -> tuple[str, ...]:
        """The columns that are shown where there is little room."""
        return (*self.by, "calls", "forecast_usd", "cost_usd", "ratio", "within_p90")

    @property
    def kinds(self) -> Mapping[str, type]:
        """The columns in their order, with their types."""
        return {**dict.fromkeys(self.by, str), **_FIGURES}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self.rows:
            yield dict(zip(self.by, row.group, strict=True)) | {
                "calls": row.calls,
                "forecast_usd": to_usd(row.forecast),
                "cost_usd": to_usd(row.cost),
                "ratio": part(row.cost, row.forecast),
                "median_error": Decimal(median(row.errors)).quantize(_PLACES)
                if row.errors
                else None,
                "within_p90": part(row.covered, row.intervals),
                "reserved_usd": to_usd(row.reserved),
                "over_reserved": part(row.over, row.calls),
            }

    def __len__(self) -> int:
        return len(self.rows)


def accuracy_from(
    entries: Iterable[Entry], *, by: str | Sequence[str] = ("model",), tz: str = "UTC"
) -> Accuracy:
    """Forecast against actual cost of calls that were answered, grouped as in `report_from`.

    Calls without a forecast, failed, lost and corrected ones, and answers out of the response
    cache say nothing of forecasts and are left out.

    Raises:
        InvalidRequestError: an unknown column or zone.
    """
    grouping = Grouping(by, tz)
    groups: dict[Group, AccuracyRow] = {}
    for entry in entries:
        forecast = entry.record.forecast_cost
        if forecast is None or not told(entry):
            continue
        group = grouping.group(entry)
        groups.setdefault(group, AccuracyRow(group)).add(entry, forecast)
    return Accuracy(grouping.by, [groups[group] for group in sorted(groups, key=grouping.order)])
