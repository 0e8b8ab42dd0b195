"""Transports: the only place where a request leaves the process (or is looked up instead)."""

from router.transports.base import (
    AsyncByKind,
    AsyncSource,
    AsyncTransport,
    ByKind,
    Source,
    Transport,
)

__all__ = ["AsyncByKind", "AsyncSource", "AsyncTransport", "ByKind", "Source", "Transport"]
