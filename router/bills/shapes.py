"""The forms that hosts export bills in, recognised by their headers.

`seen` says what a form rests on. None was exported by us; headers and values of DeepSeek, OpenAI,
Anthropic and OpenRouter are as several public programs that read real exports have them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from router.bills.figures import instant_or_day
from router.bills.lines import Kind, Nature

_QUOTED = "seen in programs that read real exports"
_DESCRIBED = "described by its documentation only"


class Part(NamedTuple):
    """One charge in a row, as numbers in the file's own currency."""

    kind: Kind
    tokens: Decimal | None = None
    requests: Decimal | None = None
    amount: Decimal | None = None
    nature: Nature = "usage"


class Row(NamedTuple):
    """What a shape reads out of a row. `when` is the text of its day or instant."""

    when: str
    model: str
    parts: tuple[Part, ...]
    currency: str = ""
    key: str = ""
    ident: str = ""
    host: str = ""


Cells: TypeAlias = Mapping[str, str]
Number: TypeAlias = Callable[[str], Decimal | None]
"""The number in a column of this row, None where the cell is empty or the column is not there."""
Reader: TypeAlias = Callable[[Cells, Number], Row]


@dataclass(frozen=True, slots=True)
class Shape:
    """A form: columns that it must have (in lower case), its host, and how a row is read."""

    name: str
    host: str
    seen: str
    needs: frozenset[str]
    read: Reader
    numbers: tuple[str, ...]
    money: str = ""
    """The column of amounts, where these are not worked out of prices."""
    beside: tuple[str, ...] = ()
    """Other columns that could have been meant."""


_DEEPSEEK: dict[str, Kind] = {
    "input_cache_hit_tokens": "cache_read",
    "input_cache_miss_tokens": "input",
    "input_tokens": "input",
    "output_tokens": "output",
}
_ANTHROPIC: dict[str, Kind] = {
    "input_no_cache": "input",
    "input_cache_read": "cache_read",
    "input_cache_write_5m": "cache_write",
    "input_cache_write_1h": "cache_write_1h",
    "output": "output",
}
_ANTHROPIC_USAGE: tuple[tuple[str, Kind], ...] = (
    ("usage_input_tokens_no_cache", "input"),
    ("usage_input_tokens_cache_read", "cache_read"),
    ("usage_input_tokens_cache_write_5m", "cache_write"),
    ("usage_input_tokens_cache_write_1h", "cache_write_1h"),
    ("usage_output_tokens", "output"),
)
_OPENAI: tuple[tuple[str, Kind], ...] = (
    (", cached input", "cache_read"),
    (", cache write", "cache_write"),
    (", input", "input"),
    (", output", "output"),
)
_UNIT = re.compile(r"([\d,.]*)\s*(k|thousand|m|million|)\b")
_LONGEST_DAY = timedelta(hours=25)
_TIMES = {"": 1, "k": 1_000, "thousand": 1_000, "m": 10**6, "million": 10**6}


def _deepseek_amount(cells: Cells, number: Number) -> Row:
    what = cells["type"].strip().lower()
    amount, price = number("amount"), number("price")
    if what == "request_count":
        part = Part("request", requests=amount)
    elif what in _DEEPSEEK:
        cost = None if price is None or amount is None else price * amount
        part = Part(_DEEPSEEK[what], tokens=amount, amount=cost)
    else:
        raise ValueError(f"type: expected one of {', '.join(_DEEPSEEK)}, got {what[:40]!r}")
    when = cells.get("start_time_iso") or cells.get("utc_date", "")
    return Row(when, cells["model"], (part,), key=cells.get("api_key_name", ""))


def _deepseek_cost(cells: Cells, number: Number) -> Row:
    when = cells.get("start_time_iso") or cells.get("utc_date", "")
    part = Part("all", amount=number("cost"))
    return Row(when, cells["model"], (part,), currency=cells["currency"])


def _openai(cells: Cells, number: Number) -> Row:
    item, amount = cells.get("line_item", "").strip(), number("amount_value")
    when = cells.get("start_time_iso") or cells["start_time"]
    currency = cells.get("amount_currency", "")
    if amount is None:
        return Row(when, "", (), currency)  # a day without charges
    for ending, kind in _OPENAI:
        if item.lower().endswith(ending):
            part = Part(kind, tokens=number("quantity"), amount=amount)
            return Row(when, item[: -len(ending)], (part,), currency)
    nature: Nature = "other" if item else "usage"  # tools and the like, or a sum of a day
    return Row(when, "", (Part("all", amount=amount, nature=nature),), currency)


def _anthropic_cost(cells: Cells, number: Number) -> Row:
    kind = _ANTHROPIC.get(cells["token_type"].strip())
    nature: Nature = "usage" if kind else "other"
    part = Part(kind or "all", amount=number("cost_usd"), nature=nature)
    key = cells.get("api_key", "")
    return Row(cells["usage_date_utc"], cells["model"], (part,), key=key)


def _anthropic_usage(cells: Cells, number: Number) -> Row:
    parts = [Part(kind, tokens=number(column)) for column, kind in _ANTHROPIC_USAGE]
    key = cells.get("api_key", "")
    return Row(cells["usage_date_utc"], cells["model_version"], tuple(parts), key=key)


def _inclusive(
    total: Decimal | None, read: Decimal | None, output: Decimal | None
) -> tuple[Part, ...]:
    """Parts of counts in which cached tokens are part of the input."""
    parts: list[Part] = []
    if total is not None and read is not None:
        parts += [Part("input", tokens=total - read), Part("cache_read", tokens=read)]
    elif total is not None:  # which of it was cached nobody says
        parts.append(Part("all", tokens=total))
    if output is not None:
        parts.append(Part("output", tokens=output))
    return tuple(parts)


