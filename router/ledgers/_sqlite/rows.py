"""Between rows in SQLite and the values of `router.ledgers`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from router.ledgers.entries import Adjustment, Entry, Grade, Record
from router.types import Usage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_LATER = ("forecast_cache_read_tokens", "cache_lost_tokens", "cache_lost_to")
"""Fields of a record that older rows lack; 0 and "" are left out."""

ENTRY_COLUMNS = (
    "kind, at, reservation_id, cost, overage, input_tokens, cache_read_tokens, "
    "cache_write_tokens, output_tokens, reasoning_tokens, estimated, outcome, finish_reason, "
    "seconds, cache_write_1h_tokens, reported_cost, tokens, requests, saved, rates_id"
)
ENTRY_SELECT = (
    f"SELECT e.{ENTRY_COLUMNS.replace(', ', ', e.')}, r.record, r.amount "
    "FROM entries e JOIN reservations r ON r.id = e.reservation_id"
)
ADJUSTMENT_COLUMNS = "id, kind, at, key, window_start, unit, amount, by_whom, why, budget"
ADJUSTMENT_SELECT = f"SELECT {ADJUSTMENT_COLUMNS} FROM adjustments"
DECISIONS = (
    "SELECT id, decision FROM reservations WHERE decision IS NOT NULL AND at >= ? AND at < ?"
)
GRADE_COLUMNS = "request_id, candidate, score, by_whom, at"
GRADE_SELECT = f"SELECT {GRADE_COLUMNS} FROM grades"

WRONG_ACCOUNTS = """
    WITH held AS (
        SELECT h.key, h.window_start, h.unit, h.reservation_id,
            coalesce(h.amount, r.amount) - coalesce(s.drawn, 0) AS amount,
            o.id IS NOT NULL AS is_open
        FROM holds h JOIN reservations r ON r.id = h.reservation_id
        LEFT JOIN slabs s ON s.id = h.reservation_id
        LEFT JOIN open_reservations o ON o.id = h.reservation_id
    ), ended AS (
        SELECT reservation_id, sum(cost) AS usd, sum(tokens) AS tokens, sum(requests) AS requests
        FROM entries GROUP BY reservation_id
    ), truth AS (
        SELECT held.key, held.window_start, sum(iif(is_open, amount, 0)) AS reserved,
            sum(CASE unit WHEN 'usd' THEN usd WHEN 'tokens' THEN tokens ELSE requests END) AS spent
        FROM held LEFT JOIN ended ON ended.reservation_id = held.reservation_id
        GROUP BY held.key, held.window_start
    ), added AS (
        SELECT key, window_start, sum(amount) AS adjusted FROM adjustments
        GROUP BY key, window_start
    )
    SELECT a.key, a.window_start
    FROM (SELECT key, window_start FROM balances UNION SELECT key, window_start FROM holds
        UNION SELECT key, window_start FROM adjustments) a
    LEFT JOIN balances b ON b.key = a.key AND b.window_start = a.window_start
    LEFT JOIN truth t ON t.key = a.key AND t.window_start = a.window_start
    LEFT JOIN added d ON d.key = a.key AND d.window_start = a.window_start
    WHERE coalesce(b.spent, 0) <> coalesce(t.spent, 0)
        OR coalesce(b.reserved, 0) <> coalesce(t.reserved, 0)
        OR coalesce(b.adjusted, 0) <> coalesce(d.adjusted, 0)
"""
"""Accounts whose running totals differ from what entries, open reservations and adjustments add
up to."""


def micros(instant: datetime) -> int:
    """An aware instant as microseconds since 1970, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(value: int) -> datetime:
    """The aware UTC instant of `micros`."""
    return _EPOCH + value * _MICROSECOND


