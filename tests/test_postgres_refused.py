"""Rows that PostgreSQL does not take: refused at once, for their callers alone; no outage."""

import random
import string
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from stores import RECORD, Stalled, hold, needs_postgres, reservation, schema_fixture, settlement

from router.budgets import Balance, Budget
from router.errors import BudgetExceededError, CorruptLedgerError, LedgerError
from router.ledgers.failing import is_outage
from router.ledgers.outage import Outage

__all__ = ["schema_fixture"]
pytestmark = needs_postgres

# At random, for a key that can be compressed would fit in.
LONG = "".join(random.Random(0).choices(string.ascii_letters, k=20_000))
BAD = {
    "a key beyond an index": reservation("bad", holds=(hold(LONG),)),
    "a zero byte": reservation("bad", holds=(hold("a\0b"),)),
    "half of a pair": reservation("bad", holds=(hold("a\ud800b"),)),
    "a number": replace(reservation("bad"), tokens=2**63),
    "a record": replace(reservation("bad"), record=replace(RECORD, tags={"a": "b"}, model="a\0")),
}
"""A zero byte in a record is escaped: that one is sound."""


@pytest.fixture
def ledger(schema):
    found = schema.ledger()
    found.check()
    yield found
    found.check()


def tries(ledger, monkeypatch):
    """A list that grows by each transaction that is begun."""
    begun, transact = [], ledger._transact

    def count(tasks, needs):
        begun.append(len(tasks))
        return transact(tasks, needs)

    monkeypatch.setattr(ledger, "_transact", count)
    return begun


@pytest.mark.parametrize("name", [name for name in BAD if name != "a record"])
def test_what_is_refused_is_refused_at_once(ledger, monkeypatch, name):
    """One try, and an error that sends nobody to look for a server."""
    ledger.reserve(reservation("a"))
    begun = tries(ledger, monkeypatch)
    with pytest.raises(LedgerError) as caught:
        ledger.reserve(BAD[name])
    assert begun == [1]
    assert not is_outage(caught.value)
    assert "server runs" not in str(caught.value)
    assert LONG[:50] not in str(caught.value)
    ledger.settle("a", settlement(3))
    assert ledger.balances([hold()]) == [Balance(spent=3)]


def test_a_record_holds_any_text(ledger):
    """What is in it is no column of its own."""
    ledger.reserve(BAD["a record"])
    ledger.settle("bad", settlement(3))
    assert [entry.record.model for entry in ledger.entries()] == ["a\0"]


@pytest.mark.parametrize("name", ["a key beyond an index", "a zero byte", "half of a pair"])
def test_those_of_the_same_batch_are_served(ledger, monkeypatch, name):
    """Nobody waits for a row of another caller's, or is refused for it."""
    stalled = Stalled(monkeypatch, ledger)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(ledger.reserve, reservation("first"))
        assert stalled.locked.wait(30)
        good = [pool.submit(ledger.reserve, reservation(f"good{i}")) for i in range(2)]
        bad = pool.submit(ledger.reserve, BAD[name])
        good += [pool.submit(ledger.reserve, reservation(f"good{i}")) for i in range(2, 4)]
        deadline = time.monotonic() + 2
        while len(ledger._combiner._queue) < 6 and time.monotonic() < deadline:
            time.sleep(0.001)
        begun = tries(ledger, monkeypatch)
        stalled.go.set()
        for future in (first, *good):
            future.result(60)
        with pytest.raises(LedgerError):
            bad.result(60)
    assert begun == [5, 1, 1, 1, 1, 1]
    assert ledger.balances([hold()]) == [Balance(reserved=5 * reservation("a").amount)]


@pytest.mark.parametrize(
    ("name", "outage", "attempts"),
    [
        ("DiskFull", True, "many"),
        ("AdminShutdown", True, "many"),
        ("TooManyConnections", True, "many"),
        ("ReadOnlySqlTransaction", True, "many"),
        ("LockNotAvailable", True, "many"),
        ("UniqueViolation", False, "many"),
        ("ProgramLimitExceeded", False, "one"),
        ("TooManyArguments", False, "one"),
        ("CheckViolation", False, "one"),
        ("UndefinedTable", False, "one"),
        ("InsufficientPrivilege", False, "one"),
        ("DataCorrupted", False, "one"),
    ],
)
def test_what_is_tried_again(ledger, monkeypatch, name, outage, attempts):
    """What may pass is, until patience ends; then only the server's own failures are an outage."""
    from psycopg import errors

    from router.ledgers._postgres.load import Session

    ledger._patience._timeout = 0.1

    def fails(session, rows):
        raise getattr(errors, name)("as told")

    ledger.reserve(reservation("a"))
    with monkeypatch.context() as patch:
        patch.setattr(Session, "finish", fails)
        begun = tries(ledger, patch)
        with pytest.raises(LedgerError, match="as told") as caught:
            ledger.settle("a", settlement(3))
    assert is_outage(caught.value) is outage
    assert isinstance(caught.value, CorruptLedgerError) is (name == "DataCorrupted")
    assert (len(begun) == 1) is (attempts == "one")
    ledger.settle("a", settlement(3))


def test_a_refused_row_does_not_open_the_budget(ledger):
    """With "allow" a caller that sends such rows gets nothing past the limit, and no one else."""
    outage = Outage(ledger, "allow", owns=False)
    small = hold(limit=20)
    for bad in (BAD["a key beyond an index"], BAD["a zero byte"]):
        with pytest.raises(LedgerError):
            outage.reserve(bad)
    assert outage.unposted == 0
    outage.reserve(reservation("a", amount=20, holds=(small,)))
    with pytest.raises(BudgetExceededError):
        outage.reserve(reservation("b", amount=1, holds=(small,)))
    outage.settle("a", settlement(20))
    assert ledger.balances([small]) == [Balance(spent=20)]


def test_every_key_of_a_budget_fits_in(ledger):
    """The longest tags, of the widest characters."""
    tags = {f"{i}" * 256: "\U0001f600" * 256 for i in range(9)}
    budget = Budget("1", "day", dict.fromkeys(tags, "*"))
    for unit in ("usd", "tokens", "requests"):
        made = hold(budget.key(tags, unit=unit), unit=unit, amount=7)
        ledger.reserve(reservation(f"{unit}/{'x' * 100}", holds=(made,)))
        assert ledger.balances([made]) == [Balance(reserved=7)]
    plain = hold(Budget("1", "day", {"model": "*"}).key({"model": "\U0001f600" * 400}))
    ledger.reserve(reservation("widest", holds=(plain,)))
