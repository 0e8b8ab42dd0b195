"""What past calls would have cost: the same prices give the ledger again, others are exact."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from catalogs import by_clock, rate, small
from hypothesis import given, settings
from hypothesis import strategies as st
from invoices import FLASH, entry, month, told, utc

from router import Client, recorded_prompts
from router.bills import reprice
from router.catalog import Catalog
from router.errors import ConfigError, InvalidRequestError
from router.horizon import billed
from router.ledgers.entries import LEASE, Reservation, Settlement
from router.ledgers.sqlite import SQLiteLedger
from router.money import to_usd
from router.pricing import cost
from router.types import Cost, Usage

CATALOG = Catalog.default()
ENDPOINTS = sorted(
    (row.name, row.retires_at)
    for row in CATALOG.endpoints
    if CATALOG.rows(row.name, utc("2026-11-01"))
)
LATEST = utc("2026-12-20")


@st.composite
def calls(draw):
    """A call at any endpoint, instant, length and tier, charged by the router's own rule."""
    name, ends = draw(st.sampled_from(ENDPOINTS))
    end = min(ends, LATEST) if ends else LATEST
    ended = draw(st.datetimes(datetime(2025, 1, 1), end.replace(tzinfo=None))).replace(tzinfo=UTC)
    seconds = draw(st.floats(0, 7200))
    tokens = draw(st.lists(st.integers(0, 400_000), min_size=4, max_size=4))
    usage = Usage(
        input_tokens=sum(tokens[:3]),
        cache_read_tokens=tokens[1],
        cache_write_tokens=tokens[2],
        output_tokens=tokens[3],
    )
    tier = draw(st.sampled_from(["", "", "flex", "priority", "batch"]))
    began = ended - timedelta(seconds=seconds)
    rates = billed(
        *(CATALOG, name),
        began=began,
        ended=ended,
        until=ended + timedelta(hours=1),
        input_tokens=usage.input_tokens,
        service_tier=tier,
    )
    if rates is None:
        return None
    model, _, host = name.rpartition("@")
    settled = ended + timedelta(seconds=draw(st.floats(0, 0.5)))  # noted a moment later
    return entry(
        settled,
        usage,
        cost(usage, rates).pico,
        seconds=seconds,
        rates_id=rates.id,
        record={"model": model, "host": host, "candidate": name},
    )


@settings(max_examples=300)
@given(st.lists(calls(), max_size=4))
def test_the_same_prices_give_the_ledger_to_the_pico(lines):
    """Any endpoint, hour, length and service tier; a call over a change of price, too."""
    lines = [replace(line, reservation_id=f"r{i}") for i, line in enumerate(filter(None, lines))]
    for row in reprice(lines).rows:
        assert (row.new, row.rates_id) == (row.old, row.call.rates_id)


def test_a_real_ledger_is_reproduced(tmp_path):
    """Through the store and back: charged, corrected and released lines, all but what was lost."""
    ledger = SQLiteLedger(tmp_path / "l.sqlite3")
    lines = [told(utc(f"2026-11-0{i + 2}T12:00"), 1000 * i + 1, 500, 70) for i in range(5)]
    for i, line in enumerate(lines):
        reservation = Reservation(
            id=f"x/{i}", at=line.at - timedelta(seconds=1), lease_until=line.at, amount=10**10,
            holds=(), record=line.record,
        )  # fmt: skip
        ledger.reserve(reservation)
        if i == 3:
            ledger.release(reservation.id, at=line.at, outcome="http_503")
            continue
        if i >= 2:
            ledger.sweep(line.at + timedelta(hours=1))  # lost, charged in full
        if i != 4:
            charge = Cost(pico=line.cost, rates_id=line.rates_id)
            ledger.settle(reservation.id, Settlement(at=line.at, usage=line.usage, cost=charge))
    found = reprice(ledger)
    priced = [row for row in found.rows if row.new is not None]
    assert [row.old for row in priced] == [line.cost for line in lines[:3]]
    assert all(row.new == row.old for row in priced)
    (lost,) = (row for row in found.rows if row.new is None)
    assert (lost.old, lost.why) == (10**10, "charged in full, without a usage")
    path = reprice(tmp_path / "l.sqlite3")
    assert [(row.old, row.new) for row in path.rows] == [(r.old, r.new) for r in found.rows]
    ledger.close()


