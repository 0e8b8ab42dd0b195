"""From a request to a plan: score, constrain, forecast every candidate, ask the policy. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from policies.types import Context, Decision, Quote
from router.budgets import Balance, Hold, exceeded
from router.catalog import Candidate, Rates
from router.constraints import Obstacle, nobody_left, obstacle
from router.errors import BudgetExceededError, InvalidRequestError, RouterError
from router.forecast import Unaffordable, forecast
from router.prompts.layout import arrange, canonical
from router.prompts.prefix import chain_of
from router.prompts.text import scored_text
from router.services import Services
from router.types import Forecast, Plan, Request

_MINUTE = 60


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
    input_bytes = _size(request)
    remaining = min((max(0, _left(h, b)) for h, b in hard), default=None)
    # A cap on this one request is no purse to be spared for others.
    purses = [max(0, _left(h, b)) for h, b in hard if not h.key.startswith("request/")]
    out: dict[str, Obstacle] = {}
    priced: list[tuple[Candidate, Rates | None, Rates | None]] = []
    for candidate in candidates:
        rates, dearest = _rates(services, candidate, now, request.timeout)
        why = obstacle(candidate, request, input_tokens, rates, hard=bool(hard))
        if why is None and (reason := services.unfit(candidate, request)):
            why = Obstacle("unfit", reason)
        if why is None:
            priced.append((candidate, rates, dearest))
        else:
            out[candidate.name] = why
    if not priced:
        raise nobody_left(out, input_tokens)

    scores = services.scorer.score(
        scored_text(layout.messages), list(dict.fromkeys(c.profile for c, _, _ in priced))
    )
    chain = chain_of(layout.messages, layout.tools)
    forecasts: dict[str, Forecast] = {}
    needed: list[int] = []
    for candidate, rates, dearest in priced:
        answer = forecast(
            candidate,
            request,
            scores[candidate.profile],
            input_tokens=input_tokens,
            input_bytes=input_bytes,
            cache_read_tokens=services.prefixes.expected(candidate.endpoint, chain, now),
            rates=rates,
            dearest=dearest,
            remaining=remaining,
        )
        if isinstance(answer, Unaffordable):
            out[candidate.name] = Obstacle("budget", answer.reason)
            needed.append(answer.needed)
        else:
            forecasts[candidate.name] = answer
    if not forecasts:
        raise _too_little(hard, min(needed), out)
    self_hosted = {c.name for c, _, _ in priced if c.self_hosted}
    decision = _choose(request, services, forecasts, self_hosted, min(purses, default=None), now)
    rejected = {name: o.reason for name, o in out.items()} | decision.rejected
    return Plan(
        decision=Decision(
            ranking=decision.ranking,
            reason=decision.reason,
            rejected=rejected,
            policy=decision.policy,
        ),
        forecasts=forecasts,
        input_tokens=input_tokens,
        layout=layout,
    )


def _choose(
    request: Request,
    services: Services,
    forecasts: Mapping[str, Forecast],
    self_hosted: set[str],
    remaining: int | None,
    now: datetime,
) -> Decision:
    quotes = [
        Quote(
            name=f.candidate,
            quality=f.quality,
            cost=f.cost,
            cost_p90=f.cost_p90,
            cost_ceiling=f.cost_ceiling,
            self_hosted=f.candidate in self_hosted,
        )
        for f in forecasts.values()
        if f.cost is not None and f.cost_p90 is not None and f.cost_ceiling is not None
    ]
    if not quotes:
        # Only without a hard budget: the caller asked for models whose price nobody knows.
        first, *others = forecasts
        return Decision(
            ranking=(first, *others),
            reason="no candidate has a known price; the first one asked for",
            rejected=dict.fromkeys(others, "its price is not known; kept as a fallback"),
            policy="unpriced",
        )
    context = Context(now=now, remaining=remaining, tags=dict(request.tags))
    decision = services.policy(quotes, context)
    unpriced = [name for name, f in forecasts.items() if f.cost is None]
    unknown = dict.fromkeys(unpriced, "its price is not known: give its rates in an overlay")
    names = [q.name for q in quotes]
    if not isinstance(decision, Decision):
        raise RouterError(f"the policy answered {decision!r}, expected a Decision")
    ranking = decision.ranking
    if not ranking or not set(ranking) <= set(names) or len(set(ranking)) < len(ranking):
        raise RouterError(
            f"policy {decision.policy!r} chose {ranking!r}, expected one or more of {names!r}, "
            "each once"
        )
    return Decision(
        ranking=decision.ranking,
        reason=decision.reason,
        rejected=decision.rejected | unknown,
        policy=decision.policy,
    )


def _rates(
    services: Services, candidate: Candidate, now: datetime, timeout: float
) -> tuple[Rates | None, Rates | None]:
    """The rates now, and the highest of each in the time the call may take.

    Where prices follow the clock they are looked up every minute, as fine as windows are written,
    else at both ends.
    """
    rates = services.catalog.rates(candidate, now)
    if rates is None:
        return None, None
    end = services.catalog.rates(candidate, now + timedelta(seconds=timeout)) or rates
    clocked = rates.window or end.window
    seconds = (*range(_MINUTE, math.ceil(timeout), _MINUTE), timeout) if clocked else (timeout,)
    later = (services.catalog.rates(candidate, now + timedelta(seconds=s)) for s in seconds)
    all_of_them = [rates, *(r for r in later if r is not None)]
    return rates, replace(
        rates,
        input=max(r.input for r in all_of_them),
        cache_read=max(r.cache_read for r in all_of_them),
        cache_write=max(r.cache_write for r in all_of_them),
        output=max(r.output for r in all_of_them),
    )


def _left(hold: Hold, balance: Balance) -> int:
    return hold.limit - balance.spent - balance.reserved


def _size(request: Request) -> int:
    text = canonical([list(request.messages), list(request.tools), request.response_format])
    # Chat templates add a few tokens a message, and some a default system prompt or the date.
    return len(text.encode("utf-8", "replace")) + 8 * len(request.messages) + 64


def _too_little(
    hard: Sequence[tuple[Hold, Balance]], needed: int, out: Mapping[str, Obstacle]
) -> BudgetExceededError:
    hold, balance = min(hard, key=lambda pair: _left(*pair))
    why = "".join(f"\n  {name}: {o.reason}" for name, o in out.items())
    return exceeded(hold, balance, needed, "the cheapest candidate needs", why)
