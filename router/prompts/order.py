"""The order of a batch in which prefixes are shared, and who shares how much. Pure.

Prompts that begin alike are sent one after another: a walk through the tree of their prefixes,
depth first, comes to every prefix once, so that a cache need hold but one path of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from router.prompts.blocks import BLOCK, WIDTH, Chain, common


@dataclass(frozen=True, slots=True)
class Group:
    """Prompts whose first `shared_tokens` are the same: their positions, in the order of `order`.

    `groups` are those among them that share more.
    """

    shared_tokens: int
    members: tuple[int, ...]
    groups: tuple[Group, ...] = ()


@dataclass(slots=True)
class _Node:
    """A prefix of so many blocks, and its parts: prompts, and longer prefixes that begin with it.

    `saved` are the blocks that need no computing in this part of the tree once each prefix is
    computed once; `first` is the least position in it.
    """

    blocks: int
    parts: list[_Node | int] = field(default_factory=list)
    saved: int = 0
    first: int = 0


def order(chains: Sequence[Chain], among: Iterable[int] | None = None) -> list[int]:
    """The positions of prompts in an order that shares all there is, largest savings first.

    Prompts that share nothing come last, and equals keep their order. `among` are the positions
    that count; all if it is left out.
    """
    return list(_members(_tree(chains, among)))


def groups(
    chains: Sequence[Chain], least_tokens: int = BLOCK, among: Iterable[int] | None = None
) -> list[Group]:
    """Groups of two prompts and more that share at least `least_tokens`, in the order of `order`.

    A group inside another shares at least so many tokens more than that.
    """
    least = max(1, -(-least_tokens // BLOCK))
    found: list[tuple[_Node, int]] = []  # with the place of the group around it
    waiting: list[tuple[_Node, int, int]] = [(_tree(chains, among), -1, 0)]
    while waiting:
        node, around, base = waiting.pop()
        if node.blocks >= base + least:
            found.append((node, around))
            around, base = len(found) - 1, node.blocks
        inner = [part for part in node.parts if isinstance(part, _Node)]
        waiting += [(part, around, base) for part in reversed(inner)]
    # What is inside comes after what is around it: so it is made before.
    inside: dict[int, list[Group]] = {}
    for at in range(len(found) - 1, -1, -1):
        node, around = found[at]
        within = tuple(reversed(inside.pop(at, [])))
        made = Group(node.blocks * BLOCK, tuple(_members(node)), within)
        inside.setdefault(around, []).append(made)
    return inside.get(-1, [])[::-1]


def _tree(chains: Sequence[Chain], among: Iterable[int] | None) -> _Node:
    """The tree of all prefixes that two or more prompts share; its root is the empty one."""
    hashes = [chain.hashes for chain in chains]
    ranked = sorted(range(len(chains)) if among is None else among, key=hashes.__getitem__)
    open_: list[_Node] = [_Node(0)]
    for at, position in enumerate(ranked):
        last = at + 1 == len(ranked)
        same = 0 if last else common(hashes[position], hashes[ranked[at + 1]])
        part: _Node | int = position
        while open_[-1].blocks > same:
            node = open_.pop()
            node.parts.append(part)
            part = _closed(node, hashes)
        if open_[-1].blocks < same:
            open_.append(_Node(same))
        open_[-1].parts.append(part)
    return _closed(open_[0], hashes)


def _closed(node: _Node, hashes: Sequence[bytes]) -> _Node:
    """The node with its parts in order: prompts that end there, the best savings, the others."""

    def place(part: _Node | int) -> tuple[int, int, int]:
        if isinstance(part, _Node):
            return 1, -part.saved, part.first
        ends = 0 < node.blocks == len(hashes[part]) // WIDTH
        return (0 if ends else 2), 0, part

    parts = node.parts
    parts.sort(key=place)
    node.first = min((p.first if isinstance(p, _Node) else p for p in parts), default=0)
    node.saved = sum(p.saved for p in parts if isinstance(p, _Node))
    node.saved += node.blocks * (len(parts) - 1)
    return node


def _members(node: _Node) -> Iterator[int]:
    waiting: list[_Node | int] = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, _Node):
            waiting += reversed(part.parts)
        else:
            yield part
