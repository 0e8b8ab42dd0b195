"""What a report can be grouped by, and where each value is in a line of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
        InvalidRequestError: an unknown column or zone.
    """

    def __init__(self, by: str | Sequence[str], tz: str) -> None:
        self.zone = zone_of(tz)
        self.by = (by,) if isinstance(by, str) else tuple(by)
        self._keys = [_key(name) for name in self.by]

    def group(self, entry: Entry) -> Group:
        """The values of the columns for this entry."""
        return tuple(key(entry, self.zone) for key in self._keys)


def spending(entries: Iterable[Entry]) -> Iterable[Entry]:
    """Entries without leases that were held and returned: those are nobody's spend."""
    return (e for e in entries if e.record.policy != LEASE or e.cost)


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
