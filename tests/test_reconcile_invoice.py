"""Reading bills: the forms of hosts, locales, currencies, days, and errors that name the line."""

import io
import json
import zipfile
from contextlib import suppress
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.bills import read_invoice
from router.bills.figures import instant_or_day, mark_of, number
from router.errors import ConfigError

USD = 10**18


@pytest.fixture
def write(tmp_path):
    """Write a text to a file and read it as an invoice."""

    def written(text, name="bill.csv", **reading):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_invoice(path, **reading)

    return written


def figures(invoice):
    return [(b.day, b.model, b.kind, b.tokens, b.requests, b.amount) for b in invoice.lines]


DEEPSEEK = """user_id,start_time_iso,end_time_iso,model,api_key_name,api_key,type,price,amount
u,2026-09-04T00:00:00+08:00,2026-09-05T00:00:00+08:00,deepseek-flash,k,sk-F***,request_count,,7
u,2026-09-04T00:00:00+08:00,2026-09-05T00:00:00+08:00,deepseek-flash,k,sk-F***,output_tokens,0.0000006,3000
u,2026-09-04T00:00:00+08:00,2026-09-05T00:00:00+08:00,deepseek-flash,k,sk-F***,input_cache_hit_tokens,0.000000003,5
"""


def test_deepseek_amounts(write):
    """Days in the offset of the file; prices times tokens, exactly; the masked key is not kept."""
    bill = write(DEEPSEEK)
    day = date(2026, 9, 4)
    assert bill.host == "deepseek"
    assert bill.zone.utcoffset(None).total_seconds() == 8 * 3600
    assert figures(bill) == [
        (day, "deepseek-flash", "request", None, 7, None),
        (day, "deepseek-flash", "output", 3000, None, 18 * USD // 10_000),
        (day, "deepseek-flash", "cache_read", 5, None, 15 * 10**9),
    ]
    assert {line.key for line in bill.lines} == {"k"}
    assert "sk-F" not in repr(bill)


def test_deepseek_zip_in_yuan(tmp_path):
    """The archive's cost file names the currency; both sums are compared, and keys not read."""
    cost = (
        "user_id,start_time_iso,end_time_iso,model,wallet_type,cost,currency\n"
        "u,2026-09-04T00:00:00+08:00,2026-09-05T00:00:00+08:00,deepseek-flash,Paid,{},CNY\n"
    )
    for told, disagree in (("0.001800015", False), ("3.5", True)):
        raw = io.BytesIO()
        with zipfile.ZipFile(raw, "w") as archive:
            archive.writestr("usage/amount-2026-9.csv", DEEPSEEK)
            archive.writestr("usage/cost-2026-9.csv", cost.format(told))
        path = tmp_path / "usage.zip"
        path.write_bytes(raw.getvalue())
        with pytest.raises(ConfigError, match="CNY"):
            read_invoice(path)
        bill = read_invoice(path, exchange={"CNY": "0.14"})
        assert (bill.currency, bill.rate) == ("CNY", Decimal("0.14"))
        assert bill.lines[1].amount == 18 * USD // 10_000 * 14 // 100
        assert any("charged beside tokens" in note for note in bill.notes) is disagree


def test_openai_costs(write):
    """Epoch seconds, a price each kind, empty days; tools are beside usage."""
    bill = write(
        "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,"
        "quantity_unit,line_item,user_id\n"
        '1790553600,1790640000,,,0.00125,usd,1000,tokens,"gpt-5-2025-08-07, input",\n'
        '1790553600,1790640000,,,0.000125,usd,1000,tokens,"gpt-5, cached input",\n'
        '1790553600,1790640000,,,0.01,usd,1000,tokens,"gpt-5, output",\n'
        '1790553600,1790640000,,,0.03,usd,1,,"web search, calls",\n'
        "1790640000,1790726400,,,,,,,,\n"
    )
    kinds = [(b.model, b.kind, b.nature, b.tokens) for b in bill.lines]
    assert kinds == [
        ("gpt-5-2025-08-07", "input", "usage", 1000),
        ("gpt-5", "cache_read", "usage", 1000),
        ("gpt-5", "output", "usage", 1000),
        ("", "all", "other", None),
    ]
    assert bill.days == (date(2026, 9, 28),)
    assert bill.amount("usage") == Decimal("0.011375")


def test_anthropic_costs_and_usage(write):
    """Kinds of tokens by name, one-hour cache writes apart; the usage export has no amounts."""
    head = "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd\n"
    rows = [("input_no_cache", "1.50"), ("input_cache_write_1h", "0.2"), ("output", "0.50")]
    bill = write(
        head + "".join(f"2026-03-15,Claude Opus 4.6,D,K,message,x,{k},{v}\n" for k, v in rows)
    )
    assert [b.kind for b in bill.lines] == ["input", "cache_write_1h", "output"]
    assert bill.amount() == Decimal("2.2")
    usage = write(
        "usage_date_utc,model_version,api_key,usage_input_tokens_no_cache,"
        "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_read,usage_output_tokens\n"
        "2026-08-05,claude-opus-5,App,46981,15969,7,16932\n"
    )
    assert [(b.kind, b.tokens) for b in usage.lines if b.tokens] == [
        ("input", 46981), ("cache_read", 7), ("cache_write", 15969), ("output", 16932)
    ]  # fmt: skip
    assert all(line.amount is None for line in usage.lines)


def test_openrouter_rows_and_days(write):
    """One line a request (a repeated id is a repeated line), or one a day, also from its API."""
    head = "generation_id,created_at,cost_total,tokens_prompt,tokens_completion,tokens_cached,"
    rows = head + (
        "model_permaslug\n"
        "gen-1,2026-06-28 23:46:57.713,0.0123,1000,137,400,deepseek/deepseek-v3.2\n"
        "gen-1,2026-06-28 23:46:57.713,0.0123,1000,137,400,deepseek/deepseek-v3.2\n"
    )
    bill = write(rows, tz="Asia/Shanghai")
    assert bill.repeated == (3,)
    assert figures(bill)[:3] == [
        (date(2026, 6, 29), "deepseek/deepseek-v3.2", "all", None, 1, 123 * USD // 10_000),
        (date(2026, 6, 29), "deepseek/deepseek-v3.2", "input", 600, None, None),
        (date(2026, 6, 29), "deepseek/deepseek-v3.2", "cache_read", 400, None, None),
    ]
    item = {
        "date": "2025-08-24", "model": "openai/gpt-4.1", "usage": 0.015, "requests": 5,
        "prompt_tokens": 50, "completion_tokens": 125,
    }  # fmt: skip
    for text in (json.dumps({"data": [item]}), json.dumps(item) + "\n"):
        days = write(text, "a.json")
        assert figures(days)[0][3:] == (None, 5, 15 * USD // 1000)
    by_slug = write(
        "Date,Slug,Usage,BYOK Usage,Requests,Prompt Tokens,Completion Tokens,Reasoning Tokens\n"
        '"2026-05-12 00:00:00","a/b","430.07","0","4115","70965665","3009973","0"\n'
    )
    assert by_slug.amount() == Decimal("430.07")


def test_focus(write):
    """Taxes and credits apart, quantities in thousands, the model out of the meter's name."""
    bill = write(
        "BilledCost,BillingCurrency,ChargePeriodStart,ChargeCategory,ConsumedQuantity,"
        "ConsumedUnit,x_SkuMeterName\n"
        "0.58,USD,2026-11-01T00:00:00Z,Usage,1000,1K Tokens,DeepSeek-V3.2 Inp glbl Tokens\n"
        "1.68,USD,2026-11-01T00:00:00Z,Usage,1000,1K Tokens,DeepSeek-V3.2 Outp glbl Tokens\n"
        "0.43,USD,2026-11-01T00:00:00Z,Tax,,,VAT\n"
        "-1.00,USD,2026-11-01T00:00:00Z,Credit,,,Promotion\n"
    )
    assert bill.host == ""
    assert [(b.kind, b.nature, b.tokens) for b in bill.lines] == [
        ("input", "usage", 10**6), ("output", "usage", 10**6),
        ("all", "tax", None), ("all", "credit", None),
    ]  # fmt: skip
    assert bill.amount("credit") == -1


def test_a_german_export_with_named_columns(write):
    """BOM, semicolons, decimal commas, dots in thousands, a total, a credit, days as written."""
    text = (
        "\ufeffDatum;Modell;Eingabe;Ausgabe;Betrag\n"
        "02.11.2026;x;1.234.567;12.000;1.234,50 €\n"
        "03.11.2026;x;7;1;0,25\n"
        "04.11.2026;x;0;0;-5,00\n"
        "\n"
        "Summe;;1.234.574;12.001;1.229,75\n"
    )
    columns = {"day": "Datum", "model": "Modell", "amount": "Betrag"}
    columns |= {"input_tokens": "Eingabe", "output_tokens": "Ausgabe"}
    bill = write(text, columns=columns, currency="EUR", exchange={"EUR": "2"}, host="h")
    assert bill.lines[0].amount == 2469 * USD
    assert bill.lines[1].tokens == 1_234_567
    assert bill.amount("credit") == -10
    assert any("totals" in note and "6" in note for note in bill.notes)
    assert len(bill.days) == 3


@pytest.mark.parametrize(
    ("cells", "delimiter", "mark"),
    [
        (["1,234.50"], ",", "."),
        (["1.234,50"], ";", ","),
        (["1,5"], ";", ","),
        (["1,5"], ",", ","),
        (["1,234"], ",", "."),
        (["1,234"], ";", ","),
        (["12.5"], ";", "."),
        (["1.234", "12,5"], ";", ","),
        ([], ";", "."),
    ],
)
def test_the_decimal_mark_is_told_by_the_file(cells, delimiter, mark):
    """Both marks in one number decide, else the numbers together, else the delimiter."""
    assert mark_of(cells, delimiter) == mark


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$1,234.50", "1234.50"), ("USD 0.1", "0.1"), ("(3.50)", "-3.50"), ("3.5-", "-3.5"),
        ("1'000", "1000"), ("1 000.5", "1000.5"), ("1e-7", "0.0000001"), ("-€2", "-2"),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(text, value):
    """Currencies, brackets, blanks and exponents; always exact."""
    assert number(text) == Decimal(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=0, max_value=10**9))
def test_numbers_survive_both_locales(value):
    """What one locale writes is read back exactly, in either."""
    english = f"{value:,.9f}"
    german = english.replace(",", "_").replace(".", ",").replace("_", ".")
    assert number(english, ".") == number(german, ",") == value


def test_ambiguous_days_are_not_guessed():
    """04/03/2026 may be April or March: refused; 04/13 is not ambiguous."""
    assert instant_or_day("04/13/2026") == date(2026, 4, 13)
    with pytest.raises(ValueError, match="2026-11-22"):
        instant_or_day("04/03/2026")


HEAD = "day,model,input_tokens,output_tokens,amount\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1"),
        ("a,b\n1,2\n", "expected an export of one of these forms"),
        (HEAD + "2026-11-01,m,1,1,x1\n", "line 2: amount: expected a number, got 'x1'"),
        (HEAD + "2026-11-01,m,1,1,1\n2026-13-01,m,1,1,1\n", "line 3: expected a day"),
        (HEAD + "2026-11-01,m,1.5,1,1\n", "line 2: expected whole tokens"),
        (HEAD + "2026-11-01,m,1,1,1,9\n", "line 2: expected 5 cells"),
        (HEAD + "2026-11-01,m,1,1,NaN\n", "line 2"),
        (HEAD.replace("amount", "amount,currency") + "2026-11-01,m,1,1,1,CNY\n", "CNY"),
        (
            HEAD.replace("amount", "amount,currency")
            + "2026-11-01,m,1,1,1,CNY\n2026-11-01,m,1,1,1,USD\n",
            "one currency",
        ),
        (DEEPSEEK.replace("output_tokens", "magic_tokens"), "line 3: type: expected one of"),
        (
            DEEPSEEK + DEEPSEEK.splitlines()[1].replace("+08:00", "+09:00") + "\n",
            "name the zone with tz",
        ),
        (b"day,amount\n2026-11-01,\xff\xfe\n", "line 2: expected UTF-8"),
        ('{"day": "2026-11-01", "amount": 1}\nnope\n', "line 2: expected JSON"),
        ("[1]", "row 1: expected an object"),
    ],
)
def test_errors_name_the_line(write, text, says):
    """A wrong file is refused whole: which line, and what was expected."""
    with pytest.raises(ConfigError, match=f"(?s){says}"):
        write(text)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"columns": {"colour": "day"}}, "roles"),
        ({"columns": {"day": "nope"}}, "expected one of"),
        ({"tz": "Mars/Base"}, "IANA"),
        ({"currency": "EUR", "exchange": {"EUR": "0"}}, "above zero"),
    ],
)
def test_bad_settings(write, options, says):
    """Settings that make no sense are said to be the ones."""
    with pytest.raises(ConfigError, match=says):
        write(HEAD + "2026-11-01,m,1,1,1\n", **options)


def test_files_that_are_not_there(tmp_path):
    """No file, no files at all, two hosts: typed."""
    with pytest.raises(ConfigError, match="cannot read"):
        read_invoice(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="got none"):
        read_invoice()


def test_utf_16_and_named_zone(write):
    """What spreadsheets save, and the zone that days are in."""
    text = HEAD.replace(",", "\t") + "2026-11-01\tm\t1\t2\t0.5\n"
    bill = write(text.encode("utf-16"), tz="Europe/Berlin")
    assert bill.zone == ZoneInfo("Europe/Berlin")
    assert bill.amount() == Decimal("0.5")


@given(st.text(max_size=400))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    """Whatever the file holds, it is an invoice or a typed error."""
    path = tmp_path_factory.mktemp("any") / "x.csv"
    path.write_text("day,amount,model\n2026-11-01," + text, "utf-8", errors="replace")
    with suppress(ConfigError):
        read_invoice(path)
