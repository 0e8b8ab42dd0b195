"""Which weights a scorer has, what was placed beside them, and just which answers it learned."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32

from classifiers.checks import refusal


class Versions:
    """A chain of checksums, one for each answer that was learned. Not thread-safe."""

    def __init__(
        self, digest: str, chain: Iterable[int] = (), added: Mapping[str, Any] | None = None
    ) -> None:
        self.digest = digest
        self.chain = array("I", chain)
        self.added: dict[str, Any] = dict(added or {})

    def __len__(self) -> int:
        return len(self.chain)

    def fresh(self) -> Versions:
        """The same before any answer."""
        return Versions(self.digest, (), self.added)

    @property
    def current(self) -> str:
        """The version as of now."""
        chain = self.chain
        return f"{self.origin}+{len(chain)}" + (f".{chain[-1]:08x}" if chain else "")

    @property
    def origin(self) -> str:
        """What scores rest on before anything is learned: weights, and models placed since."""
        if not self.added:
            return self.digest
        return f"{self.digest}-{crc32(json.dumps(self.added, sort_keys=True).encode()):08x}"

    def learned(self, what: str, x: bytes) -> None:
        """Take in that an answer was learned: what it was, to features `x`."""
        past = self.chain[-1] if self.chain else 0
        link = crc32(what.encode("utf-8", "surrogatepass"), past)
        self.chain.append(crc32(x, link))

    def placed(self, profile: str, given: tuple[Any, ...]) -> None:
        """Take in that a profile was placed."""
        self.added = {**self.added, profile: given}

    def back_to(self, version: object) -> int:
        """Forget the answers after `version`; how many it had.

        Raises:
            ValueError: a version of other weights, or one that did not lead here.
        """
        own, _, rest = str(version).partition("+")
        count, _, link = rest.partition(".")
        known = own == self.origin and count.isdigit() and int(count) <= len(self.chain)
        seq = int(count) if known else 0
        if not known or link != (f"{self.chain[seq - 1]:08x}" if seq else ""):
            raise refusal(f"expected a version that led to {self.current!r}, got {version!r}")
        del self.chain[seq:]
        return seq
