"""The report's page in a browser, on a screen, on a phone and on paper."""

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

import pytest
from random_ledger import START, random_entries

from router.catalog import Catalog
from router.ledgers.status import BudgetStatus
from router.reports.html import Facts, page

CATALOG = Catalog.default()
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FACTS = Facts(made=START, since=START, until=START + timedelta(days=40), tz="Europe/Berlin")


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
    status = BudgetStatus(
        name="daily",
        limit=Decimal(5),
        spent=Decimal(3),
        reserved=Decimal(1),
        remaining=Decimal(1),
        resets_at=None,
    )
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


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_folded_figures_are_on_paper(tmp_path):
    """What a reader unfolds on a screen is printed: nobody can unfold paper."""
    text = page(random_entries(900, seed=7, catalog=CATALOG), CATALOG, FACTS)

    def pages(text):
        (tmp_path / "report.html").write_text(text, "utf-8")
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        command += [f"--user-data-dir={tmp_path / 'profile'}"]
        command += [f"--print-to-pdf={tmp_path / 'report.pdf'}", str(tmp_path / "report.html")]
        subprocess.run(command, capture_output=True, timeout=120, check=True)
        return len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "report.pdf").read_bytes()))

    folded = text.replace("details::details-content", "none")
    assert folded != text
    assert pages(text) > pages(folded) > 0
