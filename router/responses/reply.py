"""A kept answer as a value, as text for a store, and which answers are worth keeping. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from router.transports.shape import shaped
from router.types import Usage

FORMAT = "response/1"
"""Of kept answers, and part of every key: with another one, nothing old is found."""

_WHOLE = frozenset({"stop", "tool_calls", None})
_TEXTS = ("candidate", "model", "mode", "host", "rates_id")
_COUNTS = frozenset(Usage.__dataclass_fields__) - {"estimated", "reported_cost"}


class TamperedError(ValueError):
    """What the store holds is not what was put there. It says what, never the content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedReply:
    """An answer as it was given, who gave it, and what it took: `cost` in pico-dollars.

    `body` is the host's JSON, `at` when it was kept (aware UTC). `cost` is None where the price
    was not known; `quality` is P(correct) as it was forecast, or the verifier's grade.
    """

    body: Mapping[str, Any]
    usage: Usage
    candidate: str
    model: str
    mode: str
    host: str
    cost: int | None
    rates_id: str
    finish_reason: str | None
    at: datetime
    quality: float = 0.0


def storable(
    body: Mapping[str, Any],
    finish_reason: str | None,
    usage: Usage | None,
    *,
    grade: float | None = None,
    wants_json: bool = False,
) -> bool:
    """Whether an answer is worth giving again: whole, not empty, not found wrong, and counted.

    `grade` is the verifier's, from 0 to 1 (None: nobody judged). With `wants_json` the text must
    be JSON: an asker who tries again after a broken one must not get it again.
    """
    if finish_reason not in _WHOLE or usage is None or not usage.output_tokens:
        return False
    if grade is not None and grade < 0.5:
        return False
    choices = body.get("choices")
    message = choices[0].get("message") if isinstance(choices, list) and choices else None
    if not isinstance(message, Mapping):
        return False
    text = message.get("content")
    if message.get("tool_calls"):
        return True
    return bool(text) and isinstance(text, str) and (not wants_json or _is_json(text))


def encode(reply: CachedReply, key: str) -> bytes:
    """The answer as JSON text that `decode` turns into an equal one.

    Raises:
        TypeError, ValueError, RecursionError: the body is no JSON.
    """
    row = asdict(reply) | {"at": reply.at.astimezone(UTC).isoformat(), "body": dict(reply.body)}
    return json.dumps({"format": FORMAT, "key": key, "reply": row}).encode()


def decode(content: object, key: str) -> CachedReply:
    """The answer in such a text, if it was kept under this key.

    Raises:
        TamperedError: it is anything else; nothing in it is believed.
    """
    if not isinstance(content, bytes):
        raise TamperedError("a row that is no text of ours")
    try:
        held = json.loads(content)
        row = held["reply"] if (held["format"], held["key"]) == (FORMAT, key) else None
        if row is None:
            raise TamperedError("a row of another key or format")
        kept = CachedReply(
            body=shaped(row["body"], "message"),
            usage=_usage(row["usage"]),
            **{name: _text(row[name]) for name in _TEXTS},
            cost=None if row["cost"] is None else _count(row["cost"]),
            finish_reason=None if row["finish_reason"] is None else _text(row["finish_reason"]),
            at=_instant(row["at"]),
            quality=_share(row["quality"]),
        )
        if not storable(kept.body, kept.finish_reason, kept.usage):
            raise TamperedError("a row with an answer that is not whole")
    except TamperedError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise TamperedError(f"a row that does not read as ours ({type(error).__name__})") from None
    return kept


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _usage(row: Mapping[str, Any]) -> Usage:
    if type(row["estimated"]) is not bool:
        raise TypeError
    cost = row["reported_cost"]
    return Usage(
        estimated=row["estimated"],
        reported_cost=None if cost is None else _count(cost),
        **{name: _count(row[name]) for name in _COUNTS},
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise TypeError
    return value


def _share(value: object) -> float:
    if type(value) not in {int, float} or not 0.0 <= float(value) <= 1.0:  # type: ignore[arg-type]
        raise TypeError
    return float(value)  # type: ignore[arg-type]


def _instant(value: object) -> datetime:
    at = datetime.fromisoformat(_text(value))
    if at.tzinfo is None:
        raise ValueError
    return at.astimezone(UTC)
