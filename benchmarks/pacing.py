"""How well a month's budget is spent when nobody knows what the month will bring.

Thirty days of made-up traffic (bursts, nights, weekends) meet a budget too small for `utility`.
Beside the policies stands the hindsight optimum: the fractional knapsack by its Lagrangian, with
all requests known beforehand. `python -m benchmarks.pacing [--seeds N] [--requests N] [--days N]`.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from policies import Context, Policy, Purse, Quote, cheapest, pacing, sparing, utility

START = datetime(2026, 6, 1, tzinfo=UTC)  # a Monday
DAYS = 30
VALUE_USD = 0.01
VALUE = VALUE_USD * 1e12
# name, price of a request of middle size in USD, skill in logits
MODELS = (
    ("small", 0.00005, -0.3),
    ("middle", 0.0004, 0.6),
    ("large", 0.0015, 1.3),
    ("huge", 0.006, 2.0),
)
# The defaults of `pacing` were chosen on months with lower seeds.
FIRST_SEED = 100
SHARES = (0.3, 0.45, 0.6, 0.75, 0.9)


@dataclass(frozen=True)
class Ask:
    """One request: when, what the policies see, and what each candidate will really cost."""

    at: datetime
    quotes: tuple[Quote, ...]
    bills: dict[str, int]


@dataclass(frozen=True)
class Outcome:
    """What a month came to: expected right answers, pico-dollars, refusals."""

    right: float
    spent: float
    refused: int
    money_gone: float = 1.0  # when 99 % were spent, as a share of the month

    @property
    def net(self) -> float:
        """What the answers were worth, less what they cost, in pico-dollars."""
        return self.right * VALUE - self.spent


def rhythm(hour: int) -> float:
    """Expected traffic of an hour of the week, from Monday: quiet nights and weekends."""
    day = 0.15 + math.exp(-(((hour % 24 - 14) / 4.5) ** 2))
    return day * (0.25 if hour // 24 >= 5 else 1.0)


WEEK = tuple(rhythm(hour) for hour in range(168))


def steady(_: int, __: random.Random) -> float:
    """The same traffic in every hour."""
    return 1.0


def weekly(hour: int, _: random.Random) -> float:
    """Days and weeks, as in `WEEK`."""
    return WEEK[hour % 168]


def bursty(hour: int, chance: random.Random) -> float:
    """Days and weeks, and every hour lognormal about them."""
    return WEEK[hour % 168] * chance.lognormvariate(-0.5, 1.0)


def growing(hour: int, chance: random.Random) -> float:
    """Bursts, and four times as much at the end as at the start."""
    return bursty(hour, chance) * (1 + 3 * hour / (24 * DAYS))


def launch(hour: int, chance: random.Random) -> float:
    """Bursts, and five times as much in the last ten days."""
    return bursty(hour, chance) * (5.0 if hour >= 24 * 20 else 1.0)


def rush(hour: int, chance: random.Random) -> float:
    """Bursts, and five times as much in the first week."""
    return bursty(hour, chance) * (5.0 if hour < 24 * 7 else 1.0)


SHAPES = {shape.__name__: shape for shape in (steady, weekly, bursty, growing, launch, rush)}


def month(shape: str, seed: int, requests: int) -> list[Ask]:
    """A month of about so many requests; equal seeds give equal months."""
    chance = random.Random(f"{shape}/{seed}")
    weights = [SHAPES[shape](hour, chance) for hour in range(24 * DAYS)]
    hours = sorted(chance.choices(range(24 * DAYS), weights, k=requests))
    return [ask(START + timedelta(hours=hour + chance.random()), chance) for hour in hours]


def ask(at: datetime, chance: random.Random) -> Ask:
    """A request of lognormal size and normal difficulty; bills scatter about the forecasts."""
    size, difficulty = chance.lognormvariate(0, 1), chance.gauss(0, 1.5)
    quotes, bills = [], {}
    for name, usd, skill in MODELS:
        cost = round(usd * size * 1e12)
        right = 1 / (1 + math.exp(difficulty - 1.5 * skill))
        quotes.append(
            Quote(name=name, quality=right, cost=cost, cost_p90=2 * cost, cost_ceiling=4 * cost)
        )
        bills[name] = round(cost * chance.lognormvariate(-0.125, 0.5))
    return Ask(at, tuple(quotes), bills)


def spend(policy: Policy, asks: list[Ask], limit: float, days: int = DAYS) -> Outcome:
    """Answer the requests in order from a budget of `limit` pico-dollars per window of `days`.

    As in the router, a candidate that the budget cannot surely pay for is not offered.
    """
    right, spent, refused, gone = 0.0, 0, 0, 1.0
    taken, starts, length = 0, START, timedelta(days=days)
    for request in sorted(asks, key=lambda a: a.at):
        while request.at >= starts + length:
            starts, taken = starts + length, 0
        left = int(limit) - taken
        payable = [q for q in request.quotes if q.cost_ceiling <= left]
        if not payable:
            refused += 1
            continue
        purse = Purse(limit=int(limit), taken=taken, starts=starts, ends=starts + length)
        context = Context(now=request.at, remaining=left, purses=(purse,))
        chosen = policy(payable, context).chosen
        taken += request.bills[chosen]
        spent += request.bills[chosen]
        right += next(q.quality for q in payable if q.name == chosen)
        if taken > 0.99 * limit:
            gone = min(gone, (request.at - START) / timedelta(days=DAYS))
    return Outcome(right, spent, refused, gone)


def hindsight(asks: list[Ask], limit: float, days: int = DAYS) -> Outcome:
    """The most that anyone could have made of each window, requests known beforehand.

    The dual bound of the knapsack: the least over prices of what the requests are worth at that
    price, plus the price of the budget. It is reached but for a part of a single request.
    """
    right = spent = 0.0
    windows: dict[int, list[Ask]] = {}
    for request in asks:
        windows.setdefault((request.at - START).days // days, []).append(request)
    for part in windows.values():
        quality = np.array([[q.quality for q in a.quotes] + [0.0] for a in part])
        cost = np.array([[float(q.cost) for q in a.quotes] + [0.0] for a in part])
        rows = np.arange(len(part))

        def at(price, quality=quality, cost=cost, rows=rows):
            best = np.argmax(quality * VALUE - price * cost, axis=1)
            return quality[rows, best].sum(), cost[rows, best].sum()

        low, high = 1.0, 1e6
        if at(low)[1] <= limit:
            high = low
        for _ in range(60):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if at(middle)[1] > limit else (low, middle)
        (more, dear), (less, cheap) = at(low), at(high)
        mix = (limit - cheap) / (dear - cheap) if dear > cheap else 0.0
        right += less + mix * (more - less)
        spent += cheap + mix * (dear - cheap)
    return Outcome(right, spent, 0)


def contenders() -> dict[str, Policy]:
    """The policies under comparison."""
    value = str(VALUE_USD)
    return {
        "cheapest": cheapest(),
        "utility (greedy)": utility(value),
        "sparing(utility)": sparing(utility(value), 0.05),
        "sparing(utility, 0.2 %)": sparing(utility(value), 0.002),
        "pacing": pacing(value),
        "pacing, week known": pacing(value, profile=WEEK),
    }


def unlimited(asks: list[Ask]) -> float:
    """What `utility` would spend in the month if it could, in pico-dollars."""
    free = [replace(a, bills={q.name: q.cost for q in a.quotes}) for a in asks]
    return spend(utility(str(VALUE_USD)), free, 1e18).spent


def compare(
    policies: dict[str, Policy], shape: str, share: float, seeds: int, requests: int, days: int
) -> dict[str, list[tuple[Outcome, Outcome]]]:
    """For every policy its outcomes beside the hindsight optimum, one pair per seed."""
    found: dict[str, list[tuple[Outcome, Outcome]]] = {name: [] for name in policies}
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        asks = month(shape, seed, requests)
        limit = share * unlimited(asks) * days / DAYS
        best = hindsight(asks, limit, days)
        for name, policy in policies.items():
            found[name].append((spend(policy, asks, limit, days), best))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--days", type=int, default=DAYS, help="length of the budget's window")
    given = parser.parse_args()
    policies = contenders()
    gaps: dict[str, list[float]] = {name: [] for name in policies}
    print(f"{'traffic':10}{'budget':>8}  {'policy':26}{'net of best':>12}{'right':>9}", end="")
    print(f"{'spent':>8}{'refused':>9}{'gone by':>9}")
    for shape in SHAPES:
        for share in SHARES:
            found = compare(policies, shape, share, given.seeds, given.requests, given.days)
            for name, pairs in found.items():
                nets = [100 * one.net / best.net for one, best in pairs]
                gaps[name] += nets
                n = given.seeds * given.requests
                limit = sum(best.spent for _, best in pairs)
                print(
                    f"{shape:10}{share:8.0%}  {name:26}{statistics.mean(nets):11.1f}%"
                    f"{sum(o.right for o, _ in pairs) / n:9.3f}"
                    f"{sum(o.spent for o, _ in pairs) / limit:8.0%}"
                    f"{sum(o.refused for o, _ in pairs) / n:9.1%}"
                    f"{statistics.mean(o.money_gone for o, _ in pairs):9.0%}"
                )
    print(f"\n{'net worth, % of hindsight':36}{'mean':>8}{'worst':>8}")
    for name, nets in gaps.items():
        print(f"{name:36}{statistics.mean(nets):8.1f}{min(nets):8.1f}")


if __name__ == "__main__":
    main()
