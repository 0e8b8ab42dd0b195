"""One replica: what is under way there, from us and from others, and how long that will take.

Nothing here locks or reads a clock: its pool does. Times are seconds of the pool's clock.
"""

from __future__ import annotations

import math
from dataclasses import replace

from router.prompts.rule import CacheRule
from router.transports.access import shown
from router.transports.vllm.health import Health
from router.transports.vllm.metrics import Metrics, restarted
from router.transports.vllm.slots import Slots
from router.transports.vllm.speed import Crowd, Speed
from router.transports.vllm.state import Reading, State, Ticket

__all__ = ["Reading", "Replica", "State", "Ticket"]

_FRESH = 5.0
"""Seconds for which a reading says how many requests of others there are."""
_WEIGHT = 0.1
"""Of the newest value, in running means."""
_LATELY = 10.0
"""Seconds over which a replica's share of busy time is taken."""
_FEWEST_TOKENS = 500
"""Computed tokens, before a server's own speed is believed."""
_LATE = 3.0
"""Seconds that a first token may be late before its prompt is taken for read, if later calls were
answered; and beyond twice its time, before another call finds out."""
_SPARE = 60.0
"""Seconds over its timeout after which a call that nobody ended is over: its caller is gone."""


class Replica:
    """The mutable state behind a URL; only its pool touches it."""

    def __init__(self, url: str, common: Speed, crowd: Crowd) -> None:
        self.url = url
        self.health = Health()
        self.speed = Speed(common)
        self.crowd = crowd
        self.models: frozenset[str] | None = None
        self.metrics: Metrics | None = None
        self.service = 0.0
        """Seconds that a call keeps its place in the batch, a running mean."""
        self._slots = Slots()
        self.output_rate: float | None = None
        self._read_at = float("-inf")
        self._others = self._others_waiting = 0
        self._in_flight: dict[Ticket, None] = {}
        self._reading: dict[Ticket, None] = {}
        self._blind: dict[Ticket, None] = {}
        self._tokens = {"reading": 0, "blind": 0}
        self._moved_at, self._given_up = 0.0, 0
        self._share, self._share_at = 0.0, float("-inf")

    def begin(
        self, now: float, input_tokens: int, cached: int, *, stream: bool, lasts: float = math.inf
    ) -> Ticket:
        """A call is on its way there, and over after so many seconds."""
        missing = max(input_tokens - cached, 0)
        self.share(now)
        wait = self.wait(now)
        due = now + wait + self.speed.start + missing * self.speed.per_token
        load = self.load(now)
        queued = bool(self.slots) and load >= self.slots
        until = now + lasts + _SPARE
        ticket = Ticket(self.url, input_tokens, missing, stream, now, due, queued, load, until)
        self._in_flight[ticket] = None
        # Of an answer in one piece nobody sees the first token: it is taken to come when due.
        (self._reading if stream else self._blind)[ticket] = None
        self._tokens["reading" if stream else "blind"] += missing
        if self.health.down_since is not None:
            self.health.trying = True
        return ticket

    def first(self, ticket: Ticket, now: float) -> None:
        """Its first token has come: the prompt is read."""
        if ticket.first is None and not ticket.over:
            self.share(now)
            ticket.first, ticket.freed = now, max(ticket.began, self._moved_at)
            if not ticket.unread:
                self._moved_at = now
                self._read(ticket)
                self._passed(ticket, now)

    def end(
        self,
        ticket: Ticket,
        now: float,
        cache_read: int | None = None,
        output_tokens: int | None = None,
        *,
        well: bool,
    ) -> None:
        """The call is over; of a good one, how long prompt and answer took is learned."""
        if ticket.over:
            return
        ticket.over = True
        self.share(now)
        self._read(ticket)
        self._in_flight.pop(ticket, None)
        if not well:
            return
        self._passed(ticket, now)
        missing = ticket.missing
        if cache_read is not None:
            missing = max(ticket.input_tokens - cache_read, 0)
        wrote = now - (ticket.due if ticket.first is None else ticket.first)
        if ticket.first is not None and not (ticket.queued or ticket.unread):
            self.speed.add(missing, ticket.first - ticket.freed)
        if output_tokens and (ticket.first is not None or not ticket.queued):
            self.crowd.add((ticket.beside + self.load(now)) / 2, output_tokens, wrote)
        held = max(wrote, 0.0) + missing * self.speed.per_token
        if ticket.first is None and ticket.queued:
            held = min(held, self.service or held)
        self.service = held if not self.service else self.service + _WEIGHT * (held - self.service)

    def poll(self, reading: Reading, now: float) -> bool:
        """Take in a poll that was answered. True: the cache there is a new one, and empty."""
        if reading.models is not None:
            self.models = reading.models
        told, before = reading.metrics, self.metrics
        if told is None:
            return False
        seconds, self._read_at = now - self._read_at, now
        self.metrics = told
        anew = before is not None and restarted(before, told)
        self._slots = Slots() if anew else self._slots
        self._learn(told, None if anew else before, seconds)
        if told.running is not None:
            total = told.running + (told.waiting or 0)
            ours = max(reading.ours, len(self._in_flight))
            self._others = max(total - ours, 0)
            self._others_waiting = min(self._others, told.waiting or 0)
            self._slots.add(told.running, told.waiting or 0)
        return anew

    def gone(self, *, refused: bool) -> None:
        """What others did there is gone with it; if nothing listens, so is what it served."""
        self._others = self._others_waiting = 0
        if refused:
            self.models, self._slots = None, Slots()

    def expire(self, now: float) -> None:
        """End the calls that nobody ended in time: others may be tried in their place."""
        for ticket in [t for t in self._in_flight if t.until < now]:
            self.end(ticket, now, well=False)
            self.health.trying = False

    def clear(self) -> None:
        """None of the calls under way is ours: this is another process."""
        for waiting in (self._in_flight, self._reading, self._blind):
            waiting.clear()
        self._tokens = {"reading": 0, "blind": 0}

    def wait(self, now: float) -> float:
        """Seconds until a prompt that is sent now would begin to be read."""
        self.expire(now)
        for ticket in list(self._blind):
            if ticket.due > now:
                break
            self._read(ticket)
        per_token = self.speed.per_token
        ahead = self._tokens["blind"] * per_token
        while self._reading:
            head = next(iter(self._reading))
            own = self.speed.start + head.missing * per_token
            late = now - max(head.began, self._moved_at) - own
            # It may be a reader that is slow: after a while another call finds out.
            if late > own + _LATE:
                self._given_up += 1
                self._read(head)
                continue
            # What is late is taken to be as late again, and more so where others were given up:
            # a replica that hangs draws few calls.
            late = late * (1 + self._given_up) if late > 0 else -late
            ahead += (self._tokens["reading"] - head.missing) * per_token + late
            break
        if now - self._read_at <= _FRESH:
            ahead += self._others_waiting * self.speed.usual * per_token
        if self.slots and (load := self.load(now)) >= self.slots:
            ahead = max(ahead, (load - self.slots + 1) * self.service / self.slots)
        return max(ahead, self.health.busy_until - now)

    def share(self, now: float) -> float:
        """The share of its time, lately, in which it had prompts to read."""
        passed, self._share_at = now - self._share_at, now
        weight = 1.0 - math.exp(-passed / _LATELY)
        busy = 1.0 if self._reading or self._blind else 0.0
        self._share += weight * (busy - self._share)
        return self._share

    def load(self, now: float) -> int:
        """How many calls are under way there, others' included."""
        return len(self._in_flight) + (self._others if now - self._read_at <= _FRESH else 0)

    @property
    def slots(self) -> int:
        """How many calls it works on at once, 0 while it lets none wait."""
        return self._slots.count

    @property
    def in_flight(self) -> int:
        """How many of this process's calls are under way there."""
        return len(self._in_flight)

    def serves(self, model: str) -> bool:
        """Whether it may serve this model: it said so, or said nothing."""
        return not model or self.models is None or model in self.models

    def rule(self, rule: CacheRule) -> CacheRule:
        """The rule of its cache: the catalogue's, with the sizes that the server tells."""
        told = self.metrics
        if told is None:
            return rule
        capacity = 0 if told.keeps is False else told.capacity_tokens
        unit = told.block_tokens or rule.unit_tokens
        if unit == rule.unit_tokens and capacity in {None, rule.capacity_tokens}:
            return rule
        if capacity is None:
            return replace(rule, unit_tokens=unit)
        return replace(rule, unit_tokens=unit, capacity_tokens=capacity)

    def state(self, host: str, now: float) -> State:
        """What there is to show of it."""
        fresh = now - self._read_at <= 2 * _FRESH
        told = self.metrics if self.metrics and fresh else Metrics()
        since, known = self.health.down_since, self.speed.known
        return State(
            host=host,
            url=shown(self.url),
            status=self.health.status,
            in_flight=len(self._in_flight),
            running=told.running,
            waiting=told.waiting,
            kv_usage=told.kv_usage,
            tokens_per_second=self.output_rate if fresh else None,
            prefill_tokens_per_second=1 / self.speed.per_token if known else None,
            down_seconds=None if since is None else now - since,
            models=self.models,
            metrics=self.metrics,
            read_at=self._read_at if self.metrics else None,
        )

    def _read(self, ticket: Ticket) -> None:
        """Its prompt waits no more."""
        for name, waiting in (("reading", self._reading), ("blind", self._blind)):
            if ticket in waiting:
                del waiting[ticket]
                self._tokens[name] -= ticket.missing

    def _passed(self, ticket: Ticket, now: float) -> None:
        """Its answer says that those before it were read: what is overdue waits for its reader."""
        self._given_up = 0
        for before in self._in_flight:
            if before.began >= ticket.began:
                break
            if before.stream and before.first is None and before.due + _LATE < now:
                before.unread = True
                self._read(before)

    def _learn(self, told: Metrics, before: Metrics | None, seconds: float) -> None:
        tokens, took = told.prefilled_tokens, told.prefill_seconds
        if tokens is not None and took and tokens >= _FEWEST_TOKENS:
            self.speed.told = took / tokens
        if before is None or told.output_tokens is None or before.output_tokens is None:
            self.output_rate = None
        elif seconds > 0:
            rate = (told.output_tokens - before.output_tokens) / seconds
            known = self.output_rate
            self.output_rate = rate if known is None else known + 0.5 * (rate - known)
