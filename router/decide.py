"""From a request to a plan: score, constrain, forecast every candidate, ask the policy. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping, Sequence
from datetime import datetime, timedelta

from classifiers.scores import Score
from policies.types import Context, Decision, Quote
from router.catalog import Candidate
from router.constraints import Obstacle, check_decision, nobody_left, obstacle
from router.errors import (
    InvalidRequestError,
    UnpricedModelError,
)
from router.forecast import forecast, input_bound, leaving_cost, size_of, spread
from router.horizon import Horizon, Prices, tier_of
from router.later import cheaper
from router.limits import Unaffordable
from router.outlook import Forecast
from router.places import DRAINED
from router.prompts.layout import arrange
from router.prompts.text import prompt_of
from router.purses import NO_LIMIT, Purses
from router.record import Grounds, completed
from router.refusals import deferred, refused, too_little
from router.scoring import scores_of, version_of
from router.services import Services
from router.types import Plan, Request

_DENIED = "its price is not known, and unpriced='deny'"


def decide(
    request: Request,
    services: Services,
    candidates: Sequence[Candidate],
    purses: Purses,
    now: datetime,
) -> Plan:
    """Choose one of the candidates for `request` and say why not the others.

    Raises:
        NoCandidateError: everyone is out; the kinds of `router.errors` say how.
        BudgetExceededError: the hard budgets hold too little for any candidate.
        ScorerError: the scorer failed.
    """
    rooms = purses.rooms(candidates)
    if request.unvetted and any(room.hard for room in rooms.values()):
        raise InvalidRequestError(
            f"extra_body: {', '.join(request.unvetted)} may change what is billed, and a hard "
            "budget applies. Leave it out, or make the budget soft (hard=False).",
            param="extra_body",
        )
    layout = arrange(request.messages, request.tools, request.response_format)
    request = request.arranged(layout)
    chain = services.chain(request)
    input_tokens = chain.tokens
    input_bytes = size_of(request)
    out: dict[str, Obstacle] = {}
    priced: list[tuple[Candidate, Prices, int, int]] = []
    horizon = Horizon(
        services.catalog,
        now,
        request.timeout,
        service_tier=tier_of(request.extra),
        unpriced=services.unpriced,
    )
    for candidate in candidates:
        tokens = services.places.input_tokens(candidate, chain)
        bound = input_bound(candidate, max(tokens, input_tokens), input_bytes)
        prices = horizon.prices(candidate, tokens, bound)
        hard = rooms.get(candidate.name, NO_LIMIT).priced
        why = obstacle(candidate, request, input_tokens, prices.rates, hard=hard)
        if why is None and prices.rates is None and services.unpriced == "deny":
            why = Obstacle("price", _DENIED)
        if why is None and (reason := services.unfit(candidate, request)):
            why = Obstacle("unfit", reason)
        if why is None and services.places.drained(candidate):
            why = Obstacle("unfit", DRAINED)
        if why is None:
            priced.append((candidate, prices, tokens, bound))
        else:
            out[candidate.name] = why
    if not priced:
        if out and all(o.reason == _DENIED for o in out.values()):
            raise UnpricedModelError(
                "no candidate has a known price, and this client refuses such (unpriced='deny'). "
                "Add its rates in a catalogue overlay (Client(catalog=...)):",
                reasons={name: o.reason for name, o in out.items()},
            )
        raise nobody_left(out, input_tokens)

    scorer = version_of(services.scorer)  # before it may learn more
    prompt = prompt_of(
        layout.messages,
        layout.tools,
        request.response_format,
        request.tags,
        request.extra.get("reasoning_effort"),
    )
    profiles = list(dict.fromkeys(c.profile for c, *_ in priced))
    reading, scores = scores_of(services.scorer, prompt, profiles, request.tags.get("tenant", ""))
    errors = {profile: spread(scores[profile].draws) for profile in profiles}
    means: dict[tuple[str, int], float] = {}
    warm = {c.name: services.places.expected(c, request, chain, now) for c, *_ in priced}

    def forecasts_of(names: Container[str], cap: int | None) -> dict[str, Forecast | Unaffordable]:
        return {
            candidate.name: forecast(
                candidate,
                request,
                scores[candidate.profile],
                prices,
                input_tokens=tokens,
                bound=bound,
                cache_read_tokens=warm[candidate.name],
                room=rooms.get(candidate.name, NO_LIMIT),
                pace=services.pace,
                quality_se=errors[candidate.profile],
                means=means,
                cap=cap,
            )
            for candidate, prices, tokens, bound in priced
            if candidate.name in names
        }

    answers = forecasts_of({candidate.name for candidate, *_ in priced}, None)
    forecasts = {name: a for name, a in answers.items() if isinstance(a, Forecast)}
    short = {name: a for name, a in answers.items() if isinstance(a, Unaffordable)}
    out |= {name: Obstacle("budget", a.reason) for name, a in short.items()}
    if not forecasts:
        raise too_little(short.values(), out)
    obstacles = {name: o.reason for name, o in out.items()}
    warmest = max(warm[name] for name in forecasts)
    quotes = [
        quote
        for candidate, prices, *_ in priced
        if (known := forecasts.get(candidate.name))
        and (
            quote := _quote(
                candidate,
                known,
                scores[candidate.profile],
                services,
                purses,
                now,
                leaving=leaving_cost(candidate, prices.rates, known, warmest),
            )
        )
    ]
    if quotes:
        for name, known in forecasts.items():
            if known.cost is None:
                obstacles[name] = "its price is not known: give its rates in an overlay"
    context = _context(request, services, purses, now)
    decision = completed(_choose(services, quotes, context, forecasts), obstacles, quotes)
    if not decision.ranking:
        raise refused(decision, purses)
    wait = decision.defer_until
    if wait is not None and wait > now + timedelta(seconds=request.patience):
        raise deferred(decision, wait, purses)
    if decision.max_tokens is not None:
        served = {*decision.ranking, *decision.escalation}
        capped = forecasts_of(served, decision.max_tokens)
        forecasts |= {name: a for name, a in capped.items() if isinstance(a, Forecast)}
    return Plan(
        decision=decision,
        forecasts=forecasts,
        input_tokens=input_tokens,
        layout=layout,
        reading=reading,
        chain=chain,
        grounds=Grounds(
            request_id=request.id,
            quotes=quotes,
            context=context,
            policy=services.policy,
            decision=decision,
            obstacles=obstacles,
            forecasts=forecasts,
            catalog=services.catalog,
            scorer=scorer,
        ),
    )


def _quote(
    candidate: Candidate,
    forecast: Forecast,
    score: Score,
    services: Services,
    purses: Purses,
    now: datetime,
    *,
    leaving: int,
) -> Quote | None:
    """What the policy is shown of a candidate; None without a known price."""
    if forecast.cost is None or forecast.cost_p90 is None or forecast.cost_ceiling is None:
        return None
    # Only where money may be tight is it asked when a call would be cheaper.
    later = cheaper(services.catalog, candidate, forecast, now) if purses.shared else None
    return Quote(
        name=candidate.name,
        quality=forecast.quality,
        cost=forecast.cost,
        cost_p90=forecast.cost_p90,
        cost_ceiling=forecast.cost_ceiling,
        self_hosted=candidate.self_hosted,
        quality_se=forecast.quality_se,
        base_quality=forecast.base_quality,
        base_cost=forecast.base_cost,
        seconds=forecast.seconds,
        thinking=candidate.thinking,
        region=candidate.region,
        basis=forecast.basis,
        quality_draws=tuple(map(float, score.draws)),
        output_tokens_p50=forecast.output_tokens.p50,
        output_tokens_p90=forecast.output_tokens.p90,
        max_tokens=forecast.max_tokens,
        cheaper_at=None if later is None else later[0],
        cheaper_cost=None if later is None else later[1],
        cache_read_tokens=forecast.cache_read_tokens,
        leaving=leaving,
    )


def _context(request: Request, services: Services, purses: Purses, now: datetime) -> Context:
    return Context(
        now=now,
        remaining=purses.remaining(),
        tags=dict(request.tags),
        purses=purses.purses(),
        draw=draw_of(request.id),
        streaming=request.stream,
        verifiable=services.verify is not None and not request.stream,
        patience=request.patience,
    )


def draw_of(request_id: str) -> float:
    """A number in [0, 1) that follows from the id, evenly spread over ids."""
    digest = hashlib.sha256(request_id.encode("utf-8", "replace")).digest()
    return (int.from_bytes(digest[:8]) >> 11) * 2.0**-53


def _choose(
    services: Services,
    quotes: Sequence[Quote],
    context: Context,
    forecasts: Mapping[str, Forecast],
) -> Decision:
    if not quotes:
        # Only without a hard budget: the caller asked for models whose price nobody knows.
        first, *others = forecasts
        return Decision(
            ranking=(first, *others),
            reason="no candidate has a known price; the first one asked for",
            rejected=dict.fromkeys(others, "its price is not known; kept as a fallback"),
            policy="unpriced",
        )
    decision = services.policy(quotes, context)
    check_decision(decision, [q.name for q in quotes])
    return decision
