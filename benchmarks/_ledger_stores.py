"""Ledgers to be measured: a file of their own, or a schema of their own in a database."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4


@contextmanager
def fresh(store: str, directory: Path | None = None) -> Iterator[str]:
    """Where a new ledger may be opened, until the end: of "sqlite", or of a PostgreSQL URL.

    A name for `opened`: a path, or a URL with the name of a schema behind "#".
    """
    if not store.startswith("postgresql://"):
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            yield str(Path(scratch) / "ledger.sqlite3")
        return
    import psycopg

    schema = f"measured_{uuid4().hex[:12]}"
    try:
        yield f"{store}#{schema}"
    finally:
        with psycopg.connect(store, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())


def opened(at: str, *, leased: bool = False) -> Any:
    """The ledger of that name; `leased`: behind slabs that this process holds."""
    ledger: Any
    if at.startswith("postgresql://"):
        from router.ledgers.postgres import PostgresLedger

        url, _, schema = at.partition("#")
        ledger = PostgresLedger(url, schema=schema)
    else:
        from router.ledgers.sqlite import SQLiteLedger

        ledger = SQLiteLedger(at)
    if not leased:
        return ledger
    from router.ledgers.lease import LeasedLedger

    return LeasedLedger(ledger)
