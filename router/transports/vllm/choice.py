"""The rule by which a call finds its replica. Pure.

A call goes where it costs the least time: the wait there, the reading of what that server's cache
does not hold, and what the calls beside it slow down its answer. So a warm cache draws calls just
as long as its queue is shorter than reading the prompt anew elsewhere would take, and a prompt
that no cache holds goes to the least burdened. The busier all are, the more a reading counts, for
it delays those behind it. Among equals a conversation keeps to its home, which all processes agree
on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from router.prompts.blocks import BLOCK
from router.transports.vllm.replica import Replica

_NEAR_SHARE, _NEAR_SECONDS = 0.05, 0.010
"""Waits that differ by less are equal: less than estimates are off by."""
_BOUND = 1.25
"""A home takes at most so many times the mean number of calls, or one more than the mean."""
_HIGHEST = 2.0
_BUSIEST = _HIGHEST / (1 + _HIGHEST)
"""The most that a reading counts on top of itself, and the share of busy time where it does:
tuned on simulated replicas at 6 to 22 conversations a second (`benchmarks/pool.py`)."""
_BESIDE = 0.25
"""The part of what a call seems to be slowed down by those beside it that counts: the rest is
their prompts', whose wait counts already (tuned likewise)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a call goes: what the cache there is expected to hold of it (tokens), and how long its
    first token will take (seconds), of which it will `wait` until it is read.

    `cost` is that time with what its reading takes of others, and what they slow down its answer;
    `load` is how many they are.
    """

    url: str
    cached: int
    wait: float
    seconds: float
    cost: float
    load: int


def toll_of(replicas: Sequence[Replica], now: float) -> float:
    """What a second of reading costs: itself, and those that come while it keeps a server busy.

    Where a server is busy for a share s of the time, a second of work more delays others by
    s / (1 - s) seconds together, until it is idle again.
    """
    share = sum(replica.share(now) for replica in replicas) / len(replicas)
    return 1.0 + (share / (1.0 - share) if share < _BUSIEST else _HIGHEST)


def view_of(replica: Replica, hit: int, input_tokens: int, toll: float, now: float) -> Choice:
    """What a replica offers a prompt of which its cache holds `hit` tokens."""
    wait, speed, load = replica.wait(now), replica.speed, replica.load(now)
    read = (input_tokens - hit) * speed.per_token
    return Choice(
        url=replica.url,
        cached=hit,
        wait=wait,
        seconds=wait + speed.start + read,
        cost=wait + speed.start + toll * read + _BESIDE * load * replica.crowd.each,
        load=load,
    )


def best(choices: Sequence[Choice], keys: Sequence[bytes]) -> Choice:
    """The cheapest; among those as cheap the warmest; among those as warm the home.

    The home of a conversation is that of the first key, unless it has more than its share of
    calls; then that of the last key.
    """
    cheapest = min(choice.cost for choice in choices)
    limit = cheapest * (1 + _NEAR_SHARE) + _NEAR_SECONDS
    near = [choice for choice in choices if choice.cost <= limit]
    warmest = max(choice.cached for choice in near)
    warm = [choice for choice in near if choice.cached > warmest - BLOCK]
    if len(warm) == 1:
        return warm[0]
    mean = sum(choice.load for choice in choices) / len(choices)
    share = max(_BOUND * mean, mean + 1)
    calm = [choice for choice in warm if choice.load <= share] or warm
    home = max(choices, key=lambda choice: _weight(keys[0], choice.url))
    return home if home in calm else max(calm, key=lambda c: _weight(keys[-1], c.url))


def _weight(key: bytes, url: str) -> bytes:
    """Rendezvous hashing: the replica with the largest is the home, whoever computes it."""
    return blake2b(key + b"\0" + url.encode(), digest_size=8).digest()
