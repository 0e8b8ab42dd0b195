"""Slabs: no store is asked while one lasts; nothing is spent that the store has not counted."""

import threading
from datetime import timedelta

import pytest

from router.budgets import Adjustment, Balance
from router.budgets.lease import LeasedLedger
from router.errors import BudgetExceededError, BudgetFrozenError, LedgerError
from tests.leasing import START, Clock, Flaky, hold, reservation, settlement

BIG = hold("big", 10_000)


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


def test_a_slab_serves_many_calls(store, make):
    """Reserving and settling asks nothing of the store until the slab is used up."""
    ledger = make()
    spend(ledger, "a", 200)
    assert set(store.asked) == {"exchange"}
    assert len(store.asked) < 30
    assert store.balance(BIG).spent + store.balance(BIG).reserved >= 1000
    ledger.close()
    assert store.balance(BIG) == Balance(spent=1000)
    assert store.open() == 0


def test_the_store_writes_the_entry_that_was_returned(store, make):
    """What `settle` and `post` return is the line that the ledger has in the end."""
    ledger = make()
    made = reservation("a", 5, [BIG], tokens=3)
    ledger.reserve(made)
    entry = ledger.settle("a", settlement(7, finish_reason="stop", seconds=1.5))
    hit = ledger.post(reservation("b", 0, [BIG]), settlement(0, outcome="cached", saved=9))
    ledger.reserve(reservation("c", 5, [BIG]))
    ledger.release("c", at=START, outcome="failed")
    lines = {e.reservation_id: e for e in ledger.entries()}
    assert lines["a"] == entry
    assert entry.overage == 2
    assert lines["b"] == hit
    assert (lines["c"].kind, lines["c"].requests, lines["c"].outcome) == ("release", 0, "failed")


def test_a_call_ends_once(store, make):
    """Settled again it is the same line, with another cost an error; a late truth corrects."""
    ledger = make()
    ledger.reserve(reservation("a", 5, [BIG]))
    with pytest.raises(LedgerError, match="other contents"):
        ledger.reserve(reservation("a", 6, [BIG]))
    entry = ledger.settle("a", settlement(4))
    assert ledger.settle("a", settlement(4)) == entry
    with pytest.raises(LedgerError, match="another cost"):
        ledger.settle("a", settlement(3))
    with pytest.raises(LedgerError, match="no longer be released"):
        ledger.release("a", at=START, outcome="failed")
    ledger.reserve(reservation("b", 5, [BIG]))
    ledger.release("b", at=START, outcome="failed")
    ledger.release("b", at=START, outcome="failed")
    assert ledger.settle("b", settlement(5)).kind == "correct"
    with pytest.raises(LedgerError, match="no reservation 'c'"):
        ledger.settle("c", settlement(1))
    ledger.release("c", at=START, outcome="failed")
    ledger.close()
    assert store.balance(BIG) == Balance(spent=9)


def test_slabs_grow_with_the_spending_and_shrink_near_the_limit(store, make, clock):
    """About `seconds` of spending, but never more than 1/8 of what is left beyond the need."""
    ledger, small = make(seconds=2.0), hold("small", 100)
    for second in range(10):
        clock.seconds = second * 0.5
        spend(ledger, f"s{second}/", 10, cost=1, holds=[BIG])
    assert 15 <= slab(ledger).rest <= 80
    for i in range(100):
        spend(ledger, f"x{i}/", 1, cost=1, holds=[small])
        granted = store.balance(small)
        assert granted.reserved <= 1 + (100 - granted.spent) // 8 + 1
    with pytest.raises(BudgetExceededError, match=r"\$0.000000") as refused:
        ledger.reserve(reservation("more", 1, [small]))
    assert (refused.value.budget, refused.value.remaining) == ("small", 0)


