"""What was saved, how good forecasts were, what own GPUs cost, as reports."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from random_ledger import random_entries
from spending import NOW, Book

from router import Client
from router.catalog import Catalog
from router.errors import UnknownHostError, UnknownModelError
from router.ledgers.entries import Entry, Record
from router.money import to_usd
from router.pricing import cost
from router.reports import BASELINES, accuracy_from, fleets_from, report_from, savings_from
from router.reports.prices import billed_by
from router.types import Usage

CATALOG = Catalog.default()
V32 = "deepseek-v3.2@deepinfra"
SPECIALE, LONG = "deepseek-v3.2-speciale@azure", "gemini-3-pro@google"
CATALOG_BEGINS = NOW - timedelta(days=2000)
BILLION = 10**9


def call(usage, candidate=V32, at=NOW, **more):
    rates = CATALOG.rates(candidate, at, input_tokens=usage.input_tokens)
    model, _, host = candidate.partition("@")
    record = Record(
        request_id="r", candidate=candidate, model=model, mode="chat", host=host, policy="x"
    )
    return Entry(
        **{
            "kind": "settle",
            "at": at,
            "reservation_id": "r/0",
            "record": record,
            "usage": usage,
            "cost": cost(usage, rates).pico,
            "reserved": 10**12,
            "overage": 0,
            "outcome": "ok",
            "finish_reason": None,
            "seconds": 1.0,
            "rates_id": rates.id,
        }
        | more
    )


def rows_by_name(savings, kind="baseline"):
    return {row["name"]: row for row in savings if row["kind"] == kind}


@pytest.mark.parametrize(
    ("name", "usd"),
    [
        ("deepseek-v3.2@quoted", 700),
        ("gpt-4-turbo@quoted", 40_000),
        ("gpt-5@quoted", 11_250),
        ("claude-opus-4@quoted", 90_000),
        ("claude-sonnet-4@quoted", 18_000),
        ("gemini-3-pro@quoted", 4_000),
    ],
)
def test_the_tables_of_the_seed_articles(name, usd):
    """A billion tokens in and a billion out, at the prices as quoted there, to the dollar."""
    # In calls of a hundred thousand tokens: no window of input prices is left.
    usage = Usage(input_tokens=100_000, output_tokens=100_000)
    one = rows_by_name(savings_from([call(usage)], CATALOG))[name]["without_usd"]
    assert one * (BILLION // 100_000) == usd


def test_baselines_are_of_the_same_tokens():
    """What was paid is the ledger's own, what it would cost elsewhere is `pricing.cost` of each
    call there; calls without a known price, and lost ones of which nobody knows what they took,
    are on neither side.
    """
    entries = random_entries(800, seed=3, catalog=CATALOG)
    corrected = {e.reservation_id for e in entries if e.kind == "correct"}
    lost = [
        e
        for e in entries
        if e.kind == "expire" and e.record.candidate and e.reservation_id not in corrected
    ]
    untold = {e.reservation_id for e in entries if e.kind == "correct" and not e.rates_id}
    assert lost
    assert untold
    assert set(rows_by_name(savings_from(entries, CATALOG))) == set(BASELINES)
    # A price that follows the clock, and one that follows the length of input, among them.
    names = (SPECIALE, "claude-opus-4@quoted", V32, "deepseek-flash@deepseek", LONG)
    found = rows_by_name(savings_from(entries, CATALOG, baselines=names))
    charged = [
        e
        for e in entries
        if e.record.candidate
        and e.kind != "release"
        and e.outcome != "cached"
        and (e.rates_id or e.cost)
        and e not in lost
        and (e.kind not in {"expire", "correct"} or e.reservation_id not in untold)
    ]
    for name in names:
        row, expected = found[name], 0
        for e in charged:
            rates = CATALOG.rates(name, e.at, input_tokens=e.usage.input_tokens)
            if e.usage.input_tokens:
                expected += cost(e.usage, rates).pico
        assert row["without_usd"] == to_usd(expected)
        assert row["paid_usd"] == to_usd(sum(e.cost for e in charged))
        assert row["saved_usd"] == row["without_usd"] - row["paid_usd"]
        assert row["unpriced"] > 0
        assert row["lost"] == len(lost)


def test_a_baseline_of_which_no_price_is_known():
    """Before its first price there is no saving to tell, not a saving of everything."""
    usage = Usage(input_tokens=10, output_tokens=10)
    early = replace(call(usage), at=CATALOG_BEGINS)
    row = rows_by_name(savings_from([early], CATALOG, baselines=[SPECIALE]))[SPECIALE]
    assert (row["calls"], row["unpriced"]) == (0, 1)
    assert row["without_usd"] is row["saved_usd"] is None


def test_baselines_of_ones_own():
    """Any endpoint of the catalogue; one that there is not is refused, spend or no spend."""
    assert [r["name"] for r in savings_from([], CATALOG, baselines=["gpt-5@openai"])] == [
        "gpt-5@openai"
    ]
    with pytest.raises((UnknownModelError, UnknownHostError)):
        savings_from([], CATALOG, baselines=["gpt-9@nowhere"])


def test_what_caches_saved_and_lost():
    """Cached input at the plain price less what was paid; losses by cause; answers not paid."""
    usage = Usage(input_tokens=10_000, cache_read_tokens=8_000, output_tokens=5)
    hit = call(usage)
    kept = call(usage, outcome="cached", cost=0, saved=hit.cost)
    lost = replace(
        hit, record=replace(hit.record, cache_lost_tokens=1000, cache_lost_to="edited prefix")
    )
    savings = list(savings_from([hit, kept, lost], CATALOG, baselines=[]))
    rates = CATALOG.rates(V32, NOW)
    each = to_usd(8_000 * (rates.input - rates.cache_read) // 10**6)
    assert each > 0
    by_kind = {row["kind"]: row for row in savings}
    assert by_kind["prefix cache"]["saved_usd"] == 2 * each
    assert by_kind["prefix cache"]["paid_usd"] == to_usd(2 * hit.cost)
    assert by_kind["response cache"]["saved_usd"] == to_usd(hit.cost)
    assert by_kind["lost prefix cache"]["saved_usd"] == -each / 8
    assert by_kind["lost prefix cache"]["name"] == "edited prefix"
    report = report_from([hit, kept, lost], by="model", rates_of=billed_by(CATALOG))
    (row,) = report
    assert row["cache_saved_usd"] == 2 * each


def test_dearer_writes_are_taken_off():
    """A cache that is written and never read costs more than none: the saving is negative."""
    opus = "claude-opus-4@anthropic"
    usage = Usage(input_tokens=1000, cache_write_tokens=1000, cache_write_1h_tokens=400)
    entry = call(usage, candidate=opus)
    (row,) = report_from([entry], by="model", rates_of=billed_by(CATALOG))
    plain = cost(Usage(input_tokens=1000), CATALOG.rates(opus, NOW)).pico
    assert row["cache_saved_usd"] == to_usd(plain - entry.cost) < 0


def test_a_price_row_is_never_replaced():
    """What was billed by a row that is gone, or under another id, has no known cache saving."""
    usage = Usage(input_tokens=1000, cache_read_tokens=640)
    for rates_id in (f"{V32}/1999-01-01", "ceiling:x", ""):
        entry = call(usage, rates_id=rates_id)
        assert billed_by(CATALOG)(entry) is None
        (row,) = report_from([entry], by="model", rates_of=billed_by(CATALOG))
        assert row["cache_saved_usd"] is None
    elsewhere = call(usage, rates_id="x@nowhere/1999")
    elsewhere = replace(elsewhere, record=replace(elsewhere.record, candidate="x@nowhere"))
    assert billed_by(CATALOG)(elsewhere) is None


def test_accuracy_of_forecasts():
    """Sums, the median of errors, the share within p90, the share over its reservation."""
    book = Book()
    for billed in (500, 600, 700, 900, 2000):
        book.call(billed, forecast_cost=1000, forecast_cost_p90=900)
    book.call(5, forecast_cost=None)
    book.call(5, outcome="ServerError", forecast_cost=1000)
    book.call(0, rates_id="", forecast_cost=1000)
    (row,) = accuracy_from(book.ledger.entries(), by="model")
    assert row == {
        "model": "m",
        "calls": 5,
        "forecast_usd": to_usd(5000),
        "cost_usd": to_usd(4700),
        "ratio": Decimal("0.94"),
        "median_error": Decimal("0.4"),
        "within_p90": Decimal("0.8"),
        "reserved_usd": to_usd(5000),
        "over_reserved": Decimal("0.2"),
    }
    (spend,) = book.report("model")
    assert spend["reserved_usd"] == to_usd(8000)
    assert spend["within_p90"] == Decimal("0.8")
    book.ledger.close()


def test_accuracy_of_nothing(tmp_path):
    """No calls, no rows; a forecast of zero is divided by nowhere."""
    assert list(accuracy_from([], by="model")) == []
    book = Book()
    book.call(0, forecast_cost=0)
    (row,) = accuracy_from(book.ledger.entries())
    assert row["ratio"] is row["median_error"] is row["within_p90"] is None
    empty = accuracy_from([], by="model").to_csv(tmp_path / "a.csv").read_text()
    assert empty.startswith("model,calls,forecast_usd,")
    book.ledger.close()


class Fleet:
    endpoint, requests, input_tokens, output_tokens = "m@vllm", 3, 10, 20
    utilisation = Fraction(1, 3)
    rent, idle, marginal, charged = 9 * 10**12, 6 * 10**12, 10**12, 3 * 10**12

    def per_million(self, pico):
        return to_usd(pico // 10)


def test_own_gpus_amortised_and_marginal():
    """What was found by `fleets_costs` is shown with both prices of a million tokens."""
    (row,) = fleets_from([Fleet()])
    assert row["in_use"] == Decimal("0.333333")
    assert (row["rent_usd"], row["charged_usd"]) == (9, 3)
    assert row["amortised_usd_per_mtok"] == Decimal("0.9")
    assert row["marginal_usd_per_mtok"] == Decimal("0.1")
    assert "m@vllm" in fleets_from([Fleet()])._repr_html_()


def test_a_client_has_them_all():
    """Accuracy, savings and fleets of a client are those of its ledger and its catalogue."""
    book = Book()
    book.call(500)
    client = Client(ledger=book.ledger)
    assert [row["calls"] for row in client.accuracy(since="2026-11-22")] == [1]
    assert len(client.accuracy(since="2026-11-23")) == 0
    assert {row["name"] for row in client.savings(["gpt-5@quoted"])} >= {"gpt-5@quoted"}
    assert client.focus(until="2026-11-23", tz="Europe/Berlin").total == book.spent
    assert all(row["endpoint"] for row in client.fleets())
    book.ledger.close()


def test_a_fleets_price_is_known_by_its_id():
    """What a fleet charged at the load of then is in reports when the load is another one."""
    limits = {"context_tokens": 10_000, "max_output_tokens": 1_000}
    catalog = {
        "host": [{"name": "h", "base_url": "http://localhost:1", "self_hosted": True}],
        "model": [{"name": "m"}],
        "endpoint": [{"model": "m", "host": "h", "model_id": "m", **limits}],
    }
    fleet = {
        "endpoint": "m@h",
        "gpus": 1,
        "usd_per_gpu_hour": "3.60",
        "input_weight": "0.1",
        "cached_weight": "0.01",
        "curve": [{"in_flight": 1, "output": 60}, {"in_flight": 4, "output": 100}],
        "source": "measured",
        "checked": "2026-11-22",
    }
    then = CATALOG.overlay(catalog | {"fleet": [fleet | {"utilisation": 45}]})
    rates = then.rates("m@h", NOW)
    usage = Usage(input_tokens=1000, cache_read_tokens=600, output_tokens=10)
    book = Book()
    book.call(cost(usage, rates).pico, amount=10**12, usage=usage, rates_id=rates.id)
    now = CATALOG.overlay(catalog | {"fleet": [fleet | {"utilisation": 70}]})
    assert now.rates("m@h", NOW).output != rates.output
    client = Client(ledger=book.ledger, catalog=now, now=lambda: NOW)
    prices = {row["x_RatesId"]: row["ListUnitPrice"] for row in client.focus() if row["SkuId"]}
    assert set(prices) == {rates.id}
    assert client.focus().total == book.spent
    assert {row["ChargeCategory"] for row in client.focus()} == {"Usage"}
    (row,) = client.report("model")
    assert row["cache_saved_usd"] == to_usd(600 * (rates.input - rates.cache_read) // 10**6)
    book.ledger.close()
