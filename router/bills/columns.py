"""A bill of no known form, by the names of its columns."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from router.bills.lines import Kind
from router.bills.shapes import Cells, Number, Part, Row, Shape

_ROLES: dict[str, tuple[str, ...]] = {
    "day": ("day", "date", "usage_date", "utc_date", "datum", "at", "created_at", "timestamp"),
    "model": ("model", "model_name", "modell", "modelname"),
    "kind": ("kind", "token_type"),
    "tokens": ("tokens", "quantity"),
    "input_tokens": ("input_tokens", "prompt_tokens"),
    "fresh_tokens": ("fresh_tokens", "uncached_input_tokens", "cache_miss_tokens"),
    "cache_read_tokens": ("cache_read_tokens", "cached_tokens", "cache_hit_tokens"),
    "cache_write_tokens": ("cache_write_tokens",),
    "output_tokens": ("output_tokens", "completion_tokens"),
    "requests": ("requests", "request_count", "calls"),
    "amount": ("amount", "amount_usd", "cost", "cost_usd", "total_cost", "betrag", "usd"),
    "currency": ("currency", "waehrung"),
    "nature": ("nature", "charge_category"),
    "key": ("key_name", "api_key_name"),
    "id": ("id", "request_id", "invoice_line"),
}
_MADE_OF: dict[str, Kind] = {
    "input": "input", "fresh": "input", "cache_read": "cache_read", "cached": "cache_read",
    "cache_write": "cache_write", "cache_write_1h": "cache_write_1h", "output": "output",
    "request": "request", "requests": "request", "": "all", "all": "all", "total": "all",
}  # fmt: skip


def generic(header: list[str], columns: Mapping[str, str] | None) -> Shape | None:
    """A shape of named columns: those given (role -> column) and those with well-known names.

    Roles are day, model, kind and tokens (one kind a row) or input_tokens (cached ones
    included), fresh_tokens, cache_read_tokens, cache_write_tokens and output_tokens; requests,
    amount, currency, nature, key (its name), id. None where there is no day, or no figure.

    Raises:
        ValueError: a role that is none, or a column that is not there.
    """
    at = {name.lower(): name.lower() for name in header}
    found: dict[str, str] = {}
    for role, column in (columns or {}).items():
        if role not in _ROLES:
            raise ValueError(f"columns: expected roles {', '.join(_ROLES)}; got {role!r}")
        if column.lower() not in at:
            raise ValueError(f"columns: expected one of {', '.join(header)}; got {column!r}")
        found[role] = column.lower()
    for role, names in _ROLES.items():
        if role not in found and (name := next((n for n in names if n in at), None)):
            found[role] = name
    figures = {"amount", "tokens", "input_tokens", "fresh_tokens", "output_tokens"}
    if "day" not in found or not found.keys() & figures:
        return None
    numeric = [found[r] for r in found if r.endswith(("tokens", "amount", "requests"))]
    return Shape(
        "columns as named", "", "named by you" if columns else "well-known names of columns",
        frozenset(found.values()), lambda cells, number: _generic(cells, number, found),
        tuple(numeric),
        found.get("amount", ""),
        tuple(n for n in _ROLES["amount"] if n in at and n not in found.values())
        if "amount" not in (columns or {}) else (),
    )  # fmt: skip


def _generic(cells: Cells, number: Number, at: Mapping[str, str]) -> Row:
    def figure(role: str) -> Decimal | None:
        return number(at[role]) if role in at else None

    def text(role: str) -> str:
        return cells.get(at[role], "").strip() if role in at else ""

    nature: Any = text("nature").lower() or "usage"
    if nature not in {"usage", "tax", "credit", "other"}:
        raise ValueError(f"nature: expected usage, tax, credit or other; got {nature[:40]!r}")
    parts: list[Part] = []
    if "tokens" in at or "kind" in at:
        said = text("kind").lower().removesuffix("_tokens").removesuffix(" tokens")
        kind = _MADE_OF.get(said)
        if kind is None:
            raise ValueError(f"kind: expected one of {', '.join(_MADE_OF)}; got {said[:40]!r}")
        parts.append(Part(kind, figure("tokens"), figure("requests"), figure("amount"), nature))
    else:
        parts.append(Part("all", None, figure("requests"), figure("amount"), nature))
        fresh, read = figure("fresh_tokens"), figure("cache_read_tokens")
        total, write = figure("input_tokens"), figure("cache_write_tokens")
        if fresh is None and total is not None:
            fresh = total - (read or 0) - (write or 0)
        told: dict[Kind, Decimal | None] = {
            "input": fresh,
            "cache_read": read,
            "cache_write": write,
            "output": figure("output_tokens"),
        }
        parts += [Part(kind, tokens=n) for kind, n in told.items() if n is not None]
    return Row(text("day"), text("model"), tuple(parts), text("currency"), text("key"), text("id"))
