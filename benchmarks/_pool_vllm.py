"""Real vLLM servers: started, killed and started again; and conversations through a `Client`."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from router import Client
from router.errors import RouterError
from router.transports.vllm import Choice

_QUIET = {
    "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": "1",
}  # fmt: skip
"""One process and one thread per server: two of them on two cores do not fight."""
MODEL = "bench-moe"


class Replica:
    """One vLLM server of its own process group."""

    def __init__(self, venv: Path, model: Path, port: int, blocks: int, folder: Path):
        self.url, self._log = f"http://127.0.0.1:{port}/v1", folder / f"{port}.log"
        self._command = [
            str(venv / "bin/python"), "-m", "vllm.entrypoints.openai.api_server",
            "--host", "127.0.0.1", "--port", str(port), "--model", str(model),
            "--served-model-name", MODEL, "--enforce-eager", "--dtype", "float32",
            "--max-model-len", "2048", "--max-num-seqs", "8", "--block-size", "32",
            "--kv-cache-memory-bytes", "64M", "--num-gpu-blocks-override", str(blocks),
            "--enable-prompt-tokens-details",
        ]  # fmt: skip
        self.process = None

    def start(self):
        environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=environ | _QUIET, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        return self

    def ready(self, seconds=180.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise SystemExit(f"vLLM ended: see {self._log}")
            try:
                with urllib.request.urlopen(self.url.removesuffix("/v1") + "/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.2)
        raise SystemExit(f"vLLM did not become ready: see {self._log}")

    def kill(self, how=signal.SIGKILL):
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, how)
            self.process.wait()


@contextmanager
def replicas(venv: Path, model: Path, folder: Path, blocks: int, port: int):
    """Two servers, stopped at the end whatever happens."""
    both = [Replica(venv, model, port + i, blocks, folder).start() for i in range(2)]
    try:
        for replica in both:
            replica.ready()
        yield both
    finally:
        for replica in both:
            replica.kill()


@dataclass(frozen=True)
class Talks:
    """Conversations that begin by chance: `rate` a second; sizes are words, about a token each."""

    rate: float
    seconds: float
    groups: int = 8
    head: int = 1200
    user: int = 30
    answer: int = 8
    turns: int = 3
    think: float = 1.0


@dataclass
class Seen:
    """One call: when it began, seconds to its first token, what was cached, how it failed."""

    at: float
    first: float = 0.0
    whole: float = 0.0
    tokens: int = 0
    cached: int = 0
    begun: bool = False
    stream: bool = True
    error: str = ""
    replicas: int = 1


@dataclass
class Ran:
    calls: list[Seen] = field(default_factory=list)

    @property
    def hit(self):
        return sum(c.cached for c in self.calls) / max(1, sum(c.tokens for c in self.calls))

    def first(self, share):
        values = sorted(c.first for c in self.calls if not c.error)
        return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def run(client: Client, talks: Talks, name: str, seed: int, *, streams: float = 1.0) -> Ran:
    """All conversations of a load, each with a thread of its own; a share of them streams.

    The words, and so the caches, are of this run alone; draws are the same for each `seed`.
    """
    ran, draws, talking = Ran(), random.Random(seed), []
    began = time.monotonic()
    with ThreadPoolExecutor(200) as threads:
        at = draws.expovariate(talks.rate)
        while at < talks.seconds:
            own = random.Random(draws.random())
            time.sleep(max(0.0, began + at - time.monotonic()))
            talking.append(threads.submit(_talk, client, talks, name, own, ran, began, streams))
            at += draws.expovariate(talks.rate)
        for talk in talking:
            talk.result()
    return ran


def _talk(client, talks, name, draws, ran, began, streams):
    group = draws.randrange(talks.groups)
    head = random.Random(f"{name}/{group}")
    messages = [{"role": "system", "content": _words(head, talks.head)}]
    stream = draws.random() < streams
    for turn in range(talks.turns):
        messages.append({"role": "user", "content": _words(draws, talks.user)})
        if turn:
            time.sleep(draws.expovariate(1 / talks.think))
        seen = Seen(at=time.monotonic() - began, stream=stream)
        ran.calls.append(seen)
        try:
            text = _call(client, messages, talks.answer, seen)
        except RouterError as error:
            seen.error = f"{type(error).__name__}: {error}"
            return
        messages.append({"role": "assistant", "content": text})


def _call(client, messages, answer, seen):
    asked = time.monotonic()
    settings = {"model": f"{MODEL}@vllm", "max_tokens": answer, "temperature": 0.0}
    if seen.stream:
        parts = []
        with client.chat.completions.create(messages, stream=True, **settings) as stream:
            for chunk in stream:
                if not seen.begun and chunk.text:
                    seen.begun, seen.first = True, time.monotonic() - asked
                parts.append(chunk.text)
        text, route = "".join(parts), stream.route
    else:
        reply = client.chat.completions.create(messages, **settings)
        text, route = reply.text, reply.route
    seen.whole = time.monotonic() - asked
    seen.first = seen.first or seen.whole
    seen.tokens, seen.cached = route.usage.input_tokens, route.usage.cache_read_tokens
    seen.replicas = len(route.attempts)
    return text


def _words(draws, count):
    return " ".join(draws.choice(_WORDS) for _ in range(count))


_WORDS = [
    "river", "stone", "garden", "window", "yellow", "morning", "paper", "silver", "mountain",
    "quiet", "letter", "bread", "winter", "travel", "music", "orange", "question", "answer",
    "bridge", "summer", "castle", "number", "village", "simple", "market",
]  # fmt: skip


def routed(client: Client, policy) -> None:
    """Let `policy` choose among the replicas instead of the pool; None: the pool itself."""
    pool = client._core.services().places.pools["vllm"]
    if policy is None:
        return
    lock = threading.Lock()

    def choose(_chain, _salt, _input_tokens, expected, *, keys=(), avoid=(), **_):
        hits = {url: expected(url) for url in pool.urls}
        with lock:
            url = policy(pool, keys, avoid)
        return Choice(url, hits[url], 0.0, 0.0, 0.0, pool.in_flight(url))

    pool.choose = choose
