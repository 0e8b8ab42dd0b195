"""What reconciling a bill found: residuals by day and model, and what explains each model's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from html import escape
from typing import Any

from router.bills.causes import Cause
from router.bills.drift import Drift
from router.bills.lines import Invoice
from router.money import to_usd
from router.reports.table import Table

_COLUMNS: dict[str, type] = {
    "day": date,
    "model": str,
    **dict.fromkeys(("billed_usd", "ledger_usd", "residual_usd", "low_usd", "high_usd"), Decimal),
    "alarm": bool,
    **dict.fromkeys(
        (
            *("billed_requests", "ledger_requests", "billed_input_tokens", "ledger_input_tokens"),
            *("billed_cache_read_tokens", "ledger_cache_read_tokens"),
            *("billed_output_tokens", "ledger_output_tokens"),
        ),
        int,
    ),
    "cause": str,
}
_BRIEF = ("day", "model", "billed_usd", "ledger_usd", "residual_usd", "cause")


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """One model on one day: what was billed and what the ledger says, in pico-dollars.

    `low` and `high` are how far the bill may be below and above the ledger by what that only
    counted or assumed. Tokens and requests are None where the bill does not tell them.
    """

    day: date
    model: str
    billed: int | None
    ours: int | None
    low: int
    high: int
    alarm: bool
    billed_requests: int | None
    our_requests: int
    billed_tokens: tuple[int, int, int] | None
    our_tokens: tuple[int, int, int]
    cause: str = ""

    @property
    def residual(self) -> int | None:
        """Billed less ours; None where either is not known."""
        return None if self.billed is None or self.ours is None else self.billed - self.ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One model over all days, in pico-dollars, with what explains the difference.

    `causes` is empty where there is no alarm, and ("unexplained",) where nothing fits well
    enough; `could_be` then names what came near. `explained` is the part of the difference, day
    by day and kind by kind, that the causes account for. `says` and `advice` are for people.
    """

    model: str
    billed: int | None
    ours: int | None
    low: int
    high: int
    alarm: bool
    causes: tuple[Cause, ...] = ()
    explained: float = 0.0
    could_be: tuple[Cause, ...] = ()
    says: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    corrections: tuple[int, ...] = ()

    @property
    def residual(self) -> int | None:
        """Billed less ours; None where either is not known."""
        return None if self.billed is None or self.ours is None else self.billed - self.ours

    def __str__(self) -> str:
        if self.residual is None or self.billed is None or self.ours is None:
            return f"{self.model}: {'; '.join((*self.says, *self.advice))}"
        share = f" ({self.residual * 100 / self.ours:+.1f} %)" if self.ours else ""
        head = (
            f"{self.model}: billed {_cents(self.billed)}, ours {_cents(self.ours)}, "
            f"{_cents(self.residual, plus=True)}{share}"
        )
        if not self.alarm:
            return f"{head}: agrees"
        return f"{head}: {'; and '.join(self.says)}; {'; '.join(self.advice)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What a ledger would need to agree with the bill: proposed, never booked. Pico-dollars."""

    day: date
    model: str
    amount: int
    why: str

    @property
    def usd(self) -> Decimal:
        """The amount in USD."""
        return to_usd(self.amount)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Reconciliation(Table):
    """A bill against a ledger. `alarm` is whether anything differs beyond tolerance and doubt.

    Iterates as mappings, one a day and model, in USD. `drift` is what hosts said in their answers
    that they charged, against the ledger. `notes` is what to know beside: lines left out, stale
    prices, calls without a price, money that belongs to no call.
    """

    invoice: Invoice | None
    residuals: tuple[Residual, ...]
    findings: tuple[Finding, ...]
    drift: tuple[Drift, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def alarm(self) -> bool:
        """Whether somebody should look."""
        found = [f.alarm for f in self.findings] + [d.alarm for d in self.drift]
        return any(found)

    @property
    def billed(self) -> Decimal | None:
        """What the bill charges for usage, in USD; None where it has no amounts of a model."""
        return _sum(f.billed for f in self.findings)

    @property
    def ours(self) -> Decimal | None:
        """What the ledger says of the same days and models, in USD; None where it has calls
        without a known price. `findings` have what is known of each model.
        """
        return _sum(f.ours for f in self.findings)

    @property
    def brief(self) -> tuple[str, ...]:
        """The columns that are shown where there is little room."""
        return _BRIEF

    @property
    def kinds(self) -> Mapping[str, type]:
        """The columns in their order, with their types."""
        return _COLUMNS

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (_as_dict(residual) for residual in self.residuals)

    def __len__(self) -> int:
        return len(self.residuals)

    def corrections(self) -> list[Correction]:
        """What would bring the ledger to the bill, by day and model, where there is an alarm.

        Nothing is booked: the calls themselves were charged as they were.
        """
        known = {f.model: f for f in self.findings if f.alarm}
        return [
            Correction(day=r.day, model=r.model, amount=r.residual, why=", ".join(f.causes))
            for r in self.residuals
            if (f := known.get(r.model)) is not None and r.residual
        ]

    def __bool__(self) -> bool:
        """Always True, for without rows there may be an alarm: that of `drift`."""
        return True

    def __repr__(self) -> str:
        models, hosts = [f.alarm for f in self.findings], [d.alarm for d in self.drift]
        parts = [(sum(models), len(models), "models"), (sum(hosts), len(hosts), "reported costs")]
        said = [f"{off} of {n} {what} off" for off, n, what in parts if n] or ["nothing compared"]
        alarm = "alarm" if self.alarm else "no alarm"
        return f"Reconciliation({alarm}: {', '.join(said)}; {len(self):,} rows)"

    def __str__(self) -> str:
        lines = [str(finding) for finding in self.findings]
        lines += [str(drift) for drift in self.drift]
        if not lines:
            bill = "no usage in the bill, and no calls in its days"
            lines = ["no host has reported costs" if self.invoice is None else bill]
        return "\n".join([*lines, *self.notes])

    def _repr_html_(self) -> str:
        said = "".join(f"<li>{escape(line)}</li>" for line in str(self).splitlines())
        head = f"<p>{'Alarm' if self.alarm else 'No alarm'}</p><ul>{said}</ul>"
        return head + (Table._repr_html_(self) if len(self) else "")


def _cents(pico: int, *, plus: bool = False) -> str:
    places = 2 if abs(pico) >= 10**12 else 4
    sign = "+" if plus and pico >= 0 else ""
    return f"{sign}{to_usd(pico):.{places}f}"


def _as_dict(r: Residual) -> dict[str, Any]:
    values: Sequence[Any] = (
        *(r.day, r.model, _usd(r.billed), _usd(r.ours), _usd(r.residual)),
        *(to_usd(-r.low), to_usd(r.high), r.alarm, r.billed_requests, r.our_requests),
        *_pairs(r.billed_tokens, r.our_tokens),
        r.cause,
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _pairs(billed: tuple[int, ...] | None, ours: tuple[int, ...]) -> Iterator[int | None]:
    for i, value in enumerate(ours):
        yield None if billed is None else billed[i]
        yield value


def _usd(pico: int | None) -> Decimal | None:
    return None if pico is None else to_usd(pico)


def _sum(amounts: Iterable[int | None]) -> Decimal | None:
    """Pico-dollars in USD; a sum with an unknown part is unknown."""
    found = list(amounts)
    return None if None in found else to_usd(sum(amount or 0 for amount in found))
