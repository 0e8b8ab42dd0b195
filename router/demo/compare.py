"""What else could have been done with the same prompts: one model for all, the oracle, a sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from policies import Context, Policy, Quote, utility
from router.catalog import Catalog
from router.demo.routing import PORTFOLIO
from router.pricing import cost
from router.tokens import count_messages
from router.transports.recording import Recorded
from router.types import Forecast, Usage


@dataclass(frozen=True, slots=True)
class Point:
    """A way of routing: share of right answers, and its cost in pico-dollars."""

    name: str
    quality: float
    cost: int


@dataclass(frozen=True, slots=True)
class Table:
    """Recorded score and true cost (pico-dollars) of each prompt at each candidate."""

    scores: list[dict[str, float]]
    costs: list[dict[str, int]]

    def point(self, name: str, choice: Callable[[int], str]) -> Point:
        """The point of choosing `choice(i)` for prompt number i."""
        chosen = [choice(i) for i in range(len(self.scores))]
        right = sum(self.scores[i][c] for i, c in enumerate(chosen))
        total = sum(self.costs[i][c] for i, c in enumerate(chosen))
        return Point(name, right / max(1, len(chosen)), total)


def table_of(prompts: Sequence[Recorded], catalog: Catalog, at: datetime) -> Table:
    """What every candidate of the portfolio scored and would have cost on every prompt."""
    candidates = [catalog.candidate(name, at=at) for name in PORTFOLIO]
    scores, costs = [], []
    for recorded in prompts:
        input_tokens = count_messages([{"role": "user", "content": recorded.prompt}])
        row: dict[str, int] = {}
        for candidate in candidates:
            rates = catalog.rates(candidate, at)
            assert rates is not None
            tokens = recorded.outcomes[candidate.model].output_tokens
            row[candidate.name] = cost(
                Usage(input_tokens=input_tokens, output_tokens=tokens), rates
            ).pico
        costs.append(row)
        scores.append({c.name: recorded.outcomes[c.model].score for c in candidates})
    return Table(scores, costs)


def baselines(table: Table) -> list[Point]:
    """All to the cheapest, all to each other one, and the oracle that knows every grade."""
    singles = [table.point(f"all {name}", partial(_always, name)) for name in PORTFOLIO]
    singles.sort(key=lambda point: point.cost)

    def best(i: int) -> str:
        scores, costs = table.scores[i], table.costs[i]
        return min(PORTFOLIO, key=lambda name: (-scores[name], costs[name]))

    return [*singles, table.point("oracle", best)]


def mixed(points: Sequence[Point], spend: int) -> Point:
    """The best that picking single models at random reaches for `spend` pico-dollars."""
    singles = [p for p in points if p.name != "oracle"]
    best = max((p.quality for p in singles if p.cost <= spend), default=0.0)
    for low in singles:
        for high in singles:
            if low.cost <= spend < high.cost:
                share = (spend - low.cost) / (high.cost - low.cost)
                best = max(best, low.quality + share * (high.quality - low.quality))
    return Point("a random mix for as much", best, spend)


def frontier(table: Table, forecasts: Sequence[dict[str, Forecast]], now: datetime) -> list[Point]:
    """What the shipped scorer reaches without a budget, as the worth of an answer is varied."""
    points = []
    for exponent in range(-30, 1):
        policy = utility(f"{10 ** (exponent / 6):.9f}")
        chosen = [_choose(policy, quotes, now) for quotes in forecasts]
        points.append(table.point(f"1e{exponent}/6", chosen.__getitem__))
    return points


def _always(name: str, _: int) -> str:
    return name


def _choose(policy: Policy, forecasts: dict[str, Forecast], now: datetime) -> str:
    quotes = [
        Quote(
            name=f.candidate,
            quality=f.quality,
            cost=f.cost or 0,
            cost_p90=f.cost_p90 or 0,
            cost_ceiling=f.cost_ceiling or 0,
        )
        for f in forecasts.values()
    ]
    return policy(quotes, Context(now=now)).chosen
