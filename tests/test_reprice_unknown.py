"""Repriced calls of unknown cost, of price rows that are gone, and of GPUs of one's own."""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from catalogs import rate, small
from hypothesis import given, settings
from hypothesis import strategies as st
from invoices import FLASH, entry, month, told, utc
from random_ledger import random_entries

from router.bills import History, Paid, read_history, reprice
from router.bills.reprice import Repriced, Row
from router.catalog import Catalog
from router.catalog.fleet_past import past_rates
from router.errors import InvalidRequestError
from router.pricing import cost
from router.types import Usage

AT = utc("2026-11-03T12:00")
V32 = "deepseek-v3.2@deepinfra"
MINE = "mixtral-8x7b-instruct-v0.1@vllm"
TOKENS = Usage(input_tokens=1_000_000, output_tokens=100_000)


def without_a_price(at=AT, **columns):
    """A call at a host that had no price: its line says zero, and names no price row."""
    host = {"host": "acme", "model": "deepseek-v3.2", "candidate": "deepseek-v3.2@acme"}
    line = entry(at, TOKENS, 0, rates_id="", reservation_id="unknown", record=host)
    return replace(line, **columns)


def test_an_unknown_cost_is_not_zero():
    """A call without a price row cost an unknown sum: no difference follows from it."""
    known = told(AT, 1000, 0, 10)
    found = reprice([without_a_price(), known], candidate=V32)
    gone, kept = found.rows
    assert (gone.old, gone.difference) == (None, None)
    assert gone.new == 298 * 10**9
    assert gone.why == "what it did cost is not known"
    assert kept.old == known.cost
    total = found.total
    assert (total.requests, total.unpriced, total.left_out) == (2, 1, None)
    assert (total.old, total.difference) == (known.cost, kept.difference)
    cells = next(iter(found))
    assert cells["old_usd"] is cells["difference_usd"] is None


def test_unknown_then_and_now():
    """Where no price is known on either side, both are said, and the sum is not zero either."""
    (row,) = reprice([without_a_price()], host="nowhere").rows
    assert (row.old, row.new) == (None, None)
    assert row.why == (
        "deepseek-v3.2@nowhere is not in this catalogue; what it did cost is not known"
    )
    assert reprice([without_a_price()], host="nowhere").total.left_out is None


def test_a_lost_call_whose_truth_has_no_price():
    """What was charged for it is returned, and what it cost is unknown: never zero."""
    host = {"host": "acme", "model": "deepseek-v3.2", "candidate": "deepseek-v3.2@acme"}
    lost = entry(
        AT, Usage(estimated=True), 10**12, kind="expire", outcome="lost", reserved=10**12,
        reservation_id="z", record=host,
    )  # fmt: skip
    truth = without_a_price(
        AT + timedelta(hours=1), kind="correct", reservation_id="z", cost=-(10**12)
    )
    (row,) = reprice([lost, truth], candidate=V32).rows
    assert (row.old, row.difference) == (None, None)
    assert row.new == 298 * 10**9


def test_lost_without_a_price_or_a_usage():
    """A call that was lost where no price was known cost nobody knows what."""
    lost = without_a_price(kind="expire", outcome="lost", usage=Usage(estimated=True))
    (row,) = reprice([lost]).rows
    assert (row.old, row.new) == (None, None)
    assert row.why == "charged in full, without a usage; what it did cost is not known"


def test_free_is_known():
    """A price of zero is a price: such a call cost nothing, and that is compared."""
    free = small(rate(input="0", output="0"))
    line = told(AT, 10, 0, 1, record={"model": "m", "host": "h"}, rates_id="m@h/1970-01-01")
    (row,) = reprice([replace(line, cost=0)], free).rows
    assert (row.old, row.new, row.difference, row.why) == (0, 0, 0, "")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([{}, {"host": "azure"}, {"candidate": FLASH}]))
def test_sums_are_of_what_is_known(seed, where):
    """Over random ledgers: rows add up to the groups and, with what was left out and what no call
    took, to the ledger; no unknown cost is in any sum.
    """
    lines = random_entries(60, seed=seed)
    found = reprice(lines, **where)
    both = [row for row in found.rows if row.difference is not None]
    total = found.total
    assert total.old == sum(row.old for row in both)
    assert total.difference == sum(row.difference for row in both)
    assert total.unpriced == len(found) - len(both)
    known = sum(row.old or 0 for row in found.rows)
    assert known + found.held == sum(line.cost for line in lines)
    nameless = [row for row in found.rows if not (row.call.cost or row.call.rates_id)]
    assert all(row.old is None for row in nameless)
    unknown = any(row.old is None for row in found.rows)
    assert (total.left_out is None) == unknown
    groups = found.by("host", "why")
    assert sum(group.requests for group in groups) == len(found)
    if not where:
        assert all(row.new == row.old for row in both if row.rates_id == row.call.rates_id)
        assert all(row.why for row in both if row.rates_id != row.call.rates_id)


