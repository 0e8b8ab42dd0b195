"""Spend by day, model, host, tag or any of them together: integers inside, Decimals outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from router.errors import InvalidRequestError
from router.ledgers import Entry
from router.ledgers.entries import LEASE
from router.money import to_usd
from router.reports.csv import write_csv


def _quoted(text: str) -> str:
    # Keeps a tag that holds our separators from reading like two.
    return text.replace("%", "%25").replace(";", "%3B").replace("=", "%3D")


_KEYS: dict[str, Callable[[Entry, ZoneInfo], str]] = {
    "day": lambda e, zone: f"{e.at.astimezone(zone):%Y-%m-%d}",
    "hour": lambda e, zone: f"{e.at.astimezone(zone):%Y-%m-%dT%H:00%z}",
    "month": lambda e, zone: f"{e.at.astimezone(zone):%Y-%m}",
    "model": lambda e, _: e.record.model,
    "mode": lambda e, _: e.record.mode,
    "host": lambda e, _: e.record.host,
    "candidate": lambda e, _: e.record.candidate,
    "policy": lambda e, _: e.record.policy,
    "outcome": lambda e, _: e.outcome,
    "tag": lambda e, _: ";".join(
        f"{_quoted(k)}={_quoted(v)}" for k, v in sorted(e.record.tags.items())
    ),
}


@dataclass(slots=True)
class Row:
    """One group: how often, how many tokens, what it cost (pico-dollars) against the forecast.

    `requests` counts calls that were answered or lost, `cached` those of them that the response
    cache answered, at no cost but `saved`; `unpriced` those whose price is unknown
    and that are therefore missing from `cost`; `estimated` those with counted or assumed usage;
    `forecast` those whose cost was forecast, the others are missing from `forecast_cost`.
    `charges` counts corrections too, `known` those of them with a price.
    """

    group: tuple[str, ...]
    requests: int = 0
    failed: int = 0
    estimated: int = 0
    unpriced: int = 0
    forecast: int = 0
    charges: int = 0
    known: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost: int = 0
    forecast_cost: int = 0
    cached: int = 0
    saved: int = 0

    def add(self, entry: Entry) -> None:
        """Count an entry; corrections change tokens and cost, not the number of requests."""
        self.cost += entry.cost
        self.saved += entry.saved
        if entry.record.policy == LEASE:
            self._add_lease(entry)
            return
        charge = entry.kind != "release"
        self.charges += charge
        self.known += charge and bool(entry.record.rates_id)
        usage = entry.usage
        self.input_tokens += usage.input_tokens
        self.cache_read_tokens += usage.cache_read_tokens
        self.output_tokens += usage.output_tokens
        self.reasoning_tokens += usage.reasoning_tokens
        if entry.kind == "correct":
            return
        self.cached += entry.outcome == "cached"
        answered = entry.kind == "settle" and entry.outcome in {"ok", "cached"}
        self.failed += not answered
        self.requests += charge
        self.estimated += entry.estimated
        self.unpriced += charge and not entry.record.rates_id
        expected = entry.record.forecast_cost
        if charge and expected is not None:
            self.forecast += 1
            self.forecast_cost += expected

    def _add_lease(self, entry: Entry) -> None:
        """Money that a process held and did not account for: no request, but a cost, estimated."""
        self.charges += bool(entry.cost)
        self.known += bool(entry.cost)
        self.estimated += entry.kind == "expire"

    @property
    def cost_usd(self) -> Decimal | None:
        """The known cost in USD; None where none of it is known."""
        unknown = self.charges and not self.known and not self.cost
        return None if unknown else to_usd(self.cost)

    @property
    def forecast_cost_usd(self) -> Decimal | None:
        """The forecasts' sum in USD, as far as there were any; None where there was none."""
        return None if self.requests and not self.forecast else to_usd(self.forecast_cost)


@dataclass(frozen=True, slots=True)
class Report:
    """Rows of spend, and the columns they are grouped by. `total` is exactly the ledger's.

    As mappings, rows have None for a cost of which nothing is known, which a CSV leaves empty; of
    a cost that is known in part they have that part, and `unpriced` says how many calls it lacks.
    """

    by: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)

    @property
    def total(self) -> Decimal:
        """All known spend in the report, in USD: the least that it was, if any is `unpriced`."""
        return to_usd(sum(row.cost for row in self.rows))

    @property
    def unpriced(self) -> int:
        """Calls whose price is not known, and whose cost is therefore missing from `total`."""
        return sum(row.unpriced for row in self.rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in their order."""
        return (*self.by, *_FIGURES)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self._as_dict(row) for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def to_csv(self, path: str | Path) -> Path:
        """Write the report as CSV: exact decimals, stable order, text that no sheet executes."""
        return write_csv(path, self.columns, iter(self))

    def _as_dict(self, row: Row) -> dict[str, Any]:
        figures = {
            "requests": row.requests,
            "failed": row.failed,
            "estimated": row.estimated,
            "unpriced": row.unpriced,
            "input_tokens": row.input_tokens,
            "cache_read_tokens": row.cache_read_tokens,
            "output_tokens": row.output_tokens,
            "reasoning_tokens": row.reasoning_tokens,
            "cost_usd": row.cost_usd,
            "forecast_cost_usd": row.forecast_cost_usd,
            "cached": row.cached,
            "saved_usd": to_usd(row.saved),
        }
        return dict(zip(self.by, row.group, strict=True)) | figures


_FIGURES = (
    "requests",
    "failed",
    "estimated",
    "unpriced",
    "input_tokens",
    "cache_read_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_usd",
    "forecast_cost_usd",
    "cached",
    "saved_usd",
)


def report_from(
    entries: Iterable[Entry], *, by: str | Sequence[str] = ("day", "model"), tz: str = "UTC"
) -> Report:
    """Group ledger entries by day, hour, month (in the zone `tz`), model, mode, host, candidate,
    policy, outcome, tag (all tags together) or `tag:NAME` (one of them).

    Raises:
        InvalidRequestError: an unknown column or zone.
    """
    try:
        zone = ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise InvalidRequestError(
            f"tz: expected an IANA zone such as 'Europe/Berlin', got {tz!r}", param="tz"
        ) from None
    by = (by,) if isinstance(by, str) else tuple(by)
    keys = [_key(name) for name in by]
    groups: dict[tuple[str, ...], Row] = {}
    for entry in entries:
        if entry.record.policy == LEASE and not entry.cost:
            continue  # held and returned: nobody's spend
        group = tuple(key(entry, zone) for key in keys)
        groups.setdefault(group, Row(group)).add(entry)
    return Report(by, [groups[group] for group in sorted(groups)])


def _key(name: str) -> Callable[[Entry, ZoneInfo], str]:
    if name.startswith("tag:") and len(name) > 4:
        tag = name[4:]
        return lambda entry, _: entry.record.tags.get(tag, "")
    if name not in _KEYS:
        raise InvalidRequestError(
            f"by: expected {', '.join(_KEYS)} or tag:NAME; got {name!r}", param="by"
        )
    return _KEYS[name]
