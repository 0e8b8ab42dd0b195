"""Which prices a call may meet: at its start, at its expected end, and until its timeout.

No host has published since 2025 which instant of a request decides its price where prices follow
the clock; DeepSeek's rule of 2025 was the completion's. So a call is priced at its expected end,
unless the schedule says that its start decides (`Rates.decided_by`), and reserved at the dearest.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from router.catalog import Candidate, Catalog, Rates
from router.catalog.rates import dearest_of
from router.errors import InvalidRequestError

Unpriced: TypeAlias = Literal["deny", "ceiling"] | None
"""What becomes of a candidate without a known price: refused always; priced at the dearest known
price; or (None) refused under a hard budget and served at unknown cost else."""
STALE_DAYS = 120
"""A price that was checked longer ago than this is said to be old."""
_HOUR = 3600
_AHEAD = timedelta(hours=25)
_ANY_LENGTH = 10**9
_STANDARD = frozenset({"auto", "default", "on_demand", "standard"})
"""Words of hosts for the tier of no name; "on_demand" is Groq's."""
_LONGEST_TIER = 24
_KEPT = 4096

_Key: TypeAlias = tuple[str, int]
_Calm: TypeAlias = tuple[Rates | None, datetime, tuple[str, ...]]
_calm: WeakKeyDictionary[Catalog, dict[_Key, _Calm]] = WeakKeyDictionary()
"""By endpoint and hour: see `Horizon._look`. A catalogue never changes, nor does this."""


class Prices(NamedTuple):
    """What a candidate charges for one request: `rates` at `now`, `dearest` until its timeout.

    Both are None where no price is known. `boundary` is the first instant until the timeout at
    which a call under way would meet other prices, None where there is none. `doubts` is what is
    to be said of the price itself.
    """

    catalog: Catalog
    candidate: Candidate
    now: datetime
    rates: Rates | None
    dearest: Rates | None
    boundary: datetime | None = None
    input_tokens: int = 0
    service_tier: str = ""
    doubts: tuple[str, ...] = ()

    def next_boundary(self, after: datetime, end: datetime) -> datetime | None:
        """The first instant in (after, end] with other prices than at `after`; None if there is
        none.
        """
        return self.catalog.boundary(
            self.candidate,
            after,
            end,
            input_tokens=self.input_tokens,
            service_tier=self.service_tier,
        )

    def at(self, instant: datetime) -> Rates | None:
        """The rates at an instant from `now` on; None where none is known then."""
        if self.boundary is None or instant < self.boundary:
            return self.rates
        return self.catalog.rates(
            self.candidate,
            instant,
            input_tokens=self.input_tokens,
            service_tier=self.service_tier,
        )


def doubts(rates: Rates, now: datetime) -> tuple[str, ...]:
    """What is to be said of a price itself: old, or not certain at this hour."""
    found = []
    if (now.date() - rates.checked).days > STALE_DAYS:
        found.append(f"its price was last checked on {rates.checked}")
    if rates.uncertain:
        found.append("its price now is not certain: the list of holidays has ended")
    return tuple(found)


