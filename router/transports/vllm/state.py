"""What is known of a replica's calls, of its polls, and what is shown of it: plain values.

Times are seconds of the pool's clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from router.transports.vllm.health import Status
from router.transports.vllm.metrics import Metrics


@dataclass(slots=True, eq=False)
class Ticket:
    """A call under way: `missing` are the input tokens that the cache there does not hold.

    `due` is when its first token is expected, `first` when it came, `freed` when the replica had
    begun to read it at the earliest; `queued`, whether others waited for a place, `beside` how
    many were under way. It is `unread` if calls behind it were answered first: its reader is slow.
    It is over after `until`, however it ends.
    """

    url: str
    input_tokens: int
    missing: int
    stream: bool
    began: float
    due: float
    queued: bool
    beside: int
    until: float = math.inf
    first: float | None = None
    freed: float = 0.0
    unread: bool = False
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a poll found. `silent`: no answer in time; `refused`: nothing listens there.

    `ours` is how many calls of this process were under way when the poll began.
    """

    ready: bool = True
    refused: bool = False
    silent: bool = False
    metrics: Metrics | None = None
    models: frozenset[str] | None = None
    ours: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A replica as shown to people and dashboards; its `url` without a password.

    `in_flight` are this process's calls, `running` and `waiting` the server's; `tokens_per_second`
    are those of answers, `prefill_tokens_per_second` those of prompts, None until it was measured.
    `down_seconds` is for how long it has been down, `read_at` when its latest `metrics` were read
    (seconds of the pool's clock), None: never.
    """

    host: str
    url: str
    status: Status
    in_flight: int
    running: int | None
    waiting: int | None
    kv_usage: float | None
    tokens_per_second: float | None
    prefill_tokens_per_second: float | None
    down_seconds: float | None
    models: frozenset[str] | None
    metrics: Metrics | None
    read_at: float | None
