"""Limits of every kind under leases: what fits is admitted, and nothing else."""

import threading
from datetime import timedelta

import pytest

from router.budgets import Balance
from router.errors import BudgetExceededError, BudgetFrozenError, LedgerError
from router.ledgers.lease import LeasedLedger
from tests.leasing import (
    BIG,
    START,
    Clock,
    Flaky,
    change,
    hold,
    reservation,
    settlement,
    slab,
    spend,
)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store():
    store = Flaky()
    yield store
    store.ledger.check()
    store.ledger.close()


@pytest.fixture
def make(store, clock):
    made = []

    def process(**options):
        ledger = LeasedLedger(
            store, now=clock.now, monotonic=clock.monotonic, background=False, **options
        )
        made.append(ledger)
        return ledger

    yield process
    for ledger in made:
        ledger.forget()


def test_a_freeze_by_another_process_is_noticed_when_the_store_is_heard(store, make, clock):
    """What is in hand may still be spent until then; an unfrozen budget is spent again."""
    ledger = make()
    spend(ledger, "a", 20)
    store.ledger.adjust([change("freeze")], [BIG])
    ledger.flush()
    with pytest.raises(BudgetFrozenError):
        ledger.reserve(reservation("b", 1, [BIG]))
    assert store.balance(BIG) == Balance(spent=100, frozen=True)
    store.ledger.adjust([change("unfreeze")], [BIG])
    spend(ledger, "c", 1)
    ledger.close()
    assert store.balance(BIG) == Balance(spent=105)


def test_changes_of_a_budget_count_at_once(store, make):
    """Through this ledger: a transfer may take what only lies in our slab, a freeze holds now."""
    its = hold("small", 100)
    ledger = make()
    spend(ledger, "a", 5, cost=10, holds=[its])
    ledger.adjust([change("transfer", its, -50)], [its])
    assert ledger.balances([its]) == [Balance(spent=50, adjusted=-50)]
    with pytest.raises(BudgetExceededError):
        ledger.reserve(reservation("b", 1, [its]))
    ledger.adjust([change("top_up", its, 8)], [its])
    spend(ledger, "c", 1, holds=[its])
    ledger.adjust([change("freeze", its)], [its])
    with pytest.raises(BudgetFrozenError):
        ledger.reserve(reservation("d", 1, [its]))
    assert [a.kind for a in ledger.adjustments()] == ["transfer", "top_up", "freeze"]


def test_soft_limits_need_no_slab_and_are_counted(store, make):
    """They refuse nothing; what was spent under them is in the ledger."""
    soft = hold("soft", 3, hard=False)
    ledger = make()
    spend(ledger, "a", 3, holds=[soft])
    assert store.asked == []
    ledger.flush()
    ledger.reserve(reservation("open", 2, [soft, BIG]))
    assert ledger.balances([soft]) == [Balance(spent=15, reserved=2)]
    ledger.close()
    assert store.balance(soft) == Balance(spent=15, reserved=2)


def test_a_cap_on_one_request_needs_no_store(store, make):
    """Its attempts count together, and no other request's do."""
    ledger = make()

    def cap(request):
        return hold(f"request/{request}", 10, single=True, name="each request")

    assert ledger.balances([cap(1)]) == [Balance()]
    spend(ledger, "1/", 1, cost=6, holds=[cap(1)])
    with pytest.raises(BudgetExceededError):
        ledger.reserve(reservation("1/1", 5, [cap(1), BIG]))
    ledger.reserve(reservation("1/2", 4, [cap(1)]))
    spend(ledger, "2/", 1, cost=10, holds=[cap(2)])
    assert store.asked == []
    assert ledger.balances([cap(1)]) == [Balance(spent=6, reserved=4)]
    ledger.close()
    assert store.balance(cap(1)) == Balance(spent=6, reserved=4)


def test_rolling_windows_are_weighed_by_the_store(store, make):
    """Such a call goes there by itself, and may use what is free in our slabs."""
    rolling = hold("5h", 30, since=START - timedelta(hours=5))
    small = hold("small", 100)
    ledger = make()
    spend(ledger, "a", 9, cost=10, holds=[small])
    ledger.reserve(reservation("b", 10, [rolling, small]))
    assert "reserve" in store.asked
    ledger.settle("b", settlement(10))
    spend(ledger, "c", 2, cost=10, holds=[rolling])
    with pytest.raises(BudgetExceededError):
        ledger.reserve(reservation("d", 1, [rolling]))
    ledger.close()
    assert store.balance(small) == Balance(spent=100)


