"""Two processes with slabs of the same budgets: whatever happens, the store has counted enough."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from router.budgets import left
from router.errors import BudgetExceededError, LedgerError
from router.ledgers.lease import LeasedLedger
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
    late: bool = False

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
    dearest = 1.0

    def __init__(self):
        super().__init__()
        self.clock, self.store = Clock(), Flaky()
        self.processes = [self.process(), self.process()]
        self.model, self.killed, self.failed = {}, False, False

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

    def over(self, account):
        """What calls cost beyond what they had set aside: nobody could know before."""
        if account == "calls":
            return sum(c.late for c in self.model.values())
        return sum(max(0, c.cost - (0 if c.late else c.amount)) for c in self.model.values())

    def untold(self, account):
        """Of that, what the store may not know yet: nothing, unless it did not answer."""
        return self.over(account) if self.failed else 0

    @rule(
        target=calls, who=WHO, amount=AMOUNTS, accounts=ACCOUNTS, lease=st.sampled_from([20, 600])
    )
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
            assert self.store.mode != "up" or ledger._desk.failures
            return "nobody"
        ledger.reserve(asked)  # a repeated one changes nothing
        self.model[rid] = Call(ledger, amount, frozenset(accounts))
        return rid

    @rule(rid=calls, share=st.sampled_from([0.0, 0.3, 1.0, 1.7]))
    def settle(self, rid, share):
        share = min(share, self.dearest)
        call = self.model.get(rid)
        if call is None or call.who not in self.processes:
            return
        cost = round(call.amount * share)
        again = call.state in {"settled", "released"}
        if call.state == "released" and not cost:
            return  # a release corrected to no dollars: the rules take it for the same
        try:
            call.who.settle(rid, settlement(cost, self.clock.now()))
        except LedgerError:
            if self.store.mode != "up":  # perhaps it was done: the caller asks again
                self.store.mode = "up"
                self.settle(rid, share)
                return
            assert again and cost != call.cost
            return
        assert not again or call.state == "released" or call.cost == cost
        call.late = call.late or call.state == "released"
        call.state, call.cost = "settled", cost

    @rule(rid=calls)
    def release(self, rid):
        call = self.model.get(rid)
        if call is None or call.who not in self.processes:
            return
        try:
            call.who.release(rid, at=self.clock.now(), outcome="failed")
        except LedgerError:
            if self.store.mode != "up":
                self.store.mode = "up"
                self.release(rid)
                return
            assert call.state == "settled"
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
        self.failed = self.failed or mode != "up"

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
                assert counted <= its.limit + self.over(account)
                assert self.true(account) <= counted + self.untold(account)

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
                lost = self.untold(account) if self.killed else 0
                assert balance.spent >= self.true(account) - lost
            if not self.killed:
                assert balance.spent == self.true(account)
        self.store.ledger.close()


class OverageMachine(LeaseMachine):
    """Calls may cost more than was set aside: nothing else may go wrong by that, nor stay so."""

    dearest = 1.7


TestLease = LeaseMachine.TestCase
TestLease.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestOverage = OverageMachine.TestCase
TestOverage.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
