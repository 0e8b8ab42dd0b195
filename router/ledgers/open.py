"""Which ledger a setting means: a file, a server, or one that is there already."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal, TypeAlias, cast

from router.ledgers.ledger import Ledger, SlabLedger

OnLedgerError: TypeAlias = Literal["deny", "local-lease", "allow"]
"""What becomes of requests while the ledger's store fails: refused; served as long as the money
lasts that this process holds already; or served all the same, and recorded afterwards."""
_SLAB_SECONDS = 30.0
"""Seconds of its spending that a process holds, to live on while the store fails."""


def open_ledger(at: Ledger | str | Path, on_error: OnLedgerError, state: Path) -> Ledger:
    """The ledger of a path, ":memory:", or a URL such as "postgresql://host/database".

    What cannot be posted is kept in the directory `state` where the ledger is no file. A ledger
    that is there already is taken as it is under "deny".

    Raises:
        ConfigError: a URL, and psycopg is not installed.
    """
    unposted, owns = None, isinstance(at, (str, Path))
    if not isinstance(at, (str, Path)):
        ledger = at
        if on_error == "deny":
            return ledger
    elif str(at).startswith(("postgresql://", "postgres://")):
        from router.ledgers.postgres import PostgresLedger

        ledger = server = PostgresLedger(str(at))
        unposted = state / f"postgres-{hashlib.sha256(server.place.encode()).hexdigest()[:12]}"
    else:
        from router.ledgers.sqlite import SQLiteLedger

        ledger = SQLiteLedger(at)
    from router.ledgers.outage import Outage

    if on_error == "local-lease":
        from router.ledgers.lease import LeasedLedger

        if not isinstance(ledger, LeasedLedger):
            ledger = LeasedLedger(cast("SlabLedger", ledger), seconds=_SLAB_SECONDS)
    return Outage(ledger, on_error, unposted=unposted, owns=owns)
