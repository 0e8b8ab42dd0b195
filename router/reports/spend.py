"""Spend by day, model, host, tag or any of them together: integers inside, Decimals outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from router.ledgers import Entry
from router.ledgers.entries import LEASE
from router.money import to_usd
from router.reports.keys import Group, Grouping, spending
from router.reports.prices import RatesOf, billed
from router.reports.rows import FIGURES, Row
from router.reports.table import Table


@dataclass(frozen=True, slots=True, repr=False)
class Report(Table):
    """Rows of spend, and the columns they are grouped by. `total` is exactly the ledger's.

    As mappings, rows have None for a cost of which nothing is known, which a CSV leaves empty; of
    a cost that is known in part they have that part, and `unpriced` says how many calls it lacks.
    `unlisted` calls were billed by price rows that this catalogue does not have: their cost is
    known, what caches saved of it is not.
    """

    by: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    unlisted: int = 0

    @property
    def total(self) -> Decimal:
        """All known spend in the report, in USD: the least that it was, if any is `unpriced`."""
        return to_usd(sum(row.cost for row in self.rows))

    @property
    def unpriced(self) -> int:
        """Calls whose price is not known, and whose cost is therefore missing from `total`."""
        return sum(row.unpriced for row in self.rows)

    @property
    def brief(self) -> tuple[str, ...]:
        """The columns that are shown where there is little room."""
        figures = ("requests", "failed", "unpriced", "input_tokens", "output_tokens", "cost_usd")
        return (*self.by, *figures)

    @property
    def kinds(self) -> Mapping[str, type]:
        """The columns with their types: those grouped by, then `router.reports.FIGURES`."""
        return {**dict.fromkeys(self.by, str), **FIGURES}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self.rows:
            yield dict(zip(self.by, row.group, strict=True)) | row.figures()

    def __len__(self) -> int:
        return len(self.rows)


def report_from(
    entries: Iterable[Entry],
    *,
    by: str | Sequence[str] = ("day", "model"),
    tz: str = "UTC",
    rates_of: RatesOf | None = None,
) -> Report:
    """Group ledger entries by day, hour, week (ISO), month (in the zone `tz`), model, mode, host,
    candidate, policy, outcome, rates (the price row billed), source (reported or estimated
    usage), tag (all tags together), `tag:NAME` (one of them), or one of the tags tenant, team,
    feature, user by name alone.

    `rates_of` is the price that a call was billed by, for what prefix caches saved.

    Raises:
        InvalidRequestError: an unknown column or zone.
    """
    grouping = Grouping(by, tz)
    groups: dict[Group, Row] = {}
    lost: dict[str, Row] = {}
    unlisted = 0
    for entry in spending(entries):
        group = grouping.group(entry)
        row = groups.get(group)
        if row is None:
            row = groups[group] = Row(group)
        rates = rates_of(entry) if rates_of else None
        row.add(entry, rates)
        unlisted += rates_of is not None and rates is None and billed(entry)
        if entry.kind == "expire" and entry.record.policy != LEASE:
            lost[entry.reservation_id] = row
        elif entry.kind == "correct" and entry.outcome == "ok":
            was = lost.pop(entry.reservation_id, None)
            if was is not None:
                was.failed -= 1  # it was answered after all
    return Report(
        grouping.by, [groups[group] for group in sorted(groups, key=grouping.order)], unlisted
    )
