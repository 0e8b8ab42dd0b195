"""What each host's prefix cache is expected to hold, from what was sent there before.

A host reads from its cache what begins exactly like an earlier prompt; how long, in which units
and for whom is its `CacheRule`. What it reports (`cached_tokens`) corrects what is expected.
Bounded in memory, thread-safe, and no text is kept: see `router.prompts.blocks`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from router._locks import watch
from router.prompts.blocks import BLOCK, WIDTH, Chain
from router.prompts.held import Expectation, Held, clipped, hit, learn, lives, salted, tell
from router.prompts.rule import CacheRule
from router.prompts.tree import Tree

_NODE = 400
"""Bytes of a node of a tree, beside its hashes."""


class PrefixIndex:
    """Expected cache hits by place: "model@host", or "model@host#url" for one of several replicas.

    Holds at most `max_bytes` of all places together, the least recently used place losing first:
    8 bytes for each block of 16 tokens, and some 400 for each prompt that parts from others.
    """

    def __init__(self, max_bytes: int = 64 << 20) -> None:
        self._max = max_bytes
        self._bytes = 0
        self._caches: OrderedDict[str, Held] = OrderedDict()
        self._lock = threading.Lock()
        watch(self)

    @property
    def blocks(self) -> int:
        """How many blocks are held."""
        return sum(cache.tree.blocks for cache in self._caches.values())

    def expected(
        self, place: str, rule: CacheRule, chain: Chain, now: datetime, salt: str = ""
    ) -> int:
        """Tokens, by the host's count, that a prompt is expected to be read from its cache."""
        return self.look(place, rule, chain, now, salt).tokens

    def look(
        self, place: str, rule: CacheRule, chain: Chain, now: datetime, salt: str = ""
    ) -> Expectation:
        """The same, with what it rests on; `answered` wants it back."""
        with self._lock:
            cache = self._caches.get(place)
            if cache is None:
                return Expectation()
            match = cache.tree.match(
                salted(chain, salt),
                now.timestamp(),
                lives=lives(rule),
                units=rule.match == "units",
            )
            held = hit(cache, rule, chain, match, bool(salt))
            if not held:
                return Expectation()
            blocks = match.blocks if match.parts else 0
            return Expectation(cache.likely(held, rule), held, blocks, match.sure)

    def scale(self, places: Sequence[str]) -> float:
        """The tokens of hosts for one of ours, in the answers of the first of them that answered.

        1.0 for our own vocabulary, and where too little is known.
        """
        known = (self._caches.get(place) for place in places)
        found = (cache for cache in known if cache is not None and cache.known)
        return next((cache.scale for cache in found), 1.0)

    def sent(
        self, place: str, rule: CacheRule, chain: Chain, now: datetime, salt: str = ""
    ) -> None:
        """A prompt is on its way. Where caches need no time, others may share what it computes."""
        if not rule.builds_seconds:
            with self._changing(place) as cache:
                self._insert(cache, rule, chain, now, salt, sure=False)

    def failed(self, place: str, rule: CacheRule, chain: Chain, salt: str = "") -> None:
        """A prompt that was sent was not read."""
        if not rule.builds_seconds:
            with self._changing(place) as cache:
                cache.tree.take_back(salted(chain, salt))
                self._count(cache)

    def answered(
        self,
        place: str,
        rule: CacheRule,
        chain: Chain,
        now: datetime,
        salt: str = "",
        *,
        input_tokens: int,
        cache_read_tokens: int | None,
        expected: Expectation | None = None,
        whole: Chain | None = None,
        output_tokens: int = 0,
    ) -> None:
        """A prompt was answered: what the host counted, and read from its cache (None: not told).

        `whole` is the prompt with its answer, as the next turn would send it; it counts where the
        host keeps answers. `input_tokens` is 0 where the host did not count them.
        """
        with self._changing(place) as cache:
            scale = cache.scale
            if input_tokens and chain.tokens:
                scale = clipped(input_tokens, chain.tokens)
                cache.count(input_tokens, chain.tokens)
            if cache_read_tokens is not None:
                cache.tells = True
                learn(cache, rule, cache_read_tokens, expected)
            elif expected is not None and expected.held:
                cache.tells = False
            self._insert(cache, rule, chain, now, salt, scale)
            if cache_read_tokens and expected is not None and expected.blocks:
                shared = salted(chain, salt)[: expected.blocks * WIDTH]
                tell(cache, rule, shared, cache_read_tokens, expected)
            if rule.holds_output and whole is not None and whole.tokens >= chain.tokens:
                total = scale
                if input_tokens:
                    total = clipped(input_tokens + output_tokens, whole.tokens)
                # The last token was sampled, and never read.
                full = (whole.tokens - rule.recomputes_tokens) // BLOCK * WIDTH
                kept = Chain(whole.hashes[:full], whole.tokens)
                self._insert(cache, rule, kept, now, salt, total)

    def forget(self, place: str) -> None:
        """A cache is empty: its server was restarted, or wiped."""
        with self._lock:
            cache = self._caches.get(place)
            if cache is not None:
                cache.tree = Tree()
                self._count(cache)

    def before_fork(self) -> None:
        """Let nothing be half done in the child."""
        self._lock.acquire()

    def after_fork(self, *, in_child: bool) -> None:
        """A child knows what its parent knew, and goes on by itself."""
        del in_child
        self._lock.release()

    @contextmanager
    def _changing(self, place: str) -> Iterator[Held]:
        """A place's cache, to be changed; empty again if that is interrupted half way."""
        with self._lock:
            cache = self._caches.get(place)
            if cache is None:
                cache = self._caches[place] = Held()
            try:
                self._caches.move_to_end(place)
                yield cache
            except BaseException:
                cache.tree = Tree()
                self._count(cache)
                raise

    def _insert(
        self,
        cache: Held,
        rule: CacheRule,
        chain: Chain,
        now: datetime,
        salt: str,
        scale: float | None = None,
        *,
        sure: bool = True,
    ) -> None:
        tree, at = cache.tree, now.timestamp()
        ready = at + rule.builds_seconds
        node = tree.insert(salted(chain, salt), at, ready=ready, lives=lives(rule), sure=sure)
        if node is not None and (scale is not None or not node.scale):
            node.scale = cache.scale if scale is None else scale
        if rule.capacity_tokens is not None:
            room = int(rule.capacity_tokens / cache.scale) // BLOCK
            tree.evict(tree.blocks - room)
        self._count(cache)
        while self._bytes > self._max and self._shrink():
            pass

    def _count(self, cache: Held) -> None:
        size = cache.tree.blocks * WIDTH + cache.tree.nodes * _NODE
        self._bytes += size - cache.counted
        cache.counted = size

    def _shrink(self) -> bool:
        """Drop from the place that was used the longest ago, a tenth of what it has at least."""
        name, cache = next(iter(self._caches.items()))
        cache.tree.evict(cache.tree.blocks // 10 + 1)
        before = cache.counted
        self._count(cache)
        if not cache.tree.blocks and len(self._caches) > 1:
            del self._caches[name]
            return True
        return cache.counted < before
