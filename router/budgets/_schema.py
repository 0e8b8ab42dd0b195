"""The SQLite ledger's schema, as numbered migrations. A shipped one is never edited."""

from __future__ import annotations

APPLICATION_ID = 0x43656E74  # "Cent": tells our files from others'

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE reservations (
        id TEXT PRIMARY KEY,
        at INTEGER NOT NULL,
        lease_until INTEGER NOT NULL,
        amount INTEGER NOT NULL CHECK (amount >= 0),
        record TEXT NOT NULL
    ) STRICT;
    CREATE TABLE holds (
        reservation_id TEXT NOT NULL REFERENCES reservations (id),
        key TEXT NOT NULL,
        window_start INTEGER NOT NULL,
        PRIMARY KEY (reservation_id, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE open_reservations (
        id TEXT PRIMARY KEY REFERENCES reservations (id),
        lease_until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX open_by_lease ON open_reservations (lease_until);
    CREATE TABLE entries (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL CHECK (kind IN ('settle', 'release', 'expire', 'correct')),
        at INTEGER NOT NULL,
        reservation_id TEXT NOT NULL REFERENCES reservations (id),
        cost INTEGER NOT NULL,
        overage INTEGER NOT NULL DEFAULT 0,
        input_tokens INTEGER NOT NULL,
        cache_read_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        estimated INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        finish_reason TEXT,
        seconds REAL NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX one_resolution ON entries (reservation_id) WHERE kind <> 'correct';
    CREATE UNIQUE INDEX one_correction ON entries (reservation_id) WHERE kind = 'correct';
    CREATE INDEX entries_by_time ON entries (at);
    CREATE TABLE balances (
        key TEXT NOT NULL,
        window_start INTEGER NOT NULL,
        spent INTEGER NOT NULL DEFAULT 0,
        reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0),
        PRIMARY KEY (key, window_start)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER entries_are_not_changed BEFORE UPDATE ON entries
        BEGIN SELECT RAISE(ABORT, 'ledger entries are never changed'); END;
    CREATE TRIGGER entries_are_not_deleted BEFORE DELETE ON entries
        BEGIN SELECT RAISE(ABORT, 'ledger entries are never deleted'); END;
    """,
)
