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
    # 2: units besides dollars, rolling windows, slabs, changes by people, warnings
    """
    ALTER TABLE reservations ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE holds ADD COLUMN unit TEXT NOT NULL DEFAULT 'usd';
    ALTER TABLE holds ADD COLUMN amount INTEGER;
    ALTER TABLE entries ADD COLUMN cache_write_1h_tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE entries ADD COLUMN reported_cost INTEGER;
    ALTER TABLE entries ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE entries ADD COLUMN requests INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE entries ADD COLUMN saved INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE balances ADD COLUMN adjusted INTEGER NOT NULL DEFAULT 0;
    DROP INDEX one_correction;
    DROP TRIGGER entries_are_not_changed;
    UPDATE entries SET tokens = input_tokens + output_tokens,
        requests = kind IN ('settle', 'expire');
    CREATE TRIGGER entries_are_not_changed BEFORE UPDATE ON entries
        BEGIN SELECT RAISE(ABORT, 'ledger entries are never changed'); END;
    CREATE INDEX corrections ON entries (reservation_id) WHERE kind = 'correct';
    CREATE TABLE slabs (
        id TEXT PRIMARY KEY REFERENCES reservations (id),
        drawn INTEGER NOT NULL DEFAULT 0 CHECK (drawn >= 0)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE adjustments (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL CHECK (kind IN ('top_up', 'freeze', 'unfreeze', 'transfer')),
        at INTEGER NOT NULL,
        key TEXT NOT NULL,
        window_start INTEGER NOT NULL,
        unit TEXT NOT NULL,
        amount INTEGER NOT NULL,
        by_whom TEXT NOT NULL,
        why TEXT NOT NULL,
        budget TEXT NOT NULL
    ) STRICT;
    CREATE TABLE frozen (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE warnings (
        key TEXT NOT NULL,
        window_start INTEGER NOT NULL,
        share REAL NOT NULL,
        PRIMARY KEY (key, window_start, share)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER adjustments_are_not_changed BEFORE UPDATE ON adjustments
        BEGIN SELECT RAISE(ABORT, 'ledger entries are never changed'); END;
    CREATE TRIGGER adjustments_are_not_deleted BEFORE DELETE ON adjustments
        BEGIN SELECT RAISE(ABORT, 'ledger entries are never deleted'); END;
    """,
    # 3: the price row that was billed, decisions, grades
    """
    ALTER TABLE entries ADD COLUMN rates_id TEXT;
    ALTER TABLE reservations ADD COLUMN decision TEXT;
    CREATE TABLE grades (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        request_id TEXT NOT NULL,
        candidate TEXT NOT NULL,
        score REAL NOT NULL CHECK (score >= 0 AND score <= 1),
        by_whom TEXT NOT NULL,
        at INTEGER NOT NULL,
        UNIQUE (request_id, candidate, by_whom)
    ) STRICT;
    CREATE INDEX grades_by_time ON grades (at);
    CREATE TRIGGER grades_are_not_changed BEFORE UPDATE ON grades
        BEGIN SELECT RAISE(ABORT, 'ledger entries are never changed'); END;
    CREATE TRIGGER grades_are_not_deleted BEFORE DELETE ON grades
        BEGIN SELECT RAISE(ABORT, 'ledger entries are never deleted'); END;
    """,
)
