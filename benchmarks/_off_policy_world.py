"""Worlds whose truth is known, and logs of them as the arrays that the estimators work on.

`synthetic`: requests of lognormal size and normal difficulty at four models; grades are
Bernoulli, costs lognormal (sigma 1) about a lognormal size, and the quotes are off: too sure of
difficulty, and forecasts of cost between 0.7 and 2 times the truth. `misled` is the same with
quotes that have the order of the models upside down. `unsized` has three models, each ten times
as dear as the one before, costs of sigma 1.1, and quotes that neither know how long the answer to
a request will be nor, by a factor of 1 to 2.5, how long those of a model are. `recorded` draws
with replacement from the recorded prompts: real grades and lengths, quotes of the shipped scorer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

import numpy as np

from router import Client, recorded_prompts
from router.demo.compare import table_of
from router.demo.routing import PORTFOLIO
from router.testing import FakeClock
from router.tuning.estimators import Array, Log
from router.tuning.replay import Cases

PRICE = np.array([0.00005, 0.0004, 0.0015, 0.006])
SKILL = np.array([-0.3, 0.6, 1.3, 2.0])
MANY = 1_000_000


@dataclass(frozen=True)
class Drawn:
    """n requests at k models: true P(correct) and mean cost (USD), and the quotes of both."""

    right: Array
    cost: Array
    quality: Array
    price: Array
    noise: float = 1.0


World = Callable[[int, np.random.Generator], Drawn]
Rule = Callable[[Drawn], Array]


def synthetic(n: int, chance: np.random.Generator, *, misled: bool = False) -> Drawn:
    """See above."""
    size, hard = np.exp(chance.normal(0, 1, n)), chance.normal(0, 1.5, n)
    right = 1 / (1 + np.exp(hard[:, None] - 1.5 * SKILL))
    seen = hard + chance.normal(0, 1, n)
    skill = 1 - SKILL if misled else SKILL
    quality = 1 / (1 + np.exp(0.7 * seen[:, None] - 1.5 * skill))
    cost = PRICE * size[:, None]
    price = cost * np.exp(chance.normal(0, 0.3, cost.shape)) * np.array([1, 1.3, 0.7, 2.0])
    return Drawn(right, cost, quality, price)


def misled(n: int, chance: np.random.Generator) -> Drawn:
    """See above."""
    return synthetic(n, chance, misled=True)


def unsized(n: int, chance: np.random.Generator) -> Drawn:
    """See above."""
    hard, long = chance.random(n)[:, None], chance.random(n)[:, None]
    right = np.array([0.95, 0.92, 0.97]) - np.array([0.75, 0.4, 0.15]) * hard - 0.15 * (long - 0.5)
    quality = np.array([0.85, 0.9, 0.93]) - np.array([0.45, 0.2, 0.05]) * hard
    dollars = np.array([1e-7, 1e-6, 1e-5])
    tokens = np.exp(4.6 + np.array([0, 0.2, 0.6]) + 1.3 * hard + 0.5 * long)
    said = np.exp(4.7 + np.array([0.2, 0, 0]) + hard)
    return Drawn(np.clip(right, 0.01, 0.99), dollars * tokens, quality, dollars * said, noise=1.1)


@cache
def _recording() -> Drawn:
    prompts = recorded_prompts(source="zeroeval")
    clock = FakeClock(datetime(2026, 11, 22, 12, tzinfo=UTC))
    client = Client(ledger=":memory:", now=clock, candidates=PORTFOLIO)
    table = table_of(prompts, client.catalog, clock())
    plans = [client.plan([{"role": "user", "content": p.prompt}]) for p in prompts]
    quotes = [{q.name: q for q in plan.record.quotes} for plan in plans]
    return Drawn(
        np.array([[row[name] for name in PORTFOLIO] for row in table.scores]),
        np.array([[row[name] / 1e12 for name in PORTFOLIO] for row in table.costs]),
        np.array([[row[name].quality for name in PORTFOLIO] for row in quotes]),
        np.array([[row[name].cost / 1e12 for name in PORTFOLIO] for row in quotes]),
        noise=0.0,
    )


def recorded(n: int, chance: np.random.Generator) -> Drawn:
    """See above. Asked for `MANY`, it gives the whole recording once."""
    every = _recording()
    at = np.arange(len(every.right)) if n == MANY else chance.integers(0, len(every.right), n)
    return Drawn(every.right[at], every.cost[at], every.quality[at], every.price[at], every.noise)


def utility(value: float) -> Rule:
    """As the policy of this name with z = 0: the most for the money."""
    return lambda drawn: _only((value * drawn.quality - drawn.price).argmax(axis=1), drawn)


def always(model: int) -> Rule:
    """One model for all."""
    return lambda drawn: _only(np.full(len(drawn.right), model), drawn)


def explore(rule: Rule, share: float) -> Rule:
    """As the policy of this name."""
    return lambda drawn: (1 - share) * rule(drawn) + share / drawn.right.shape[1]


def softmax(value: float, heat: float) -> Rule:
    """Chances by the exponential of what each is worth over `heat` (USD)."""

    def chances(drawn: Drawn) -> Array:
        worth = (value * drawn.quality - drawn.price) / heat
        raised = np.exp(worth - worth.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)

    return chances


def _only(at: Array, drawn: Drawn) -> Array:
    chances = np.zeros_like(drawn.right)
    chances[np.arange(len(at)), at] = 1.0
    return chances


@cache
def truth(world: World, rule: Rule) -> tuple[float, float]:
    """Mean quality and cost (USD) of a rule, over a million requests or all that there are."""
    drawn = world(MANY, np.random.default_rng(2**31))
    chances = rule(drawn)
    by_request = (chances * drawn.right).sum(axis=1), (chances * drawn.cost).sum(axis=1)
    return float(by_request[0].mean()), float(by_request[1].mean())


def log(drawn: Drawn, logging: Rule, rules: list[Rule], chance, graded: float = 1.0) -> Cases:
    """The requests as `logging` would have logged them, with these targets."""
    chances = logging(drawn)
    n, k = chances.shape
    rows = np.arange(n)
    lot = chance.random(n)[:, None]
    taken = (lot > chances.cumsum(axis=1)[:, :-1]).sum(axis=1)
    p, mean = drawn.right[rows, taken], drawn.cost[rows, taken]
    grades = np.where((p == 0) | (p == 1), p, chance.random(n) < p).astype(float)
    if drawn.noise == 0.0:
        grades = p
    else:
        mean = mean * np.exp(chance.normal(-(drawn.noise**2) / 2, drawn.noise, n))
    if graded < 1:
        grades = np.where(chance.random(n) < graded, grades, np.nan)
    return Cases(
        log=Log(np.repeat(rows, k), np.tile(np.arange(k), n), chances.ravel(), rows * k + taken),
        targets=tuple(rule(drawn).ravel() for rule in rules),
        quality=grades,
        cost=mean,
        quoted=drawn.quality.ravel(),
        price=drawn.price.ravel(),
        ceiling=6 * drawn.price.ravel(),
        names=tuple(map(str, range(k))),
        refused=(0,) * len(rules),
        lacking=0,
    )


def head(cases: Cases, n: int) -> Cases:
    """The first n requests of a log."""
    k = len(cases.quoted) // len(cases.quality)
    m, old = n * k, cases.log
    return Cases(
        log=Log(old.row[:m], old.arm[:m], old.chance[:m], old.taken[:n]),
        targets=tuple(t[:m] for t in cases.targets),
        quality=cases.quality[:n],
        cost=cases.cost[:n],
        quoted=cases.quoted[:m],
        price=cases.price[:m],
        ceiling=cases.ceiling[:m],
        names=cases.names,
        refused=cases.refused,
        lacking=0,
    )
