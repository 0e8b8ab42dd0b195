"""A host's bill against the ledger: what differs, by how much for certain, and most likely why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from router.bills.calls import History, Paid, read_history
from router.bills.case import Case, case_of
from router.bills.drift import drift_of
from router.bills.explain import explain_all
from router.bills.figures import day_in
from router.bills.findings import Tolerance, finding_of, is_off, residuals_of
from router.bills.invoice import read_invoice
from router.bills.lines import BillLine, Invoice
from router.bills.naming import Names
from router.bills.result import Finding, Reconciliation, Residual
from router.catalog import Catalog
from router.catalog.check import check
from router.catalog.rates import aware
from router.errors import InvalidRequestError

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
        InvalidRequestError: no host is known whose bill this is.
    """
    catalog, within = catalog or Catalog.default(), tolerance or Tolerance()
    for name, day in (("since", since), ("until", until)):
        if day is not None and (isinstance(day, datetime) or not isinstance(day, date)):
            raise InvalidRequestError(
                f"{name}: expected a day of the bill, such as date(2026, 11, 1); got "
                f"{type(day).__name__}",
                param=name,
            )
    if invoice is None:
        found = read_history(history, since=_start(since), until=_start(until))
        calls = [c for c in found.calls if host is None or c.host == host]
        return Reconciliation(
            invoice=None,
            residuals=(),
            findings=(),
            drift=drift_of(calls, share=within.share, usd=within.usd),
        )
    if not isinstance(invoice, Invoice):
        files = (invoice,) if isinstance(invoice, (str, Path)) else tuple(invoice)
        invoice = read_invoice(*files, **reading)
    where = host or invoice.host
    if not where:
        raise InvalidRequestError(
            f"host: expected whose bill this is, such as 'deepinfra'; {invoice.shape} does not "
            "say",
            param="host",
        )
    days = _days(invoice, since, until)
    first = datetime.combine(days[0], time(), invoice.zone)
    last = datetime.combine(days[-1] + _DAY, time(), invoice.zone)
    found = read_history(history, since=first - _DAY, until=last + _DAY)
    calls = [call for call in found.calls if call.host == where]
    names = Names(catalog, where, {call.endpoint for call in calls}, models)
    cases = _cases(invoice, found, calls, days, catalog, where, names)
    residuals: list[Residual] = []
    findings: list[Finding] = []
    alarming = [case for case in cases if case.calls and case.lines and is_off(case, within)]
    whys = dict(zip(map(id, alarming), explain_all(alarming, within.of), strict=True))
    for case in cases:
        finding = finding_of(case, within, whys.get(id(case)))
        findings.append(finding)
        residuals += residuals_of(case, within, ", ".join(finding.causes))
    inside = [c for c in calls if day_in(c.ended, invoice.zone) in set(days)]
    return Reconciliation(
        invoice=invoice,
        residuals=tuple(sorted(residuals, key=lambda r: (r.day, r.model))),
        findings=tuple(sorted(findings, key=lambda f: -abs(f.residual or 0))),
        drift=drift_of(inside, share=within.share, usd=within.usd),
        notes=tuple(_notes(invoice, cases, found, catalog, at, names)),
    )


def _start(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)


def _days(invoice: Invoice, since: date | None, until: date | None) -> list[date]:
    seen = [line.day for line in invoice.lines if line.nature == "usage"] or list(invoice.days)
    if not seen and (since is None or until is None):
        raise InvalidRequestError("since, until: the bill has no lines, so say its days")
    first = since or min(seen)
    end = until or max(seen) + _DAY
    if not timedelta(0) < end - first <= timedelta(days=3700):
        raise InvalidRequestError(
            f"since, until: expected a span of days, got {first} to {end}", param="since"
        )
    return [first + timedelta(days=i) for i in range((end - first).days)]


def _cases(
    invoice: Invoice,
    found: History,
    calls: Sequence[Paid],
    days: list[date],
    catalog: Catalog,
    host: str,
    names: Names,
) -> list[Case]:
    answered = {c.request_id: c for c in found.calls if c.state in {"told", "counted"}}
    lines: dict[str, list[BillLine]] = {}
    inside = set(days)
    for line in invoice.of("usage"):
        if line.day in inside:
            lines.setdefault(names.endpoint(line.model), []).append(line)
    whole = f"*@{host}"
    by_model: dict[str, list[Paid]] = {}
    for call in calls:
        by_model.setdefault(whole if whole in lines else call.endpoint, []).append(call)
    if whole in lines:  # some lines name no model, so all are taken together
        lines = {whole: [line for some in lines.values() for line in some]}
    cases = []
    for name in sorted(lines.keys() | by_model.keys()):
        case = case_of(
            *(name, lines.get(name, []), by_model.get(name, []), days, invoice.zone),
            *(catalog, answered),
        )
        if case.lines or case.calls:
            cases.append(case)
    return cases


def _notes(
    invoice: Invoice,
    cases: Sequence[Case],
    found: History,
    catalog: Catalog,
    at: datetime | None,
    names: Names,
) -> list[str]:
    notes = list(invoice.notes)
    notes += [
        f"{word!r} on the bill is taken for {name}; if it is another, say so with models="
        for word, name in sorted(names.guessed.items())
    ]
    for nature in ("tax", "credit", "other"):
        amount = invoice.amount(nature)
        if amount:
            notes.append(f"{nature} on the bill, not compared: {amount:.2f} USD")
    if invoice.repeated:
        notes.append(f"{len(invoice.repeated)} lines repeat others")
    if found.held:
        held = Decimal(found.held) / 10**12
        notes.append(f"{held:.4f} USD of the ledger were held by processes: of no call")
    notes += [
        f"{case.endpoint}: {case.edited:,} calls were charged by prices that the catalogue no "
        "longer has; ours is what was charged"
        for case in cases
        if case.edited
    ]
    used = {case.endpoint for case in cases}
    now = (
        aware(at)
        if at is not None
        else max((c.call.ended for case in cases for _, c in case.calls), default=None)
    )
    if now is not None:
        for finding in check(catalog, now):
            if finding.kind in {"stale", "withdrawn", "calendar"}:
                name = finding.name.partition("/")[0]
                if name in used or finding.kind == "calendar":
                    notes.append(f"catalogue: {finding.name}: {finding.says}")
    return notes
