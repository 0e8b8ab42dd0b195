"""Answers that were paid for once and are given again: the exact-match response cache.

`ResponseCache` keeps them, `cache_key` says which requests are the same, `storable` which answers
are worth keeping. Whether a request is served from here is the flow's business (`router.recall`).
"""

from router.responses.cache import CacheStats, ResponseCache
from router.responses.gather import Gathered
from router.responses.key import cache_key, tags_read
from router.responses.reply import CachedReply, storable

__all__ = [
    "CacheStats",
    "CachedReply",
    "Gathered",
    "ResponseCache",
    "cache_key",
    "storable",
    "tags_read",
]
