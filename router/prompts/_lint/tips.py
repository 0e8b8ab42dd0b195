"""The latest request of each of a few conversations: what a new one is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from router.prompts._lint.history import continues
from router.prompts._lint.view import View
from router.prompts.blocks import Chain
from router.prompts.rule import CacheRule


@dataclass(frozen=True, slots=True, eq=False)
class Tip:
    """A conversation's latest request, its prompt as blocks, and since when there are any like it
    (None: not known).
    """

    view: View
    chain: Chain
    since: datetime | None = None

    @property
    def place(self) -> tuple[str, str, str]:
        """Where its prompt is cached: model, host, salt."""
        sent = self.view.sent
        return sent.model, sent.host, sent.salt


def kept_since(near: Tip | None, at: datetime | None, rule: CacheRule) -> datetime | None:
    """Since when a host has prompts like the one sent at `at`, which was compared with `near`."""
    if near is None or near.since is None or at is None or near.view.sent.at is None:
        return at
    idle = (at - near.view.sent.at).total_seconds()
    return at if rule.lives_seconds is not None and idle > rule.lives_seconds else near.since


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
