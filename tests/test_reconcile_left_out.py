"""Whose lines a bill has, of which models and days: what is not compared is told."""

from dataclasses import replace
from datetime import UTC, date
from decimal import Decimal

import pytest
from invoices import FLASH, bill_fixture, deepseek, ledger_of, month, only, told, utc

from router.bills import Tolerance, read_invoice, reconcile
from router.catalog import Catalog
from router.cli import main
from router.errors import InvalidRequestError, UnknownHostError, UnknownModelError
from router.money import to_usd
from router.reports import focus_from

__all__ = ["bill_fixture"]

FOCUS = (
    "BilledCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,"
    "ConsumedQuantity,ConsumedUnit,ServiceCategory,ResourceName,x_SkuMeterName\n"
)


def amounts(lines, extra=""):
    """One amount a call, with the name of the model."""
    return (
        "day,model,amount\n"
        + "".join(f"{x.at.date()},deepseek-flash,{to_usd(x.cost):f}\n" for x in lines)
        + extra
    )


def at_azure(lines, unit="1K Tokens", each=1000, extra=""):
    """A FOCUS export of Azure: a line a call and kind, and lines of other services."""
    text = FOCUS
    for x in lines:
        day, usage = x.at.date(), x.usage
        meters = (("Inp", usage.input_tokens, 580_000), ("Outp", usage.output_tokens, 1_680_000))
        for word, tokens, price in meters:
            text += (
                f"{Decimal(tokens * price) / 10**12:f},USD,{day}T00:00:00Z,,Usage,"
                f"{Decimal(tokens) / each:f},{unit},AI and Machine Learning,res,"
                f"DeepSeek-V3.2 {word} glbl Tokens\n"
            )
    return text + extra


def azure_calls():
    """Calls of DeepSeek-V3.2 at Azure, at 0.58 / 1.68 USD a million tokens."""
    record = {"host": "azure", "model": "deepseek-v3.2", "candidate": "deepseek-v3.2@azure"}
    found = []
    for i, x in enumerate(month(20)):
        fresh, output = x.usage.input_tokens, x.usage.output_tokens
        line = told(x.at, fresh, 0, output, record=record, reservation_id=f"a{i}/0")
        cost = fresh * 580_000 + output * 1_680_000
        found.append(replace(line, cost=cost, rates_id="deepseek-v3.2@azure/x"))
    return found


def test_other_services_of_an_account(bill):
    """Machines and storage in a FOCUS export are beside: no model, no alarm, and told."""
    extra = (
        "12.5,USD,2026-10-12T00:00:00Z,,Usage,24,Hours,Compute,vm1,D4s v5\n"
        "3.1,USD,2026-10-12T00:00:00Z,,Usage,24,GB,Storage,st,Hot LRS Data Stored\n"
    )
    found = bill(at_azure(azure_calls(), extra=extra), azure_calls(), host="azure")
    assert only(found).model == "deepseek-v3.2@azure"
    assert not found.alarm
    assert "other on the bill, not compared: 15.60 USD" in found.notes


def test_tokens_of_another_category_count(bill):
    """Whatever the service is called, what is billed by tokens is usage."""
    text = at_azure(azure_calls()).replace("AI and Machine Learning", "Other")
    found = bill(text, azure_calls(), host="azure")
    assert not found.alarm
    assert found.billed == found.ours


@pytest.mark.parametrize(
    ("unit", "each"),
    [
        ("Tokens", 1),
        ("1K Tokens", 1000),
        ("1K", 1000),
        ("1000 Tokens", 1000),
        ("1,000 Tokens", 1000),
        ("1M Tokens", 10**6),
        ("1000000 Tokens", 10**6),
        ("10K Tokens", 10**4),
        ("Thousand Tokens", 1000),
    ],
)
def test_units_of_tokens(bill, unit, each):
    """However a unit is written, the tokens are those of the ledger."""
    unit = f'"{unit}"' if "," in unit else unit
    found = bill(at_azure(azure_calls(), unit, each), azure_calls(), host="azure")
    assert not found.alarm
    for residual in found.residuals:
        assert residual.billed_tokens == residual.our_tokens


