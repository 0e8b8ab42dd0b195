"""Grades that are given while the store fails: each gets there once, in this process or the next,
or is told to be lost."""

import logging
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import Client, recorded_prompts
from router.errors import LedgerError, UnknownRequestError
from router.ledgers import Grade
from router.ledgers.failing import store_failure
from router.ledgers.lease import LeasedLedger
from router.ledgers.outage import Outage
from router.ledgers.sqlite import SQLiteLedger
from router.ledgers.unposted import find_unposted, read_unposted, write_unposted
from tests.leasing import START, Clock, Flaky, hold, reservation, settlement

ALL = hold("all", 10**9)
LEDGERS = []


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path):
    store = Flaky(tmp_path / "ledger.sqlite3")
    yield store
    store.ledger.close()


@pytest.fixture(autouse=True)
def told_of():
    """What is left of a test is no alarm at the end of the process."""
    yield
    while LEDGERS:
        LEDGERS.pop().forget()


def outage(store, clock, mode="allow", **options):
    LEDGERS.append(Outage(store, mode, monotonic=clock.monotonic, **options))
    return LEDGERS[-1]


class Watcher:
    """Keeps what it is told of failures."""

    def __init__(self):
        self.failures = []

    def failed(self, operation, action, calls=1):
        self.failures.append((operation, action, calls))


def book(ledger, *names):
    for rid in names:
        ledger.reserve(reservation(f"{rid}/0", 1, [ALL]))
        ledger.settle(f"{rid}/0", settlement(1))


def grade(request="r", score=0.5, by="feedback", seconds=0):
    at = START + timedelta(seconds=seconds)
    return Grade(request_id=request, candidate="", score=score, by=by, at=at)


def kept(store):
    return [(g.request_id, g.by, g.score) for g in store.ledger.grades()]


@pytest.mark.parametrize("mode", ["deny", "allow"])
def test_they_are_posted_with_the_next_call(store, clock, mode):
    """Nobody has to give another grade for that; and in an outage the store is not asked."""
    ledger = outage(store, clock, mode)
    book(ledger, "r")
    store.mode = "down"
    assert ledger.grade([grade()]) == 1
    assert ledger.grade([grade(by="ann"), grade(by="ann", score=1.0)]) == 1
    assert store.asked.count("grade") == 1
    store.mode, clock.seconds = "up", 10
    ledger.balances([ALL])
    assert kept(store) == [("r", "feedback", 0.5), ("r", "ann", 0.5)]
    ledger.close()


def test_with_slabs_too(store, clock):
    """A process that spends on without its store grades on without it, what is here only too."""
    leased = LeasedLedger(store, now=clock.now, monotonic=clock.monotonic, background=False)
    ledger = outage(leased, clock, "local-lease")
    for i in range(7):  # some spending, so that the slab is for more than one call
        ledger.reserve(reservation(f"r{i}/0", 5, [hold("all", 100)]))
        ledger.settle(f"r{i}/0", settlement(5))
    store.mode = "down"
    ledger.reserve(reservation("r7/0", 1, [hold("all", 100)]))
    ledger.settle("r7/0", settlement(1))
    assert ledger.grade([grade("r7")]) == ledger.grade([grade("r0")]) == 1
    store.mode, clock.seconds = "up", 10
    ledger.close()
    assert [request for request, _, _ in kept(store)] == ["r7", "r0"]


def test_the_first_of_its_kind_stays_in_an_outage_too(store, clock):
    """A second grade by the same is not new, and changes nothing later."""
    ledger = outage(store, clock)
    book(ledger, "r")
    store.mode = "down"
    assert [ledger.grade([grade(score=s)]) for s in (0.25, 0.75)] == [1, 0]
    store.mode, clock.seconds = "up", 10
    ledger.close()
    assert kept(store) == [("r", "feedback", 0.25)]


