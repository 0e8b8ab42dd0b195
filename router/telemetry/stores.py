"""What is told of ledgers: lines that come late, what stores did not take, what waits for them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from router.catalog import Candidate, Catalog
from router.errors import RouterError
from router.ledgers import Ledger, Record
from router.ledgers.notices import Action, Late, Notices, layers
from router.telemetry import names
from router.telemetry.gauges import Point, Shower, present, register
from router.telemetry.instruments import Instruments
from router.telemetry.labels import Labels
from router.telemetry.spans import dollars

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

_log = logging.getLogger("router")

showing: WeakSet[Shower] = WeakSet()

_RAISED: dict[str, tuple[str, Action]] = {
    "reserve": ("reserve", "refused"),
    "balances": ("balances", "refused"),
    "settle": ("settle", "unsettled"),
    "release": ("release", "unsettled"),
    "warned": ("warn", "skipped"),
    "post": ("post", "lost"),
    "graded": ("grade", "lost"),
}
"""What it means that an effect ended in an error: the ledger did nothing about it."""
_BEGUN: tuple[tuple[str, Action], ...] = (
    ("balances", "refused"),
    ("balances", "remembered"),
    ("reserve", "refused"),
    ("reserve", "admitted"),
    ("settle", "kept"),
    ("settle", "unsettled"),
    ("release", "kept"),
    ("write", "kept"),
    ("write", "lost"),
    ("post", "rejected"),
    ("post", "lost"),
    ("grade", "lost"),
    ("close", "filed"),
    ("close", "lost"),
)
"""Shown as 0 from the beginning: of a counter that begins at 1 PromQL sees no increase."""


class Stores(Shower):
    """Watches the ledger of one client: `instruments` answers None while nobody listens."""

    def __init__(self, instruments: Callable[[], Instruments | None], labels: Labels) -> None:
        super().__init__()
        self.waiting: list[Any] = []
        """What tells of calls that wait for its store, by `waiting()`."""
        self._instruments, self._labels = instruments, labels
        self._candidate: Callable[[str], Candidate | None] = lambda _: None

    def watch(
        self, ledger: Ledger, catalog: Callable[[], Catalog], now: Callable[[], datetime]
    ) -> None:
        """Watch this ledger and those that it stands before."""

        def candidate(name: str) -> Candidate | None:
            try:
                return catalog().candidate(name, at=now())
            except RouterError:  # another process called it, with a catalogue of its own
                return None

        self._candidate, self.waiting = candidate, []
        showing.add(self)
        for layer in layers(ledger):
            if isinstance(notices := getattr(layer, "notices", None), Notices):
                notices.add(self)
            if callable(getattr(layer, "waiting", None)):
                self.waiting.append(layer)

    def begin(self, meter: Meter) -> None:
        """Make the gauges, and the counters of failures with what they begin with."""
        register(meter, names.LEDGERS, [_together])
        for operation, action in _BEGUN:
            self.failed(operation, action, 0)

    def tells(self, record: Record) -> int:
        """See `router.ledgers.notices.Watcher`."""
        return self._labels.shown(record.tags)

    def late(self, lines: Sequence[Late]) -> None:
        """See `router.ledgers.notices.Watcher`."""
        try:
            if (instruments := self._instruments()) is None:
                return
            for line in lines:
                labels = self._labels.late(line.record, self._candidate(line.record.candidate))
                counter = instruments.expired if line.amount > 0 else instruments.corrected
                counter.add(dollars(abs(line.amount)), labels)
        except Exception:
            _log.warning("telemetry could not count what was booked late", exc_info=True)

    def failed(self, operation: str, action: Action, calls: int = 1) -> None:
        """See `router.ledgers.notices.Watcher`."""
        try:
            if (instruments := self._instruments()) is None:
                return
            labels = {names.LEDGER_OPERATION: operation, names.LEDGER_ACTION: action}
            instruments.ledger_failures.add(calls, labels)
        except Exception:
            _log.warning("telemetry could not count a failure of the ledger", exc_info=True)

    def raised(self, operation: str, sent: bool) -> None:
        """An effect of a request (its name in lower case) ended in an error of the ledger; `sent`:
        after a host was called.
        """
        name, action = _RAISED.get(operation, (operation, "lost"))
        self.failed(name, "skipped" if sent and name == "balances" else action)

    def points(self, short: str) -> Iterable[Point]:  # noqa: ARG002
        """Nothing of its own: a ledger may be another client's as well."""
        return ()

    def __str__(self) -> str:
        return "ledgers"


class _Together(Shower):
    """The ledgers of all clients in the process, each once."""

    def points(self, short: str) -> Iterable[Point]:
        """The points of one of `names.LEDGERS`; none where there is no client."""
        found = [one for one in present(showing) if isinstance(one, Stores)]
        told = [_told(one) for one in {id(one): one for o in found for one in o.waiting}.values()]
        if found and short == "calls":
            yield {}, sum(calls for calls, _ in told)
        elif found:
            yield {}, dollars(sum(pico for _, pico in told))

    def __str__(self) -> str:
        return "ledgers"


def _told(layer: Any) -> tuple[int, int]:
    try:
        calls, pico = layer.waiting()
        return int(calls), int(pico)
    except Exception:  # a ledger of one's own, whose `waiting` is something else
        _log.debug("telemetry could not read what waits in %r", type(layer), exc_info=True)
        return 0, 0


_together = _Together()
