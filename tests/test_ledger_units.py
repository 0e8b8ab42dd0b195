"""Dollars, tokens and requests, rolling windows, changes by people: the ledger and a model agree.

The model keeps plain lists and counts anew each time. Besides, by brute force: at each reserve no
interval as long as a rolling window holds more than its limit.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from router import Budget
from router.budgets import holds_for
from router.errors import BudgetExceededError
from router.ledgers import Adjustment, Record, Reservation, Settlement
from router.ledgers.sqlite import SQLiteLedger
from router.types import Cost, Usage

START = datetime(2026, 11, 22, tzinfo=UTC)
LEASE = timedelta(minutes=10)
SPAN = timedelta(hours=1)
RECORD = Record(request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p")
PICO = 10**12
BUDGETS = (
    Budget("100", "day"),
    Budget(tokens=120, window="day"),
    Budget(requests=9, window="day"),
    Budget("60", "rolling 60m", name="rolling"),
    Budget("5", "day", {"team": "watched"}, hard=False),
)


@dataclass
class Call:
    """A call as the model sees it, in each unit: set aside, and charged."""

    at: datetime
    holds: tuple
    aside: dict
    lease_until: datetime
    is_open: bool = True
    charged: dict = field(default_factory=lambda: {"usd": 0, "tokens": 0, "requests": 0})


class UnitsMachine(RuleBasedStateMachine):
    calls = Bundle("calls")

    def __init__(self):
        super().__init__()
        self.ledger = SQLiteLedger(":memory:")
        self.model, self.added, self.frozen, self.changes = {}, {}, set(), 0
        self.now = START

    def holds(self):
        return holds_for(BUDGETS, {"team": "watched"}, self.now, "")

    def taken(self, hold):
        """Spent and reserved that count against a hold now."""
        low, high = hold.window_start, hold.window_start
        if hold.since is not None:
            low, high = hold.since, datetime.max.replace(tzinfo=UTC)
        spent = reserved = 0
        for call in self.model.values():
            for held in call.holds:
                if held.key == hold.key and low <= held.window_start <= high:
                    spent += call.charged[hold.unit]
                    reserved += call.aside[hold.unit] if call.is_open else 0
        adjusted = sum(
            amount
            for (key, at), amount in self.added.items()
            if key == hold.key and low <= at <= high
        )
        return spent, reserved, adjusted

    def expire(self):
        for call in self.model.values():
            if call.is_open and call.lease_until < self.now:
                call.is_open, call.charged = False, dict(call.aside)

    def made(self, dollars, tokens):
        rid = f"r{len(self.model)}"
        return rid, Reservation(
            id=rid,
            at=self.now,
            lease_until=self.now + LEASE,
            amount=dollars * PICO,
            tokens=tokens,
            holds=self.holds(),
            record=RECORD,
        )

    @rule(target=calls, dollars=st.integers(0, 40), tokens=st.integers(0, 50))
    def reserve(self, dollars, tokens):
        self.expire()
        rid, reservation = self.made(dollars, tokens)
        aside = {"usd": dollars * PICO, "tokens": tokens, "requests": 1}
        fits = True
        for hold in reservation.holds:
            spent, reserved, adjusted = self.taken(hold)
            over = spent + reserved + aside[hold.unit] > hold.limit + adjusted
            fits = fits and not (hold.hard and (over or hold.key in self.frozen))
        try:
            self.ledger.reserve(reservation)
        except BudgetExceededError:
            assert not fits
            return "nobody"
        assert fits
        self.model[rid] = Call(self.now, reservation.holds, aside, self.now + LEASE)
        self.no_hour_holds_too_much()
        return rid

    def no_hour_holds_too_much(self):
        if self.added:  # then the limit is another one
            return
        recent = [c for c in self.model.values() if c.at > self.now - SPAN]
        within = sum(c.charged["usd"] + c.is_open * c.aside["usd"] for c in recent)
        overage = sum(max(0, c.charged["usd"] - c.aside["usd"]) for c in recent)
        assert within <= 60 * PICO + overage

    @rule(rid=calls, dollars=st.integers(0, 45), tokens=st.integers(0, 60))
    def settle(self, rid, dollars, tokens):
        call = self.model.get(rid)
        if call is None or not call.is_open:
            return
        usage = Usage(input_tokens=tokens // 2, output_tokens=tokens - tokens // 2)
        end = Settlement(at=self.now, usage=usage, cost=Cost(pico=dollars * PICO, rates_id="r"))
        if call.lease_until < self.now:
            self.ledger.sweep(self.now)  # what a settle after it corrects is tested elsewhere
            self.expire()
            return
        entry = self.ledger.settle(rid, end)
        assert (entry.cost, entry.tokens, entry.requests) == (dollars * PICO, tokens, 1)
        assert entry.overage == max(0, dollars * PICO - call.aside["usd"])
        call.is_open = False
        call.charged = {"usd": dollars * PICO, "tokens": tokens, "requests": 1}

    @rule(rid=calls)
    def release(self, rid):
        call = self.model.get(rid)
        if call is None or not call.is_open or call.lease_until < self.now:
            return
        self.ledger.release(rid, at=self.now, outcome="RateLimitError")
        call.is_open = False

    @rule(dollars=st.integers(0, 30), tokens=st.integers(0, 30))
    def post(self, dollars, tokens):
        """What was spent without being asked for is never refused, and counts."""
        rid, reservation = self.made(dollars, tokens)
        usage = Usage(output_tokens=tokens)
        end = Settlement(at=self.now, usage=usage, cost=Cost(pico=dollars * PICO, rates_id="r"))
        assert self.ledger.post(reservation, end) == self.ledger.post(reservation, end)
        self.model[rid] = Call(
            self.now,
            reservation.holds,
            {"usd": 10**18, "tokens": 0, "requests": 0},  # asked for nothing: any is beyond it
            self.now + LEASE,
            is_open=False,
            charged={"usd": dollars * PICO, "tokens": tokens, "requests": 1},
        )
        self.added.setdefault(("posted", START), 0)  # the limit was not asked: no brute force

    @rule(which=st.sampled_from([0, 1, 2, 3]), amount=st.integers(-20, 30))
    def change(self, which, amount):
        hold = self.holds()[which]
        amount *= PICO if hold.unit == "usd" else 1
        self.changes += 1
        row = Adjustment(
            id=f"a{self.changes}",
            kind="top_up",
            at=self.now,
            key=hold.key,
            window_start=hold.window_start,
            unit=hold.unit,
            amount=amount,
            by="ann",
            why="test",
            budget=hold.name,
        )
        spent, reserved, adjusted = self.taken(hold)
        try:
            self.ledger.adjust([row], [hold])
            self.ledger.adjust([row], [hold])  # booked once
        except BudgetExceededError:
            assert amount < 0
            assert hold.limit + adjusted - spent - reserved < -amount
            return
        assert amount >= 0 or hold.limit + adjusted - spent - reserved >= -amount
        at = hold.key, hold.window_start
        self.added[at] = self.added.get(at, 0) + amount

    @rule(which=st.sampled_from([0, 2]), frozen=st.booleans())
    def freeze(self, which, frozen):
        hold = self.holds()[which]
        self.changes += 1
        row = Adjustment(
            id=f"a{self.changes}",
            kind="freeze" if frozen else "unfreeze",
            at=self.now,
            key=hold.key,
            window_start=hold.window_start,
            unit=hold.unit,
            amount=0,
            by="ann",
            why="test",
            budget=hold.name,
        )
        self.ledger.adjust([row], [hold])
        (self.frozen.add if frozen else self.frozen.discard)(hold.key)

    @rule(minutes=st.sampled_from([1, 5, 10, 11, 61, 60 * 25]))
    def wait(self, minutes):
        self.now += timedelta(minutes=minutes)

    @invariant()
    def balances_agree(self):
        holds = self.holds()
        found = self.ledger.balances(holds)
        assert [(b.spent, b.reserved, b.adjusted) for b in found] == list(map(self.taken, holds))
        assert [b.frozen for b in found] == [h.key in self.frozen for h in holds]

    def teardown(self):
        self.ledger.check()
        assert len(list(self.ledger.adjustments())) <= self.changes
        self.ledger.close()


TestUnits = UnitsMachine.TestCase
TestUnits.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
