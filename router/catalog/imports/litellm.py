"""LiteLLM's `model_prices_and_context_window.json` -> catalogue rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from router.catalog.imports.amounts import Amounts
from router.catalog.imports.hosts import litellm_place
from router.catalog.imports.hours import peak_outside
from router.catalog.imports.offer import (
    UNREADABLE,
    Imported,
    Offer,
    Period,
    SkipError,
    limit,
    refuse_zero,
    wanted,
)
from router.catalog.imports.place import place
from router.errors import CatalogError

if TYPE_CHECKING:
    from router.catalog import Catalog

_FIELDS = {
    "input": "input_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "output": "output_cost_per_token",
}
_SERVICES = {"batch": "_batches", "flex": "_flex", "priority": "_priority"}
_TEXT = {"chat", "responses", "completion"}
_NOT_MODELS = {"sample_spec", "fallback_generalizations"}
_CLASSES = re.compile(r"(fireworks-ai|together-ai)-.*(\d+(\.\d+)?b|default)$")
_PRICE = re.compile(r"(^|_)cost(_|$)")
_ALSO = {"input_cost_per_token_cache_hit", "input_cost_per_request", "off_peak_pricing"}
_ALSO |= {"tiered_pricing", "output_cost_per_reasoning_token"}


def from_litellm(
    data: Mapping[str, Any],
    *,
    version: str,
    checked: date,
    existing: Catalog,
    only: Iterable[str] = (),
    since: date | None = None,
) -> Imported:
    """Rows of LiteLLM's price list, `version` of which was read on `checked`.

    It says what holds now: a price counts from `since` (default: `checked`) on. `only` keeps the
    keys that contain one of these. Lay the rows over `existing`, whose endpoints they reprice.

    Raises:
        CatalogError: this is no table of models.
    """
    if not isinstance(data, Mapping):
        raise CatalogError(f"expected LiteLLM's table of models, got {type(data).__name__}")
    amounts, offers, skipped = Amounts(), [], {}
    for key in sorted(data):
        if not wanted(key, only):
            continue
        try:
            offers.append(_offer(key, data[key], amounts))
        except SkipError as why:
            skipped[key] = str(why)
        except UNREADABLE as error:
            skipped[key] = f"unreadable: {error}"
    name = f"litellm {version}"
    return place(offers, skipped, amounts.rounded, name, checked, since or checked, existing)


def _offer(key: str, entry: Any, amounts: Amounts) -> Offer:
    if key in _NOT_MODELS or _CLASSES.fullmatch(key):
        raise SkipError("no model: a template or a class of models")
    if not isinstance(entry, Mapping):
        raise ValueError(f"expected a table, got {type(entry).__name__}")
    mode = entry.get("mode")
    if mode not in _TEXT:
        raise SkipError(f"mode: {mode or 'none stated'}, not text by tokens")
    host, model_id = litellm_place(key, str(entry.get("litellm_provider", "")))
    prices, used = _prices(entry, amounts, model_id)
    periods = (Period(None, prices),)
    if entry.get("off_peak_pricing"):
        if prices.keys() - {"input", "cache_read", "cache_write", "cache_write_1h", "output"}:
            raise SkipError("hours: peak hours beside tiers or service tiers")
        off = {name: entry["off_peak_pricing"].get(field) for name, field in _FIELDS.items()}
        read = {name: amounts.per_token(value) for name, value in off.items() if value is not None}
        both = {"peak": prices, "off_peak": {**prices, **read}}
        periods = (Period(None, both, peak_outside(entry["off_peak_pricing"])),)
    left_out = tuple(
        sorted(f for f in entry if f not in used and _PRICE.search(f) and entry[f] is not None)
    )
    context = limit(entry.get("max_input_tokens"))
    return Offer(
        key=key,
        host=host,
        model_id=model_id,
        periods=periods,
        context_tokens=context,
        max_output_tokens=limit(entry.get("max_output_tokens")),
        tools=entry.get("supports_function_calling") is True,
        json_mode=entry.get("supports_response_schema") is True,
        thinks=entry.get("thinking_always_on") is True,
        chat=mode == "chat",
        retires_on=_day(entry.get("deprecation_date")),
        left_out=left_out,
    )


def _prices(
    entry: Mapping[str, Any], amounts: Amounts, model_id: str
) -> tuple[dict[str, Any], set[str]]:
    """The money fields of a rate row, and the fields of the entry that they were read from."""
    used = set(_ALSO)
    bands = entry.get("tiered_pricing")
    if bands:
        first, *more = sorted(bands, key=lambda band: band["range"][0])
        prices = _set(first, amounts, "", set())
        tiers = [
            {"above_input_tokens": int(band["range"][0]), **_set(band, amounts, "", set())}
            for band in more
        ]
        used |= set(_FIELDS.values())
        reasoning = [(b, b.get("output_cost_per_reasoning_token")) for b in bands]
    else:
        prices = _set(entry, amounts, "", used)
        tiers = _tiers(entry, amounts, prices, "", used, ())
        reasoning = [(entry, entry.get("output_cost_per_reasoning_token"))]
    if not {"input", "output"} <= prices.keys():
        raise SkipError("no price: of input, of output or of both")
    if any(price is not None and price != b["output_cost_per_token"] for b, price in reasoning):
        raise SkipError("reasoning: its tokens cost another price than the rest of the output")
    if entry.get("input_cost_per_request"):
        prices["per_request"] = amounts.plain(entry["input_cost_per_request"])
    refuse_zero(prices, model_id)
    if tiers:
        prices["tiers"] = tiers
    for name, suffix in _SERVICES.items():
        found: set[str] = set()
        service = _set(entry, amounts, suffix, found)
        if {"input", "output"} <= service.keys() and "0" not in service.values():
            above = _tiers(entry, amounts, service, suffix, found, tiers)
            prices[name] = {**service, **({"tiers": above} if above else {})}
            used |= found
    return prices, used


def _set(
    entry: Mapping[str, Any], amounts: Amounts, suffix: str, used: set[str]
) -> dict[str, Any]:
    """The prices that these fields state. A cached price of zero beside a priced input is left
    out: "no fee on top" is as likely meant, and the input price then stands in for it.
    """
    prices: dict[str, Any] = {}
    for name, field in _FIELDS.items():
        price = amounts.per_token(entry.get(field + suffix))
        if price is None or (price == "0" and name.startswith("cache")):
            continue
        used.add(field + suffix)
        prices[name] = price
    return prices


def _tiers(
    entry: Mapping[str, Any],
    amounts: Amounts,
    base: Mapping[str, Any],
    suffix: str,
    used: set[str],
    standard: Iterable[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Tiers by length of input. What one does not state is that of the standard service's
    tier, then the base price: LiteLLM's own order. A cached price that only a tier has is left
    out.
    """
    bounds = {tier["above_input_tokens"]: tier for tier in standard}
    tiers: dict[int, dict[str, Any]] = {}
    for name, field in _FIELDS.items():
        pattern = re.compile(re.escape(field) + r"_above_(\d+)k_tokens" + suffix)
        for other in entry:
            if (match := pattern.fullmatch(other)) and entry[other] is not None:
                bound = int(match[1]) * 1000
                if entry.get("litellm_provider") == "xai":
                    bound -= 1  # LiteLLM's rule: there the threshold itself is dear already
                usual = bounds.get(bound, {})
                start = {price: usual.get(price, base[price]) for price in base}
                tier = tiers.setdefault(bound, {"above_input_tokens": bound, **start})
                if name in base:
                    tier[name] = amounts.per_token(entry[other])
                    used.add(other)
    return [tiers[bound] for bound in sorted(tiers)]


def _day(value: Any) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) and value else None
