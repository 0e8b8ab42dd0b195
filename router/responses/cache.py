"""The response cache: a file of answers, used by many threads and processes at once.

It never costs an answer: whatever goes wrong in it is a miss, and one warning for each cause.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from router._clock import utcnow
from router._locks import watch
from router.errors import ConfigError
from router.responses.directory import check_directory, make_private
from router.responses.reply import CachedReply, TamperedError, decode, encode

if TYPE_CHECKING:
    from router.responses.disk import PlainCache

_log = logging.getLogger("router")
_FILE = "cache.db"
_REST = 10.0
"""Seconds for which a store that failed is left alone, so that not each request waits for it."""
_GRACE = timedelta(days=1)
"""A row is deleted so long after its time to live, by the machine's clock; ours may be another."""
_LARGEST = 1 / 8
"""Of the size limit: a larger answer would drive out too many others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """What this object has done since it was made; `entries` and `size_bytes` are the file's.

    `failures` counts rows that were not ours and calls that the store refused.
    """

    hits: int = 0
    misses: int = 0
    stored: int = 0
    failures: int = 0
    entries: int = 0
    size_bytes: int = 0


class ResponseCache:
    """Answers to requests seen before, in the directory `path` (mode 0700, made or made so).

    `ttl` is in seconds, or a timedelta: older answers are not given. `size_limit` is in bytes
    (at least 1 MiB): beyond it the answers stored first go first. `streams_with_tools` says that
    streams which may call tools are cached, too. `now` is the clock, aware, UTC. It is opened when
    first used; threads, processes and forked children may share it.

    Raises:
        ConfigError: a setting that makes no sense; a directory that others can write into, or
            look into where it holds more than a cache.

    >>> from router.responses import ResponseCache
    >>> ResponseCache("answers", ttl=3600).ttl
    datetime.timedelta(seconds=3600)
    """

    def __init__(
        self,
        path: str | Path,
        *,
        ttl: float | timedelta = 86400.0,
        size_limit: int = 256 * 2**20,
        streams_with_tools: bool = False,
        now: Callable[[], datetime] = utcnow,
    ) -> None:
        if not isinstance(path, (str, Path)) or not str(path):
            raise ConfigError(f"cache: expected the path of a directory, got {path!r}")
        self.path = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100
        self.ttl = _span(ttl)
        if type(size_limit) is not int or not 2**20 <= size_limit < 2**63:
            raise ConfigError(f"cache size_limit: expected at least 1 MiB, got {size_limit!r}")
        self.size_limit = size_limit
        self.streams_with_tools = bool(streams_with_tools)
        self._now = now
        self._store: PlainCache | None = None
        self._rests_until = -math.inf
        self._warned: set[str] = set()
        self._hits = self._misses = self._stored = self._failures = 0
        self._lock = threading.RLock()
        check_directory(self.path, _FILE)
        watch(self)

    def get(self, key: str) -> CachedReply | None:
        """The answer kept under this key; None when there is none, or it is too old."""
        reply: CachedReply | None = None
        with self._lock:
            with self._guarded(key) as store:
                if store is not None and (content := store.get(key)) is not None:
                    reply = self._fresh(store, key, decode(content, key))
            self._hits += reply is not None
            self._misses += reply is None
        return reply

    def put(self, key: str, reply: CachedReply) -> None:
        """Keep an answer; one that is no JSON or too large is left out."""
        try:
            content = encode(reply, key)
        except (TypeError, ValueError, RecursionError):
            return
        if len(content) > self.size_limit * _LARGEST:
            return
        with self._lock, self._guarded(None) as store:
            if store is not None:
                store.set(key, content, expire=(self.ttl + _GRACE).total_seconds())
                self._stored += 1

    def clear(self) -> None:
        """Forget all answers."""
        with self._lock, self._guarded(None) as store:
            if store is not None:
                store.clear()

    def stats(self) -> CacheStats:
        """Hits, misses and failures of this object, entries and size of the file."""
        entries = size = 0
        with self._lock:
            with self._guarded(None) as store:
                if store is not None:
                    entries, size = len(store), store.volume()
            return CacheStats(
                hits=self._hits,
                misses=self._misses,
                stored=self._stored,
                failures=self._failures,
                entries=entries,
                size_bytes=size,
            )

    def close(self) -> None:
        """Let go of the file; further calls open it again."""
        with self._lock:
            store, self._store = self._store, None
            self._rests_until = -math.inf
            if store is not None:
                store.close()

    def _fresh(self, store: PlainCache, key: str, reply: CachedReply) -> CachedReply | None:
        if timedelta(0) <= self._now() - reply.at < self.ttl:
            return reply
        store.delete(key)
        return None

    @contextmanager
    def _guarded(self, key: str | None) -> Iterator[PlainCache | None]:
        """The store, None while it rests; its errors end here, the row of `key` goes if bad."""
        store = self._opened()
        try:
            yield store
        except TamperedError as error:
            self._failed(str(error), "it was left out")
            if key is not None and store is not None:
                with suppress(Exception):
                    store.delete(key)
        except Exception as error:  # noqa: BLE001 - a cache never costs an answer
            self._rest(error)

    def _opened(self) -> PlainCache | None:
        if time.monotonic() < self._rests_until:
            return None
        if self._store is None:
            try:
                from router.responses.disk import PlainCache

                database = make_private(self.path, _FILE)
                self._store = PlainCache(database, size_limit=self.size_limit)
            except Exception as error:  # noqa: BLE001 - a cache never costs an answer
                self._rest(error)
        return self._store

    def _rest(self, error: Exception) -> None:
        self._rests_until = time.monotonic() + _REST
        self._failed(_cause(error), f"the cache rests for {_REST:g} s")

    def _failed(self, cause: str, then: str) -> None:
        self._failures += 1
        if cause not in self._warned:
            self._warned.add(cause)
            _log.warning("response cache %s: %s; %s", self.path, cause, then)

    def before_fork(self) -> None:
        """Close the file: SQLite's locks do not survive a fork, so no child may inherit it."""
        self._lock.acquire()
        with suppress(Exception):
            self.close()

    def after_fork(self, *, in_child: bool) -> None:  # noqa: ARG002 - it has no threads
        """Go on."""
        self._lock.release()


def _span(ttl: float | timedelta) -> timedelta:
    try:
        span = ttl if isinstance(ttl, timedelta) else timedelta(seconds=ttl)
        bad = isinstance(ttl, bool) or not timedelta(0) < span <= timedelta(days=36500)
    except (TypeError, ValueError, OverflowError):
        bad = True
    if bad:
        raise ConfigError(f"cache ttl: expected seconds above 0 or a timedelta, got {ttl!r}")
    return span


def _cause(error: Exception) -> str:
    """What went wrong, in words without content: SQLite's own may name what a row holds."""
    if isinstance(error, ConfigError):
        return str(error)
    if (code := getattr(error, "sqlite_errorname", None)) is not None:
        return f"{type(error).__name__} ({code})"
    if isinstance(error, OSError):
        return f"{type(error).__name__} ({error.strerror})"
    return type(error).__name__
