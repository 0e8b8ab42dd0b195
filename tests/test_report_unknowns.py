"""What is not known is not zero: prices, lost calls, late truths, answers out of the cache."""

from datetime import timedelta

import pytest
from spending import NOW, Book

from router import Client
from router.catalog import Catalog
from router.ledgers.entries import Entry, Record
from router.money import to_usd
from router.pricing import cost
from router.reports import accuracy_from, focus_from, report_from, savings_from
from router.reports.html import Facts, page
from router.reports.prices import billed_by
from router.types import Usage

CATALOG = Catalog.default()
V32 = "deepseek-v3.2@deepinfra"
USAGE = Usage(input_tokens=1000, output_tokens=1000)
HELD = 10**10
RATES = CATALOG.rates(V32, NOW)


def entry(kind="settle", usage=USAGE, record=None, **more):
    model, _, host = V32.partition("@")
    names = {"candidate": V32, "model": model, "mode": "chat", "host": host, "policy": "x"}
    return Entry(
        **{
            "kind": kind,
            "at": NOW,
            "reservation_id": "r/0",
            "record": Record(request_id="r", **names | (record or {})),
            "usage": usage,
            "cost": cost(usage, RATES).pico,
            "reserved": HELD,
            "overage": 0,
            "outcome": "ok",
            "finish_reason": None,
            "seconds": 1.0,
            "rates_id": RATES.id,
        }
        | more
    )


def lost(**more):
    return entry("expire", Usage(estimated=True), cost=HELD, outcome="lost", **more)


LOSES = {"cache_lost_tokens": 10**6, "cache_lost_to": "moved"}


def savings(entries, kind, **arguments):
    found = savings_from(entries, CATALOG, **{"baselines": [], **arguments})
    return [row for row in found if row["kind"] == kind]


def test_cached_answers_say_nothing_of_forecasts():
    """An answer that cost nothing is within any interval; only sent and answered calls count."""
    miss = entry(record={"forecast_cost": 100, "forecast_cost_p90": 200})
    free = {"forecast_cost": 0, "forecast_cost_p90": 0}
    hit = entry(usage=Usage(), cost=0, outcome="cached", record=free, rates_id="", saved=5)
    failed = entry(record=free, outcome="ServerError", cost=0)
    lines = [miss, *[hit] * 9, failed]
    (spend,), (accuracy,) = report_from(lines, by="model"), accuracy_from(lines, by="model")
    assert spend["within_p90"] == accuracy["within_p90"] == 0
    assert (spend["unpriced"], spend["cached"]) == (0, 9)


def test_cached_answers_have_a_known_cost():
    """Nothing, without any price row: a group of them alone cost zero, not an unknown amount."""
    hit = entry(usage=Usage(), cost=0, outcome="cached", rates_id="", saved=5)
    (row,) = report_from([hit], by="model")
    assert (row["cost_usd"], row["unpriced"]) == (0, 0)


def test_lost_caches_at_an_unknown_price():
    """Tokens that a cache did not have, at no known price, are an unknown loss, not none."""
    unpriced = entry(record=LOSES, cost=0, rates_id="")
    (row,) = savings([unpriced], "lost prefix cache")
    assert row["without_usd"] is row["paid_usd"] is row["saved_usd"] is None
    assert (row["calls"], row["unpriced"], row["input_tokens"]) == (0, 1, 10**6)
    (row,) = savings([unpriced, entry(record=LOSES)], "lost prefix cache")
    assert row["saved_usd"] == -to_usd(RATES.input - RATES.cache_read)
    assert (row["calls"], row["unpriced"]) == (1, 1)
    assert "not known" in row["note"]


def test_a_late_truth_without_a_price():
    """What was assumed is returned in full; what the call did cost is unknown, not zero."""
    lines = [lost(), entry("correct", cost=-HELD, rates_id="")]
    report, focus = report_from(lines, by="model"), focus_from(lines, CATALOG)
    (row,) = report
    assert row["cost_usd"] is None
    assert (row["requests"], row["unpriced"], report.total) == (1, 1, 0)
    assert (focus.unpriced, focus.total) == (1, 0)
    both = report_from([*lines, entry()], by="model")
    assert next(iter(both))["cost_usd"] == both.total == to_usd(entry().cost)
    assert both.unpriced == 1
    (row,) = savings(lines, "baseline", baselines=[V32])
    assert (row["calls"], row["unpriced"], row["lost"], row["paid_usd"]) == (0, 1, 0, None)


def test_a_late_truth_that_nothing_was_charged():
    """That one is known: the call cost nothing."""
    nothing = entry("correct", Usage(), cost=-HELD, rates_id="", outcome="RateLimitError")
    report = report_from([lost(), nothing], by="model")
    assert next(iter(report))["cost_usd"] == 0
    assert report.unpriced == focus_from([lost(), nothing], CATALOG).unpriced == 0


