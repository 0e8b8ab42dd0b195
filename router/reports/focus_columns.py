"""Columns of FOCUS 1.2, the FinOps Open Cost and Usage Specification, that a report of ours has.

https://focus.finops.org/focus-specification/v1-2/ : all 21 mandatory ones, and those conditional
or recommended that apply: usage is measured, unit prices are published, tags are supported. There
are no invoices, commitments, regions, resources or sub-accounts here; those columns are left out,
as 1.2 allows. Columns of our own begin with `x_` and come last.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

VERSION = "1.2"

Level: TypeAlias = Literal["Mandatory", "Conditional", "Recommended", "Custom"]


class Column(NamedTuple):
    """What the specification says of a column; `allowed` has its values where they are listed."""

    level: Level
    nulls: bool
    kind: type = str
    allowed: tuple[str, ...] = ()


_INSTANT, _MONEY = str, Decimal
"""Instants are text in the one form that the specification allows: 2026-11-01T00:00:00Z."""

COLUMNS: Mapping[str, Column] = {
    "BilledCost": Column("Mandatory", nulls=False, kind=_MONEY),
    "BillingAccountId": Column("Mandatory", nulls=False),
    "BillingAccountName": Column("Mandatory", nulls=True),
    "BillingCurrency": Column("Mandatory", nulls=False),
    "BillingPeriodEnd": Column("Mandatory", nulls=False, kind=_INSTANT),
    "BillingPeriodStart": Column("Mandatory", nulls=False, kind=_INSTANT),
    "ChargeCategory": Column(
        "Mandatory", nulls=False, allowed=("Usage", "Purchase", "Tax", "Credit", "Adjustment")
    ),
    "ChargeClass": Column("Mandatory", nulls=True, allowed=("Correction",)),
    "ChargeDescription": Column("Mandatory", nulls=True),
    "ChargeFrequency": Column(
        "Recommended", nulls=False, allowed=("One-Time", "Recurring", "Usage-Based")
    ),
    "ChargePeriodEnd": Column("Mandatory", nulls=False, kind=_INSTANT),
    "ChargePeriodStart": Column("Mandatory", nulls=False, kind=_INSTANT),
    "ConsumedQuantity": Column("Conditional", nulls=True, kind=Decimal),
    "ConsumedUnit": Column("Conditional", nulls=True),
    "ContractedCost": Column("Mandatory", nulls=False, kind=_MONEY),
    "ContractedUnitPrice": Column("Conditional", nulls=True, kind=_MONEY),
    "EffectiveCost": Column("Mandatory", nulls=False, kind=_MONEY),
    "InvoiceIssuerName": Column("Mandatory", nulls=False),
    "ListCost": Column("Mandatory", nulls=False, kind=_MONEY),
    "ListUnitPrice": Column("Conditional", nulls=True, kind=_MONEY),
    "PricingCategory": Column(
        "Conditional", nulls=True, allowed=("Standard", "Dynamic", "Committed", "Other")
    ),
    "PricingQuantity": Column("Mandatory", nulls=True, kind=Decimal),
    "PricingUnit": Column("Mandatory", nulls=True),
    "ProviderName": Column("Mandatory", nulls=False),
    "PublisherName": Column("Mandatory", nulls=False),
    "ServiceCategory": Column("Mandatory", nulls=False, allowed=("AI and Machine Learning",)),
    "ServiceName": Column("Mandatory", nulls=False),
    "ServiceSubcategory": Column("Recommended", nulls=False, allowed=("Generative AI",)),
    "SkuId": Column("Conditional", nulls=True),
    "SkuMeter": Column("Conditional", nulls=True),
    "SkuPriceDetails": Column("Conditional", nulls=True),
    "SkuPriceId": Column("Conditional", nulls=True),
    "Tags": Column("Conditional", nulls=True),
    "x_CostSource": Column("Custom", nulls=False, allowed=("Reported", "Estimated")),
    "x_Host": Column("Custom", nulls=True),
    "x_HostKind": Column(
        "Custom", nulls=False, allowed=("Api", "Self-Hosted", "Recording", "Unknown")
    ),
    "x_Mode": Column("Custom", nulls=True),
    "x_Model": Column("Custom", nulls=True),
    "x_RatesId": Column("Custom", nulls=True),
}
