"""Webhooks: what arrives, what is tried again, and what never reaches a request or a log."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from calling import MESSAGES, FixedScorer, in_order

from router import AsyncClient, Budget, Client
from router.budgets.warning import BudgetWarning
from router.testing import AsyncMockTransport, FakeClock, MockTransport, reply
from router.webhook import Webhook

NOW = datetime(2026, 11, 22, tzinfo=UTC)
WARNING = BudgetWarning(
    budget="daily",
    share=0.8,
    spent=Decimal("0.000000000001"),
    limit=Decimal("5.000000000000"),
    unit="usd",
    window_start=NOW,
    resets_at=datetime(2026, 11, 23, tzinfo=UTC),
)


class Receiver:
    """A server on loopback that answers with the statuses it is given, then with 200."""

    def __init__(self, *answers):
        self.answers, self.got = deque(answers), []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.path, dict(self.headers), json.loads(body)))
                status, *headers = receiver.answers.popleft() if receiver.answers else (200,)
                if status is None:  # hang up without a word
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def url(self, path="/hooks/5ecre7?token=t0ken"):
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receive():
    """Makes receivers, and ends them."""
    made = []

    def make(*answers):
        made.append(Receiver(*answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    """Tries follow each other at once."""
    monkeypatch.setattr("router.webhook._FIRST_DELAY", 0.001)


def test_what_arrives(receive):
    """The warning as JSON: exact amounts as text, instants in ISO 8601, a line for people."""
    server = receive()
    hook = Webhook(server.url(), headers={"X-Key": "k"})
    hook(WARNING)
    assert hook.flush()
    ((path, headers, body),) = server.got
    assert path == "/hooks/5ecre7?token=t0ken"
    assert (headers["X-Key"], headers["Content-Type"]) == ("k", "application/json")
    assert len(body.pop("id")) == 32
    assert body == {
        "type": "budget_warning",
        "budget": "daily",
        "unit": "usd",
        "share": 0.8,
        "spent": "0.000000000001",
        "limit": "5.000000000000",
        "window_start": "2026-11-22T00:00:00+00:00",
        "resets_at": "2026-11-23T00:00:00+00:00",
        "text": "the budget of daily is spent to 80%: $0.000000 of $5.000000",
    }
    hook.close()


def test_credentials_in_the_url_become_a_header(receive):
    """As a browser would: basic authorization, and no credentials in what is asked for."""
    server = receive()
    hook = Webhook(server.url("/h").replace("//", "//ann:pa%40ss@"))
    hook(WARNING)
    assert hook.flush()
    ((path, headers, _),) = server.got
    assert (path, headers["Authorization"]) == ("/h", "Basic YW5uOnBhQHNz")
    assert "@" not in headers["Host"]


@pytest.mark.parametrize("first", [(500,), (503, ("Retry-After", "0")), (429,), (None,)])
def test_what_passes_is_tried_again(receive, first, caplog):
    """Overload, failures and lost connections: the same body again, until it is taken."""
    server = receive(first, first)
    hook = Webhook(server.url())
    hook(WARNING)
    assert hook.flush()
    assert len(server.got) == 3
    assert len({body["id"] for _, _, body in server.got}) == 1
    assert caplog.records == []


@pytest.mark.parametrize(
    ("answer", "tries", "says"),
    [
        ((500,), 3, "HTTP 500, 3 tries"),
        ((404,), 1, "HTTP 404"),
        ((302, ("Location", "/elsewhere")), 1, "HTTP 302"),
        ((None,), 3, "RemoteProtocolError, 3 tries"),
    ],
)
def test_what_is_given_up_is_logged_without_the_url(receive, answer, tries, says, caplog):
    """A refusal or a redirect at once, else after the retries; the log names the server alone."""
    caplog.set_level(logging.DEBUG)
    server = receive(*[answer] * 5)
    hook = Webhook(server.url().replace("//", "//ann:pa55@"), retries=2, headers={"K": "hdr"})
    hook(WARNING)
    assert hook.flush()
    assert len(server.got) == tries
    (record,) = [r for r in caplog.records if r.name == "router"]
    assert record.getMessage().endswith(says)
    for secret in ("5ecre7", "t0ken", "pa55", "ann", "hdr"):
        assert secret not in caplog.text
        assert secret not in repr(hook)
    hook(WARNING)
    assert hook.flush(), "it goes on with the next one"


def test_nobody_there(caplog):
    """Without a server the tries end, and only the log tells."""
    hook = Webhook("http://127.0.0.1:1/5ecre7", retries=1)
    hook(WARNING)
    assert hook.flush()
    assert "ConnectError, 2 tries" in caplog.text
    assert "5ecre7" not in caplog.text


class Stuck(httpx.BaseTransport):
    """Answers only when it is let go."""

    def __init__(self):
        self.go, self.sent = threading.Event(), 0

    def handle_request(self, request):
        self.go.wait(30)
        self.sent += 1
        return httpx.Response(200)


def test_a_full_queue_drops_and_says_so(caplog):
    """A server that hangs costs neither time nor memory: some wait, the others are dropped."""
    stuck = Stuck()
    hook = Webhook("http://127.0.0.1/h", transport=stuck)
    for _ in range(110):
        hook(WARNING)
    assert not hook.flush(0.0)
    assert len(caplog.records) in {9, 10}  # whether the thread took the first one in time
    assert "100 warnings wait already" in caplog.text
    stuck.go.set()
    assert hook.flush()
    assert stuck.sent + len(caplog.records) == 110


def test_closed(caplog):
    """What waits when the time is up is dropped and told; what comes later as well."""
    stuck = Stuck()
    hook = Webhook("http://127.0.0.1/h", transport=stuck)
    hook(WARNING)
    hook(WARNING)
    hook.close(0.0)
    hook.close(0.0)
    hook(WARNING)
    stuck.go.set()
    assert hook.flush()
    assert stuck.sent <= 1
    assert "were left" in caplog.text
    assert "it is closed" in caplog.text


def settings(hook, transport):
    return {
        "transport": transport,
        "keys": {"deepinfra": "k"},
        "ledger": ":memory:",
        "scorer": FixedScorer(),
        "policy": in_order,
        "now": FakeClock(),
        "budgets": Budget(requests=10, warn=(0.2,)),
        "on_warning": hook,
    }


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_as_a_client_s_listener(receive, kind):
    """Both clients hand it each share once, and answer all the while."""
    server = receive()
    hook = Webhook(server.url())
    asked = {"model": "deepseek-v3.2@deepinfra"}
    with Client(**settings(hook, MockTransport(reply("x")))) as client:
        for _ in range(4 * (kind == "sync")):
            assert client.chat.completions.create(MESSAGES, **asked).text == "x"

    async def ask():
        async with AsyncClient(**settings(hook, AsyncMockTransport(reply("x")))) as client:
            for _ in range(4 * (kind == "async")):
                await client.chat.completions.create(MESSAGES, **asked)

    asyncio.run(ask())
    assert hook.flush()
    ((_, _, body),) = server.got
    assert (body["unit"], body["spent"], body["limit"]) == ("requests", "2", "10")
    assert MESSAGES[1]["content"] not in json.dumps(body)


SCRIPT = """
import sys
from datetime import UTC, datetime
from router.budgets.warning import BudgetWarning
from router.webhook import Webhook

