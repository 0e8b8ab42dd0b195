"""A ledger that is filled one call at a time, for tests of reports."""

from datetime import UTC, datetime, timedelta

from router.budgets import Hold
from router.ledgers import Record, Reservation, Settlement
from router.ledgers.sqlite import SQLiteLedger
from router.money import to_usd
from router.reports import report_from
from router.types import Cost, Usage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOLD = Hold(
    key="total/UTC/", window_start=NOW, resets_at=None, limit=10**15, hard=True, name="all"
)


class Book:
    """A ledger in memory, filled one call at a time."""

    def __init__(self):
        self.ledger = SQLiteLedger(":memory:")
        self.count = 0
        self.rates = {}

    def reserve(self, amount=1000, at=NOW, **columns):
        self.count += 1
        record = Record(
            **{
                "request_id": f"r{self.count}",
                "candidate": "m@h",
                "model": "m",
                "mode": "chat",
                "host": "h",
                "policy": "cheapest",
                "rates_id": "m@h/1",
                "forecast_cost": 700,
            }
            | columns
        )
        rid = f"r{self.count}/0"
        self.rates[rid] = record.rates_id
        lease = at + timedelta(minutes=10)
        self.ledger.reserve(
            Reservation(
                id=rid, at=at, lease_until=lease, amount=amount, holds=(HOLD,), record=record
            )
        )
        return rid

    def settle(self, rid, cost, *, at=NOW, outcome="ok", estimated=False, usage=None):
        usage = usage or Usage(
            input_tokens=100,
            cache_read_tokens=64,
            output_tokens=10,
            reasoning_tokens=4,
            estimated=estimated,
        )
        billed = Cost(pico=cost, rates_id=self.rates[rid])
        end = Settlement(at=at, usage=usage, cost=billed, outcome=outcome)
        self.ledger.settle(rid, end)

    def call(self, cost, *, at=NOW, outcome="ok", estimated=False, usage=None, **columns):
        rid = self.reserve(at=at, **columns)
        self.settle(rid, cost, at=at, outcome=outcome, estimated=estimated, usage=usage)

    def report(self, *by, **arguments):
        return report_from(self.ledger.entries(), by=by, **arguments)

    @property
    def spent(self):
        return to_usd(self.ledger.balances([HOLD])[0].spent)