class Horizon:
    """The prices that one request may meet, at whichever candidate: from `now` to its timeout.

    `timeout` is in seconds; a service tier without a price of its own has no known price. A host
    may serve a tier's request as a standard one, so that `dearest` is never below that.
    """

    __slots__ = ("_calm", "_end", "_hour", "_tier", "_unpriced", "catalog", "now")

    def __init__(
        self,
        catalog: Catalog,
        now: datetime,
        timeout: float,
        *,
        service_tier: str = "",
        unpriced: Unpriced = None,
    ) -> None:
        self.catalog, self.now = catalog, now
        self._end = now + timedelta(seconds=timeout)
        self._tier, self._unpriced = service_tier, unpriced
        self._hour = int(now.timestamp()) // _HOUR
        calm = _calm.get(catalog)
        if calm is None or len(calm) > _KEPT:
            calm = _calm[catalog] = {}
        self._calm = calm

    def prices(self, candidate: Candidate, input_tokens: int, bound: int) -> Prices:
        """What a candidate charges for so many input tokens, `bound` at most."""
        if not self._tier:
            calm = self._calm.get((candidate.endpoint, self._hour))
            if calm is None:
                calm = self._look(candidate)
            steady, until, said = calm
            if steady is not None and self._end < until:  # as nearly always
                return Prices(self.catalog, candidate, self.now, steady, steady, None, 0, "", said)
        catalog, now, tier = self.catalog, self.now, self._tier
        rates = long = catalog.rates(candidate, now, input_tokens=input_tokens, service_tier=tier)
        if bound > input_tokens:  # a host that counts more than we do may bill another tier
            long = catalog.rates(candidate, now, input_tokens=bound, service_tier=tier)
        if rates is None or long is None:
            ceiling = self._unpriced == "ceiling"
            rates = catalog.ceiling_rates(now, self._end) if ceiling else None
            return Prices(catalog, candidate, now, rates, rates)
        boundary = catalog.boundary(
            candidate, now, self._end, input_tokens=input_tokens, service_tier=tier
        )
        dearest: Rates | None = rates
        if boundary is not None or long is not rates or tier:
            found = [
                catalog.dearest(candidate, now, self._end, input_tokens=n, service_tier=served)
                for served in dict.fromkeys((tier, ""))
                for n in (input_tokens, bound)
            ]
            dearest = dearest_of([each for each in found if each is not None])
        said = doubts(rates, now)
        return Prices(catalog, candidate, now, rates, dearest, boundary, input_tokens, tier, said)

    def _look(self, candidate: Candidate) -> _Calm:
        """The rates since the hour began, until when they hold, and doubts; None where they vary.

        Looking for the next change of price takes ten times as long as all the rest, and is done
        once an hour.
        """
        start = datetime.fromtimestamp(self._hour * _HOUR, UTC)
        rates, long = (
            self.catalog.rates(candidate, start, input_tokens=n) for n in (0, _ANY_LENGTH)
        )
        end = start + _AHEAD
        change = self.catalog.boundary(candidate, start, end)
        said = () if rates is None else doubts(rates, self.now)
        found = (rates if long is rates else None, change or end, said)
        self._calm[candidate.endpoint, self._hour] = found
        return found


def billed(
    catalog: Catalog,
    candidate: Candidate | str,
    *,
    began: datetime,
    ended: datetime,
    until: datetime,
    input_tokens: int,
    service_tier: str = "",
    unpriced: Unpriced = None,
) -> Rates | None:
    """The rates that a finished call of a candidate, or an endpoint's name, is charged at; None
    where no price is known.

    Those of its end, or of its start where the schedule says so or none hold any more. DeepSeek,
    2025: "the completion timestamp of each request determines its pricing tier". `until` is its
    timeout: an instant outside of the call's own span is taken as the nearest within it, so that
    nothing is dearer than what was reserved for that span.
    """
    began = min(began, until)
    ended = min(max(began, ended), until)
    first = catalog.rates(candidate, began, input_tokens=input_tokens, service_tier=service_tier)
    if first is not None and first.decided_by == "start":
        return first
    last = catalog.rates(candidate, ended, input_tokens=input_tokens, service_tier=service_tier)
    if last is None and first is None and unpriced == "ceiling":
        return catalog.ceiling_rates(began, until)
    return last or first


def tier_of(extra: Mapping[str, Any]) -> str:
    """The service tier that a request asks for ("flex", "priority"), "" for the standard one.

    Raises:
        InvalidRequestError: it is no text, or "batch", which is no tier of live calls.
    """
    asked = extra.get("service_tier")
    if asked is None:
        return ""
    if not isinstance(asked, str):
        raise InvalidRequestError(
            f"service_tier: expected a text such as 'flex', got {type(asked).__name__}",
            param="service_tier",
        )
    tier = _tier(asked)
    if tier == "batch":
        raise InvalidRequestError(
            "service_tier: 'batch' is no tier of live calls, its price is for a host's batch API; "
            "expected 'flex', 'priority' or none",
            param="service_tier",
        )
    return tier


def served_tier(body: Mapping[str, Any]) -> str | None:
    """The service tier that an answer, or a piece of it, says it was served at; None if none.

    "" is the standard one. A host's words are not shown, so what is no plain word says nothing.
    """
    told = body.get("service_tier")
    if not isinstance(told, str) or len(told) > _LONGEST_TIER or not told.isascii():
        return None
    return _tier(told) if told.replace("-", "_").isidentifier() else None


def _tier(word: str) -> str:
    tier = word.strip().lower()
    return "" if tier in _STANDARD else tier
