"""The latest request of each of a few conversations: what a new one is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from router.prompts._lint.history import continues
from router.prompts._lint.view import View
from router.prompts.blocks import Chain


@dataclass(frozen=True, slots=True, eq=False)
class Tip:
    """A conversation's latest request, and its prompt as blocks."""

    view: View
    chain: Chain

    @property
    def place(self) -> tuple[str, str, str]:
        """Where its prompt is cached: model, host, salt."""
        sent = self.view.sent
        return sent.model, sent.host, sent.salt


class Tips:
    """At most `most` tips, the latest last. Not thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._tips: list[Tip] = []

    def __len__(self) -> int:
        return len(self._tips)

    @property
    def all(self) -> tuple[Tip, ...]:
        """The tips, the latest last."""
        return tuple(self._tips)

    @property
    def tokens(self) -> int:
        """Of all prompts together."""
        return sum(tip.chain.tokens for tip in self._tips)

    def add(self, tip: Tip, instead: Tip | None = None) -> None:
        """Keep a tip, instead of the one whose conversation it goes on with."""
        self._tips = [kept for kept in self._tips if kept is not instead]
        self._tips.append(tip)
        del self._tips[: -self._most]


def nearest(tips: tuple[Tip, ...], tip: Tip) -> tuple[Tip | None, bool]:
    """The tip that a request is to be compared with, and whether it goes on with it.

    The one whose conversation it is, else the one that begins like it for longest; of several
    the latest.
    """
    best: tuple[Tip | None, bool] = None, False
    rank = (False, -1, 0, False)
    for kept in tips:
        same = continues(kept.view, tip.view)
        common = kept.view.common(tip.view) if same else 0
        this = (same, kept.chain.shared(tip.chain), common, kept.place == tip.place)
        if this >= rank:
            best, rank = (kept, same), this
    return best
