"""The ledger against a model of a dozen lines: whatever happens in whatever order, they agree."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from router.budgets import Hold
from router.errors import BudgetExceededError, LedgerError
from router.ledgers import Record, Reservation, Settlement
from router.ledgers.sqlite import SQLiteLedger
from router.types import Cost, Usage

START = datetime(2026, 11, 22, tzinfo=UTC)
LEASE = timedelta(minutes=10)
RECORD = Record(request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p")
LIMITS = {"all": (100, True), "team": (60, True), "user": (25, True), "watch": (10, False)}
ACCOUNTS = st.sets(st.sampled_from(sorted(LIMITS)), min_size=1)
AMOUNTS = st.integers(0, 50)


def hold(key):
    limit, hard = LIMITS[key]
    return Hold(
        key=key, window_start=START, resets_at=None, limit=limit, hard=hard, name=f"the {key}"
    )


def settlement(cost, at):
    return Settlement(at=at, usage=Usage(output_tokens=cost), cost=Cost(pico=cost, rates_id="r"))


@dataclass
class Call:
    """What the model knows of a reservation: `charged` is all it was ever charged."""

    amount: int
    accounts: frozenset
    lease_until: datetime
    state: str = "open"
    charged: int = 0
    settled: int | None = None


class LedgerMachine(RuleBasedStateMachine):
    """I1 no reserve passes a hard limit; I2 one resolution; I3 all accounts or none; I4 spend is
    the sum of entries; I5 an overage is booked and blocks."""

    calls = Bundle("calls")

    def __init__(self):
        super().__init__()
        self.ledger = SQLiteLedger(":memory:")
        self.model = {}
        self.now = START

    def taken(self, account):
        mine = [c for c in self.model.values() if account in c.accounts]
        return sum(c.charged for c in mine), sum(c.amount for c in mine if c.state == "open")

    def expire(self):
        for call in self.model.values():
            if call.state == "open" and call.lease_until < self.now:
                call.state, call.charged = "expired", call.amount

    @rule(target=calls, amount=AMOUNTS, accounts=ACCOUNTS)
    def reserve(self, amount, accounts):
        rid = f"r{len(self.model)}"
        self.expire()
        hard = [a for a in accounts if LIMITS[a][1]]
        short = [a for a in hard if sum(self.taken(a)) + amount > LIMITS[a][0]]
        reservation = Reservation(
            id=rid,
            at=self.now,
            lease_until=self.now + LEASE,
            amount=amount,
            holds=tuple(hold(a) for a in sorted(accounts)),
            record=RECORD,
        )
        try:
            self.ledger.reserve(reservation)
        except BudgetExceededError as error:
            assert error.budget.removeprefix("the ") in short
            # The sweep that went before is undone with it; the next one does it again.
            self.ledger.sweep(self.now)
            return "nobody"
        assert not short
        self.model[rid] = Call(amount, frozenset(accounts), self.now + LEASE)
        self.ledger.reserve(reservation)  # a repeated one changes nothing
        return rid

    @rule(rid=calls, cost=AMOUNTS)
    def settle(self, rid, cost):
        call = self.model.get(rid)
        refused = call is None or (call.settled is not None and call.settled != cost)
        try:
            first = self.ledger.settle(rid, settlement(cost, self.now))
            assert self.ledger.settle(rid, settlement(cost, self.now)) == first
        except LedgerError:
            assert refused
            return
        assert not refused
        if call.settled is None:
            assert first.overage == (max(0, cost - call.amount) if call.state == "open" else 0)
            call.state, call.charged, call.settled = "resolved", cost, cost

    @rule(rid=calls)
    def release(self, rid):
        call = self.model.get(rid)
        was_settled = call is not None and call.state == "resolved" and call.settled is not None
        try:
            self.ledger.release(rid, at=self.now, outcome="released")
        except LedgerError:
            assert was_settled  # settled, or corrected after an expiry
            return
        if call is None or was_settled:
            # A released call that was settled late stays as it was corrected.
            return
        if call.state == "expired":
            call.settled = 0  # corrected to nothing: the one correction it may have
        if call.state in {"open", "expired"}:
            call.state, call.charged = "resolved", 0

    @rule(seconds=st.sampled_from([0, 1, 300, 600, 601]))
    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule()
    def sweep(self):
        due = sum(c.state == "open" and c.lease_until < self.now for c in self.model.values())
        self.expire()
        assert self.ledger.sweep(self.now) == due

    @rule()
    def reopen(self):
        self.ledger.check()

    @invariant()
    def balances_agree(self):
        accounts = sorted(LIMITS)
        found = self.ledger.balances([hold(a) for a in accounts])
        assert [(b.spent, b.reserved) for b in found] == [self.taken(a) for a in accounts]

    @invariant()
    def entries_agree(self):
        entries = list(self.ledger.entries())
        by_call = {}
        for entry in entries:
            by_call.setdefault(entry.reservation_id, []).append(entry)
        for rid, call in self.model.items():
            mine = by_call.get(rid, [])
            assert sum(e.cost for e in mine) == call.charged
            assert sum(e.kind != "correct" for e in mine) == (call.state != "open")
            assert sum(e.kind == "correct" for e in mine) <= 1
        assert by_call.keys() <= self.model.keys()

    def teardown(self):
        self.ledger.check()
        self.ledger.close()


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
