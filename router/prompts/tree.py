"""One cache as a tree of prompts: what begins alike is kept once, what was used last goes last."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from router.prompts.blocks import WIDTH, common

FOREVER = float("inf")


class Node:
    """A run of blocks that were always sent together. Instants are seconds since 1970.

    `ready` is when it can be read, `used` when it was last sent and `sure` when last answered;
    `ends` is when a hit may end at its end (where only whole units count). `scale` is the host's
    tokens for one of ours in the prompts that ended here, `told` what the host said of a prompt
    that parted from others at its end.
    """

    __slots__ = ("children", "ends", "hashes", "parent", "ready", "scale", "sure", "told", "used")

    def __init__(self, parent: Node | None, hashes: bytes, ready: float, used: float) -> None:
        self.parent, self.hashes = parent, hashes
        self.ready, self.used, self.ends = ready, used, FOREVER
        self.scale, self.sure, self.told = 0.0, 0.0, -1
        self.children: dict[bytes, Node] = {}

    @property
    def blocks(self) -> int:
        """How many blocks the run has."""
        return len(self.hashes) // WIDTH


@dataclass(frozen=True, slots=True)
class Match:
    """The longest prefix of a prompt that a tree can be read for, in blocks, and where it ends.

    `whole` says that it ends where `node` does; `sure` is when that was last answered. `parts`: no
    prompt that was sent goes on as this one does, be it built yet or not.
    """

    blocks: int
    node: Node | None
    whole: bool
    sure: float
    parts: bool = True


NO_MATCH = Match(0, None, whole=True, sure=0.0)


class Tree:
    """Prompts that were sent to one cache. Not thread-safe."""

    def __init__(self) -> None:
        self.root = Node(None, b"", 0.0, 0.0)
        self.blocks = self.nodes = 0
        # A prompt's last node is touched first: so the first in order never has children.
        self._order: OrderedDict[Node, None] = OrderedDict()

    def match(self, hashes: bytes, now: float, *, lives: float, units: bool) -> Match:
        """What of a prompt is there now; `units`: only what ends where a unit does."""
        node, found = self.root, NO_MATCH
        at = 0
        while (child := node.children.get(hashes[at : at + WIDTH])) is not None:
            if child.ready > now or child.used + lives < now:
                return replace(found, parts=False)
            same = common(child.hashes, hashes, at // WIDTH)
            at += same * WIDTH
            whole = same == child.blocks
            if not units or (whole and child.ends <= now):
                found = Match(at // WIDTH, child, whole, child.sure)
            if not whole:
                break
            node = child
        return found

    def insert(
        self, hashes: bytes, now: float, *, ready: float, lives: float, sure: bool = True
    ) -> Node | None:
        """Note a prompt that is sent now and can be read from `ready` on; its last node.

        `sure`: it was answered, too.
        """
        if not hashes:
            return None
        node, at, path = self.root, 0, []
        while at < len(hashes):
            child = node.children.get(hashes[at : at + WIDTH])
            if child is None:
                child = Node(node, hashes[at:], ready, now)
                node.children[hashes[at : at + WIDTH]] = child
                self.blocks += child.blocks
                self.nodes += 1
                self._parted(node, ready)
            same = common(child.hashes, hashes, at // WIDTH)
            if same < child.blocks:
                child = self._split(child, same)
            if child.used + lives < now:  # it had been forgotten: built anew
                child.ready, child.ends = ready, max(child.ends, ready)
            child.ready, child.used = min(child.ready, ready), now
            child.sure = now if sure else child.sure
            path.append(child)
            at += child.blocks * WIDTH
            node = child
        node.ends = min(node.ends, ready)
        for touched in reversed(path):
            self._order[touched] = None
            self._order.move_to_end(touched)
        return node

    def evict(self, blocks: int) -> None:
        """Drop so many blocks: the least recently used prompt first, each from its end."""
        while blocks > 0 and self._order:
            node = next(iter(self._order))
            gone = min(blocks, node.blocks)
            blocks -= gone
            self._shorten(node, gone)

    def evict_until(self, used: float) -> None:
        """Drop all that was last used at this instant or before."""
        while self._order and (node := next(iter(self._order))).used <= used:
            self._shorten(node, node.blocks)

    def take_back(self, hashes: bytes) -> None:
        """Drop the end of a prompt that was sent and not answered, where no other goes on."""
        found = self.match(hashes, FOREVER, lives=FOREVER, units=False)
        node = found.node
        ends = node is not None and found.whole and found.blocks * WIDTH == len(hashes)
        if node is not None and ends and not node.sure and not node.children:
            self._shorten(node, node.blocks)

    def _split(self, node: Node, blocks: int) -> Node:
        """Cut a run in two; the first part, with the second below it."""
        parent = node.parent
        assert parent is not None
        head = Node(parent, node.hashes[: blocks * WIDTH], node.ready, node.used)
        head.scale, head.sure = node.scale, node.sure
        self.nodes += 1
        node.hashes, node.parent = node.hashes[blocks * WIDTH :], head
        head.children[node.hashes[:WIDTH]] = node
        parent.children[head.hashes[:WIDTH]] = head
        return head

    def _parted(self, node: Node, ready: float) -> None:
        # Two prompts that part: a host that keeps units makes their common prefix one.
        if node is not self.root:
            node.ends = min(node.ends, ready)

    def _shorten(self, node: Node, blocks: int) -> None:
        self.blocks -= blocks
        key, parent = node.hashes[:WIDTH], node.parent
        node.hashes = node.hashes[: (node.blocks - blocks) * WIDTH]
        node.ends, node.told = FOREVER, -1
        if not node.hashes and parent is not None:
            del parent.children[key]
            del self._order[node]
            self.nodes -= 1
