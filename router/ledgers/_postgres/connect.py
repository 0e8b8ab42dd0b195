"""Connections to PostgreSQL: opening one, preparing it, migrating the schema."""

from __future__ import annotations

import hashlib
import re
import threading
from typing import Any, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import Int8Dumper

from router.errors import ConfigError, LedgerError
from router.ledgers._postgres.schema import MIGRATIONS

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_DEFAULTS: dict[str, Any] = {
    # A host that vanished is noticed in half a minute, not in hours.
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "fallback_application_name": "centroute",
}
_SESSION = """
    SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '10s';
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') = 'off';
"""
# Whoever stops between its lock and its commit must not stop all others; a commit that returned
# is on disk, whatever the database's default.
_THERE = """
    SELECT c.oid IS NOT NULL FROM pg_catalog.pg_namespace n
    LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'migrations'
    WHERE n.nspname = %s
"""
"""Whether a schema has been set up; no row when there is no schema."""


class Server:
    """Where a ledger is: `place` names it without user and password, for messages.

    Raises:
        ConfigError: not a connection string, or not a name for a schema.
    """

    def __init__(self, conninfo: str, schema: str) -> None:
        if not re.fullmatch(r"(?!pg_)[a-z_][a-z0-9_]{0,62}", schema):
            raise ConfigError(
                "PostgreSQL schema: expected a name of lower-case letters, digits and '_' that "
                f"does not begin with 'pg_'; got {schema!r}"
            )
        try:
            given = conninfo_to_dict(conninfo)
        except psycopg.ProgrammingError:
            # Its message may quote the password.
            raise ConfigError(
                "PostgreSQL ledger: expected a connection string such as "
                "postgresql://user@host:5432/database; this one cannot be read"
            ) from None
        self.conninfo, self.schema = conninfo, schema
        self._more = {name: value for name, value in _DEFAULTS.items() if name not in given}
        host, port = given.get("host", ""), given.get("port", "")
        where = f"{host}:{port}" if port else f"{host}"
        self.place = f"postgresql://{where}/{given.get('dbname', '')} (schema {schema})"

    def __repr__(self) -> str:
        return self.place

    def connect(self) -> Connection:
        """A connection to a ledger that is set up. Raises psycopg.Error, LedgerError."""
        db: Connection = psycopg.connect(self.conninfo, autocommit=True, **self._more)
        try:
            db.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            # One type whatever their size, so that a statement is prepared once.
            db.adapters.register_dumper(int, Int8Dumper)
            db.execute(_SESSION)
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        return db

    def _prepare(self, db: Connection) -> None:
        version = self._version(db)
        if version > len(MIGRATIONS):
            raise LedgerError(
                f"ledger {self.place}: set up by a newer version of centroute; upgrade it"
            )
        while version < len(MIGRATIONS):
            version = self._migrate(db)

    def _version(self, db: Connection) -> int:
        # Read from the catalogue's tables: a function such as to_regclass may not have heard of
        # what was committed while this transaction waited for its turn.
        there = db.execute(_THERE, [self.schema]).fetchone() == (True,)
        if not there:
            return 0
        last = f"SELECT coalesce(max(number), 0) FROM {self.schema}.migrations"
        row = db.execute(last).fetchone()
        return int(row[0]) if row else 0

    def _migrate(self, db: Connection) -> int:
        """Perform the next migration unless another process did; the version it is at then."""
        name = hashlib.blake2b(f"centroute/{self.schema}".encode(), digest_size=8).digest()
        schema = self.schema
        with db.transaction():
            turn = int.from_bytes(name, "big", signed=True)
            db.execute("SELECT pg_advisory_xact_lock(%s)", [turn])
            version = self._version(db)
            if version >= len(MIGRATIONS):
                return version
            if version == 0:
                # Asked first: who may not create schemas can still use one that is there.
                if not db.execute(_THERE, [schema]).fetchone():
                    db.execute(f"CREATE SCHEMA {schema}")
                db.execute(
                    f"CREATE TABLE IF NOT EXISTS {schema}.migrations "
                    "(number bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
                )
            try:
                db.execute(MIGRATIONS[version].replace("{s}", schema))
            except psycopg.errors.DuplicateTable as error:
                raise LedgerError(
                    f"ledger {self.place}: the schema has tables of something else, which were "
                    "left as they are. Name another schema."
                ) from error
            db.execute(f"INSERT INTO {schema}.migrations (number) VALUES (%s)", [version + 1])
            return version + 1


class Link:
    """One connection, opened when it is wanted and again after it was lost; hold its `lock`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._db: Connection | None = None
        self.lock = threading.RLock()

    def open(self) -> Connection:
        """The connection."""
        if self._db is None or self._db.closed:
            self._db = self._server.connect()
        return self._db

    def undo(self) -> None:
        """Roll back, or let go of a connection that is no longer sound."""
        if self._db is not None:
            try:
                self._db.rollback()
            except psycopg.Error:
                self.drop()

    def drop(self) -> None:
        """Close the connection; what was not committed is rolled back."""
        if self._db is not None:
            self._db.close()
        self._db = None

    def __del__(self) -> None:
        self.drop()
