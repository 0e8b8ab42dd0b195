"""Budgets in files: a small TOML file holds one table for each."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from router.budgets.budget import Budget
from router.errors import InvalidBudgetError
from router.money import to_usd

_KEYS = (
    "name",
    "limit",
    "tokens",
    "requests",
    "window",
    "scope",
    "tz",
    "hard",
    "warn",
    "quantile",
)
_EXAMPLE = '[[budget]] with a limit, such as limit = "5.00" and window = "day"'


def load_budgets(path: str | Path) -> tuple[Budget, ...]:
    """The budgets of a TOML file, in its order; keys are the arguments of `Budget`::

        [[budget]]
        limit = "5.00"
        window = "day"
        tz = "Europe/Berlin"
        scope = { team = "acme/*" }
        warn = [0.8, 1.0]

    Raises:
        InvalidBudgetError: not readable, not TOML, no table, an unknown key, or a value that makes
            no sense; names the file, the table (from 1) and the key.
    """
    try:
        tables: dict[str, Any] = tomllib.loads(Path(path).expanduser().read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidBudgetError(f"{path}: expected TOML: {error}") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        why = getattr(error, "strerror", None) or error
        raise InvalidBudgetError(f"{path}: expected a readable TOML file: {why}") from None
    rows = tables.pop("budget", None)
    if tables:
        raise InvalidBudgetError(f"{path}: expected {_EXAMPLE}; got the key {min(tables)!r}")
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows) or not rows:
        raise InvalidBudgetError(f"{path}: expected one or more tables {_EXAMPLE}")
    return tuple(_budget(row, f"{path}: [[budget]] {i}") for i, row in enumerate(rows, start=1))


def dump_budgets(budgets: Iterable[Budget]) -> str:
    """TOML text that `load_budgets` reads as the same budgets; what is a default is left out."""
    return "\n".join(_table(budget) for budget in budgets)


def _budget(row: Mapping[str, Any], where: str) -> Budget:
    if unknown := sorted(row.keys() - set(_KEYS)):
        raise InvalidBudgetError(
            f"{where}: unknown key {unknown[0]!r}; expected {', '.join(_KEYS)}"
        )
    try:
        return Budget(**row)
    except InvalidBudgetError as error:
        raise InvalidBudgetError(f"{where}: {error}") from None


def _table(budget: Budget) -> str:
    given = {
        "name": budget.name if budget.name != budget.words else "",
        "limit": None if budget.limit_pico is None else _amount(budget.limit_pico),
        "tokens": budget.tokens,
        "requests": budget.requests,
        "window": budget.window,
        "scope": dict(budget.scope),
        "tz": budget.tz,
        "hard": budget.hard,
        "warn": list(budget.warn),
        "quantile": budget.quantile,
    }
    usual = {"name": "", "window": "total", "scope": {}, "tz": "UTC", "hard": True, "warn": []}
    lines = [f"{key} = {_toml(given[key])}\n" for key in _KEYS if given[key] != usual.get(key)]
    return "[[budget]]\n" + "".join(lines)


def _amount(pico: int) -> str:
    whole, decimals = f"{to_usd(pico):f}".split(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def _toml(value: object) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{_toml_key(k)} = {_toml(v)}" for k, v in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for one character that TOML wants escaped as well.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml(key)
