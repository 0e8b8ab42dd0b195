"""The thread that asks replicas how they are: over real sockets, and with a scripted network."""

import gc
import os
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from router.transports.vllm import Pool, Watcher
from router.transports.vllm import watcher as module

METRICS = (
    "vllm:num_requests_running 2\nvllm:num_requests_waiting 1\n"
    "vllm:generation_tokens_total 100\nprocess_start_time_seconds {started}\n"
)
MODELS = '{"data": [{"id": "m", "max_model_len": 100}]}'
DEAD = "http://127.0.0.1:1/v1"


class Server:
    """A replica on loopback: what it answers can be changed, and it can stop and come back."""

    def __init__(self):
        self.health, self.started, self.pages, self.seen = 200, 5.0, True, []
        self.models = MODELS
        self.port = 0
        self.start()

    def start(self):
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                owner.seen.append((self.path, self.headers.get("authorization")))
                status, text = owner.answer(self.path)
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                with suppress(OSError):  # who asked may be gone
                    self.wfile.write(text.encode())

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True
        )
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def answer(self, path):
        if path == "/health":
            return self.health, ""
        if path == "/metrics" and self.pages:
            return 200, METRICS.format(started=self.started)
        return (200, self.models) if path == "/v1/models" and self.pages else (404, "{}")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"


@pytest.fixture
def servers():
    both = [Server(), Server()]
    yield both
    for server in both:
        server.stop()


class Watched:
    def __init__(self, urls, **settings):
        self.forgotten = []
        self.pool = Pool("vllm", urls, clock=time.monotonic, forget=self.forgotten.append)
        settings = {"clock": time.monotonic, "interval": 0.01} | settings
        self.watcher = Watcher([self.pool], **settings)

    def state(self, url):
        return next(s for s in self.pool.states() if s.url == url)

    def until(self, met):
        for _ in range(1000):
            self.watcher.touch()
            if met():
                return
            time.sleep(0.01)
        raise AssertionError(f"never met; {self.pool.states()}")


@pytest.fixture
def watched():
    made = []

    def make(urls, **settings):
        made.append(Watched(urls, **settings))
        return made[-1]

    yield make
    for each in made:
        each.watcher.close()


def test_it_reads_health_metrics_and_models(servers, watched):
    """With the host's key; models are asked once."""
    found = watched([s.url for s in servers], headers={"vllm": {"Authorization": "Bearer k"}})
    found.until(lambda: all(s.running is not None for s in found.pool.states()))
    found.until(lambda: sum(path == "/metrics" for path, _ in servers[0].seen) > 2)
    state = found.state(servers[0].url)
    assert (state.status, state.running, state.waiting) == ("up", 2, 1)
    assert state.models == frozenset({"m"})
    assert {key for _, key in servers[0].seen} == {"Bearer k"}
    assert sum(path == "/v1/models" for path, _ in servers[0].seen) == 1


def test_one_replica_is_not_watched_unless_asked_for(servers, watched):
    """A single address costs no thread and no requests."""
    alone = watched([servers[0].url])
    alone.watcher.touch()
    time.sleep(0.05)
    assert servers[0].seen == []
    assert alone.watcher._thread is None
    asked = watched([servers[0].url], always=True)
    asked.until(lambda: asked.state(servers[0].url).running == 2)


def test_a_replica_that_dies_and_comes_back_empty(servers, watched):
    """Down when nothing listens, up when something does again, its cache forgotten."""
    found, (one, other) = watched([s.url for s in servers]), servers
    found.until(lambda: found.state(one.url).running == 2)
    one.stop()
    found.until(lambda: found.state(one.url).status == "down")
    assert found.forgotten == [one.url]
    assert found.state(other.url).status == "up"
    one.started = 99.0
    one.start()
    found.until(lambda: found.state(one.url).status == "up")
    assert set(found.forgotten) == {one.url}


def test_a_restart_between_two_polls_is_seen(servers, watched):
    """The process says when it began."""
    found, one = watched([s.url for s in servers]), servers[0]
    found.until(lambda: found.state(one.url).running == 2)
    assert found.forgotten == []
    one.started = 60.0
    found.until(lambda: found.forgotten == [one.url])


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_5xx_drains(servers, watched, status):
    """No new calls while it, or what stands before it, says that it is not ready."""
    found, one = watched([s.url for s in servers]), servers[0]
    one.health = status
    found.until(lambda: found.state(one.url).status == "draining")
    one.health = 200
    found.until(lambda: found.state(one.url).status == "up")


