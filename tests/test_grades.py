"""Grades of answers are kept by every ledger: once each, of requests that it knows."""

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from router.errors import InvalidRequestError, UnknownRequestError
from router.ledgers import Grade, Record, Reservation, Settlement
from router.ledgers.failing import store_failure
from router.ledgers.lease import LeasedLedger
from router.ledgers.outage import Outage
from router.ledgers.sqlite import SQLiteLedger
from router.types import Cost, Usage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path):
    """A ledger in a file."""
    found = SQLiteLedger(tmp_path / "ledger.sqlite3")
    yield found
    found.check()
    found.close()


def book(ledger, request="r", number=0):
    """A call of this request that nobody reserved."""
    record = Record(
        request_id=request, candidate="m@h", model="m", mode="chat", host="h", policy="p"
    )
    ledger.post(
        Reservation(
            id=f"{request}/{number}", at=NOW, lease_until=NOW, amount=0, holds=(), record=record
        ),
        Settlement(at=NOW, usage=Usage(), cost=Cost(pico=7, rates_id="m@h/1")),
    )


def grade(request="r", score=0.5, by="feedback", candidate="", at=NOW):
    return Grade(request_id=request, candidate=candidate, score=score, by=by, at=at)


def test_a_grade_is_kept_and_read_back(ledger):
    """What was given comes back equal, in the order in which it was given, between instants."""
    book(ledger)
    book(ledger, "s")
    first, later = grade(), grade("s", 1.0, at=NOW + timedelta(hours=1))
    assert ledger.grade([first]) == 1
    assert ledger.grade([later]) == 1
    assert list(ledger.grades()) == [first, later]
    assert list(ledger.grades(since=NOW + timedelta(minutes=1))) == [later]
    assert list(ledger.grades(until=NOW + timedelta(minutes=1))) == [first]


def test_the_first_grade_of_its_kind_stays(ledger):
    """One grade of each candidate by each; others are not new, and change nothing."""
    book(ledger)
    assert ledger.grade([grade(score=0.2), grade(by="judge"), grade(candidate="m@h")]) == 3
    assert ledger.grade([grade(score=0.9), grade(by="label")]) == 1
    assert [(g.score, g.by) for g in ledger.grades() if not g.candidate] == [
        (0.2, "feedback"),
        (0.5, "judge"),
        (0.5, "label"),
    ]


def test_a_grade_of_an_unknown_request_is_refused_with_the_others(ledger):
    """All or none; a request whose id begins alike is not this one."""
    book(ledger, "request")
    for unknown in ("req", "request/0", "requests", "request0", ""):
        with pytest.raises(UnknownRequestError, match="has no request"):
            ledger.grade([grade("request"), grade(unknown)])
    assert list(ledger.grades()) == []


def test_no_grades_are_none(ledger):
    """Nothing to keep is nothing kept."""
    assert ledger.grade([]) == 0


def test_a_leased_ledger_grades_what_it_has_not_written_yet(tmp_path):
    """A call that is only here is written first."""
    store = SQLiteLedger(tmp_path / "leased.sqlite3")
    ledger = LeasedLedger(store, background=False)
    record = Record(request_id="r", candidate="c", model="m", mode="", host="h", policy="p")
    ledger.reserve(
        Reservation(
            id="r/0",
            at=NOW,
            lease_until=NOW + timedelta(hours=1),
            amount=0,
            holds=(),
            record=record,
        )
    )
    ledger.settle("r/0", Settlement(at=NOW, usage=Usage(), cost=Cost(pico=0)))
    assert ledger.grade([grade()]) == 1
    assert [g.score for g in ledger.grades()] == [0.5]
    ledger.close()


def test_a_ledger_that_rides_out_outages_grades(tmp_path):
    """It hands grades on to its store."""
    ledger = Outage(SQLiteLedger(tmp_path / "o.sqlite3"), "allow")
    book(ledger)
    assert ledger.grade([grade()]) == 1
    assert [g.by for g in ledger.grades()] == ["feedback"]
    ledger.close()


def test_grades_in_an_outage_come_later(tmp_path, monkeypatch):
    """What a store does not take now it takes when it answers; a refusal of its own stands."""
    store, clock = SQLiteLedger(tmp_path / "o.sqlite3"), [0.0]
    ledger = Outage(store, "allow", monotonic=lambda: clock[0])
    book(ledger)
    with monkeypatch.context() as patched:
        patched.setattr(store, "grade", lambda _: (_ for _ in ()).throw(store_failure("away")))
        assert ledger.grade([grade()]) == 1
        assert ledger.grade([grade(by="judge")]) == 1
    assert list(ledger.grades()) == []
    clock[0] += 60
    assert ledger.grade([grade(by="label")]) == 1
    assert [g.by for g in ledger.grades()] == ["feedback", "judge", "label"]
    with pytest.raises(UnknownRequestError):
        ledger.grade([grade("nobody")])
    ledger.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"score": 1.5},
        {"score": -0.1},
        {"score": float("nan")},
        {"score": None},
        {"score": "high"},
        {"by": ""},
        {"by": "x" * 41},
        {"request_id": 7},
        {"candidate": None},
        {"at": datetime(2026, 11, 22)},
    ],
    ids=str,
)
def test_what_is_no_grade_is_refused_before_it_reaches_a_store(wrong):
    """A typed error says what was expected."""
    fields = {"request_id": "r", "candidate": "", "score": 1, "by": "label", "at": NOW}
    with pytest.raises(InvalidRequestError, match="expected"):
        Grade(**(fields | wrong))


def test_grades_may_come_from_a_generator(ledger):
    """Any iterable will do."""
    book(ledger)
    assert ledger.grade(grade(by=by) for by in ("a", "b")) == 2


def test_decisions_are_read_by_themselves(ledger):
    """Request ids with what was packed, of those that have it, between instants."""
    record = Record(request_id="r", candidate="c", model="m", mode="", host="h", policy="p")
    for name, decision in (("a", ""), ("b", "packed"), ("c/d", "other")):
        ledger.reserve(
            Reservation(
                id=f"{name}/0",
                at=NOW if name == "b" else NOW + timedelta(hours=1),
                lease_until=NOW + timedelta(days=1),
                amount=0,
                holds=(),
                record=record,
                decision=decision,
            )
        )
    assert sorted(ledger.decisions()) == [("b", "packed"), ("c/d", "other")]
    assert list(ledger.decisions(since=NOW + timedelta(minutes=1))) == [("c/d", "other")]
    assert list(ledger.decisions(until=NOW + timedelta(minutes=1))) == [("b", "packed")]


def test_grades_are_never_changed_or_deleted(tmp_path):
    """The file itself refuses to rewrite them."""
    path = tmp_path / "ledger.sqlite3"
    ledger = SQLiteLedger(path)
    book(ledger)
    ledger.grade([grade()])
    ledger.close()
    with sqlite3.connect(path) as db:
        for statement in ("UPDATE grades SET score = 1", "DELETE FROM grades"):
            with pytest.raises(sqlite3.IntegrityError, match=r"never (changed|deleted)"):
                db.execute(statement)
    db.close()
