"""Why a name has no live candidate: retired, a baseline, not callable yet, or unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from router.catalog.candidate import Candidate
from router.catalog.names import nearest, unknown_host
from router.errors import RetiredModelError, UnknownHostError, UnknownModelError

if TYPE_CHECKING:
    from router.catalog.schema import Endpoint, Host

NEVER_LIVE = frozenset({"reference", "unsupported"})
_SHOWN = 4


class Named(Protocol):
    """What names can stand for: see `router.catalog.shelf`, which stands on this file."""

    @property
    def hosts(self) -> Mapping[str, Host]: ...
    @property
    def endpoints(self) -> Mapping[str, Endpoint]: ...
    @property
    def candidates(self) -> Mapping[str, Candidate]: ...
    @property
    def indexes(self) -> Sequence[Mapping[str, Sequence[Candidate]]]: ...


def gone(candidate: Candidate, now: datetime) -> bool:
    """Whether it has retired."""
    return candidate.retires_at is not None and now >= candidate.retires_at


def live(candidate: Candidate, now: datetime) -> bool:
    """Whether it can be called: not retired, and at a host that we know how to call."""
    return not gone(candidate, now) and candidate.kind not in NEVER_LIVE


def not_found(
    name: str, matches: Sequence[Candidate], now: datetime, shelf: Named, *, priced: bool = False
) -> UnknownModelError | UnknownHostError:
    """The error for a name that fits only these `matches`, none of them live.

    `priced` says that a price was asked for, so that a baseline may be what was meant.
    """
    served = [c for c in matches if c.kind != "reference"]
    retired = [c for c in served if gone(c, now)]
    waiting = [c for c in served if not gone(c, now)]
    followed = any(shelf.endpoints[c.endpoint].successor for c in retired)
    if retired and (followed or not waiting or any(c.kind != "unsupported" for c in retired)):
        return _retired(name, retired, waiting, now, shelf)
    if any(c.kind == "reference" for c in matches):
        return UnknownModelError(
            f"{name!r} is only a baseline for savings reports: its price is known, no host of "
            "this catalogue serves it; add an [[endpoint]] in an overlay to route to it"
        )
    if matches:
        return UnknownModelError(
            f"{name!r} is priced but its host's protocol is not supported yet "
            f"({_some(c.name for c in matches)}); name another host",
            did_you_mean=tuple(
                c.name
                for c in shelf.candidates.values()
                if c.model == matches[0].model and live(c, now) and c.kind != "replay"
            ),
        )
    host = unknown_host(name, shelf.hosts)
    if host is not None:
        return no_host(host, shelf.hosts)
    near = _near(name, _suggested(shelf, priced=priced))
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    return UnknownModelError(
        f"expected a model, alias or candidate of the catalogue, got {name!r}{hint} "
        "(add your own with Catalog.overlay)",
        did_you_mean=near,
    )


def _suggested(shelf: Named, *, priced: bool) -> tuple[str, ...]:
    """All names, or those of what can be called: to a caller a mere price is no help."""
    named = {name: (candidate,) for name, candidate in shelf.candidates.items()}
    return tuple(
        name
        for index in (named, *shelf.indexes)
        for name, found in index.items()
        if priced or any(candidate.kind not in NEVER_LIVE for candidate in found)
    )


@lru_cache(maxsize=256)
def _near(name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    # Looking for what is alike takes milliseconds, and a ledger may ask for one name many times.
    return nearest(name, known)


def _retired(
    name: str,
    retired: Sequence[Candidate],
    waiting: Sequence[Candidate],
    now: datetime,
    shelf: Named,
) -> RetiredModelError:
    """With the last of those that retired, and the successor that was named last."""
    by_end = sorted(retired, key=lambda c: c.retires_at or now, reverse=True)
    ended = by_end[0].retires_at
    assert ended is not None
    named = (shelf.endpoints[candidate.endpoint].successor for candidate in by_end)
    successor = next(filter(None, named), None)
    hint = f"; use {successor}" if successor else ""
    if waiting:
        hint += f" (hosts not supported yet still have it: {_some(c.host for c in waiting)})"
    return RetiredModelError(
        f"{name!r} was retired at {ended:%Y-%m-%dT%H:%MZ}{hint}",
        retired_at=ended,
        successor=successor,
    )


def _some(names: Iterable[str]) -> str:
    """Each once, and of many only the first."""
    each = list(dict.fromkeys(names))
    more = f" and {len(each) - _SHOWN} more" if len(each) > _SHOWN else ""
    return ", ".join(each[:_SHOWN]) + more


def no_host(host: str, hosts: Mapping[str, Host]) -> UnknownHostError:
    """The error for a host that is not there."""
    known = ", ".join(sorted(h.name for h in hosts.values() if h.kind not in NEVER_LIVE))
    return UnknownHostError(f"expected one of the hosts {known}; got {host!r}")