def test_peak_hours_are_priced_by_the_instant():
    """Moved by whole weeks a call keeps its hours; at one instant all meet that hour's price."""
    peak = told(utc("2026-11-03T02:00"), 10**6, 0, 0, peak=True)
    calm = told(utc("2026-11-03T12:00"), 10**6, 0, 0)
    usd = [Decimal("0.3"), Decimal("0.15")]
    for weeks in (1, 2):
        moved = reprice([peak, calm], at=timedelta(weeks=weeks)).rows
        assert [to_usd(row.new) for row in moved] == usd
    then = reprice([peak, calm], at=utc("2026-11-07T02:00"))  # a Saturday
    assert [to_usd(row.new) for row in then.rows] == [Decimal("0.15")] * 2
    assert to_usd(then.total.difference) == Decimal("-0.15")


def test_what_was_known_then():
    """`known_at` forgets a price that was announced later: then the one before it stands."""
    catalog = small(
        rate(input="1", output="1", valid_from="2026-01-01"),
        rate(input="3", output="3", valid_from="2026-06-01", known_since="2026-05-20"),
    )
    line = told(utc("2026-07-01T00:00"), 10**6, 0, 0, record={"model": "m", "host": "h"})
    new = [
        reprice([line], catalog, known_at=utc(day)).rows[0].new
        for day in ("2026-05-01T00:00", "2026-05-21T00:00")
    ]
    assert new == [10**12, 3 * 10**12]


def test_another_host_and_candidate():
    """The same tokens at another host's price; an unknown one is unknown, never zero."""
    v32 = "deepseek-v3.2"
    line = told(
        utc("2026-11-03T12:00"), 10**6, 10**6, 10**6,
        record={"model": v32, "host": "deepinfra", "candidate": f"{v32}@deepinfra"},
    )  # fmt: skip
    (row,) = reprice([line], host="azure").rows
    assert to_usd(row.new) == Decimal("0.58") * 2 + Decimal("1.68")  # no price for cached input
    (row,) = reprice([line], candidate=FLASH).rows
    assert to_usd(row.new) == Decimal("0.753")
    for target in ({"host": "nowhere"}, {"candidate": "nothing@deepseek"}, {"host": "openai"}):
        found = reprice([line], **target)
        assert found.rows[0].new is None
        assert found.rows[0].why
        assert found.total.left_out == line.cost
        assert (found.total.old, found.total.new, found.total.unpriced) == (0, 0, 1)


def test_before_a_price_is_known_it_is_unknown():
    """An instant before the first row gives None and a reason."""
    catalog = small(rate(valid_from="2026-06-01"))
    line = told(utc("2026-07-01T00:00"), 10, 0, 1, record={"model": "m", "host": "h"})
    (row,) = reprice([line], catalog, at=utc("2026-01-01T00:00")).rows
    assert row.new is None
    assert "not known" in row.why


def test_what_cannot_be_priced_says_why():
    """Charged in full, corrected beyond the span, priced at a ceiling: None with a reason."""
    counted = Usage(input_tokens=5, output_tokens=3, estimated=True)
    at = utc("2026-11-03T12:00")
    full = entry(at, counted, 900, reserved=900, outcome="closed", reservation_id="a")
    late = replace(told(at, 1, 0, 1), kind="correct", reservation_id="b", cost=-3)
    ceiling = replace(
        told(at, 10, 0, 1, record={"model": "x", "host": "y"}),
        reservation_id="c",
        rates_id="ceiling:m@h",
    )
    whys = [row.why for row in reprice([full, late, ceiling]).rows]
    assert whys[0] == "charged in full, without a usage"
    assert whys[1] == "a correction of a line before this span"
    assert whys[2]


def test_a_counted_stream_is_priced_by_our_count():
    """A closed stream that was charged what came is reproduced: it has a usage, ours."""
    counted = Usage(input_tokens=1000, output_tokens=50, estimated=True)
    line = entry(utc("2026-11-03T12:00"), counted, 180_000_000, reserved=10**12, outcome="closed")
    (row,) = reprice([line]).rows
    assert row.new == row.old == 180_000_000


def test_slabs_caches_and_releases_are_no_calls():
    """Held money is told apart; cached answers and released attempts cost nothing."""
    at = utc("2026-11-03T12:00")
    held = entry(at, cost=77, kind="expire", reservation_id="s", record={"policy": LEASE})
    cached = entry(at, outcome="cached", reservation_id="c")
    released = entry(at, kind="release", outcome="http_503", reservation_id="r", rates_id="")
    found = reprice([held, cached, released, told(at, 1, 1, 1)])
    assert (len(found), found.held, found.cached) == (1, 77, 1)


