"""Opening a ledger file: checks that it is ours, sets it up, migrates it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from router.errors import CorruptLedgerError, LedgerError
from router.ledgers._sqlite.schema import APPLICATION_ID, MIGRATIONS

BUSY_SECONDS = 30.0
"""Seconds to wait for other processes."""

RESTORE = (
    "The file was left as it is. Restore a copy of it, or name a new file with "
    "Client(ledger=...) or CENTROUTE_LEDGER."
)


def open_file(path: str) -> sqlite3.Connection:
    """Open or create the ledger at `path`; raises LedgerError or CorruptLedgerError."""
    if "\0" in path:
        raise LedgerError("ledger: a path cannot hold a zero byte")
    if path != ":memory:":
        directory = Path(path).expanduser().parent
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerError(
                f"ledger {path}: cannot create {directory} ({error.strerror}). Make it writable, "
                "or choose another file with Client(ledger=...) or CENTROUTE_LEDGER."
            ) from error
        path = str(Path(path).expanduser())
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _prepare(db, path)
        db.execute("PRAGMA busy_timeout = 0")  # from now on we wait ourselves
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: str) -> None:
    # In this order: another process that creates the file sets both in one commit.
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if tables and application != APPLICATION_ID:
        raise CorruptLedgerError(f"ledger {path}: a SQLite file, but not a ledger. {RESTORE}")
    _use_wal(db)
    db.execute("PRAGMA synchronous = FULL")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise LedgerError(f"ledger {path}: written by a newer version of centroute; upgrade it")
    if version == len(MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")  # another process may be creating the same file
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        for number, migration in enumerate(MIGRATIONS[version:], start=version + 1):
            for statement in _statements(migration):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _use_wal(db: sqlite3.Connection) -> None:
    # While another process switches a new file over, SQLite does not wait here but fails at once.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def is_busy(error: sqlite3.OperationalError) -> bool:
    """Whether another connection holds the lock."""
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _statements(script: str) -> Iterator[str]:
    # executescript would commit the surrounding transaction
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