def test_quantities_that_were_floats(bill):
    """A quantity in thousands that is a billionth off is whole tokens; a half is refused."""
    text = at_azure(azure_calls()[:1], extra="")
    assert bill(text.replace(",50,", ",50.00000000000001,"), [], host="azure").alarm
    with pytest.raises(Exception, match="whole tokens"):
        bill(text.replace(",50,", ",50.0005,"), [], host="azure")


def test_days_of_a_zone_in_utc(bill):
    """A day that begins at 23:00 UTC is the day after: our own export of Berlin's days agrees."""
    lines = [x for x in month() if x.at.hour == 12]
    text = FOCUS + "".join(
        f"{to_usd(x.cost):f},USD,{x.at.date().replace(day=x.at.day - 1)}T22:00:00Z,"
        f"{x.at.date()}T22:00:00Z,Usage,,,,deepseek-flash,\n"
        for x in lines
        if x.at.month == 10
    )
    lines = [x for x in lines if x.at.month == 10]
    for tz in (None, "Europe/Berlin"):
        found = bill(text, lines, host="deepseek", tz=tz)
        assert not found.alarm
        assert {r.residual for r in found.residuals} == {0}


def test_lines_of_other_hosts(tmp_path):
    """Our own FOCUS of two hosts: each host's bill is its own lines, the others are told."""
    lines = [*month(10), *azure_calls()]
    path = tmp_path / "own.csv"
    focus_from(lines, Catalog.default()).to_csv(path)
    found = reconcile(path, lines, host="deepseek")
    assert only(found).model == FLASH
    assert not found.alarm
    assert found.billed == found.ours == to_usd(sum(x.cost for x in month(10)))
    assert any("lines of other hosts (azure), left out" in note for note in found.notes)
    with pytest.raises(InvalidRequestError, match="lines of azure, deepseek"):
        reconcile(path, lines)
    focus_from(month(10), Catalog.default()).to_csv(path)
    assert not reconcile(path, lines).alarm


def test_lines_without_a_model_beside_others(bill):
    """A tool's or a fee's line does not throw all models into one."""
    lines = month()
    found = bill(amounts(lines, "2026-10-12,,5.00\n"), lines, host="deepseek")
    assert only(found).model == FLASH
    assert not found.alarm
    assert any("1 lines name no model, not compared: 5.00 USD" in note for note in found.notes)
    named = bill(
        amounts(lines, "2026-10-12,,5.00\n"), lines, host="deepseek", models={"": "deepseek-flash"}
    )
    assert named.alarm
    assert named.billed - named.ours == 5


def test_tools_on_a_bill_of_openai(bill):
    """An item without a comma is no model, and no usage; an amount without any item is."""
    head = "start_time,end_time,start_time_iso,amount_value,amount_currency,line_item,quantity\n"
    day = "1790553600,1790640000,2026-09-28T00:00:00Z"
    text = f'{head}{day},1,usd,"gpt-5, input",1000\n{day},0.5,usd,web search tool calls,\n'
    found = bill(text, [])
    assert only(found).model == "gpt-5@openai"
    assert "other on the bill, not compared: 0.50 USD" in found.notes
    assert only(bill(f"{head}{day},1,usd,,\n", [])).model == "*@openai"


def test_a_host_that_nobody_knows(bill, tmp_path, capsys):
    """A typing error is said to be one, with and without a bill; a host of the ledger is known."""
    lines = month(4)
    with pytest.raises(UnknownHostError, match="did you mean deepseek"):
        bill(amounts(lines), lines, host="depseek")
    with pytest.raises(UnknownHostError, match="nosuch"):
        reconcile(None, lines, host="nosuch")
    mine = [replace(x, record=replace(x.record, host="mine")) for x in lines]
    assert bill(amounts(lines), mine, host="mine").findings
    assert reconcile(None, mine, host="mine").drift == ()
    early = [replace(x, at=utc("2026-01-01T12:00")) for x in mine[:1]]
    assert bill(amounts(lines), early, host="mine").alarm
    path, ledger = tmp_path / "b.csv", str(ledger_of(tmp_path / "l.sqlite3", lines))
    path.write_text(amounts(lines))
    assert main(["reconcile", str(path), "--host", "depseek", "--ledger", ledger]) == 1
    assert "did you mean deepseek" in capsys.readouterr().err
    assert main(["reconcile", "--host", "nosuch", "--ledger", ledger]) == 1


