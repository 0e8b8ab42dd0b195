"""What the PostgreSQL ledger says to the server, with the name of its schema filled in.

Arrays go in and `unnest` makes rows of them: one statement whatever the number of rows.
"""

from __future__ import annotations

from router.ledgers._sqlite.rows import ADJUSTMENT_COLUMNS, ENTRY_COLUMNS, GRADE_COLUMNS

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

_WANTED = "unnest(%s::text[], %s::bigint[]) AS n (key, window_start)"
_BALANCES = (
    "SELECT b.key, b.window_start, b.spent, b.reserved, b.adjusted FROM {s}.balances b "
    f"JOIN {_WANTED} ON b.key = n.key AND b.window_start "
)
_ENTRIES = (
    f"SELECT e.{ENTRY_COLUMNS.replace(', ', ', e.')}, r.record, r.amount, e.seq "
    "FROM {s}.entries e JOIN {s}.reservations r ON r.id = e.reservation_id "
)
_ENTRY_TYPES = (
    "text bigint text bigint bigint bigint bigint bigint bigint bigint bigint text text float8 "
    "bigint bigint bigint bigint bigint text"
)
_ADJUSTMENT_TYPES = "text text bigint text bigint text bigint text text text"


def _insert(table: str, columns: str, types: str) -> str:
    arrays = ", ".join(f"%s::{kind}[]" for kind in types.split())
    return f"INSERT INTO {{s}}.{table} ({columns}) SELECT * FROM unnest({arrays})"