def record_text(record: Record) -> str:
    """A record as JSON; what has its default is left out."""
    row: dict[str, Any] = {
        "request_id": record.request_id,
        "candidate": record.candidate,
        "model": record.model,
        "mode": record.mode,
        "host": record.host,
        "policy": record.policy,
        "rates_id": record.rates_id,
        "forecast_cost": record.forecast_cost,
        "forecast_cost_p90": record.forecast_cost_p90,
        "forecast_output_tokens": record.forecast_output_tokens,
        "forecast_quality": record.forecast_quality,
    }
    if record.tags:
        row["tags"] = dict(record.tags)
    if record.propensity != 1.0:
        row["propensity"] = record.propensity
    for name in _LATER:
        if value := getattr(record, name):
            row[name] = value
    return json.dumps(row)


def record_from(text: str) -> Record:
    """The record of such a text."""
    return Record(**json.loads(text))


def entry_row(entry: Entry) -> tuple[Any, ...]:
    """An entry as the values of `ENTRY_COLUMNS`."""
    usage = entry.usage
    return (
        entry.kind,
        micros(entry.at),
        entry.reservation_id,
        entry.cost,
        entry.overage,
        usage.input_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        int(usage.estimated),
        entry.outcome,
        entry.finish_reason,
        entry.seconds,
        usage.cache_write_1h_tokens,
        usage.reported_cost,
        entry.tokens,
        entry.requests,
        entry.saved,
        entry.rates_id,
    )


def entry_from(row: tuple[Any, ...]) -> Entry:
    """An entry from a row of `ENTRY_SELECT`."""
    kind, at, rid, cost, overage, inp, read, write, out, reasoning, estimated, *rest = row
    outcome, finish_reason, seconds, hour, reported, tokens, requests, saved, *joined = rest
    rates_id, text, amount = joined
    record = record_from(text)
    return Entry(
        kind=kind,
        at=from_micros(at),
        reservation_id=rid,
        record=record,
        usage=Usage(
            input_tokens=inp,
            cache_read_tokens=read,
            cache_write_tokens=write,
            output_tokens=out,
            reasoning_tokens=reasoning,
            estimated=bool(estimated),
            cache_write_1h_tokens=hour,
            reported_cost=reported,
        ),
        cost=cost,
        reserved=amount,
        overage=overage,
        outcome=outcome,
        finish_reason=finish_reason,
        seconds=seconds,
        tokens=tokens,
        requests=requests,
        saved=saved,
        rates_id=record.rates_id if rates_id is None else rates_id,  # older rows have none
    )


def adjustment_row(adjustment: Adjustment) -> tuple[Any, ...]:
    """An adjustment as the values of `ADJUSTMENT_COLUMNS`."""
    return (
        adjustment.id,
        adjustment.kind,
        micros(adjustment.at),
        adjustment.key,
        micros(adjustment.window_start),
        adjustment.unit,
        adjustment.amount,
        adjustment.by,
        adjustment.why,
        adjustment.budget,
    )


def adjustment_from(row: tuple[Any, ...]) -> Adjustment:
    """An adjustment from a row of `ADJUSTMENT_COLUMNS`."""
    id_, kind, at, key, start, unit, amount, by, why, budget = row
    return Adjustment(
        id=id_,
        kind=kind,
        at=from_micros(at),
        key=key,
        window_start=from_micros(start),
        unit=unit,
        amount=amount,
        by=by,
        why=why,
        budget=budget,
    )


def grade_row(grade: Grade) -> tuple[Any, ...]:
    """A grade as the values of `GRADE_COLUMNS`."""
    return grade.request_id, grade.candidate, float(grade.score), grade.by, micros(grade.at)


def grade_from(row: tuple[Any, ...]) -> Grade:
    """A grade from a row of `GRADE_SELECT`."""
    request_id, candidate, score, by, at = row
    return Grade(
        request_id=request_id, candidate=candidate, score=score, by=by, at=from_micros(at)
    )


def own_ids(request_id: str) -> tuple[str, str]:
    """The least id that a reservation of this request can have, and the first one above all."""
    return f"{request_id}/", f"{request_id}0"
