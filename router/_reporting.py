"""What clients report from their ledger: spend, accuracy, savings, FOCUS, fleets, a page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from router.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from router._core import Core
    from router.catalog import Catalog
    from router.ledgers import Entry
    from router.reports import Accuracy, Fleets, Focus, Report, Savings
    from router.reports.periods import When
    from router.reports.prices import RatesOf

_MONTH = timedelta(days=30)


class Reporting:
    """Reports of a client. Times are aware instants, or days ("2026-11-01", a `date`) that begin
    in the zone `tz`; `until` is not counted itself.
    """

    _core: Core

    def report(
        self,
        by: str | Sequence[str] = ("day", "model"),
        *,
        since: When = None,
        until: When = None,
        tz: str = "UTC",
    ) -> Report:
        """Spend from the ledger, grouped; see `router.reports.spend.report_from`.

        Raises:
            InvalidRequestError: an unknown column or zone, a time without an offset.
        """
        from router.reports import report_from

        entries = self._entries(since, until, tz)
        return report_from(entries, by=by, tz=tz, rates_of=self._rates_of())

    def accuracy(
        self,
        by: str | Sequence[str] = ("model",),
        *,
        since: When = None,
        until: When = None,
        tz: str = "UTC",
    ) -> Accuracy:
        """Forecasts against what calls cost; see `router.reports.accuracy.accuracy_from`.

        Raises:
            InvalidRequestError: as in `report`.
        """
        from router.reports import accuracy_from

        return accuracy_from(self._entries(since, until, tz), by=by, tz=tz)

    def savings(
        self,
        baselines: str | Sequence[str] | None = None,
        *,
        since: When = None,
        until: When = None,
        tz: str = "UTC",
    ) -> Savings:
        """What was saved against other models, and by caches; see `router.reports.savings`.

        Raises:
            InvalidRequestError: as in `report`, or baselines that are no names.
            UnknownModelError: a baseline that the catalogue does not have.
        """
        from router.reports import savings_from

        entries = self._entries(since, until, tz)
        return savings_from(
            entries, self._core.catalog, baselines=baselines, rates_of=self._rates_of()
        )

    def focus(
        self,
        *,
        since: When = None,
        until: When = None,
        tz: str = "UTC",
        period: str = "day",
        account: str = "centroute",
    ) -> Focus:
        """Spend as a FOCUS 1.2 data set; see `router.reports.focus.focus_from`.

        Raises:
            InvalidRequestError: as in `report`; an unknown period, no account.
        """
        from router.reports import focus_from
        from router.reports.periods import month_of, zone_of

        start, end = self._span(since, until, tz)
        earlier: Iterable[Entry] = ()
        if start is not None:  # a charge class must not depend on where an export begins
            first, _ = month_of(start, zone_of(tz))
            earlier = self._core.ledger.entries(since=first, until=start)
        return focus_from(
            self._core.ledger.entries(since=start, until=end),
            self._core.catalog,
            tz=tz,
            period=period,
            account=account,
            rates_of=self._rates_of(),
            earlier=earlier,
        )

    def fleets(self, *, since: When = None, until: When = None, tz: str = "UTC") -> Fleets:
        """One's own GPUs, amortised and marginal, over a span: by default the last 30 days.

        Rent that is not due yet is none: a span that goes on costs what it did until now. A fleet
        of the shipped catalogue, an example, is listed only where it served calls.

        Raises:
            InvalidRequestError: as in `report`.
        """
        return self._fleets(*self._span(since, until, tz))

    def _fleets(self, start: datetime | None, end: datetime | None) -> Fleets:
        from router.reports import fleets_from
        from router.selfhost import fleets_costs

        now = self._core.now()
        end = end or max(now, start or now)
        start = start or end - _MONTH
        entries = self._core.ledger.entries(since=start, until=end)
        costs = fleets_costs(entries, self._core.catalog, start, end, now)
        own = _own_fleets(self._core.catalog)
        return fleets_from(c for c in costs if c.requests or c.charged or c.endpoint in own)

    def html_report(
        self,
        path: str | Path,
        *,
        since: When = None,
        until: When = None,
        tz: str = "UTC",
        title: str = "Spend",
        checksum: bool = False,
    ) -> Path:
        """Write a page with charts and tables for people who would rather look: one file, which
        needs no network and runs no script. Returns its path. With `checksum` its SHA-256 is
        written beside it.

        Raises:
            InvalidRequestError: as in `report`, or a title that is no text.
            ConfigError: the file cannot be written.
        """
        from router.reports.html import write_html
        from router.reports.html_facts import Facts

        if not isinstance(title, str):
            raise InvalidRequestError(f"title: expected a text, got {title!r}", param="title")
        start, end = self._span(since, until, tz)
        facts = Facts(
            title=title,
            tz=tz,
            since=start,
            until=end,
            made=self._core.now(),
            budgets=tuple(self._core.budget_desk.status()),
            fleets=self._fleets(start, end),
        )
        entries = self._core.ledger.entries(since=start, until=end)
        return write_html(
            path, entries, self._core.catalog, facts, self._rates_of(), checksum=checksum
        )

    def _entries(self, since: When, until: When, tz: str) -> Iterator[Entry]:
        start, end = self._span(since, until, tz)
        return iter(self._core.ledger.entries(since=start, until=end))

    def _rates_of(self) -> RatesOf:
        from router.reports.prices import billed_by

        return billed_by(self._core.catalog)

    def _span(self, since: When, until: When, tz: str) -> tuple[datetime | None, datetime | None]:
        from router.reports.periods import span_of

        return span_of(since, until, tz)


def _own_fleets(catalog: Catalog) -> set[str]:
    """Endpoints of fleets that are not the shipped catalogue's."""
    from router.catalog import Catalog

    shipped = {id(entry) for entry in Catalog.default().entries}
    fleets = (entry for entry in catalog.entries if entry.table == "fleet")
    return {entry.row.endpoint for entry in fleets if id(entry) not in shipped}
