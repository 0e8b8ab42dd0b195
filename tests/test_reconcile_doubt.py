"""What a bill may differ by and be right, and what only looks like another cause."""

import random
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from invoices import FLASH, ROW, bill_fixture, counted, deepseek, entry, month, only, told, utc

from router.bills import reconcile
from router.catalog import Catalog
from router.money import to_usd

__all__ = ["bill_fixture"]

HEAD = "day,model,fresh_tokens,cache_read_tokens,output_tokens,requests,amount_usd\n"


@pytest.mark.parametrize("every", [1, 4])
def test_cache_hits_of_calls_that_we_counted_are_in_doubt(bill, every):
    """A host that bills two thirds of the input as cached is right where no usage told: silent."""
    lines = month()
    mine = [counted(x) if i % every == 0 else x for i, x in enumerate(lines)]
    found = bill(deepseek(lines), mine)
    assert not found.alarm
    assert only(found).residual < 0
    assert only(found).low >= -only(found).residual


def test_an_error_is_still_seen_beside_counted_calls(bill):
    """The doubt covers what was counted, and no more."""
    lines = month()
    mine = [counted(x) if i % 10 == 0 else x for i, x in enumerate(lines)]
    text = deepseek(
        lines, change=lambda d, k, n, p: (n, "0.0000009" if k == "output_tokens" else p)
    )
    assert only(bill(text, mine)).causes == ("stale price",)


def test_a_host_that_bills_cache_hits_and_tells_none(bill):
    """Its usages never told cached tokens, its bill has them: named, and who lost nothing."""
    lines = month()
    mine = [replace(counted(x), usage=replace(counted(x).usage, estimated=False)) for x in lines]
    finding = only(bill(deepseek(lines), mine))
    assert finding.causes == ("cache hits not in the ledger",)
    cached = sum(x.usage.cache_read_tokens for x in lines)
    assert finding.residual == -cached * (150_000 - 3_000)
    assert f"{cached:,} of " in finding.says[0]


def test_other_models_are_not_taken_for_ours(bill):
    """A longer name is another model: a row of its own, and what to say if it is not."""
    lines = month()
    rows = deepseek(lines)
    more = rows.splitlines()[1:]
    text = rows + "\n".join(m.replace("deepseek-flash", "deepseek-flash-mini") for m in more)
    found = {f.model: f for f in bill(text + "\n", lines).findings}
    assert not found[FLASH].alarm
    other = found["deepseek-flash-mini@deepseek"]
    assert other.causes == ("calls not in the ledger",)
    assert "models=" in other.advice[0]


def test_a_dated_name_is_taken_and_told(bill):
    """A date behind a name is the same model, said in a note; the name itself needs none."""
    lines = month()
    text = deepseek(lines)
    assert not any("taken for" in note for note in bill(text, lines).notes)
    found = bill(text.replace("deepseek-flash", "deepseek-flash-2026-09-10"), lines)
    assert not found.alarm
    assert any("'deepseek-flash-2026-09-10'" in n and FLASH in n for n in found.notes)


def test_attempts_that_another_host_answered(bill):
    """Failed here, answered elsewhere, billed here: no other program's calls, but these."""
    lines, billed = [], []
    for i, short in enumerate(month()):
        line = short
        if not i % 4:  # long ones, unlike the others
            line = told(
                *(short.at, 900_000 + 9_000 * i, 500_000, 300_000 + 5_000 * i),
                reservation_id=short.reservation_id,
                record={"request_id": short.record.request_id},
            )
        billed.append(line)
        if i % 4:
            lines.append(line)
            continue
        lines.append(
            replace(
                entry(line.at, kind="release", outcome="http_504", requests=0, rates_id=""),
                reservation_id=f"r{i}/0",
                record=line.record,
            )
        )
        at = {"host": "openrouter", "candidate": "deepseek-flash@openrouter"}
        lines.append(
            replace(line, reservation_id=f"r{i}/1", record=replace(line.record, **at), rates_id="")
        )
    finding = only(bill(deepseek(billed), lines))
    assert "calls not in the ledger" not in finding.causes
    assert finding.causes == ("failed attempts",)
    assert "15 of 15" in finding.says[0]


def peaks():
    """A call at peak and one off peak on each working day."""
    start = utc("2026-10-12T02:00")
    days = [start + timedelta(days=i) for i in range(26)]
    return [
        told(
            *(at + timedelta(hours=h), 10**6, 10**6, 10**6 * (1 + (i * (1 + h)) % 7)),
            peak=not h,
            reservation_id=f"{at}{h}/0",
        )
        for i, at in enumerate(days)
        if at.isoweekday() < 6
        for h in (0, 10)
    ]


def by_window(lines, change):
    """The bill of these with a line for each price, by day and kind."""
    text = "utc_date,model,api_key_name,type,price,amount\n"
    for line in lines:
        peak = line.rates_id.endswith("#peak")
        for kind, price, tokens in (
            ("input_cache_miss_tokens", "0.00000015", 10**6),
            ("input_cache_hit_tokens", "0.000000003", 10**6),
            ("output_tokens", "0.0000006", line.usage.output_tokens),
        ):
            each = Decimal(price) * (2 if peak else 1) * change(kind, peak)
            text += f"{line.at.date()},deepseek-flash,k,{kind},{each:f},{tokens}\n"
        text += f"{line.at.date()},deepseek-flash,k,request_count,,1\n"
    return text


