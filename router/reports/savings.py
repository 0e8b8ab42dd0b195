"""What was saved: against models that the same tokens could have gone to, and by caches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from router.catalog import Catalog
from router.errors import InvalidRequestError
from router.ledgers import Entry
from router.ledgers.entries import LEASE
from router.money import to_usd
from router.pricing import cost
from router.reports.caching import cache_report
from router.reports.keys import unknown
from router.reports.prices import Quoted, RatesOf, billed_by, cache_saving
from router.reports.table import Table
from router.reports.told import Told, told_of

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
    "lost": int,
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
    `unpriced` calls are not compared, for one of the two prices is not known; nor are `lost`
    ones, which are charged in full because nobody knows what they took.
    """

    kind: str
    name: str
    calls: int = 0
    unpriced: int = 0
    lost: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    without: int | None = 0
    paid: int | None = 0
    note: str = ""

    @property
    def saved(self) -> int | None:
        """Pico-dollars saved; None where either side is not known."""
        return None if self.without is None or self.paid is None else self.without - self.paid


@dataclass(frozen=True, slots=True, repr=False)
class Savings(Table):
    """Rows of kind "baseline" (the same tokens elsewhere), "prefix cache" (by candidate, writes
    paid), "lost prefix cache" (by cause) and "response cache". They overlap: do not add them up.
    """

    rows: list[SavingsRow]

    @property
    def brief(self) -> tuple[str, ...]:
        """The columns that are shown where there is little room."""
        return "kind", "name", "calls", "without_usd", "paid_usd", "saved_usd"

    @property
    def kinds(self) -> Mapping[str, type]:
        """The columns in their order, with their types."""
        return _COLUMNS

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self.rows:
            figures = (row.calls, row.unpriced, row.lost, row.input_tokens, row.output_tokens)
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
    baselines: str | Sequence[str] | None = None,
    rates_of: RatesOf | None = None,
) -> Savings:
    """What the ledger's calls cost, beside what their tokens would cost at each baseline.

    The same tokens, hits of a prefix cache included, at the baseline's price when the call ended;
    another model would have used other tokens, which nobody knows. Calls whose own price is
    unknown, lost calls whose truth never came, and answers out of the response cache are compared
    with nothing. `baselines` are one name or several, by default those of `BASELINES` that the
    catalogue has.

    Raises:
        InvalidRequestError: baselines that are no names.
        UnknownModelError: a baseline that the catalogue does not have.
    """
    names = _names(baselines, catalog)
    every = [entry for entry in entries if entry.record.policy != LEASE]
    priced = rates_of or billed_by(catalog)
    told = told_of(every)
    rows = [_baseline(told, catalog, name) for name in names]
    rows += _caches(told, priced)
    rows += _missed(every, priced)
    rows += _answers(every)
    return Savings(rows)


def _names(baselines: object, catalog: Catalog) -> list[str]:
    if baselines is None:
        known = {endpoint.name for endpoint in catalog.endpoints}
        return [name for name in BASELINES if name in known]
    names = [baselines] if isinstance(baselines, str) else baselines
    if not isinstance(names, Iterable):
        names = [None]
    found = list(names)
    if not all(isinstance(name, str) for name in found):
        raise InvalidRequestError(
            f"baselines: expected names such as {BASELINES[0]!r}, got {baselines!r}",
            param="baselines",
        )
    return found


def _baseline(told: Told, catalog: Catalog, name: str) -> SavingsRow:
    row = SavingsRow("baseline", name, lost=told.lost, note="the same tokens at its price")
    quoted = Quoted(catalog, name)
    total = paid = 0
    for entry, charged in told.calls:
        rates = quoted.rates(entry.at, entry.usage.input_tokens)
        if rates is None or unknown(entry):
            row.unpriced += 1
            continue
        row.calls += 1
        row.input_tokens += entry.usage.input_tokens
        row.output_tokens += entry.usage.output_tokens
        if entry.usage.input_tokens or entry.usage.output_tokens:
            total += cost(entry.usage, rates).pico
        paid += charged
    known = row.calls or not (row.unpriced or row.lost)
    row.without, row.paid = (total, paid) if known else (None, None)
    return row


def _caches(told: Told, rates_of: RatesOf) -> list[SavingsRow]:
    note = "cached input at the plain price; what writes cost more is taken off"
    rows: dict[str, SavingsRow] = {}
    saved: Counter[str] = Counter()
    paid: Counter[str] = Counter()
    for entry, charged in told.calls:
        usage, name = entry.usage, entry.record.candidate
        if not usage.cache_read_tokens + usage.cache_write_tokens:
            continue
        rates = rates_of(entry)
        row = rows.setdefault(name, SavingsRow("prefix cache", name, note=note))
        if rates is None:
            row.unpriced += 1
            if entry.rates_id:
                row.note = f"{note}; some billed by a price row that is not in this catalogue"
            continue
        row.calls += 1
        row.input_tokens += usage.cache_read_tokens
        saved[name] += cache_saving(usage, rates)
        paid[name] += charged
    for name, row in rows.items():
        if row.calls:
            row.without, row.paid = paid[name] + saved[name] // _MILLION, paid[name]
        else:
            row.without = row.paid = None
    return [rows[name] for name in sorted(rows)]


def _missed(entries: Iterable[Entry], rates_of: RatesOf) -> list[SavingsRow]:
    missed: dict[str, SavingsRow] = {}
    worth: Counter[str] = Counter()
    note = "tokens that were expected from a cache and were not in it"
    for found in cache_report(entries, rates_of).rows:
        for cause, tokens in found.lost.items():
            row = missed.setdefault(cause, SavingsRow("lost prefix cache", cause, note=note))
            row.calls += found.requests_by[cause] - found.unpriced[cause]
            row.unpriced += found.unpriced[cause]
            row.input_tokens += tokens
            worth[cause] += found.worth[cause]
    for cause, row in missed.items():
        if row.unpriced:
            row.note = f"{note}; some at a price that is not known"
        row.without, row.paid = (0, worth[cause]) if row.calls else (None, None)
    return [missed[cause] for cause in sorted(missed)]


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