_TEXTS = {
    # What a transaction reads. The lock comes first: each statement then sees what is committed.
    "parts": (
        "SELECT r.id, h.key, h.window_start, h.unit, h.amount FROM {s}.reservations r "
        "LEFT JOIN {s}.holds h ON h.reservation_id = r.id WHERE r.id = ANY(%s)"
    ),
    "make": _insert("balances", "key, window_start", "text bigint") + " ON CONFLICT DO NOTHING",
    "lock": f"{_BALANCES}= n.window_start ORDER BY b.key, b.window_start FOR UPDATE OF b",
    "accounts": f"{_BALANCES}= n.window_start",
    "buckets": f"{_BALANCES}>= n.window_start",
    "lock_ids": "SELECT id FROM {s}.reservations WHERE id = ANY(%s) ORDER BY id FOR UPDATE",
    "state": (
        "SELECT r.id, r.amount, r.tokens, r.record, s.drawn, o.lease_until "
        "FROM {s}.reservations r LEFT JOIN {s}.slabs s ON s.id = r.id "
        "LEFT JOIN {s}.open_reservations o ON o.id = r.id WHERE r.id = ANY(%s)"
    ),
    "frozen": "SELECT key FROM {s}.frozen WHERE key = ANY(%s)",
    "ended": f"{_ENTRIES}WHERE e.reservation_id = %s ORDER BY e.seq",
    "adjusted": "SELECT 1 FROM {s}.adjustments WHERE id = %s",
    "warn": "INSERT INTO {s}.warnings VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
    "who_warned": (
        "SELECT caller FROM {s}.warnings WHERE key = %s AND window_start = %s AND share = %s"
    ),
    "unknown": (
        "SELECT n.id FROM unnest(%s::text[], %s::text[], %s::text[]) AS n (id, low, high) "
        "WHERE NOT EXISTS (SELECT FROM {s}.reservations r WHERE r.id >= n.low AND r.id < n.high)"
    ),
    "grade": (
        f"INSERT INTO {{s}}.grades ({GRADE_COLUMNS}, caller) SELECT * FROM unnest("
        "%s::text[], %s::text[], %s::float8[], %s::text[], %s::bigint[], %s::text[]) "
        "ON CONFLICT DO NOTHING"
    ),
    "graded": "SELECT count(*) FROM {s}.grades WHERE caller = %s AND request_id = ANY(%s)",
    # What it writes.
    "add": _insert(
        "reservations",
        "id, at, lease_until, amount, record, tokens, decision",
        "text bigint bigint bigint text bigint text",
    ),
    "hold": _insert(
        "holds", "reservation_id, key, window_start, unit, amount", "text text bigint text bigint"
    ),
    "open": _insert("open_reservations", "id, lease_until", "text bigint"),
    "slab": _insert("slabs", "id, drawn", "text bigint"),
    "append": _insert("entries", ENTRY_COLUMNS, _ENTRY_TYPES),
    "adjust": _insert("adjustments", ADJUSTMENT_COLUMNS, _ADJUSTMENT_TYPES),
    "close": "DELETE FROM {s}.open_reservations WHERE id = ANY(%s)",
    "draw": (
        "UPDATE {s}.slabs s SET drawn = n.drawn "
        "FROM unnest(%s::text[], %s::bigint[]) AS n (id, drawn) WHERE s.id = n.id"
    ),
    "extend": (
        "UPDATE {s}.open_reservations o SET lease_until = n.lease_until "
        "FROM unnest(%s::text[], %s::bigint[]) AS n (id, lease_until) WHERE o.id = n.id"
    ),
    "move": (
        "UPDATE {s}.balances b SET spent = b.spent + n.spent, "
        "reserved = b.reserved + n.reserved, adjusted = b.adjusted + n.adjusted "
        "FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]) "
        "AS n (key, window_start, spent, reserved, adjusted) "
        "WHERE b.key = n.key AND b.window_start = n.window_start"
    ),
    "freeze": "INSERT INTO {s}.frozen SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING",
    "unfreeze": "DELETE FROM {s}.frozen WHERE key = ANY(%s)",
    # What is asked outside of one.
    "overdue": (
        "SELECT id FROM {s}.open_reservations WHERE lease_until < %s ORDER BY lease_until LIMIT %s"
    ),
    "entries_span": "SELECT min(seq), max(seq) FROM {s}.entries WHERE at >= %s AND at < %s",
    "entries": f"{_ENTRIES}WHERE e.seq >= %s AND e.seq <= %s AND e.at >= %s AND e.at < %s "
    "ORDER BY e.seq LIMIT %s",
    "adjustments": (
        f"SELECT {ADJUSTMENT_COLUMNS} FROM {{s}}.adjustments WHERE at >= %s AND at < %s "
        "ORDER BY seq"
    ),
    "decisions": (
        "SELECT id, decision FROM {s}.reservations "
        "WHERE decision IS NOT NULL AND at >= %s AND at < %s"
    ),
    "grades": f"SELECT {GRADE_COLUMNS} FROM {{s}}.grades WHERE at >= %s AND at < %s ORDER BY seq",
    "wrong": """
        WITH held AS (
            SELECT h.key, h.window_start, h.unit, h.reservation_id,
                h.amount - coalesce(s.drawn, 0) AS amount, o.id IS NOT NULL AS is_open
            FROM {s}.holds h LEFT JOIN {s}.slabs s ON s.id = h.reservation_id
            LEFT JOIN {s}.open_reservations o ON o.id = h.reservation_id
        ), ended AS (
            SELECT reservation_id, sum(cost) AS usd, sum(tokens) AS tokens,
                sum(requests) AS requests
            FROM {s}.entries GROUP BY reservation_id
        ), truth AS (
            SELECT held.key, held.window_start,
                sum(CASE WHEN is_open THEN amount ELSE 0 END) AS reserved,
                sum(CASE unit WHEN 'usd' THEN usd WHEN 'tokens' THEN tokens
                    ELSE requests END) AS spent
            FROM held LEFT JOIN ended ON ended.reservation_id = held.reservation_id
            GROUP BY held.key, held.window_start
        ), added AS (
            SELECT key, window_start, sum(amount) AS adjusted FROM {s}.adjustments
            GROUP BY key, window_start
        )
        SELECT count(*)
        FROM (SELECT key, window_start FROM {s}.balances
            UNION SELECT key, window_start FROM {s}.holds
            UNION SELECT key, window_start FROM {s}.adjustments) a
        LEFT JOIN {s}.balances b ON b.key = a.key AND b.window_start = a.window_start
        LEFT JOIN truth t ON t.key = a.key AND t.window_start = a.window_start
        LEFT JOIN added d ON d.key = a.key AND d.window_start = a.window_start
        WHERE coalesce(b.spent, 0) <> coalesce(t.spent, 0)
            OR coalesce(b.reserved, 0) <> coalesce(t.reserved, 0)
            OR coalesce(b.adjusted, 0) <> coalesce(d.adjusted, 0)
    """,
}


def statements(schema: str) -> dict[str, str]:
    """All statements by name, for the tables of this schema."""
    return {name: text.replace("{s}", schema) for name, text in _TEXTS.items()}
