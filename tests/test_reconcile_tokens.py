"""A bill that has tokens and no amounts is compared by kind and day; unknown sums are not zero."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invoices import FLASH, entry, ledger_of, month, told, utc

from router.bills import Tolerance, reconcile
from router.cli import main
from router.types import Usage

HEAD = "day,model,input_tokens,cache_read_tokens,output_tokens\n"


def usage_of(lines):
    """The tokens of these lines, a row a call, as a host would export them."""
    return HEAD + "".join(
        f"{x.at.date()},deepseek-flash,{x.usage.input_tokens},{x.usage.cache_read_tokens},"
        f"{x.usage.output_tokens}\n"
        for x in lines
    )


@pytest.fixture
def bill(tmp_path):
    """Write a bill of DeepSeek's tokens and compare it with a ledger's lines."""

    def compared(text, lines, **options):
        path = tmp_path / "bill.csv"
        path.write_text(text)
        return reconcile(path, lines, host="deepseek", **options)

    return compared


def only(found):
    (finding,) = found.findings
    return finding


def test_right_tokens_agree(bill):
    """No alarm, no amount, and it is said that tokens alone were compared."""
    found = bill(usage_of(month()), month())
    assert not found.alarm
    assert found.billed is None
    assert found.ours == sum(Decimal(line.cost) for line in month()) / 10**12
    assert "only those are compared, and agree" in str(found)


@settings(max_examples=25)
@given(st.lists(st.tuples(*[st.integers(0, 10**6)] * 3), min_size=1, max_size=20))
def test_any_right_tokens_agree(tmp_path_factory, counts):
    """Whatever the tokens are, what the ledger has too is no alarm."""
    start = utc("2026-10-10T12:00")
    lines = [
        told(start + timedelta(hours=24 * i), *n, reservation_id=f"r{i}/0")
        for i, n in enumerate(counts)
    ]
    path = tmp_path_factory.mktemp("bill") / "b.csv"
    path.write_text(usage_of(lines))
    assert not reconcile(path, lines, host="deepseek").alarm


def test_kinds_that_are_exchanged_alarm(bill):
    """The sum is the same, input and output are not: said for each, and each day alarms."""
    theirs = [replace(x, usage=Usage(input_tokens=100_000, output_tokens=5_000)) for x in month()]
    mine = [told(x.at, 5_000, 0, 100_000, reservation_id=x.reservation_id) for x in month()]
    found = bill(usage_of(theirs), mine)
    finding = only(found)
    assert finding.alarm
    assert finding.says[:2] == (
        "fresh input: billed 6,000,000 tokens, ours 300,000 (+1900.0 %)",
        "output: billed 300,000 tokens, ours 6,000,000 (-95.0 %)",
    )
    assert finding.causes == ("unexplained",)
    assert all(residual.alarm for residual in found.residuals)
    assert "billed 300,000 tokens" in str(found)


def test_missing_cache_hits_are_named(bill):
    """Tokens that were cached and are billed as fresh: the cause is one of tokens."""
    theirs = [replace(x, usage=replace(x.usage, cache_read_tokens=0)) for x in month()]
    finding = only(bill(usage_of(theirs), month()))
    assert finding.causes == ("missing cache hits",)
    assert finding.advice


def test_calls_that_one_side_lacks(bill):
    """A part of the calls missing on either side: which kinds, by how much, and why."""
    lacking = only(bill(usage_of(month()), [x for i, x in enumerate(month()) if i % 10]))
    assert lacking.causes == ("calls not in the ledger",)
    assert sum("billed" in said for said in lacking.says) == 3
    more = [x for i, x in enumerate(month()) if i % 4]
    assert only(bill(usage_of(more), month())).causes == ("calls not billed",)
    nobody = only(bill(usage_of(month()), []))
    assert nobody.causes == ("calls not in the ledger",)


def test_tokens_on_other_days(bill):
    """The sums agree and the days do not: an alarm, with the worst day."""
    theirs = [
        replace(x, at=x.at + timedelta(days=3) if 10 < i < 14 else x.at)
        for i, x in enumerate(month())
    ]
    finding = only(bill(usage_of(theirs), month()))
    assert finding.alarm
    assert any(" days, such as 2026-10-" in said for said in finding.says)


def test_a_price_is_no_cause_of_tokens(bill):
    """Output that is counted a tenth longer has no name, for no price can be seen."""
    theirs = [
        replace(x, usage=replace(x.usage, output_tokens=x.usage.output_tokens * 11 // 10))
        for x in month()
    ]
    finding = only(bill(usage_of(theirs), month()))
    assert finding.causes == ("unexplained",)
    assert finding.says[0].startswith("output: billed")


def test_what_the_ledger_only_counted_is_in_doubt(bill):
    """A call of our own count may be off by a tenth, and its input may have been cached."""
    usage = Usage(input_tokens=100_000, output_tokens=20_000, estimated=True)
    cost = 100_000 * 150_000 + 20_000 * 600_000
    mine = [entry(x.at, usage, cost, reservation_id=x.reservation_id) for x in month()]
    told_ = Usage(input_tokens=105_000, cache_read_tokens=90_000, output_tokens=21_500)
    theirs = [replace(x, usage=told_) for x in month()]
    assert not bill(usage_of(theirs), mine).alarm
    much = [replace(x, usage=replace(told_, output_tokens=30_000)) for x in month()]
    assert bill(usage_of(much), mine).alarm


def test_lost_calls_are_in_doubt(bill):
    """Charged in full and without a usage: the host may have billed what its charge would buy."""
    lost = [
        entry(x.at, Usage(estimated=True), 10**10, kind="expire", outcome="lost",
              reservation_id=f"l{i}/0")
        for i, x in enumerate(month()[:20])
    ]  # fmt: skip
    few = [replace(x, usage=Usage(input_tokens=5_000, output_tokens=500)) for x in lost]
    assert not bill(usage_of([*month(), *few]), [*month(), *lost]).alarm
    assert not bill(usage_of(month()), [*month(), *lost]).alarm


def test_the_share_of_the_tolerance(bill):
    """Half a percent of the tokens unless told else."""
    theirs = [
        replace(x, usage=replace(x.usage, output_tokens=x.usage.output_tokens * 103 // 100))
        for x in month()
    ]
    assert bill(usage_of(theirs), month()).alarm
    assert not bill(usage_of(theirs), month(), tolerance=Tolerance(Decimal("0.05"))).alarm


def test_input_that_is_not_split(bill):
    """Cached tokens are in the input: all is compared, and a day of input alone is a row."""
    text = "day,model,tokens,kind\n" + "".join(
        f"{x.at.date()},deepseek-flash,{x.usage.input_tokens},all\n"
        f"{x.at.date()},deepseek-flash,{x.usage.output_tokens},output\n"
        for x in month()
    )
    assert not bill(text, month()).alarm
    assert bill(text, month()[::2]).alarm
    found = bill("day,model,tokens,kind\n2026-10-10,deepseek-flash,5,all\n", [])
    assert found.alarm
    assert [r.billed_tokens for r in found.residuals] == [(5, 0, 0)]


def test_tokens_of_calls_without_a_price(bill):
    """The price is not known, the tokens are: both are said."""
    lines = [replace(line, cost=0, rates_id="") for line in month()]
    finding = only(bill(usage_of(month()[::2]), lines))
    assert finding.causes == ("no known price",)
    assert any(said.startswith("output: billed") for said in finding.says)


def test_an_unknown_sum_is_not_zero(bill):
    """Calls without a price make the ledger's sum unknown, as each model's; JSON says null."""
    lines = [replace(line, cost=0, rates_id="") for line in month()]
    other = [
        replace(x, record=replace(x.record, model="deepseek-v4-pro"), reservation_id=f"o{i}")
        for i, x in enumerate(month(3))
    ]
    text = "day,model,amount\n2026-10-10,deepseek-flash,1\n2026-11-01,deepseek-v4-pro,1\n"
    found = bill(text, [*lines, *other])
    assert found.ours is None
    assert found.billed == 2
    assert {f.model: f.ours is None for f in found.findings}[FLASH]
    assert bill(text, other).ours > 0


def test_the_command_says_unknown_for_unknown(tmp_path, capsys):
    """A bill of tokens has no amount in the table and null in JSON."""
    path, ledger = tmp_path / "b.csv", tmp_path / "l.sqlite3"
    path.write_text(HEAD + "2026-10-10,deepseek-flash,5,0,5\n")
    ledger_of(ledger, month(1))
    given_ = ["reconcile", str(path), "--host", "deepseek", "--ledger", str(ledger), "--json"]
    assert main(given_) == 2
    assert '"billed_usd": null' in capsys.readouterr().out


def test_causes_of_lines_and_days(bill):
    """Lines twice, and days that are not billed yet, are named from tokens as from amounts."""
    head, *rows = usage_of(month()).splitlines(keepends=True)
    assert only(bill(head + "".join([*rows, *rows[3:6]]), month())).causes == ("duplicate lines",)
    early = head + "".join(rows[:50])
    finding = only(bill(early, month(), until=month()[-1].at.date() + timedelta(days=1)))
    assert finding.causes == ("not yet billed",)
