"""Intervals and the gate where requests of a conversation are alike: with `cluster=` or without.

The world is `synthetic`, but size, difficulty, what the quotes make of it, and what comes of a
request are normal draws that have a part in common with their cluster: `alike` is its share of
the variance, of each. A grade at one of four models is the lot of the cluster at that model. So
what holds for one request holds as it does there, and the truth is the same. Clusters have 10
requests in the mean: all of them, or, "uneven", lognormal (sigma 1.3) ones: at 1,000 clusters the
largest has a few hundred; or, "six big", six have 100 and all others one, as where few requests
have the tag.

What nominal 95 % intervals covered at 400 repetitions, over 20 to 1,000 clusters and `alike` of
0.1, 0.5 and 0.9, at the least and in the mean; "uneven" without those that have no ends:

| sizes | doubly robust: quality | cost | mean of what was logged: quality | cost |
|---|---|---|---|---|
| equal | 95.8 %, 97.2 % | 99.2 %, 99.8 % | 93.8 %, 95.9 % | 93.2 %, 95.5 % |
| uneven | 96.5 %, 98.4 % | 98.1 %, 99.7 % | 97.4 %, 99.3 % | 94.9 %, 96.6 % |
| six big | 89.8 %, 97.4 % | 93.2 %, 98.9 % | 92.5 %, 98.7 % | 91.2 %, 96.9 % |
| without `cluster=` | 32.0 %, 75.4 % | 53.2 %, 92.8 % | 19.5 %, 60.1 % | 33.5 %, 76.9 % |

Of uneven sizes an interval of quality had no ends, since too few clusters tell, in 48 % to 63 % of
logs of 20 clusters, 22 % to 40 % of 50, 8 % to 15 % of 200, 3 % to 8 % of 1,000. The least of six
big ones is at `alike` 0.9 with 14 others; the interval has a note there.

A canary that sends half of 200 conversations to a policy that is worth the same was called better
or worse in 5.0 % of 200 logs at most, without in 8.0 % to 70.0 %; in any of 19 looks with
`sequential=True` in 1.0 % at most, without in up to 65.5 %. Where lots fall for each request
(`log`) the gate was seldom wrong even without.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from scipy.special import ndtr

from benchmarks._off_policy_world import (
    PRICE,
    SKILL,
    Drawn,
    Rule,
    explore,
    synthetic,
    truth,
)
from benchmarks._off_policy_world import utility as rule_of
from router.tuning import known
from router.tuning.clusters import Clusters
from router.tuning.estimators import Array, Log
from router.tuning.replay import Cases
from router.tuning.score import Of, Part, models, parts

S = TypeVar("S")
T = TypeVar("T")

MEAN_SIZE = 10
COUNTS = (20, 50, 200, 1000)
ALIKE = (0.1, 0.5, 0.9)
SHAPES = ("equal", "uneven", "six big")
BIG = 100
BASE = rule_of(0.01)
TARGET = rule_of(0.015)
LOT = explore(BASE, 0.2)
CORES = 2
OFS: tuple[Of, ...] = ("quality", "cost")
METHODS = ("dr", "snips", "mean")


def sizes_of(count: int, chance: np.random.Generator, *, uneven: bool) -> np.ndarray:
    """How many requests each cluster has, 10 in the mean."""
    if not uneven:
        return np.full(count, MEAN_SIZE)
    drawn = chance.lognormal(np.log(MEAN_SIZE) - 1.3**2 / 2, 1.3, count)
    return np.maximum(1, np.round(drawn)).astype(int)


def shaped(shape: str, count: int, chance: np.random.Generator) -> np.ndarray:
    """How many requests each cluster has; "six big" ones have 100, and all others one."""
    if shape == "six big":
        return np.concatenate([np.full(6, BIG), np.ones(count - 6, int)])
    return sizes_of(count, chance, uneven=shape == "uneven")


class Lots:
    """Normal draws of requests, alike within clusters."""

    def __init__(self, of: np.ndarray, alike: float, chance: np.random.Generator) -> None:
        self.of, self.count, self.alike, self.chance = of, int(of.max()) + 1, alike, chance

    def __call__(self, *columns: int) -> Array:
        common = self.chance.normal(size=(self.count, *columns))[self.of]
        own = self.chance.normal(size=(len(self.of), *columns))
        return np.sqrt(self.alike) * common + np.sqrt(1 - self.alike) * own


def drawn_and_lots(
    of: np.ndarray, alike: float, chance: np.random.Generator
) -> tuple[Drawn, Array, Array]:
    """Requests as `synthetic` has them, and of each model the uniform lot and the cost's noise."""
    lots = Lots(of, alike, chance)
    size, hard = np.exp(lots()), 1.5 * lots()
    seen = hard + lots()
    right = 1 / (1 + np.exp(hard[:, None] - 1.5 * SKILL))
    quality = 1 / (1 + np.exp(0.7 * seen[:, None] - 1.5 * SKILL))
    cost = PRICE * size[:, None]
    price = cost * np.exp(chance.normal(0, 0.3, cost.shape)) * np.array([1, 1.3, 0.7, 2.0])
    k = len(PRICE)
    return Drawn(right, cost, quality, price), ndtr(lots(k)), lots(k)


