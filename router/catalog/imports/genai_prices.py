"""genai-prices' `prices/data.json` -> catalogue rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from router.catalog.imports.amounts import Amounts
from router.catalog.imports.genai_periods import periods
from router.catalog.imports.hosts import genai_host
from router.catalog.imports.offer import UNREADABLE, Imported, Offer, SkipError, limit, wanted
from router.catalog.imports.place import place
from router.errors import CatalogError

if TYPE_CHECKING:
    from router.catalog import Catalog

Test = Callable[[str], bool]


def from_genai_prices(
    data: Sequence[Mapping[str, Any]] | Mapping[str, Any],
    *,
    version: str,
    checked: date,
    existing: Catalog,
    only: Iterable[str] = (),
    since: date | None = None,
) -> Imported:
    """Rows of genai-prices' list of providers, `version` of which was read on `checked`.

    Prices with a start date keep it; others count from `since` (default: `checked`) on. `only`
    keeps the keys (provider/model) that contain one of these. Lay the rows over `existing`.

    Raises:
        CatalogError: this is no list of providers with models, each with its id.
    """
    providers = data.get("providers") if isinstance(data, Mapping) else data
    if not _listed(providers) or not all(_listed(p.get("models", ())) for p in providers or ()):
        raise CatalogError("expected genai-prices' list of providers with models, each with an id")
    assert providers is not None
    amounts, offers, skipped = Amounts(), [], {}
    for provider in providers:
        host = genai_host(provider["id"])
        for model in provider.get("models", ()):
            key = f"{provider['id']}/{model['id']}"
            if not wanted(key, only):
                continue
            try:
                offers.append(_offer(key, host, model, amounts))
            except SkipError as why:
                skipped[key] = str(why)
            except UNREADABLE as error:
                skipped[key] = f"unreadable: {error}"
    name = f"genai-prices {version}"
    return place(offers, skipped, amounts.rounded, name, checked, since or checked, existing)


def _listed(found: Any) -> bool:
    return isinstance(found, list | tuple) and all(
        isinstance(one, Mapping) and isinstance(one.get("id"), str) for one in found
    )


def _offer(key: str, host: str, model: Mapping[str, Any], amounts: Amounts) -> Offer:
    found, left_out = periods(model, amounts)
    return Offer(
        key=key,
        host=host,
        model_id=model["id"],
        periods=found,
        context_tokens=limit(model.get("context_window")),
        # The first entry that accepts an id prices it: `place` asks them in this order.
        accepts=clause(model.get("match") or {"equals": model["id"]}),
        left_out=left_out,
    )


def clause(given: Mapping[str, Any]) -> Test:
    """A test of ids (lower case) for a clause such as `{"starts_with": "gpt-5"}`.

    Raises:
        ValueError: no clause that we know.
    """
    ((kind, value),) = given.items()
    if kind in {"or", "and"}:
        parts = [clause(part) for part in value]
        every = all if kind == "and" else any
        return lambda text: every(part(text) for part in parts)
    wanted = str(value)
    if kind == "regex":
        try:
            pattern = re.compile(wanted)
        except re.error as error:
            raise ValueError(f"expected a regular expression, got {wanted!r}: {error}") from None
        return lambda text: pattern.search(text) is not None
    tests: dict[str, Test] = {
        "equals": lambda text: text == wanted,
        "starts_with": lambda text: text.startswith(wanted),
        "ends_with": lambda text: text.endswith(wanted),
        "contains": lambda text: wanted in text,
    }
    if kind not in tests:
        raise ValueError(f"expected a clause such as equals or contains, got {kind!r}")
    return tests[kind]
