"""Reports that are asked for wrongly, and how they look where they are shown."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from random_ledger import random_entries
from spending import Book

from router import Client
from router.catalog import Catalog
from router.errors import InvalidRequestError
from router.reports import accuracy_from, focus_from, report_from, savings_from
from router.reports.csv import conventions

CATALOG = Catalog.default()
REPORTS = ("report", "accuracy", "savings", "focus", "fleets")


@pytest.fixture
def client():
    book = Book()
    book.call(501)
    yield Client(ledger=book.ledger)
    book.ledger.close()


@pytest.mark.parametrize("name", [*REPORTS, "html_report"])
def test_an_empty_span(client, name, tmp_path):
    """One that ends where it begins or before is refused everywhere, not an empty report."""
    first = [tmp_path / "x.html"] if name == "html_report" else []
    same = datetime(2026, 11, 1, tzinfo=UTC)
    spans = [("2026-12-01", "2026-11-01"), (same, same), (date(2026, 11, 2), same)]
    for since, until in spans:
        with pytest.raises(InvalidRequestError, match="until: expected one after since") as caught:
            getattr(client, name)(*first, since=since, until=until)
        assert caught.value.param == "until"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("by", [[None], 5, None, ["day", 3], [["day"]]])
def test_columns_that_are_no_names(by):
    """What is no name of a column is refused with what was given."""
    for made in (report_from, accuracy_from):
        with pytest.raises(InvalidRequestError, match="by: expected the name of a column"):
            made([], by=by)


def test_a_column_twice():
    """It would be one column of a row and two of a file."""
    with pytest.raises(InvalidRequestError, match="by: expected each column once, got model"):
        report_from([], by=["model", "day", "model"])


@pytest.mark.parametrize("account", [None, 5, "", " "])
def test_accounts_that_are_no_names(account):
    """An account is a text that says something."""
    with pytest.raises(InvalidRequestError, match="account: expected a name"):
        focus_from([], CATALOG, account=account)


def test_other_arguments(client, tmp_path):
    """Each is refused by its name, before anything is written."""
    with pytest.raises(InvalidRequestError, match="title: expected a text, got None"):
        client.html_report(tmp_path / "x.html", title=None)
    with pytest.raises(InvalidRequestError, match="period: expected day or hour"):
        client.focus(period=["day"])
    for wrong in (5, [None], [1, 2]):
        with pytest.raises(InvalidRequestError, match="baselines: expected names such as"):
            savings_from([], CATALOG, baselines=wrong)
    for locale in (5, b"de", ""):
        with pytest.raises(InvalidRequestError, match="locale: expected one of en, da"):
            client.report().to_csv(tmp_path / "x.csv", locale)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("locale", "marks"),
    [
        ("es-US", (",", ".")),
        ("es-419", (",", ".")),
        ("es_PE.UTF-8", (",", ".")),
        ("es-PR", (",", ".")),
        ("es-ES", (";", ",")),
        ("it-CH", (";", ".")),
        ("de-LI", (";", ".")),
        ("de_AT@euro", (";", ",")),
        ("fr-CH", (";", ",")),
        ("en-ZA", (";", ",")),
        ("en-CH", (";", ".")),
        ("en-IN", (",", ".")),
        ("pt-BR", (";", ",")),
    ],
)
def test_decimal_marks_by_country(locale, marks):
    """Not every country of a language writes numbers alike (CLDR)."""
    assert conventions(locale) == marks


def test_countries_that_nobody_knows():
    """They are not taken for the language's own: the ones that are known are listed."""
    with pytest.raises(InvalidRequestError, match=r"expected 'de' alone or with one of AT, BE, C"):
        conventions("de-XX")
    with pytest.raises(InvalidRequestError, match="expected one of en, da, de"):
        conventions("ja-JP")


def test_what_a_prompt_shows():
    """Short and readable: a line for `repr`, some ten rows for `str`, whatever they hold."""
    entries = random_entries(900, seed=2, catalog=CATALOG)
    found = [
        report_from(entries, by=("day", "model", "team")),
        accuracy_from(entries, by="day"),
        savings_from(entries, CATALOG),
        focus_from(entries, CATALOG),
        report_from([], by="model"),
    ]
    for table in found:
        assert repr(table).startswith(f"{type(table).__name__}({len(table):,} rows of ")
        assert len(repr(table)) < 200
        lines = str(table).splitlines()
        assert lines[0].split() == list(table.brief)
        assert len(lines) == 1 + min(10, len(table)) + (len(table) > 10)
        assert max(map(len, lines)) < 200
        assert set(table.brief) <= set(table.columns)
    assert f"... and {len(found[0]) - 10:,} more rows" in str(found[0])


def test_money_in_pandas_can_be_calculated_with():
    """Sums, differences, products, quotients and shares are exact decimals."""
    pytest.importorskip("pandas")
    frame = report_from(random_entries(300, seed=2, catalog=CATALOG), by="day").to_frame()
    frame = frame[frame["requests"] > 0]
    cost, saved, calls = frame["cost_usd"], frame["saved_usd"], frame["requests"]
    assert (cost + saved - saved).tolist() == cost.tolist()
    assert cost.cumsum().iloc[-1] == cost.sum()
    assert isinstance((cost / calls).iloc[0], Decimal)
    assert abs((cost / cost.sum()).sum() - 1) < Decimal("1E-20")
    assert (cost * 2 / 2).tolist() == cost.tolist()
    assert cost.astype(float).std() > 0
