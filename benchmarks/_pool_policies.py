"""Who gets a prompt: round robin, least loaded, consistent hashing with bounded load, ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import count
from typing import Any

from router.prompts.blocks import Chain
from router.prompts.prefix import PrefixIndex
from router.prompts.rule import CacheRule
from router.transports.vllm import Pool

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True, eq=False)
class Ask:
    """A prompt on its way: its blocks, what names its conversation, and where it went."""

    chain: Chain
    keys: tuple[bytes, bytes]
    url: str = ""
    state: Any = None


class RoundRobin:
    """One after the other, whatever they have to do."""

    name = "round robin"

    def __init__(self, urls, _clock, _rule):
        self.urls, self.next = urls, count()

    def route(self, ask, avoid=()):
        ask.url = self._of([u for u in self.urls if u not in avoid] or list(self.urls))

    def _of(self, urls):
        return urls[next(self.next) % len(urls)]

    def first(self, ask):
        """The first token has come."""

    def end(self, ask, input_tokens, cached, output, whole):
        """The answer has."""


class LeastLoaded(RoundRobin):
    """The replica with the fewest calls under way; in turn among equals."""

    name = "least loaded"

    def __init__(self, urls, clock, rule):
        super().__init__(urls, clock, rule)
        self.load = dict.fromkeys(urls, 0)

    def route(self, ask, avoid=()):
        super().route(ask, avoid)
        self.load[ask.url] += 1

    def _of(self, urls):
        least = min(self.load[u] for u in urls)
        return super()._of([u for u in urls if self.load[u] == least])

    def end(self, ask, _input, _cached, _output, _whole):
        self.load[ask.url] -= 1


class Affinity(LeastLoaded):
    """Consistent hashing of the conversation, each replica bounded by 1.25 times the mean load
    (CHWBL, as KubeAI does it with prefixes)."""

    name = "affinity, bounded"
    bound = 1.25

    def route(self, ask, avoid=()):
        urls = [u for u in self.urls if u not in avoid] or list(self.urls)
        most = self.bound * (sum(self.load.values()) + 1) / len(self.urls)
        order = sorted(urls, key=lambda u: _weight(ask.keys[-1], u), reverse=True)
        ask.url = next((u for u in order if self.load[u] + 1 <= most), order[0])
        self.load[ask.url] += 1


class CacheAware(LeastLoaded):
    """As sglang's router describes its own: the longest match if it is over `threshold` of the
    prompt, unless loads are out of balance (by 1.5 times, and by `gap`); else the least loaded."""

    name = "cache-aware (sglang's rule)"
    threshold, ratio, gap = 0.3, 1.5, 8

    def __init__(self, urls, clock, rule):
        super().__init__(urls, clock, rule)
        self.clock, self.rule, self.index = clock, rule, PrefixIndex()

    def route(self, ask, avoid=()):
        now = EPOCH + timedelta(seconds=self.clock())
        urls = [u for u in self.urls if u not in avoid] or list(self.urls)
        loads = [self.load[u] for u in urls]
        uneven = max(loads) - min(loads) > self.gap and max(loads) > self.ratio * min(loads)
        hits = {u: self.index.expected(u, self.rule, ask.chain, now) for u in urls}
        longest = max(urls, key=lambda u: hits[u])
        if uneven or hits[longest] < self.threshold * ask.chain.tokens:
            ask.url = self._of(urls)
        else:
            ask.url = longest
        self.load[ask.url] += 1
        self.index.sent(ask.url, self.rule, ask.chain, now)

    def end(self, ask, input_tokens, cached, output, whole):
        super().end(ask, input_tokens, cached, output, whole)
        self.index.answered(
            ask.url, self.rule, ask.chain, EPOCH + timedelta(seconds=self.clock()),
            input_tokens=input_tokens, cache_read_tokens=cached, whole=whole,
        )  # fmt: skip


class Ours:
    """The pool, with the prefix index that the client has."""

    name = "ours"

    def __init__(self, urls, clock, rule):
        self.clock, self.rule, self.index = clock, rule, PrefixIndex()
        self.pool = Pool("h", urls, clock=clock, forget=self.index.forget)

    @property
    def now(self):
        return EPOCH + timedelta(seconds=self.clock())

    def rule_of(self, url) -> CacheRule:
        return self.pool.rule(url, self.rule)

    def route(self, ask, avoid=()):
        now, chain = self.now, ask.chain
        expected = lambda u: self.index.expected(u, self.rule_of(u), chain, now)  # noqa: E731
        choice = self.pool.choose(chain, "", chain.tokens, expected, keys=ask.keys, avoid=avoid)
        ask.url = choice.url
        look = self.index.look(choice.url, self.rule_of(choice.url), chain, now)
        self.index.sent(choice.url, self.rule_of(choice.url), chain, now)
        ticket = self.pool.begin(choice.url, chain.tokens, choice.cached, stream=True)
        ask.state = ticket, look

    def first(self, ask):
        self.pool.first_token(ask.state[0])

    def end(self, ask, input_tokens, cached, output, whole):
        ticket, look = ask.state
        self.pool.end(ticket, cache_read_tokens=cached, output_tokens=output)
        self.index.answered(
            ask.url, self.rule_of(ask.url), ask.chain, self.now, input_tokens=input_tokens,
            cache_read_tokens=cached, expected=look, whole=whole,
        )  # fmt: skip


POLICIES = (RoundRobin, LeastLoaded, Affinity, CacheAware, Ours)


def _weight(key: bytes, url: str) -> bytes:
    return blake2b(key + url.encode(), digest_size=8).digest()
