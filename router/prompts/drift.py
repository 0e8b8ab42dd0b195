"""Watches live requests for what keeps them from being read from a host's cache, and why."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from router._locks import forkable
from router.prompts.blocks import BLOCK, Chain
from router.prompts.rule import CacheRule

if TYPE_CHECKING:  # the linter is read when there is something to compare
    from router.prompts._lint.tips import Tip, Tips
    from router.prompts.lint import Finding

_OPENS = 2 * BLOCK
"""The last tokens of a prompt open an answer and are not those of the next turn; in blocks."""


class Asked(Protocol):
    """What of a request is looked at."""

    @property
    def messages(self) -> tuple[Mapping[str, Any], ...]: ...
    @property
    def tools(self) -> tuple[Mapping[str, Any], ...]: ...
    @property
    def response_format(self) -> Mapping[str, Any] | None: ...


class Drift:
    """The latest requests of each route, in memory only; thread-safe and bounded.

    Of at most `routes` routes the latest request of `conversations` conversations each is kept,
    and no more than `tokens` tokens of prompts in all; the route used longest ago goes first.
    Comparing takes milliseconds: no more than `share` of the time is spent on it. In between, what
    parts from others where the last finding did is taken for the same.
    """

    def __init__(
        self,
        *,
        routes: int = 256,
        conversations: int = 16,
        tokens: int = 4_000_000,
        share: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._routes, self._conversations, self._tokens = routes, conversations, tokens
        self._share, self._clock = share, clock
        self._seen: OrderedDict[str, Tips] = OrderedDict()
        self._last: dict[str, tuple[float, int, Finding | None]] = {}
        self._held = 0
        self._lock = forkable(self)

    def __repr__(self) -> str:
        return f"Drift({len(self._seen)} routes, {self._held} tokens)"

    def seen(
        self,
        route: str,
        request: Asked,
        chain: Chain,
        rule: CacheRule,
        at: datetime,
        *,
        place: str = "",
        salt: str = "",
        thinking: bool = False,
        expected: int = 0,
    ) -> Finding | None:
        """What this request loses against those of its route before it; None for nothing.

        `place` is "model@host", `expected` what its cache holds of the prompt as far as known, in
        tokens. Only what is lost besides is found. A request that begins like the one before it
        costs a comparison of bytes; what cannot be compared is no finding, and no error.
        """
        from router.prompts._lint.tips import Tip, kept_since
        from router.prompts._lint.view import Sent, View

        model, _, host = place.partition("@")
        sent = Sent(
            messages=request.messages,
            tools=request.tools,
            response_format=request.response_format,
            thinking=thinking,
            model=model,
            host=host,
            salt=salt,
            at=at,
        )
        tip = Tip(View(sent), chain)
        with self._lock:
            tips = self._seen[route].all if route in self._seen else ()
        here = [kept for kept in tips if kept.place == tip.place]
        held = max((kept.chain.shared(chain) for kept in here), default=0)
        earlier = next((kept for kept in reversed(here) if _begins(kept.chain, chain)), None)
        near, finding = earlier, None
        if earlier is not None and earlier.chain.tokens > chain.tokens:
            return None  # an older turn, or another conversation that is short
        if earlier is None and not _known(tips, chain) and tips:
            kept = max(expected, rule.hit(held, chain.tokens))
            due, parted, finding = self._last.get(route, (0.0, -1, None))
            began = self._clock()
            if began >= due:
                near, same, finding = _explained(tips, tip, rule, kept)
                earlier = near if same else None
                took = (self._clock() - began) * (1 / self._share - 1)
                self._last[route] = began + took, held, finding
            elif held != parted:
                finding = None
        self._keep(route, Tip(tip.view, chain, kept_since(near, at, rule)), earlier)
        return finding

    def forget(self) -> None:
        """Drop all that was seen."""
        with self._lock:
            self._seen.clear()
            self._last.clear()
            self._held = 0

    def _keep(self, route: str, tip: Tip, instead: Tip | None) -> None:
        from router.prompts._lint.tips import Tips

        with self._lock:
            tips = self._seen.setdefault(route, Tips(self._conversations))
            self._seen.move_to_end(route)
            self._held -= tips.tokens
            tips.add(tip, instead)
            self._held += tips.tokens
            while self._seen and (len(self._seen) > self._routes or self._held > self._tokens):
                gone, its = self._seen.popitem(last=False)
                self._last.pop(gone, None)
                self._held -= its.tokens


def _begins(earlier: Chain, later: Chain) -> bool:
    """Whether a prompt begins with a whole earlier one."""
    return earlier.shared(later) > min(earlier.tokens, later.tokens) - _OPENS


def _known(tips: tuple[Tip, ...], chain: Chain) -> bool:
    """Whether this very prompt was sent: tried again, perhaps at another host."""
    return any(tip.chain.hashes == chain.hashes for tip in tips if chain.hashes)


def _explained(
    tips: tuple[Tip, ...], tip: Tip, rule: CacheRule, kept: int
) -> tuple[Tip | None, bool, Finding | None]:
    """The tip compared with, whether it is of the same conversation, and what was found."""
    from router.prompts._lint.tips import nearest

    near, same = None, False
    try:
        near, same = nearest(tips, tip)
        found = None if near is None else _first(near, tip, rule, kept)
    except Exception:  # noqa: BLE001 - what fails here must not cost an answer
        return near, same, None
    return near, same, found if found is not None and found.lost_tokens >= BLOCK else None


def _first(near: Tip, tip: Tip, rule: CacheRule, kept: int) -> Finding | None:
    from router.prompts.lint import explain

    return next(explain(near.view, tip.view, rule, kept=kept, since=near.since), None)
