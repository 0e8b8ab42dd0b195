"""When to try again, and what to say when it is no use."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from psycopg import errors

from router.errors import CorruptLedgerError, LedgerError
from router.ledgers.failing import store_failure

T = TypeVar("T")

OUTAGES = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)
"""The server or the way to it failed, unless `RefusedError` says that what was asked did."""

CLASHES = (
    errors.UniqueViolation,  # another process made the same row: next time it is seen
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.LockNotAvailable,
)
"""Others were in the way: the connection is sound."""
_DAMAGED = (errors.DataCorrupted, errors.IndexCorrupted)
_TOO_MUCH = "54"
"""SQLSTATEs of class 54, program_limit_exceeded: a row that is too large stays so."""
_LONGEST_PAUSE = 0.25


class RefusedError(Exception):
    """Raised from an error of the driver that looks like an outage, but no new try will help."""


class Patience:
    """Tries again for up to `timeout` seconds, with jitter.

    A server that was never reached is not waited for, nor one that was given up: a wrong address
    is told at once, and an outage does not hold up each call anew.
    """

    def __init__(self, timeout: float, place: str) -> None:
        self._timeout, self._place = timeout, place
        self._reached = False

    def run(self, attempt: Callable[[], T]) -> T:
        """The result of the first attempt that does not fail in passing.

        Raises:
            psycopg.Error: it failed for long, or otherwise.
            RefusedError: it failed, and will again.
        """
        deadline, pause = time.monotonic() + self._timeout, 0.001
        while True:
            try:
                result = attempt()
            except (*CLASHES, *OUTAGES) as error:
                if isinstance(error, _DAMAGED) or (error.sqlstate or "").startswith(_TOO_MUCH):
                    raise RefusedError from error
                clash = isinstance(error, CLASHES)
                if time.monotonic() > deadline or not (clash or self._reached):
                    self._reached = clash
                    raise
            else:
                self._reached = True
                return result
            time.sleep(random.uniform(0.0, pause))  # noqa: S311 - nothing secret hangs on it
            pause = min(2 * pause, _LONGEST_PAUSE)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Make errors of the driver those of a ledger."""
        try:
            yield
        except RefusedError as refused:
            error = refused.__cause__
            if isinstance(error, _DAMAGED):
                raise CorruptLedgerError(
                    f"ledger {self._place}: {_said(error)}. It was left as it is. Restore a copy "
                    "of it, or name a new schema or database."
                ) from error
            raise self._refused(error) from error
        except CLASHES as error:
            # A row that was there each time is in the way for good.
            kind = LedgerError if isinstance(error, errors.UniqueViolation) else store_failure
            raise kind(
                f"ledger {self._place}: others held its rows for {self._timeout:g} s "
                f"({_said(error)}). Nothing was booked; try again."
            ) from error
        except OUTAGES as error:
            raise store_failure(
                f"ledger {self._place}: {_said(error)}. Check that the server runs and that its "
                "address, user and database are right, or choose another ledger with "
                "Client(ledger=...) or CENTROUTE_LEDGER."
            ) from error
        except errors.NumericValueOutOfRange as error:
            raise LedgerError(f"ledger {self._place}: a number is too large for it") from error
        except (psycopg.Error, UnicodeEncodeError) as error:
            raise self._refused(error) from error

    def _refused(self, error: BaseException | None) -> LedgerError:
        return LedgerError(
            f"ledger {self._place}: refused as it is ({_said(error)}). Nothing was booked."
        )


def _said(error: BaseException | None) -> str:
    # Only the first line of the server's: its details quote rows.
    told = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return " ".join((told or str(error)).split()).rstrip(".")