def test_a_baseline_against_itself_saves_nothing():
    """A lost call is charged as reserved; of what it took nobody knows, so it is compared with
    nothing, and counted. With its truth it is a call like any other.
    """
    other = lost(reservation_id="r/1")
    (row,) = savings([entry(), other], "baseline", baselines=V32)
    assert (row["calls"], row["lost"], row["saved_usd"]) == (1, 1, 0)
    assert row["paid_usd"] == to_usd(entry().cost)
    truth = entry("correct", reservation_id="r/1", cost=entry().cost - HELD)
    (row,) = savings([entry(), other, truth], "baseline", baselines=V32)
    assert (row["calls"], row["lost"], row["saved_usd"]) == (2, 0, 0)
    # What it corrects is before this span: the truth's cost is not among these lines.
    (row,) = savings([entry(), truth], "baseline", baselines=V32)
    assert (row["calls"], row["lost"], row["saved_usd"]) == (1, 1, 0)
    (row,) = savings([other], "baseline", baselines=V32)
    assert row["saved_usd"] is None


def test_a_lost_call_that_was_answered_did_not_fail():
    """Its late truth says "ok"; one that says otherwise failed."""
    book = Book()
    for outcome in ("ok", "ServerError"):
        rid = book.reserve()
        book.ledger.sweep(NOW + timedelta(hours=1))
        book.settle(rid, 400, at=NOW + timedelta(hours=2), outcome=outcome)
    for by in ((), ("hour",), ("outcome",)):
        assert sum(row["failed"] for row in book.report(*by)) == 1
    assert min(row["failed"] for row in book.report("hour")) == 0
    book.ledger.close()


def test_the_page_says_unknown():
    """Where no price is known at all, the headline is not 0.00."""
    text = page([entry(cost=0, rates_id="")], CATALOG, Facts(made=NOW))
    head = text.split('<dl class="facts">')[1].split("</dl>")[0]
    assert 'spent, USD</dt><dd><span class="unknown">unknown</span></dd>' in head


def test_price_rows_of_another_catalogue():
    """A row that is not in the catalogue is said to be missing, not called a lost call."""
    cached = Usage(input_tokens=1000, cache_read_tokens=500)
    gone = entry(rates_id="deepseek-v3.2@acme/2026-01-01", usage=cached)
    focus = focus_from([gone, lost()], CATALOG)
    said = {row["ChargeDescription"]: row["x_RatesId"] for row in focus}
    assert said == {
        f"{V32}: billed by price row {gone.rates_id}, which is not in this catalogue": (
            gone.rates_id
        ),
        f"{V32}: a lost call, charged as reserved": None,
    }
    assert focus.unlisted == 1
    report = report_from([gone, entry()], by="model", rates_of=billed_by(CATALOG))
    assert report.unlisted == 1
    assert report_from([gone], by="model").unlisted == 0  # nobody asked for prices
    (row,) = savings([gone], "prefix cache")
    assert (row["unpriced"], row["saved_usd"]) == (1, None)
    assert "not in this catalogue" in row["note"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_returned_lease_is_no_unknown(order):
    """Money that a process held has no price row, and is no call of unknown price."""
    names = dict.fromkeys(("candidate", "model", "mode", "host"), "") | {"policy": "lease"}
    lines = [
        entry("expire", Usage(), cost=HELD, rates_id="", record=names),
        entry("correct", Usage(), cost=-HELD, rates_id="", record=names),
    ][::order]
    assert report_from(lines, by="model").unpriced == 0
    assert next(iter(report_from(lines, by=())))["cost_usd"] == 0


def test_a_client_passes_one_baseline():
    """One name is one baseline, not its letters."""
    book = Book()
    book.call(5)
    client = Client(ledger=book.ledger)
    names = [r["name"] for r in client.savings(V32) if r["kind"] == "baseline"]
    assert names == [V32]
    book.ledger.close()


def test_an_unpriced_call_is_counted_once():
    """Lost without a price and told without one is one call; so is one that was released first."""
    free = {"cost": 0, "rates_id": "", "reserved": 0}
    first = entry("expire", Usage(estimated=True), outcome="lost", **free)
    lines = [first, entry("correct", **free)]
    assert report_from(lines, by="model").unpriced == focus_from(lines, CATALOG).unpriced == 1
    given_back = entry("release", Usage(), cost=0, rates_id="", outcome="RateLimitError")
    lines = [given_back, entry("correct", cost=0, rates_id="")]
    assert report_from(lines, by="model").unpriced == focus_from(lines, CATALOG).unpriced == 1
