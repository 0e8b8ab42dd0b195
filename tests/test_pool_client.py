"""A client with two replicas of one host, over sockets: stickiness, and what a death costs."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from router import AsyncClient, Client
from router.errors import NoCandidateError, ProviderError

HEAD = {"role": "system", "content": "You sort parcels by colour, size and weight. " * 60}
MODEL = "parcels@vllm"


def turn(text, *before):
    return [HEAD, *before, {"role": "user", "content": text}]


class Replica:
    """A server that remembers prompts, as vLLM's cache does, and can be told to misbehave."""

    def __init__(self):
        self.behave, self.takes, self.texts, self.calls, self.open = "", 0.0, [], 0, []
        self.port = 0
        self.start()

    def start(self):
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                owner.open.append(self.connection)

            def do_GET(self):
                found = {"/health": "", "/v1/models": owner.models()}.get(self.path)
                self.answer(404 if found is None else 200, (found or "").encode())

            def do_POST(self):
                content = self.rfile.read(int(self.headers["content-length"]))
                owner.calls += 1
                time.sleep(owner.takes)
                if owner.behave == "cut":
                    return self.cut()
                if owner.behave == "full":
                    error = {"message": "The engine is currently busy", "code": 503}
                    return self.answer(503, json.dumps({"error": error}).encode())
                body = json.loads(content)
                usage = owner.usage(body)
                if not body["stream"]:
                    return self.answer(200, owner.whole(usage))
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                self.event({"delta": {"role": "assistant", "content": "Hello"}})
                if owner.behave == "half":
                    return self.cut()
                self.event({"delta": {}, "finish_reason": "stop"})
                self.event(None, usage=usage)
                self.wfile.write(b"data: [DONE]\n\n")
                self.close_connection = True
                return None

            def event(self, choice, **fields):
                body = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
                body |= {"choices": [{"index": 0, **choice}] if choice else [], **fields}
                self.wfile.write(b"data: " + json.dumps(body).encode() + b"\n\n")
                self.wfile.flush()

            def answer(self, status, content):
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def cut(self):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

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
        for connection in self.open:  # one that is kept alive would go on
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def models(self):
        return json.dumps({"data": [{"id": "org/parcels", "max_model_len": 8192}]})

    def usage(self, body):
        text = "".join(m["content"] for m in body["messages"])
        same = max((_common(text, known) for known in self.texts), default=0)
        self.texts.append(text)
        cached = same // 64 * 16
        return {
            "prompt_tokens": len(text) // 4,
            "completion_tokens": 2,
            "total_tokens": len(text) // 4 + 2,
            "prompt_tokens_details": {"cached_tokens": min(cached, len(text) // 4)},
        }

    def whole(self, usage):
        message = {"role": "assistant", "content": "Hello"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
        return json.dumps(body | {"choices": [choice], "usage": usage}).encode()


def _common(one, other):
    n = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        n += 1
    return n


@pytest.fixture
def both():
    found = [Replica(), Replica()]
    yield found
    for replica in found:
        replica.stop()


@pytest.fixture
def client(both):
    urls = ",".join(replica.url for replica in both)
    with Client(base_urls={"vllm": urls}, ledger=":memory:", environ={}, max_retries=0) as made:
        yield made


def ask(client, messages, *, stream=False):
    if not stream:
        return client.chat.completions.create(messages, model=MODEL)
    with client.chat.completions.create(messages, model=MODEL, stream=True) as found:
        for _ in found:
            pass
    return found


def home_of(both, client, *messages):
    """The replica that gets this prompt."""
    before = [replica.calls for replica in both]
    ask(client, *messages)
    return next(r for r, calls in zip(both, before, strict=True) if r.calls > calls)


def pool_of(client):
    return client._core.services().places.pools["vllm"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_stays_where_its_cache_is(both, client, stream):
    """Ten turns: all at one replica, each finding the one before in its cache."""
    messages, cached = turn("Which first?"), []
    for n in range(10):
        reply = ask(client, messages, stream=stream)
        cached.append(reply.route.usage.cache_read_tokens)
        messages += [
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": f"And the next, number {n}? " * 3},
        ]
    assert sorted(replica.calls for replica in both) == [0, 10]
    assert cached[0] == 0
    assert cached[1:] == sorted(cached[1:])
    assert min(cached[1:]) > 600


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", ["dead", "cut", "full"])
def test_no_call_is_lost_when_a_replica_fails_before_its_first_token(both, client, stream, how):
    """Nothing listens, the connection breaks, the queue is full: the other answers at once."""
    home = home_of(both, client, turn("Which first?"))
    other = next(replica for replica in both if replica is not home)
    if how == "dead":
        home.stop()
    home.behave = how
    reply = ask(client, turn("Which second?"), stream=stream)
    assert [a.outcome == "ok" for a in reply.route.attempts] == [False, True]
    assert other.calls == 1
    if how == "dead":
        assert ask(client, turn("Which third?")).route.attempts[0].outcome == "ok"
        assert [s.url for s in pool_of(client).states() if s.status == "down"] == [home.url]
        home.start()


def test_a_stream_that_broke_after_its_first_token_is_told(both, client):
    """The caller has part of it: no other replica can go on with that answer."""
    home = home_of(both, client, turn("Which first?"))
    home.behave = "half"
    with pytest.raises(ProviderError):
        ask(client, turn("Which second?"), stream=True)
    assert sum(replica.calls for replica in both) == 2


def test_a_drained_replica_gets_no_new_calls(both, client):
    """Until it is given back."""
    home = home_of(both, client, turn("Which first?"))
    pool_of(client).drain(home.url)
    for n in range(3):
        ask(client, turn(f"Which is number {n}?"))
    assert home.calls == 1
    pool_of(client).undrain(home.url)


def test_all_that_are_dead_is_an_error_that_names_both(both, client):
    """Each is tried once."""
    ask(client, turn("Which first?"))
    for replica in both:
        replica.stop()
    with pytest.raises(ProviderError):
        ask(client, turn("Which second?"))
    for replica in both:
        replica.start()


def test_one_that_is_dead_at_the_start_stops_nobody(both):
    """As long as another answers; of none alive the error says which do not answer."""
    both[0].stop()
    urls = ",".join(replica.url for replica in both)
    settings = {"base_urls": {"vllm": urls}, "environ": {}, "ledger": ":memory:"}
    with Client(**settings) as client:
        assert ask(client, turn("Which first?")).text == "Hello"
    both[1].stop()
    with Client(**settings) as client, pytest.raises(NoCandidateError) as caught:
        client.chat.completions.create(turn("Which second?"))
    assert all(replica.url in str(caught.value) for replica in both)
    for replica in both:
        replica.start()


def test_many_tasks_that_overlap(both):
    """Calls that come faster than they end: both work, then one breaks, and none is lost."""
    for replica in both:
        replica.takes = 0.5

    async def work():
        urls = ",".join(replica.url for replica in both)
        settings = {"base_urls": {"vllm": urls}, "environ": {}, "ledger": ":memory:"}
        async with AsyncClient(**settings, max_retries=0) as client:
            tasks = []
            for n in range(60):
                call = client.chat.completions.create(turn(f"{n}?"), model=MODEL)
                tasks.append(asyncio.ensure_future(call))
                await asyncio.sleep(0.01)
                if n == 40:
                    both[0].behave = "cut"
            return [reply.text for reply in await asyncio.gather(*tasks)]

    assert asyncio.run(work()) == ["Hello"] * 60
    assert min(replica.calls for replica in both) > 0
