"""What is known of one prefix cache: the prompts it should hold, how its host counts and keeps."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from router.prompts.blocks import BLOCK, WIDTH, Chain
from router.prompts.rule import CacheRule
from router.prompts.tree import FOREVER, Match, Tree

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
class Held:
    """One place: its tree, and how its host counts and keeps."""

    tree: Tree = field(default_factory=Tree)
    counted: int = 0
    ours: float = 0.0
    theirs: float = 0.0
    kept: float = 1.0
    tells: bool = True

    @property
    def known(self) -> bool:
        """Whether the host has counted enough to be believed."""
        return self.ours >= _ENOUGH

    @property
    def scale(self) -> float:
        """The host's tokens for one of ours; 1.0 while unknown, and for our own vocabulary."""
        return clipped(self.theirs, self.ours) if self.known else 1.0

    def count(self, theirs: int, ours: int) -> None:
        """Learn from a prompt that the host counted, too."""
        if ours >= _LEAST:
            self.ours = _FADE * self.ours + ours
            self.theirs = _FADE * self.theirs + theirs

    def likely(self, held: int, rule: CacheRule) -> int:
        """Of so many tokens that it should hold, how many will come: some hosts often miss."""
        if not self.tells or self.kept >= _SURE:
            return held if self.tells else 0
        return rule.hit(int(held * self.kept), held + rule.recomputes_tokens)


def clipped(theirs: float, ours: float) -> float:
    """The host's tokens for one of ours; 1.0 where only the template differs."""
    scale = min(max(theirs / ours, _LOWEST), _HIGHEST)
    return 1.0 if abs(scale - 1.0) < _SAME else scale


def hit(cache: Held, rule: CacheRule, chain: Chain, match: Match, salted: bool) -> int:
    """Tokens, by the host's count, that a match in its tree stands for."""
    node, blocks = match.node, match.blocks - salted
    if node is None or blocks <= 0:
        return 0
    scale = node.scale or cache.scale
    if match.whole and node.told >= 0 and blocks * BLOCK < chain.tokens - BLOCK:
        return node.told
    return rule.hit(round(blocks * BLOCK * scale), round(chain.tokens * scale))


def learn(cache: Held, rule: CacheRule, read: int, expected: Expectation | None) -> None:
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


def tell(cache: Held, rule: CacheRule, shared: bytes, read: int, expected: Expectation) -> None:
    """Note the host's own count of a prefix at which prompts part, for the next that does."""
    if abs(read - expected.held) <= 2 * max(rule.unit_tokens, BLOCK):
        found = cache.tree.match(shared, FOREVER, lives=FOREVER, units=False)
        if found.node is not None and found.whole and len(shared) == found.blocks * WIDTH:
            found.node.told = read


def lives(rule: CacheRule) -> float:
    """Seconds that a cache keeps what nobody uses."""
    return FOREVER if rule.lives_seconds is None else rule.lives_seconds


def salted(chain: Chain, salt: str) -> bytes:
    """A salt is one more block in front: caches apart, in one tree, under one capacity."""
    if not salt:
        return chain.hashes
    digest = hashlib.blake2b(salt.encode("utf-8", "replace"), digest_size=WIDTH).digest()
    return digest + chain.hashes
