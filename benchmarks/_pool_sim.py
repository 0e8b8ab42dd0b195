"""Many replicas in simulated time: continuous batching, chunked prefill, an LRU prefix cache.

A step takes `base` seconds, `per_token` for each prompt token and `per_sequence` for each answer
under way; a replica works on `slots` answers at once. Blocks of 16 tokens are kept until the
least recently used must go; those of answers are kept, too.
"""

from __future__ import annotations

import heapq
import random
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from itertools import count

from benchmarks._pool_policies import Ask
from router.prompts.blocks import BLOCK, Chain
from router.prompts.rule import CacheRule
from router.transports.vllm.metrics import Metrics
from router.transports.vllm.replica import Reading


@dataclass(frozen=True)
class Machine:
    """A replica's speed and sizes; the defaults are like a 32B model on one H100 (assumed)."""

    base: float = 0.012
    per_token: float = 1 / 12000
    per_sequence: float = 0.0001
    slots: int = 64
    chunk: int = 2048
    blocks: int = 6000


@dataclass(frozen=True)
class Load:
    """Conversations: shared heads, turns of so many tokens, thinking in between (seconds)."""

    rate: float = 6.0
    groups: int = 40
    head: int = 3000
    user: int = 200
    answer: int = 200
    turns: int = 4
    think: float = 5.0
    seconds: float = 120.0


class Talk:
    """A conversation: the same whoever routes it."""

    def __init__(self, group, draws, left, client):
        self.group, self.random, self.left, self.client = group, draws, left, client
        self.key = draws.randbytes(16)

    def size(self, mean):
        return max(BLOCK, int(self.random.lognormvariate(0, 0.6) * mean))


@dataclass(slots=True, eq=False)
class Job:
    ask: Ask
    blocks: tuple[int, ...]
    tokens: int
    answer: int
    sent: float
    talk: Talk
    left: int = -1
    cached: int = 0
    first: float = 0.0
    made: int = 0


