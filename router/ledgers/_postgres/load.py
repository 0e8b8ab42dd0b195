"""Locking and reading all that a batch of operations is going to touch, in two round trips.

Locks are taken in the order of keys and windows, by everybody, so that nobody waits in a circle.
Statements of one transaction see what is committed when each begins: whatever is read after the
lock was left there by its last holder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from router.ledgers._postgres.books import Loaded, NotPreparedError, PostgresBooks
from router.ledgers._postgres.needs import At, Memory, Needs
from router.ledgers._postgres.statements import BEGIN
from router.ledgers._sqlite.rows import from_micros, micros
from router.ledgers.view import Account, Part

if TYPE_CHECKING:
    from router.ledgers._postgres.connect import Connection


class Session:
    """A connection and the statements to say on it."""

    def __init__(self, db: Connection, texts: dict[str, str]) -> None:
        self.db, self._texts = db, texts

    def start(self, name: str, values: Sequence[Any]) -> Any:
        """Send a statement; its cursor."""
        return self.db.execute(self._texts[name], values)

    def ask(self, name: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run a statement; its rows, if it is one that has them."""
        cursor = self.db.execute(self._texts[name], values)
        return cursor.fetchall() if cursor.description else []

    def finish(self, rows: PostgresBooks) -> bool:
        """Write what changed and commit, in one round trip; whether anything had changed."""
        writes = list(rows.writes())
        with self.db.pipeline():
            for name, values in writes:
                self.start(name, values)
            changed = bool(writes) or rows.warned
            # With nothing to keep there is no need to wait for the disk.
            self.db.execute("COMMIT" if changed else "ROLLBACK")
        return changed


def begin(session: Session, needs: Needs, memory: Memory) -> PostgresBooks:
    """Begin a transaction and lock what is needed; the rows."""
    loaded = Loaded(asked=needs.ids | needs.made)
    for rid in needs.ids | needs.made:
        known = memory.known(rid)
        if known is not None:
            loaded.remembered[rid], loaded.parts[rid] = known, known.parts
    unknown = sorted(needs.ids - loaded.remembered.keys())
    if unknown:
        # What a reservation set aside never changes: it can be read before there is a lock.
        _read_parts(loaded, session.ask("parts", [unknown]))
    accounts = sorted(
        needs.accounts | {(p.key, p.window_start) for ps in loaded.parts.values() for p in ps}
    )
    bare = sorted(rid for rid, parts in loaded.parts.items() if not parts)
    with session.db.pipeline():
        session.db.execute(BEGIN)
        if unmade := memory.unmade(accounts):
            session.start("make", _columns(unmade))
        locked = session.start("lock", _columns(accounts))
        if bare:
            session.start("lock_ids", [bare])  # no account keeps two callers apart
        frozen = session.start("frozen", [sorted(needs.keys)])
        buckets = session.start("buckets", _columns(sorted(needs.rolling.items())))
    _read_accounts(loaded, locked.fetchall())
    if len(loaded.accounts) != len(accounts):
        memory.forget()
        raise NotPreparedError
    # On its own: after a pipeline the server does not notice that a transaction is idle.
    loaded.state = {row[0]: row for row in session.ask("state", [sorted(loaded.asked)])}
    loaded.frozen = {key for (key,) in frozen.fetchall()}
    _read_buckets(loaded, needs, buckets.fetchall())
    return PostgresBooks(session.ask, loaded)


def look(session: Session, needs: Needs) -> PostgresBooks:
    """Read the accounts that are needed without locking them; one that is not there is zero."""
    loaded = Loaded(accounts=dict.fromkeys(needs.accounts, (0, 0, 0)))
    with session.db.pipeline():
        found = session.start("accounts", _columns(sorted(needs.accounts)))
        frozen = session.start("frozen", [sorted(needs.keys)])
        buckets = session.start("buckets", _columns(sorted(needs.rolling.items())))
    _read_accounts(loaded, found.fetchall())
    loaded.frozen = {key for (key,) in frozen.fetchall()}
    _read_buckets(loaded, needs, buckets.fetchall())
    return PostgresBooks(session.ask, loaded)


def _columns(accounts: Sequence[At]) -> list[list[Any]]:
    return [[key for key, _ in accounts], [micros(start) for _, start in accounts]]


def _read_parts(loaded: Loaded, rows: Sequence[tuple[Any, ...]]) -> None:
    for rid, key, start, unit, amount in rows:
        before = loaded.parts.get(rid, ())
        part = () if key is None else (Part(key, from_micros(start), unit, amount),)
        loaded.parts[rid] = (*before, *part)


def _read_accounts(loaded: Loaded, rows: Sequence[tuple[Any, ...]]) -> None:
    for key, start, *sums in rows:
        spent, reserved, adjusted = sums
        loaded.accounts[key, from_micros(start)] = (spent, reserved, adjusted)


def _read_buckets(loaded: Loaded, needs: Needs, rows: Sequence[tuple[Any, ...]]) -> None:
    loaded.buckets = {key: [] for key in needs.rolling}
    for key, start, *sums in rows:
        loaded.buckets[key].append(Account(key, from_micros(start), *sums))
