"""A bill against a ledger: right ones agree, wrong ones alarm and are named, or are unknown."""

from dataclasses import replace
from datetime import UTC, date, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invoices import FLASH, ROW, bill_fixture, deepseek, entry, ledger_of, month, only, told, utc

from router.bills import Tolerance, read_invoice, reconcile, reprice
from router.catalog import Catalog
from router.cli import main
from router.errors import InvalidRequestError
from router.ledgers.entries import LEASE
from router.money import to_usd
from router.types import Usage

__all__ = ["bill_fixture"]


def test_a_right_bill_agrees_to_the_pico(bill):
    """The same calls, billed at the same prices: no residual at all, and no alarm."""
    lines = month()
    found = bill(deepseek(lines), lines)
    assert not found.alarm
    assert only(found).residual == 0
    assert found.billed == found.ours == to_usd(sum(line.cost for line in lines))
    assert all(r.residual == 0 for r in found.residuals)
    assert str(found).startswith(f"{FLASH}: billed")
    assert "agrees" in str(found)


@settings(max_examples=25)
@given(st.lists(st.tuples(*[st.integers(0, 10**6)] * 3), min_size=1, max_size=20))
def test_any_right_bill_agrees(tmp_path_factory, counts):
    """Whatever the tokens are: what a host bills at the catalogue's prices is no residual."""
    start = utc("2026-10-10T12:00")
    lines = [
        told(start + timedelta(hours=24 * i), *n, reservation_id=f"r{i}/0")
        for i, n in enumerate(counts)
    ]
    path = tmp_path_factory.mktemp("bill") / "b.csv"
    path.write_text(deepseek(lines))
    found = reconcile(path, lines)
    assert not found.alarm
    assert all(abs(f.residual) <= len(counts) for f in found.findings)


def moved(lines, share=1):
    """The same calls with cached tokens as fresh ones, as a host counts that lost its cache."""
    return [
        replace(line, usage=replace(line.usage, cache_read_tokens=0)) if i % share == 0 else line
        for i, line in enumerate(lines)
    ]


@pytest.mark.parametrize("share", [1, 3])
def test_missing_cache_hits(bill, share):
    """Tokens that were cached by the host's own usage are billed as fresh: how many, and where."""
    lines = month()
    finding = only(bill(deepseek(moved(lines, share)), lines))
    assert finding.causes == ("missing cache hits",)
    lost = sum(line.usage.cache_read_tokens for line in lines[::share])
    assert f"{lost:,} of " in finding.says[0]
    assert finding.residual == lost * (150_000 - 3_000)
    assert finding.explained == 1


@pytest.mark.parametrize(
    ("kind", "price", "says"),
    [
        ("output_tokens", "0.00000066", "output at about $0.66 instead of $0.6"),
        ("input_cache_miss_tokens", "0.0000001", "input at about $0.1 instead of $0.15"),
        ("input_cache_hit_tokens", "0.000000015", "cache_read at about $0.015 instead of $0.003"),
    ],
)
def test_a_stale_price_names_kind_prices_and_row(bill, kind, price, says):
    """One kind of token at another price on all days: which, what it was, which row to correct."""
    lines = month()
    text = deepseek(lines, change=lambda d, k, n, p: (n, price if k == kind else p))
    finding = only(bill(text, lines))
    assert finding.causes == ("stale price",)
    assert says in finding.says[0]
    assert ROW in finding.advice[0]


def test_a_price_that_changed_during_the_month(bill):
    """From the day on which it changed, and not before."""
    lines = month()
    day = date(2026, 10, 25)
    text = deepseek(
        lines,
        change=lambda d, k, n, p: (n, "0.0000009" if k == "output_tokens" and d >= day else p),
    )
    finding = only(bill(text, lines))
    assert finding.causes == ("stale price",)
    assert "from 2026-10-25 on" in finding.says[0]


def test_peak_hours(bill):
    """Calls on a Saturday billed at peak prices: weekends are not excepted at that host."""
    lines = [
        told(utc("2026-10-10T02:00") + timedelta(days=i), 10**6, 10**6, 10**6, peak=weekday < 6,
             reservation_id=f"r{i}/0")
        for i in range(28)
        for weekday in [(utc("2026-10-10T02:00") + timedelta(days=i)).isoweekday()]
    ]  # fmt: skip
    double = {"0.00000015": "0.0000003", "0.000000003": "0.000000006", "0.0000006": "0.0000012"}
    text = deepseek(lines, change=lambda d, k, n, p: (n, double.get(p, p)))
    finding = only(bill(text, lines))
    assert finding.causes == ("peak hours",)
    assert "weekends" in finding.says[0]
    assert finding.residual == 8 * 753 * 10**9