@pytest.mark.parametrize("calls", [0, 2])
def test_what_is_left_at_the_end_is_posted_by_the_next_process(store, clock, calls):
    """Closed in an outage: the file holds grades as it holds calls, and says how many."""
    ledger = outage(store, clock)
    book(ledger, "r")
    store.mode = "down"
    late = [f"late{i}" for i in range(calls)]
    book(ledger, *late)
    for rid in ("r", *late):
        ledger.grade([grade(rid, score=0.75)])
    said = "2 calls of $0.000000 and 3 grades are" if calls else "1 grades are"
    with pytest.raises(LedgerError) as caught:
        ledger.close()
    assert str(caught.value).startswith(said)
    assert "jsonl, which the next process posts" in str(caught.value)
    ledger.close()  # they are in the file: nothing more to say
    (left,) = find_unposted(str(store.ledger.path))
    assert kept(store) == []

    after = outage(SQLiteLedger(store.ledger.path), clock, "deny")
    after.balances([ALL])
    assert not left.exists()
    assert [(g.request_id, g.score) for g in after.grades()] == [(r, 0.75) for r in ("r", *late)]
    after.close()


def test_without_a_file_the_loss_is_told():
    """A ledger that is no file: closing says how many grades are lost."""
    store, clock = Flaky(), Clock()
    ledger = outage(store, clock)
    book(ledger, "r")
    store.mode = "down"
    ledger.grade([grade(), grade(by="ann")])
    with pytest.raises(LedgerError, match=r"^2 grades are not.*they are lost when this process"):
        ledger.close()
    store.ledger.close()


def test_a_loss_is_told_to_who_watches(store, clock):
    """Grades that end in a file, or nowhere, are counted by what became of them."""
    fleeting = Flaky()
    for flaky, action in ((store, "filed"), (fleeting, "lost")):
        ledger = outage(flaky, clock)
        ledger.notices.add(watcher := Watcher())
        book(ledger, "r")
        flaky.mode = "down"
        ledger.grade([grade(), grade(by="ann")])
        with pytest.raises(LedgerError, match=r"^2 grades are not"):
            ledger.close()
        assert watcher.failures[-1] == ("grade", action, 2)
    fleeting.ledger.close()


def test_many_are_posted_at_once(store, clock):
    """A store that is back is asked once for all of them; one that it refuses is left alone."""
    ledger = outage(store, clock)
    book(ledger, *"abc")
    store.mode = "down"
    ledger.grade([grade(r) for r in "abc"])
    store.mode, clock.seconds = "up", 10
    store.asked.clear()
    ledger.balances([ALL])
    assert store.asked.count("grade") == 1
    store.mode = "down"
    ledger.grade([grade(r, by="ann") for r in ("a", "nobody", "c")])
    store.mode, clock.seconds = "up", 20
    ledger.balances([ALL])
    assert [r for r, by, _ in kept(store) if by == "ann"] == ["a", "c"]


def test_as_many_as_are_kept(store, clock):
    """Beyond `most` a grade is refused, and those given before are not forgotten for it."""
    ledger = outage(store, clock, most=2)
    book(ledger, "r")
    store.mode = "down"
    ledger.grade([grade(by="a")])
    with pytest.raises(LedgerError, match="1 grades are not in the ledger"):
        ledger.grade([grade(by="b"), grade(by="c")])
    ledger.grade([grade(by="d")])
    store.mode, clock.seconds = "up", 10
    assert ledger.grade([grade(by="b")]) == 1
    assert [by for _, by, _ in kept(store)] == ["a", "d", "b"]
    ledger.close()


def test_of_a_request_that_nobody_knows(store, clock, caplog):
    """It stands in no other one's way, and waits in the file until another process has posted the
    call; each process says so once."""
    ledger = outage(store, clock)
    book(ledger, "r")
    store.mode = "down"
    ledger.grade([grade("nobody"), grade()])
    store.mode, clock.seconds = "up", 10
    ledger.balances([ALL])
    assert kept(store) == [("r", "feedback", 0.5)]
    with pytest.raises(UnknownRequestError):
        ledger.grade([grade("nobody", by="ann")])
    with pytest.raises(LedgerError, match=r"^1 grades are not.* refuses them"):
        ledger.close()
    (left,) = find_unposted(str(store.ledger.path))
    assert list(read_unposted(left)) == [grade("nobody")]
    caplog.clear()
    after = outage(SQLiteLedger(store.ledger.path), clock)
    with caplog.at_level(logging.ERROR, logger="router"):
        for _ in range(3):
            after.balances([ALL])
    after.close()
    assert [r.message for r in caplog.records] == [
        "a grade of nobody by feedback is not in the ledger: the ledger has no request 'nobody'"
    ]
    assert find_unposted(str(store.ledger.path)) == [left]
    book(store.ledger, "nobody")
    last = outage(SQLiteLedger(store.ledger.path), clock)
    assert [g.request_id for g in last.grades()] == ["r", "nobody"]
    last.close()
    assert not left.exists()


