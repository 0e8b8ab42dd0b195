"""A page for people who would rather look: charts, and beside each the exact figures.

One file, without scripts, that loads nothing; what callers wrote into tags is shown as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from html import escape
from pathlib import Path

from router._files import file_named, replacing
from router.catalog import Catalog
from router.ledgers import Entry
from router.reports.accuracy import accuracy_from
from router.reports.checksum import check_file, write_checksum
from router.reports.html_facts import Facts, Status
from router.reports.html_groups import MOST_ROWS, by_tags, own_gpus, some, top_and_other
from router.reports.html_parts import (
    HELD,
    UNKNOWN,
    Bars,
    bars,
    days,
    legend,
    percent,
    rounded,
    section,
    top,
)
from router.reports.html_style import STYLE
from router.reports.periods import zone_of
from router.reports.prices import RatesOf, billed_by
from router.reports.savings import savings_from
from router.reports.spend import Report, report_from
from router.reports.table import html_table


def write_html(
    path: str | Path,
    entries: Iterable[Entry],
    catalog: Catalog,
    facts: Facts,
    rates_of: RatesOf | None = None,
    *,
    checksum: bool = False,
) -> Path:
    """Write `page` to a file, whole or not at all, and its SHA-256 beside it where it is wanted;
    returns its path.

    Raises:
        ConfigError: the file cannot be written.
        InvalidRequestError: an unknown zone, no path.
    """
    target = check_file(path) if checksum else file_named(path)
    text = page(entries, catalog, facts, rates_of)
    with replacing(target, errors="xmlcharrefreplace") as file:
        file.write(text)
    if checksum:
        write_checksum(target)
    return target


def page(
    entries: Iterable[Entry], catalog: Catalog, facts: Facts, rates_of: RatesOf | None = None
) -> str:
    """The page as HTML. `rates_of` is the price that a call was billed by, by default the
    catalogue's row of that id.

    Raises:
        InvalidRequestError: an unknown zone.
    """
    every = list(entries)
    priced = rates_of or billed_by(catalog)

    def by(*columns: str) -> Report:
        return report_from(every, by=columns, tz=facts.tz, rates_of=priced)

    whole = by()
    body = [
        _head(facts, whole),
        _daily(by("day", "model")),
        _answered(by("candidate")),
        _forecasts(every, facts.tz),
        _savings(every, catalog, priced),
        _budgets(facts.budgets),
        own_gpus(facts),
        by_tags(every, by),
    ]
    title = escape(facts.title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>{title}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _head(facts: Facts, whole: Report) -> str:
    row = next(iter(whole), None)
    if row is None:
        return _title(facts) + "<p>Nothing was spent in this time.</p>"
    forecast = row["forecast_cost_usd"]
    shown = [
        ("spent, USD", UNKNOWN if row["cost_usd"] is None else rounded(whole.total)),
        ("calls", f"{row['requests']:,}"),
        ("forecast, USD", UNKNOWN if forecast is None else rounded(forecast)),
        ("tokens in", f"{row['input_tokens']:,}"),
        ("tokens out", f"{row['output_tokens']:,}"),
        ("failed calls", f"{row['failed']:,}"),
    ]
    facts_list = "".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in shown)
    warning = ""
    if whole.unpriced:
        warning = (
            f'<p class="warn">{whole.unpriced:,} calls have no known price. They are in no total: '
            "the spend is at least what is said here.</p>"
        )
    return f'{_title(facts)}<dl class="facts">{facts_list}</dl>{warning}'


def _title(facts: Facts) -> str:
    zone = zone_of(facts.tz)

    def said(at: datetime | None, else_: str) -> str:
        return else_ if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M}"

    span = f"From {said(facts.since, 'the beginning')} to {said(facts.until, 'now')}"
    made = f"written {facts.made.astimezone(zone):%Y-%m-%d %H:%M}"
    return (
        f"<h1>{escape(facts.title)}</h1>"
        f'<p class="soft">{span}, times of {escape(facts.tz)}; {made}.</p>'
    )


def _daily(report: Report) -> str:
    spend = {(r["day"], r["model"]): r["cost_usd"] for r in report if r["cost_usd"]}
    if not spend:
        return section("Spend over time", "By the model that answered.")
    columns = ("day", "model", "requests", "cost_usd")
    rows = [[r[c] for c in columns] for r in report]
    table = html_table(("day", "model", "calls", "USD"), rows)
    return section(
        "Spend over time",
        "By the model that answered, largest first.",
        days(spend, "Spend over time by model, in USD; the table below has the figures"),
        f'<details><summary>The figures ({len(rows):,})</summary><div class="wide">{table}'
        "</div></details>",
    )


def _answered(report: Report) -> str:
    rows = [
        Bars(
            r["candidate"] or HELD,
            (r["cost_usd"], r["requests"], r["failed"], r["input_tokens"], r["output_tokens"]),
            (r["cost_usd"],),
        )
        for r in report
    ]
    columns = ("model and host", "USD", "calls", "failed", "tokens in", "tokens out")
    return section(
        "Who answered",
        "What each model at each host was paid. Failed calls cost what hosts charged for them.",
        bars(some(len(rows)), columns, top_and_other(rows)),
    )


def _forecasts(entries: Sequence[Entry], tz: str) -> str:
    rows = [
        Bars(
            r["model"],
            (r["forecast_usd"], r["cost_usd"], *map(percent, _shares(r)), r["calls"]),
            (r["forecast_usd"], r["cost_usd"]),
        )
        for r in accuracy_from(entries, by="model", tz=tz)
    ]
    columns = ("model", "forecast", "actual", "ratio", "median error", "within p90", "calls")
    drawn = bars(some(len(rows)), columns, top(rows, MOST_ROWS), ("s6", "s0"))
    return section(
        "Forecast and actual cost",
        "Of answered calls, in USD. Within p90: the share of calls that cost no more than the "
        "forecast's 90% quantile; 90% is what it should be.",
        *((legend(("forecast", "actual"), ("s6", "s0")), drawn) if drawn else ()),
    )


def _shares(row: dict[str, Decimal | None]) -> tuple[Decimal | None, ...]:
    return row["ratio"], row["median_error"], row["within_p90"]


def _savings(entries: Sequence[Entry], catalog: Catalog, rates_of: RatesOf) -> str:
    found = list(savings_from(entries, catalog, rates_of=rates_of))
    baselines = [
        Bars(r["name"], (r["without_usd"], r["paid_usd"], r["saved_usd"]), (r["without_usd"],))
        for r in found
        if r["kind"] == "baseline" and r["calls"]
    ]
    if baselines:
        paid = max((r["paid_usd"] for r in found if r["kind"] == "baseline"), key=_amount)
        baselines.insert(0, Bars("what was paid", (paid, paid, Decimal(0)), (paid,)))
    caches = [
        Bars(
            r["name"],
            (r["saved_usd"], r["kind"], r["calls"], r["unpriced"]),
            (r["saved_usd"],),
        )
        for r in found
        if r["kind"] != "baseline"
    ]
    elsewhere = section(
        "The same tokens elsewhere",
        "What these calls' tokens would cost at the price of one model for all. Another model "
        "would have used other tokens; nobody knows how many. Prices @quoted are those "
        "of articles of late 2025.",
        bars("In USD", ("all traffic to", "there", "paid", "saved"), baselines),
    )
    return elsewhere + section(
        "Caches",
        "What hosts' prefix caches and the response cache saved, in USD: dearer cache writes are "
        "taken off, calls without a known price left out. Red is a loss.",
        bars(
            some(len(caches)),
            ("model and host, or cause", "saved", "cache", "calls", "left out"),
            top(caches, MOST_ROWS),
        ),
    )


def _amount(value: object) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(0)


def _budgets(budgets: Sequence[Status]) -> str:
    if not budgets:
        return ""
    rows = []
    for b in budgets:
        used = tuple(
            Decimal(part) / Decimal(b.limit) if b.limit else Decimal(0)
            for part in (b.spent, b.reserved)
        )
        rows.append(Bars(b.name, (b.unit, b.limit, b.spent, b.reserved, b.remaining), used))
    columns = ("budget", "unit", "limit", "spent", "reserved", "left")
    drawn = bars("Bars are parts of the limit", columns, rows, ("s0", "s1"), Decimal(1))
    return section(
        "Budgets",
        "In their present window, whatever time this page is about.",
        legend(("spent", "reserved"), ("s0", "s1")),
        drawn,
    )
