"""The application and Prometheus as processes, and what is asked of them.

Names as `opentelemetry-exporter-prometheus` writes them, and Prometheus keeps them: dots become
underscores; the unit follows the name where it is a word (`s` as `seconds`, `USD` as it is), and
not where it is an annotation such as `{token}` or the number 1; a counter ends in `_total`. Each
series also has `otel_scope_name="centroute"`, the scope's version and its schema URL, and
`job` and `instance`, which Prometheus adds. A label without a value is, to PromQL, no label.
"""

import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from router.cli.telemetry import metrics, prometheus_name
from router.ledgers.entries import LEASE
from router.ledgers.sqlite import SQLiteLedger
from router.telemetry.budgets import FRESH
from router.telemetry.names import OPT_IN

HERE = Path(__file__).parent
ALERTS = HERE.parents[1] / "router" / "telemetry" / "data" / "alerts.yml"
READY_SECONDS = 60.0
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: centroute
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def program(name):
    """The path of a program of Prometheus; the test is skipped where there is none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"found no {name} on PATH; install Prometheus, with apt: prometheus")
    return found


def free_port():
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class App:
    """`app.py` as a process; killed and started again it listens at the same port.

    `opt_in` chooses the generation of the GenAI names.
    """

    def __init__(self, home, opt_in=""):
        self.home, self.port, self.opt_in = home, free_port(), opt_in
        self.told = {}
        self.start()

    def start(self):
        """Start it, and wait until it listens."""
        environ = os.environ | {OPT_IN: self.opt_in}
        self._errors = (self.home / f"stderr-{time.monotonic_ns()}").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "app.py"), str(self.port), str(self.home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environ,
        )
        self._lines = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()
        self._answer()

    def round(self, number):
        """Have it play a round of traffic."""
        print(number, file=self.process.stdin, flush=True)
        self.told = self._answer()

    def die(self):
        """Kill it, as a machine that fails does."""
        self.process.kill()
        self._end()

    def stop(self):
        """End it in order."""
        self.process.stdin.close()
        self._end()

    def entries(self):
        """The calls in the ledger, read by another process than the one that wrote them."""
        ledger = SQLiteLedger(self.home / "ledger.sqlite3")
        try:
            return [entry for entry in ledger.entries() if entry.record.policy != LEASE]
        finally:
            ledger.close()

    def _read(self, stream):
        for line in stream:
            self._lines.put(line)
        self._lines.put("")

    def _answer(self):
        line = self._lines.get(timeout=READY_SECONDS)
        if not line:
            self._errors.seek(0)
            raise AssertionError(f"the application ended: {self._errors.read()[-2000:]}")
        return json.loads(line)

    def _end(self):
        self.process.wait(READY_SECONDS)
        for stream in (self.process.stdin, self.process.stdout, self._errors):
            stream.close()


class Prometheus:
    """Debian's Prometheus in a temporary directory, which asks the application every second."""

    def __init__(self, home, target):
        self.url = f"http://127.0.0.1:{free_port()}"
        self.seen = None
        config = home / "prometheus.yml"
        config.write_text(CONFIG.format(port=target, rules=ALERTS if ALERTS.exists() else ""))
        self._log = (home / "prometheus.log").open("w+")
        self.process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={home / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                "--log.level=warn",
            ],
            stdout=self._log,
            stderr=self._log,
        )
        self._client = httpx.Client(base_url=self.url, timeout=20, trust_env=False)
        self._until(self._ready, "Prometheus does not start")

    def query(self, promql, at=None):
        """The samples of an instant query, as [(labels, value)]."""
        found = self._ask(
            "/api/v1/query", {"query": promql} | ({} if at is None else {"time": at})
        )
        if found["resultType"] == "scalar":
            return [({}, float(found["result"][1]))]
        return [(row["metric"], float(row["value"][1])) for row in found["result"]]

    def by(self, promql, *labels):
        """An instant query as {values of the labels: value}; without labels one value."""
        rows = self.query(promql)
        if not labels:
            ((_, value),) = rows
            return value
        return {tuple(row.get(label, "") for label in labels): value for row, value in rows}

    def samples(self, selector):
        """The raw samples of a range selector: a list of values for each series."""
        rows = self._ask("/api/v1/query", {"query": selector, "time": self.seen})["result"]
        return [[float(value) for _, value in row["values"]] for row in rows]

    def names(self):
        """The names of our metrics and those of the conventions."""
        found = self.get("/api/v1/label/__name__/values")
        return {name for name in found if name.startswith(("centroute_", "gen_ai_"))}

    def get(self, path):
        """What another page of the API says."""
        return self._client.get(path).json()["data"]

    def scraped(self, after=FRESH):
        """Wait until the application was asked `after` seconds from now: budgets are read anew."""
        asked = self.now() + after

        def since():
            rows = self.query("timestamp(up) and up == 1")
            return bool(rows) and rows[0][1] > asked

        self._until(since, "Prometheus does not scrape")
        return self.now()

    def now(self):
        """The time by Prometheus' own clock, in seconds since 1970."""
        return self.by("time()")

    def series(self, promql, seconds, until):
        """A range query with a step of a second, as [(labels, [values])]."""
        span = {"start": until - seconds, "end": until, "step": 1}
        rows = self._ask("/api/v1/query_range", {"query": promql} | span)["result"]
        return [(row["metric"], [float(value) for _, value in row["values"]]) for row in rows]

    def stop(self):
        """End it."""
        self._client.close()
        self.process.terminate()
        self.process.wait(READY_SECONDS)
        self._log.close()

    def _ask(self, path, parameters):
        found = self._client.post(path, data=parameters).json()
        if found["status"] != "success":
            raise AssertionError(f"{parameters}: {found.get('error')}")
        assert not found.get("warnings"), (parameters, found["warnings"])
        return found["data"]

    def _ready(self):
        if self.process.poll() is not None:
            self._log.seek(0)
            raise AssertionError(f"Prometheus ended: {self._log.read()[-2000:]}")
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def _until(self, done, otherwise):
        end = time.monotonic() + READY_SECONDS
        while not done():
            if time.monotonic() > end:
                raise AssertionError(otherwise)
            time.sleep(0.1)


def expected_names(generation):
    """What `centroute telemetry names` says that there is, of a generation."""
    return {
        f"{prometheus_name(one)}{ending}"
        for one, emitted_by in metrics()
        if emitted_by in {"both", generation.name}
        for ending in (("_bucket", "_sum", "_count") if one.kind == "histogram" else ("",))
    }


def ended(entries):
    """Calls as they ended: without lines of calls that were lost and never ended, and of those
    that were charged meanwhile not the difference but all that they cost.
    """
    charged = {e.reservation_id: e.cost for e in entries if e.kind == "expire"}
    return [
        replace(e, kind="settle", cost=e.cost + charged[e.reservation_id])
        if e.kind == "correct"
        else e
        for e in entries
        if e.kind != "expire" and not e.reservation_id.startswith("lost")
    ]


def summed(rows, value, *keys):
    """The sum of a value over rows, by keys: what a `sum by` of PromQL is compared with."""
    found = defaultdict(int)
    for row in rows:
        found[tuple(key(row) for key in keys)] += value(row)
    return {key: total for key, total in found.items() if total}
