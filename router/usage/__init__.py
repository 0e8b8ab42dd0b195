"""Every provider's usage JSON -> one `Usage`.

Read as it is: whole numbers sent as floats, null or missing details, fields we do not know, parts
that are absent (no cache told is no cache).
Repaired, and then `estimated`: a part that is no count is left out, a fraction is rounded up, and
where a host contradicts itself the dearer reading stands.
Refused, None: no known field, an input or output that is missing or no count (negative, a
boolean, text, NaN), more cached tokens than input where no total explains them.
"""

from __future__ import annotations

from router.usage.counts import merge_usage, parse_usage
from router.usage.shapes import tells_cache, to_openai, usage_in

__all__ = ["merge_usage", "parse_usage", "tells_cache", "to_openai", "usage_in"]