def test_ones_own_gpus_at_the_load_of_then():
    """The price follows from the row's id, whatever load the catalogue assumes today."""
    catalog = Catalog.default()
    model, _, host = MINE.partition("@")
    record = {"model": model, "host": host, "candidate": MINE}
    lines = []
    for mark in ("amortised@90%", "amortised@5%", "marginal@45%"):
        name = f"{MINE}/2024-01-01#{mark}"
        charged = cost(TOKENS, past_rates(catalog, name, AT)).pico
        lines.append(entry(AT, TOKENS, charged, rates_id=name, record=record, reservation_id=mark))
    rows = reprice(lines).rows
    assert [row.new for row in rows] == [line.cost for line in lines]
    assert [row.rates_id for row in rows] == [line.rates_id for line in lines]
    assert len({row.new for row in rows}) == 3
    assert {row.why for row in rows} == {""}


def test_a_row_that_is_gone_is_said():
    """At "the same prices" another row's price is no reproduction: the row says so."""
    line = replace(told(AT, 1000, 0, 10), rates_id=f"{FLASH}/1999-01-01")
    (row,) = reprice([line]).rows
    assert row.new is not None
    assert "not in this catalogue" in row.why
    assert reprice([line], at=AT).rows[0].why == ""  # other prices were asked for


def test_a_name_that_is_not_there_is_named():
    """A reason names the call's own model and host, and nobody else's."""
    line = told(AT, 1, 0, 1, record={"model": "m", "host": "h"})
    (row,) = reprice([line], at=AT).rows
    assert row.why == "m@h is not in this catalogue"


def test_each_name_is_looked_for_once(monkeypatch):
    """A host that serves none of a ledger's models does not cost a search for each call."""
    searched = Counter()

    def nearest(name, known, count=3):
        searched[name] += 1
        return ()

    monkeypatch.setattr("router.catalog.missing.nearest", nearest)
    model = f"missing-{random.random()}"
    lines = [
        told(AT, i, 0, 1, reservation_id=f"r{i}", record={"model": model, "host": "deepseek"})
        for i in range(50)
    ]
    assert reprice(lines, at=AT).total.unpriced == 50
    assert searched == {f"{model}@deepseek": 1}


def test_a_history_that_was_read_has_a_span_already():
    """It is never taken whole where a part was asked for; reading it can take a part."""
    lines = month(6)
    history = read_history(lines)
    for span in ({"since": utc("2027-01-01T00:00")}, {"until": "2026-10-11"}):
        with pytest.raises(InvalidRequestError, match="read_history"):
            reprice(history, **span)
    assert len(reprice(history)) == 6
    assert len(read_history(history, since=utc("2026-10-12T00:00")).calls) == 3
    assert len(reprice(lines, since="2026-10-12")) == 3
    assert isinstance(history, History)


def test_days_are_those_of_a_zone():
    """A sum by day can be laid beside a report of the same zone."""
    late = told(utc("2026-10-31T23:30"), 1000, 0, 10)
    assert reprice([late]).by("day", "month")[0].group == ("2026-10-31", "2026-10")
    found = reprice([late], tz="Europe/Berlin")
    assert found.by("day", "month")[0].group == ("2026-11-01", "2026-11")
    assert len(reprice([late], since="2026-11-01", tz="Europe/Berlin")) == 1
    assert len(reprice([late], since="2026-11-01")) == 0


def repriced(old, new, at=datetime(2026, 11, 22, 19, 1, 32, 480714, UTC)):
    call = Paid(
        id="r/0", request_id="r", candidate=FLASH, model="deepseek-flash", host="deepseek",
        began=at, ended=at, usage=TOKENS, cost=old or 0, reserved=0, rates_id="x", outcome="ok",
        state="told",
    )  # fmt: skip
    return Row(call=call, old=old, new=new)


def test_what_is_printed_has_whole_instants_and_the_total():
    """The payer wants the sum; an instant is to the second, and not cut off."""
    said = str(Repriced((repriced(10**12, 3 * 10**12), repriced(None, 5))))
    assert "2026-11-22 19:01:32Z" in said
    assert "…" not in said
    assert said.splitlines()[-1] == (
        "1 call cost 1.00 USD and would cost 3.00: +2.00; left out: 1 call, whose cost was "
        "not known"
    )
    alone = Repriced((repriced(2 * 10**12, None),))
    assert str(alone.total) == (
        "no call can be compared; left out: 1 call, whose cost was 2.00 USD"
    )
    assert "no call can be compared" in alone._repr_html_()
