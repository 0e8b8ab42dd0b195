"""What was saved: against models that the same tokens could have gone to, and by caches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from router.catalog import Catalog
from router.ledgers import Entry
from router.ledgers.entries import LEASE
from router.money import to_usd
from router.pricing import cost
from router.reports.caching import cache_report
from router.reports.prices import Quoted, RatesOf, billed_by, cache_saving
from router.reports.table import Table

BASELINES = (
    "deepseek-v3.2@deepinfra",
    "deepseek-v3.2-speciale@azure",
    "deepseek-v3.2@quoted",
    "gpt-4-turbo@quoted",
    "gpt-5@quoted",
    "gemini-3-pro@quoted",
    "claude-3.5-sonnet@quoted",
    "claude-sonnet-4@quoted",
    "claude-opus-4@quoted",
)
"""All traffic to V3.2, all to Speciale, and the reference models of the seed articles of late 2025
at the prices that these quote (host `quoted`, catalog/data/reference.toml)."""
_MILLION = 10**6
_COLUMNS: dict[str, type] = {
    "kind": str,
    "name": str,
    "calls": int,
    "unpriced": int,
    "input_tokens": int,
    "output_tokens": int,
    "without_usd": Decimal,
    "paid_usd": Decimal,
    "saved_usd": Decimal,
    "note": str,
}


@dataclass(slots=True)
class SavingsRow:
    """One comparison; amounts in pico-dollars, None where they are not known. What was paid is
    that of the calls compared, so `without` less `paid` is what was saved: negative for a loss.
    `unpriced` calls are not compared, for one of the two prices is not known.
    """

    kind: str
    name: str
    calls: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    without: int | None = 0
    paid: int | None = 0
    note: str = ""

    @property
    def saved(self) -> int | None:
        """Pico-dollars saved; None where either side is not known."""
        return None if self.without is None or self.paid is None else self.without - self.paid


@dataclass(frozen=True, slots=True)
class Savings(Table):
    """Rows of kind "baseline" (the same tokens elsewhere), "prefix cache" (by candidate, writes
    paid), "lost prefix cache" (by cause) and "response cache". They overlap: do not add them up.
    """

    rows: list[SavingsRow]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in their order."""
        return tuple(_COLUMNS)

    @property
    def kinds(self) -> Mapping[str, type]:
        """Types of the columns, for a report without rows."""
        return _COLUMNS

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self.rows:
            figures = (row.calls, row.unpriced, row.input_tokens, row.output_tokens)
            amounts = (
                None if pico is None else to_usd(pico)
                for pico in (row.without, row.paid, row.saved)
            )
            values = (row.kind, row.name, *figures, *amounts, row.note)
            yield dict(zip(_COLUMNS, values, strict=True))

    def __len__(self) -> int:
        return len(self.rows)


def savings_from(
    entries: Iterable[Entry],
    catalog: Catalog,
    *,
    baselines: Sequence[str] | None = None,
    rates_of: RatesOf | None = None,
) -> Savings:
    """What the ledger's calls cost, beside what their tokens would cost at each baseline.

    The same tokens, hits of a prefix cache included, at the baseline's price when the call ended;
    another model would have used other tokens, which nobody knows. Calls whose own price is
    unknown, and answers out of the response cache, are compared with nothing. Without
    `baselines`, those of `BASELINES` that the catalogue has.

    Raises:
        UnknownModelError: a baseline that the catalogue does not have.
    """
    every = [entry for entry in entries if entry.record.policy != LEASE]
    priced = rates_of or billed_by(catalog)
    names = baselines
    if names is None:
        known = {endpoint.name for endpoint in catalog.endpoints}
        names = [name for name in BASELINES if name in known]
    rows = [_baseline(every, catalog, name) for name in names]
    rows += _caches(every, priced)
    rows += _lost(every, priced)
    rows += _answers(every)
    return Savings(rows)


def _baseline(entries: Iterable[Entry], catalog: Catalog, name: str) -> SavingsRow:
    row = SavingsRow("baseline", name, note="the same tokens at its price")
    quoted = Quoted(catalog, name)
    total = paid = 0
    for entry in entries:
        if entry.kind == "release" or entry.outcome == "cached":
            continue
        rates = quoted.rates(entry.at, entry.usage.input_tokens)
        if rates is None or not (entry.rates_id or entry.cost):
            row.unpriced += entry.kind != "correct"
            continue
        row.calls += entry.kind != "correct"
        row.input_tokens += entry.usage.input_tokens
        row.output_tokens += entry.usage.output_tokens
        if entry.usage.input_tokens or entry.usage.output_tokens:
            total += cost(entry.usage, rates).pico
        paid += entry.cost
    known = row.calls or not row.unpriced
    row.without, row.paid = (total, paid) if known else (None, None)
    return row


def _caches(entries: Iterable[Entry], rates_of: RatesOf) -> list[SavingsRow]:
    note = "cached input at the plain price; what writes cost more is taken off"
    rows: dict[str, SavingsRow] = {}
    saved: Counter[str] = Counter()
    paid: Counter[str] = Counter()
    for entry in entries:
        usage, name = entry.usage, entry.record.candidate
        if entry.outcome == "cached" or not usage.cache_read_tokens + usage.cache_write_tokens:
            continue
        rates = rates_of(entry)
        row = rows.setdefault(name, SavingsRow("prefix cache", name, note=note))
        if rates is None:
            row.unpriced += 1
            continue
        row.calls += 1
        row.input_tokens += usage.cache_read_tokens
        saved[name] += cache_saving(usage, rates)
        paid[name] += entry.cost
    for name, row in rows.items():
        if row.calls:
            row.without, row.paid = paid[name] + saved[name] // _MILLION, paid[name]
        else:
            row.without = row.paid = None
    return [rows[name] for name in sorted(rows)]


def _lost(entries: Iterable[Entry], rates_of: RatesOf) -> list[SavingsRow]:
    lost: dict[str, SavingsRow] = {}
    worth: Counter[str] = Counter()
    for found in cache_report(entries, rates_of).rows:
        for cause, tokens in found.lost.items():
            note = "tokens that were expected from a cache and were not in it"
            row = lost.setdefault(cause, SavingsRow("lost prefix cache", cause, note=note))
            row.calls += found.requests_by[cause]
            row.input_tokens += tokens
            if cause in found.unpriced:
                row.note = f"{note}; some at a price that is not known"
            worth[cause] += found.worth[cause]
    for cause, row in lost.items():
        row.paid = worth[cause]
    return [lost[cause] for cause in sorted(lost)]


def _answers(entries: Iterable[Entry]) -> list[SavingsRow]:
    rows: dict[str, SavingsRow] = {}
    for entry in entries:
        if entry.outcome != "cached":
            continue
        name = entry.record.candidate
        row = rows.setdefault(name, SavingsRow("response cache", name, note="answers not paid"))
        row.calls += 1
        row.input_tokens += entry.usage.input_tokens
        row.output_tokens += entry.usage.output_tokens
        row.without = (row.without or 0) + entry.saved
    return [rows[name] for name in sorted(rows)]
