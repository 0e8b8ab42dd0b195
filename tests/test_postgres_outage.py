"""A PostgreSQL server that goes away: what is unknown is asked again, and booked once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from stores import DATA, needs_postgres, say, schema_fixture

from router.budgets import Balance, Hold
from router.errors import LedgerError
from router.ledgers import Adjustment, Record, Reservation, Settlement
from router.types import Cost, Usage

__all__ = ["schema_fixture"]
pytestmark = needs_postgres

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LEASE = timedelta(minutes=10)
HOLD = Hold(key="k", window_start=NOW, resets_at=None, limit=1000, hard=True, name="all")
RECORD = Record(request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p")


def reservation(rid="r/0", amount=40, **columns):
    return Reservation(
        id=rid,
        at=NOW,
        lease_until=NOW + LEASE,
        amount=amount,
        holds=(HOLD,),
        record=RECORD,
        **columns,
    )


def settlement(cost=25, **columns):
    return Settlement(at=NOW, usage=Usage(output_tokens=1), cost=Cost(pico=cost), **columns)


def adjustment():
    return Adjustment(
        id="a",
        kind="top_up",
        at=NOW,
        key="k",
        window_start=NOW,
        unit="usd",
        amount=5,
        by="ann",
        why="so",
        budget="all",
    )


@pytest.fixture
def ledger(schema):
    found = schema.ledger()
    found.check()
    yield found
    found.check()


def cut(schema):
    """End every session that has spoken to this schema."""
    say(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'centroute' AND pid <> pg_backend_pid() AND query LIKE %s",
        f"%{schema.name}%",
    )


OPERATIONS = {
    "reserve": lambda ledger: ledger.reserve(reservation("new")),
    "settle": lambda ledger: ledger.settle("r/0", settlement()),
    "release": lambda ledger: ledger.release("r/0", at=NOW, outcome="x"),
    "post": lambda ledger: ledger.post(reservation("new"), settlement()),
    "post, released": lambda ledger: ledger.post(
        reservation("new"), replace(settlement(), released=True)
    ),
    "draw": lambda ledger: ledger.draw(reservation("new"), settlement(), {"k": "slab"}),
    "give back": lambda ledger: ledger.give_back("slab", NOW),
    "extend": lambda ledger: ledger.extend(["slab"], NOW + 2 * LEASE),
    "adjust": lambda ledger: ledger.adjust([adjustment()], [HOLD]),
    "warned": lambda ledger: ledger.warned("k", NOW, 0.5),
}


@pytest.mark.parametrize("when", ["before the commit", "after the commit"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_answer_that_was_lost(schema, ledger, monkeypatch, name, when):
    """The connection breaks around the commit: the operation is done once, with one answer."""
    from router.ledgers._postgres.load import Session

    def state():
        entries = [(e.kind, e.cost, e.requests) for e in ledger.entries()]
        return entries, ledger.balances([HOLD]), len(list(ledger.adjustments()))

    def prepare(there):
        there.reserve(reservation())
        there.reserve(reservation("slab", 100, slab=True))

    other = type(schema)()
    try:
        calm = other.ledger()
        prepare(calm)
        expected = OPERATIONS[name](calm)
        entries = [(e.kind, e.cost, e.requests) for e in calm.entries()]
        wanted = entries, calm.balances([HOLD]), len(list(calm.adjustments()))
    finally:
        other.drop()

    prepare(ledger)
    finish, broken = Session.finish, []

    def breaks(session, rows):
        if broken:
            return finish(session, rows)
        broken.append(True)
        if when == "after the commit":
            finish(session, rows)
        say("SELECT pg_terminate_backend(%s)", session.db.info.backend_pid)
        session.db.execute("SELECT 1")
        raise AssertionError("the connection should be gone")

    monkeypatch.setattr(Session, "finish", breaks)
    assert OPERATIONS[name](ledger) == expected
    assert broken
    assert state() == wanted


def test_connections_that_were_cut(schema, ledger):
    """After its sessions were ended a ledger goes on, and readers do too."""
    ledger.reserve(reservation())
    cut(schema)
    ledger.settle("r/0", settlement())
    cut(schema)
    assert ledger.balances([HOLD]) == [Balance(spent=25)]
    read = ledger.entries()
    cut(schema)
    assert [e.cost for e in read] == [25]


def test_sessions_cut_under_load(schema, ledger):
    """However often sessions are cut while threads spend, each call is booked once."""

    def work(thread):
        for i in range(15):
            rid = f"{thread}/{i}"
            ledger.reserve(reservation(rid, 10))
            ledger.settle(rid, settlement(2))

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(work, thread) for thread in range(4)]
        while not all(w.done() for w in working):
            cut(schema)
        for done in working:
            done.result()
    assert ledger.balances([HOLD]) == [Balance(spent=4 * 15 * 2)]
    assert len(list(ledger.entries())) == 4 * 15


@pytest.mark.skipif(not DATA, reason="needs a server that may be restarted: make test-postgres")
def test_a_server_that_is_restarted(ledger):
    """Between two calls the server is restarted: nothing is lost and nobody notices."""
    from with_postgres import restart

    ledger.reserve(reservation())
    restart(DATA)
    ledger.settle("r/0", settlement())
    assert ledger.balances([HOLD]) == [Balance(spent=25)]


def test_a_server_that_stays_away(schema, ledger, monkeypatch):
    """An outage ends in a typed error after the set patience, then at once, until it ends."""
    ledger.reserve(reservation())
    monkeypatch.setattr(ledger._patience, "_timeout", 0.2)
    for link in (ledger._writing, ledger._reading):
        monkeypatch.setattr(link._server, "conninfo", "postgresql://127.0.0.1:1/nowhere")
    ledger.close()
    attempts = []
    run = ledger._writing.open
    monkeypatch.setattr(ledger._writing, "open", lambda: attempts.append(1) or run())
    with pytest.raises(LedgerError, match="refused"):
        ledger.settle("r/0", settlement())
    assert len(attempts) > 1
    attempts.clear()
    with pytest.raises(LedgerError, match="refused"):
        ledger.settle("r/0", settlement())
    assert len(attempts) == 1
    monkeypatch.undo()
    ledger.settle("r/0", settlement())
