"""A month of recorded prompts through a real `Client`, its clock moved from request to request.

Arrivals follow a daily and weekly rhythm, some may wait. ASSUMED, for the sake of `defer`: hosted
candidates cost half their recorded price off-peak, as some hosts do today; those recorded never
had such hours. An answer that was cut off counts as wrong.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from benchmarks.pacing import rhythm
from policies import Context, Policy, Quote, utility
from router import Budget, BudgetExceededError, Client, NoCandidateError, recorded_prompts
from router.catalog import Catalog
from router.money import to_usd
from router.pricing import cost
from router.testing import FakeClock
from router.transports.recording import Recorded
from router.types import Route, Usage

START = datetime(2026, 6, 1, tzinfo=UTC)  # a Monday
DAYS = 30
VALUE_USD = "0.10"  # as in the demo: the strong model is worth it for one prompt in seven
PATIENT, PATIENCE = 0.3, 12 * 3600.0
OWN, CHEAP, STRONG = (
    "mixtral-8x7b-instruct-v0.1@replay",
    "deepseek-v2.5@replay",
    "claude-3-5-sonnet-20241022@replay",
)
PORTFOLIOS = {"with own machines": (OWN, CHEAP, STRONG), "hosted only": (CHEAP, STRONG)}


def by_clock(endpoint: str, prices: dict[str, str]) -> dict[str, object]:
    """A rate row at the recorded price in peak hours and at half of it else."""
    return {
        "endpoint": endpoint,
        "valid_from": START,
        "schedule": "assumed-peak",
        "peak": prices,
        "off_peak": {kind: str(Decimal(price) / 2) for kind, price in prices.items()},
        "source": "an assumption of benchmarks/ladder.py",
        "checked": START.date(),
    }


def catalog() -> Catalog:
    """The shipped catalogue with the assumed off-peak prices: nights and weekends, in UTC."""
    schedule = {
        "name": "assumed-peak",
        "window": "peak",
        "zone": "UTC",
        "weekdays": [1, 2, 3, 4, 5],
        "hours": ["08:00-20:00"],
        "source": "an assumption of benchmarks/ladder.py",
        "checked": START.date(),
    }
    cheap = {"input": "0.14", "cache_read": "0.014", "output": "0.28"}
    strong = {"input": "3.00", "cache_read": "0.30", "cache_write": "3.75", "output": "15.00"}
    rates = [by_clock(CHEAP, cheap), by_clock(STRONG, strong)]
    return Catalog.default().overlay({"schedule": [schedule], "rate": rates})


@dataclass(frozen=True, order=True)
class Ask:
    """One request: when it comes or is due, its number, its prompt, how many seconds it waits."""

    at: datetime
    number: int
    prompt: Recorded = field(compare=False)
    patience: float = field(compare=False)


@dataclass
class Outcome:
    """What a month came to; `dollars` in pico-dollars, `gone` the day on which 99 % were spent.

    What was put off into the next month is `left_over`: it is not served from this one's budget.
    """

    asked: int
    served: int = 0
    right: float = 0.0
    dollars: int = 0
    refused: int = 0
    deferred: int = 0
    left_over: int = 0
    cut: int = 0
    gone: float | None = None
    steps: Counter[str] = field(default_factory=Counter)
    seen: dict[int, tuple[datetime, int, tuple[Quote, ...]]] = field(default_factory=dict)


def month(seed: int, requests: int | None = None) -> list[Ask]:
    """The recorded prompts that no shipped weight has seen, each once, over a month."""
    chance = random.Random(f"ladder/{seed}")
    wanted = {name.removesuffix("@replay") for name in (OWN, CHEAP, STRONG)}
    prompts = [r for r in recorded_prompts() if wanted <= r.outcomes.keys()]
    chance.shuffle(prompts)
    prompts = prompts[:requests]
    weights = [rhythm(hour % 168) for hour in range(24 * DAYS)]
    hours = chance.choices(range(24 * DAYS), weights, k=len(prompts))
    return [
        Ask(
            START + timedelta(hours=hour + chance.random()),
            i,
            prompt,
            PATIENCE if chance.random() < PATIENT else 0.0,
        )
        for i, (hour, prompt) in enumerate(zip(hours, prompts, strict=True))
    ]


def live(
    policy: Policy, asks: list[Ask], limit: int | None, names: tuple[str, ...], prices: Catalog
) -> Outcome:
    """Serve the month from a hard monthly budget of `limit` pico-dollars; None: without one."""
    clock = FakeClock(START)
    found = Outcome(asked=len(asks))
    budgets = () if limit is None else Budget(to_usd(limit), "month", {"team": "search"})
    with Client(
        candidates=names,
        catalog=prices,
        policy=policy,
        budgets=budgets,
        ledger=":memory:",
        tags={"team": "search"},
        now=clock,
        environ={},
    ) as client:
        queue = list(asks)
        heapq.heapify(queue)
        while queue:
            ask = heapq.heappop(queue)
            clock.instant = ask.at
            if (later := _later(client, ask)) is not None:
                found.deferred += 1
                if later >= START + timedelta(days=DAYS):  # that is the next month's money
                    found.left_over += 1
                    continue
                waited = (later - ask.at).total_seconds()
                heapq.heappush(queue, replace(ask, at=later, patience=ask.patience - waited))
                continue
            _serve(client, ask, found)
            if limit is not None and found.gone is None and found.dollars >= 0.99 * limit:
                found.gone = (ask.at - START) / timedelta(days=1)
    return found


def _later(client: Client, ask: Ask) -> datetime | None:
    """When the policy would rather send it, if its caller waits until then."""
    if not ask.patience:
        return None
    try:
        plan = client.plan(_messages(ask), patience=ask.patience)
    except (BudgetExceededError, NoCandidateError):
        return None
    until = plan.decision.defer_until
    waits = until is not None and (until - ask.at).total_seconds() <= ask.patience
    return until if waits else None


def _serve(client: Client, ask: Ask, found: Outcome) -> None:
    try:
        reply = client.chat.completions.create(_messages(ask))
    except (BudgetExceededError, NoCandidateError) as error:
        found.refused += 1
        if "refuse:" in str(error):
            found.steps["refuse"] += 1
        return
    replay = (reply.model_extra or {})["replay"]
    route: Route = reply.route
    assert route.cost is not None
    found.served += 1
    found.right += float(replay["score"])
    found.dollars += route.cost.pico
    found.cut += reply.choices[0].finish_reason == "length"
    found.steps.update(step.partition(":")[0] for step in route.decision.steps)
    seen = ask.at, route.forecast.input_tokens, route.record.quotes
    found.seen[ask.number] = seen


def _messages(ask: Ask) -> list[dict[str, str]]:
    return [{"role": "user", "content": ask.prompt.prompt}]


def hindsight(asks: list[Ask], free: Outcome, limit: int, prices: Catalog) -> Outcome:
    """The one price on a dollar, found afterwards, at which `utility` just keeps to the budget.

    What is not worth its price is refused. The forecasts are those of the run without a budget,
    and nobody waits. No policy can know that price.
    """
    low, high = 1.0, 1e6
    best = Outcome(asked=len(asks))
    for _ in range(30):
        price = math.sqrt(low * high)
        tried = _at(price, asks, free, prices)
        if tried.dollars <= limit:
            high, best = price, tried
        else:
            low = price
    return best


def _at(price: float, asks: list[Ask], free: Outcome, prices: Catalog) -> Outcome:
    """What the month would have come to at this price."""
    policy = utility(f"{float(VALUE_USD) / price:.12f}")
    tried = Outcome(asked=len(asks))
    for ask in asks:
        at, inputs, quotes = free.seen[ask.number]
        name = policy(quotes, Context(now=at)).chosen
        quote = next(q for q in quotes if q.name == name)
        if quote.quality * float(VALUE_USD) * 1e12 < price * quote.cost:
            tried.refused += 1
            continue
        outcome = ask.prompt.outcomes[name.removesuffix("@replay")]
        rates = prices.rates(name, at)
        assert rates is not None
        usage = Usage(input_tokens=inputs, output_tokens=outcome.output_tokens)
        tried.served += 1
        tried.right += outcome.score
        tried.dollars += cost(usage, rates).pico
    return tried
