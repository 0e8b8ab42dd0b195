"""What each caller of the storm asks for, drawn from a seed; standard library only.

The prompt carries the call's id, so that the provider can keep its own books by it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

INPUT, CACHED, OUTPUT = 270_000, 27_000, 1_100_000
"""The provider's prices in pico-dollars a token: 0.27, 0.027 and 1.10 USD per million."""
MAX_TOKENS = 96
MODEL = "storm-1"

Kind = Literal["sync", "sync stream", "async", "async stream"]
Manner = Literal["plain", "slow", "busy", "cut"]
"""How the provider treats a call: answers; answers after the caller's patience; refuses it once
with status 429; breaks the connection in the middle of the answer."""

_PROMPT = "call {id} words {words} manner {manner} " + " ".join(["and so on"] * 20)
_READ = re.compile(r"^call (\S+) words (\d+) manner (\w+) ")
AT_ONCE = 4
"""Calls that one event loop has under way; it makes as many times more."""
PATIENCE = 0.6
"""Seconds until a caller of a slow answer gives up."""


@dataclass(frozen=True)
class Wish:
    """One call. Its caller leaves a stream after `leave` chunks, and cancels an awaited call or
    stream after `cancel` seconds; None for never.
    """

    id: str
    kind: Kind
    words: int
    manner: Manner
    leave: int | None
    cancel: float | None

    @property
    def prompt(self) -> str:
        """The text of the user's message."""
        return _PROMPT.format(id=self.id, words=self.words, manner=self.manner)

    @property
    def stream(self) -> bool:
        """Whether the answer is streamed."""
        return self.kind.endswith("stream")


def read(prompt: str) -> tuple[str, int, str]:
    """Id, words and manner of a prompt; ValueError where it is none of the storm's."""
    match = _READ.match(prompt)
    if match is None:
        raise ValueError("not a prompt of the storm")
    return match[1], int(match[2]), match[3]


def wishes(process: int, thread: int, calls: int) -> list[Wish]:
    """The calls of one thread; two in ten threads are event loops."""
    rng = random.Random(f"{process}/{thread}")
    looped = thread % 10 in {4, 9}
    found = []
    for i in range(calls * (AT_ONCE if looped else 1)):
        stream = rng.random() < 0.4
        kind: Kind = "sync"
        if looped:
            kind = "async stream" if stream else "async"
        elif stream:
            kind = "sync stream"
        manner: Manner = rng.choices(("plain", "slow", "busy", "cut"), (88, 4, 4, 4))[0]
        leave = rng.randrange(0, 8) if stream and rng.random() < 0.2 else None
        cancel = rng.uniform(0.0, 0.3) if looped and rng.random() < 0.2 else None
        found.append(
            Wish(
                id=f"p{process}-t{thread}-c{i}",
                kind=kind,
                words=rng.randrange(8, MAX_TOKENS + 24),
                manner=manner,
                leave=leave,
                cancel=cancel,
            )
        )
    return found


def loops(threads: int) -> Iterator[int]:
    """The threads that are event loops."""
    return (t for t in range(threads) if t % 10 in {4, 9})


def full_price(processes: int, threads: int, calls: int) -> int:
    """Pico-dollars that all calls would cost if none was refused, given up or broken."""
    return sum(
        len(wish.prompt.split()) * INPUT + min(wish.words, MAX_TOKENS) * OUTPUT
        for p in range(processes)
        for t in range(threads)
        for wish in wishes(p, t, calls)
    )