def test_a_server_without_these_pages_is_up(servers, watched):
    """Ollama: 404 everywhere, which is an answer; its metrics are asked for once."""
    found, one = watched([s.url for s in servers]), servers[0]
    one.health, one.pages = 404, False
    found.until(lambda: sum(path == "/health" for path, _ in one.seen) > 3)
    assert (found.state(one.url).status, found.state(one.url).running) == ("up", None)
    assert sum(path == "/metrics" for path, _ in one.seen) == 1


def test_one_that_serves_another_model_after_its_restart_is_asked_again(servers, watched):
    """Its models, and whether it has metrics now."""
    found, one = watched([s.url for s in servers]), servers[0]
    one.pages = False
    found.until(lambda: ("/metrics", None) in one.seen)
    one.stop()
    found.until(lambda: found.state(one.url).status == "down")
    one.pages = True
    one.start()
    found.until(lambda: found.state(one.url).running == 2)
    one.started, one.models = 60.0, MODELS.replace('"m"', '"n"')
    found.until(lambda: found.state(one.url).models == frozenset({"n"}))


class Dripping(Server):
    """Answers what `slow` names byte by byte, without an end."""

    slow = "/metrics"

    def answer(self, path):
        if path == self.slow:
            self.gone.wait(20)
        return super().answer(path)


@pytest.mark.parametrize("slow", ["/health", "/metrics"])
def test_one_that_hangs_delays_no_other(watched, slow):
    """The others are polled on, it counts as silent, and closing does not wait for it."""
    one, other = Dripping(), Server()
    one.gone, one.slow = threading.Event(), slow
    found = watched([one.url, other.url])
    found.until(lambda: sum(path == "/health" for path, _ in other.seen) > 2)
    assert ("/health", None) in one.seen
    assert found.state(one.url).running is None
    thread = found.watcher._thread
    found.watcher.close()
    assert not thread.is_alive()
    one.gone.set()
    for server in (one, other):
        server.stop()


def test_one_that_is_asked_for_long_was_silent(monkeypatch):
    """An answer that never ends: three turns later it is down, and nobody asks it twice."""
    gone, asked = threading.Event(), []

    def hang(url, headers):
        asked.append(url)
        if url.startswith("http://a"):
            gone.wait(20)
        return 200, ""

    monkeypatch.setattr(module, "_LONG", 0.0)
    pool, watcher, _ = scripted(hang)
    for status in ("up", "up", "up", "down"):
        watcher.poll(hang, 0.05)
        assert [s.status for s in pool.states()] == [status, "up"]
    assert sum(url.startswith("http://a") for url in asked) == 1
    watcher.close()
    gone.set()


def test_an_answer_that_drips_is_none(monkeypatch, wire):
    """A byte now and then is no silence to a socket: the whole page has its time."""
    from wire import REPEAT, Answer

    monkeypatch.setattr(module, "_TIMEOUT", 0.2)
    wire.models("vllm", Answer((b"#", REPEAT), chunked=True))
    with module._Http() as http:
        assert http.get(wire.url("vllm") + "/models", {}) is None


def test_close_ends_the_thread(servers, watched):
    """And nothing starts it again."""
    found = watched([s.url for s in servers])
    found.until(lambda: found.watcher._thread is not None)
    thread = found.watcher._thread
    found.watcher.close()
    found.watcher.close()
    assert not thread.is_alive()
    found.watcher.touch()
    assert found.watcher._thread is None


def test_a_watcher_that_nobody_keeps_ends_its_thread(servers, monkeypatch):
    """A client that was never closed leaves no thread behind."""
    found = Watched([s.url for s in servers])
    found.watcher.touch()
    thread = found.watcher._thread
    assert thread.is_alive()
    del found
    for _ in range(200):
        gc.collect()
        thread.join(0.02)
        if not thread.is_alive():
            break
    assert not thread.is_alive()


