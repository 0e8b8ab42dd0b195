"""What FOCUS 1.2 says of columns, by hand (https://focus.finops.org/focus-specification/v1-2/).

Feature levels and nullability of every column it has, the values it allows, and in `check` how
columns of one row depend on each other.
"""

import json
import re
from decimal import Decimal

MANDATORY = {  # column: may it be null
    "BilledCost": False,
    "BillingAccountId": False,
    "BillingAccountName": True,
    "BillingCurrency": False,
    "BillingPeriodEnd": False,
    "BillingPeriodStart": False,
    "ChargeCategory": False,
    "ChargeClass": True,
    "ChargeDescription": True,
    "ChargePeriodEnd": False,
    "ChargePeriodStart": False,
    "ContractedCost": False,
    "EffectiveCost": False,
    "InvoiceIssuerName": False,
    "ListCost": False,
    "PricingQuantity": True,
    "PricingUnit": True,
    "ProviderName": False,
    "PublisherName": False,
    "ServiceCategory": False,
    "ServiceName": False,
}
OTHERS = {  # conditional and recommended ones, of those that 1.2 has
    "AvailabilityZone": True,
    "BillingAccountType": False,
    "CapacityReservationId": True,
    "CapacityReservationStatus": True,
    "ChargeFrequency": False,
    "CommitmentDiscountCategory": True,
    "CommitmentDiscountId": True,
    "CommitmentDiscountName": True,
    "CommitmentDiscountQuantity": True,
    "CommitmentDiscountStatus": True,
    "CommitmentDiscountType": True,
    "CommitmentDiscountUnit": True,
    "ConsumedQuantity": True,
    "ConsumedUnit": True,
    "ContractedUnitPrice": True,
    "InvoiceId": True,
    "ListUnitPrice": True,
    "PricingCategory": True,
    "PricingCurrency": True,
    "PricingCurrencyContractedUnitPrice": True,
    "PricingCurrencyEffectiveCost": True,
    "PricingCurrencyListUnitPrice": True,
    "RegionId": True,
    "RegionName": True,
    "ResourceId": True,
    "ResourceName": True,
    "ResourceType": True,
    "ServiceSubcategory": False,
    "SkuId": True,
    "SkuMeter": True,
    "SkuPriceDetails": True,
    "SkuPriceId": True,
    "SubAccountId": True,
    "SubAccountName": True,
    "SubAccountType": True,
    "Tags": True,
}
ALLOWED = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {None, "Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {None, "Standard", "Dynamic", "Committed", "Other"},
    "ServiceCategory": {"AI and Machine Learning"},
    "ServiceSubcategory": {"Generative AI"},
}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
UNIT = re.compile(r"(\d+ )?(Tokens|Requests)")


def check(row):
    """What 1.2 demands of a row, as far as it concerns our columns."""
    for name, value in row.items():
        nulls = {**MANDATORY, **OTHERS}.get(name, True)
        assert value is not None or nulls, name
        assert value != "", name
        if name.endswith(("PeriodStart", "PeriodEnd")):
            assert INSTANT.fullmatch(value), name
        if name.endswith(("Cost", "Quantity", "UnitPrice")):
            assert value is None or isinstance(value, Decimal), name
    for name, allowed in ALLOWED.items():
        assert row[name] in allowed, name
    assert row["BillingCurrency"] == "USD"
    assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"]
    assert row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]
    assert (row["PricingUnit"] is None) == (row["PricingQuantity"] is None)
    assert (row["ConsumedUnit"] is None) == (row["ConsumedQuantity"] is None)
    assert (row["ConsumedQuantity"] is not None) == (row["ChargeCategory"] == "Usage")
    for kind in ("List", "Contracted"):
        price = row[f"{kind}UnitPrice"]
        if row["ChargeCategory"] == "Usage":
            assert price >= 0
            assert price * row["PricingQuantity"] == row[f"{kind}Cost"]
        else:
            assert price is None
            assert row[f"{kind}Cost"] == row["BilledCost"]
    if row["ChargeCategory"] == "Usage":
        assert row["SkuPriceId"].startswith(row["SkuId"])
        assert row["SkuMeter"]
        assert UNIT.fullmatch(row["PricingUnit"])
        assert UNIT.fullmatch(row["ConsumedUnit"])
    if row["Tags"] is not None:
        assert all(isinstance(v, str) for v in json.loads(row["Tags"]).values())
