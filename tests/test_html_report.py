"""The page for people who would rather look: what it says, what it cannot do, how it looks."""

import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser

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
from router.reports.html import Facts, page
from router.reports.html_parts import days
from router.reports.svg import axis, bar, stacked
from router.reports.table import exact

CATALOG = Catalog.default()
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
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
    text = html.unescape("".join(Reader(page(entries, CATALOG, FACTS)).text))
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


LOOK = """<!doctype html><title>look</title><link rel="icon" href="data:,">
<body style="margin:0"><script>
const found = [];
for (const width of [360, 1200]) {
  const frame = document.createElement("iframe");
  frame.style.cssText = `border:0;height:900px;width:${width}px`;
  frame.src = "report.html?" + width;
  frame.onload = () => {
    const page = frame.contentDocument, root = page.documentElement;
    const visible = [...page.querySelectorAll("svg.chart")].filter(e => e.clientWidth > 0);
    found.push({width, over: root.scrollWidth - root.clientWidth,
      text: page.body.innerText, charts: visible.length,
      narrow: visible.filter(e => e.classList.contains("narrow")).length});
    if (found.length == 2) {
      const said = document.createElement("pre");
      said.id = "found"; said.textContent = JSON.stringify(found);
      document.body.replaceChildren(said);
    }
  };
  document.body.append(frame);
}
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_in_a_browser(tmp_path):
    """Wide and on a phone: text is there, nothing overflows, is fetched or complained of."""
    entries = random_entries(500, seed=7, catalog=CATALOG)
    entries += [
        replace(e, record=replace(e.record, tags={"team": "x" * 200}, candidate="m" * 120 + "@h"))
        for e in entries[:20]
    ]
    status = budget("daily", Decimal(5), Decimal(3), Decimal(1), Decimal(1))
    text = page(entries, CATALOG, replace(FACTS, budgets=(status,)))
    (tmp_path / "report.html").write_text(text, "utf-8")
    (tmp_path / "look.html").write_text(LOOK, "utf-8")
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            asked.append(self.path)

    handler = functools.partial(Handler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            done = subprocess.run(
                [
                    CHROMIUM,
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--no-first-run",
                    "--disable-background-networking",
                    "--enable-logging=stderr",
                    f"--user-data-dir={tmp_path / 'profile'}",
                    "--virtual-time-budget=20000",
                    "--dump-dom",
                    f"http://127.0.0.1:{server.server_port}/look.html",
                ],
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            )
        finally:
            server.shutdown()
            thread.join()
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[:500]
    narrow, wide = sorted(json.loads(html.unescape(found[1])), key=lambda f: f["width"])
    for seen in (narrow, wide):
        assert seen["over"] == 0
        assert seen["charts"] == 1
        assert "Who answered" in seen["text"]
        assert "<script>alert(1)</script>" in seen["text"]
        assert "NaN" not in seen["text"]
    assert (narrow["narrow"], wide["narrow"]) == (1, 0)
    assert sorted(asked) == ["/look.html", "/report.html?1200", "/report.html?360"]
    assert "CONSOLE" not in done.stderr
