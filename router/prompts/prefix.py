"""What each host's prefix cache is expected to hold, from what was sent there before.

A host reads from its cache what begins exactly like an earlier prompt; how long, in which units
and for whom is its `CacheRule`. What it reports (`cached_tokens`) corrects what is expected.
Bounded in memory, thread-safe, and no text is kept: see `router.prompts.blocks`.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from router._locks import watch
from router.prompts.blocks import BLOCK, WIDTH, Chain
from router.prompts.rule import CacheRule
from router.prompts.tree import FOREVER, Match, Tree

_NODE = 400
"""Bytes of a node of a tree, beside its hashes."""
_SAME = 0.02
"""Counts that differ by less are of the same vocabulary, and differ in the template alone."""
_WEIGHT = 0.2
"""Of the newest answer, in what share of the expected hits comes true at a host."""
_SURE = 0.9
"""From this share on a host is taken to keep what it should."""
_FADE, _LEAST = 0.9, 256
"""Weight of earlier answers, and the smallest prompt, in how a host counts: a template's own
tokens must not be taken for a vocabulary."""
_ENOUGH = 1024
"""Tokens that a host must have counted before its count is believed."""
_LOWEST, _HIGHEST = 0.5, 3.0


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of a cache for one prompt: `tokens` by the host's count.

    `held` is the same without doubt in a host that often misses, or reports nothing. `blocks` of
    the prompt were sent before (0: more were, which cannot be read yet), `sure` is when the last
    of them was answered.
    """

    tokens: int = 0
    held: int = 0
    blocks: int = 0
    sure: float = 0.0


@dataclass(slots=True)
class _Cache:
    """One place: its tree, and how its host counts and keeps."""

    tree: Tree = field(default_factory=Tree)
    counted: int = 0
    ours: float = 0.0
    theirs: float = 0.0
    kept: float = 1.0
    tells: bool = True

    @property
    def scale(self) -> float:
        """The host's tokens for one of ours; 1.0 while unknown, and for our own vocabulary."""
        return _clipped(self.theirs, self.ours) if self.ours >= _ENOUGH else 1.0


class PrefixIndex:
    """Expected cache hits by place: "model@host", or "model@host#url" for one of several replicas.

    Holds at most `max_bytes` of all places together, the least recently used place losing first:
    8 bytes for each block of 16 tokens, and some 400 for each prompt that parts from others.
    """

    def __init__(self, max_bytes: int = 64 << 20) -> None:
        self._max = max_bytes
        self._bytes = 0
        self._caches: OrderedDict[str, _Cache] = OrderedDict()
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
                _salted(chain, salt),
                now.timestamp(),
                lives=_lives(rule),
                units=rule.match == "units",
            )
            held = _hit(cache, rule, chain, match, bool(salt))
            if not held:
                return Expectation()
            tokens = held
            if cache.kept < _SURE:
                tokens = rule.hit(int(held * cache.kept), held + rule.recomputes_tokens)
            blocks = match.blocks if match.parts else 0
            return Expectation(tokens if cache.tells else 0, held, blocks, match.sure)

    def scale(self, places: Sequence[str]) -> float:
        """The tokens of hosts for one of ours, in the answers of the first of them that answered.

        1.0 for our own vocabulary, and where too little is known.
        """
        known = (self._caches.get(place) for place in places)
        found = (cache for cache in known if cache is not None and cache.ours >= _ENOUGH)
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
                cache.tree.take_back(_salted(chain, salt))
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
                scale = _clipped(input_tokens, chain.tokens)
                if chain.tokens >= _LEAST:
                    cache.ours = _FADE * cache.ours + chain.tokens
                    cache.theirs = _FADE * cache.theirs + input_tokens
            if cache_read_tokens is not None:
                cache.tells = True
                _learn(cache, rule, cache_read_tokens, expected)
            elif expected is not None and expected.held:
                cache.tells = False
            self._insert(cache, rule, chain, now, salt, scale)
            if cache_read_tokens and expected is not None and expected.blocks:
                shared = _salted(chain, salt)[: expected.blocks * WIDTH]
                _tell(cache, rule, shared, cache_read_tokens, expected)
            if rule.holds_output and whole is not None and whole.tokens >= chain.tokens:
                total = scale
                if input_tokens:
                    total = _clipped(input_tokens + output_tokens, whole.tokens)
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
    def _changing(self, place: str) -> Iterator[_Cache]:
        """A place's cache, to be changed; empty again if that is interrupted half way."""
        with self._lock:
            cache = self._caches.get(place)
            if cache is None:
                cache = self._caches[place] = _Cache()
            try:
                self._caches.move_to_end(place)
                yield cache
            except BaseException:
                cache.tree = Tree()
                self._count(cache)
                raise

    def _insert(
        self,
        cache: _Cache,
        rule: CacheRule,
        chain: Chain,
        now: datetime,
        salt: str,
        scale: float | None = None,
        *,
        sure: bool = True,
    ) -> None:
        tree, at = cache.tree, now.timestamp()
        ready, lives = at + rule.builds_seconds, _lives(rule)
        node = tree.insert(_salted(chain, salt), at, ready=ready, lives=lives, sure=sure)
        if node is not None and (scale is not None or not node.scale):
            node.scale = cache.scale if scale is None else scale
        if rule.capacity_tokens is not None:
            room = int(rule.capacity_tokens / cache.scale) // BLOCK
            tree.evict(tree.blocks - room)
        self._count(cache)
        while self._bytes > self._max and self._shrink():
            pass

    def _count(self, cache: _Cache) -> None:
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


