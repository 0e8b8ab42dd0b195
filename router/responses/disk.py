"""diskcache without its pickles, its value files and its settings from the file.

As it comes, diskcache runs code when it reads a planted pickle (CVE-2025-69872), reads and deletes
any path that a row names, and sets attributes and PRAGMAs from a table in the file. Here all
values are bytes in rows, and nothing in the file decides how it is read.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any, Final, NoReturn

import diskcache
from diskcache.core import ENOVAL, MODE_RAW

from router.responses.reply import TamperedError

_BUSY_SECONDS: Final = 1.0
"""How long another process's write is waited for: an answer is not worth more of a delay."""
_PRAGMAS: Final = {
    "auto_vacuum": 1,  # FULL: what is evicted leaves the file
    "journal_mode": "wal",
    "synchronous": 1,  # NORMAL: after a power cut a lost answer is asked for again
    "mmap_size": 0,  # a file cut short by another program must not be a SIGBUS
    "trusted_schema": 0,
}
_PINNED: Final = {
    "statistics": 0,
    "tag_index": 0,
    "eviction_policy": "least-recently-stored",
    "cull_limit": 10,
    "disk_min_file_size": 0,
    "disk_pickle_protocol": 0,
}


class PlainDisk(diskcache.Disk):  # type: ignore[misc]
    """Neither writes nor reads pickles or files: keys are text, values bytes in their row."""

    def __init__(self, directory: str, **_planted: object) -> None:
        super().__init__(directory)

    def put(self, key: object) -> tuple[str, bool]:
        """The key as it is.

        Raises:
            TypeError: it is not text.
        """
        if type(key) is not str:
            raise TypeError(f"expected a key of text, got {type(key).__name__}")
        return key, True

    def get(self, key: object, raw: object) -> str:
        """The key as it is.

        Raises:
            TamperedError: it is not text, or marked as a pickle.
        """
        if not raw or type(key) is not str:
            raise TamperedError("a key that is no text of ours")
        return key

    def store(self, value: object, read: bool, **_: object) -> tuple[int, int, None, bytes]:
        """The value as a row.

        Raises:
            TypeError: it is not bytes.
        """
        if read or type(value) is not bytes:
            raise TypeError(f"expected a value of bytes, got {type(value).__name__}")
        return 0, MODE_RAW, None, value

    def fetch(self, mode: object, filename: object, value: object, read: bool) -> bytes:
        """The value of a row.

        Raises:
            TamperedError: a pickle, a path, or anything but bytes.
        """
        if mode != MODE_RAW or filename is not None or read or type(value) is not bytes:
            raise TamperedError("a row with a pickle, a path or another kind of value")
        return value

    def filename(self, *_: object, **__: object) -> NoReturn:
        """No value has a file.

        Raises:
            TypeError: always.
        """
        raise TypeError("values are kept in rows, not in files")

    def remove(self, file_path: object) -> None:
        """Do nothing: no row has a file, so a path in one is somebody else's."""


class PlainCache(diskcache.Cache):  # type: ignore[misc]
    """A cache whose settings are those given here, whatever its file says.

    It has one connection for all threads: whoever uses it holds a lock.
    """

    def __init__(self, database: Path, *, size_limit: int) -> None:
        self._database = database
        self._settings = _PINNED | {"size_limit": size_limit}
        self._kept: sqlite3.Connection | None = None
        try:
            super().__init__(str(database.parent), disk=PlainDisk, **self._settings)
        except BaseException:
            self.close()
            raise

    @property
    def _con(self) -> sqlite3.Connection:
        if self._kept is None:
            db = sqlite3.connect(
                self._database,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                for name, value in _PRAGMAS.items():
                    _patient(db, f"PRAGMA {name} = {value}")
            except BaseException:
                db.close()
                raise
            self._kept = db
        return self._kept

    @property
    def _sql_retry(self) -> Any:
        return self._con.execute  # SQLite waits by itself; diskcache would for a minute

    def close(self) -> None:
        """Close the connection; further calls open it again."""
        db, self._kept = self._kept, None
        if db is not None:
            db.close()

    def reset(self, key: str, value: Any = ENOVAL, update: bool = True) -> Any:  # noqa: ARG002
        """Our value of a setting, whatever the file or the caller says; of an unknown one, 0."""
        if key in self._settings:
            setattr(self, key, self._settings[key])
            return self._settings[key]
        return 0  # sizes of value files, of which there are none, and counts that we do not use

    def __len__(self) -> int:
        rows = self._con.execute("SELECT count(*) FROM Cache").fetchall()
        return int(rows[0][0])


def _patient(db: sqlite3.Connection, statement: str) -> None:
    # While another process switches a new file over to WAL, SQLite does not wait but fails.
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            db.execute(statement).fetchall()
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return