def cases_of(
    of: np.ndarray, alike: float, logging: Rule, rules: list[Rule], chance: np.random.Generator
) -> Cases:
    """A log of such requests; the log draws its lots for each request by itself."""
    drawn, lot, noise = drawn_and_lots(of, alike, chance)
    n, k = drawn.right.shape
    rows = np.arange(n)
    chances = logging(drawn)
    taken = (chance.random(n)[:, None] > chances.cumsum(axis=1)[:, :-1]).sum(axis=1)
    log = Log(np.repeat(rows, k), np.tile(np.arange(k), n), chances.ravel(), rows * k + taken)
    return Cases(
        log=replace(log, clusters=Clusters(of, int(of.max()) + 1)),
        targets=tuple(rule(drawn).ravel() for rule in rules),
        quality=(lot < drawn.right)[rows, taken].astype(float),
        cost=(drawn.cost * np.exp(noise - 0.5))[rows, taken],
        quoted=drawn.quality.ravel(),
        price=drawn.price.ravel(),
        ceiling=6 * drawn.price.ravel(),
        names=tuple(map(str, range(k))),
        refused=(0,) * len(rules),
        lacking=0,
    )


def unaware(cases: Cases) -> Cases:
    """The same without saying what belongs together."""
    return replace(cases, log=replace(cases.log, clusters=None))


def _seen(cases: Cases) -> dict[str, dict[str, Part]]:
    """Of each way to estimate the parts: doubly robust, SNIPS, and the mean of what was logged."""
    fitted = models(cases)
    made = {m: parts(cases, fitted, cases.targets[0], m) for m in ("dr", "snips")}
    clusters = cases.log.clusters
    means = {
        "quality": known.mean(cases.quality, known.WIDEST, clusters),
        "cost": known.mean_cost(cases.cost, clusters),
    }
    n = len(cases.quality)
    made["mean"] = {of: Part(s, 0.0, 0.0, n, s.value) for of, s in means.items()}
    return made


Setting = tuple[float, str, int, int]
Key = tuple[str, str, str]
Held = dict[Key, tuple[np.ndarray, np.ndarray]]
"""Of each method, figure and "with" or "without": which logs held the truth, and how wide."""


