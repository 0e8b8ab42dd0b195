"""What many requests take together: a total that is forecast as one, not a sum of p90s.

Not all answers are long at once; how far they are long together is in
`classifiers.length.totals`. No prompt is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from router.budgets import Balance, Hold, left
from router.catalog import Candidate
from router.constraints import check_parameters
from router.decide import decide
from router.effects import Balances, Effect
from router.errors import InvalidRequestError, RouterError
from router.forecast import input_bound, size_of
from router.horizon import Horizon, tier_of
from router.jobplan import Fit, Item, JobPlan
from router.money import format_usd
from router.outlook import Forecast
from router.prompts.text import conversations
from router.purses import account_of, purses_of
from router.services import Services
from router.shown import lasting
from router.turns import Ahead, Trip, trip
from router.types import Request

if TYPE_CHECKING:
    from classifiers.length.totals import Part

_LONGEST_TALK = 1000
_A_DAY = timedelta(days=1)
_LONGEST_JOB = timedelta(days=366)


@dataclass(slots=True)
class _Purse:
    """A budget that some of the job's requests count against: their parts and ceilings."""

    hold: Hold
    left: int
    parts: list[Part] = field(default_factory=list)
    ceiling: int = 0


def plan_job(
    requests: Iterable[Any],
    make: Callable[[Any, Mapping[str, Any]], Request],
    services: Services,
    within: timedelta | float | None = None,
) -> Generator[Effect, Any, JobPlan]:
    """Decide and forecast every request, without reserving or spending, and add them up.

    `requests` are messages, or mappings of the arguments of a call with "messages" and perhaps
    "turns"; they are taken one by one. `make` checks one. Each is planned as if it came alone and
    now; ceilings hold for calls sent `within` (a span or seconds; a day) from now on.

    Raises:
        InvalidRequestError: `within` is no such span, or `requests` are not several.
        RouterError: as for a single plan; a note says which request.
    """
    span, now = _span(within), services.now()
    adding, ahead = _Adding(), Ahead(services.catalog, now, span, services.unpriced)
    known: dict[tuple[str, datetime], Balance] = {}
    for i, given in conversations(requests):
        try:
            messages, turns, arguments = _read(given)
            request = make(messages, arguments)
            check_parameters(request)
            candidates = services.candidates(request.models, now)
            purses = purses_of(services.budgets, request, candidates, now)
            asked = [h for h in purses.holds if account_of(h) not in known]
            if asked:
                known |= zip(map(account_of, asked), (yield Balances(asked)), strict=True)
            purses = replace(purses, balances=known)
            planned = decide(request, services, candidates, purses, now)
            chosen = services.catalog.candidate(planned.decision.chosen, at=now)
            found = planned.forecast
            ways = _trip(services, chosen, found, request, turns, now, ahead)
        except (RouterError, TypeError) as error:
            error.add_note(f"in requests[{i}]")
            raise
        held = [(h, b) for h, b in purses.of(chosen.name) if h.unit == "usd" and not h.single]
        adding.add(i, chosen, found, turns, ways, held)
    return adding.total(now, span)


