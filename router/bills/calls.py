"""A ledger's lines as calls that a host may bill: corrections folded in, slabs and caches out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

from router.errors import ConfigError, InvalidRequestError
from router.ledgers import Entry
from router.ledgers.entries import LEASE
from router.types import Usage

State: TypeAlias = Literal["told", "counted", "assumed", "released"]
"""The host's own usage; our count of it; charged in full without one; charged nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """One attempt as the ledger has it in the end, from its reservation to its last correction.

    `cost` and `reserved` are pico-dollars; `rates_id` is the price row that billed it. `late` says
    that only a correction lies in the span that was read, so `cost` is not that of `usage`.
    """

    id: str
    request_id: str
    candidate: str
    model: str
    host: str
    began: datetime
    ended: datetime
    usage: Usage
    cost: int
    reserved: int
    rates_id: str
    outcome: str
    state: State
    late: bool = False

    @property
    def endpoint(self) -> str:
        """`model@host`, under which the catalogue lists prices."""
        return f"{self.model}@{self.host}"

    @property
    def unknown(self) -> bool:
        """Whether nobody knows what it cost: no price row billed it, and so its cost says zero."""
        return self.state != "released" and not (self.cost or self.rates_id)


@dataclass(frozen=True, slots=True)
class History:
    """What a ledger has of calls; answers out of the response cache are counted, not kept.

    `held` is money (pico-dollars) that processes held and did not account for: no call.
    """

    calls: tuple[Paid, ...]
    cached: int = 0
    held: int = 0


def read_history(
    history: Any, *, since: datetime | None = None, until: datetime | None = None
) -> History:
    """The calls of a ledger, a client, the path or URL of a ledger, or an iterable of entries.

    Of a history that was read already: its calls that ended in the span. What it has beside
    calls (`cached`, `held`) has no instants, and stays.

    Raises:
        InvalidRequestError: it is none of these.
        ConfigError, LedgerError: the ledger cannot be opened or read.
    """
    if isinstance(history, History):
        return replace(
            history,
            calls=tuple(call for call in history.calls if _within(call.ended, since, until)),
        )
    if isinstance(history, (str, Path)):
        from contextlib import closing

        from router.ledgers.open import open_store

        if "://" not in str(history) and not Path(history).expanduser().exists():
            raise ConfigError(f"expected the path of a ledger, there is none at {history}")
        with closing(open_store(history)) as store:
            return _folded(store.entries(since=since, until=until))
    core = getattr(history, "_core", None)  # a client
    ledger = history if core is None else core.ledger
    if hasattr(ledger, "entries"):
        return _folded(ledger.entries(since=since, until=until))
    if not isinstance(history, Iterable):
        raise InvalidRequestError(
            "history: expected a ledger, a client, the path of a ledger or entries of one, got "
            f"{type(history).__name__}",
            param="history",
        )
    return _folded(entry for entry in _checked(history) if _within(entry.at, since, until))


def _within(at: datetime, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or at >= since) and (until is None or at < until)


def _checked(entries: Iterable[Any]) -> Iterator[Entry]:
    for entry in entries:
        if not isinstance(entry, Entry):
            raise InvalidRequestError(
                f"history: expected entries of a ledger, got {type(entry).__name__}",
                param="history",
            )
        yield entry


def _folded(entries: Iterable[Entry]) -> History:
    lines: dict[str, list[Entry]] = {}
    cached = held = 0
    for entry in entries:
        if entry.record.policy == LEASE:
            held += entry.cost
        elif entry.outcome == "cached":
            cached += 1
        else:
            lines.setdefault(entry.reservation_id, []).append(entry)
    return History(tuple(_paid(found) for found in lines.values()), cached, held)


def _paid(lines: list[Entry]) -> Paid:
    last, first = lines[-1], lines[0]
    cost = sum(line.cost for line in lines)
    record = last.record
    return Paid(
        id=last.reservation_id,
        request_id=record.request_id,
        candidate=record.candidate,
        model=record.model,
        host=record.host,
        began=last.at - timedelta(seconds=max(0.0, last.seconds)),
        ended=last.at,
        usage=last.usage,
        cost=cost,
        reserved=last.reserved,
        rates_id=last.rates_id or (first.rates_id if cost else ""),
        outcome=last.outcome,
        state=_state(last, cost),
        late=first.kind == "correct",
    )


def _state(line: Entry, cost: int) -> State:
    usage = line.usage
    if line.kind == "expire":
        return "assumed"
    nothing = not (cost or usage.input_tokens or usage.output_tokens)
    if line.kind == "release" or (line.kind == "correct" and nothing):
        return "released"
    if not usage.estimated:
        return "told"
    in_full = line.outcome != "ok" and 0 < line.reserved <= cost
    return "assumed" if in_full else "counted"