def test_calls_that_the_ledger_lacks_and_the_bill_lacks(bill):
    """Another program's calls on the bill, or ours missing from it: requests and tokens differ."""
    lines = month()
    finding = only(bill(deepseek(lines), lines[::2] + lines[1:40:2]))
    assert finding.causes == ("calls not in the ledger",)
    assert "10 requests" in finding.says[0]
    finding = only(bill(deepseek(lines[::2] + lines[1:40:2]), lines))
    assert finding.causes == ("calls not billed",)
    late = only(bill(deepseek(lines[:-6]), lines, until=date(2026, 11, 9)))
    assert late.causes == ("not yet billed",)


def test_days_of_another_zone(bill):
    """Days that begin in Beijing: residuals cancel over the month, and the zone is named."""
    lines = [
        replace(line, at=line.at + timedelta(hours=5 if i % 3 else -1))
        for i, line in enumerate(month())
    ]
    shanghai = timezone(timedelta(hours=8))
    text = deepseek(lines, zone=shanghai)
    found = bill(text, lines)
    assert only(found).causes == ("day boundary",)
    assert "UTC+" in only(found).says[0]
    assert not bill(text, lines, tz="Asia/Shanghai").alarm


def test_lines_that_repeat_others(bill):
    """A file joined twice: the lines are named."""
    lines = month()
    text = deepseek(lines)
    again = "".join(text.splitlines(keepends=True)[5:9])
    finding = only(bill(text + again, lines))
    assert finding.causes == ("duplicate lines",)
    assert "4 lines of the invoice repeat" in finding.says[0]


@pytest.mark.parametrize(("times", "cause"), [(119, "currency, tax or fee"), (90, "discount")])
def test_one_ratio_for_everything(bill, times, cause):
    """Each kind of token at the same ratio: a tax or a discount, not stale prices."""
    lines = month()

    def change(day, kind, tokens, price):
        return tokens, f"{Decimal(price) * times / 100:f}" if price else price

    assert only(bill(deepseek(lines, change=change), lines)).causes == (cause,)


def test_failed_attempts(bill):
    """Attempts that we returned were billed for the input of the attempt that followed."""
    lines = month()
    failed = [
        replace(
            entry(line.at - timedelta(seconds=9), kind="release", outcome="http_503"),
            reservation_id=f"r{i}/9",
            record=line.record,
            rates_id="",
        )
        for i, line in enumerate(lines)
        if i % 4 == 0
    ]
    extra = [
        replace(
            line, at=line.at - timedelta(seconds=9), usage=replace(line.usage, output_tokens=0)
        )
        for line in lines[::4]
    ]
    finding = only(bill(deepseek(lines + extra), lines + failed))
    assert finding.causes == ("failed attempts",)
    assert "15 of 15" in finding.says[0]


def test_aborted_streams(bill):
    """Closed streams, charged by what came: the bill has the whole answers."""
    lines, billed = month(), []
    for i, line in enumerate(lines):
        billed.append(line)
        if i % 3 == 0:
            short = replace(line.usage, output_tokens=1000, estimated=True)
            cost = line.cost - (line.usage.output_tokens - 1000) * 600_000
            lines[i] = replace(
                line, usage=short, cost=cost, outcome="closed", reserved=line.cost + 10**10
            )
    finding = only(bill(deepseek(billed), lines))
    assert finding.causes == ("aborted streams",)
    assert finding.high > 0


def test_two_causes_at_once(bill):
    """A lost cache and a changed price of output: both are named."""
    lines = month()
    text = deepseek(
        moved(lines, 2), change=lambda d, k, n, p: (n, "0.0000009" if k == "output_tokens" else p)
    )
    assert set(only(bill(text, lines)).causes) == {"missing cache hits", "stale price"}


def test_what_no_cause_explains_is_not_named(bill):
    """Prices that differ from day to day for no reason: unexplained, and an alarm."""
    lines = month()

    times = [Decimal("0.6"), Decimal("1.7"), Decimal("1.1"), Decimal("2.9")]

    def change(day, kind, tokens, price):
        return tokens, f"{Decimal(price) * times[day.day % 4]:f}" if price else price

    finding = only(bill(deepseek(lines, change=change), lines))
    assert finding.causes == ("unexplained",)
    assert finding.alarm


