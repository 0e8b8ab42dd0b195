"""For tests of leases and outages: a clock that is set, and a store that fails when told."""

from datetime import UTC, datetime, timedelta

from router.budgets import Hold
from router.errors import LedgerError
from router.ledgers import Adjustment, Record, Reservation, Settlement
from router.ledgers.sqlite import SQLiteLedger
from router.types import Cost, Usage

START = datetime(2026, 11, 22, tzinfo=UTC)
RECORD = Record(request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p")


class Clock:
    """Wall and monotonic time that pass when told."""

    def __init__(self):
        self.seconds = 0.0

    def now(self):
        return START + timedelta(seconds=self.seconds)

    def monotonic(self):
        return self.seconds


def hold(key="all", limit=100, **fields):
    fields = {"window_start": START, "resets_at": None, "hard": True, "name": key, **fields}
    return Hold(key=key, limit=limit, **fields)


def reservation(rid, amount, holds, at=START, lease=600, **fields):
    return Reservation(
        id=rid,
        at=at,
        lease_until=at + timedelta(seconds=lease),
        amount=amount,
        holds=tuple(holds),
        record=RECORD,
        **fields,
    )


def settlement(cost, at=START, **fields):
    usage = Usage(output_tokens=cost)
    return Settlement(at=at, usage=usage, cost=Cost(pico=cost, rates_id="r"), **fields)


_ASKED = {
    *("reserve", "settle", "release", "post", "exchange", "sweep", "balances", "entries"),
    *("adjust", "adjustments", "warned", "grade"),
}


class Flaky:
    """A store that works, or fails before or after it has done what it was asked.

    Several ledgers may share it, so it stays open when one of them closes it.
    """

    def __init__(self, path=":memory:"):
        self.ledger = SQLiteLedger(path)
        self.mode = "up"
        self.asked = []

    def __getattr__(self, name):
        method = getattr(self.ledger, name)
        if name not in _ASKED:
            return method

        def call(*args, **kwargs):
            self.asked.append(name)
            if self.mode == "down":
                raise LedgerError("the store is down") from OSError("no route")
            answer = method(*args, **kwargs)
            if self.mode == "deaf":
                raise LedgerError("the connection broke") from OSError("reset")
            return answer

        return call

    def close(self):
        """Nothing: a store in memory would be lost."""

    def open(self):
        """How many reservations and slabs are open."""
        db = self.ledger._db()
        return db.execute("SELECT count(*) FROM open_reservations").fetchone()[0]

    def balance(self, hold):
        return self.ledger.balances([hold])[0]


BIG = hold("big", 10_000)


def spend(ledger, name, count, cost=5, holds=(BIG,), at=START):
    for i in range(count):
        ledger.reserve(reservation(f"{name}{i}", cost, holds, at=at))
        ledger.settle(f"{name}{i}", settlement(cost, at))


def slab(ledger, its=BIG):
    return ledger._desk.till.purses[its.key, its.window_start]


def change(kind, its=BIG, amount=0):
    return Adjustment(
        id=f"{kind}{amount}", kind=kind, at=START, key=its.key, window_start=START,
        unit="usd", amount=amount, by="me", why="test", budget=its.name,
    )  # fmt: skip