class _Adding:
    """What has been planned of a job so far."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._parts: list[Part] = []
        self._lengths: list[Part] = []
        self._mean_tokens = 0.0
        self._purses: dict[Hold, _Purse] = {}
        self._notes: list[str] = []
        self._said: dict[str, None] = {}
        self._varies, self._dearer = False, 0.0

    def add(
        self,
        position: int,
        candidate: Candidate,
        forecast: Forecast,
        turns: int,
        ways: Trip,
        holds: Iterable[tuple[Hold, Balance]],
    ) -> None:
        """Add one request, or conversation."""
        from classifiers.length.totals import Part, total
        from classifiers.spread import capped_mean

        output, basis = forecast.output_tokens, forecast.tokens_basis
        parts = [Part(output, leg.cap, leg.weight, leg.fixed, basis) for leg in ways.legs or ()]
        means = [capped_mean(output, cap) for cap in ways.caps]
        self._parts += parts
        self._lengths += [Part(output, cap, 1.0, 0.0, basis) for cap in ways.caps]
        self._mean_tokens += sum(means)
        expected, p90, most = forecast.cost, forecast.cost_p90, None
        if ways.legs is None:
            expected = p90 = None
        else:
            most = sum(leg.ceiling for leg in ways.legs)
        if ways.legs is not None and turns > 1:
            each = zip(ways.legs, means, strict=True)
            expected = math.ceil(sum(leg.fixed + leg.weight * mean for leg, mean in each))
            p90 = math.ceil(total(parts).p90)
        self._items.append(
            Item(
                candidate=candidate.name,
                turns=ways.fitted,
                forecast=forecast,
                input_tokens=round(ways.input_tokens),
                cost=expected,
                cost_p90=p90,
                cost_ceiling=most,
            )
        )
        if ways.fitted < turns:
            self._notes.append(
                f"requests[{position}]: turn {ways.fitted + 1} would not fit into the context of "
                f"{candidate.name} ({candidate.context_tokens:,} tokens): {ways.fitted} counted"
            )
        self._varies, self._dearer = self._varies or ways.varies, self._dearer + ways.dearer
        self._said |= dict.fromkeys(f"{candidate.name}: {doubt}" for doubt in ways.doubts)
        if forecast.straddles is not None:
            at = forecast.straddles.astimezone(UTC)
            crossing = f"a call sent now may cross the price boundary at {at:%H:%M} UTC"
            self._said[f"{candidate.name}: {crossing}"] = None
        for hold, balance in holds:
            purse = self._purses.get(hold)
            if purse is None:
                purse = self._purses[hold] = _Purse(hold, max(0, left(hold, balance)))
            purse.parts += parts
            purse.ceiling += most or 0

    def total(self, now: datetime, within: timedelta) -> JobPlan:
        """All of it together."""
        from classifiers.length.totals import total

        items, known = self._items, all(i.cost is not None for i in self._items)
        spent = total(self._parts)
        quantiles = [math.ceil(x) for x in (spent.p10, spent.p50, spent.p90, spent.p99)]
        if len(items) == 1 and items[0].turns == 1 and known:
            one = items[0].forecast  # a job of one is that one, to the last digit
            p50, p90 = one.cost_p50 or 0, one.cost_p90 or 0
            quantiles = [min(quantiles[0], p50), p50, p90, max(quantiles[3], p90)]
        p10, p50, p90, p99 = quantiles
        return JobPlan(
            requests=tuple(items),
            input_tokens=sum(i.input_tokens for i in items),
            # The mean of a sum is the sum of the means, however they hang together.
            tokens=replace(total(self._lengths), mean=self._mean_tokens),
            cost=sum(i.cost or 0 for i in items) if known else None,
            cost_p10=p10 if known else None,
            cost_p50=p50 if known else None,
            cost_p90=p90 if known else None,
            cost_p99=p99 if known else None,
            ceiling=sum(i.cost_ceiling or 0 for i in items) if known else None,
            sum_of_p90=sum(i.cost_p90 or 0 for i in items) if known else None,
            within=within,
            unpriced=tuple(dict.fromkeys(i.candidate for i in items if i.cost is None)),
            budgets=tuple(self._fit(purse, known, p90) for purse in self._purses.values()),
            notes=(*self._notes, *self._said, *self._later(now, within)),
        )

    def _later(self, now: datetime, within: timedelta) -> Iterator[str]:
        """What it would cost to send it later, where that differs."""
        if not (self._varies and within):
            return
        start = f"priced as if sent at {now.astimezone(UTC):%H:%M} UTC"
        if self._dearer >= 1.0:
            more = format_usd(math.ceil(self._dearer))
            yield f"{start}; at the dearest hours within {lasting(within)} expect {more} more"
        else:
            yield f"{start}; no hour within {lasting(within)} is dearer"

    def _fit(self, purse: _Purse, known: bool, p90: int) -> Fit:
        from classifiers.length.totals import total

        late = p90
        if len(purse.parts) < len(self._parts):
            late = math.ceil(total(purse.parts).p90) if purse.parts else 0
        return Fit(
            budget=purse.hold.name,
            hard=purse.hold.hard,
            left=purse.left,
            p90_fits=late <= purse.left if known else None,
            ceiling_fits=purse.ceiling <= purse.left if known else None,
        )


def _trip(
    services: Services,
    candidate: Candidate,
    forecast: Forecast,
    request: Request,
    turns: int,
    now: datetime,
    ahead: Ahead,
) -> Trip:
    from classifiers.spread import capped_mean

    tier, lasts = tier_of(request.extra), request.timeout
    horizon = Horizon(services.catalog, now, lasts, service_tier=tier, unpriced=services.unpriced)
    bound = input_bound(candidate, forecast.input_tokens, size_of(request))
    question = question_bound = 0
    if turns > 1:
        last = replace(request, messages=request.messages[-1:], tools=(), response_format=None)
        question = len(services.read_input(last.messages))
        question_bound = input_bound(candidate, question, size_of(last))
    return trip(
        candidate,
        forecast,
        turns,
        question_tokens=question,
        question_bound=question_bound,
        bound=bound,
        answer_tokens=capped_mean(forecast.output_tokens, forecast.max_tokens),
        look=lambda tokens, most: horizon.prices(candidate, tokens, most),
        ahead=lambda tokens, most: ahead.prices(candidate, tier, lasts, tokens, most),
    )


def _span(within: timedelta | float | None) -> timedelta:
    """How long from now on the calls of a job may be sent."""
    if within is None:
        return _A_DAY
    longest = _LONGEST_JOB.total_seconds()
    seconds = within.total_seconds() if isinstance(within, timedelta) else within
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not number or not 0 <= seconds <= longest:
        raise InvalidRequestError(
            f"within: expected a timedelta or seconds, from 0 to {longest:.0f} (366 days), "
            f"got {within!r}",
            param="within",
        )
    return timedelta(seconds=seconds)


def _read(given: Any) -> tuple[Any, int, dict[str, Any]]:
    """The messages, turns and other arguments of one request of a job."""
    if not isinstance(given, Mapping):
        return given, 1, {}
    arguments = dict(given)
    turns = arguments.pop("turns", 1)
    if isinstance(turns, bool) or not isinstance(turns, int) or not 1 <= turns <= _LONGEST_TALK:
        raise InvalidRequestError(
            f"turns: expected a whole number from 1 to {_LONGEST_TALK:,}, got {turns!r}",
            param="turns",
        )
    return arguments.pop("messages", None), turns, arguments
