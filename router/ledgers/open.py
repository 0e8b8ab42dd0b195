"""Which ledger a setting means: a file, a server, or one that is there already."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from router.errors import ConfigError
from router.ledgers.ledger import Ledger, SlabLedger

if TYPE_CHECKING:
    from router.ledgers.postgres import PostgresLedger
    from router.ledgers.sqlite import SQLiteLedger

OnLedgerError: TypeAlias = Literal["deny", "local-lease", "allow"]
"""What becomes of requests while the ledger's store fails: refused; served as long as the money
lasts that this process holds already; or served all the same, and recorded afterwards."""
_SLAB_SECONDS = 30.0
"""Seconds of its spending that a process holds, to live on while the store fails."""
_EXPECTED = 'expected a path, ":memory:", or postgresql://user@host:5432/database as text'
_SERVER = re.compile(r"postgres(?:ql)?://", re.IGNORECASE)
_READABLE = re.compile(
    r"""
    (?: [^@/]*@ | (?![^@/]*@) )             # user and password
    (?: [^@/?\[\]] | \[ [^@/?\[\]]* \] )*  # hosts and ports
    (?: /[^@?]* )?  (?: \?.* )?             # database, parameters
    """,
    re.DOTALL | re.VERBOSE,
)
"""After the scheme. libpq ends user and password at the first "@", unless a "/" comes before."""
_STRAY = re.compile(
    r"""
    ^[a-z][a-z0-9+.-]+:/           # a scheme; a single letter is a drive of Windows
    | (?:^|[\\/])postgres(?:ql)?:  # one that lost its slashes, or is part of a path by now
    | //[^/]*:.*@                  # user and password
    | \bpassword\s*=               # libpq's key words
    """,
    re.IGNORECASE | re.VERBOSE,
)


def open_ledger(at: Ledger | str | Path, on_error: OnLedgerError, state: Path) -> Ledger:
    """The ledger of a path, ":memory:", or a URL such as "postgresql://host/database".

    What cannot be posted is kept in the directory `state` where the ledger is no file. A ledger
    that is there already is taken as it is under "deny".

    Raises:
        ConfigError: as in `open_store`.
    """
    unposted, owns = None, isinstance(at, (str, Path))
    if isinstance(at, (str, Path)):
        store = open_store(at)
        ledger: Ledger = store
        if place := getattr(store, "place", ""):
            unposted = state / f"postgres-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
            with suppress(OSError):  # needed only when the server fails; SQLite makes its own
                state.mkdir(mode=0o700, parents=True, exist_ok=True)
    else:
        ledger = at
        if on_error == "deny":
            return ledger
    from router.ledgers.outage import Outage

    if on_error == "local-lease":
        from router.ledgers.lease import LeasedLedger

        if not isinstance(ledger, LeasedLedger):
            ledger = LeasedLedger(cast("SlabLedger", ledger), seconds=_SLAB_SECONDS)
    return Outage(ledger, on_error, unposted=unposted, owns=owns)


def open_store(at: str | Path) -> SQLiteLedger | PostgresLedger:
    """The ledger of a path, ":memory:" or a URL, without help in an outage. Touches nothing yet.

    Raises:
        ConfigError: as in `server_url`; a URL, and psycopg is not installed.
    """
    url = server_url(at)
    if url is None:
        from router.ledgers.sqlite import SQLiteLedger

        return SQLiteLedger(at)
    from router.ledgers.postgres import PostgresLedger

    return PostgresLedger(url)


def server_url(at: str | Path, setting: str = "ledger") -> str | None:
    """The URL of the server that a setting names, as libpq takes it; None for a file.

    Raises:
        ConfigError: nothing, a URL of something else, or one that became a path. Begins with
            `setting`, and never shows what was given: there may be a password in it.
    """
    text = str(at).strip()
    if isinstance(at, str) and (scheme := _SERVER.match(text)):
        rest = text[scheme.end() :]
        if not _READABLE.fullmatch(rest):  # part of the password would be taken for the host
            raise ConfigError(
                f"{setting}: a URL that cannot be read: in its user and password write '@' as %40 "
                "and '/' as %2F"
            )
        return f"postgresql://{rest}"
    if _STRAY.search(text):
        found = re.match(r"[A-Za-z][A-Za-z0-9+.-]+(?=:/)", text)
        if not isinstance(at, str):
            got = "a Path that holds a URL, and has lost slashes of it: pass it as text"
        elif found:
            got = f"a URL of {found[0]!r}; if it is a path, write ./ before it"
        else:
            got = "what looks like the address of a database"
        raise ConfigError(f"{setting}: {_EXPECTED}; got {got}")
    if not text:
        raise ConfigError(f"{setting}: {_EXPECTED}; got an empty text")
    return None


def default_ledger(environ: Mapping[str, str]) -> str:
    """The ledger when nobody names one: CENTROUTE_LEDGER, else a file in the state directory."""
    at = environ.get("CENTROUTE_LEDGER", "")
    return at if at.strip() else str(state_directory(environ) / "ledger.sqlite3")


def state_directory(environ: Mapping[str, str]) -> Path:
    """Where this library keeps what outlives a process, unless it is told another place."""
    for variable in ("XDG_STATE_HOME", "LOCALAPPDATA"):
        if state := environ.get(variable):
            return Path(state) / "centroute"
    return Path("~/.local/state/centroute").expanduser()
