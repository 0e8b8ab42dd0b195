"""The page for people who would rather look: what it says, what it cannot do, how it looks."""

import html
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_ledger import START, random_entries
from spending import Book

from router import Budget, Client
from router.catalog import Catalog
from router.errors import ConfigError, InvalidRequestError
from router.ledgers.status import BudgetStatus
from router.money import to_usd
from router.reports import fleets_from
from router.reports.html import Facts, page
from router.reports.html_parts import days
from router.reports.svg import axis, bar, stacked
from router.reports.table import exact

CATALOG = Catalog.default()
NASTY = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
FACTS = Facts(made=START, since=START, until=START + timedelta(days=40), tz="Europe/Berlin")
_VOID = {"meta", "line", "br", "link", "img", "input", "hr"}


class Reader(HTMLParser):
    """Text, tags and attributes of a page; fails where an element is not closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def budget(name, limit, spent, reserved, remaining, unit="usd"):
    return BudgetStatus(
        name=name,
        limit=limit,
        spent=spent,
        reserved=reserved,
        remaining=remaining,
        resets_at=None,
        unit=unit,
    )


def test_it_says_the_ledgers_figures():
    """The total and every model's cost are there to the last digit, and what is unknown."""
    entries = random_entries(400, seed=2, days=30, catalog=CATALOG)
    status = budget("daily", Decimal(5), Decimal(3), Decimal(1), Decimal(1))
    facts = replace(FACTS, budgets=(status,))
    text = html.unescape("".join(Reader(page(entries, CATALOG, facts)).text))
    assert exact(to_usd(sum(e.cost for e in entries))) in text
    for model in {e.record.candidate for e in entries if e.record.candidate}:
        assert model in text
        spent = sum(e.cost for e in entries if e.record.candidate == model)
        assert exact(to_usd(spent)) in text
    assert "calls have no known price" in text
    for title in ("Spend over time", "Who answered", "Forecast and actual", "Caches", "Budgets"):
        assert title in text


def test_it_runs_and_loads_nothing():
    """No script, no style or picture from elsewhere, and a policy that forbids them all."""
    entries = random_entries(200, seed=2, catalog=CATALOG)
    read = Reader(page(entries, CATALOG, FACTS))
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(read.tags)
    for name, value in read.attributes:
        assert not name.startswith("on")
        assert name not in {"src", "href", "srcset", "action"}
        assert "url(" not in (value or "")
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in read.attributes


def test_what_callers_wrote_is_text():
    """Tags, names of tags, models, budgets and the title cannot become part of the page."""
    entries = [
        replace(e, record=replace(e.record, tags={NASTY: NASTY}, model=NASTY, candidate=NASTY))
        for e in random_entries(30, seed=4, catalog=CATALOG)
    ]
    status = budget(NASTY, Decimal(1), Decimal(0), Decimal(0), Decimal(1))
    facts = replace(FACTS, title=NASTY, budgets=(status,))
    read = Reader(page(entries, CATALOG, facts))
    assert not {"script", "img"} & set(read.tags)
    assert not any(name.startswith("onerror") for name, _ in read.attributes)
    assert "".join(read.text).count(NASTY) >= 5


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_text(text):
    """Whatever a tag holds, the page stays well-formed and has the same elements."""
    (entry,) = random_entries(1, seed=1, catalog=CATALOG)[:1]
    entry = replace(entry, record=replace(entry.record, tags={"team": "plain"}))
    plain = Reader(page([entry], CATALOG, FACTS)).tags
    nasty = replace(entry, record=replace(entry.record, tags={"team": text or "x"}))
    assert Reader(page([nasty], CATALOG, FACTS)).tags == plain


def test_zero_and_one_row():
    """Nothing spent says so in every section; one call is one column, not the whole width."""
    read = Reader(page([], CATALOG, Facts(made=START)))
    assert "Nothing was spent in this time." in read.text
    assert "svg" not in read.tags
    one = [e for e in random_entries(50, seed=1, catalog=CATALOG) if e.cost][:1]
    text = page(one, CATALOG, Facts(made=START))
    widths = [
        float(w) for w in re.findall(r'class="s0" x="[\d.]+" y="[\d.]+" width="([\d.]+)"', text)
    ]
    assert widths
    assert max(widths) <= 56


def test_a_budget_of_nothing_and_of_tokens():
    """A limit of zero divides nothing; budgets in tokens are shown in tokens."""
    none = budget("none", Decimal(0), Decimal(0), Decimal(0), Decimal(0))
    tokens = budget("tokens", 10, 20, 0, -10, unit="tokens")
    text = page([], CATALOG, replace(FACTS, budgets=(none, tokens)))
    assert 'width="100.00%"' in text  # not beyond the limit's bar
    assert ">tokens<" in text


@given(st.decimals(min_value="0.000000000001", max_value="9000000", places=12))
def test_axes(largest):
    """Ticks begin at zero, reach the largest value, are few, even, and short to read."""
    found = axis(largest)
    assert found.ticks[0] == 0
    assert found.ticks[-2] < largest <= found.ticks[-1]
    assert 2 <= len(found.ticks) <= 6
    steps = {b - a for a, b in zip(found.ticks, found.ticks[1:], strict=False)}
    (step,) = steps
    assert step.normalize().as_tuple().digits in {(1,), (2,), (5,)}
    labels = [found.label(tick) for tick in found.ticks]
    assert len(set(labels)) == len(labels)
    assert max(map(len, labels)) <= 6


def test_an_axis_of_nothing():
    """Where nothing was spent there is an axis all the same."""
    assert [axis(Decimal(0)).label(t) for t in axis(Decimal(0)).ticks] == ["0", "1"]