def test_what_is_in_doubt_is_no_alarm(bill):
    """Lost calls are charged in full: a bill without them is within the bars, and says so."""
    lines = month()
    lost = entry(
        utc("2026-10-12T12:00"), Usage(estimated=True), 5 * 10**11, kind="expire", outcome="lost"
    )
    found = bill(deepseek(lines), [*lines, lost])
    assert not found.alarm
    assert only(found).residual == -5 * 10**11
    assert only(found).low == 5 * 10**11


def test_tolerance(bill):
    """Half a percent and a cent, for days and models, unless told else."""
    lines = month()
    text = deepseek(lines, change=lambda d, k, n, p: (n + n // 300, p))
    assert not bill(text, lines).alarm
    assert bill(text, lines, tolerance=Tolerance(Decimal("0.001"), Decimal("0.0001"))).alarm


def test_models_that_one_side_lacks(bill):
    """A model on the bill only, or in the ledger only: said as such, whatever its price."""
    lines = month()
    other = [
        replace(line, record=replace(line.record, model="deepseek-v4-pro")) for line in lines[:3]
    ]
    text = deepseek(lines) + "u,2026-10-12,new-model,main,sk,output_tokens,0.000001,5000000\n"
    found = bill(text, lines + [replace(o, reservation_id=f"o{i}") for i, o in enumerate(other)])
    causes = {f.model: f.causes for f in found.findings}
    assert causes["new-model@deepseek"] == ("calls not in the ledger",)
    assert causes["deepseek-v4-pro@deepseek"] == ("calls not billed",)
    assert causes[FLASH] == ()
    known = bill(text, lines, models={"new-model": "deepseek-v4-pro"})
    assert "deepseek-v4-pro@deepseek" in {f.model for f in known.findings}


def test_a_price_nobody_knows_is_unknown(bill):
    """Calls without a price: ours is None, not zero, and no cause is guessed."""
    lines = [replace(line, cost=0, rates_id="") for line in month()]
    finding = only(bill(deepseek(lines), lines))
    assert (finding.ours, finding.residual) == (None, None)
    assert finding.causes == ("no known price",)
    assert all(r.ours is None for r in bill(deepseek(lines), lines).residuals)


def test_totals_only_with_tax_and_credit(bill):
    """One amount a day is enough to compare; taxes and credits stand beside."""
    lines = month()
    text = "day,model,amount,nature\n" + "".join(
        f"{line.at.date()},deepseek-flash,{to_usd(line.cost):f},usage\n" for line in lines
    )
    text += "2026-11-08,,3.5,tax\n2026-11-08,,-2,credit\n"
    found = bill(text, lines, host="deepseek")
    assert not found.alarm
    assert [n for n in found.notes if n.startswith(("tax", "credit"))] == [
        "tax on the bill, not compared: 3.50 USD",
        "credit on the bill, not compared: -2.00 USD",
    ]


def test_a_bill_that_names_no_model(bill):
    """All calls at the host are taken together."""
    lines = month()
    text = "day,amount\n" + "".join(f"{x.at.date()},{to_usd(x.cost):f}\n" for x in lines)
    assert only(bill(text, lines, host="deepseek")).model == "*@deepseek"


def test_whose_bill_it_is_must_be_known(bill):
    """A form that no host owns needs the host's name."""
    with pytest.raises(InvalidRequestError, match="host"):
        bill("day,model,amount\n2026-11-01,m,1\n", [])
    with pytest.raises(InvalidRequestError, match="span"):
        bill(deepseek(month()), [], since=date(2026, 11, 1), until=date(2026, 11, 1))


def test_stale_rows_and_held_money_are_told(bill):
    """A price that was last checked long ago, and money of no call, stand in the notes."""
    lines = month()
    held = entry(lines[3].at, cost=2 * 10**12, kind="expire", reservation_id="s",
                 record={"policy": LEASE})  # fmt: skip
    notes = bill(deepseek(lines), [*lines, held], at=utc("2027-06-01T00:00")).notes
    assert any("last checked on 2026-11-21" in note for note in notes)
    assert any(note.startswith("2.0000 USD") for note in notes)


def test_corrections_are_proposed_not_booked(bill):
    """What would bring the ledger to the bill, day by day; it adds up to the residual."""
    lines = month()
    found = bill(deepseek(moved(lines)), lines)
    proposed = found.corrections()
    assert sum(c.amount for c in proposed) == only(found).residual
    assert {c.why for c in proposed} == {"missing cache hits"}
    assert proposed[0].usd > 0


def test_csv_of_residuals(bill, tmp_path):
    """Exact decimals; tokens and requests of both sides; what is not told is empty."""
    lines = month()
    found = bill(deepseek(moved(lines)), lines)
    header, first, *_ = found.to_csv(tmp_path / "r.csv").read_text().splitlines()
    cells = dict(zip(header.split(","), first.split(","), strict=True))
    assert cells["billed_cache_read_tokens"] == "0"
    assert cells["ledger_cache_read_tokens"] == "200000"
    assert cells["cause"] == "missing cache hits"
    assert Decimal(cells["residual_usd"]) == Decimal("0.0294")


def test_frames(bill):
    """Residuals and repriced calls as DataFrames: Decimals stay exact, unknown stays null."""
    lines = month(4)
    frame = bill(deepseek(moved(lines)), lines).to_frame("pyarrow")
    assert frame.column("residual_usd").to_pylist()[0] == Decimal("0.0294")
    calls = reprice(lines, host="azure").to_frame("pyarrow")
    assert calls.column("new_usd").to_pylist() == [None] * 4
    assert calls.column("at").to_pylist()[0] == utc("2026-10-10T12:30")
    assert frame.column("day").to_pylist()[0] == date(2026, 10, 10)


def reported(i, ratio):
    line = told(utc("2026-11-02T12:00") + timedelta(minutes=i), 10_000 + i, 0, 500)
    usage = replace(line.usage, reported_cost=int(line.cost * ratio))
    return replace(line, usage=usage, reservation_id=f"d{i}/0")


def test_drift_is_seen_within_five_calls():
    """Hosts that say what they charged: no bill is needed, and five calls in a row are enough."""
    lines = [reported(i, 1) for i in range(20)] + [reported(20 + i, 1.1) for i in range(8)]
    found = reconcile(None, lines)
    (drift,) = found.drift
    assert (drift.calls, drift.off, drift.since, found.alarm) == (28, 8, 5, True)
    assert drift.ratio > 1
    assert "seen after 5 calls" in str(found)
    quiet = reconcile(None, [reported(i, 1) for i in range(20)])
    assert not quiet.alarm
    assert "agrees" in str(quiet)
    assert reconcile(None, month()).drift == ()


def test_command_line(tmp_path, capsys):
    """A table for whoever pays, and exit status 2 only where something is off."""
    lines = month()
    ledger = str(ledger_of(tmp_path / "l.sqlite3", lines))
    right, wrong = tmp_path / "right.csv", tmp_path / "wrong.csv"
    right.write_text(deepseek(lines))
    wrong.write_text(deepseek(moved(lines)))
    assert main(["reconcile", str(right), "--ledger", ledger]) == 0
    assert "agrees" in capsys.readouterr().out
    table = tmp_path / "r.csv"
    assert main(["reconcile", str(wrong), "--ledger", ledger, "--csv", str(table)]) == 2
    out = capsys.readouterr().out
    assert "missing cache hits" in out
    assert "ask the host for the difference" in out
    assert table.read_text().count("\n") == 32
    assert main(["reconcile", str(wrong), "--ledger", ledger, "--fail-over", "90%", "--json"]) == 0
    assert '"alarm": false' in capsys.readouterr().out
    assert main(["reconcile", "--ledger", ledger]) == 0
    assert "no host has reported" in capsys.readouterr().out
    assert main(["reconcile", str(tmp_path / "none.csv"), "--ledger", ledger]) == 1


def test_reprice_on_the_command_line(tmp_path, capsys):
    """Sums by any column, calls as CSV, and why a call has no price."""
    ledger = str(ledger_of(tmp_path / "l.sqlite3", month(3)))
    assert (
        main(["reprice", "--ledger", ledger, "--at", "2026-11-03T02:00", "--by", "model,day"]) == 0
    )
    out = capsys.readouterr().out
    assert "deepseek-flash" in out
    assert "2026-10-11" in out
    table = tmp_path / "calls.csv"
    assert main(["reprice", "--ledger", ledger, "--host", "azure", "--csv", str(table)]) == 0
    assert "not priced, 3" in capsys.readouterr().out
    assert table.read_text().count("\n") == 4
    assert main(["reprice", "--ledger", ledger, "--later", "7", "--json"]) == 0
    assert '"difference_usd": "0.000000000000"' in capsys.readouterr().out


def test_an_invoice_that_was_read_already(tmp_path):
    """`read_invoice` and `reconcile` may be two steps."""
    lines = month()
    path = tmp_path / "b.csv"
    path.write_text(deepseek(lines))
    invoice = read_invoice(path)
    assert invoice.zone is UTC
    assert not reconcile(invoice, lines).alarm


def daily(lines, amount):
    """One line a day with tokens of each kind, requests and an amount."""
    days = {}
    for line in lines:
        usage, sums = line.usage, days.setdefault(line.at.date(), [0, 0, 0, 0, 0])
        read = usage.cache_read_tokens
        counts = (usage.input_tokens - read, read, usage.output_tokens, 1, amount(line))
        for i, n in enumerate(counts):
            sums[i] += n
    text = "day,model,fresh_tokens,cache_read_tokens,output_tokens,requests,amount_usd\n"
    for day, (*counts, pico) in days.items():
        text += f"{day},deepseek-flash,{','.join(map(str, counts))},{to_usd(pico):f}\n"
    return text


def test_rounding_per_request(bill):
    """Each request rounded up to a cent: named, with the step."""
    lines = month()
    text = daily(lines, lambda line: -(-line.cost // 10**10) * 10**10)
    finding = only(bill(text, lines, host="deepseek"))
    assert finding.causes == ("rounding or fee per request",)
    assert "$0.01" in finding.says[0]


def test_reasoning_billed_beside_the_output(bill):
    """A host that adds reasoning to an output which holds it already."""
    lines = [
        replace(line, usage=replace(line.usage, reasoning_tokens=9_000 + 777 * (i % 11)))
        for i, line in enumerate(month())
    ]
    more = [
        replace(
            line,
            usage=replace(
                line.usage, output_tokens=line.usage.output_tokens + line.usage.reasoning_tokens
            ),
        )
        for line in lines
    ]
    assert only(bill(deepseek(more), lines)).causes == ("reasoning billed twice",)


def test_a_service_tier(bill):
    """Billed at the prices of a tier that nobody asked for: the tier is named."""
    catalog = Catalog.default().overlay(
        {
            "rate": [
                {
                    "endpoint": FLASH, "valid_from": "2026-10-01", "input": "0.15",
                    "cache_read": "0.003", "output": "0.60", "source": "s",
                    "checked": "2026-11-21",
                    "priority": {"input": "0.40", "cache_read": "0.008", "output": "0.80"},
                }
            ]
        }
    )  # fmt: skip
    lines = month()
    dear = {"0.00000015": "0.0000004", "0.000000003": "0.000000008", "0.0000006": "0.0000008"}
    text = deepseek(lines, change=lambda d, k, n, p: (n, dear.get(p, p)))
    finding = only(bill(text, lines, catalog=catalog))
    assert finding.causes == ("service tier",)
    assert "priority" in finding.says[0]


def test_what_two_causes_fit_alike_is_not_named(bill):
    """One amount a day, a few percent more: a price or a fee, so neither is said to be it."""
    lines = month()
    dearer = [(x.at.date(), x.cost + x.usage.output_tokens * 18_000) for x in lines]
    text = "day,model,amount\n" + "".join(
        f"{day},deepseek-flash,{to_usd(pico):f}\n" for day, pico in dearer
    )
    finding = only(bill(text, lines, host="deepseek"))
    assert finding.causes == ("unexplained",)
    assert {"stale price", "currency, tax or fee"} & {*finding.could_be}


def test_bills_in_yuan(bill):
    """The same bill in another currency agrees at its rate, and alarms at a wrong one."""
    lines = month()
    text = deepseek(lines, change=lambda d, k, n, p: (n, f"{Decimal(p) * 7:f}" if p else p))
    rate = str(Decimal(1) / 7)[:20]
    assert not bill(text, lines, currency="CNY", exchange={"CNY": rate}).alarm
    off = bill(text, lines, currency="CNY", exchange={"CNY": "0.15"})
    assert only(off).causes == ("currency, tax or fee",)


def test_calls_over_midnight_are_in_doubt_on_both_days(bill):
    """A call that began before midnight may stand on either day: no alarm for it."""
    lines = month()
    long = replace(told(utc("2026-10-20T00:05"), 10**6, 0, 0), seconds=900.0, reservation_id="x")
    text = deepseek([*lines, replace(long, at=long.at - timedelta(minutes=10))])
    found = bill(text, [*lines, long])
    assert not found.alarm
    assert {r.residual for r in found.residuals} == {0, 150 * 10**9, -150 * 10**9}
