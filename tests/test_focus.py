"""Reports as FOCUS 1.2 (https://focus.finops.org/focus-specification/v1-2/, June 2025).

What the specification demands is in `focus_rules`, by hand.
"""

import csv
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from focus_rules import MANDATORY, OTHERS, check
from random_ledger import random_entries
from spending import NOW, Book

from router.catalog import Catalog
from router.errors import InvalidRequestError
from router.ledgers.entries import LEASE, Entry, Record
from router.money import to_usd
from router.pricing import cost
from router.reports import focus_from
from router.reports.focus import tags_json
from router.types import Usage

CATALOG = Catalog.default()
V32 = "deepseek-v3.2@deepinfra"


def entry(at=NOW, kind="settle", usage=None, candidate=V32, **more):
    usage = Usage(input_tokens=1000, output_tokens=10) if usage is None else usage
    rates = CATALOG.rates(candidate, at, input_tokens=usage.input_tokens)
    model, _, host = candidate.partition("@")
    names = {"candidate": candidate, "model": model, "host": host, "mode": "chat"}
    record = {"request_id": "r", "policy": "utility", "tags": {}, **names}
    record |= more.pop("record", {})
    return Entry(
        **{
            "kind": kind,
            "at": at,
            "reservation_id": "r/0",
            "record": Record(**record),
            "usage": usage,
            "cost": cost(usage, rates).pico,
            "reserved": 10**9,
            "overage": 0,
            "outcome": "ok",
            "finish_reason": None,
            "seconds": 1.0,
            "rates_id": rates.id,
        }
        | more
    )


@pytest.mark.parametrize("period", ["day", "hour"])
@pytest.mark.parametrize("tz", ["UTC", "America/New_York"])
def test_rows_are_what_the_specification_says(period, tz):
    """No mandatory column is missing, no value is outside what 1.2 allows, in any row."""
    entries = random_entries(600, seed=5)
    focus = focus_from(entries, CATALOG, tz=tz, period=period)
    assert set(focus.columns) >= set(MANDATORY)
    standard = [c for c in focus.columns if not c.startswith("x_")]
    assert set(standard) <= set(MANDATORY) | set(OTHERS)
    assert focus.columns[: len(standard)] == tuple(sorted(standard))  # ours are behind them
    rows = list(focus)
    assert len(rows) == len(focus) > 500
    for row in rows:
        assert tuple(row) == focus.columns
        check(row)
    assert {row["ChargeCategory"] for row in rows} == {"Usage", "Adjustment"}
    assert sum(row["BilledCost"] for row in rows) == focus.total
    assert focus.total == to_usd(sum(e.cost for e in entries))