def test_days_without_spend_are_there():
    """A day on which nothing was spent is an empty slot, so that time is even."""
    spend = {("2026-11-01", "m"): Decimal(1), ("2026-11-04", "m"): Decimal(2)}
    drawn = days(spend, "t")
    assert [drawn.count(f">11-0{d}<") for d in (1, 2, 3, 4)] == [2, 2, 2, 2]
    assert drawn.count('class="s0" x=') == 4  # two columns, drawn wide and narrow


@pytest.mark.parametrize(("count", "what"), [(100, "day"), (101, "week"), (800, "month")])
def test_many_days_are_weeks_or_months(count, what):
    """A year is not 365 slivers: the sums are the same, of longer slots."""
    spend = {(f"{START.date() + timedelta(days=i)}", "m"): Decimal(1) for i in range(count)}
    drawn = days(spend, "t")
    assert f"Each {what}, in USD." in drawn
    titles = re.findall(r"<title>[^:]*: (\d+) USD</title>", drawn)
    assert sum(map(int, titles)) == 2 * count


def test_few_series():
    """The models that cost most have a colour each, the rest are one: no seventh colour."""
    spend = {("2026-11-01", f"m{i}"): Decimal(10 - i) for i in range(9)}
    drawn = days(spend, "t")
    assert ">other<" in drawn
    assert ">m5<" in drawn
    assert ">m6<" not in drawn
    assert 'class="s7"' not in drawn
    titles = re.findall(r"<title>[^:]*: (\d+) USD</title>", drawn)
    assert sum(map(int, titles)) == 2 * sum(range(2, 11))


def test_negative_and_unknown_values():
    """A correction that outweighs a day draws nothing; a loss is a red bar; unknown is none."""
    drawn = stacked(["a"], ["a"], {"m": [Decimal(-1)]}, title="t", width=300)
    assert 'class="s0"' not in drawn
    bars = bar([("s0", Decimal(-1)), ("s0", None)], Decimal(2))
    assert bars.count('class="bad"') == 1
    assert 'width="50.00%"' in bars


def test_corrections_are_noted_beside_the_chart():
    """What is below zero cannot be stacked: how much it is, is said."""
    spend = {("2026-11-01", "m"): Decimal(3), ("2026-11-02", "m"): Decimal("-0.5")}
    drawn = days(spend, "t")
    assert "Not drawn: corrections that outweigh the spend of their day, -0.50 USD" in drawn
    assert "Not drawn" not in days({("2026-11-01", "m"): Decimal(3)}, "t")


def tagged(count, name="user"):
    (entry,) = [e for e in random_entries(50, seed=1, catalog=CATALOG) if e.cost][:1]
    record = entry.record
    return [
        replace(entry, cost=i + 1, record=replace(record, tags={name: f"u{i:04d}"}))
        for i in range(count)
    ]


def test_a_tag_of_many_values():
    """The fifteen that cost most, and all others in one line: nothing is left out of the sum."""
    text = page(tagged(200), CATALOG, FACTS)
    shown = text[text.index("Who it was for") :]
    assert "The 15 largest of 200" in shown
    assert re.findall(r">u(\d+)<", shown) == [f"{i:04d}" for i in range(199, 184, -1)]
    assert "(185 others)" in shown
    assert exact(to_usd(sum(range(1, 186)))) in shown
    assert '<td class="n">185</td>' in shown


def test_tags_that_are_not_shown_are_named():
    """Four tags are drawn, the usual ones first; of others a page says that they are there."""
    lines = [*tagged(1, "team"), *(e for i in range(6) for e in tagged(1, f"x{i}"))]
    text = page(lines, CATALOG, FACTS)
    assert re.findall("<h3>([^<]*)</h3>", text) == ["team", "x0", "x1", "x2"]
    assert "Other tags, not shown: x3, x4, x5." in text
    plain = [replace(e, record=replace(e.record, tags={})) for e in lines]
    assert "Who it was for" not in page(plain, CATALOG, FACTS)


def test_own_gpus_fit_a_page():
    """A column for each fleet, three beside each other; amounts to read, and below all digits."""
    fleets = [SimpleNamespace(**_FLEET | {"endpoint": f"m{i}@vllm"}) for i in range(4)]
    text = page([], CATALOG, replace(FACTS, fleets=fleets_from(fleets)))
    shown = text[text.index("<h2>Own GPUs") :]
    assert [t.count('class="n name"') for t in shown.split("<table>")[1:]] == [3, 1]
    assert "5,284.80<small>5,284.800000123456</small>" in shown
    assert "33.3%" in shown
    assert 'unknown">unknown<' in shown
    assert "last 30 days" not in shown


_FLEET = {
    "requests": 3,
    "input_tokens": 10,
    "output_tokens": 20,
    "utilisation": Fraction(1, 3),
    "rent": 5284_800000123456,
    "idle": 0,
    "marginal": 7,
    "charged": 0,
    "per_million": lambda pico: None if pico == 7 else to_usd(pico),
}


def test_a_client_writes_it(tmp_path):
    """Whole or not at all, with its budgets; an unknown zone and a bad path are refused."""
    book = Book()
    book.call(501)
    client = Client(ledger=book.ledger, budgets=Budget("5", "month", name="of the month"))
    path = client.html_report(tmp_path / "spend.html", since="2026-11-01", title="November")
    text = path.read_text("utf-8")
    assert "<h1>November</h1>" in text
    assert "of the month" in text
    assert "0.000000000501" in text
    with pytest.raises(InvalidRequestError, match="IANA zone"):
        client.html_report(tmp_path / "x.html", tz="Berlin")
    with pytest.raises(ConfigError, match="cannot write"):
        client.html_report(tmp_path / "no" / "x.html")
    assert [p.name for p in tmp_path.iterdir()] == ["spend.html"]
    book.ledger.close()