hook = Webhook(sys.argv[1])
hook(BudgetWarning(budget="b", share=1.0, spent=1, limit=1, unit="requests",
                   window_start=datetime(2026, 11, 22, tzinfo=UTC), resets_at=None))
"""


def test_the_end_of_a_process_waits_for_it(receive):
    """A script that ends right after the last call still tells."""
    server = receive()
    subprocess.run([sys.executable, "-c", SCRIPT, server.url()], check=True, timeout=60)
    assert [body["budget"] for _, _, body in server.got] == ["b"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_sends_its_own_and_no_other(receive):
    """What waits in the parent is sent once, by the parent; the child has a thread of its own."""
    server = receive()
    stuck = Stuck()
    hook = Webhook(server.url(), transport=stuck)
    hook(WARNING)
    hook(WARNING)
    pid = os.fork()
    if not pid:
        hook._given = None
        hook(WARNING)
        os._exit(0 if hook.flush(20) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert len(server.got) == 1
    stuck.go.set()
    assert hook.flush()
    assert stuck.sent == 2


def test_a_proxy_of_the_environment(receive, monkeypatch):
    """Where the environment names a proxy, the warning goes through it."""
    server = receive()
    monkeypatch.setenv("http_proxy", server.url(""))
    hook = Webhook("http://hooks.example/h")
    hook(WARNING)
    assert hook.flush()
    assert [path for path, _, _ in server.got] == ["http://hooks.example/h"]
