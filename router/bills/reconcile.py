"""A host's bill against the ledger: what differs, by how much for certain, and most likely why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from router.bills.asked import check_days, check_host, check_models, check_request
from router.bills.calls import History, Paid, read_history
from router.bills.case import Case, case_of
from router.bills.drift import drift_of
from router.bills.figures import day_in
from router.bills.findings import Tolerance, finding_of, is_off, residuals_of
from router.bills.invoice import read_invoice
from router.bills.lines import BillLine, Invoice
from router.bills.naming import Names
from router.bills.notes import notes_of, of_other_hosts, outside, stale_prices
from router.bills.result import Finding, Reconciliation, Residual
from router.bills.together import explain_all
from router.bills.tokens import at_our_prices
from router.catalog import Catalog
from router.errors import InvalidRequestError, UnknownHostError, UnknownModelError

_DAY = timedelta(days=1)


def reconcile(
    invoice: str | Path | Sequence[str | Path] | Invoice | None,
    history: Any,
    catalog: Catalog | None = None,
    *,
    host: str | None = None,
    models: Mapping[str, str] | None = None,
    tolerance: Tolerance | None = None,
    since: date | None = None,
    until: date | None = None,
    at: datetime | None = None,
    **reading: Any,
) -> Reconciliation:
    """Compare a bill (files, or what `read_invoice` read) with a ledger, client, path or entries.

    `since` and `until` (exclusive) are days of the bill, those of its lines by default; `models`
    says what its words mean ("gpt x" -> "gpt-5"); `at` is the instant as of which the catalogue's
    staleness is told. `reading` goes to `read_invoice`. With None for a bill only `drift` is
    looked at: what hosts reported with their answers. The tolerance is 0.5 %, at least a cent,
    for each day and for each model.

    Raises:
        ConfigError: an invoice that cannot be read, or a ledger that cannot.
        UnknownHostError, UnknownModelError: a host, or a model of `models`, that nobody knows.
        InvalidRequestError: no host is named whose bill this is, or an argument of a wrong type.
    """
    check_request(catalog, host, models, since, until, at)
    catalog, within = catalog or Catalog.default(), _tolerance(tolerance)
    history = _kept(history)
    if invoice is None:
        return _drift_only(history, catalog, host, within, since, until)
    bill = _bill(invoice, reading)
    where = _host_of(bill, host)
    others = of_other_hosts(bill.lines, where)
    mine = tuple(line for line in bill.lines if not line.host or line.host == where)
    bill = bill if len(mine) == len(bill.lines) else replace(bill, lines=mine)
    days = _days(bill, since, until)
    first = datetime.combine(days[0], time(), bill.zone)
    last = datetime.combine(days[-1] + _DAY, time(), bill.zone)
    found = read_history(history, since=first - _DAY, until=last + _DAY)
    calls = [call for call in found.calls if call.host == where]
    called = {call.endpoint for call in calls}
    _check_names(history, catalog, where, models, called)
    names = Names(catalog, where, called, models)
    lines, unnamed = _lines_of(bill, names, days)
    cases = _cases(bill, lines, found, calls, days, catalog, where)
    residuals: list[Residual] = []
    findings: list[Finding] = []
    alarming = [case for case in cases if case.calls and case.lines and is_off(case, within)]
    explained = explain_all([at_our_prices(case) for case in alarming], within.of)
    whys = dict(zip(map(id, alarming), explained, strict=True))
    for case in cases:
        finding = finding_of(case, within, whys.get(id(case)))
        findings.append(finding)
        residuals += residuals_of(case, within, ", ".join(finding.causes))
    inside = [c for c in calls if day_in(c.ended, bill.zone) in set(days)]
    span = {"before": since is None, "after": until is None}
    return Reconciliation(
        invoice=bill,
        residuals=tuple(sorted(residuals, key=lambda r: (r.day, r.model))),
        findings=tuple(sorted(findings, key=lambda f: -abs(f.residual or 0))),
        drift=drift_of(inside, share=within.share, usd=within.usd),
        notes=(
            *notes_of(bill, cases, found, names, unnamed),
            *others,
            *outside(history, where, days, bill.zone, **span),
            *stale_prices(catalog, cases, at),
        ),
    )


def _tolerance(given: Any) -> Tolerance:
    if given is not None and not isinstance(given, Tolerance):
        raise InvalidRequestError(
            "tolerance: expected one such as Tolerance(share=Decimal('0.01')), got "
            f"{type(given).__name__}",
            param="tolerance",
        )
    return given or Tolerance()


def _kept(history: Any) -> Any:
    """The same; entries that can be read once only are kept, for they are read more often."""
    return tuple(history) if isinstance(history, Iterator) else history


def _bill(invoice: Any, reading: Mapping[str, Any]) -> Invoice:
    if isinstance(invoice, Invoice):
        return invoice
    if isinstance(invoice, (str, Path)):
        return read_invoice(invoice, **reading)
    if isinstance(invoice, (bytes, Mapping)) or not isinstance(invoice, Iterable):
        raise InvalidRequestError(
            "invoice: expected the path of a file, several, or what read_invoice read; got "
            f"{type(invoice).__name__}",
            param="invoice",
        )
    return read_invoice(*invoice, **reading)


def _host_of(bill: Invoice, host: str | None) -> str:
    told = sorted({line.host for line in bill.lines if line.host})
    where = host or bill.host or (told[0] if len(told) == 1 else "")
    if where:
        return where
    hosts = f"has lines of {', '.join(told)}" if told else "does not say"
    raise InvalidRequestError(
        f"host: expected whose bill this is, such as 'deepinfra'; {bill.shape} {hosts}",
        param="host",
    )


def _check_names(
    history: Any,
    catalog: Catalog,
    host: str,
    models: Mapping[str, str] | None,
    called: Collection[str],
) -> None:
    """Refuse a host or a model that neither the catalogue nor any line of the ledger knows."""
    try:
        check_host(host, catalog, {name.rpartition("@")[2] for name in called})
        check_models(models, host, catalog, called)
    except (UnknownHostError, UnknownModelError):
        ever = {call.endpoint for call in read_history(history).calls}
        check_host(host, catalog, {name.rpartition("@")[2] for name in ever})
        check_models(models, host, catalog, ever)


def _drift_only(
    history: Any,
    catalog: Catalog,
    host: str | None,
    within: Tolerance,
    since: date | None,
    until: date | None,
) -> Reconciliation:
    found = read_history(history, since=_start(since), until=_start(until))
    calls = [c for c in found.calls if host is None or c.host == host]
    if host is not None and not calls:
        _check_names(history, catalog, host, None, ())
    return Reconciliation(
        invoice=None,
        residuals=(),
        findings=(),
        drift=drift_of(calls, share=within.share, usd=within.usd),
    )


def _start(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)


def _days(bill: Invoice, since: date | None, until: date | None) -> list[date]:
    seen = [line.day for line in bill.lines if line.nature == "usage"] or list(bill.days)
    if not seen and (since is None or until is None):
        raise InvalidRequestError("since, until: the bill has no lines, so say its days")
    check_days("invoice", seen)
    first = since or min(seen)
    end = until or max(seen) + _DAY
    if not timedelta(0) < end - first <= timedelta(days=3700):
        raise InvalidRequestError(
            f"since, until: expected a span of days, got {first} to {end}", param="since"
        )
    return [first + timedelta(days=i) for i in range((end - first).days)]


def _lines_of(
    bill: Invoice, names: Names, days: Sequence[date]
) -> tuple[dict[str, list[BillLine]], list[BillLine]]:
    """The usage of these days by endpoint, all in one where no line names a model; and the lines
    that name none where others do: they are of tools, fees, or of nobody knows what.
    """
    lines: dict[str, list[BillLine]] = {}
    inside = set(days)
    for line in bill.of("usage"):
        if line.day in inside:
            lines.setdefault(names.endpoint(line.model), []).append(line)
    unnamed = lines.pop(names.whole, []) if len(lines) > 1 else []
    return lines, unnamed


def _cases(
    bill: Invoice,
    lines: Mapping[str, list[BillLine]],
    found: History,
    calls: Sequence[Paid],
    days: list[date],
    catalog: Catalog,
    host: str,
) -> list[Case]:
    answered = {c.request_id: c for c in found.calls if c.state in {"told", "counted"}}
    whole = f"*@{host}"
    by_model: dict[str, list[Paid]] = {}
    for call in calls:
        by_model.setdefault(whole if whole in lines else call.endpoint, []).append(call)
    cases = []
    for name in sorted(lines.keys() | by_model.keys()):
        case = case_of(
            *(name, lines.get(name, []), by_model.get(name, []), days, bill.zone),
            *(catalog, answered),
        )
        if case.lines or case.calls:
            cases.append(case)
    return cases
