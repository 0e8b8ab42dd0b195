"""How a host's prefix cache works, as a value; the catalogue's `[[cache]]` rows are such rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRule:
    """What of a prompt a host reads from its cache, and for how long. Lengths are tokens.

    A hit is a multiple of `unit_tokens` and at least `min_tokens`; the last `recomputes_tokens` of
    a prompt are never read. `match` says where a hit can end: at any unit of an earlier prompt
    ("blocks"), or only where an earlier prompt ended or two of them parted ("units"). With
    `holds_output` the answers are kept, too.

    What was sent can be read after `builds_seconds` and for `lives_seconds` from its last use
    (None: until it is evicted); beyond `capacity_tokens` the least recently used goes first.
    `writes`: input that no cache held is billed as a cache write. `salts` are request fields
    whose values have caches of their own.
    """

    name: str = ""
    unit_tokens: int = 64
    min_tokens: int = 0
    match: Literal["blocks", "units"] = "blocks"
    holds_output: bool = False
    recomputes_tokens: int = 0
    builds_seconds: float = 0.0
    lives_seconds: float | None = None
    capacity_tokens: int | None = None
    writes: bool = False
    salts: tuple[str, ...] = ()

    def hit(self, shared: int, whole: int) -> int:
        """Tokens that are read of a prompt of `whole` tokens, whose first `shared` are cached."""
        kept = min(shared, whole - self.recomputes_tokens) // self.unit_tokens * self.unit_tokens
        return kept if kept > 0 and kept >= self.min_tokens else 0


CAUTIOUS = CacheRule(name="cautious", unit_tokens=64, builds_seconds=5.0, lives_seconds=3600.0)
"""For hosts that say nothing of theirs: units as of DeepSeek's V3-era cache, times cautious."""
