"""Which errors of a ledger say that its store failed: it is away, full, or held by others.

All others are answers: what the rules say, a row that no store can take, a damaged file. To go on
without the ledger is a way out of an outage only.
"""

from __future__ import annotations

import sqlite3

from router.errors import CorruptLedgerError, LedgerError

_DOWN = frozenset(
    (
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_ABORT,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    )
)
"""Result codes of the file system and of locks (sqlite.org/rescode.html), not of statements."""
_PRIMARY = 0xFF


def store_failure(message: str) -> LedgerError:
    """The error of a store that failed itself: the same call may succeed later as it is."""
    error = LedgerError(message)
    error.outage = True
    return error


def ledger_failed(error: BaseException) -> bool:
    """Whether an effect on a ledger failed; a cancellation meanwhile has that as its cause."""
    cause = error if isinstance(error, Exception) else error.__cause__
    return isinstance(cause, LedgerError)


def is_outage(error: BaseException | None) -> bool:
    """Whether the store failed: `store_failure` made it, or it was raised from an error of I/O.

    Of SQLite only the file and its locks count; a damaged file never does.
    """
    while error is not None and not isinstance(error, CorruptLedgerError):
        if getattr(error, "outage", False) or isinstance(error, OSError):
            return True
        if isinstance(error, sqlite3.OperationalError):
            return getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _DOWN
        error = error.__cause__
    return False
