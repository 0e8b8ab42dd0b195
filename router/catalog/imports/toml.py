"""Catalogue rows -> TOML: strings, numbers, booleans, dates, lists and inline tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any


def to_toml(rows: Mapping[str, Iterable[Mapping[str, Any]]], *, head: str = "") -> str:
    """A catalogue file of these tables; `head` becomes the comment on top. Absent values (None)
    are left out.

    Raises:
        TypeError: a value of a kind that no row holds.
    """
    lines = [f"# {line}".rstrip() for line in head.splitlines()]
    for table, found in rows.items():
        for row in found:
            lines += ["", f"[[{table}]]"]
            lines += [f"{toml_key(k)} = {_value(v)}" for k, v in row.items() if v is not None]
    return "\n".join(lines).lstrip("\n") + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return toml_text(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        inner = ", ".join(
            f"{toml_key(k)} = {_value(v)}" for k, v in value.items() if v is not None
        )
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def toml_key(key: str) -> str:
    """A key as TOML has it: bare where it may be."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_text(key)


def toml_text(text: str) -> str:
    """A text as a TOML string."""
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped as well.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
