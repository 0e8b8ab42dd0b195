"""What a report can be grouped by, and where each value is in a line of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeAlias
from zoneinfo import ZoneInfo

from router.errors import InvalidRequestError
from router.ledgers import Entry
from router.ledgers.entries import LEASE
from router.reports.periods import zone_of

Group: TypeAlias = tuple[str, ...]
Key: TypeAlias = Callable[[Entry, ZoneInfo], str]
SHORTHANDS = ("tenant", "team", "feature", "user")
"""Tags that go by their name alone: `team` is `tag:team`."""


def _quoted(text: str) -> str:
    # Keeps a tag that holds our separators from reading like two.
    return text.replace("%", "%25").replace(";", "%3B").replace("=", "%3D")


def _source(entry: Entry, _: ZoneInfo) -> str:
    if entry.kind == "release":
        return ""
    return "estimated" if entry.estimated else "reported"


_KEYS: dict[str, Key] = {
    "day": lambda e, zone: f"{e.at.astimezone(zone):%Y-%m-%d}",
    "hour": lambda e, zone: f"{e.at.astimezone(zone):%Y-%m-%dT%H:00%z}",
    "week": lambda e, zone: f"{e.at.astimezone(zone):%G-W%V}",
    "month": lambda e, zone: f"{e.at.astimezone(zone):%Y-%m}",
    "model": lambda e, _: e.record.model,
    "mode": lambda e, _: e.record.mode,
    "host": lambda e, _: e.record.host,
    "candidate": lambda e, _: e.record.candidate,
    "policy": lambda e, _: e.record.policy,
    "outcome": lambda e, _: e.outcome,
    "rates": lambda e, _: e.rates_id,
    "source": _source,
    "tag": lambda e, _: ";".join(
        f"{_quoted(k)}={_quoted(v)}" for k, v in sorted(e.record.tags.items())
    ),
}


class Grouping:
    """Columns to group by, in a zone; gives the group of an entry.

    Raises:
        InvalidRequestError: an unknown column or zone, or a column twice.
    """

    def __init__(self, by: str | Sequence[str], tz: str) -> None:
        self.zone = zone_of(tz)
        self.by = _names(by)
        self._keys = [_key(name) for name in self.by]
        if twice := sorted({name for name in self.by if self.by.count(name) > 1}):
            raise InvalidRequestError(
                f"by: expected each column once, got {', '.join(twice)} more often", param="by"
            )

    def group(self, entry: Entry) -> Group:
        """The values of the columns for this entry."""
        return tuple(key(entry, self.zone) for key in self._keys)

    def order(self, group: Group) -> Group:
        """What groups are sorted by: hours in order of time, others by their text."""
        if "hour" not in self.by:  # an hour that comes twice in autumn reads backwards
            return group
        return tuple(
            f"{datetime.fromisoformat(value).astimezone(UTC):%Y-%m-%dT%H:%M}{value}"
            if name == "hour"
            else value
            for name, value in zip(self.by, group, strict=True)
        )


def unknown(entry: Entry) -> bool:
    """Whether nobody knows what a line cost: no price row was billed, and so it says zero.

    What was assumed of a lost call is returned in full where the truth has no known price, and so
    it is where the truth is that nothing was charged: that one has no tokens.
    """
    free = entry.kind == "release" or entry.outcome == "cached" or entry.record.policy == LEASE
    if entry.rates_id or free:
        return False
    if entry.kind == "correct":
        return bool(entry.usage.input_tokens or entry.usage.output_tokens)
    return not entry.cost


def unpriced(entry: Entry) -> bool:
    """Whether a line is a call more whose cost is unknown: of a lost call that was charged nothing
    because its price is not known, the lost line is one already.
    """
    more = entry.kind != "correct" or entry.cost or entry.reserved
    return bool(more) and unknown(entry)


def told(entry: Entry) -> bool:
    """Whether a line tells how good a forecast was: a call that was answered, at a known price."""
    answered = entry.kind == "settle" and entry.outcome == "ok"
    return answered and not unknown(entry) and entry.record.policy != LEASE


def spending(entries: Iterable[Entry]) -> Iterable[Entry]:
    """Entries without leases that were held and returned: those are nobody's spend."""
    return (e for e in entries if e.record.policy != LEASE or e.cost)


def _names(by: object) -> tuple[str, ...]:
    names = (by,) if isinstance(by, str) else by
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise InvalidRequestError(
            f"by: expected the name of a column, or a list of names; got {by!r}", param="by"
        )
    return tuple(names)


def _key(name: str) -> Key:
    tag = name[4:] if name.startswith("tag:") else name if name in SHORTHANDS else ""
    if tag:
        return lambda entry, _: entry.record.tags.get(tag, "")
    if name not in _KEYS:
        raise InvalidRequestError(
            f"by: expected {', '.join([*_KEYS, *SHORTHANDS])} or tag:NAME; got {name!r}",
            param="by",
        )
    return _KEYS[name]
