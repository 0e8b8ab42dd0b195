"""The ledger in PostgreSQL against the model of `test_ledger_property`, and against SQLite."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from stores import POSTGRES, Schema, borrowed, needs_postgres

from router.budgets import Hold
from router.errors import RouterError
from router.ledgers import Adjustment, Record, Reservation, Settlement
from router.ledgers.sqlite import SQLiteLedger
from router.types import Cost, Usage

pytestmark = needs_postgres

START = datetime(2026, 11, 22, tzinfo=UTC)
STEP = timedelta(minutes=1)
LEASE = timedelta(minutes=10)
RECORD = Record(request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p")
AMOUNTS = st.integers(0, 60)
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
LIMITS = {
    "usd": ("usd", 100, True),
    "tokens": ("tokens", 150, True),
    "requests": ("requests", 6, True),
    "soft": ("usd", 10, False),
    "rolling": ("usd", 80, True),
}


def eager(schema):
    """A ledger that sweeps before each reserve, as the one in a file does."""
    from router.ledgers.postgres import PostgresLedger

    class Eager(PostgresLedger):
        def reserve(self, reservation):
            self.sweep(reservation.at)
            super().reserve(reservation)

    return schema.ledger(Eager)


class Differential(RuleBasedStateMachine):
    """Whatever is done in whatever order: two stores give the same answers and hold the same."""

    ids = Bundle("ids")
    slabs = Bundle("slabs")

    def __init__(self):
        super().__init__()
        self.schema = Schema()
        self.stores = SQLiteLedger(":memory:"), eager(self.schema)
        # Another process: it knows nothing of what the first one made.
        self.second = eager(self.schema)
        self.now, self.made = START, 0

    def hold(self, name, amount=None):
        unit, limit, hard = LIMITS[name]
        rolling = name == "rolling"
        start = START + (self.now - START) // (5 * STEP) * (5 * STEP) if rolling else START
        return Hold(
            key=name,
            window_start=start,
            resets_at=None,
            limit=limit,
            hard=hard,
            name=name,
            unit=unit,
            since=start - 10 * STEP if rolling else None,
            amount=amount,
        )

    def both(self, do, *, second=False):
        here, there = self.stores
        answers = []
        for store in (here, self.second if second else there):
            try:
                answers.append(do(store))
            except RouterError as error:
                answers.append((type(error), str(error)))
        assert answers[0] == answers[1]
        return answers[0]

    def new(self, prefix="r"):
        self.made += 1
        return f"{prefix}{self.made}"

    def reservation(self, rid, amount, names, **columns):
        return Reservation(
            id=rid,
            at=self.now,
            lease_until=self.now + LEASE,
            amount=amount,
            tokens=amount // 2,
            holds=tuple(self.hold(name) for name in sorted(names)),
            record=RECORD,
            **columns,
        )

    def settlement(self, cost, tokens, **columns):
        usage = Usage(input_tokens=tokens, output_tokens=1)
        cost = Cost(pico=cost, rates_id="r")
        return Settlement(at=self.now, usage=usage, cost=cost, **columns)

    @rule(target=ids, amount=AMOUNTS, names=st.sets(st.sampled_from(sorted(LIMITS))))
    def reserve(self, amount, names):
        made = self.reservation(self.new(), amount, names)
        self.both(lambda store: store.reserve(made))
        self.both(lambda store: store.reserve(replace(made, amount=amount + 1)), second=True)
        return made.id

    @rule(rid=ids, cost=AMOUNTS, tokens=AMOUNTS, second=st.booleans())
    def settle(self, rid, cost, tokens, second):
        end = self.settlement(cost, tokens)
        self.both(lambda store: store.settle(rid, end), second=second)

    @rule(rid=ids, second=st.booleans())
    def release(self, rid, second):
        self.both(lambda s: s.release(rid, at=self.now, outcome="x"), second=second)

    @rule(target=ids, cost=AMOUNTS, names=st.sets(st.sampled_from(sorted(LIMITS))))
    def post(self, cost, names):
        made, end = self.reservation(self.new(), 0, names), self.settlement(cost, 3, saved=7)
        self.both(lambda store: store.post(made, end))
        self.both(lambda store: store.post(made, end), second=True)
        return made.id

    @rule(target=slabs, amount=st.integers(1, 60), name=st.sampled_from(sorted(LIMITS)))
    def take_slab(self, amount, name):
        usd = amount if LIMITS[name][0] == "usd" else 0
        made = replace(
            self.reservation(self.new("slab"), usd, [], slab=True),
            tokens=amount if LIMITS[name][0] == "tokens" else 0,
            holds=(self.hold(name, amount),),
        )
        self.both(lambda store: store.reserve(made))
        return name, made.id

    @rule(target=ids, slab=slabs, cost=AMOUNTS, second=st.booleans())
    def draw(self, slab, cost, second):
        name, slab_id = slab
        made, end = self.reservation(self.new(), 0, [name]), self.settlement(cost, cost)
        self.both(lambda store: store.draw(made, end, {name: slab_id}), second=second)
        return made.id

    @rule(slab=slabs, second=st.booleans())
    def give_back(self, slab, second):
        self.both(lambda store: store.give_back(slab[1], self.now), second=second)

    @rule(some=st.lists(slabs, max_size=3))
    def extend(self, some):
        wanted = list(dict.fromkeys(slab_id for _, slab_id in some))
        self.both(lambda store: store.extend(wanted, self.now + 2 * LEASE))

    @rule(
        kind=st.sampled_from(["top_up", "freeze", "unfreeze", "transfer"]),
        amount=st.integers(1, 40),
        name=st.sampled_from(sorted(LIMITS)),
        other=st.sampled_from(sorted(LIMITS)),
    )
    def adjust(self, kind, amount, name, other):
        moves = {"top_up": [(name, amount)], "transfer": [(name, -amount), (other, amount)]}
        moves = moves.get(kind, [(name, 0)])
        holds = [self.hold(n) for n, _ in moves]
        made = [
            Adjustment(
                id=self.new("a"),
                kind=kind,
                at=self.now,
                key=n,
                window_start=hold.window_start,
                unit=hold.unit,
                amount=change,
                by="ann",
                why="so",
                budget=n,
            )
            for (n, change), hold in zip(moves, holds, strict=True)
        ]
        self.both(lambda store: store.adjust(made, holds))
        self.both(lambda store: store.adjust(made, holds), second=True)

    @rule(name=st.sampled_from(sorted(LIMITS)), share=st.sampled_from([0.5, 0.8]))
    def warned(self, name, share):
        self.both(lambda store: store.warned(name, START, share))

    @rule(steps=st.sampled_from([1, 4, 5, 11]))
    def wait(self, steps):
        self.now += steps * STEP

    @rule()
    def sweep(self):
        self.both(lambda store: store.sweep(self.now))

    @invariant()
    def the_same(self):
        holds = [self.hold(name) for name in sorted(LIMITS)]
        self.both(lambda store: store.balances(holds))

    def teardown(self):
        here, there = self.stores
        try:
            # Of several that expire at once, each store has its own order.
            assert sorted(map(str, here.entries())) == sorted(map(str, there.entries()))
            assert list(here.adjustments()) == list(there.adjustments())
            here.check()
            there.check()
        finally:
            here.close()
            self.schema.drop()


TestDifferential = Differential.TestCase
TestDifferential.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=QUIET
)

if POSTGRES:

    class PostgresMachine(borrowed("test_ledger_property").LedgerMachine):
        """The same model, the other store."""

        def __init__(self):
            super().__init__()
            self.schema = Schema()
            self.ledger = eager(self.schema)

        def teardown(self):
            try:
                self.ledger.check()
            finally:
                self.schema.drop()

    TestModel = PostgresMachine.TestCase
    TestModel.settings = settings(
        max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=QUIET
    )
