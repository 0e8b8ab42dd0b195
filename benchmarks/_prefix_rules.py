"""Prefix caches simulated from what is published of them, for tests of what is expected.

They know token ids and seconds, and share no code with the index, with its rules or with what
the oracles compute. Sources: vLLM's design note "Automatic Prefix Caching" and its v1 block pool;
DeepSeek's guide "Context Caching" in its edition of 2024 to 2025 (64-token units) and of 2026
(whole units); OpenAI's guide "Prompt caching" (1,024 tokens and more, by 128, for minutes).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from benchmarks._prefix_oracle import Sent


class HostCache(Protocol):
    """One model's cache at one host."""

    def read(self, prompt: Sequence[int], at: float, salt: str = "") -> int:
        """How many tokens of a prompt that comes at second `at` are read from it."""

    def keep(
        self, prompt: Sequence[int], answer: Sequence[int], at: float, salt: str = ""
    ) -> None:
        """The request that was read last is answered at second `at`."""


def played(cache: HostCache, sends: Iterable[Sent]) -> list[int]:
    """Tokens of each request that a simulated cache reads, in the order sent."""
    found = []
    for sent in sends:
        found.append(cache.read(sent.prompt, sent.at, sent.salt))
        cache.keep(sent.prompt, sent.answer, sent.first, sent.salt)
    return found


class BlockPool:
    """vLLM: full blocks of `unit` tokens out of a pool of `blocks`, one of them never used.

    The last token of a prompt is always computed. A request's blocks return to the queue of free
    ones tail first; the front of the queue is taken, whatever it holds. One request at a time.
    """

    def __init__(self, unit: int = 16, blocks: int = 1 << 30) -> None:
        self._unit, self._unused = unit, blocks - 1
        self._free: OrderedDict[Any, None] = OrderedDict()

    def read(self, prompt: Sequence[int], at: float, salt: str = "") -> int:
        del at
        hit = 0
        for key in self._keys(prompt[:-1], salt):
            if key not in self._free:
                break
            hit += self._unit
        return hit

    def keep(
        self, prompt: Sequence[int], answer: Sequence[int], at: float, salt: str = ""
    ) -> None:
        """As `HostCache`. Blocks that are read again are not evicted for the rest of them."""
        hits = self.read(prompt, at, salt) // self._unit
        written = [*prompt, *answer[:-1]]
        keys = self._keys(written, salt)
        for key in keys[:hits]:
            del self._free[key]
        taken = -(-len(written) // self._unit)
        for _ in range(taken - hits):
            if self._unused:
                self._unused -= 1
            else:
                self._free.popitem(last=False)
        if taken > len(keys):
            self._free[object()] = None  # the block that is not full comes first: it is the tail
        for key in reversed(keys):
            if self._free.pop(key, self) is not self:
                self._unused += 1  # two copies: the older one's place is as good as empty
            self._free[key] = None

    def _keys(self, tokens: Sequence[int], salt: str) -> list[Any]:
        keys: list[Any] = []
        parent: Any = salt
        for start in range(0, len(tokens) // self._unit * self._unit, self._unit):
            parent = hash((parent, *tokens[start : start + self._unit]))
            keys.append(parent)
        return keys


class _Node:
    """A place in a tree of prompts, `grain` tokens below its parent."""

    __slots__ = ("below", "built", "used")

    def __init__(self) -> None:
        self.below: dict[tuple[int, ...], _Node] = {}
        self.built: float | None = None
        self.used = 0.0


class _Tree:
    """Prompts that were sent, in steps of `grain` tokens; prefixes at some places are kept."""

    def __init__(self, grain: int, builds: float, lives: float) -> None:
        self.grain, self._builds, self._lives = grain, builds, lives
        self._roots: dict[str, _Node] = {}

    def way(self, tokens: Sequence[int], salt: str) -> list[_Node]:
        """The known places along these tokens."""
        node, found = self._roots.get(salt), []
        for step in self._steps(tokens):
            node = None if node is None else node.below.get(step)
            if node is None:
                break
            found.append(node)
        return found

    def grow(self, tokens: Sequence[int], salt: str) -> list[_Node]:
        """All places along these tokens, made where they were not."""
        node, found = self._roots.setdefault(salt, _Node()), []
        for step in self._steps(tokens):
            node = node.below.setdefault(step, _Node())
            found.append(node)
        return found

    def build(self, node: _Node, at: float) -> None:
        """Keep the prefix that ends there; what is kept already stays as it is."""
        if node.built is None or at - node.used > self._lives:
            node.built = at + self._builds
        node.used = at

    def kept(self, node: _Node, at: float) -> bool:
        """Whether the prefix that ends there can be read."""
        return node.built is not None and node.built <= at and at - node.used <= self._lives

    def _steps(self, tokens: Sequence[int]) -> list[tuple[int, ...]]:
        whole = len(tokens) // self.grain * self.grain
        return [tuple(tokens[i : i + self.grain]) for i in range(0, whole, self.grain)]


class Units64:
    """DeepSeek to V3.2: "64 tokens as a storage unit", from the first token on, of inputs alone;
    built in seconds, cleared hours to days after its last use.

    OpenAI to GPT-5.5 is the same with another `grain` and `least` tokens of a hit.
    """

    def __init__(
        self, builds: float = 3.0, lives: float = 6 * 3600.0, grain: int = 64, least: int = 64
    ) -> None:
        self._tree, self._least = _Tree(grain, builds, lives), least

    def read(self, prompt: Sequence[int], at: float, salt: str = "") -> int:
        hit = 0
        for node in self._tree.way(prompt, salt):
            if not self._tree.kept(node, at):
                break
            node.used = at
            hit += self._tree.grain
        return hit if hit >= self._least else 0

    def keep(
        self, prompt: Sequence[int], answer: Sequence[int], at: float, salt: str = ""
    ) -> None:
        del answer
        for node in self._tree.grow(prompt, salt):
            self._tree.build(node, at)


class WholeUnits:
    """DeepSeek V4: a hit is a whole unit, and units end at the end of an input or of an output,
    or of what several requests had in common. Reported hits were multiples of 128 (`grain`).

    Long inputs and outputs are cut at intervals that are not published: `interval` tokens, 0 for
    none.
    """

    def __init__(
        self,
        builds: float = 3.0,
        lives: float = 6 * 3600.0,
        grain: int = 128,
        interval: int = 0,
    ) -> None:
        self._tree, self._every = _Tree(grain, builds, lives), interval // grain

    def read(self, prompt: Sequence[int], at: float, salt: str = "") -> int:
        kept = [(i, n) for i, n in enumerate(self._tree.way(prompt, salt), 1)]
        for depth, node in reversed(kept):
            if self._tree.kept(node, at):
                node.used = at
                return depth * self._tree.grain
        return 0

    def keep(
        self, prompt: Sequence[int], answer: Sequence[int], at: float, salt: str = ""
    ) -> None:
        common = self._tree.way(prompt, salt)
        ends = common[-1:] + self._tree.grow(prompt, salt)[-1:]
        whole = self._tree.grow([*prompt, *answer], salt)
        ends += whole[-1:]
        if self._every:
            ends += whole[self._every - 1 :: self._every]
        for node in ends:
            self._tree.build(node, at)
