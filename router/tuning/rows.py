"""Rows of a table read back as logged requests, each cell checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from router.errors import ConfigError, RecordError
from router.money import to_pico
from router.record import DecisionRecord
from router.tuning.logged import COLUMNS, Logged, Outcome

NEEDED = ("request_id", "at", "chosen")
"""Columns that a table of logged requests must have."""
MORE = "load(..., tags=[...]) takes columns as tags, ignore=[...] leaves them out"
"""What to do with columns that are not known."""


def logged_rows(rows: Sequence[Mapping[str, Any]], where: str) -> list[Logged]:
    """The requests of rows of `COLUMNS`, oldest first; columns that are missing have defaults.

    A refusal has nothing in `chosen`, and nothing in `served`: nobody answered it.

    Raises:
        ConfigError: the number of the row (from 1), the column, what was expected.
    """
    made, seen = [], dict[str, int]()
    for number, row in enumerate(rows, start=1):
        logged = _logged(row, f"{where}: row {number}")
        if (other := seen.setdefault(logged.request_id, number)) != number:
            raise ConfigError(
                f"{where}: row {number}: request_id {logged.request_id!r} is that of row {other}"
            )
        made.append(logged)
    made.sort(key=lambda logged: logged.at)
    return made


def _logged(row: Mapping[str, Any], where: str) -> Logged:
    def text(name: str) -> str:
        value = row.get(name)
        refused = name == "chosen" and name in row and not row.get("served")
        if name in NEEDED and not value and not refused:
            raise ConfigError(f"{where}: {name}: expected a text, got {value!r}")
        return "" if value is None else str(value)

    unknown = [str(name) for name in row if name not in COLUMNS]
    if unknown:
        raise ConfigError(
            f"{where}: expected {', '.join(COLUMNS)}; got {', '.join(unknown)}; {MORE}"
        )
    propensity = number_of(row.get("propensity"), f"{where}: propensity", default=1.0)
    if not propensity:
        raise ConfigError(f"{where}: propensity: expected above 0 and at most 1, got 0")
    given = row.get("quality")
    return Logged(
        request_id=text("request_id"),
        at=_instant(row.get("at"), f"{where}: at"),
        chosen=text("chosen"),
        propensity=propensity,
        tags=_tags(row.get("tags"), f"{where}: tags"),
        record=_record(row.get("record"), f"{where}: record"),
        served=text("served"),
        policy=text("policy"),
        cost=pico_of(row.get("cost_usd"), f"{where}: cost_usd"),
        quality=None if given is None else number_of(given, f"{where}: quality"),
        quality_by=text("quality_by"),
        seconds=number_of(row.get("seconds"), f"{where}: seconds", default=0.0, most=math.inf),
        outcomes=_outcomes(row.get("outcomes"), f"{where}: outcomes"),
    )


def number_of(
    value: object, where: str, *, default: float | None = None, most: float = 1.0
) -> float:
    """A number from 0 to `most`.

    Raises:
        ConfigError: it is none.
    """
    if value is None and default is not None:
        return default
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        found = math.nan
    if not 0 <= found <= most or math.isinf(found):
        upto = "0 or more" if math.isinf(most) else f"from 0 to {most:g}"
        raise ConfigError(f"{where}: expected a number {upto}, got {value!r}")
    return found


def pico_of(value: object, where: str) -> int | None:
    """Pico-dollars of an amount in USD, None of None. A float of a frame is rounded to them.

    Raises:
        ConfigError: it is no amount, or below 0.
    """
    if value is None:
        return None
    try:
        found = (
            to_pico(f"{value:.12f}") if isinstance(value, float) else to_pico(value)  # type: ignore[arg-type]
        )
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None
    if found < 0:
        raise ConfigError(f"{where}: expected USD, 0 or more, got {value!r}")
    return found


def _instant(value: object, where: str) -> datetime:
    found = value
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            found = None
    if not isinstance(found, datetime) or found.tzinfo is None:
        raise ConfigError(
            f"{where}: expected an instant with its zone, as 2026-11-22T12:00:00+00:00; "
            f"got {value!r}"
        )
    return found


def json_of(value: object, where: str) -> Any:
    """What JSON text says; what is no text stays.

    Raises:
        ConfigError: text that is no JSON.
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: expected JSON: {error}") from None


def _tags(value: object, where: str) -> dict[str, str]:
    found = json_of(value, where)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise ConfigError(f"{where}: expected a JSON object, got {value!r}")
    return {str(name): str(tag) for name, tag in found.items()}


def _record(value: object, where: str) -> DecisionRecord | None:
    if value is None or isinstance(value, DecisionRecord):
        return value
    try:
        return DecisionRecord.from_json(str(value))
    except RecordError as error:
        raise ConfigError(f"{where}: {error}") from None


def _outcomes(value: object, where: str) -> dict[str, Outcome]:
    found = json_of(value, where)
    if found is None:
        return {}
    made = {}
    if not isinstance(found, Mapping):
        raise ConfigError(f"{where}: expected a JSON object, got {value!r}")
    for name, each in found.items():
        if not isinstance(each, Mapping) or not {"score", "cost_usd"} <= each.keys():
            raise ConfigError(f"{where}: {name}: expected score and cost_usd, got {each!r}")
        score = number_of(each["score"], f"{where}: {name}: score")
        cost = pico_of(each["cost_usd"], f"{where}: {name}: cost_usd")
        if cost is None:
            raise ConfigError(f"{where}: {name}: cost_usd: expected USD, got none")
        made[str(name)] = Outcome(score=score, cost=cost)
    return made
