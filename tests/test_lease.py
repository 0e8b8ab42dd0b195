"""Slabs: no store is asked while one lasts; nothing is spent that the store has not counted."""

import threading
from datetime import timedelta

import pytest

from router.budgets import Balance
from router.errors import BudgetExceededError, LedgerError
from router.ledgers.lease import LeasedLedger
from tests.leasing import BIG, START, Clock, Flaky, hold, reservation, settlement, slab, spend


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


def test_what_is_on_its_way_back_is_not_spent(store, make, clock, monkeypatch):
    """While a slab is given back no call is paid from it; one that comes then gets a new one."""
    ledger = make()
    spend(ledger, "a", 30)
    ledger.flush()
    assert slab(ledger).free > 0
    asked, late = store.ledger.exchange, []

    def meanwhile(exchange):
        assert slab(ledger).free == 0
        monkeypatch.setattr(store.ledger, "exchange", asked)
        late.append(threading.Thread(target=spend, args=(ledger, "late", 1)))
        late[0].start()
        return asked(exchange)

    monkeypatch.setattr(store.ledger, "exchange", meanwhile)
    clock.seconds = 10
    ledger.beat()
    late[0].join()
    ledger.close()
    assert store.balance(BIG) == Balance(spent=155)