def _openrouter_rows(cells: Cells, number: Number) -> Row:
    parts = _inclusive(
        number("tokens_prompt"), number("tokens_cached"), number("tokens_completion")
    )
    each = Part("all", requests=Decimal(1), amount=number("cost_total"))
    model, ident = cells["model_permaslug"], cells["generation_id"]
    key = cells.get("api_key_name", "")
    when = cells["created_at"].strip()
    if re.fullmatch(r"[\d-]+[ T][\d:.]+", when):
        when += "+00:00"  # OpenRouter's instants are UTC, and say so nowhere in the file
    return Row(when, model, (each, *parts), key=key, ident=ident)


def _openrouter_days(cells: Cells, number: Number) -> Row:
    model = cells.get("slug") or cells.get("model_permaslug") or cells.get("model", "")
    prompt, output = (
        number(a) if number(a) is not None else number(b)
        for a, b in (
            ("prompt tokens", "prompt_tokens"),
            ("completion tokens", "completion_tokens"),
        )
    )
    each = Part("all", requests=number("requests"), amount=number("usage"))
    return Row(cells["date"], model, (each, *_inclusive(prompt, None, output)))


def _focus(cells: Cells, number: Number) -> Row:
    meters = ("x_skumetername", "skumeter", "skuid", "chargedescription", "resourcename")
    words = [cells.get(column, "").strip() for column in meters]
    said = " ".join(words)
    category = cells.get("chargecategory", "Usage").strip().lower()
    nature: Nature = (
        "usage"
        if category in {"usage", ""}
        else "tax"
        if category == "tax"
        else "credit"
        if category in {"credit", "adjustment"}
        else "other"
    )
    unit = cells.get("consumedunit", "").strip().lower()
    worth = _unit_of(unit)
    counted = "token" in unit or (worth > 1 and "token" in said.lower())
    if nature == "usage" and not counted and "token" not in said.lower():
        service = cells.get("servicecategory", "").strip().lower()
        if service and "machine learning" not in service:
            nature = "other"  # machines, storage: all of an account may be in one file
    tokens = number("consumedquantity") if counted else None
    if tokens is not None and worth > 1:
        near = (tokens * worth).to_integral_value()  # quantities come out of floats there
        tokens = near if abs(tokens * worth - near) * 1000 <= 1 else tokens * worth
    part = Part(_kind_in(said), tokens=tokens, amount=number("billedcost"), nature=nature)
    model = cells.get("x_model") or next(filter(None, words), "")
    currency, host = cells.get("billingcurrency", ""), cells.get("x_host", "").strip()
    when = _middle(cells["chargeperiodstart"], cells.get("chargeperiodend", ""))
    return Row(when, model, (part,), currency, host=host)


def _middle(start: str, end: str) -> str:
    """The middle of a period of at most a day: of a day that begins at 23:00 UTC, that day."""
    try:
        first, last = instant_or_day(start), instant_or_day(end)
    except ValueError:
        return start
    if not (isinstance(first, datetime) and isinstance(last, datetime)):
        return start
    if (first.tzinfo is None) != (last.tzinfo is None):
        return start
    span = last - first
    return (first + span / 2).isoformat() if timedelta() < span <= _LONGEST_DAY else start


def _unit_of(unit: str) -> int:
    """How many a unit such as "1K", "1000 Tokens" or "1M Tokens" is of."""
    found = _UNIT.match(unit)
    if found is None:
        return 1
    digits = re.sub(r"[,.]", "", found[1])
    return max(1, int(digits[:10] or 1)) * _TIMES[found[2]]


def _kind_in(said: str) -> Kind:
    words = set(re.findall(r"[a-z]+", said.lower()))
    if words & {"cached", "cchd", "cache"} and not words & {"write"}:
        return "cache_read"
    if words & {"outp", "opt", "out", "output", "completion"}:
        return "output"
    if words & {"inp", "input", "prompt"}:
        return "input"
    return "all"


def _shape(name: str, host: str, seen: str, needs: str, numbers: str, read: Reader) -> Shape:
    columns = tuple(numbers.split(","))
    money = "" if columns[0] == "price" else columns[0]
    return Shape(name, host, seen, frozenset(needs.split()), read, columns, money)


SHAPES: tuple[Shape, ...] = (
    _shape(
        "DeepSeek usage, amount-*.csv", "deepseek", _QUOTED,
        "model type price amount", "price,amount", _deepseek_amount,
    ),
    _shape(
        "DeepSeek usage, cost-*.csv", "deepseek", _QUOTED,
        "model wallet_type cost currency", "cost", _deepseek_cost,
    ),
    _shape(
        "OpenAI costs", "openai", _QUOTED,
        "start_time amount_value amount_currency", "amount_value,quantity", _openai,
    ),
    _shape(
        "Anthropic costs", "anthropic", _QUOTED,
        "usage_date_utc model token_type cost_usd", "cost_usd", _anthropic_cost,
    ),
    _shape(
        "Anthropic usage", "anthropic", _QUOTED,
        "usage_date_utc model_version usage_input_tokens_no_cache usage_output_tokens",
        "usage_input_tokens_no_cache,usage_output_tokens", _anthropic_usage,
    ),
    _shape(
        "OpenRouter activity, one line a request", "openrouter", _QUOTED,
        "generation_id created_at cost_total model_permaslug", "cost_total", _openrouter_rows,
    ),
    Shape(
        "OpenRouter activity, by day", "openrouter", _QUOTED,
        frozenset({"date", "usage", "requests"}), _openrouter_days, ("usage",), "usage",
    ),
    _shape(
        "FOCUS cost export", "", _DESCRIBED,
        "billedcost billingcurrency chargeperiodstart", "billedcost,consumedquantity", _focus,
    ),
)  # fmt: skip