def test_figures_of_a_stale_price_are_those_of_its_rows(bill):
    """Each row with its own price, not a mean of both; where one window is wrong, only its row."""
    lines = peaks()
    dearer = Decimal("1.2")
    both = only(bill(by_window(lines, lambda k, p: dearer if k == "output_tokens" else 1), lines))
    assert both.causes == ("stale price",)
    assert "$0.72 instead of $0.6" in both.says[0]
    assert "$1.44 instead of $1.2" in both.says[0]

    def at_peak(kind, peak):
        return dearer if peak and kind == "output_tokens" else 1

    one = only(bill(by_window(lines, at_peak), lines))
    assert one.causes == ("stale price",)
    assert "$1.44 instead of $1.2" in one.says[0]
    assert "$0.6" not in one.says[0]
    assert f"{ROW}#peak" in one.advice[0]
    assert "off-peak" not in one.advice[0]


def test_the_row_in_force_is_named(bill):
    """Two rows in a month, the later one wrong: it is named, with its own price."""
    row = {"endpoint": FLASH, "input": "0.15", "cache_read": "0.003", "source": "s",
           "checked": "2026-11-21"}  # fmt: skip
    catalog = Catalog.default().overlay(
        {
            "rate": [
                row | {"valid_from": "2026-10-01", "output": "0.60"},
                row | {"valid_from": "2026-10-25", "output": "0.80"},
            ]
        }
    )
    lines = []
    for line in month():
        late = line.at >= utc("2026-10-25T00:00")
        cost = line.cost + line.usage.output_tokens * (200_000 if late else 0)
        name = f"{FLASH}/2026-10-{'25' if late else '01'}"
        lines.append(replace(line, cost=cost, rates_id=name))
    text = deepseek(
        lines,
        change=lambda d, k, n, p: (
            n,
            "0.000001" if k == "output_tokens" and d >= date(2026, 10, 25) else p,
        ),
    )
    finding = only(bill(text, lines, catalog=catalog))
    assert finding.causes == ("stale price",)
    assert "$1 instead of $0.8" in finding.says[0]
    assert "2026-10-25" in finding.advice[0]
    assert "2026-10-01" not in finding.advice[0]


def test_rounded_lines_are_no_alarm(bill):
    """Lines in whole cents, several a day: half a cent each is in doubt, in days and in all."""
    rng = random.Random(4)
    start = utc("2026-10-10T12:30")
    lines = [
        told(start + timedelta(days=i // 8), rng.randrange(10**4, 10**5), 0, 0,
             reservation_id=f"r{i}/0")
        for i in range(160)
    ]  # fmt: skip
    text = "day,model,key_name,amount\n" + "".join(
        f"{x.at.date()},deepseek-flash,k{i % 8},{max(0, to_usd(x.cost) - Decimal('0.005')):.2f}\n"
        for i, x in enumerate(lines)
    )
    assert not bill(text, lines, host="deepseek").alarm


def test_a_day_off_by_little_more_than_a_cent(bill):
    """The whole agrees and one day is off by a cent and a half: nobody need look."""
    lines = month()
    days = dict.fromkeys(line.at.date() for line in lines)
    sums = {d: to_usd(sum(x.cost for x in lines if x.at.date() == d)) for d in days}
    first, second, *_ = sums
    sums[first] += Decimal("0.015")
    sums[second] -= Decimal("0.015")
    text = "day,model,amount\n" + "".join(f"{d},deepseek-flash,{v:.9f}\n" for d, v in sums.items())
    assert not bill(text, lines, host="deepseek").alarm


def test_days_of_a_zone_of_half_an_hour(bill):
    """Days that begin in India: the offset is named to the minute."""
    minutes = (345, 375, 660, -60)  # around midnight in India, and off peak
    lines = [
        replace(x, at=x.at + timedelta(minutes=minutes[i % 4])) for i, x in enumerate(month()[::2])
    ]
    text = deepseek(lines, zone=ZoneInfo("Asia/Kolkata"))
    finding = only(bill(text, lines))
    assert finding.causes == ("day boundary",)
    assert "UTC+5:30" in finding.says[0]
    assert not bill(text, lines, tz="Asia/Kolkata").alarm


def reports(ratio, n=400, scale=1):
    """Calls whose host reports `ratio(i)` times what they cost."""
    found = []
    for i in range(n):
        line = told(utc("2026-11-02T12:00") + timedelta(minutes=i), 10_000 * scale + i, 0, 500)
        usage = replace(line.usage, reported_cost=int(line.cost * ratio(i)))
        found.append(replace(line, usage=usage, reservation_id=f"d{i}/0"))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_noise_in_both_directions_is_no_drift(seed):
    """Reported costs that scatter by a tenth around ours ring no alarm; a bias in them does."""
    rng = random.Random(seed)
    assert not reconcile(None, reports(lambda i: rng.uniform(0.9, 1.1), scale=50)).alarm
    assert reconcile(None, reports(lambda i: rng.uniform(0.95, 1.15), scale=50)).alarm


def test_a_drift_of_next_to_nothing_is_no_alarm():
    """Five calls rounded up by a few millionths of a dollar cost nobody anything."""
    found = reconcile(None, reports(lambda i: 1.02 if i < 6 else 1))
    assert found.drift[0].off == 6
    assert not found.alarm