def test_of_a_call_that_the_store_refuses(store, clock, monkeypatch):
    """Call and grade stay together in the file until the call is taken."""
    ledger = outage(store, clock)
    store.mode = "down"
    book(ledger, "r")
    ledger.grade([grade()])
    store.mode, clock.seconds = "up", 10

    def refuse(*_):
        raise LedgerError("refused")

    with monkeypatch.context() as patched:
        patched.setattr(store.ledger, "post", refuse)
        with pytest.raises(LedgerError, match=r"1 calls of \$0.000000 and 1 grades are"):
            ledger.close()
    (left,) = find_unposted(str(store.ledger.path))
    again = outage(store, clock)
    again.balances([ALL])
    assert kept(store) == [("r", "feedback", 0.5)]
    assert not left.exists()
    again.close()


def test_a_grade_in_a_file_is_the_same_grade(tmp_path):
    """Every field comes back as it was written; a line that is no grade leaves the file alone."""
    grades = [grade("ä", 1 / 3, "Zoë"), grade(score=0.0)]
    path = write_unposted(str(tmp_path / "l"), grades)
    assert list(read_unposted(path)) == grades
    path.write_text(path.read_text().replace("0.333", "3.333"))
    with pytest.raises(LedgerError, match="cannot be read"):
        list(read_unposted(path))


def test_feedback_in_an_outage_outlives_the_process(tmp_path, monkeypatch):
    """As a user has it: the store fails, feedback is given, the process ends."""
    path = tmp_path / "ledger.sqlite3"
    question = recorded_prompts(source="zeroeval")[0].prompt
    client = Client(ledger=path)
    found = client.chat.completions.create([{"role": "user", "content": question}]).route
    with monkeypatch.context() as patched:

        def fail(*_):
            raise store_failure("away")

        patched.setattr(SQLiteLedger, "grade", fail)
        client.feedback(found.request_id, 0.5)
        with pytest.raises(LedgerError, match="1 grades are not in the ledger"):
            client.close()
    with Client(ledger=path) as later:
        later.chat.completions.create([{"role": "user", "content": question}])
        assert [(g.request_id, g.score) for g in later.ledger.grades()] == [
            (found.request_id, 0.5)
        ]
    assert not find_unposted(str(path))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("grade"), st.integers(0, 3), st.sampled_from("ab")),
            st.sampled_from([("down",), ("up",), ("call",), ("end",)]),
        ),
        max_size=30,
    )
)
def test_whatever_happens_each_gets_there_once(tmp_path_factory, steps):
    """Outages, calls and ends of processes in any order: of each kind the first grade is kept."""
    store, clock = Flaky(tmp_path_factory.mktemp("l") / "ledger.sqlite3"), Clock()
    ledger, given_first, made = outage(store, clock), {}, 0
    book(ledger, "r0", "r1", "r2", "r3")
    for number, (what, *rest) in enumerate(steps):
        clock.seconds += 10
        if what in {"down", "up"}:
            store.mode = what
        elif what == "call":
            made += 1
            book(ledger, f"s{made}")
            if store.mode == "down":
                given_first.setdefault((f"s{made}", "a"), 0.5)
                ledger.grade([grade(f"s{made}", by="a", seconds=number)])
        elif what == "grade":
            request, by = f"r{rest[0]}", rest[1]
            score = (number % 10) / 10
            new = ledger.grade([grade(request, score, by, seconds=number)])
            assert new or (request, by) in given_first
            given_first.setdefault((request, by), score)
        else:
            try:
                ledger.close()
            except LedgerError:
                assert store.mode == "down"
            ledger = outage(store, clock)
    store.mode, clock.seconds = "up", clock.seconds + 10
    ledger.balances([ALL])
    ledger.close()
    assert {(r, by): score for r, by, score in kept(store)} == given_first
    assert len(kept(store)) == len(given_first)
    assert not find_unposted(str(store.ledger.path))
    store.ledger.close()
