"""Broken files lose no money in silence; several files are one bill; settings are checked."""

from datetime import UTC, date, datetime

import pytest
from invoices import deepseek, month

from router.bills import read_invoice, reconcile
from router.cli import main
from router.errors import ConfigError, InvalidRequestError

HEAD = "date,model,requests,cost\n"


@pytest.fixture
def write(tmp_path):
    """Write a text to a file and read it as an invoice."""

    def written(text, name="bill.csv", **reading):
        path = tmp_path / name
        path.write_text(text)
        return read_invoice(path, **reading)

    return written


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + "2026-10-01,m,1,1\n2026-10-02,m,1\n", "line 3: expected 4 cells"),
        (HEAD + '2026-10-01,"m,1,1\n2026-10-02,m,1,1\n', "line 2: expected CSV, each quote"),
        (HEAD + '2026-10-01,"m\nx",1,1\n', "line 2: expected a model, a day"),
        (HEAD + '2026-10-01,m,1,1\n2026-10-02,"m"x,1,1\n', "line 3: expected CSV"),
        (
            "date;model;cost\n2026-10-01;m;1,50\n2026-10-02;m;0.25\n",
            "line 3: cost: expected a number, got '0.25'; ',' is the decimal mark",
        ),
        (HEAD + '2026-10-01,m,1,"0,123"\n2026-10-01,m,1,1.5\n', "line 3: cost"),
        (HEAD + "2026-10-01,m,1,€1.50\n", "amounts are in EUR"),
        (HEAD + "2026-10-01,m,1,$1.50\n2026-10-01,m,1,€1.50\n", "line 3: expected amounts in USD"),
        (
            "date,model,cost,currency\n2026-10-01,m,£1.50,USD\n",
            "line 2: expected amounts in USD, got '£1.50'",
        ),
        (HEAD + "2026-10-01,m,1,¥1.50\n", "name the right one with currency="),
    ],
)
def test_a_broken_file_is_refused_with_its_line(write, text, says):
    """Cut rows, open quotes, two decimal marks, signs of another currency: no amount is lost."""
    with pytest.raises(ConfigError) as error:
        write(text)
    assert says in str(error.value)


def test_signs_set_the_currency(write):
    """Where nothing else names it; a dollar sign may be another country's dollar."""
    euros = write(HEAD + "2026-10-01,m,1,€1.50\n", exchange={"EUR": "2"})
    assert (euros.currency, euros.amount()) == ("EUR", 3)
    dollars = write(HEAD + "2026-10-01,m,1,$1.50\n", currency="AUD", exchange={"AUD": "2"})
    assert dollars.amount() == 3
    assert write(HEAD + "2026-10-01,m,1,$1.50\n").notes == ()


def test_a_model_or_key_named_total_is_none(write):
    """Only a row without a day sums up others."""
    text = (
        "date,key_name,model,cost\n2026-10-01,total-recall,m,1\n2026-10-01,k,Total 7B,2\n"
        "Total,,,3\n"
    )
    bill = write(text)
    assert bill.amount() == 3
    assert "lines with totals, left out: 4" in bill.notes


def test_tokens_without_an_amount_are_told(write):
    """An empty amount among others is taken as free, and said."""
    head = "date,model,output_tokens,cost\n"
    bill = write(head + "2026-10-01,m,5,1\n2026-10-02,m,5,\n")
    assert any("no amount, taken as free: 3" in note for note in bill.notes)
    assert not any("no amount" in note for note in write(head + "2026-10-01,m,5,1\n").notes)


def test_lines_that_are_taken_back_cancel(write):
    """A line twice and its reversal is one line; an amount of no line's size is a credit."""
    row = "2026-10-01,m,3,1.50\n"
    whole = write(HEAD + row * 2 + "2026-10-01,m,-3,-1.50\n")
    assert whole.amount("usage") == 3 / 2
    assert sum(line.requests or 0 for line in whole.lines) == 3
    alone = write(HEAD + row * 2 + "2026-10-01,m,0,-1.50\n2026-10-01,m,0,-0.2\n")
    assert alone.amount("usage") * 2 == 3
    assert alone.amount("credit") * 5 == -1


def test_instants_without_an_offset_are_of_the_named_zone(write):
    """Midnight in the bill's zone is that day, east and west of Greenwich."""
    text = HEAD + "2026-10-02 00:00:00,m,1,1\n2026-10-02T23:59:59,m,1,2\n"
    for zone in ("America/Los_Angeles", "Asia/Shanghai", None):
        assert write(text, tz=zone).days == (date(2026, 10, 2),)
    assert write(text.replace(",m,", "Z,m,"), tz="Asia/Shanghai").days[-1] == date(2026, 10, 3)


def test_several_files_are_one_bill(tmp_path):
    """Lines of a second file are its own, whatever their numbers; days in both files repeat."""
    lines = month()
    head, *rows = deepseek(lines).splitlines(keepends=True)
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text(head + "".join([*rows[:40], rows[4]]))
    second.write_text(head + "".join(rows[40:]))
    (finding,) = reconcile([first, second], lines).findings
    assert finding.causes == ("duplicate lines",)
    assert "1 lines of the invoice repeat others (lines 42 of a.csv)" in finding.says[0]
    first.write_text(head + "".join(rows[:48]))
    bill = read_invoice(first, second)
    assert sum(line.repeats for line in bill.lines) == 8
    (finding,) = reconcile(bill, lines).findings
    assert finding.causes == ("duplicate lines",)
    assert "2 of b.csv" in finding.says[0]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"since": datetime(2026, 10, 1, tzinfo=UTC)}, InvalidRequestError),
        ({"until": "2026-10-01"}, InvalidRequestError),
        ({"exchange": {"EUR": "abc"}, "currency": "EUR"}, ConfigError),
        ({"decimal": "x"}, ConfigError),
    ],
)
def test_settings_that_make_no_sense(tmp_path, options, error):
    """Each is refused by its name."""
    path = tmp_path / "b.csv"
    path.write_text(deepseek(month(4)))
    with pytest.raises(error, match=next(iter(options))):
        reconcile(path, month(4), **options)


def test_a_ledger_that_is_not_there_is_not_made(tmp_path):
    """A typing error in a path makes no empty ledger that agrees with nothing."""
    bill, path = tmp_path / "b.csv", tmp_path / "typo.sqlite3"
    bill.write_text(deepseek(month(4)))
    with pytest.raises(ConfigError, match="typo"):
        reconcile(bill, path)
    assert not path.exists()


def test_usage_errors_can_be_told_from_alarms(tmp_path, capsys):
    """Both end with 2: a usage error says so on standard error and prints no table."""
    with pytest.raises(SystemExit) as ended:
        main(["reconcile", "--fail-over", "much"])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage:")
    with pytest.raises(SystemExit):
        main(["reconcile", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Arguments that do not parse end with 2 too" in said
