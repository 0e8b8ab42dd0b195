"""Setting up a ledger in PostgreSQL: addresses, secrets, migrations, what is not ours."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from stores import needs_postgres, say, schema_fixture

import router
from router.budgets import Balance, Hold
from router.errors import ConfigError, CorruptLedgerError, LedgerError
from router.ledgers import Record, Reservation, Settlement
from router.ledgers._postgres.schema import MIGRATIONS
from router.types import Cost, Usage

__all__ = ["schema_fixture"]

ROOT = Path(router.__file__).parent.parent
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOLD = Hold(key="k", window_start=NOW, resets_at=None, limit=10**6, hard=True, name="all")
RECORD = Record(request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p")
SECRET = "hunter2-and-more"


def reservation(rid="r/0", amount=40):
    lease = NOW + timedelta(minutes=10)
    return Reservation(
        id=rid, at=NOW, lease_until=lease, amount=amount, holds=(HOLD,), record=RECORD
    )


def refused(ledger, error, says):
    """Every way in is refused with this error, which names the place."""
    for use in (
        lambda: ledger.reserve(reservation()),
        lambda: ledger.balances([HOLD]),
        lambda: list(ledger.entries()),
        lambda: ledger.sweep(NOW),
        ledger.check,
    ):
        with pytest.raises(error, match=says) as caught:
            use()
        assert ledger.place in str(caught.value)
    ledger.close()


def test_without_the_driver():
    """Where psycopg is not installed, the error says what to install."""
    script = (
        "import sys\n"
        "sys.modules['psycopg'] = None\n"
        "from router.errors import ConfigError\n"
        "from router.ledgers.postgres import PostgresLedger\n"
        "try:\n"
        "    PostgresLedger('postgresql://h/d')\n"
        "except ConfigError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert "pip install 'centroute[postgres]'" in done.stdout


def postgres_ledger(*arguments, **options):
    pytest.importorskip("psycopg")
    from router.ledgers.postgres import PostgresLedger

    return PostgresLedger(*arguments, **options)


@pytest.mark.parametrize("schema", ["", "Spend", "a b", "pg_spend", 'x"; DROP', "a" * 64])
def test_a_schema_needs_a_plain_name(schema):
    """A name that would have to be quoted is refused."""
    with pytest.raises(ConfigError, match="PostgreSQL schema: expected"):
        postgres_ledger("postgresql://localhost/x", schema=schema)


@pytest.mark.parametrize(
    "conninfo",
    [f"postgresql:{SECRET}@host", f"password={SECRET} host", f"user=a password='{SECRET}"],
)
def test_an_address_that_cannot_be_read(conninfo):
    """A broken address is refused without a word of it, for it may hold a password."""
    with pytest.raises(ConfigError, match="expected a connection string") as caught:
        postgres_ledger(conninfo)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


def test_secrets_are_not_shown():
    """Neither the ledger nor its errors, with all that caused them, show user or password."""
    ledger = postgres_ledger(f"postgresql://alice:{SECRET}@127.0.0.1:1/spend", timeout=0.1)
    assert repr(ledger) == "PostgresLedger(postgresql://127.0.0.1:1/spend (schema centroute))"
    with pytest.raises(
        LedgerError, match=r"127\.0\.0\.1:1/spend.*Check that the server runs"
    ) as e:
        ledger.reserve(reservation())
    error = e.value
    while error is not None:
        assert SECRET not in f"{error} {error!r} {error.args}"
        error = error.__cause__
    for value in (ledger, *vars(ledger).values()):
        assert SECRET not in repr(value)
    ledger.close()


def test_a_server_that_was_never_reached_is_not_waited_for():
    """A wrong address is told at once, whatever the patience with one that worked."""
    ledger = postgres_ledger("postgresql://127.0.0.1:1/spend", timeout=3600.0)
    refused(ledger, LedgerError, "refused")


@needs_postgres
def test_opening_is_lazy(schema):
    """Making a ledger object does not touch the server until it is used."""
    schema.ledger()
    assert say("SELECT 1 FROM pg_namespace WHERE nspname = %s", schema.name) == []


@needs_postgres
def test_many_set_up_one_schema(schema):
    """However many start at once on an empty database, one sets it up and all can use it."""
    for _ in range(3):
        gate = threading.Barrier(8, timeout=60)

        def work(i, gate=gate):
            ledger = schema.ledger()
            gate.wait()
            ledger.reserve(reservation(f"r{i}"))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        ledger = schema.ledger()
        assert ledger.balances([HOLD]) == [Balance(reserved=8 * 40)]
        ledger.check()
        made = say(f"SELECT number FROM {schema.name}.migrations ORDER BY number")
        assert made == [(n + 1,) for n in range(len(MIGRATIONS))]
        schema.drop()


@needs_postgres
def test_a_newer_schema(schema):
    """A schema of a newer version is not touched: upgrading is what helps."""
    schema.ledger().reserve(reservation())
    say(f"INSERT INTO {schema.name}.migrations (number) VALUES (1000)")
    refused(schema.ledger(), LedgerError, "newer version of centroute; upgrade")
    assert say(f"SELECT count(*) FROM {schema.name}.reservations") == [(1,)]


@needs_postgres
def test_somebody_elses_schema(schema):
    """A schema with tables of another program is refused and left as it was."""
    say(f"CREATE SCHEMA {schema.name}")
    say(f"CREATE TABLE {schema.name}.reservations (room text)")
    refused(schema.ledger(), LedgerError, "tables of something else.*Name another schema")
    tables = "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    assert say(f"{tables} WHERE nspname = %s", schema.name) == [("reservations",)]


@needs_postgres
def test_an_empty_schema_can_be_used(schema):
    """A schema that was made beforehand by who may make schemas becomes a ledger."""
    say(f"CREATE SCHEMA {schema.name}")
    ledger = schema.ledger()
    ledger.reserve(reservation())
    ledger.check()


@needs_postgres
def test_two_schemas_share_nothing(schema):
    """Ledgers in two schemas of one database are two ledgers."""
    other = type(schema)()
    try:
        schema.ledger().reserve(reservation())
        assert other.ledger().balances([HOLD]) == [Balance()]
    finally:
        other.drop()


@needs_postgres
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {}.balances SET spent = spent - 1",
        "UPDATE {}.balances SET reserved = 0",
        "UPDATE {}.balances SET adjusted = 1",
        "DELETE FROM {}.balances",
        "INSERT INTO {}.balances VALUES ('other', 0, 5, 0, 0)",
        "DELETE FROM {}.open_reservations",
        "UPDATE {}.holds SET amount = 1",
    ],
)
def test_check_finds_what_does_not_add_up(schema, statement):
    """Running totals that were meddled with no longer match the entries, and check says so."""
    ledger = schema.ledger()
    ledger.reserve(reservation())
    ledger.check()
    say(statement.format(schema.name))
    with pytest.raises(CorruptLedgerError, match="1 balances differ from entries"):
        ledger.check()


@needs_postgres
def test_the_last_guard(schema):
    """Rows that would hold less than nothing are refused by the database itself."""
    ledger = schema.ledger()
    ledger.reserve(reservation())
    say(f"UPDATE {schema.name}.balances SET reserved = 0")
    end = Settlement(at=NOW, usage=Usage(output_tokens=1), cost=Cost(pico=1))
    with pytest.raises(LedgerError, match="balances_reserved_check"):
        ledger.settle("r/0", end)
    assert list(ledger.entries()) == []


@needs_postgres
def test_accounts_that_vanished(schema):
    """What this process knows of a database that was put back is found out, not built upon."""
    ledger = schema.ledger()
    ledger.reserve(reservation())
    for table in ("reservations", "holds", "open_reservations", "balances"):
        say(f"DELETE FROM {schema.name}.{table}")
    ledger.reserve(reservation())
    assert ledger.balances([HOLD]) == [Balance(reserved=40)]
    ledger.check()


@needs_postgres
def test_commits_are_durable(schema):
    """Whatever the database's default, a commit that returned is on disk."""
    ledger = schema.ledger()
    ((name,),) = say("SELECT current_database()")
    say(f'ALTER ROLE CURRENT_USER IN DATABASE "{name}" SET synchronous_commit = off')
    try:
        ledger.reserve(reservation())
        shown = ledger._writing.open().execute("SHOW synchronous_commit").fetchone()
    finally:
        say(f'ALTER ROLE CURRENT_USER IN DATABASE "{name}" RESET synchronous_commit')
    assert shown == ("on",)
