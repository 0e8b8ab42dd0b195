"""All prices of one endpoint: which row counts at an instant, and when the price changes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from router.catalog.rates import ExchangeRow, RateRow, Rates, dearest_of, names_of, stamp

if TYPE_CHECKING:
    from router.catalog.schema import Prices, Rate, Tier
    from router.catalog.windows import Clock

STANDARD = "standard"
_SERVICE_TIERS = frozenset({STANDARD, "batch", "flex", "priority"})
_SAME_AS_STANDARD = frozenset({STANDARD, "default", "auto", ""})
_NEVER = datetime.max.replace(tzinfo=UTC)
_UNIT = 10**12


_Quotes: TypeAlias = tuple[tuple[int, Rates | None], ...]
"""Rates above so many input tokens, the highest threshold first; none where unknown."""


class _Span(NamedTuple):
    """From `start` to before `end` these prices hold."""

    start: datetime
    end: datetime
    quotes: _Quotes


class Pricelist:
    """Rows of one endpoint, with the clocks and exchange rows that they need.

    Instants are UTC. Remembers the span of time it was asked about last, per service tier.
    """

    def __init__(
        self,
        rows: Iterable[RateRow],
        clocks: Mapping[str, Clock],
        exchange: Mapping[str, Sequence[ExchangeRow]],
        ends: datetime | None,
    ) -> None:
        self.rows = tuple(sorted(rows, key=lambda row: row.rank))
        self._names = names_of(self.rows)
        self._clocks = clocks
        self._exchange = exchange
        self._ends = ends
        cuts = {row.rate.valid_from for row in self.rows}
        cuts |= {row.rate.valid_to for row in self.rows if row.rate.valid_to}
        cuts |= {step.start for row in self.rows for step in row.steps}
        for currency in {row.rate.currency for row in self.rows} & set(exchange):
            cuts |= {row.exchange.valid_from for row in exchange[currency]}
        self._cuts = sorted(cuts | ({ends} if ends else set()))
        self._spans: dict[str, _Span] = {}

    def rates(
        self, at: datetime, known_at: datetime | None, input_tokens: int, service_tier: str
    ) -> Rates | None:
        """The rates in force at `at`, None where none is known.

        With `known_at` announcements made or called off later do not count: what a forecast made
        then could have known.
        """
        for above, rates in self._quoted(at, known_at, service_tier):
            if input_tokens > above or not above:
                return rates
        return None

    def row(self, at: datetime, known_at: datetime | None = None) -> RateRow | None:
        """The row that counts at `at`; None where none does.

        Of the rows in force the highest layer wins, then the latest `valid_from`, then what
        became known last.
        """
        if self._ends is not None and at >= self._ends:
            return None
        for row in reversed(self.rows):
            rate = row.rate
            if at < rate.valid_from or (rate.valid_to is not None and at >= rate.valid_to):
                continue
            if known_at is None:
                called_off = rate.withdrawn is not None
            else:
                called_off = rate.withdrawn is not None and rate.withdrawn <= known_at
                called_off |= rate.known > known_at
            if not called_off:
                return row
        return None

    def why_unknown(self, at: datetime) -> str:
        """Why there is no price where there are rows; "" else."""
        row = self.row(at)
        if row is None:
            later = (r.rate.valid_from for r in self.rows if r.rate.withdrawn is None)
            first = min((start for start in later if start > at), default=None)
            return "" if first is None else f"no price known before {stamp(first)}"
        if self._usd(row.rate.currency, at, None) is not None:
            return ""
        return f"priced in {row.rate.currency}: give an [[exchange]] row for it in an overlay"

    def changes(
        self, start: datetime, end: datetime, known_at: datetime | None
    ) -> Iterator[datetime]:
        """Instants in (start, end], in order, at which the rates may change."""
        first = bisect_right(self._cuts, start)
        for cut in (*self._cuts[first:], end):
            until = min(cut, end)
            row = self.row(start, known_at)
            if row is not None and row.rate.schedule:
                edges = self._clocks[row.rate.schedule].edges(start, until)
                yield from (edge for edge in edges if edge < until)
            if until > start:
                yield until
            start = until
            if cut >= end:
                return

    def boundary(
        self,
        start: datetime,
        end: datetime,
        known_at: datetime | None,
        input_tokens: int,
        service_tier: str,
    ) -> datetime | None:
        """The first instant in (start, end] from which on other rates hold than at `start`."""
        if known_at is None and end < self._spanned(start, service_tier).end:
            return None
        same = (known_at, input_tokens, service_tier)
        now = self.rates(start, *same)
        changes = self.changes(start, end, known_at)
        return next((at for at in changes if self.rates(at, *same) != now), None)

    def dearest(
        self,
        start: datetime,
        end: datetime,
        known_at: datetime | None,
        input_tokens: int,
        service_tier: str,
    ) -> Rates | None:
        """The rates at `start` with the highest of each price from then to `end`, both counted,
        for requests of up to `input_tokens`.

        None where the price at `start` is not known; later gaps do not count, for a call under
        way when a model retires is still billed.
        """
        now = self.rates(start, known_at, input_tokens, service_tier)
        if now is None:
            return None
        instants = [start]
        if known_at is not None or end >= self._spanned(start, service_tier).end:
            instants += self.changes(start, end, known_at)
        found = [now]
        for at in instants:
            quoted = self._quoted(at, known_at, service_tier)
            found += [rates for above, rates in quoted if rates and above < max(input_tokens, 1)]
        return now if all(rates is now for rates in found) else dearest_of(found)

    def quotes(self, start: datetime, end: datetime) -> tuple[Rates, ...]:
        """All rates from `start` to `end`, both counted: every length of input and service tier,
        the standard ones first; none where unknown.
        """
        found: list[Rates] = []
        for tier in (STANDARD, *sorted(_SERVICE_TIERS - {STANDARD})):
            instants = [start]
            if end >= self._spanned(start, tier).end:
                instants += self.changes(start, end, None)
            for at in instants:
                found += [rates for _, rates in self._quoted(at, None, tier) if rates]
        return tuple(found)

    def _quoted(self, at: datetime, known_at: datetime | None, service_tier: str) -> _Quotes:
        if known_at is None:
            return self._spanned(at, service_tier).quotes
        return self._quotes(self.row(at, known_at), at, known_at, _standard(service_tier))

    def _spanned(self, at: datetime, service_tier: str) -> _Span:
        tier = _standard(service_tier)
        span = self._spans.get(tier)
        if span is None or not span.start <= at < span.end:
            # `rates` is asked for each candidate of each request, mostly at about the same time.
            span = self._span(at, tier)
            if tier in _SERVICE_TIERS:
                self._spans[tier] = span
        return span

    def _span(self, at: datetime, tier: str) -> _Span:
        row = self.row(at)
        following = bisect_right(self._cuts, at)
        end = self._cuts[following] if following < len(self._cuts) else _NEVER
        if row is not None and row.rate.schedule:
            soon = min(end, at + timedelta(days=2))  # each day has an edge at midnight
            end = next(self._clocks[row.rate.schedule].edges(at, soon), soon)
        return _Span(at, end, self._quotes(row, at, None, tier))

    def _quotes(
        self, row: RateRow | None, at: datetime, known_at: datetime | None, tier: str
    ) -> _Quotes:
        if row is None:
            return ()
        rate, mark, window, uncertain, decided_by = row.rate, "", "", False, ""
        step = row.step(at if known_at is None else min(at, known_at))
        if step is not None:
            # How busy a fleet will be nobody knows: what holds when a call begins is its price.
            rate, mark, decided_by = step.rate, step.mark, "start"
        usd = self._usd(rate.currency, at, known_at)
        if usd is None:
            return ()
        prices, tiers = _prices(rate, tier)
        if rate.schedule is not None and tier == STANDARD:
            clock = self._clocks[rate.schedule]
            peak = clock.inside(at) == (clock.schedule.window == "peak")
            window, prices = ("peak", rate.peak) if peak else ("off-peak", rate.off_peak)
            uncertain, decided_by = clock.uncertain(at), clock.schedule.decided_by
        if prices is None:
            return ()
        worth, exchange = usd

        def quote(prices: Rate | Prices, above: int) -> Rates:
            assert prices.input is not None and prices.output is not None
            read, write, hour = prices.cache_read, prices.cache_write, prices.cache_write_1h
            write = prices.input if write is None else write
            marks = [mark, window, tier if tier != STANDARD else "", f">{above}" if above else ""]
            return Rates(
                id="#".join([self._names[id(row)], *filter(None, [*marks, exchange])]),
                input=_converted(prices.input, worth),
                cache_read=_converted(prices.input if read is None else read, worth),
                cache_write=_converted(write, worth),
                cache_write_1h=_converted(write if hour is None else hour, worth),
                output=_converted(prices.output, worth),
                per_request=_converted(rate.per_request, worth),
                window=window,
                service_tier=tier,
                above_input_tokens=above,
                currency=rate.currency,
                exchange=exchange,
                decided_by=decided_by,
                uncertain=uncertain,
                source=rate.source,
                checked=rate.checked,
                valid_from=rate.valid_from,
                known_since=rate.known,
            )

        quotes: list[tuple[int, Rates | None]] = [(0, quote(prices, 0))]
        quotes += [(t.above_input_tokens, quote(t, t.above_input_tokens)) for t in tiers]
        if tier != STANDARD and rate.tiers and not tiers:
            # What this service tier charges for long requests nobody says.
            quotes.append((rate.tiers[0].above_input_tokens, None))
        return tuple(reversed(quotes))

    def _usd(
        self, currency: str, at: datetime, known_at: datetime | None
    ) -> tuple[int, str] | None:
        """Pico-dollars of one unit and the name of the row that says so; None where unknown."""
        if currency == "USD":
            return _UNIT, ""
        seen = at if known_at is None else min(at, known_at)
        rows = self._exchange.get(currency, ())
        found = max((r for r in rows if r.exchange.valid_from <= seen), key=_rank, default=None)
        if found is None:
            return None
        return found.exchange.usd, f"{currency}/{stamp(found.exchange.valid_from)}"


def _rank(row: ExchangeRow) -> tuple[int, datetime]:
    return row.rank


def _standard(service_tier: str) -> str:
    return STANDARD if service_tier in _SAME_AS_STANDARD else service_tier


def _prices(rate: Rate, tier: str) -> tuple[Rate | Prices | None, Sequence[Tier]]:
    """The flat prices of a service tier, and those of longer requests."""
    if tier == STANDARD:
        return rate, rate.tiers
    named = {"batch": rate.batch, "flex": rate.flex, "priority": rate.priority}.get(tier)
    return (None, ()) if named is None else (named, named.tiers)


def _converted(amount: int, worth: int) -> int:
    return -(-amount * worth // _UNIT)