def test_a_model_that_nobody_knows(bill):
    """A word that is given a meaning which the host does not have is refused; an idle one told."""
    lines = month(4)
    for wrong in ("nomodel", "deepseek-flash:thinking", "gpt-5@openai"):
        with pytest.raises(UnknownModelError, match=wrong):
            bill(deepseek(lines), lines, models={"deepseek-flash": wrong})
    with pytest.raises(UnknownModelError, match="did you mean deepseek-flash"):
        bill(deepseek(lines), lines, models={"x": "deepseek-flsh"})
    found = bill(deepseek(lines), lines, models={"deepseek-flush": "deepseek-flash"})
    assert "models: the bill has no word 'deepseek-flush'" in found.notes
    assert not found.alarm


def test_calls_outside_of_the_bills_days(bill):
    """A bill that ends early at a day's end: the calls of its month beyond it are told."""
    lines = month()
    text = deepseek([x for x in lines if x.at.date() < date(2026, 10, 19)])
    found = bill(text, lines)
    assert not found.alarm
    (note,) = [n for n in found.notes if "outside" in n]
    later = [x for x in lines if date(2026, 10, 19) <= x.at.date() < date(2026, 11, 1)]
    assert f"{len(later):,} calls" in note
    assert f"{to_usd(sum(x.cost for x in later)):.4f} USD" in note
    asked = bill(text, lines, since=date(2026, 10, 10), until=date(2026, 10, 19))
    assert not any("outside" in n for n in asked.notes)
    assert not any("outside" in n for n in bill(deepseek(lines), lines).notes)
    whole = [x for x in lines if x.at.month == 10]
    assert not any("outside" in n for n in bill(deepseek(whole), lines).notes)
    assert any("outside" in n for n in bill(text, iter(lines)).notes)
    unpriced = [
        replace(x, cost=0, rates_id="") if x.at.date() > date(2026, 10, 25) else x for x in lines
    ]
    assert any("without a known price" in n for n in bill(text, unpriced).notes)


def test_a_bill_of_one_day_tells_no_hour(bill):
    """Hours can be chosen for one day until nothing is left: no day boundary is named."""
    found = bill("day,model,amount\n2026-10-10,deepseek-flash,-0\n", month(6), host="deepseek")
    assert found.alarm
    assert "day boundary" not in only(found).causes


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tolerance": 0.1}, "tolerance"),
        ({"models": ["x"]}, "models"),
        ({"models": {"x": 3}}, "models"),
        ({"at": "2026-01-01"}, "at"),
        ({"host": 3}, "host"),
        ({"catalog": "x.toml"}, "catalog"),
        ({"since": date.min}, "since"),
        ({"until": date.max}, "until"),
        ({"since": date(2026, 11, 2), "until": date(2026, 11, 1)}, "span"),
        ({"invoice": b"x"}, "invoice"),
        ({"invoice": 3}, "invoice"),
    ],
)
def test_arguments_of_a_wrong_type(tmp_path, options, says):
    """Each is refused by its name, with a bill and without."""
    path = tmp_path / "b.csv"
    path.write_text(deepseek(month(4)))
    invoice = options.pop("invoice", path)
    with pytest.raises(InvalidRequestError, match=says):
        reconcile(invoice, month(4), **options)
    if options:
        with pytest.raises(InvalidRequestError, match=says):
            reconcile(None, month(4), **options)


def test_days_of_an_invoice_made_by_hand(bill, tmp_path):
    """Days at the ends of time are refused wherever they come from."""
    path = tmp_path / "b.csv"
    path.write_text(deepseek(month(4)))
    read = read_invoice(path)
    far = replace(read, lines=tuple(replace(x, day=date.max) for x in read.lines))
    with pytest.raises(InvalidRequestError, match="2000 to 2999"):
        reconcile(far, month(4))
    assert read.zone == UTC


@pytest.mark.parametrize("share", [0.1, True, "x", Decimal("NaN"), -1, None])
def test_a_tolerance_is_a_decimal(share):
    """No floats, nothing below zero."""
    with pytest.raises(InvalidRequestError, match=r"tolerance\.share"):
        Tolerance(share)
    with pytest.raises(InvalidRequestError, match=r"tolerance\.usd"):
        Tolerance(usd=share)
    assert Tolerance("0.1", 1) == Tolerance(Decimal("0.1"), Decimal(1))