def test_kinds_of_tokens_at_their_prices():
    """One call is a row for each kind of token; quantities and unit prices are the host's."""
    usage = Usage(input_tokens=1_000_000, cache_read_tokens=400_000, output_tokens=250_000)
    rows = {row["SkuMeter"]: row for row in focus_from([entry(usage=usage)], CATALOG)}
    rates = CATALOG.rates(V32, NOW)
    assert set(rows) == {"Input Tokens", "Cached Input Tokens", "Output Tokens"}
    cached = rows["Cached Input Tokens"]
    assert cached["ConsumedQuantity"] == 400_000
    assert (cached["PricingQuantity"], cached["PricingUnit"]) == (
        Decimal("0.4"),
        "1000000 Tokens",
    )
    assert cached["ListUnitPrice"] == to_usd(rates.cache_read)
    assert cached["BilledCost"] == to_usd(rates.cache_read * 4 // 10)
    assert cached["x_RatesId"] == rates.id
    assert cached["ServiceName"] == CATALOG.models["deepseek-v3.2"].title
    assert (cached["PublisherName"], cached["x_HostKind"]) == ("DeepSeek", "Api")
    assert rows["Output Tokens"]["SkuId"] == f"{V32}/output"


def test_remainders_of_rounding_are_placed():
    """A request is rounded up once: what is over the products goes to the dearest kind, always."""
    usage = Usage(input_tokens=7, cache_read_tokens=3, output_tokens=1)
    calls = [entry(usage=usage) for _ in range(5)]
    rows = list(focus_from(calls, CATALOG))
    assert sum(r["BilledCost"] for r in rows) == to_usd(sum(c.cost for c in calls))
    for row in rows:
        assert abs(row["BilledCost"] - row["ListCost"]) < Decimal("6E-12")
    assert list(focus_from(reversed(calls), CATALOG)) == rows


def test_a_fee_for_each_request():
    """A host's fee is a row of requests, at its price each."""
    fee = Catalog.default().overlay(
        {
            "rate": [
                {
                    "endpoint": V32,
                    "valid_from": "2026-01-01",
                    "input": "1",
                    "output": "2",
                    "per_request": "0.005",
                    "source": "test",
                    "checked": "2026-01-01",
                }
            ]
        }
    )
    usage = Usage(input_tokens=1000, output_tokens=10)
    rates = fee.rates(V32, NOW)
    call = entry(usage=usage, cost=cost(usage, rates).pico, rates_id=rates.id)
    rows = {row["SkuMeter"]: row for row in focus_from([call, call], fee)}
    requests = rows["Requests"]
    assert requests["BilledCost"] == requests["ListCost"] == Decimal("0.01")
    assert (requests["PricingQuantity"], requests["PricingUnit"]) == (2, "Requests")
    assert requests["ListUnitPrice"] == Decimal("0.005")
    for row in rows.values():
        check(row)


def test_an_unknown_cost_is_no_row():
    """It is counted, not written: the specification has no null there, and zero would be false."""
    unknown = entry(cost=0, rates_id="")
    focus = focus_from([unknown, entry()], CATALOG)
    assert focus.unpriced == 1
    assert len(focus) == 2
    assert focus_from([unknown], CATALOG).total == 0


def test_what_is_no_charge():
    """Answers out of the response cache, calls that were not charged, returned leases."""
    lease = {"policy": LEASE, "candidate": "", "model": "", "mode": "", "host": ""}
    lines = [
        entry(cost=0, outcome="cached"),
        entry(cost=0, kind="release", rates_id="", usage=Usage()),
        entry(cost=0, kind="release", rates_id="", usage=Usage(), record=lease),
    ]
    focus = focus_from(lines, CATALOG)
    assert (len(focus), focus.unpriced, focus.total) == (0, 0, 0)


def test_a_lease_that_was_lost_is_an_adjustment():
    """Money that a process held and never accounted for is in the total, without a model."""
    lease = {"policy": LEASE, "candidate": "", "model": "", "mode": "", "host": ""}
    lost = entry(kind="expire", usage=Usage(), cost=5, rates_id="", record=lease)
    (row,) = focus_from([lost], CATALOG)
    check(row)
    assert (row["BilledCost"], row["ChargeCategory"]) == (to_usd(5), "Adjustment")
    assert row["x_Model"] is None


def test_corrections_by_the_month_that_they_correct():
    """Of a call that was lost in an earlier month: ChargeClass "Correction"; else none.

    The truth's tokens are usage at their price, what was assumed is given back.
    """
    later = NOW + timedelta(days=30)
    lost = entry(kind="expire", usage=Usage(estimated=True), cost=10**6, outcome="lost")
    for at, klass in ((NOW + timedelta(hours=1), None), (later, "Correction")):
        truth = entry(at=at, kind="correct")
        found = entry(at=at, kind="correct", cost=truth.cost - 10**6)
        focus = focus_from([lost, found], CATALOG)
        rows = list(focus)
        for row in rows:
            check(row)
        usage = [r for r in rows if r["ChargeCategory"] == "Usage"]
        assert {r["ChargeClass"] for r in usage} == {klass}
        assert sum(r["BilledCost"] for r in usage) == to_usd(truth.cost)
        assert focus.total == to_usd(truth.cost)
        assert sum(r["BilledCost"] for r in rows) == focus.total
    (alone,) = {r["ChargeClass"] for r in focus_from([found], CATALOG)}
    assert alone == "Correction"  # what it corrects is not in this time


def test_a_price_row_that_is_gone():
    """What was charged by a row that the catalogue no longer has is charged, unexplained."""
    focus = focus_from([entry(cost=123, rates_id=f"{V32}/1999-01-01")], CATALOG)
    (row,) = focus
    check(row)
    assert (row["ChargeCategory"], row["BilledCost"]) == ("Adjustment", to_usd(123))


def test_recordings_and_own_hosts_are_marked():
    """What a recording answered, or one's own GPUs, is told from what a provider bills."""
    name = "mixtral-8x7b-instruct-v0.1@"
    rows = list(focus_from([entry(candidate=name + h) for h in ("replay", "vllm")], CATALOG))
    assert {(r["x_Host"], r["x_HostKind"]) for r in rows} == {
        ("replay", "Recording"),
        ("vllm", "Self-Hosted"),
    }


def test_charge_periods_are_days_of_the_zone():
    """A day with a change of clock has 25 hours; billing periods are months of the same zone."""
    at = datetime(2026, 10, 24, 22, 30, tzinfo=UTC)  # half past midnight in Berlin
    row = next(iter(focus_from([entry(at=at)], CATALOG, tz="Europe/Berlin")))
    assert row["ChargePeriodStart"] == "2026-10-24T22:00:00Z"
    assert row["ChargePeriodEnd"] == "2026-10-25T23:00:00Z"
    assert row["BillingPeriodStart"] == "2026-09-30T22:00:00Z"
    assert row["BillingPeriodEnd"] == "2026-10-31T23:00:00Z"
    hours = focus_from([entry(at=at)], CATALOG, tz="Europe/Berlin", period="hour")
    assert next(iter(hours))["ChargePeriodEnd"] == "2026-10-24T23:00:00Z"
    assert hours.zone == ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "tags", [{"team": '=1;"=2'}, {"+k": "-v", "a": "b,=c"}, {"t": "\t=1"}, {"ü": "größe"}]
)
def test_tags_are_json_that_no_sheet_runs(tags):
    """Reading the JSON gives the very tags; no part of it begins like a formula."""
    text = tags_json(tags)
    assert json.loads(text) == tags
    for separator in ",;\t|":
        for piece in text.split(separator):
            assert piece.strip(' "')[:1] not in {*"=+-@"}


