"""A thread that asks replicas how they are, about once a second while calls are made.

It asks `/health` and `/metrics`, and `/models` of a replica that has not said what it serves; with
the help of a few threads that end with its turn, so that one that hangs delays no other.
Whatever goes wrong is a reading, never an error: nothing here raises, and no call waits for it.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, Self

from router._locks import watch
from router.transports.discovery import read_models
from router.transports.vllm.metrics import read_metrics
from router.transports.vllm.replica import Reading

if TYPE_CHECKING:
    from router.transports.vllm.pool import Pool

_log = logging.getLogger("router")
_TIMEOUT = 2.0
"""Seconds for a page; a server under load answers late, and only the third silence in a row
counts."""
_LONG = 3 * _TIMEOUT
"""Seconds after which a replica that is still being asked was silent."""
_PATIENCE = 1.0
"""Seconds for which a turn waits for answers: those that come later count when they come."""
_AT_ONCE = 16
"""Replicas that are asked at the same time."""
_IDLE = 10.0
"""Seconds without a call after which it sleeps."""
_LONGEST = 4_000_000
"""Bytes that are read of an answer."""
_ILL = 500
"""A status of `/health` from which on a server, or a proxy before it, takes no calls. Any other
means that it is there: not all have such a page."""
_NONE = frozenset({404, 405, 501})
"""No such page: Ollama has no metrics, llama.cpp none without `--metrics`."""


_Asked = tuple["Pool", str]


class Get(Protocol):
    """A GET: status and text, or None when no whole answer came in time.

    Raises OSError when nothing listens there.
    """

    def __call__(self, url: str, headers: Mapping[str, str]) -> tuple[int, str] | None: ...


class Watcher:
    """Keeps the pools of several replicas up to date; those of a single one only with `always`.

    `headers` go to a host's replicas (its key, say), by host; `clock` tells monotonic seconds.
    The thread begins with the first `touch`, sleeps when no calls are made, and ends with `close`
    or with its watcher.
    """

    def __init__(
        self,
        pools: Iterable[Pool],
        *,
        clock: Callable[[], float],
        headers: Mapping[str, Mapping[str, str]] | None = None,
        interval: float = 1.0,
        always: bool = False,
        get: Get | None = None,
    ) -> None:
        self._pools = tuple(pool for pool in pools if always or len(pool.urls) > 1)
        self._clock = clock
        self._headers = headers or {}
        self._interval = interval
        self._get = get
        self._mute: set[str] = set()
        self._asking: dict[_Asked, float] = {}
        self._broken: BaseException | None = None
        self._news = threading.Event()
        self._touched = float("-inf")
        self._thread: threading.Thread | None = None
        self._wake, self._stop = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        watch(self)

    def touch(self) -> None:
        """A call is being made: poll for a while. Costs next to nothing."""
        if not self._pools or self._stop.is_set():
            return
        self._touched = self._clock()
        if not self._wake.is_set():
            self._wake.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None and not self._stop.is_set():
                    self._start()

    def close(self) -> None:
        """Stop the thread and wait for it shortly. Idempotent."""
        self._stop.set()
        self._wake.set()
        self._news.set()
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(_TIMEOUT)

    def poll(self, get: Get, patience: float = _PATIENCE) -> None:
        """Ask every replica that is due, once; go on without those that take long to answer."""
        began, left = time.monotonic(), deque[_Asked]()
        for pool in self._pools:
            for one in [(pool, url) for url in pool.due()]:
                if began - self._asking.setdefault(one, began) > _LONG:
                    pool.polled(one[1], Reading(silent=True))
                elif self._asking[one] == began:
                    left.append(one)
        mine = set(left)
        for _ in range(min(_AT_ONCE, len(left))):
            thread = threading.Thread(
                target=self._work, args=(left, get), name="centroute-poll", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # no more threads are to be had
                self._work(left, get)
                break
        while any(one in self._asking for one in mine) and not self._stop.is_set():
            if self._broken or not self._news.wait(began + patience - time.monotonic()):
                break
            self._news.clear()
        with suppress(IndexError):
            while True:
                del self._asking[left.popleft()]
        if self._broken is not None:
            raise self._broken

    def turn(self, get: Get) -> tuple[threading.Event, float]:
        """Poll, if calls are made; what to wait for until the next turn, and how many seconds."""
        if self._quiet():
            self._wake.clear()
            if self._quiet():  # no call began while it was cleared
                return self._wake, 60.0
            self._wake.set()
        self.poll(self._get or get)
        return self._stop, self._interval

    def before_fork(self) -> None:
        """Let nothing be half started in the child."""
        self._lock.acquire()

    def after_fork(self, *, in_child: bool) -> None:
        """The child has no such thread; its own begins with its first call."""
        if in_child:
            stopped, self._thread = self._stop.is_set(), None
            self._wake, self._stop, self._news = (threading.Event() for _ in range(3))
            self._asking = {}
            if stopped:
                self._stop.set()
        self._lock.release()

    def _quiet(self) -> bool:
        if self._clock() - self._touched <= _IDLE:
            return False
        return not any(pool.in_flight() for pool in self._pools)

    def _start(self) -> None:
        ref = weakref.ref(self)
        thread = threading.Thread(target=_run, args=(ref,), name="centroute-watcher", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending, or no thread is to be had
            return
        self._thread = thread

    def _work(self, left: deque[_Asked], get: Get) -> None:
        stop, news, asking = self._stop, self._news, self._asking
        while not stop.is_set():
            try:
                pool, url = one = left.popleft()
            except IndexError:
                return
            try:
                reading = self._ask(pool, url, self._headers.get(pool.host, {}), get)
                if not stop.is_set() and (pool.polled(url, reading) or reading.refused):
                    self._mute.discard(url)
            except BaseException as error:  # noqa: BLE001  # the watcher's thread tells it
                self._broken = None if stop.is_set() else error
            finally:
                del asking[one]
                news.set()

    def _ask(self, pool: Pool, url: str, headers: Mapping[str, str], get: Get) -> Reading:
        root, ours = url.removesuffix("/v1"), pool.in_flight(url)
        try:
            health = get(f"{root}/health", headers)
            if health is None:
                return Reading(silent=True)
            if health[0] >= _ILL:
                return Reading(ready=False, ours=ours)
            told = None if url in self._mute else get(f"{root}/metrics", headers)
            models = None if pool.knows_models(url) else get(f"{url}/models", headers)
        except OSError:
            return Reading(refused=True)
        if told is not None and told[0] in _NONE:
            self._mute.add(url)
        return Reading(
            metrics=read_metrics(told[1]) if told is not None and told[0] == 200 else None,
            models=_models(models),
            ours=ours,
        )


def look_once(
    pools: Iterable[Pool],
    headers: Mapping[str, Mapping[str, str]],
    *,
    clock: Callable[[], float],
) -> None:
    """Ask every replica once, those of pools of one, too: how it is, and how it caches."""
    asked = tuple(pools)
    if asked:
        watcher = Watcher(asked, clock=clock, headers=headers, always=True)
        with _Http() as http:
            watcher.poll(http.get, _LONG)
            watcher.close()


def _run(ref: weakref.ref[Watcher]) -> None:
    """The thread. It holds its watcher only while it works, so that one may be collected."""
    try:
        with _Http() as http:
            while (watcher := ref()) is not None and not watcher._stop.is_set():
                event, seconds = watcher.turn(http.get)
                del watcher
                event.wait(seconds)
    except Exception:  # noqa: BLE001  # calls go on without it
        _log.warning("replicas are not polled any more", exc_info=True)


def _models(answer: tuple[int, str] | None) -> frozenset[str] | None:
    if answer is None or answer[0] != 200:
        return None
    try:
        return frozenset(read_models(json.loads(answer[1])))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


class _Http:
    """A connection pool of the thread's own."""

    def __init__(self) -> None:
        import httpx

        self._client = httpx.Client(timeout=_TIMEOUT)
        self._refused, self._failed = httpx.ConnectError, (httpx.HTTPError, httpx.InvalidURL)

    def get(self, url: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """See `Get`."""
        until = time.monotonic() + _TIMEOUT
        try:
            with self._client.stream("GET", url, headers=dict(headers)) as response:
                content = bytearray()
                for piece in response.iter_bytes():
                    content += piece
                    if time.monotonic() > until:
                        return None
                    if len(content) > _LONGEST:
                        break
                return response.status_code, content.decode("utf-8", "replace")
        except self._refused as error:
            raise ConnectionError(type(error).__name__) from None
        except self._failed:
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