def test_all_that_fits_is_admitted(store, make):
    """Alone, a process gets the last pico-dollar, though slabs and calls share the account."""
    ledger, its = make(), hold("small", 50)
    ledger.reserve(reservation("open", 7, [its]))
    spend(ledger, "a", 4, cost=9, holds=[its])
    ledger.reserve(reservation("last", 7, [its]))
    with pytest.raises(BudgetExceededError):
        ledger.reserve(reservation("more", 1, [its]))
    ledger.reserve(reservation("nothing", 0, [its]))
    assert store.balance(its) == Balance(spent=36, reserved=14)


def test_what_lies_idle_is_given_back(store, make, clock):
    """Others can use it; what is promised to calls under way stays."""
    ledger = make(seconds=2.0)
    spend(ledger, "a", 30)
    ledger.reserve(reservation("open", 40, [BIG]))
    ledger.beat()
    assert store.balance(BIG).reserved > 40
    clock.seconds = 5
    ledger.beat()
    assert store.balance(BIG) == Balance(spent=150, reserved=40)
    ledger.settle("open", settlement(1))
    clock.seconds = 10
    while ledger.beat() is not None:
        clock.seconds += 1
    assert store.balance(BIG) == Balance(spent=151)
    assert store.open() == 0


def test_a_slab_in_use_is_renewed_and_one_that_lapsed_is_replaced(store, make, clock):
    """At a third of its life; after a pause it is still covered, and none of it is charged."""
    ledger = make(ttl=30)
    ledger.reserve(reservation("open", 40, [BIG]))
    for clock.seconds in range(0, 60, 2):
        ledger.beat()
        store.ledger.sweep(clock.now())
    assert store.balance(BIG) == Balance(reserved=40)
    clock.seconds += 100  # the process was asleep
    store.ledger.sweep(clock.now())
    assert store.balance(BIG) == Balance(spent=40)
    ledger.beat()
    ledger.beat()
    assert store.balance(BIG) == Balance(reserved=40)
    ledger.settle("open", settlement(3))
    ledger.close()
    assert store.balance(BIG) == Balance(spent=3)


def test_a_process_that_dies_is_charged_for_its_slabs(store, make, clock):
    """At least what it spent, and no more than it held."""
    ledger = make()
    spend(ledger, "a", 40)
    counted = store.balance(BIG)
    ledger.forget()
    clock.seconds = 1000
    store.ledger.sweep(clock.now())
    assert 200 <= store.balance(BIG).spent == counted.spent + counted.reserved


def test_a_call_whose_lease_ends_is_charged_in_full(store, make, clock):
    """It was sent, and nobody said how it ended; a late settlement corrects it."""
    ledger = make()
    ledger.reserve(reservation("lost", 40, [BIG], lease=60))
    clock.seconds = 61
    assert ledger.sweep(clock.now()) == 1
    assert store.balance(BIG).spent == 40
    assert ledger.settle("lost", settlement(4)).kind == "correct"
    ledger.close()
    assert store.balance(BIG) == Balance(spent=4)


def test_at_the_end_of_a_window_its_slab_goes_back(store, make, clock):
    """A slab belongs to one window; the next one has its own."""
    ends = START + timedelta(seconds=1)
    old, new = hold("day", 100, resets_at=ends), hold("day", 100, window_start=ends)
    ledger = make()
    spend(ledger, "a", 5, holds=[old])
    clock.seconds = 1
    spend(ledger, "b", 1, holds=[new])
    ledger.beat()
    assert store.balance(old) == Balance(spent=25)
    ledger.close()
    assert store.balance(new) == Balance(spent=5)


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


def test_who_is_interrupted_while_it_waits_holds_nothing(store, make, monkeypatch):
    """Ctrl-C in a grant: the wish is gone, and the next caller is not refused for it."""
    its = hold("small", 10)
    ledger = make()
    asked = store.ledger.exchange

    def interrupted(_):
        monkeypatch.setattr(store.ledger, "exchange", asked)
        raise KeyboardInterrupt

    monkeypatch.setattr(store.ledger, "exchange", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ledger.reserve(reservation("a", 10, [its]))
    ledger.release("a", at=START, outcome="interrupted")
    ledger.reserve(reservation("b", 10, [its]))
    ledger.close()
    assert store.balance(its) == Balance(reserved=10)


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
