"""Errors that what is in doubt would hide: beside lost calls, and beside calls that we counted."""

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from invoices import bill_fixture, counted, deepseek, entry, month, only, told, utc

from router.money import to_usd
from router.types import Usage

__all__ = ["bill_fixture"]

HEAD = "day,model,fresh_tokens,cache_read_tokens,output_tokens,requests,amount_usd\n"


def with_lost_calls(lines):
    """Three calls more that were lost, charged far more than anything else here."""
    usage = Usage(estimated=True)
    return lines + [
        entry(utc(f"2026-10-{day}T18:00"), usage, 2 * 10**11, kind="expire", outcome="lost",
              reservation_id=f"lost{day}/0")
        for day in (12, 17, 23)
    ]  # fmt: skip


def test_lost_calls_hide_no_aborted_streams(bill):
    """What was charged in full may be billed as nothing: the sum is in doubt, the output of the
    days without such calls is not. A right bill is no alarm, nor one with a lost call on it.
    """
    right, lines = month(), month()
    for i, line in enumerate(lines[::2]):
        short = replace(line.usage, output_tokens=line.usage.output_tokens - 8_000, estimated=True)
        lines[2 * i] = replace(
            line, usage=short, cost=line.cost - 8_000 * 600_000, outcome="closed",
            reserved=line.cost + 10**10,
        )  # fmt: skip
    finding = only(bill(deepseek(right), with_lost_calls(lines)))
    assert finding.residual < 0
    assert finding.causes == ("aborted streams",)
    assert not bill(deepseek(right), with_lost_calls(right)).alarm
    lost = told(utc("2026-10-12T18:00"), 5_000, 0, 100_000)
    assert not bill(deepseek([*right, lost]), with_lost_calls(right)).alarm


def at_pro(lines):
    """The same calls of deepseek-v4-pro: 0.66 / 0.022 / 1.98 USD a million, twice at peak."""
    found = []
    for line in lines:
        usage, window = line.usage, line.rates_id.partition("#")[2]
        fresh = usage.input_tokens - usage.cache_read_tokens
        cost = fresh * 660_000 + usage.cache_read_tokens * 22_000 + usage.output_tokens * 1_980_000
        names = {"model": "deepseek-v4-pro", "candidate": "deepseek-v4-pro@deepseek"}
        found.append(
            replace(
                line,
                record=replace(line.record, **names),
                reservation_id=f"p{line.reservation_id}",
                cost=cost * (2 if window == "peak" else 1),
                rates_id=f"deepseek-v4-pro@deepseek/2026-08-22T16:00Z#{window}",
            )
        )
    return found


def test_a_ratio_that_another_model_is_sure_of(bill):
    """A tax on one amount a day: calls that we counted bend one model's own ratio, and the other's
    leaves nothing of it. What that ratio does not explain stays without a name.
    """
    rng, start = random.Random(4), utc("2026-10-12T02:00")  # at peak on working days
    flash = []
    for i in range(60):
        at = start + timedelta(hours=12 * i)
        tokens = [rng.randrange(10**4, 3 * 10**5) for _ in range(3)]
        peak = at.hour == 2 and at.isoweekday() < 6
        flash.append(told(at, *tokens, peak=peak, reservation_id=f"r{i}/0"))
    pro = at_pro([x for i, x in enumerate(flash) if i % 5])
    mine = [counted(x) if x.at.hour > 2 else x for x in flash]

    def text(*times):
        return HEAD + "".join(
            f"{x.at.date()},{x.record.model},{x.usage.input_tokens - x.usage.cache_read_tokens},"
            f"{x.usage.cache_read_tokens},{x.usage.output_tokens},1,"
            f"{to_usd(x.cost) * Decimal(ratio):f}\n"
            for lines, ratio in zip((flash, pro), times, strict=True)
            for x in lines
        )

    found = bill(text("1.19", "1.19"), [*mine, *pro], host="deepseek")
    assert {f.causes for f in found.findings} == {("currency, tax or fee",)}
    other = bill(text("1.30", "1.19"), [*mine, *pro], host="deepseek")
    assert all("currency, tax or fee" not in f.causes for f in other.findings)