def test_groups_add_up_exactly():
    """Sums by any column are the sums of the rows, and together the total."""
    found = reprice(month(), at=utc("2026-11-03T02:00"))
    for by in (("model",), ("day", "model"), ("month",), ("rates_id",), ("why",)):
        groups = found.by(*by)
        assert sum(g.new for g in groups) == found.total.new == 2 * found.total.old
        assert sum(g.requests for g in groups) == len(found)
    with pytest.raises(InvalidRequestError, match="colour"):
        found.by("colour")


def test_csv_has_exact_decimals_and_empty_cells(tmp_path):
    """An unknown cost is an empty cell, not 0."""
    lines = [told(utc("2026-11-03T12:00"), 1, 2, 3)]
    text = reprice(lines, host="nowhere").to_csv(tmp_path / "r.csv").read_text()
    header, row = text.splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=False))
    assert cells["old_usd"] == "0.000001956000"
    assert cells["new_usd"] == cells["difference_usd"] == ""


def test_a_tier_is_read_from_the_row_that_billed():
    """Service tiers are in the ledger only as part of the price row's name."""
    catalog = small(rate(flex={"input": "0.5", "output": "0.5"}))
    usage = Usage(input_tokens=10**6, output_tokens=0)
    line = entry(
        utc("2026-11-03T12:00"), usage, 5 * 10**11, record={"model": "m", "host": "h"},
        rates_id="m@h/1970-01-01#flex",
    )  # fmt: skip
    assert reprice([line], catalog).rows[0].new == 5 * 10**11
    assert reprice([replace(line, rates_id="m@h/1970-01-01")], catalog).rows[0].new == 10**12


def test_a_call_over_an_edge_keeps_the_price_that_its_line_names():
    """Which instant counts was decided when it was charged; the row's name says how."""
    schedule = {
        "name": "s", "zone": "UTC", "hours": ["10:00-11:00"], "source": "s",
        "checked": "2026-11-21",
    }  # fmt: skip
    catalog = small(by_clock(), schedule=[schedule])
    at = utc("2026-11-03T11:00") + timedelta(minutes=1)
    name = "m@h/1970-01-01"
    for mark, price in (("peak", 2), ("off-peak", 1)):
        line = entry(
            at, Usage(input_tokens=10**6), price * 10**12, seconds=300.0,
            rates_id=f"{name}#{mark}", record={"model": "m", "host": "h"},
        )  # fmt: skip
        assert reprice([line], catalog).rows[0].new == price * 10**12


def test_what_a_client_spent():
    """A client's own ledger is reproduced, and repriced at a host of today."""
    prompts = recorded_prompts(source="zeroeval")[:3]
    with Client(ledger=":memory:") as client:
        for each in prompts:
            client.chat.completions.create(
                [{"role": "user", "content": each.prompt}], model="deepseek-v2.5"
            )
        same, other = reprice(client), reprice(client, candidate="deepseek-v3.2@deepinfra")
    assert [row.new for row in same.rows] == [row.old for row in same.rows]
    assert same.total.old == same.total.new > 0
    assert other.total.new > 0
    assert {row.rates_id.split("/")[0] for row in other.rows} == {"deepseek-v3.2@deepinfra"}


def test_bad_arguments():
    """A naive instant, both targets, no history: typed, and says what to do."""
    with pytest.raises(InvalidRequestError, match="aware"):
        reprice([], at=datetime(2026, 1, 1))
    with pytest.raises(InvalidRequestError, match="both"):
        reprice([], host="a", candidate="b")
    with pytest.raises(InvalidRequestError, match="history"):
        reprice(7)
    with pytest.raises(ConfigError):
        reprice("mysql://x/y")


def test_streams_that_were_left_under_a_hard_budget_are_exact():
    """What was on its way is charged and in no usage: priced too, and said."""
    usage = Usage(input_tokens=2_000, output_tokens=8, estimated=True)
    left = entry(
        utc("2026-11-02T12:00"), usage, 2_000 * 150_000 + 136 * 600_000,
        outcome="closed", reserved=10**11,
    )  # fmt: skip
    (row,) = reprice([left]).rows
    assert (row.new, row.why) == (left.cost, "with 128 output tokens that were on their way")
    (later,) = reprice([left], at=utc("2026-11-03T02:00")).rows
    assert later.new == 2 * left.cost


def test_it_is_exported_as_reports_are(tmp_path):
    """With a checksum, as Parquet, and as a few lines of text."""
    found = reprice([])
    assert found.to_csv(tmp_path / "r.csv", checksum=True).with_suffix(".csv.sha256").exists()
    assert found.to_parquet(tmp_path / "r.parquet").stat().st_size > 0
    assert repr(found).startswith("Repriced(0 rows of at, candidate, old_usd")
