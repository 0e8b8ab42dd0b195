"""Models x hosts: rates by instant, limits, modes, aliases. Data in `data/*.toml`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from router.catalog.candidate import Candidate
from router.catalog.catalog import Catalog
from router.catalog.lines import Line
from router.catalog.rates import Rates

if TYPE_CHECKING:
    from router.catalog.schema import Endpoint, Host, Model

__all__ = ["Candidate", "Catalog", "Endpoint", "Host", "Line", "Model", "Rates"]


def __getattr__(name: str) -> Any:
    # The row classes are pydantic models; pydantic is loaded when they are first needed.
    if name in {"Endpoint", "Host", "Model"}:
        from router.catalog import schema

        return getattr(schema, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
