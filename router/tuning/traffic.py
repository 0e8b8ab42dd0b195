"""Traffic: what was asked, who was chosen with what chance, what it cost, how good it was."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from numbers import Number
from typing import Any, overload

from router.errors import ConfigError
from router.money import format_usd, to_usd
from router.tuning.logged import COLUMNS, Cluster, Logged, Outcome, keys_of

__all__ = ["COLUMNS", "Logged", "Outcome", "Traffic"]

_KINDS: dict[str, type] = dict.fromkeys(COLUMNS, str) | {
    "at": datetime,
    "propensity": float,
    "cost_usd": Decimal,
    "quality": float,
    "seconds": float,
}


class Traffic(Sequence[Logged]):
    """Requests, oldest first as a ledger gives them; it never changes. A slice is one, too.

    `notes` say what was missing where it came from, and what to set to have it next time.
    """

    __slots__ = ("_requests", "notes")

    def __init__(self, requests: Iterable[Logged], *, notes: Sequence[str] = ()) -> None:
        self._requests = tuple(requests)
        self.notes = tuple(notes)

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[Logged]:
        return iter(self._requests)

    @overload
    def __getitem__(self, at: int) -> Logged: ...
    @overload
    def __getitem__(self, at: slice) -> Traffic: ...
    def __getitem__(self, at: int | slice) -> Logged | Traffic:
        return self._with(self._requests[at]) if isinstance(at, slice) else self._requests[at]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Traffic) and self._requests == other._requests

    def __hash__(self) -> int:
        return hash(tuple(request.request_id for request in self._requests))

    def __repr__(self) -> str:
        known = [r.cost for r in self._requests if r.cost is not None]
        graded = sum(r.quality is not None for r in self._requests)
        records = sum(r.record is not None for r in self._requests)
        text = f"<Traffic: {len(self):,} requests, {format_usd(sum(known))}"
        text += f", {graded:,} graded, {records:,} with decision records"
        return text + (", all outcomes known>" if self.complete else ">")

    @property
    def graded(self) -> Traffic:
        """Those requests whose answer has a grade."""
        return self._with(r for r in self._requests if r.quality is not None)

    @property
    def replayable(self) -> Traffic:
        """Those requests that another policy can decide anew: their quotes were logged."""
        return self._with(r for r in self._requests if r.record is not None and r.record.quotes)

    @property
    def complete(self) -> bool:
        """Whether the outcome of every candidate is known for every request."""
        return bool(self._requests) and all(request.known for request in self._requests)

    @property
    def candidates(self) -> tuple[str, ...]:
        """All that were quoted, chosen or served, by name."""
        names = {name for r in self._requests for name in (r.chosen, r.served, *r.outcomes)}
        for request in self._requests:
            if request.record is not None:
                names.update(quote.name for quote in request.record.quotes)
        return tuple(sorted(names - {""}))

    @property
    def cost_usd(self) -> Decimal:
        """USD of all requests whose cost is known, exactly."""
        return to_usd(sum(r.cost for r in self._requests if r.cost is not None))

    def since(self, instant: datetime) -> Traffic:
        """Those from this aware instant on."""
        return self._with(r for r in self._requests if r.at >= _aware("since", instant))

    def until(self, instant: datetime) -> Traffic:
        """Those before this aware instant."""
        return self._with(r for r in self._requests if r.at < _aware("until", instant))

    def where(self, **tags: str) -> Traffic:
        """Those with all of these tags."""
        return self._with(
            r for r in self._requests if all(r.tags.get(k) == v for k, v in tags.items())
        )

    def split(
        self, share: float = 0.5, *, cluster: Cluster | None = None
    ) -> tuple[Traffic, Traffic]:
        """Two parts, about `share` of the requests in the first; an id is always on one side.

        With `cluster`, as in `estimate`, so is all that belongs together; then it is about `share`
        of the clusters. A cluster whose value is a text, a number, or a tuple of these is on the
        same side in all traffic; any other goes by the id of its first request here.

        Raises:
            ConfigError: `share` is not between 0 and 1, or `cluster` is none.
        """
        if not 0 < share < 1:
            raise ConfigError(f"share: expected a number between 0 and 1, got {share!r}")
        first = [_place(words) < share for words in _sides(self._requests, cluster)]
        return (
            self._with(r for r, here in zip(self._requests, first, strict=True) if here),
            self._with(r for r, here in zip(self._requests, first, strict=True) if not here),
        )

    def to_frame(self, backend: str = "pandas") -> Any:
        """A table of `COLUMNS`, which `load` reads back: "pandas", "polars" or "pyarrow".

        Raises:
            ConfigError: no such backend, its library is not installed, or a request is one that
                `load` would refuse.
        """
        from router.frames import to_frame
        from router.tuning.rows import logged_rows

        rows = [request.row() for request in self._requests]
        # A record is read back whatever is in it, and reading it takes most of the time.
        logged_rows([{**row, "record": None} for row in rows], "traffic")
        return to_frame(COLUMNS, rows, backend, kinds=_KINDS)

    def _with(self, requests: Iterable[Logged]) -> Traffic:
        return Traffic(requests, notes=self.notes)


def _aware(name: str, instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ConfigError(f"{name}: expected an aware instant, got {instant!r} without a zone")
    return instant


def _sides(requests: Sequence[Logged], cluster: Cluster | None) -> list[str]:
    """Of each request the words that say on which side it is; the same for equal keys."""
    ids = [request.request_id for request in requests]
    if cluster is None:
        return ids
    words: dict[Hashable, str] = {}
    sides = []
    for request_id, key in zip(ids, keys_of(requests, cluster), strict=True):
        if key is not None and key not in words:
            spelled = _spelled(key)
            words[key] = request_id if spelled is None else f"cluster:{spelled}"
        sides.append(request_id if key is None else words[key])
    return sides


def _spelled(key: object) -> str | None:
    """What is equal in the same words, in every process; None where that is not known."""
    if isinstance(key, str):
        return str(key)
    if isinstance(key, tuple):
        parts = [_spelled(part) for part in key]
        return None if None in parts else repr(parts)
    if not isinstance(key, Number):
        return None
    try:
        whole = int(key)  # type: ignore[call-overload]
        return str(whole if whole == key else float(key))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def _place(request_id: str) -> float:
    # Not the digest that exploration draws from: else a part would hold all that was explored.
    digest = hashlib.sha256(b"part:" + request_id.encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8]) / 2**64
