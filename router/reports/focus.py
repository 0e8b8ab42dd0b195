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
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from router.catalog import Catalog
from router.errors import InvalidRequestError
from router.frames import to_frame
from router.ledgers import Entry
from router.money import to_usd
from router.reports.charges import FEE, MILLION, Charges, Group, Part, charges_of
from router.reports.csv import BLANK, SIGNS
from router.reports.focus_columns import COLUMNS
from router.reports.periods import hour_of, month_of, next_day, start_of, zone_of
from router.reports.prices import RatesOf, billed_by
from router.reports.table import Table

_SIGN = re.compile(f"(?<=[\"',;|{BLANK}])[{SIGNS}]|[\ud800-\udfff]")
_INSTANTS = frozenset(name for name in COLUMNS if name.endswith(("PeriodStart", "PeriodEnd")))
_PLACES = dict.fromkeys(("ListCost", "ContractedCost"), 18)
"""Of exact products; what was billed is rounded up to 12 places, and unit prices have no more."""
_FAMILIES = (
    ("deepseek", "DeepSeek"),
    ("gpt-", "OpenAI"),
    ("claude", "Anthropic"),
    ("gemini", "Google"),
    ("mixtral", "Mistral AI"),
)


@dataclass(frozen=True, slots=True, repr=False)
class Focus(Table):
    """Rows of FOCUS 1.2. `total` is their BilledCost, exactly the ledger's; `unpriced` calls are
    in none of them, for their cost is not known. `unlisted` calls are adjustments, for their price
    row is not in the catalogue.
    """

    charges: Mapping[Group, Charges]
    unpriced: int
    catalog: Catalog
    zone: ZoneInfo
    account: str
    unlisted: int = 0

    @property
    def total(self) -> Decimal:
        """The sum of BilledCost in USD."""
        return to_usd(sum(c.total for c in self.charges.values()))

    @property
    def brief(self) -> tuple[str, ...]:
        """The columns that are shown where there is little room."""
        return "ChargePeriodStart", "x_Model", "x_Host", "SkuMeter", "BilledCost"

    @property
    def kinds(self) -> Mapping[str, type]:
        """The columns in their order, with their types."""
        return {name: column.kind for name, column in COLUMNS.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for group, charges in self.charges.items():
            shared = self._shared(group)
            for part, billed in charges.billed():
                yield _filled(shared | _usage(group, part, billed))
            for why, amount in sorted(charges.others.items()):
                yield _filled(shared | _adjustment(group, why, amount))

    def __len__(self) -> int:
        return sum(len(c.billed()) + len(c.others) for c in self.charges.values())

    def to_frame(self, backend: str = "pandas") -> Any:
        """The rows as a frame of "pandas", "polars" or "pyarrow": periods as instants, amounts as
        decimals of the same places in every data set.

        Raises:
            ConfigError: the library is not installed; says what to install.
            InvalidRequestError: no such backend.
        """
        kinds = dict(self.kinds) | dict.fromkeys(_INSTANTS, datetime)
        return to_frame(self.columns, map(_instants, self), backend, kinds=kinds, places=_PLACES)

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
    earlier: Iterable[Entry] = (),
) -> Focus:
    """The ledger's lines as FOCUS 1.2: charge periods are days or hours ("day", "hour") and
    billing periods months of the zone `tz`, written in UTC; `account` is the BillingAccountId.

    A correction is a "Correction" where what it corrects is of an earlier month: `earlier` are
    the month's lines before these, where these begin within a month.

    Raises:
        InvalidRequestError: an unknown zone or period, or an empty account.
    """
    if period not in ("day", "hour"):
        raise InvalidRequestError(f"period: expected day or hour, got {period!r}", param="period")
    if not (isinstance(account, str) and account.strip()):
        said = "an empty one" if isinstance(account, str) else repr(account)
        raise InvalidRequestError(f"account: expected a name, got {said}", param="account")
    zone = zone_of(tz)
    priced = rates_of or billed_by(catalog)
    charges, unpriced, unlisted = charges_of(
        entries, priced, zone, hourly=period == "hour", earlier=earlier
    )
    return Focus(charges, unpriced, catalog, zone, account, unlisted)


def tags_json(tags: Mapping[str, str]) -> str:
    """Tags as the JSON object of FOCUS, in order; what a sheet could run as a formula is escaped
    as JSON does, so that reading it gives the same text.
    """
    text = json.dumps(tags, ensure_ascii=False, sort_keys=True)
    # What the guard of CSV would mark, and what UTF-8 has not: JSON can say both in ASCII.
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


def _adjustment(group: Group, why: str, amount: int) -> dict[str, Any]:
    costs = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
    return {
        **dict.fromkeys(costs, to_usd(amount)),
        "ChargeCategory": "Adjustment",
        "ChargeDescription": f"{group.candidate or 'a budget lease'}: {why}",
    }


def _instants(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if name in _INSTANTS else value
        for name, value in row.items()
    }


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in COLUMNS}


def _period(group: Group, zone: ZoneInfo) -> tuple[datetime, datetime]:
    if isinstance(group.start, datetime):
        return hour_of(group.start, zone)
    return start_of(group.start, zone), start_of(next_day(group.start), zone)


def _publisher(model: str) -> str:
    return next((name for prefix, name in _FAMILIES if model.startswith(prefix)), "")


def _stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
