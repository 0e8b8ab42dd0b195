"""The rows that say how hosts cache prompts: `[[cache]]`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from router.catalog.fields import Row, Tokens
from router.prompts.rule import CacheRule

Seconds = Annotated[float, Field(ge=0)]


class Cache(Row):
    """How a prefix cache works; hosts and endpoints name one with `cache`."""

    name: str
    unit_tokens: Tokens = 1
    """A cached prefix is a multiple of this."""
    min_tokens: int = Field(default=0, ge=0)
    """The smallest prefix that is cached."""
    match: Literal["blocks", "units"] = "blocks"
    """Where a hit may end: at any unit, or only where an earlier prompt ended or two parted."""
    holds_output: bool = False
    """Whether answers are kept, too."""
    recomputes_tokens: int = Field(default=0, ge=0)
    """So many of the last tokens of a prompt are never read from the cache."""
    builds_seconds: Seconds = 0.0
    lives_seconds: Seconds | None = None
    """Since its last use; absent: until it is evicted."""
    capacity_tokens: Tokens | None = None
    writes: bool = False
    """Whether all input that no cache held is billed as a cache write."""
    salts: tuple[str, ...] = ()
    """Request fields whose values have caches of their own."""
    source: str = ""
    checked: date | None = None

    @model_validator(mode="after")
    def _sane(self) -> Cache:
        if self.capacity_tokens is not None and self.capacity_tokens < self.unit_tokens:
            raise ValueError(f"expected capacity_tokens of at least a unit ({self.unit_tokens})")
        return self

    @property
    def rule(self) -> CacheRule:
        """The same as a value."""
        return CacheRule(
            name=self.name,
            unit_tokens=self.unit_tokens,
            min_tokens=self.min_tokens,
            match=self.match,
            holds_output=self.holds_output,
            recomputes_tokens=self.recomputes_tokens,
            builds_seconds=self.builds_seconds,
            lives_seconds=self.lives_seconds,
            capacity_tokens=self.capacity_tokens,
            writes=self.writes,
            salts=self.salts,
        )