class Script:
    """A network of answers by path; None: too late; an error: nothing listens."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    def __call__(self, url, headers):
        self.asked.append(url)
        path = url.rpartition("/")[2]
        answer = self.answers.get(path, (404, ""))
        if isinstance(answer, Exception):
            raise answer
        return answer


class Seconds:
    now = 50.0

    def __call__(self):
        return self.now


def scripted(get, urls=("http://a/v1", "http://b/openai/v1"), **settings):
    clock = Seconds()
    pool = Pool("h", urls, clock=clock)
    return pool, Watcher([pool], clock=clock, get=get, **settings), clock


def test_where_it_asks():
    """Beside /v1, for /models under it."""
    get = Script(health=(200, ""), metrics=(200, METRICS.format(started=1)), models=(200, MODELS))
    pool, watcher, _ = scripted(get)
    watcher.poll(get)
    assert sorted(get.asked) == [
        "http://a/health", "http://a/metrics", "http://a/v1/models",
        "http://b/openai/health", "http://b/openai/metrics", "http://b/openai/v1/models",
    ]  # fmt: skip
    assert [s.models for s in pool.states()] == [frozenset({"m"})] * 2


@pytest.mark.parametrize(
    "models", [(200, "<html>"), (200, "[" * 100_000), (200, '{"data": [1]}'), (500, MODELS), None]
)
def test_odd_answers_are_no_answers(models):
    """What is not a list of models leaves the models unknown, and is asked again."""
    get = Script(health=(200, ""), metrics=(200, "junk"), models=models)
    pool, watcher, _ = scripted(get)
    watcher.poll(get)
    watcher.poll(get)
    assert [s.models for s in pool.states()] == [None, None]
    assert [s.status for s in pool.states()] == ["up", "up"]
    assert sum(url.endswith("/models") for url in get.asked) == 4


def test_a_server_that_is_slow_to_answer_is_down_at_the_third_time():
    """A poll that times out is no proof; calls that end well say that it lives."""
    get = Script(health=None)
    pool, watcher, _ = scripted(get)
    for status in ("up", "up", "down"):
        watcher.poll(get)
        assert {s.status for s in pool.states()} == {status}
    alive = Script(health=None)
    pool, watcher, _ = scripted(alive)
    for _ in range(6):
        watcher.poll(alive)
        for url in pool.urls:
            pool.end(pool.begin(url, 10, 0, stream=True))
    assert {s.status for s in pool.states()} == {"up"}


def test_it_sleeps_when_no_calls_are_made():
    """Ten seconds after the last, unless one is still under way; the next call wakes it."""
    get = Script(health=(200, ""))
    pool, watcher, clock = scripted(get)
    watcher._start = lambda: None
    watcher.touch()
    event, seconds = watcher.turn(get)
    assert (event, seconds) == (watcher._stop, 1.0)
    clock.now += 11
    ticket = pool.begin(pool.urls[0], 10, 0, stream=True)
    assert watcher.turn(get) == (watcher._stop, 1.0)
    pool.end(ticket)
    polls = len(get.asked)
    event, seconds = watcher.turn(get)
    assert (event is watcher._wake, event.is_set(), len(get.asked)) == (True, False, polls)
    watcher.touch()
    assert watcher._wake.is_set()
    assert watcher.turn(get) == (watcher._stop, 1.0)


def test_an_error_in_the_thread_stops_nothing_but_it(servers, watched, caplog):
    """A warning once; calls go on, and the thread is not started over and over."""

    def broken(url, headers):
        raise ZeroDivisionError

    found = watched([s.url for s in servers], get=broken)
    found.until(lambda: "not polled any more" in caplog.text)
    found.watcher._thread.join(5)
    found.watcher.touch()
    assert not found.watcher._thread.is_alive()
    assert found.pool.choose.__self__ is found.pool


def test_nothing_listens():
    """Refused connections and unknown names alike."""
    with module._Http() as http:
        for url in (DEAD, "http://127.0.0.1:2/x"):
            with pytest.raises(ConnectionError):
                http.get(url, {})
        assert http.get("nonsense", {}) is None


def test_an_endless_page_is_cut(monkeypatch, wire):
    """A stranger's server cannot fill the memory."""
    from wire import REPEAT, Answer

    monkeypatch.setattr(module, "_LONGEST", 5000)
    wire.models("vllm", Answer((b"x" * 1000, REPEAT), chunked=True))
    with module._Http() as http:
        status, text = http.get(wire.url("vllm") + "/models", {})
    assert (status, len(text) < 70_000) == (200, True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_watches_for_itself(servers, watched):
    """The thread is not there after a fork: the first call of the child starts one."""
    found = watched([s.url for s in servers])
    found.until(lambda: found.state(servers[0].url).running == 2)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            fine = found.watcher._thread is None
            found.watcher.touch()
            code = 0 if fine and found.watcher._thread.is_alive() else 1
            found.watcher.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    found.until(found.watcher._thread.is_alive)