def test_tags_survive_the_file(tmp_path):
    """A CSV's Tags are those of the calls, whatever they hold; rows without tags have none."""
    tags = {"team": '=HYPERLINK("x";"y")', "user": "a,\nb"}
    calls = [entry(record={"tags": tags}), entry()]
    path = focus_from(calls, CATALOG).to_csv(tmp_path / "focus.csv", checksum=True)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["Tags"] for row in rows} == {"", tags_json(tags)}
    assert [json.loads(r["Tags"]) for r in rows if r["Tags"]] == [tags, tags]
    assert sum(Decimal(r["BilledCost"]) for r in rows) == to_usd(2 * calls[0].cost)


def test_an_empty_one_has_its_header(tmp_path):
    """Nothing spent is a file with all columns, and a typed frame."""
    focus = focus_from([], CATALOG)
    path = focus.to_csv(tmp_path / "focus.csv")
    assert path.read_text("utf-8") == ",".join(focus.columns) + "\n"


def test_what_cannot_be_asked_for():
    """A period that there is not, an unknown zone, an account without a name."""
    for wrong, word in (({"period": "week"}, "day or hour"), ({"account": " "}, "a name")):
        with pytest.raises(InvalidRequestError, match=f"expected {word}"):
            focus_from([], CATALOG, **wrong)
    with pytest.raises(InvalidRequestError, match="IANA zone"):
        focus_from([], CATALOG, tz="Berlin")


def test_from_a_ledger():
    """Lines as a ledger gives them add up to its balance."""
    book = Book()
    usage = Usage(input_tokens=100, output_tokens=10)
    rates = CATALOG.rates(V32, NOW)
    names = {"candidate": V32, "model": "deepseek-v3.2", "host": "deepinfra"}
    for _ in range(3):
        billed = cost(usage, rates).pico
        book.call(billed, amount=10**9, usage=usage, rates_id=rates.id, **names)
    book.reserve(amount=777, rates_id=rates.id, **names)
    book.ledger.sweep(NOW + timedelta(hours=1))
    focus = focus_from(book.ledger.entries(), CATALOG)
    assert focus.total == book.spent
    assert {r["ChargeCategory"] for r in focus} == {"Usage", "Adjustment"}
    book.ledger.close()
