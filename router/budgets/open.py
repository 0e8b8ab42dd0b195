"""Which ledger a setting means: a file, a server, or one that is there already."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias, cast

from router.budgets.ledger import Ledger, SlabLedger

OnLedgerError: TypeAlias = Literal["deny", "local-lease", "allow"]
"""What becomes of requests while the ledger's store fails: refused; served as long as the money
lasts that this process holds already; or served all the same, and recorded afterwards."""


def open_ledger(at: Ledger | str | Path, on_error: OnLedgerError = "deny") -> Ledger:
    """The ledger of a path, ":memory:", or a URL such as "postgresql://host/database".

    Raises:
        ConfigError: a URL, and psycopg is not installed.
    """
    ledger = _opened(at)
    if on_error == "deny":
        return ledger
    from router.budgets.outage import Outage

    if on_error == "local-lease":
        from router.budgets.lease import LeasedLedger

        if not isinstance(ledger, LeasedLedger):
            ledger = LeasedLedger(cast("SlabLedger", ledger))
    return Outage(ledger, on_error)


def _opened(at: Ledger | str | Path) -> Ledger:
    if not isinstance(at, (str, Path)):
        return at
    if str(at).startswith(("postgresql://", "postgres://")):
        from router.budgets.postgres import PostgresLedger

        return PostgresLedger(str(at))
    from router.budgets.sqlite import SQLiteLedger

    return SQLiteLedger(at)
