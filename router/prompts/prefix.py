"""What each host's prefix cache is expected to hold, from what was sent there before.

A host reads from its cache what begins exactly like an earlier prompt; how long, in which units
and for whom is its `CacheRule`. What it reports (`cached_tokens`) corrects what is expected.
Bounded in memory, thread-safe, and no text is kept: see `router.prompts.blocks`.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from router.prompts.blocks import BLOCK, WIDTH, Chain
from router.prompts.rule import CacheRule
from router.prompts.tree import FOREVER, Match, Tree

_SAME = 0.02
"""Counts that differ by less are of the same vocabulary, and differ in the template alone."""
_WEIGHT = 0.2
"""Of the newest answer, in what share of the expected hits comes true at a host."""
_SURE = 0.9
"""From this share on a host is taken to keep what it should."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of a cache for one prompt: `tokens` by the host's count.

    `held` is the same without doubt in a host that often misses, or reports nothing. `blocks` of
    the prompt were sent before (0: more were, which cannot be read yet), `used` is when the last
    of them was.
    """

    tokens: int = 0
    held: int = 0
    blocks: int = 0
    used: float = 0.0


@dataclass(slots=True)
class _Cache:
    """One place: its tree, and how its host counts and keeps."""

    tree: Tree = field(default_factory=Tree)
    counted: int = 0
    scale: float = 1.0
    kept: float = 1.0
    tells: bool = True


class PrefixIndex:
    """Expected cache hits by place: "model@host", or "model@host#url" for one of several replicas.

    Holds at most `max_blocks` blocks of 16 tokens of all places together (some 10 to 30 bytes
    each), the least recently used place losing first.
    """

    def __init__(self, max_blocks: int = 1_000_000) -> None:
        self._max = max_blocks
        self._blocks = 0
        self._caches: OrderedDict[str, _Cache] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def blocks(self) -> int:
        """How many blocks are held."""
        return self._blocks

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
            return Expectation(tokens if cache.tells else 0, held, blocks, match.used)

    def scale(self, places: Sequence[str]) -> float:
        """The tokens of hosts for one of ours, in the answers of the first of them that answered.

        1.0 for our own vocabulary, and where nothing is known.
        """
        known = (self._caches.get(place) for place in places)
        return next((cache.scale for cache in known if cache is not None), 1.0)

    def sent(
        self, place: str, rule: CacheRule, chain: Chain, now: datetime, salt: str = ""
    ) -> None:
        """A prompt is on its way. Where caches need no time, others may share what it computes."""
        if not rule.builds_seconds:
            with self._lock:
                self._insert(place, rule, chain, now, salt)

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
        host keeps answers.
        """
        with self._lock:
            cache = self._cache(place)
            scale = input_tokens / chain.tokens if chain.tokens and input_tokens else cache.scale
            cache.scale = scale = 1.0 if abs(scale - 1.0) < _SAME else scale
            if cache_read_tokens is not None:
                cache.tells = True
                _learn(cache, rule, cache_read_tokens, expected)
            elif expected is not None and expected.held:
                cache.tells = False
            self._insert(place, rule, chain, now, salt, scale)
            if cache_read_tokens and expected is not None and expected.blocks:
                shared = _salted(chain, salt)[: expected.blocks * WIDTH]
                _tell(cache, rule, shared, cache_read_tokens, expected)
            if rule.holds_output and whole is not None and whole.tokens >= chain.tokens:
                total = (input_tokens + output_tokens) / whole.tokens
                total = 1.0 if abs(total - 1.0) < _SAME else total
                # The last token was sampled, and never read.
                full = (whole.tokens - rule.recomputes_tokens) // BLOCK * WIDTH
                kept = Chain(whole.hashes[:full], whole.tokens)
                self._insert(place, rule, kept, now, salt, total)

    def forget(self, place: str) -> None:
        """A cache is empty: its server was restarted, or wiped."""
        with self._lock:
            cache = self._caches.get(place)
            if cache is not None:
                cache.tree = Tree()
                self._count(cache)

    def _cache(self, place: str) -> _Cache:
        cache = self._caches.get(place)
        if cache is None:
            cache = self._caches[place] = _Cache()
        self._caches.move_to_end(place)
        return cache

    def _insert(
        self,
        place: str,
        rule: CacheRule,
        chain: Chain,
        now: datetime,
        salt: str,
        scale: float | None = None,
    ) -> None:
        cache, at = self._cache(place), now.timestamp()
        tree = cache.tree
        node = tree.insert(
            _salted(chain, salt), at, ready=at + rule.builds_seconds, lives=_lives(rule)
        )
        if node is not None and (scale is not None or not node.scale):
            node.scale = cache.scale if scale is None else scale
        if rule.capacity_tokens is not None:
            room = int(rule.capacity_tokens / cache.scale) // BLOCK
            tree.evict(tree.blocks - room)
        self._count(cache)
        while self._blocks > self._max:
            self._shrink()

    def _count(self, cache: _Cache) -> None:
        self._blocks += cache.tree.blocks - cache.counted
        cache.counted = cache.tree.blocks

    def _shrink(self) -> None:
        """Drop from the place that was used the longest ago, at least a hundredth of the bound."""
        name, cache = next(iter(self._caches.items()))
        cache.tree.evict(max(self._blocks - self._max, self._max // 100))
        self._count(cache)
        if not cache.tree.blocks and len(self._caches) > 1:
            del self._caches[name]


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
        cache.tree.evict_until(expected.used)
    elif rule.lives_seconds is not None:
        came = min(1.0, read / expected.held)
        cache.kept += _WEIGHT * (came - cache.kept)


def _tell(
    cache: _Cache, rule: CacheRule, shared: bytes, read: int, expected: Expectation
) -> None:
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
