import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from router.budgets import Balance, Hold
from router.errors import BudgetExceededError, LedgerError
from router.ledgers import Record, Reservation, Settlement
from router.ledgers.sqlite import SQLiteLedger
from router.types import Cost, Usage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
START = datetime(2026, 11, 22, tzinfo=UTC)
LEASE = timedelta(minutes=10)
RECORD = Record(request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p")


def hold(key="day/UTC/", limit=100, *, hard=True, start=START):
    return Hold(
        key=key,
        window_start=start,
        resets_at=start + timedelta(days=1),
        limit=limit,
        hard=hard,
        name=f"{limit} of {key}",
    )


def reservation(rid="r/0", amount=40, holds=None, at=NOW):
    return Reservation(
        id=rid,
        at=at,
        lease_until=at + LEASE,
        amount=amount,
        holds=(hold(),) if holds is None else tuple(holds),
        record=RECORD,
    )


def settlement(cost, *, at=NOW, tokens=7, **columns):
    usage = Usage(input_tokens=tokens, output_tokens=3)
    return Settlement(at=at, usage=usage, cost=Cost(pico=cost, rates_id="m@h/1"), **columns)


@pytest.fixture
def ledger(tmp_path):
    found = SQLiteLedger(tmp_path / "state" / "ledger.sqlite3")
    yield found
    found.check()
    found.close()


def balance(ledger, *holds):
    found = ledger.balances(holds or (hold(),))
    return [(b.spent, b.reserved) for b in found] if holds else (found[0].spent, found[0].reserved)


def test_a_reservation_becomes_spend(ledger):
    """Reserve sets aside, settle spends what the call cost and returns the rest."""
    ledger.reserve(reservation(amount=40))
    assert balance(ledger) == (0, 40)
    entry = ledger.settle("r/0", settlement(25, finish_reason="stop", seconds=1.5))
    assert balance(ledger) == (25, 0)
    assert (entry.kind, entry.cost, entry.reserved, entry.overage) == ("settle", 25, 40, 0)
    assert (entry.record, entry.at, entry.seconds) == (RECORD, NOW, 1.5)
    assert entry.usage == Usage(input_tokens=7, output_tokens=3)
    assert list(ledger.entries()) == [entry]


def test_a_release_returns_everything(ledger):
    """A call that was not charged leaves an entry and no spend."""
    ledger.reserve(reservation())
    ledger.release("r/0", at=NOW, outcome="RateLimitError")
    assert balance(ledger) == (0, 0)
    (entry,) = ledger.entries()
    assert (entry.kind, entry.cost, entry.outcome) == ("release", 0, "RateLimitError")


def test_the_limit_itself_can_be_spent(ledger):
    """Exactly the limit fits; one pico-dollar more is refused with all amounts."""
    ledger.reserve(reservation("a", 60))
    ledger.settle("a", settlement(50))
    ledger.reserve(reservation("b", 50))
    with pytest.raises(BudgetExceededError, match="resets at 2026-11-23 00:00 UTC") as caught:
        ledger.reserve(reservation("c", 1))
    error = caught.value
    pico = Decimal(1).scaleb(-12)
    assert (error.limit, error.spent, error.reserved) == (100 * pico, 50 * pico, 50 * pico)
    assert (error.requested, error.remaining) == (pico, 0)
    assert error.budget == "100 of day/UTC/"


def test_all_budgets_or_none(ledger):
    """When one of several budgets refuses, none of them has anything set aside."""
    wide, tight, soft = hold("w", 1000), hold("t", 10), hold("s", 1, hard=False)
    with pytest.raises(BudgetExceededError, match="10 of t"):
        ledger.reserve(reservation(amount=11, holds=(wide, soft, tight)))
    assert balance(ledger, wide, tight, soft) == [(0, 0)] * 3
    ledger.reserve(reservation(amount=10, holds=(wide, soft, tight)))
    assert balance(ledger, wide, tight, soft) == [(0, 10)] * 3


def test_a_soft_budget_records_and_does_not_refuse(ledger):
    """A soft budget may be overspent, and shows it."""
    soft = hold(limit=1, hard=False)
    ledger.reserve(reservation(amount=40, holds=(soft,)))
    ledger.settle("r/0", settlement(40))
    assert balance(ledger) == (40, 0)


def test_budgets_that_share_an_account_count_a_call_once(ledger):
    """A hard and a soft limit on the same account see the same spend, not twice of it."""
    pair = (hold(limit=100), hold(limit=10, hard=False))
    ledger.reserve(reservation(amount=40, holds=pair))
    assert balance(ledger) == (0, 40)
    ledger.settle("r/0", settlement(30))
    assert balance(ledger, *pair) == [(30, 0), (30, 0)]
    with pytest.raises(BudgetExceededError, match="10 of day"):
        ledger.reserve(reservation("b", 1, holds=(hold(limit=100), hold(limit=10))))


def test_repeated_calls_change_nothing(ledger):
    """Reserve, settle and release may be repeated, as after a lost reply."""
    ledger.reserve(reservation())
    ledger.reserve(reservation())
    assert balance(ledger) == (0, 40)
    first = ledger.settle("r/0", settlement(25))
    assert ledger.settle("r/0", settlement(25)) == first
    ledger.reserve(reservation())  # its answer came late; it is settled and stays so
    assert balance(ledger) == (25, 0)
    ledger.reserve(reservation("b"))
    ledger.release("b", at=NOW, outcome="x")
    ledger.release("b", at=NOW, outcome="x")
    assert len(list(ledger.entries())) == 2


def test_one_id_is_one_call(ledger):
    """An id with another amount, or settled with another cost, is an error and changes nothing."""
    ledger.reserve(reservation(amount=40))
    with pytest.raises(LedgerError, match="other contents"):
        ledger.reserve(reservation(amount=41))
    ledger.settle("r/0", settlement(25))
    with pytest.raises(LedgerError, match="another cost"):
        ledger.settle("r/0", settlement(26))
    with pytest.raises(LedgerError, match="another cost"):
        ledger.settle("r/0", settlement(25, tokens=8))
    with pytest.raises(LedgerError, match="no longer be released"):
        ledger.release("r/0", at=NOW, outcome="x")
    assert balance(ledger) == (25, 0)


def test_unknown_ids(ledger):
    """Settling what was never reserved is an error; releasing it is nothing."""
    with pytest.raises(LedgerError, match="no reservation 'ghost'"):
        ledger.settle("ghost", settlement(1))
    ledger.release("ghost", at=NOW, outcome="x")
    assert list(ledger.entries()) == []


def test_a_settle_after_a_release_is_a_correction(ledger):
    """A bill that arrives after the call was written off is booked, once."""
    ledger.reserve(reservation())
    ledger.release("r/0", at=NOW, outcome="timeout")
    entry = ledger.settle("r/0", settlement(25))
    assert (entry.kind, entry.cost) == ("correct", 25)
    assert ledger.settle("r/0", settlement(25)) == entry
    with pytest.raises(LedgerError, match="corrected to another cost"):
        ledger.settle("r/0", settlement(26))
    assert balance(ledger) == (25, 0)


@pytest.mark.parametrize("truth", [25, 40, 55])
def test_the_truth_after_an_expiry_corrects_it(ledger, truth):
    """A lost call is charged in full and marked; the late truth corrects it up or down."""
    ledger.reserve(reservation())
    assert ledger.sweep(NOW + LEASE + timedelta(seconds=1)) == 1
    (lost,) = ledger.entries()
    assert (lost.kind, lost.cost, lost.outcome, lost.estimated) == ("expire", 40, "lost", True)
    assert balance(ledger) == (40, 0)
    late = ledger.settle("r/0", settlement(truth, at=NOW + timedelta(hours=1)))
    assert (late.kind, late.cost, late.estimated) == ("correct", truth - 40, False)
    assert balance(ledger) == (truth, 0)
    assert sum(e.cost for e in ledger.entries()) == truth


def test_a_release_after_an_expiry_corrects_it_to_nothing(ledger):
    """A lost call that turns out not to have been charged gives its money back."""
    ledger.reserve(reservation())
    ledger.sweep(NOW + timedelta(hours=1))
    ledger.release("r/0", at=NOW, outcome="never sent")
    assert balance(ledger) == (0, 0)
    assert [e.cost for e in ledger.entries()] == [40, -40]


def test_an_overage_is_recorded_and_blocks_the_next(ledger):
    """A call that cost more than it reserved is booked in full, and the budget is then closed."""
    ledger.reserve(reservation(amount=40))
    entry = ledger.settle("r/0", settlement(130))
    assert (entry.cost, entry.overage) == (130, 90)
    assert balance(ledger) == (130, 0)
    with pytest.raises(BudgetExceededError) as caught:
        ledger.reserve(reservation("next", 1))
    assert caught.value.remaining == 0


def test_the_next_reserve_sweeps(ledger):
    """A lease ends only after its last instant; then the next reserve charges what was lost."""
    ledger.reserve(reservation("lost", 40))
    ledger.reserve(reservation("b", 1, at=NOW + LEASE))
    assert balance(ledger) == (0, 41)
    ledger.reserve(reservation("c", 1, at=NOW + LEASE + timedelta(microseconds=1)))
    assert balance(ledger) == (40, 2)


def test_a_call_settles_in_the_window_of_its_reserve(ledger):
    """A call that ends after midnight is spend of the day on which it began."""
    tomorrow = hold(start=START + timedelta(days=1))
    ledger.reserve(reservation(at=START + timedelta(hours=23, minutes=59)))
    ledger.settle("r/0", settlement(25, at=START + timedelta(hours=24, minutes=1)))
    assert balance(ledger, hold(), tomorrow) == [(25, 0), (0, 0)]


def test_entries_can_be_cut_by_time(ledger):
    """`since` counts, `until` does not, and order is that of booking."""
    for i in range(4):
        ledger.reserve(reservation(f"r{i}", 10))
        ledger.settle(f"r{i}", settlement(i, at=NOW + timedelta(minutes=i)))
    minute = timedelta(minutes=1)
    assert [e.cost for e in ledger.entries(since=NOW + minute)] == [1, 2, 3]
    assert [e.cost for e in ledger.entries(until=NOW + 2 * minute)] == [0, 1]
    assert [e.cost for e in ledger.entries(since=NOW + minute, until=NOW + 3 * minute)] == [1, 2]


def test_entries_are_never_changed_or_deleted(ledger):
    """The database itself refuses to rewrite history."""
    ledger.reserve(reservation())
    ledger.settle("r/0", settlement(25))
    db = sqlite3.connect(ledger.path)
    for statement in ("UPDATE entries SET cost = 0", "DELETE FROM entries"):
        with pytest.raises(sqlite3.IntegrityError, match="are never"):
            db.execute(statement)
    db.close()


def test_a_closed_ledger_opens_again(ledger):
    """What was booked is there after closing, in this object and in another one."""
    ledger.reserve(reservation())
    ledger.close()
    other = SQLiteLedger(ledger.path)
    other.settle("r/0", settlement(25))
    other.close()
    assert ledger.balances([hold()]) == [Balance(spent=25, reserved=0)]


def test_a_ledger_in_memory(tmp_path, monkeypatch):
    """`:memory:` works alike, leaves no file, and no two of them share anything."""
    monkeypatch.chdir(tmp_path)
    one, two = SQLiteLedger(":memory:"), SQLiteLedger(":memory:")
    one.reserve(reservation())
    assert (balance(one), balance(two)) == ((0, 40), (0, 0))
    one.check()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("columns", [{"released": True}, {"outcome": "cached", "saved": 3}, {}])
def test_what_is_posted_twice_counts_once(columns):
    """A posted line that is repeated, as after a lost answer, is the same line: in every unit."""
    ledger = SQLiteLedger(":memory:")
    holds = tuple(
        Hold(key=unit, window_start=NOW, resets_at=None, limit=9, hard=True, name=unit, unit=unit)
        for unit in ("usd", "tokens", "requests")
    )
    made = replace(reservation("new"), holds=holds)
    cost = Cost(pico=0 if columns else 5)
    end = Settlement(at=NOW, usage=Usage(output_tokens=2), cost=cost, **columns)
    first = ledger.post(made, end)
    assert ledger.post(made, end) == first
    assert list(ledger.entries()) == [first]
    spent = [balance.spent for balance in ledger.balances(holds)]
    assert spent == ([0, 0, 0] if columns else [5, 2, 1])
    ledger.check()
