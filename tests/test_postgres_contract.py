"""What holds for the ledger in a file holds for the one in PostgreSQL: the same tests."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from stores import cases, needs_postgres, say, schema_fixture

from router.budgets import Balance, Hold
from router.errors import LedgerError
from router.ledgers import Record, Reservation, Settlement
from router.types import Cost, Usage

__all__ = ["schema_fixture"]
pytestmark = needs_postgres

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LEASE = timedelta(minutes=10)
HOLD = Hold(key="k", window_start=NOW, resets_at=None, limit=100, hard=True, name="all")
RECORD = Record(request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p")

globals().update(
    cases(
        "test_ledger",
        without={
            "test_a_closed_ledger_opens_again",
            "test_a_ledger_in_memory",
            "test_entries_are_never_changed_or_deleted",
            "test_the_next_reserve_sweeps",
        },
    )
)
globals().update(
    cases(
        "test_grades",
        without={
            "test_a_leased_ledger_grades_what_it_has_not_written_yet",
            "test_a_ledger_that_rides_out_outages_grades",
            "test_grades_in_an_outage_come_later",
            "test_what_is_no_grade_is_refused_before_it_reaches_a_store",
            "test_grades_are_never_changed_or_deleted",
        },
    )
)


@pytest.fixture
def ledger(schema):
    """What every test above gets."""
    found = schema.ledger()
    yield found
    found.check()


def reservation(rid="r/0", amount=40, *, at=NOW, holds=(HOLD,), record=RECORD):
    return Reservation(
        id=rid, at=at, lease_until=at + LEASE, amount=amount, holds=holds, record=record
    )


def settlement(cost, **columns):
    usage = Usage(input_tokens=7, output_tokens=3)
    return Settlement(at=NOW, usage=usage, cost=Cost(pico=cost, rates_id="m@h/1"), **columns)


def test_lines_are_never_changed_or_deleted(ledger, schema):
    """The database itself refuses to rewrite history, or to empty it."""
    ledger.reserve(reservation())
    ledger.settle("r/0", settlement(25))
    for table in ("entries", "adjustments", "grades"):
        for statement in ("UPDATE {} SET at = 0", "DELETE FROM {}", "TRUNCATE {}"):
            with pytest.raises(psycopg.IntegrityError, match="never changed or deleted"):
                say(statement.format(f"{schema.name}.{table}"))
    assert len(list(ledger.entries())) == 1


def test_a_closed_ledger_opens_again(ledger, schema):
    """What was booked is there after closing, in this object and in another one."""
    ledger.reserve(reservation())
    ledger.close()
    schema.ledger().settle("r/0", settlement(25))
    assert ledger.balances([HOLD]) == [Balance(spent=25, reserved=0)]


def test_a_reserve_sweeps_every_few_seconds(ledger):
    """What was lost is charged by a reserve, at the latest five seconds after its lease ended."""
    ledger.reserve(reservation("lost", 40))
    ledger.reserve(reservation("b", 1, at=NOW + LEASE))
    assert ledger.balances([HOLD]) == [Balance(reserved=41)]
    ledger.reserve(reservation("c", 1, at=NOW + LEASE + timedelta(seconds=5)))
    assert ledger.balances([HOLD]) == [Balance(spent=40, reserved=2)]
    # A clock that is far ahead for once does not end the sweeping.
    ledger.reserve(reservation("d", 1, at=NOW + 1000 * LEASE))
    ledger.reserve(reservation("e", 1, at=NOW + LEASE))
    assert ledger._swept == NOW + LEASE


def test_a_sweep_of_many(ledger, schema, monkeypatch):
    """However many were lost, all are charged, in several transactions."""
    monkeypatch.setattr("router.ledgers.postgres._SWEPT", 3)
    for i in range(8):
        ledger.reserve(reservation(f"r{i}", 2))
    assert schema.ledger().sweep(NOW + 2 * LEASE) == 8
    assert ledger.sweep(NOW + 2 * LEASE) == 0
    assert ledger.balances([HOLD]) == [Balance(spent=16)]


def test_entries_come_in_pages(ledger, monkeypatch):
    """However many entries there are, all come, each once and in order, from where one asked."""
    monkeypatch.setattr("router.ledgers._postgres.reading._PAGE", 3)
    for i in range(9):
        end = settlement(i)
        ledger.post(reservation(f"r{i}", 0, at=NOW), end)
    assert [e.cost for e in ledger.entries()] == list(range(9))
    read = ledger.entries()
    assert next(read).cost == 0
    ledger.post(reservation("late", 0), settlement(99))
    assert [e.cost for e in read] == list(range(1, 9))


def test_a_call_without_a_budget(ledger, schema):
    """With no account to lock, an id is one call still: settled once, corrected once."""
    ledger.reserve(reservation(holds=()))
    with pytest.raises(LedgerError, match="other contents"):
        schema.ledger().reserve(reservation(amount=41, holds=()))
    other = schema.ledger()
    first = other.settle("r/0", settlement(25))
    assert ledger.settle("r/0", settlement(25)) == first
    assert [e.cost for e in other.entries()] == [25]


def test_a_number_that_is_too_large(ledger):
    """What does not fit into 64 bits is an error of its own call; others of its batch stand."""
    wide = Hold(key="w", window_start=NOW, resets_at=None, limit=2**70, hard=True, name="w")
    with pytest.raises(LedgerError, match="a number is too large"):
        ledger.reserve(reservation("huge", 2**64, holds=(wide,)))
    ledger.reserve(reservation("a", 2**62, holds=(wide,)))
    with pytest.raises(LedgerError, match="a number is too large"):
        ledger.reserve(reservation("b", 2**62, holds=(wide,)))
    assert ledger.balances([wide]) == [Balance(reserved=2**62)]


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_a_text_that_no_database_can_hold(ledger, text):
    """A zero byte or half a character is a typed error and leaves nothing behind."""
    with pytest.raises(LedgerError, match="ledger postgresql://"):
        ledger.reserve(reservation(f"r{text}"))
    ledger.reserve(reservation("r", record=Record(**{**_fields(), "request_id": text})))
    (entry,) = [ledger.settle("r", settlement(1))]
    assert entry.record.request_id == text
    assert [e.record.request_id for e in ledger.entries()] == [text]


def _fields():
    return {name: getattr(RECORD, name) for name in RECORD.__slots__}


def test_whole_seconds(ledger):
    """A duration that is a whole number beside one that is not: both are kept."""
    ledger.post(reservation("a", 0), settlement(1, seconds=2))
    ledger.post(reservation("b", 0), settlement(1, seconds=0.25))
    assert [e.seconds for e in ledger.entries()] == [2.0, 0.25]
