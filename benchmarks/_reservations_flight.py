"""Requests through the real flow and ledger, so many of them in flight at once, in one thread.

A flow is parked where it would call the host, and answered when so many others have come, served
or not. So each run is the same to the last call. Lengths are recorded ones of real models.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from router import Budget, BudgetExceededError, Client, flow
from router._drive import keep
from router.budgets import Hold, holds_for, left
from router.effects import Effect, Reserve, Send
from router.ledgers import Reservation
from router.ledgers.sqlite import SQLiteLedger
from router.money import to_usd
from router.pricing import ceiling, cost
from router.testing import FakeClock
from router.transports.recording import Recorded
from router.transports.replay import ReplayTransport
from router.types import Request, Usage


@dataclass(frozen=True)
class Size:
    """How much is set aside for a call.

    By us: `quantile` None is the worst case, and `max_tokens` what the caller asks for. As others
    do it: `assumed` output tokens, which the host is not told; `shrunk` to what is left.
    """

    name: str
    quantile: float | None = None
    max_tokens: int | None = None
    assumed: int | None = None
    shrunk: bool = False


@dataclass
class Run:
    """What came of all requests under one limit (pico-dollars)."""

    limit: int
    served: int = 0
    refused: int = 0
    affordable: int = 0
    cut: int = 0
    over: int = 0
    spent: int = 0
    peak: int = 0
    gap: int = 0

    @property
    def overspend(self) -> float:
        """In percent of the limit."""
        return 100 * max(0, self.spent - self.limit) / self.limit


@dataclass
class Parked:
    """A request that is with the host: when it came, what it would cost if nothing cut it."""

    came: int
    line: Generator[Effect, Any, Any]
    call: Send
    truth: int
    reserved: int
    most: int


class Runway:
    """Takes requests off and lets them land, each after `places` arrivals."""

    def __init__(self, size: Size, model: str, limit: int, places: int) -> None:
        budget = Budget(to_usd(limit), quantile=size.quantile)
        self.size, self.model, self.places = size, model, places
        self.clock, self.ledger = FakeClock(), SQLiteLedger(":memory:")
        self.client = Client(
            budgets=() if size.assumed else budget, ledger=self.ledger, now=self.clock
        )
        self.services = self.client._core.services_for(None, spending=True)
        self.candidate = self.client.catalog.candidate(model, at=self.clock())
        rates = self.client.catalog.rates(self.candidate, self.clock())
        assert rates is not None
        self.rates = rates
        (self.hold,) = holds_for([budget], {}, self.clock(), "")
        self.air: deque[Parked] = deque()
        self.run = Run(limit)

    def fly(self, prompts: Sequence[Recorded]) -> Run:
        """All prompts in this order."""
        for now, prompt in enumerate(prompts):
            if self.air and self.air[0].came <= now - self.places:
                self.land()
            self.start(prompt, now)
        while self.air:
            self.land()
        self.run.spent = self._balance().spent
        self.ledger.check()
        self.client.close()
        return self.run

    def start(self, prompt: Recorded, now: int) -> None:
        """Decide and reserve; then it is with the host, or refused."""
        messages = [{"role": "user", "content": prompt.prompt}]
        asked = {"model": self.model, "max_tokens": self.size.max_tokens}
        request: Request = self.client._core.request(messages, asked)
        tokens = len(self.services.read_input(request.messages))
        length = prompt.outcomes[self.candidate.model].output_tokens
        truth = cost(Usage(input_tokens=tokens, output_tokens=length), self.rates).pico
        line = flow.complete(request, self.services)
        reserved = 0
        try:
            effect = next(line)
            while not isinstance(effect, Send):
                if isinstance(effect, Reserve):
                    effect = self._sized(effect, tokens)
                    reserved = effect.reservation.holds[0].amount or 0
                try:
                    answer = keep(self.ledger, effect)
                except BudgetExceededError as error:
                    effect = line.throw(error)
                else:
                    effect = line.send(answer)
        except BudgetExceededError:
            run, balance = self.run, self._balance()
            run.refused += 1
            really = run.limit - balance.spent - sum(parked.truth for parked in self.air)
            run.affordable += truth <= really
            return
        most = ceiling(
            tokens, effect.call.max_tokens or self.candidate.max_output_tokens, self.rates
        )
        self.air.append(Parked(now, line, effect, truth, reserved, most))
        self.run.peak = max(self.run.peak, self._balance().reserved)
        self.run.gap = max(self.run.gap, sum(parked.most - parked.reserved for parked in self.air))

    def land(self) -> None:
        """The oldest call is answered, as it was recorded, and settled."""
        parked = self.air.popleft()
        reply = ReplayTransport().send(parked.call.call)
        self.run.served += 1
        self.run.cut += reply.finish_reason == "length"
        effect: Effect | None = parked.line.send(reply)
        while effect is not None:
            entry = keep(self.ledger, effect)
            self.run.over += entry.cost > parked.reserved
            try:
                effect = parked.line.send(entry)
            except StopIteration:
                effect = None

    def _sized(self, effect: Reserve, tokens: int) -> Reserve:
        """As others would reserve it."""
        if self.size.assumed is None:
            return effect
        output = min(self.size.assumed, self.candidate.max_output_tokens)
        amount = ceiling(tokens, output, self.rates)
        rest = left(self.hold, self._balance())
        if self.size.shrunk and rest > 0:
            amount = min(amount, rest)
        hold: Hold = replace(self.hold, amount=amount)
        made: Reservation = replace(effect.reservation, holds=(hold,), amount=amount)
        return Reserve(made)

    def _balance(self) -> Any:
        return self.ledger.balances([self.hold])[0]