class Server:
    def __init__(self, url, machine, now):
        self.url, self.machine = url, machine
        self.waiting, self.running = deque(), []
        self.cache: OrderedDict[int, None] = OrderedDict()
        self.busy = False
        self.started, self.out, self.inn, self.hits = now, 0, 0, 0

    def metrics(self):
        return Metrics(
            engine="vllm", running=len(self.running), waiting=len(self.waiting), kv_usage=0.0,
            output_tokens=self.out, input_tokens=self.inn, block_tokens=BLOCK,
            capacity_tokens=self.machine.blocks * BLOCK, started_at=self.started + 1.0,
        )  # fmt: skip

    def step(self):
        """Do a step; how long it takes, who got a first token and who is done at its end."""
        m = self.machine
        budget = m.chunk - len(self.running)
        read, first, over = 0, [], []
        while self.waiting and len(self.running) < m.slots:
            self.running.append(job := self.waiting.popleft())
            job.cached = self._hit(job)
            job.left = job.tokens - job.cached
        decoding = 0
        for job in self.running:
            if job.left > 0:
                part = min(job.left, max(budget, 0))
                job.left -= part
                budget -= part
                read += part
                if job.left == 0 and part:
                    self._keep(job.blocks)
                    first.append(job)
            else:
                decoding += 1
                job.made += 1
                self.out += 1
                if job.made >= job.answer:
                    over.append(job)
        self.running = [job for job in self.running if job not in over]
        took = m.base + read * m.per_token + decoding * m.per_sequence
        return took, first, over

    def _hit(self, job):
        n = 0
        for block in job.blocks:
            if block not in self.cache:
                break
            self.cache.move_to_end(block)
            n += 1
        self.inn += job.tokens
        hit = min(n * BLOCK, (job.tokens - 1) // BLOCK * BLOCK)
        self.hits += hit
        return hit

    def _keep(self, blocks):
        for block in reversed(blocks):  # the tail goes first
            self.cache[block] = None
            self.cache.move_to_end(block)
        while len(self.cache) > self.machine.blocks:
            self.cache.popitem(last=False)


@dataclass
class Outcome:
    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    tokens: int = 0
    cached: int = 0
    asked: int = 0
    ended: float = 0.0
    output: int = 0


class Sim:
    """One policy over one load; several processes have a policy each and know of others only what
    the servers tell once a second."""

    def __init__(self, policy, replicas, machine, load, *, processes=1, seed=1):
        self.now, self.ids = 0.0, count(1)
        self.events: list = []
        self.random, self.seed = random.Random(seed), seed
        self.load, self.outcome = load, Outcome()
        urls = [f"http://replica{i}:8000/v1" for i in range(replicas)]
        self.servers = {u: Server(u, machine, 0.0) for u in urls}
        rule = CacheRule(unit_tokens=BLOCK, recomputes_tokens=1, holds_output=True)
        self.clients = [policy(urls, lambda: self.now, rule) for _ in range(processes)]
        self.heads = [self._blocks(load.head) for _ in range(load.groups)]

    def run(self):
        at = 0.0
        while (at := at + self.random.expovariate(self.load.rate)) < self.load.seconds:
            group = min(int(self.random.paretovariate(0.9)) - 1, self.load.groups - 1)
            talk = Talk(group, random.Random(f"{self.seed}/{at}"), self.load.turns, self._client())
            self._at(at, self._turn, talk, self.heads[group])
        if hasattr(self.clients[0], "pool"):
            for second in range(int(self.load.seconds * 2)):
                self._at(float(second), self._poll)
        while self.events:
            self.now, _, what, arguments = heapq.heappop(self.events)
            what(*arguments)
        self.outcome.ended = self.now
        return self.outcome

    def _at(self, when, what, *arguments):
        heapq.heappush(self.events, (when, next(self.ids), what, arguments))

    def _client(self):
        return self.clients[int(self.random.random() * len(self.clients))]

    def _blocks(self, tokens):
        return tuple(next(self.ids) for _ in range(max(1, tokens // BLOCK)))

    def _turn(self, talk, history):
        blocks = history + self._blocks(talk.size(self.load.user))
        tokens = len(blocks) * BLOCK + 7
        ask = Ask(_chain(blocks, tokens), (talk.group.to_bytes(8, "big"), talk.key))
        talk.client.route(ask)
        job = Job(ask, blocks, tokens, talk.size(self.load.answer), self.now, talk)
        self.outcome.asked += 1
        server = self.servers[ask.url]
        server.waiting.append(job)
        if not server.busy:
            self._step(server)

    def _step(self, server):
        server.busy = bool(server.waiting or server.running)
        if server.busy:
            took, first, over = server.step()
            self._at(self.now + took, self._stepped, server, first, over)

    def _stepped(self, server, first, over):
        for job in first:
            job.first = self.now
            job.talk.client.first(job.ask)
            self.outcome.first.append(self.now - job.sent)
            self.outcome.tokens += job.tokens
            self.outcome.cached += job.cached
        for job in over:
            whole = job.blocks + self._blocks(job.answer)
            server._keep(whole)
            self.outcome.output += job.answer
            talk = job.talk
            chain = _chain(whole, len(whole) * BLOCK)
            self.outcome.whole.append(self.now - job.sent)
            talk.client.end(job.ask, job.tokens, job.cached, job.answer, chain)
            talk.left -= 1
            if talk.left:
                pause = talk.random.expovariate(1 / self.load.think)
                self._at(self.now + pause, self._turn, talk, whole)
        self._step(server)

    def _poll(self):
        for client in self.clients:
            for url, server in self.servers.items():
                ours = client.pool.in_flight(url)
                client.pool.polled(url, Reading(metrics=server.metrics(), ours=ours))


def _chain(blocks, tokens):
    return Chain(b"".join(block.to_bytes(8, "big") for block in blocks), tokens)
