"""Two processes with slabs of the same budgets: whatever happens, the store has counted enough."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from router.budgets import left
from router.budgets.lease import LeasedLedger
from router.errors import BudgetExceededError, LedgerError
from tests.leasing import Clock, Flaky, hold, reservation, settlement

HOLDS = {
    "all": hold("all", 200),
    "team": hold("team", 90),
    "calls": hold("calls", 15, unit="requests"),
    "watch": hold("watch", 10, hard=False),
}
ACCOUNTS = st.sets(st.sampled_from(sorted(HOLDS)), min_size=1)
AMOUNTS = st.integers(0, 40)
WHO = st.integers(0, 1)


@dataclass
class Call:
    """What is true of a call: what it may cost while it is `open`, then what it did."""

    who: object
    amount: int
    accounts: frozenset
    state: str = "open"
    cost: int = 0

    def most(self, account):
        if self.state == "gone" or (self.state == "open" and account != "watch"):
            return 1 if account == "calls" else self.amount
        if self.state in {"open", "released"}:
            return 0
        return 1 if account == "calls" else self.cost


class LeaseMachine(RuleBasedStateMachine):
    """What was spent or promised is covered by the store's spent + reserved, which keep the limit;
    nothing is charged that was not spent unless somebody was killed."""

    calls = Bundle("calls")

    def __init__(self):
        super().__init__()
        self.clock, self.store = Clock(), Flaky()
        self.processes = [self.process(), self.process()]
        self.model, self.killed = {}, False

    def process(self):
        return LeasedLedger(
            self.store,
            ttl=30,
            now=self.clock.now,
            monotonic=self.clock.monotonic,
            background=False,
        )

    def true(self, account):
        return sum(c.most(account) for c in self.model.values() if account in c.accounts)

    @rule(target=calls, who=WHO, amount=AMOUNTS, accounts=ACCOUNTS, lease=st.sampled_from([20, 600]))
    def reserve(self, who, amount, accounts, lease):
        rid, ledger = f"r{len(self.model)}", self.processes[who]
        holds = [HOLDS[a] for a in sorted(accounts)]
        asked = reservation(rid, amount, holds, at=self.clock.now(), lease=lease)
        try:
            ledger.reserve(asked)
        except BudgetExceededError as error:
            refused = HOLDS[error.budget]
            wanted = 1 if error.budget == "calls" else amount
            purse = ledger._desk.till.purses[refused.key, refused.window_start]
            assert left(refused, self.store.balance(refused)) + max(0, purse.free) < wanted
            return "nobody"
        except LedgerError:
            assert self.store.mode != "up"
            return "nobody"
        ledger.reserve(asked)  # a repeated one changes nothing
        self.model[rid] = Call(ledger, amount, frozenset(accounts))
        return rid

    @rule(rid=calls, share=st.sampled_from([0.0, 0.3, 1.0]))
    def settle(self, rid, share):
        call = self.model.get(rid)
        if call is None or call.who not in self.processes:
            return
        cost = round(call.amount * share)
        again = call.state in {"settled", "released"}
        try:
            call.who.settle(rid, settlement(cost, self.clock.now()))
        except LedgerError:
            assert self.store.mode != "up" or (again and cost != call.cost)
            return
        assert not again or call.state == "released" or call.cost == cost
        call.state, call.cost = "settled", cost

    @rule(rid=calls)
    def release(self, rid):
        call = self.model.get(rid)
        if call is None or call.who not in self.processes:
            return
        try:
            call.who.release(rid, at=self.clock.now(), outcome="failed")
        except LedgerError:
            assert self.store.mode != "up" or call.state == "settled"
            return
        if call.state == "open":
            call.state = "released"

    @rule(who=WHO)
    def beat(self, who):
        self.processes[who].beat()

    @rule(who=WHO)
    def flush(self, who):
        try:
            self.processes[who].flush()
        except LedgerError:
            assert self.store.mode != "up"

    @rule(who=WHO)
    def sweep(self, who):
        try:
            self.processes[who].sweep(self.clock.now())
        except LedgerError:
            assert self.store.mode != "up"

    @rule(seconds=st.sampled_from([0, 1, 5, 11, 31, 601]))
    def wait(self, seconds):
        self.clock.seconds += seconds

    @rule(mode=st.sampled_from(["up", "up", "down", "deaf"]))
    def outage(self, mode):
        self.store.mode = mode

    @rule(who=WHO)
    def kill(self, who):
        """A process dies: what it had open may have been charged by its host."""
        dead = self.processes[who]
        for call in self.model.values():
            if call.who is dead and call.state == "open":
                call.state = "gone"
        dead.forget()
        self.killed = True
        self.processes[who] = self.process()

    @rule(who=WHO)
    def close(self, who):
        try:
            self.processes[who].close()
        except LedgerError:
            assert self.store.mode != "up"

    @invariant()
    def the_limit_holds_and_what_is_promised_is_covered(self):
        for account, its in HOLDS.items():
            balance = self.store.balance(its)
            counted = balance.spent + balance.reserved
            if its.hard:
                assert counted <= its.limit
                assert self.true(account) <= counted

    @invariant()
    def balances_are_what_is_known(self):
        for ledger in self.processes:
            its = HOLDS["all"]
            mine = ledger._desk.till.purses.get((its.key, its.window_start))
            if self.store.mode == "up" and mine is not None and mine.slab:
                (balance,) = ledger.balances([its])
                assert left(its, balance) >= max(0, mine.free)

    def teardown(self):
        self.store.mode = "up"
        for ledger in self.processes:
            ledger.close()
            assert not any(p.slab for p in ledger._desk.till.purses.values())
        self.clock.seconds += 10_000
        self.store.ledger.sweep(self.clock.now())
        for call in self.model.values():
            if call.state == "open":
                call.state = "gone"  # never settled: charged in full
        assert self.store.open() == 0
        self.store.ledger.check()
        for account, its in HOLDS.items():
            balance = self.store.balance(its)
            assert balance.reserved == 0
            if its.hard:
                assert balance.spent >= self.true(account)
            if not self.killed:
                assert balance.spent == self.true(account)


TestLease = LeaseMachine.TestCase
TestLease.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
