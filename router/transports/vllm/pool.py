"""Several servers of one's own as one host, and their calls under way. No I/O; thread-safe."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Sequence

from router._locks import watch
from router.prompts.blocks import WIDTH, Chain
from router.prompts.rule import CacheRule
from router.transports.vllm.choice import Choice, best, toll_of, view_of
from router.transports.vllm.health import Trouble
from router.transports.vllm.replica import Reading, Replica, Ticket
from router.transports.vllm.speed import Crowd, Speed
from router.transports.vllm.state import State

_HEAD = 16 * WIDTH
"""Bytes of a chain that name a conversation where the caller gives no key: 256 tokens."""
_BUSY_SECONDS = 1.0
"""How long a server that refused a call is left alone, where it does not say."""


class Pool:
    """The replicas of one host, named by their base URLs.

    For each call `choose`, `begin`, `first_token`, and `end` or `failed`. `clock` tells monotonic
    seconds; `forget` is told the URL of a cache that is empty again.
    """

    def __init__(
        self,
        host: str,
        urls: Sequence[str],
        *,
        clock: Callable[[], float],
        forget: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.host = host
        self._clock = clock
        self._forget = forget
        speed, crowd = Speed(), Crowd()
        self._replicas = {url: Replica(url, speed, crowd) for url in urls}
        self._lock = threading.Lock()
        watch(self)

    @property
    def urls(self) -> tuple[str, ...]:
        """The base URLs of all replicas."""
        return tuple(self._replicas)

    def choose(
        self,
        chain: Chain,
        salt: str,
        input_tokens: int,
        expected: Callable[[str], int],
        *,
        keys: Sequence[bytes] = (),
        model: str = "",
        avoid: Collection[str] = (),
    ) -> Choice | None:
        """The replica at which a prompt's first token is expected soonest.

        `expected` says what the cache at a URL holds of the prompt, in tokens. `keys` name the
        conversation, see `keys_of`; without them its `chain` does, in this process alone. `model`
        is its id on the wire. One to `avoid`, one that is down or not ready is better than none,
        in this order; None: the application drains them all.
        """
        now = self._clock()
        with self._lock:
            fit = self._fit(now, model, avoid)
        if not fit:
            return None
        hits = [min(expected(replica.url), input_tokens) for replica in fit]  # takes other locks
        with self._lock:
            toll = toll_of(fit, now)
            choices = [
                view_of(replica, hit, input_tokens, toll, now)
                for replica, hit in zip(fit, hits, strict=True)
            ]
        return best(choices, keys or (salt.encode() + chain.hashes[:_HEAD],))

    def elsewhere(self, model: str, avoid: Collection[str]) -> bool:
        """Whether any replica outside `avoid` may be tried: one that is down may be back."""
        with self._lock:
            return any(replica.url not in avoid for replica in self._able(model))

    def begin(
        self, url: str, input_tokens: int, cached: int, *, stream: bool, lasts: float = math.inf
    ) -> Ticket:
        """A call goes to `url`, whose cache is expected to hold `cached` tokens of it.

        After `lasts` seconds it is over, even if nobody says so.
        """
        now = self._clock()
        with self._lock:
            replica = self._replicas[url]
            return replica.begin(now, input_tokens, cached, stream=stream, lasts=lasts)

    def first_token(self, ticket: Ticket) -> None:
        """The first token of a stream has come."""
        with self._lock:
            replica = self._replicas[ticket.url]
            replica.first(ticket, self._clock())
            replica.health.well()

    def end(
        self,
        ticket: Ticket,
        *,
        cache_read_tokens: int | None = None,
        output_tokens: int | None = None,
    ) -> None:
        """The call was answered; its tokens, as far as the server told them. Idempotent."""
        now = self._clock()
        with self._lock:
            replica = self._replicas[ticket.url]
            replica.end(ticket, now, cache_read_tokens, output_tokens, well=True)
            replica.health.well()

    def failed(
        self, ticket: Ticket, trouble: Trouble, *, retry_after: float | None = None
    ) -> None:
        """The call ended badly, or nobody reads it any more (""); see `trouble_of`. Idempotent."""
        now = self._clock()
        with self._lock:
            replica = self._replicas[ticket.url]
            if ticket.over:
                return
            replica.end(ticket, now, well=False)
            health = replica.health
            if trouble in {"refused", "broke"}:
                (health.refused if trouble == "refused" else health.broke)(now)
                replica.gone(refused=trouble == "refused")
            elif trouble == "busy":
                health.busy(now, _BUSY_SECONDS if retry_after is None else retry_after)
            elif trouble == "failed":
                health.failed(now)
            else:
                health.trying = False
        if trouble == "refused":
            self._forget(ticket.url)

    def polled(self, url: str, reading: Reading) -> bool:
        """Take in what a poll found; one that was down, or is a new process, begins empty.

        True: it is, and what was known of it does not hold.
        """
        now = self._clock()
        with self._lock:
            replica = self._replicas[url]
            health, known = replica.health, replica.metrics
            if reading.refused or reading.silent:
                anew = reading.refused and health.down_since is None
                (health.refused if reading.refused else health.silent)(now)
                replica.gone(refused=reading.refused)
            else:
                if anew := replica.poll(reading, now):
                    health.anew()
                if not reading.ready:
                    health.unready(now)
                else:
                    health.leaving = False
                    if health.ready():
                        told = reading.metrics
                        same = known and known.started_at and told and told.started_at
                        anew = anew or not same
                if anew:
                    replica.models = reading.models
        if anew:
            self._forget(url)
        return anew

    def due(self) -> tuple[str, ...]:
        """The replicas that may be polled now: all but those that are down and were just tried."""
        now = self._clock()
        with self._lock:
            return tuple(
                url
                for url, r in self._replicas.items()
                if r.health.down_since is None or now >= r.health.retry_at
            )

    def drain(self, url: str) -> None:
        """Give it no new calls; those under way end. Raises KeyError for a stranger's URL."""
        with self._lock:
            self._replicas[url].health.asked = True

    @property
    def drained(self) -> bool:
        """Whether the application drains all of them."""
        with self._lock:
            return all(replica.health.asked for replica in self._replicas.values())

    def undrain(self, url: str) -> None:
        """Give it calls again."""
        with self._lock:
            self._replicas[url].health.asked = False

    def serving(self, url: str, models: frozenset[str] | None) -> None:
        """Note which models (ids on the wire) a replica said it serves; None: it did not say."""
        with self._lock:
            self._replicas[url].models = models

    def knows_models(self, url: str) -> bool:
        """Whether a replica has said which models it serves."""
        with self._lock:
            return self._replicas[url].models is not None

    def in_flight(self, url: str | None = None) -> int:
        """How many calls of this process are under way, at one replica or at all."""
        with self._lock:
            return sum(r.in_flight for r in self._replicas.values() if url in {None, r.url})

    def rule(self, url: str, rule: CacheRule) -> CacheRule:
        """How the cache at a replica works: the catalogue's rule with the sizes it told."""
        with self._lock:
            return self._replicas[url].rule(rule)

    def states(self) -> tuple[State, ...]:
        """All replicas, to be shown."""
        now = self._clock()
        with self._lock:
            return tuple(r.state(self.host, now) for r in self._replicas.values())

    def before_fork(self) -> None:
        """Let nothing be half done in the child."""
        self._lock.acquire()

    def after_fork(self, *, in_child: bool) -> None:
        """The child has none of the calls that are under way."""
        if in_child:
            for replica in self._replicas.values():
                replica.clear()
        self._lock.release()

    def _able(self, model: str) -> list[Replica]:
        """Those that serve a model; all of them if nobody says so."""
        every = [r for r in self._replicas.values() if not r.health.asked]
        return [r for r in every if r.serves(model)] or every

    def _fit(self, now: float, model: str, avoid: Collection[str]) -> list[Replica]:
        able = self._able(model)
        for replica in able:
            replica.expire(now)
        fit = [r for r in able if r.health.fit(now)]
        if fresh := [r for r in fit if r.url not in avoid]:
            return fresh
        return sorted(able, key=lambda r: (r.url in avoid, r.health.again_at, r.load(now)))[:1]
