"""Budget warnings by HTTP: a listener for `Client(on_warning=...)`.

The URL of a webhook is a secret, as are its headers: no error, log or repr shows more of it than
scheme, host and port.
"""

from __future__ import annotations

import atexit
import json
import logging
import math
import os
import random
import threading
import time
import uuid
import weakref
from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from router._locks import forkable
from router.budgets.warning import BudgetWarning
from router.errors import ConfigError

_log = logging.getLogger("router")

_MOST = 100
"""Warnings that wait to be sent; what comes beyond is dropped, and logged."""
_LONGEST_TIMEOUT = 60.0
_MOST_RETRIES = 10
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 30.0
_AT_EXIT = 5.0
"""Seconds that the end of the process waits, for all webhooks together."""


class Webhook:
    """POSTs each budget warning as JSON to a URL; a request neither waits for it nor fails.

    The body has `type` ("budget_warning"), `id`, `budget`, `unit`, `share`, `spent` and `limit`
    (as text: exact), `window_start` and `resets_at` (ISO 8601), and `text`, which chat tools show.
    `timeout` (seconds) is for each step of a try: connecting, writing, reading. Lost connections,
    429 and 5xx are tried again, `retries` times; redirects are not followed. The end of the
    process waits a few seconds for what is not sent yet. `transport` sends instead of httpx's own.

    Raises:
        ConfigError: no http(s) URL, or a setting that makes no sense.

    >>> from router import Budget, Client
    >>> from router.webhook import Webhook
    >>> hook = Webhook("https://chat.example/hooks/0123")
    >>> client = Client(budgets=Budget("5", "day", warn=(0.8, 1.0)), on_warning=hook)
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._where = _checked_url(url)
        _check_numbers(timeout, retries)
        self._url, self._headers = url, _checked_headers(headers)
        self._timeout, self._retries = float(timeout), retries
        self._given = transport
        self._waiting: deque[bytes] = deque()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._closed = False
        self._lock = forkable(self)
        _hooks.add(self)

    def __repr__(self) -> str:
        return f"Webhook({self._where!r})"

    def __call__(self, warning: BudgetWarning) -> None:
        """Hand a warning over to be sent. Returns at once and never raises."""
        try:
            refused = self._take(_body(warning))
        except Exception as error:  # noqa: BLE001 - a warning must not cost an answer
            refused = type(error).__name__
        if refused:
            self._failed(refused)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all is sent or given up, at most so many seconds; whether it is."""
        with self._lock:
            self._after_fork()
            thread = self._thread
        if thread is not None:
            thread.join(max(0.0, timeout))
        with self._lock:
            return self._thread is None

    def close(self, timeout: float = 5.0) -> None:
        """`flush`, then drop and log what is left and what comes later. Idempotent."""
        self.flush(timeout)
        with self._lock:
            self._closed = True
            left = len(self._waiting)
            self._waiting.clear()
        if left:
            self._failed(f"closed, {left} warnings were left")
        if self._given is not None:
            self._given.close()

    def _take(self, body: bytes) -> str:
        """Queue a body and see that a thread sends it; else why not."""
        with self._lock:
            self._after_fork()
            if self._closed:
                return "it is closed"
            if len(self._waiting) >= _MOST:
                return f"{_MOST} warnings wait already"
            self._waiting.append(body)
            if self._thread is None:
                # It lasts as long as there is something to send: nothing is left to be stopped.
                thread = threading.Thread(target=self._work, name="centroute-webhook", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is shutting down
                    self._waiting.pop()
                    raise
                self._thread = thread
        return ""

    def _after_fork(self) -> None:
        """In a forked child the thread is gone, and what waits is the parent's to send."""
        if self._pid != os.getpid():
            self._pid, self._thread = os.getpid(), None
            self._waiting.clear()

    def _work(self) -> None:
        transport: httpx.BaseTransport | None = self._given
        try:
            while True:
                with self._lock:
                    if not self._waiting:
                        self._thread = None
                        return
                    body = self._waiting.popleft()
                try:
                    if transport is None:
                        transport = httpx.HTTPTransport(proxy=_proxy(self._url))
                    why = self._sent(transport, body)
                except Exception as error:  # noqa: BLE001 - the next one may be sent
                    why = type(error).__name__  # what it says may hold the URL
                if why:
                    self._failed(why)
        finally:
            if transport is not None and transport is not self._given:
                transport.close()

    def _sent(self, transport: httpx.BaseTransport, body: bytes) -> str:
        """Send one body, as often as it takes; else why it was given up."""
        for attempt in range(self._retries + 1):
            asked = 0.0
            try:
                response = transport.handle_request(self._request(body))
            except httpx.TransportError as error:
                why = type(error).__name__
            else:
                response.close()  # what it says does not matter
                status = response.status_code
                if 200 <= status < 300:
                    return ""
                why = f"HTTP {status}"
                if status != 429 and status < 500:
                    return why
                asked = _seconds(response.headers.get("Retry-After", ""))
            if attempt == self._retries or self._closed:
                break
            delay = _FIRST_DELAY * 2**attempt * random.uniform(0.5, 1.0)  # noqa: S311
            time.sleep(min(_LONGEST_DELAY, max(delay, asked)))
        return f"{why}, {attempt + 1} tries"

    def _request(self, body: bytes) -> httpx.Request:
        # Not through httpx.Client: it logs whole URLs.
        url = httpx.URL(self._url)
        request = httpx.Request(
            "POST",
            url.copy_with(username=None, password=None),
            headers={"Content-Type": "application/json", "User-Agent": "centroute"}
            | self._headers,
            content=body,
            extensions={"timeout": httpx.Timeout(self._timeout).as_dict()},
        )
        if url.username or url.password:
            next(httpx.BasicAuth(url.username, url.password).auth_flow(request))
        return request

    def _failed(self, why: str) -> None:
        _log.warning("a budget warning was not sent to the webhook at %s: %s", self._where, why)


_hooks: weakref.WeakSet[Webhook] = weakref.WeakSet()


def _flush_all() -> None:
    end = time.monotonic() + _AT_EXIT
    for hook in list(_hooks):
        hook.flush(end - time.monotonic())


atexit.register(_flush_all)


def _body(warning: BudgetWarning) -> bytes:
    ends = warning.resets_at
    said = {
        "type": "budget_warning",
        "id": uuid.uuid4().hex,  # the same in each try, for receivers that want each once
        "budget": warning.budget,
        "unit": warning.unit,
        "share": warning.share,
        "spent": _exact(warning.spent),
        "limit": _exact(warning.limit),
        "window_start": warning.window_start.isoformat(),
        "resets_at": None if ends is None else ends.isoformat(),
        "text": str(warning),
    }
    return json.dumps(said).encode()


def _exact(amount: Decimal | int) -> str:
    return f"{amount:f}" if isinstance(amount, Decimal) else str(amount)


def _checked_url(url: object) -> str:
    """Scheme, host and port of a URL; ConfigError, which shows nothing of it, if it is none."""
    try:
        if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError
        parts = urlsplit(url)
        port = parts.port
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        parts, port = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError("Webhook url: expected an address such as https://chat.example/hooks/1")
    return f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port else "")


def _checked_headers(headers: object) -> dict[str, str]:
    if headers is None:
        return {}
    if isinstance(headers, Mapping) and all(
        isinstance(text, str) and text.isascii() and text.isprintable()
        for item in headers.items()
        for text in item
    ):
        return dict(headers)
    raise ConfigError("Webhook headers: expected a dict of printable ASCII texts by name")


def _check_numbers(timeout: object, retries: object) -> None:
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not (is_number and 0 < timeout <= _LONGEST_TIMEOUT):  # type: ignore[operator]
        raise ConfigError(
            f"Webhook timeout: expected seconds above 0, at most {_LONGEST_TIMEOUT:.0f}; "
            f"got {timeout!r}"
        )
    whole = isinstance(retries, int) and not isinstance(retries, bool)
    if not (whole and 0 <= retries <= _MOST_RETRIES):  # type: ignore[operator]
        raise ConfigError(
            f"Webhook retries: expected a whole number from 0 to {_MOST_RETRIES}, got {retries!r}"
        )


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for this URL."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    known = getproxies()
    return known.get(parts.scheme) or known.get("all")


def _seconds(text: str) -> float:
    """The seconds of a Retry-After; 0 where it is a date, or nonsense."""
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0
