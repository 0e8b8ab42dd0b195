"""Values of a catalogue file: instants, amounts, hours; each with the form that a file has."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from router.money import to_pico

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Row(BaseModel):
    """A row, or a table inside one: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _instant(value: Any) -> Any:
    """An aware UTC instant; a bare date is its midnight in UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(
                f"expected an instant such as 2026-08-16T16:00:00Z, got {value!r}"
            ) from None
        if value.tzinfo is None and value.time() == time():
            return value.replace(tzinfo=UTC)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(
                f"expected an instant with its offset, such as {value.isoformat()}Z, got none"
            )
        return value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value


def _amount(value: Any) -> int:
    """Whole 1e-12 parts of a currency unit, of an amount written as a string."""
    if isinstance(value, float):
        raise ValueError(f'write rates as strings, "{value!r}" not {value!r}: floats lose cents')
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(
            "expected USD per million tokens (or the currency of the row) as a string such as "
            f'"0.28", got {value!r}'
        )
    pico = to_pico(value)
    if pico < 0:
        raise ValueError(f"expected a rate of zero or more, got {value!r}")
    return pico


def _hours(value: Any) -> Any:
    """Minutes of the day of a span such as "09:00-12:00": start inclusive, end exclusive."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d\d):(\d\d)-(\d\d):(\d\d)", value)
    if not match:
        raise ValueError(f'expected hours such as "09:00-12:00", got {value!r}')
    h1, m1, h2, m2 = map(int, match.groups())
    start, end = h1 * 60 + m1, h2 * 60 + m2
    if m1 > 59 or m2 > 59 or not 0 <= start < end <= 24 * 60:
        raise ValueError(
            f"expected a start before its end within one day (at most 24:00), got {value!r}; "
            "write hours across midnight as two spans"
        )
    return start, end


# The JSON Schema describes what is written in a file, not what it is read into.
_DATE = {"type": "string", "format": "date"}
_INSTANT = {"anyOf": [{"type": "string", "format": "date-time"}, _DATE]}
_AMOUNT = {
    "anyOf": [
        {"type": "string", "pattern": r"^\d+(\.\d+)?([eE][+-]?\d+)?$"},
        {"type": "integer", "minimum": 0},
    ]
}
_HOURS = {"type": "string", "pattern": r"^\d\d:\d\d-\d\d:\d\d$"}

Instant = Annotated[datetime, BeforeValidator(_instant), WithJsonSchema(_INSTANT)]
Amount = Annotated[int, BeforeValidator(_amount), WithJsonSchema(_AMOUNT)]
Hours = Annotated[tuple[int, int], BeforeValidator(_hours), WithJsonSchema(_HOURS)]
HostName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
EndpointName = Annotated[str, Field(pattern=r"^[^@]+@[^@]+$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
"""ISO 4217."""
Tokens = Annotated[int, Field(gt=0)]
