"""Conditional prices of genai-prices -> dated periods, with peak hours where they have some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from router.catalog.imports.amounts import Amounts
from router.catalog.imports.hours import daily
from router.catalog.imports.offer import Period, SkipError, refuse_zero

_FIELDS = {
    "input": "input_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "output": "output_mtok",
}
_SERVICES = {
    "batch": ("processing", "batch"),
    "flex": ("service_tier", "flex"),
    "priority": ("service_tier", "priority"),
}
_CONDITIONS = [{key: value} for key, value in _SERVICES.values()]
_EPOCH = date(1970, 1, 1)


def periods(
    model: Mapping[str, Any], amounts: Amounts
) -> tuple[tuple[Period, ...], tuple[str, ...]]:
    """The periods of a model, and the names of prices that rows have no field for.

    A later price goes before an earlier one, as in genai-prices, whatever its condition.

    Raises:
        SkipError: no price, a price of zero, or conditions that a row cannot say.
    """
    listed = model["prices"]
    if isinstance(listed, Mapping):
        listed = [{"prices": listed}]
    if not listed:
        raise SkipError("no price: of input, of output or of both")
    days = sorted({_day_of(one) or _EPOCH for one in listed if not _hours_of(one)})
    if not days:
        raise SkipError("hours: prices for some hours only")
    variants = [v for v in model.get("price_variants") or () if v["when"] in _CONDITIONS]
    days = sorted({*days, *(day for v in variants if (day := _day_of(v)) and day > days[0])})
    found = [_period(model, listed, day, amounts) for day in days]
    return tuple(found), _left_out(model, [one["prices"] for one in listed])


def _day_of(one: Mapping[str, Any]) -> date | None:
    text = (one.get("constraint") or {}).get("start_date")
    return date.fromisoformat(text) if isinstance(text, str) else text


def _hours_of(one: Mapping[str, Any]) -> tuple[time, time] | None:
    constraint = one.get("constraint") or {}
    if "start_time" not in constraint:
        return None
    return _time(constraint["start_time"]), _time(constraint["end_time"])


def _time(value: Any) -> time:
    """A time of the day in UTC; one without an offset is in UTC."""
    at = value if isinstance(value, time) else time.fromisoformat(value)
    if at.tzinfo is None:
        return at
    return datetime.combine(_EPOCH, at).astimezone(UTC).time()


def _period(
    model: Mapping[str, Any],
    listed: Sequence[Mapping[str, Any]],
    day: date,
    amounts: Amounts,
) -> Period:
    """The prices in force from this day on: the last that applies, and hours listed after it."""
    start = None if day == _EPOCH else day
    place, flat = _last_flat(listed, day)
    later = [one for one in listed[place + 1 :] if _hours_of(one)]
    prices = _set(flat, model["id"], amounts)
    if not later:
        return Period(start, prices | _services(model, flat, day, amounts))
    windows = [hours for one in later if (hours := _hours_of(one))]
    dear = [one["prices"] for one in later]
    if any(other != dear[0] for other in dear):
        raise SkipError("hours: more than two prices a day")
    peak = _set(dear[0], model["id"], amounts)
    if any("tiers" in one or "per_request" in one for one in (prices, peak)):
        raise SkipError("hours: peak hours beside tiers or a price per request")
    return Period(start, {"peak": peak, "off_peak": prices}, daily(windows))


def _last_flat(listed: Sequence[Mapping[str, Any]], day: date) -> tuple[int, Mapping[str, Any]]:
    found = [
        (i, one["prices"])
        for i, one in enumerate(listed)
        if not _hours_of(one) and (_day_of(one) or _EPOCH) <= day
    ]
    return found[-1]


def _set(prices: Mapping[str, Any], model_id: str, amounts: Amounts) -> dict[str, Any]:
    """The money fields of a rate row."""
    plain: dict[str, Any] = {}
    above: dict[int, dict[str, Any]] = {}
    for name, field in _FIELDS.items():
        value = prices.get(field)
        base = value["base"] if isinstance(value, Mapping) else value
        price = amounts.plain(base)
        if price is None or (price == "0" and name.startswith("cache")):
            continue  # a cached price of zero: the input price stands in for it
        plain[name] = price
        for tier in value["tiers"] if isinstance(value, Mapping) else ():
            above.setdefault(tier["start"], {})[name] = amounts.plain(tier["price"])
    if not {"input", "output"} <= plain.keys():
        raise SkipError("no price: of input, of output or of both")
    if prices.get("requests_kcount"):
        plain["per_request"] = amounts.per_thousand(prices["requests_kcount"])
    refuse_zero(plain, model_id)
    reasoning = prices.get("output_reasoning_mtok")
    if reasoning is not None and amounts.plain(reasoning) != plain["output"]:
        raise SkipError("reasoning: its tokens cost another price than the rest of the output")
    tiers, last = [], {name: plain[name] for name in _FIELDS if name in plain}
    for bound in sorted(above):
        last = {**last, **above[bound]}
        tiers.append({"above_input_tokens": bound, **last})
    if tiers:
        plain["tiers"] = tiers
    return plain


def _services(
    model: Mapping[str, Any], flat: Mapping[str, Any], day: date, amounts: Amounts
) -> dict[str, Any]:
    """Service tiers: variants for one condition, over the standard prices."""
    found: dict[str, Any] = {}
    for name, (condition, value) in _SERVICES.items():
        for variant in model.get("price_variants") or ():
            applies = variant["when"] == {condition: value} and not _hours_of(variant)
            if applies and variant["prices"] and (_day_of(variant) or _EPOCH) <= day:
                try:
                    prices = _set({**flat, **variant["prices"]}, model["id"], amounts)
                except SkipError:
                    break
                prices.pop("per_request", None)
                found[name] = prices
                break
    return found


def _left_out(model: Mapping[str, Any], listed: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    held = {*_FIELDS.values(), "requests_kcount", "output_reasoning_mtok"}
    names = {name for prices in listed for name in prices} - held
    for variant in model.get("price_variants") or ():
        if variant["when"] not in _CONDITIONS and variant["prices"]:
            names |= {f"{key}={value}" for key, value in variant["when"].items()}
    return tuple(sorted(names))
