"""The PostgreSQL ledger's schema, as numbered migrations. A shipped one is never edited.

Instants are microseconds since 1970 and money is pico-dollars, both bigint: the SQLite ledger's
rows. Nothing refers by foreign key: rows that belong together are written by one transaction, and
each check would lock and rewrite the row that it points to.
"""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE {s}.reservations (
        id text COLLATE "C" PRIMARY KEY,
        at bigint NOT NULL,
        lease_until bigint NOT NULL,
        amount bigint NOT NULL CHECK (amount >= 0),
        record text NOT NULL,
        tokens bigint NOT NULL CHECK (tokens >= 0)
    );
    CREATE TABLE {s}.holds (
        reservation_id text COLLATE "C" NOT NULL,
        key text COLLATE "C" NOT NULL,
        window_start bigint NOT NULL,
        unit text NOT NULL CHECK (unit IN ('usd', 'tokens', 'requests')),
        amount bigint NOT NULL CHECK (amount >= 0),
        PRIMARY KEY (reservation_id, key, window_start)
    );
    CREATE TABLE {s}.open_reservations (
        id text COLLATE "C" PRIMARY KEY,
        lease_until bigint NOT NULL
    );
    CREATE INDEX open_by_lease ON {s}.open_reservations (lease_until);
    CREATE TABLE {s}.slabs (
        id text COLLATE "C" PRIMARY KEY,
        drawn bigint NOT NULL DEFAULT 0 CHECK (drawn >= 0)
    );
    CREATE TABLE {s}.entries (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind text NOT NULL CHECK (kind IN ('settle', 'release', 'expire', 'correct')),
        at bigint NOT NULL,
        reservation_id text COLLATE "C" NOT NULL,
        cost bigint NOT NULL,
        overage bigint NOT NULL,
        input_tokens bigint NOT NULL,
        cache_read_tokens bigint NOT NULL,
        cache_write_tokens bigint NOT NULL,
        output_tokens bigint NOT NULL,
        reasoning_tokens bigint NOT NULL,
        estimated smallint NOT NULL,
        outcome text NOT NULL,
        finish_reason text,
        seconds double precision NOT NULL,
        cache_write_1h_tokens bigint NOT NULL,
        reported_cost bigint,
        tokens bigint NOT NULL,
        requests bigint NOT NULL,
        saved bigint NOT NULL
    );
    CREATE UNIQUE INDEX one_resolution ON {s}.entries (reservation_id) WHERE kind <> 'correct';
    CREATE INDEX corrections ON {s}.entries (reservation_id) WHERE kind = 'correct';
    CREATE INDEX entries_by_time ON {s}.entries (at, seq);
    -- Room on each page for new versions of a busy row, which then touch no index.
    CREATE TABLE {s}.balances (
        key text COLLATE "C" NOT NULL,
        window_start bigint NOT NULL,
        spent bigint NOT NULL DEFAULT 0,
        reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
        adjusted bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (key, window_start)
    ) WITH (fillfactor = 50);
    CREATE TABLE {s}.adjustments (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id text COLLATE "C" NOT NULL UNIQUE,
        kind text NOT NULL CHECK (kind IN ('top_up', 'freeze', 'unfreeze', 'transfer')),
        at bigint NOT NULL,
        key text COLLATE "C" NOT NULL,
        window_start bigint NOT NULL,
        unit text NOT NULL CHECK (unit IN ('usd', 'tokens', 'requests')),
        amount bigint NOT NULL,
        by_whom text NOT NULL,
        why text NOT NULL,
        budget text NOT NULL
    );
    CREATE INDEX adjustments_by_account ON {s}.adjustments (key, window_start);
    CREATE TABLE {s}.frozen (key text COLLATE "C" PRIMARY KEY);
    CREATE TABLE {s}.warnings (
        key text COLLATE "C" NOT NULL,
        window_start bigint NOT NULL,
        share double precision NOT NULL,
        caller text NOT NULL,
        PRIMARY KEY (key, window_start, share)
    );
    CREATE FUNCTION {s}.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'ledger entries are never changed or deleted'
                USING ERRCODE = 'integrity_constraint_violation';
        END $$;
    CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON {s}.entries
        FOR EACH STATEMENT EXECUTE FUNCTION {s}.refuse_change();
    CREATE TRIGGER adjustments_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON {s}.adjustments
        FOR EACH STATEMENT EXECUTE FUNCTION {s}.refuse_change();
    """,
    # 2: the price row that was billed, decisions, grades
    """
    ALTER TABLE {s}.entries ADD COLUMN rates_id text;
    ALTER TABLE {s}.reservations ADD COLUMN decision text;
    CREATE TABLE {s}.grades (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        request_id text COLLATE "C" NOT NULL,
        candidate text COLLATE "C" NOT NULL,
        score double precision NOT NULL CHECK (score >= 0 AND score <= 1),
        by_whom text COLLATE "C" NOT NULL,
        at bigint NOT NULL,
        caller text NOT NULL,
        UNIQUE (request_id, candidate, by_whom)
    );
    CREATE INDEX grades_by_time ON {s}.grades (at);
    CREATE TRIGGER grades_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON {s}.grades
        FOR EACH STATEMENT EXECUTE FUNCTION {s}.refuse_change();
    """,
)