def _setting(named: Setting) -> Held:
    alike, shape, count, reps = named
    true = {
        "dr": truth(synthetic, TARGET),
        "snips": truth(synthetic, TARGET),
        "mean": truth(synthetic, LOT),
    }
    held: dict[Key, list[bool]] = defaultdict(list)
    widths: dict[Key, list[float]] = defaultdict(list)
    for seed in range(reps):
        chance = np.random.default_rng([count, seed, int(10 * alike), SHAPES.index(shape)])
        of = np.repeat(np.arange(count), shaped(shape, count, chance))
        cases = cases_of(of, alike, LOT, [TARGET], chance)
        for aware, each in (("with", cases), ("without", unaware(cases))):
            for method, made in _seen(each).items():
                for at, name in enumerate(OFS):
                    found = made[name].interval("design", 0.95)
                    assert found is not None
                    low, high = max(0.0, found[0]), found[1]
                    wide = high - low if np.isfinite(found).all() else np.inf
                    high = min(1.0, high) if name == "quality" else high
                    held[method, name, aware].append(low <= true[method][at] <= high)
                    widths[method, name, aware].append(wide)
    return {key: (np.array(held[key]), np.array(widths[key])) for key in held}


@dataclass(frozen=True)
class Shares:
    """Of one setting: the share of logs without ends, and those that held the truth.

    An interval of quality without ends is "0 to 1", and always holds it: `ends` is of the rest.
    """

    covered: float
    none: float
    ends: float
    without: float
    wider: float

    @staticmethod
    def of(found: Held, method: str, name: str) -> Shares:
        held, wide = found[method, name, "with"]
        naive, narrow = found[method, name, "without"]
        told = np.isfinite(wide)
        return Shares(
            float(held.mean()),
            float(1 - told.mean()),
            float(held[told].mean()) if told.any() else np.nan,
            float(naive.mean()),
            float(np.median(wide[told]) / np.median(narrow[told])) if told.any() else np.nan,
        )

    def cell(self) -> tuple[str, ...]:
        shares = (self.covered, self.none, self.ends, self.without)
        return (*(f"{share:.1%}" for share in shares), f"x{self.wider:.2f}")


def coverage(reps: int) -> dict[str, list[dict[str, object]]]:
    """Coverage of nominal 95 % intervals with clusters and without; how much wider they are."""
    settings = [(a, s, c, reps) for s in SHAPES for a in ALIKE for c in COUNTS]
    found = mapped(_setting, settings)
    rows, over = [], []
    for (alike, shape, count, _), held in zip(settings, found, strict=True):
        row: dict[str, object] = {"alike": alike, "sizes": shape, "clusters": count}
        for method in METHODS:
            for name in OFS:
                head = f"{method} {name}: covered, no ends, where ends, without, wider"
                row[head] = Shares.of(held, method, name).cell()
        rows.append(row)
    for shape in SHAPES:
        for method in METHODS:
            for name in OFS:
                here = [
                    Shares.of(held, method, name)
                    for (_, own, _, _), held in zip(settings, found, strict=True)
                    if own == shape
                ]
                row = {"sizes": shape, "method": method, "of": name}
                over.append(row | _over(here))
    return {"covered with cluster= and without; wider": rows, "over alike and clusters": over}


def _over(shares: list[Shares]) -> dict[str, object]:
    def said(values: list[float], worst: Callable[[list[float]], float]) -> tuple[str, str]:
        return f"{worst(values):.1%}", f"{np.mean(values):.1%}"

    return {
        "covered, least and mean": said([s.covered for s in shares], np.min),
        "no ends, most and mean": said([s.none for s in shares], np.max),
        "where ends, least and mean": said(
            [s.ends for s in shares if np.isfinite(s.ends)], np.min
        ),
        "without, least and mean": said([s.without for s in shares], np.min),
    }


def numbered(of: np.ndarray) -> Clusters:
    """The clusters that have come up."""
    seen, numbers = np.unique(of, return_inverse=True)
    return Clusters(numbers.astype(np.intp), len(seen))


def mapped(task: Callable[[S], T], settings: list[S]) -> list[T]:
    """Of each setting what the task makes of it, on `CORES` processes."""
    with ProcessPoolExecutor(CORES) as pool:
        return list(pool.map(task, settings))
