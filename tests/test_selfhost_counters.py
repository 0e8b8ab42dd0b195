"""What servers count becomes a fleet's load: each reading once, of its own fleet, or not."""

import threading
from datetime import timedelta
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from catalogs import utc

from router import Client
from router._upkeep import Upkeep
from router.catalog import Catalog
from router.telemetry import Telemetry
from router.testing import FakeClock, MockTransport, reply
from router.transports.access import Access
from router.transports.vllm.metrics import Metrics

START = utc("2026-11-22T12:00")
ASK = [{"role": "user", "content": "Which colour has the zebra?"}]
KNOWN = {"source": "measured", "checked": "2026-11-22"}
LIMITS = {"context_tokens": 10_000, "max_output_tokens": 1_000}
FLEET = {"gpus": 1, "usd_per_gpu_hour": "3.60", "utilisation": 50, "curve": [{"output": 100}]}


def catalog(*models, fleets=None):
    """These models at one's own host h, each with a fleet that writes 100 tokens a second."""
    return Catalog.load(
        {
            "host": [{"name": "h", "self_hosted": True, "base_url": "http://localhost:1"}],
            "model": [{"name": name} for name in models],
            "endpoint": [
                {"model": name, "host": "h", "model_id": f"org/{name}", **LIMITS}
                for name in models
            ],
            "fleet": [
                {"endpoint": f"{name}@h", **FLEET, **KNOWN}
                for name in (models if fleets is None else fleets)
            ],
        }
    )


class Standing:
    """A pool of replicas that say what they are told to."""

    def __init__(self, *replicas):
        self.host, self.replicas = "h", replicas

    def states(self):
        return tuple(self.replicas)


def replica(*models, url="a", status="up"):
    serves = frozenset(f"org/{name}" for name in models) or None
    return SimpleNamespace(url=url, status=status, models=serves, metrics=None, read_at=None)


class Watched:
    """Upkeep over one pool, minute by minute, with a clock of its own."""

    def __init__(self, mine, *replicas):
        self.upkeep = Upkeep(Access(), Telemetry())
        self.upkeep._clock = lambda: self.seconds
        self.upkeep.pools = {"h": Standing(*replicas)}
        self.catalog, self.seconds = mine, 0.0

    @property
    def now(self):
        return START + timedelta(seconds=self.seconds)

    def read(self, state, output, **told):
        state.metrics = Metrics(input_tokens=0, output_tokens=output, **told)
        state.read_at = self.seconds

    def minute(self, endpoint=None, own=0):
        """A minute goes by, with so many tokens of our own calls."""
        self.seconds += 60
        if endpoint:
            self.upkeep.load.served(
                endpoint, self.now, input_tokens=0, cache_read_tokens=0, output_tokens=own
            )
        self.catalog = self.upkeep.refreshed(self.catalog, self.now) or self.catalog

    def flow(self, endpoint="m@h"):
        found = self.upkeep.load.flow(endpoint, self.now)
        return found and found.output_tokens


def test_a_reading_counts_once():
    """Counters that nobody reads again are no sign of an idle server: our own calls count."""
    one = replica("m")
    mine = Watched(catalog("m"), one)
    mine.read(one, 0)
    for _ in range(10):
        mine.minute("m@h", own=6000)
    assert mine.flow() > 90
    assert mine.catalog.rates("m@h", mine.now).id.endswith("#amortised@100%")


def test_counters_that_are_read_go_before_our_calls():
    """What others take of the fleet counts, too."""
    one = replica("m")
    mine = Watched(catalog("m"), one)
    for minute in range(11):
        mine.read(one, 4800 * minute)
        mine.minute("m@h", own=60)
    assert mine.flow() == pytest.approx(80, rel=0.15)


def test_a_reading_counts_when_it_was_made():
    """One that waited for the next call, half an hour later, is of then and not of now."""
    one = replica("m")
    mine = Watched(catalog("m"), one)
    mine.read(one, 0)
    mine.minute()
    mine.seconds += 1800
    mine.read(one, 10**6)
    mine.seconds += 1800
    for _ in range(6):
        mine.minute("m@h", own=60)
    assert mine.flow() <= Fraction(6, 5)


def test_a_fleet_that_this_server_does_not_serve_is_in_nobodys_way():
    """Of two fleets at a host the counters are of the one that the server says it serves."""
    one = replica("m")
    mine = Watched(catalog("m", "other"), one)
    for minute in range(8):
        mine.read(one, 4800 * minute)
        mine.minute()
    assert mine.flow() > 60
    assert mine.flow("other@h") is None


@pytest.mark.parametrize("serves", [("m", "other"), ()])
def test_counters_of_several_fleets_say_nothing(serves):
    """A server of both, or one that did not say what it serves: our own calls count."""
    one = replica(*serves)
    mine = Watched(catalog("m", "other"), one)
    for minute in range(8):
        mine.read(one, 4800 * minute)
        mine.minute("m@h", own=600)
    assert 0 < mine.flow() <= 12
    assert mine.flow("other@h") is None


def test_replicas_of_several_models_count_for_their_own():
    """Each of a host's servers serves one model: each fleet has its own counters."""
    first, second = replica("m"), replica("other", url="b")
    mine = Watched(catalog("m", "other"), first, second)
    for minute in range(8):
        mine.read(first, 4800 * minute)
        mine.read(second, 600 * minute)
        mine.minute()
    assert mine.flow() == 8 * mine.flow("other@h") > 60


def test_counters_of_some_replicas_are_not_the_fleets():
    """Where one replica tells nothing our own calls count; one that is down serves nothing."""
    first, second = replica("m"), replica("m", url="b")
    mine = Watched(catalog("m"), first, second)
    for minute in range(8):
        mine.read(first, 600 * minute)
        mine.minute("m@h", own=4800)
    assert mine.flow() > 60
    second.status = "down"
    mine = Watched(catalog("m"), first, second)
    for minute in range(8):
        mine.read(first, 600 * minute)
        mine.minute("m@h", own=4800)
    assert mine.flow() <= 10


def server(models):
    """A server of these models that counts nothing."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = ('{"data": [' + ", ".join(f'{{"id": "{m}"}}' for m in models) + "]}").encode()
            found = self.path == "/v1/models"
            self.send_response(200 if found or self.path == "/health" else 404)
            self.send_header("content-length", str(len(body) if found else 0))
            self.end_headers()
            self.wfile.write(body if found else b"")

        def log_message(self, *_):
            pass

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    return found


@pytest.mark.parametrize(
    ("model_id", "fleet", "watched"),
    [
        ("deepseek-ai/DeepSeek-V3.2", "deepseek-v3.2@vllm", ["vllm"]),
        ("Qwen/Qwen3-0.6B", "deepseek-v3.2@vllm", []),
    ],
)
def test_a_single_server_is_watched_where_it_serves_a_fleet(model_id, fleet, watched):
    """One URL is polled like several when its counters are a fleet's, and only then."""
    own = server([model_id])
    made = Client(
        base_urls={"vllm": f"http://127.0.0.1:{own.server_port}/v1"},
        hosts=["vllm"],
        catalog={"fleet": [{"endpoint": fleet, **FLEET, **KNOWN}]},
        ledger=":memory:",
        transport=MockTransport(reply("Black and white")),
        now=FakeClock(START),
    )
    with made as mine:
        mine.plan(ASK)
        found = mine._core.upkeep._watcher._pools
    own.shutdown()
    own.server_close()
    assert [pool.host for pool in found] == watched