def test_two_limits_on_one_account(store, make):
    """The tighter one holds for the calls under it, whatever slab the looser one gave."""
    loose, tight = hold("k", 1000, name="loose"), hold("k", 50, name="tight")
    ledger = make()
    spend(ledger, "a", 9, holds=[loose])
    spend(ledger, "b", 1, holds=[loose, tight])
    with pytest.raises(BudgetExceededError) as refused:
        ledger.reserve(reservation("c", 1, [loose, tight]))
    assert refused.value.budget == "tight"
    spend(ledger, "d", 10, holds=[loose])
    with pytest.raises(BudgetExceededError):
        ledger.reserve(reservation("e", 1, [tight]))
    ledger.close()
    assert store.balance(loose) == Balance(spent=100)


def test_what_a_call_cost_beyond_its_reservation_blocks_the_next(store, make):
    """It is taken from the slab as far as it goes, and booked whatever the limit."""
    its = hold("small", 20)
    ledger = make()
    ledger.reserve(reservation("a", 10, [its]))
    ledger.reserve(reservation("b", 10, [its]))
    ledger.settle("a", settlement(15))
    ledger.flush()
    assert store.balance(its) == Balance(spent=15, reserved=10)
    with pytest.raises(BudgetExceededError):
        ledger.reserve(reservation("c", 0, [its]))
    ledger.settle("b", settlement(10))
    ledger.close()
    assert store.balance(its) == Balance(spent=25)


def test_what_others_hold_is_theirs(store, make):
    """Two processes never have more than the limit between them, and get what is given back."""
    its = hold("small", 100)
    one, other = make(), make()
    spend(one, "a", 6, cost=10, holds=[its])
    admitted = 0
    with pytest.raises(BudgetExceededError):
        for i in range(100):
            spend(other, f"b{i}/", 1, cost=1, holds=[its])
            admitted += 1
    assert 60 + admitted + slab(one, its).free >= 100
    one.close()
    spend(other, "c", 40 - admitted, cost=1, holds=[its])
    other.close()
    assert store.balance(its) == Balance(spent=100)


def test_a_number_that_no_ledger_can_hold_is_refused_at_once(store, make):
    """It must not come to light when the row is written, beside the rows of others."""
    ledger = make()
    ledger.reserve(reservation("a", 5, [BIG]))
    with pytest.raises(LedgerError, match="too large"):
        ledger.settle("a", settlement(2**63))
    with pytest.raises(LedgerError, match="too large"):
        ledger.reserve(reservation("b", 2**64, [hold("huge", 2**70)]))
    ledger.settle("a", settlement(5))
    ledger.close()


def test_threads_admit_exactly_what_fits(store):
    """Sixteen threads on one ledger, with its own thread posting: not one too many or too few."""
    ledger, its, calls = LeasedLedger(store), hold("hot", 500), hold("calls", 400, unit="requests")
    admitted, lock = [], threading.Lock()

    def work(name):
        for i in range(60):
            rid = f"{name}/{i}"
            try:
                ledger.reserve(reservation(rid, 1, [its, calls, hold(f"own/{name}", 30)]))
            except BudgetExceededError:
                continue
            with lock:
                admitted.append(rid)
            if i % 5:
                ledger.settle(rid, settlement(1))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 400
    ledger.close()
    assert store.balance(calls).spent + store.balance(calls).reserved == 400
    assert store.balance(its) == Balance(
        spent=store.balance(calls).spent, reserved=store.balance(calls).reserved
    )


def test_a_call_that_takes_nothing_is_admitted_while_ours_covers_an_overage(store, make):
    """What lies free in our own slab counts: only beyond it is the account over its limit."""
    its = hold("small", 90)
    ours, others = make(), make()
    ours.reserve(reservation("a", 8, [its]))
    ours.settle("a", settlement(0, START))
    others.reserve(reservation("b", 50, [its]))
    others.settle("b", settlement(84, START))
    others.close()
    ours.flush()
    assert store.balance(its) == Balance(spent=84, reserved=8)
    ours.reserve(reservation("c", 0, [its]))
    ours.settle("c", settlement(0, START))
    late = make()
    with pytest.raises(BudgetExceededError):
        late.reserve(reservation("d", 20, [its]))
