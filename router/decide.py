"""From a request to a plan: score, constrain, forecast every candidate, ask the policy. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from classifiers.scores import Score
from policies.types import Context, Decision, Purse, Quote
from router.budgets import Balance, Hold, exceeded
from router.catalog import Candidate
from router.constraints import Obstacle, nobody_left, obstacle
from router.errors import (
    BudgetExceededError,
    InvalidRequestError,
    NoCandidateError,
    RouterError,
    UnpricedModelError,
)
from router.forecast import Unaffordable, forecast, input_bound, size_of, spread
from router.horizon import Horizon, Prices, tier_of
from router.outlook import Forecast
from router.prompts.layout import arrange
from router.prompts.prefix import chain_of
from router.prompts.text import prompt_of
from router.record import Grounds, completed
from router.scoring import scores_of, version_of
from router.services import Services
from router.types import Plan, Request

_DENIED = "its price is not known, and unpriced='deny'"


def decide(
    request: Request,
    services: Services,
    holds: Sequence[Hold],
    balances: Sequence[Balance],
    now: datetime,
) -> Plan:
    """Choose a candidate for `request` and say why not the others.

    Raises:
        NoCandidateError: everyone is out; the kinds of `router.errors` say how.
        BudgetExceededError: the hard budgets hold too little for any candidate.
        ScorerError: the scorer failed.
    """
    hard = [(h, b) for h, b in zip(holds, balances, strict=True) if h.hard]
    if hard and request.unvetted:
        raise InvalidRequestError(
            f"extra_body: {', '.join(request.unvetted)} may change what is billed, and a hard "
            "budget applies. Leave it out, or make the budget soft (hard=False).",
            param="extra_body",
        )
    layout = arrange(request.messages, request.tools)
    candidates = services.candidates(request.models, now)
    input_tokens = services.count_input(
        layout.messages, tools=layout.tools or None, response_format=request.response_format
    )
    input_bytes = size_of(request)
    remaining = min((max(0, _left(h, b)) for h, b in hard), default=None)
    out: dict[str, Obstacle] = {}
    priced: list[tuple[Candidate, Prices, int]] = []
    horizon = Horizon(
        services.catalog,
        now,
        request.timeout,
        service_tier=tier_of(request.extra),
        unpriced=services.unpriced,
    )
    for candidate in candidates:
        bound = input_bound(candidate, input_tokens, input_bytes)
        prices = horizon.prices(candidate, input_tokens, bound)
        why = obstacle(candidate, request, input_tokens, prices.rates, hard=bool(hard))
        if why is None and prices.rates is None and services.unpriced == "deny":
            why = Obstacle("price", _DENIED)
        if why is None and (reason := services.unfit(candidate, request)):
            why = Obstacle("unfit", reason)
        if why is None:
            priced.append((candidate, prices, bound))
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
    profiles = list(dict.fromkeys(c.profile for c, _, _ in priced))
    reading, scores = scores_of(services.scorer, prompt, profiles, request.tags.get("tenant", ""))
    chain = chain_of(layout.messages, layout.tools)
    forecasts: dict[str, Forecast] = {}
    errors = {profile: spread(scores[profile].draws) for profile in profiles}
    means: dict[tuple[str, int], float] = {}
    needed: list[int] = []
    for candidate, prices, bound in priced:
        answer = forecast(
            candidate,
            request,
            scores[candidate.profile],
            prices,
            input_tokens=input_tokens,
            bound=bound,
            cache_read_tokens=services.prefixes.expected(candidate.endpoint, chain, now),
            remaining=remaining,
            pace=services.pace,
            quality_se=errors[candidate.profile],
            means=means,
        )
        if isinstance(answer, Unaffordable):
            out[candidate.name] = Obstacle("budget", answer.reason)
            needed.append(answer.needed)
        else:
            forecasts[candidate.name] = answer
    if not forecasts:
        raise _too_little(hard, min(needed), out)
    obstacles = {name: o.reason for name, o in out.items()}
    quotes = [
        quote
        for candidate, _, _ in priced
        if (known := forecasts.get(candidate.name))
        and (quote := _quote(candidate, known, scores[candidate.profile]))
    ]
    if quotes:
        for name, known in forecasts.items():
            if known.cost is None:
                obstacles[name] = "its price is not known: give its rates in an overlay"
    context = _context(request, services, tuple(zip(holds, balances, strict=True)), now)
    decision = completed(_choose(services, quotes, context, forecasts), obstacles)
    if not decision.ranking:
        raise NoCandidateError(
            f"policy {decision.policy!r} allows none of the candidates ({decision.reason}):",
            reasons=decision.rejected,
        )
    return Plan(
        decision=decision,
        forecasts=forecasts,
        input_tokens=input_tokens,
        layout=layout,
        reading=reading,
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


def _quote(candidate: Candidate, forecast: Forecast, score: Score) -> Quote | None:
    """What the policy is shown of a candidate; None without a known price."""
    if forecast.cost is None or forecast.cost_p90 is None or forecast.cost_ceiling is None:
        return None
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
    )


def _context(
    request: Request,
    services: Services,
    held: Sequence[tuple[Hold, Balance]],
    now: datetime,
) -> Context:
    # A cap on this one request is no purse to be spared for others.
    lasting = [(h, b) for h, b in held if not h.key.startswith("request/")]
    left = [max(0, _left(h, b)) for h, b in lasting if h.hard]
    purses = tuple(
        Purse(
            limit=hold.limit,
            taken=balance.spent + balance.reserved,
            starts=hold.window_start if hold.resets_at else None,
            ends=hold.resets_at,
        )
        for hold, balance in lasting
    )
    return Context(
        now=now,
        remaining=min(left, default=None),
        tags=dict(request.tags),
        purses=purses,
        draw=draw_of(request.id),
        streaming=request.stream,
        verifiable=services.verify is not None and not request.stream,
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
    names = [q.name for q in quotes]
    if not isinstance(decision, Decision):
        raise RouterError(f"the policy answered {decision!r}, expected a Decision")
    for what, chosen in (("chose", decision.ranking), ("escalates to", decision.escalation)):
        if not set(chosen) <= set(names) or len(set(chosen)) < len(chosen):
            raise RouterError(
                f"policy {decision.policy!r} {what} {chosen!r}, expected some of {names!r}, each "
                "once"
            )
    return decision


def _left(hold: Hold, balance: Balance) -> int:
    return hold.limit - balance.spent - balance.reserved


def _too_little(
    hard: Sequence[tuple[Hold, Balance]], needed: int, out: Mapping[str, Obstacle]
) -> BudgetExceededError:
    hold, balance = min(hard, key=lambda pair: _left(*pair))
    why = "".join(f"\n  {name}: {o.reason}" for name, o in out.items())
    return exceeded(hold, balance, needed, "the cheapest candidate needs", why)
