"""Spend as a FOCUS 1.2 data set: one row for each day or hour, candidate, tags and kind of token.

`BilledCost` adds up to the ledger to the last pico-dollar; `ListCost` and `ContractedCost` are the
exact product of quantity and unit price, before each request is rounded up. What no price
explains, such as a lost call that is charged in full, is an "Adjustment". A cost that is unknown
is no row: the specification has no null there, and it is not zero; `unpriced` counts those calls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from router.catalog import Catalog
from router.errors import InvalidRequestError
from router.ledgers import Entry
from router.money import to_usd
from router.reports.charges import FEE, MILLION, Charges, Group, Part, charges_of
from router.reports.focus_columns import COLUMNS
from router.reports.periods import month_of, next_day, start_of, zone_of
from router.reports.prices import RatesOf, billed_by
from router.reports.table import Table

_SIGN = re.compile(r"(?<=[\",;|\s])[=+\-@＝＋－＠]")  # noqa: RUF001 - what sheets read alike
_FAMILIES = (
    ("deepseek", "DeepSeek"),
    ("gpt-", "OpenAI"),
    ("claude", "Anthropic"),
    ("gemini", "Google"),
    ("mixtral", "Mistral AI"),
)


@dataclass(frozen=True, slots=True)
class Focus(Table):
    """Rows of FOCUS 1.2. `total` is their BilledCost, exactly the ledger's; `unpriced` calls are
    in none of them, for their cost is not known.
    """

    charges: Mapping[Group, Charges]
    unpriced: int
    catalog: Catalog
    zone: ZoneInfo
    account: str

    @property
    def total(self) -> Decimal:
        """The sum of BilledCost in USD."""
        return to_usd(sum(c.cost + c.other for c in self.charges.values()))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in their order."""
        return tuple(COLUMNS)

    @property
    def kinds(self) -> Mapping[str, type]:
        """Types of the columns, for a report without rows."""
        return {name: column.kind for name, column in COLUMNS.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for group, charges in self.charges.items():
            shared = self._shared(group)
            for part, billed in charges.billed():
                yield _filled(shared | _usage(group, part, billed))
            if charges.others:
                yield _filled(shared | _adjustment(group, charges.other))

    def __len__(self) -> int:
        return sum(len(c.billed()) + bool(c.others) for c in self.charges.values())

    def _shared(self, group: Group) -> dict[str, Any]:
        start, end = _period(group, self.zone)
        first, after = month_of(start, self.zone)
        host, model = self.catalog.hosts.get(group.host), self.catalog.models.get(group.model)
        own = host is not None and host.self_hosted
        provider = (host.provider if host else "") or group.host or "centroute"
        kind = "Self-Hosted" if own else "Api" if host else "Unknown"
        recorded = host is not None and host.kind == "replay"
        return {
            "BillingAccountId": self.account,
            "BillingCurrency": "USD",
            "BillingPeriodStart": _stamp(first),
            "BillingPeriodEnd": _stamp(after),
            "ChargeClass": "Correction" if group.correction else None,
            "ChargeFrequency": "Usage-Based",
            "ChargePeriodStart": _stamp(start),
            "ChargePeriodEnd": _stamp(end),
            "InvoiceIssuerName": provider,
            "ProviderName": provider,
            "PublisherName": _publisher(group.model) or provider,
            "ServiceCategory": "AI and Machine Learning",
            "ServiceName": (model.title if model else "") or group.model or "Budget lease",
            "ServiceSubcategory": "Generative AI",
            "Tags": tags_json(dict(group.tags)) if group.tags else None,
            "x_CostSource": "Estimated" if group.estimated else "Reported",
            "x_Host": group.host or None,
            "x_HostKind": "Recording" if recorded else kind,
            "x_Mode": group.mode or None,
            "x_Model": group.model or None,
            "x_RatesId": group.rates_id or None,
        }


def focus_from(
    entries: Iterable[Entry],
    catalog: Catalog,
    *,
    tz: str = "UTC",
    period: str = "day",
    account: str = "centroute",
    rates_of: RatesOf | None = None,
) -> Focus:
    """The ledger's lines as FOCUS 1.2: charge periods are days or hours ("day", "hour") and
    billing periods months of the zone `tz`, written in UTC; `account` is the BillingAccountId.

    Raises:
        InvalidRequestError: an unknown zone or period, or an empty account.
    """
    if period not in {"day", "hour"}:
        raise InvalidRequestError(f"period: expected day or hour, got {period!r}", param="period")
    if not account.strip():
        raise InvalidRequestError("account: expected a name, got an empty one", param="account")
    zone = zone_of(tz)
    priced = rates_of or billed_by(catalog)
    charges, unpriced = charges_of(entries, priced, zone, hourly=period == "hour")
    return Focus(charges, unpriced, catalog, zone, account)


def tags_json(tags: Mapping[str, str]) -> str:
    """Tags as the JSON object of FOCUS, in order; what a sheet could run as a formula is escaped
    as JSON does, so that reading it gives the same text.
    """
    text = json.dumps(tags, ensure_ascii=False, sort_keys=True)
    return _SIGN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _usage(group: Group, part: Part, billed: int) -> dict[str, Any]:
    fee = part.meter == FEE
    unit, per = ("Requests", 1) if fee else ("1000000 Tokens", MILLION)
    price = to_usd(part.rate // MILLION if fee else part.rate)
    product = Decimal(part.amount).scaleb(-18)
    sku = f"{group.candidate}/{part.meter.lower().replace(' ', '-')}"
    marks = "".join(f"#{mark}" for mark in group.rates_id.split("#")[1:])
    what = "requests" if fee else f"{part.meter.lower()} tokens"
    return {
        "BilledCost": to_usd(billed),
        "EffectiveCost": to_usd(billed),
        "ListCost": product,
        "ContractedCost": product,
        "ListUnitPrice": price,
        "ContractedUnitPrice": price,
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{group.candidate}: {what} at {price.normalize():f} USD per {unit}",
        "ConsumedQuantity": Decimal(part.quantity),
        "ConsumedUnit": "Requests" if fee else "Tokens",
        "PricingCategory": "Standard",
        "PricingQuantity": Decimal(part.quantity) / per,
        "PricingUnit": unit,
        "SkuId": sku,
        "SkuMeter": f"{part.meter} Tokens" if not fee else part.meter,
        "SkuPriceId": sku + marks,
    }


def _adjustment(group: Group, amount: int) -> dict[str, Any]:
    usd = to_usd(amount)
    costs = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
    who = group.candidate or "a budget lease"
    said = "charged or returned without a price row that explains it: lost calls, corrections"
    return {
        **dict.fromkeys(costs, usd),
        "ChargeCategory": "Adjustment",
        "ChargeDescription": f"{who}: {said}",
    }


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in COLUMNS}


def _period(group: Group, zone: ZoneInfo) -> tuple[datetime, datetime]:
    if isinstance(group.start, datetime):
        return group.start, group.start + timedelta(hours=1)
    return start_of(group.start, zone), start_of(next_day(group.start), zone)


def _publisher(model: str) -> str:
    return next((name for prefix, name in _FAMILIES if model.startswith(prefix)), "")


def _stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
