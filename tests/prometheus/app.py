"""An application as a user might write it, for Prometheus to scrape: `app.py PORT DIRECTORY`.

It serves /metrics and plays a round of traffic for each line on its standard input; after a round
it prints one line of JSON, with what only it knows. Its calls are in the ledger of DIRECTORY.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import start_http_server
from replica import Replica

from policies import cheapest
from router import Budget, Client, recorded_prompts
from router._clock import utcnow
from router.errors import BudgetExceededError, NoCandidateError, RateLimitError, ServerError
from router.ledgers import Record, Reservation
from router.ledgers.failing import store_failure
from router.ledgers.sqlite import SQLiteLedger
from router.telemetry.names import OPT_IN
from router.testing import MockTransport, reply

TEAMS, TENANTS = ("search", "support", "research"), ("acme", "globex")
V32, THINKING, SPECIALE = (
    "deepseek-v3.2@deepinfra",
    "deepseek-v3.2:thinking@deepinfra",
    "deepseek-v3.2-speciale@azure",
)
BUDGETS = [
    Budget("5.00", "day", name="all of us"),
    Budget("0.50", "month", name="the month"),
    Budget("2.00", "day", {"team": "search"}, name="search"),
    Budget(requests=5000, tokens=5_000_000, window="rolling 24h", name="any day"),
    Budget("0.000001", "day", {"tenant": "closed"}, name="closed"),
    Budget("6.00", "day", name="twice"),
    Budget("60.00", "month", name="twice"),
]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {}}}
KNOWN = {"source": "measured", "checked": "2026-11-22"}
FLEET = {
    "host": [{"name": "gpus", "base_url": "http://127.0.0.1:1", "self_hosted": True}],
    "model": [{"name": "tuned", "tokenizer": "deepseek-v3"}],
    "endpoint": [
        {
            "model": "tuned",
            "host": "gpus",
            "model_id": "org/tuned",
            "context_tokens": 10_000,
            "max_output_tokens": 1_000,
        }
    ],
    "fleet": [
        {
            "endpoint": "tuned@gpus",
            "gpus": 1,
            "usd_per_gpu_hour": "3.60",
            "utilisation": 45,
            "input_weight": "0.1",
            "cached_weight": "0.01",
            "curve": [{"in_flight": 1, "output": 60}, {"in_flight": 4, "output": 100}],
            **KNOWN,
        }
    ],
}


class Unsure(SQLiteLedger):
    """A ledger whose file fails at times."""

    down = False

    def _submit(self, operation, *ids):
        if self.down:
            raise store_failure("no such disk")
        return super()._submit(operation, *ids)


class Traffic:
    """The clients of the application, and rounds of calls through them."""

    def __init__(self, home: Path, kept: ExitStack) -> None:
        self.ledger = home / "ledger.sqlite3"
        self.refused = 0
        self.transport = MockTransport()
        environ = {OPT_IN: os.environ.get(OPT_IN, "")}
        common = {"ledger": self.ledger, "environ": environ, "metric_tags": ["team", "tenant"]}
        hosts = {"keys": {"deepinfra": "sk-1", "azure": "sk-2"}, "transport": self.transport}
        azure = {"azure": "http://127.0.0.1:1/v1"}
        self.replayed = kept.enter_context(Client(budgets=BUDGETS, **common))
        self.hosted = kept.enter_context(
            Client(
                budgets=BUDGETS,
                cache=kept.enter_context(tempfile.TemporaryDirectory()),
                base_urls=azure,
                **hosts,
                **common,
            )
        )
        unsure = common | {"ledger": Unsure(self.ledger), "on_ledger_error": "allow"}
        self.unsure = kept.enter_context(Client(budgets=BUDGETS, **hosts, **unsure))
        self.instant = datetime(2026, 11, 22, 12, tzinfo=UTC)
        self.fleet = kept.enter_context(
            Client(
                catalog=FLEET,
                policy=cheapest(),
                candidates=["tuned@gpus"],
                base_urls={"gpus": "http://127.0.0.1:1"},
                keys={"gpus": "k"},
                transport=MockTransport(reply("Yes", input_tokens=1000, output_tokens=800)),
                now=self.minute,
                **common,
            )
        )
        replicas = [kept.enter_context(Replica()) for _ in range(2)]
        gone = "http://127.0.0.1:9/v1"  # the discard port: nobody listens
        urls = [replica.url for replica in replicas] + [gone]
        self.pool = kept.enter_context(
            Client(base_urls={"vllm": urls}, max_retries=0, hosts=["vllm"], **common)
        )

    def minute(self) -> datetime:
        """A clock for the fleet: half a minute passes at each look, so that its load is known."""
        self.instant += timedelta(seconds=30)
        return self.instant

    def round(self, number: int) -> None:
        """Calls of every kind."""
        self._recorded(number)
        self._answered(number)
        self._failed(number)
        self._streamed(number)
        self._cached(number)
        self._refused(number)
        self._late(number)
        self._unsure(number)
        self._own(number)

    def _recorded(self, number: int) -> None:
        prompts = recorded_prompts(source="zeroeval")[20 * number : 20 * number + 20]
        for i, each in enumerate(prompts):
            self.replayed.chat.completions.create(ask(each.prompt), tags=tags(i))

    def _answered(self, number: int) -> None:
        for i in range(12):
            model = (V32, THINKING, SPECIALE)[i % 3]
            answer = reply(
                "Yes",
                input_tokens=1000 + 7 * i,
                cache_read_tokens=640 if i % 2 else 0,
                output_tokens=200 + 13 * i,
                reasoning_tokens=150 if model == THINKING else 0,
                usage=i != 5,
            )
            self._call(f"answered {number} {i}", answer, model=model, tags=tags(i))

    def _failed(self, number: int) -> None:
        errors = (
            ServerError("overloaded", candidate=V32, status_code=503, retry_after=0.0),
            RateLimitError("slow down", candidate=V32, status_code=429, retry_after=0.0),
        )
        for i, error in enumerate(errors * 2):
            self._call(f"failed {number} {i}", error, reply("Yes"), model=V32, tags=tags(i))

    def _streamed(self, number: int) -> None:
        for i in range(6):
            answer = reply("One two three four five six", input_tokens=500, output_tokens=60)
            stream = self._call(
                f"streamed {number} {i}", answer, model=V32, tags=tags(i), stream=True
            )
            with stream:
                if i % 2:  # the reader has enough after a word
                    next(iter(stream))
                else:
                    list(stream)

    def _cached(self, number: int) -> None:
        answer = reply("Yes", input_tokens=3000, output_tokens=400)
        for _ in range(3):  # one call, and two answers out of the cache
            self._call(f"cached {number}", answer, model=V32, tags=tags(0))

    def _refused(self, number: int) -> None:
        for _ in range(3):
            try:
                self._call(f"refused {number}", model=V32, tags=tags(1), budget="0")
            except BudgetExceededError:
                self.refused += 1
        try:
            self._call(f"closed {number}", model=V32, tags=tags(1) | {"tenant": "closed"})
        except BudgetExceededError:
            self.refused += 1
        try:
            self._call(f"no tools {number}", model=SPECIALE, tags=tags(1), tools=[TOOL])
        except NoCandidateError:
            self.refused += 1

    def _late(self, number: int) -> None:
        ledger, at = self.hosted.ledger, utcnow()
        by = {"candidate": V32, "model": "m", "mode": "chat", "host": "deepinfra"}
        for i in range(3):  # of a process that died; of the last one somebody heard in the end
            record = Record(request_id=f"lost {number} {i}", policy="p", tags=tags(i), **by)
            lost = Reservation(
                id=f"lost {number} {i} {os.getpid()}",
                at=at,
                lease_until=at,
                amount=(i + 1) * 10**9,
                holds=(),
                record=record,
            )
            ledger.reserve(lost)
        ledger.sweep(at + timedelta(seconds=1))
        ledger.release(lost.id, at=at, outcome="http_503")

        def expired(call, send=self.transport.send):
            ledger.sweep(at + timedelta(days=1))
            return send(call)

        self.transport.send = expired
        try:
            self._call(f"late {number}", reply("Yes"), model=V32, tags=tags(1))
        finally:
            del self.transport.send

    def _unsure(self, number: int) -> None:
        ledger = self.unsure.ledger
        ledger.ledger.down = True
        for i in range(2):
            named = {"by": self.unsure, "model": V32, "tags": tags(i)}
            self._call(f"unsure {number} {i}", reply("Yes"), **named)
        time.sleep(2.5)  # until Prometheus has seen what waits
        ledger.ledger.down = False
        while ledger.unposted:
            time.sleep(0.1)
            ledger.entries()

    def _own(self, number: int) -> None:
        for i in range(4):
            question = ask(f"own {number} {i}")
            self.pool.chat.completions.create(question, model="small@vllm", tags=tags(i))
        for i in range(24):
            question = ask(f"fleet {number} {i}")
            self.fleet.chat.completions.create(question, max_tokens=1000, tags=tags(i))

    def _call(self, text: str, *answers, by=None, **arguments):
        self.transport.__init__(*answers)  # what is left of others is forgotten
        return (by or self.hosted).chat.completions.create(ask(text), **arguments)


def ask(text: str) -> list[dict[str, str]]:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


def tags(i: int) -> dict[str, str]:
    """Whose call the i-th is."""
    return {
        "team": TEAMS[i % len(TEAMS)],
        "tenant": TENANTS[i % len(TENANTS)],
        "user": f"u{i}",  # not a metric tag: must not be a label
    }


def main(port: int, home: Path) -> None:
    """Serve, and play a round for each line."""
    reader = PrometheusMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    metrics.set_meter_provider(provider)
    server, _ = start_http_server(port, addr="127.0.0.1")
    with ExitStack() as kept:
        traffic = Traffic(home, kept)
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            traffic.round(int(line))
            states = traffic.hosted.budgets.status({"team": "search", "tenant": "closed"})
            told = {
                "refused": traffic.refused,
                "replicas": [[s.url, s.status] for s in traffic.pool.replicas()],
                "budgets": [
                    [s.name, s.unit, *map(str, (s.limit, s.spent, s.reserved, s.remaining))]
                    for s in states
                ],
            }
            print(json.dumps(told), flush=True)
    server.shutdown()
    provider.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
