"""Price lists of other projects -> rows for `Catalog.overlay`. Pure: files are read elsewhere."""

from __future__ import annotations

from router.catalog.imports.genai_prices import from_genai_prices
from router.catalog.imports.litellm import from_litellm
from router.catalog.imports.offer import Imported

__all__ = ["Imported", "from_genai_prices", "from_litellm"]