def _clipped(theirs: float, ours: float) -> float:
    scale = min(max(theirs / ours, _LOWEST), _HIGHEST)
    return 1.0 if abs(scale - 1.0) < _SAME else scale


def _hit(cache: _Cache, rule: CacheRule, chain: Chain, match: Match, salted: bool) -> int:
    node, blocks = match.node, match.blocks - salted
    if node is None or blocks <= 0:
        return 0
    scale = node.scale or cache.scale
    if match.whole and node.told >= 0 and blocks * BLOCK < chain.tokens - BLOCK:
        return node.told
    return rule.hit(round(blocks * BLOCK * scale), round(chain.tokens * scale))


def _learn(cache: _Cache, rule: CacheRule, read: int, expected: Expectation | None) -> None:
    """Take what a host read from its cache for what it keeps."""
    if expected is None or not expected.held:
        return
    missed = expected.held - read > max(2 * rule.unit_tokens, expected.held // 16)
    if missed and rule.lives_seconds is None:
        # One's own server drops what was used the longest ago, and all that is older with it.
        # Of what was only sent, beside this one perhaps, nothing follows.
        cache.tree.evict_until(expected.sure)
    elif rule.lives_seconds is not None:
        came = min(1.0, read / expected.held)
        cache.kept += _WEIGHT * (came - cache.kept)


def _tell(cache: _Cache, rule: CacheRule, shared: bytes, read: int, expected: Expectation) -> None:
    """Note the host's own count of a prefix at which prompts part, for the next that does."""
    if abs(read - expected.held) <= 2 * max(rule.unit_tokens, BLOCK):
        found = cache.tree.match(shared, FOREVER, lives=FOREVER, units=False)
        if found.node is not None and found.whole and len(shared) == found.blocks * WIDTH:
            found.node.told = read


def _lives(rule: CacheRule) -> float:
    return FOREVER if rule.lives_seconds is None else rule.lives_seconds


def _salted(chain: Chain, salt: str) -> bytes:
    """A salt is one more block in front: caches apart, in one tree, under one capacity."""
    if not salt:
        return chain.hashes
    digest = hashlib.blake2b(salt.encode("utf-8", "replace"), digest_size=WIDTH).digest()
    return digest + chain.hashes
