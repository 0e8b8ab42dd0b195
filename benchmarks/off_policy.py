"""What off-policy intervals cover, how wide they are, and how often the gate is wrong or open.

    python -m benchmarks.off_policy [--quick] [--reps N] [--only TASK ...] [--out FILE]

Worlds, logging policies and targets are those of `_off_policy_world`; truth is known there. Cells
of "bias rmse width covered" are means over the repetitions for one request, of quality in grades
and of cost in thousandths of a dollar; "covered" is the share of nominal 95 % intervals that hold
the truth. Where a target has choices that the log never makes, the bounds are judged, and marked.

At 1,000 repetitions the doubly robust intervals covered, in the mean and at the least: quality
97.4 % and 93.8 %, cost 99.5 % and 97.3 % (`estimators`); quality 96.7 % and 93.9 %, cost 97.0 %
and 93.8 % where quotes do not know the size and tails are long (`tails`). The worst of all is the
cost of "near" on 200 recorded prompts, 83.8 %: it sends 1 in 110 to a model forty times as dear,
so one log in six has no such request, and no interval made of that log can know.

Where requests of one conversation are alike (`clusters`) see `_off_policy_clusters`.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks._off_policy_clusters import coverage
from benchmarks._off_policy_clusters_gate import gate_looks
from benchmarks._off_policy_gate import canaries, looks, verdicts
from benchmarks._off_policy_world import (
    Rule,
    World,
    always,
    explore,
    log,
    misled,
    recorded,
    softmax,
    synthetic,
    truth,
    unsized,
    utility,
)
from benchmarks._tables import run
from router.tuning.score import Part, models, parts

BASE = utility(0.01)
LOGS: dict[str, Rule] = {
    "uniform": explore(BASE, 1.0),
    "explore 20 %": explore(BASE, 0.2),
    "explore 5 %": explore(BASE, 0.05),
    "explore 2 %": explore(BASE, 0.02),
    "explore 1 %": explore(BASE, 0.01),
    "softmax": softmax(0.01, 0.002),
    "no chance": BASE,
}
TARGETS: dict[str, Rule] = {
    "same": BASE,
    "near": utility(0.015),
    "far": utility(0.1),
    "all to one": always(1),
}
FRUGAL = utility(0.001)
UNSIZED_LOGS: dict[str, Rule] = {
    "uniform": explore(FRUGAL, 1.0),
    "explore 20 %": explore(FRUGAL, 0.2),
    "explore 5 %": explore(FRUGAL, 0.05),
}
UNSIZED_TARGETS: dict[str, Rule] = {
    "same": FRUGAL,
    "near": utility(0.0012),
    "4 of 5 to the dearest": utility(0.02),
    "all to the cheapest": always(0),
    "all to the dearest": always(2),
}
SIZES = (50, 200, 1000, 5000)
MILLI = 1000.0
CORES = 2
SCALE = {"quality": 1.0, "cost": MILLI}


class Tally:
    """What an interval did over the repetitions."""

    def __init__(self) -> None:
        self.errors: list[float] = []
        self.widths: list[float] = []
        self.covered: list[bool] = []
        self.bounded = False

    def add(self, part: Part, name: str, of: str, true: float) -> None:
        found = part.interval(name, 0.95)
        if found is None or part.scored is None:
            return
        low, high = max(0.0, found[0]), min(1.0 if of == "quality" else np.inf, found[1])
        self.bounded |= part.most > part.least
        self.errors.append(part.scored.value - true)
        self.widths.append(high - low)
        self.covered.append(low <= true <= high)

    def plain(self, scale: float) -> object:
        """Bias and error."""
        errors = np.array(self.errors) * scale
        return float(errors.mean()), float(np.sqrt(np.mean(errors**2)))

    def cell(self, scale: float) -> object:
        if not self.errors:
            return "-"
        covered = f"{np.mean(self.covered):.1%}"
        if self.bounded:
            return f"bounds, {np.mean(self.widths) * scale:.3f} wide, {covered}"
        return (self.plain(scale), float(np.mean(self.widths)) * scale, covered)


def covered(
    world: World, logging: Rule, target: Rule, n: int, reps: int, pairs, graded: float = 1.0
) -> dict[tuple[str, str, str], Tally]:
    """Of each (reward, estimator, interval) a tally."""
    found: dict[tuple[str, str, str], Tally] = defaultdict(Tally)
    true = dict(zip(("quality", "cost"), truth(world, target), strict=True))
    for seed in range(reps):
        chance = np.random.default_rng([n, seed])
        cases = log(world(n, chance), logging, [target], chance, graded)
        fitted = models(cases)
        for method in dict.fromkeys(m for m, _ in pairs):
            made = parts(cases, fitted, cases.targets[0], method)
            for of in ("quality", "cost"):
                if method == "dr":
                    found[of, "direct", ""].errors.append(made[of].direct - true[of])
                for interval in (i for m, i in pairs if m == method):
                    if not (of == "cost" and interval == "bernstein"):
                        found[of, method, interval].add(made[of], interval, of, true[of])
    return found


DESIGN = [(method, "design") for method in ("dr", "snips", "ips")]
KINDS = [("dr", name) for name in ("design", "normal", "bernstein", "bootstrap")]


def estimators(reps: int) -> dict[str, list[dict[str, object]]]:
    """Every log and target: bias, error, width, coverage."""
    tables: dict[str, list[dict[str, object]]] = {"quality": [], "cost, $ / 1,000": []}
    worst: dict[tuple[str, str], list[float]] = defaultdict(list)
    logs = [name for name in LOGS if name != "explore 1 %"]  # that one is in `intervals`
    settings = [(name, aim, n, reps) for name in logs for aim in TARGETS for n in SIZES[1:]]
    with ProcessPoolExecutor(CORES) as pool:
        results = list(pool.map(_setting, settings))
    for (logging, target, n, _), found in zip(settings, results, strict=True):
        for of, rows in zip(("quality", "cost"), tables.values(), strict=True):
            row: dict[str, object] = {"log": logging, "target": target, "n": n}
            for method, interval in DESIGN:
                tally = found[of, method, interval]
                row[f"{method}: bias rmse width covered"] = tally.cell(SCALE[of])
                if tally.covered:
                    worst[of, method].append(float(np.mean(tally.covered)))
            row["direct: bias rmse"] = found[of, "direct", ""].plain(SCALE[of])
            rows.append(row)
    tables["over all logs, targets and sizes"] = [
        {"of": of, "estimator": m, "least covered": f"{min(c):.1%}", "mean": f"{np.mean(c):.1%}"}
        for (of, m), c in worst.items()
    ]
    return tables


def _setting(named: tuple[str, str, int, int]) -> dict[tuple[str, str, str], Tally]:
    logging, target, n, reps = named
    return covered(synthetic, LOGS[logging], TARGETS[target], n, reps, DESIGN)


def intervals(reps: int) -> dict[str, list[dict[str, object]]]:
    """The kinds of interval of the doubly robust estimate, at small n, too."""
    rows = []
    for logging in ("uniform", "explore 20 %", "explore 5 %", "explore 2 %", "explore 1 %"):
        for n in SIZES[:3]:
            pairs = KINDS
            found = covered(synthetic, LOGS[logging], TARGETS["near"], n, reps, pairs)
            for of in ("quality", "cost"):
                row: dict[str, object] = {"of": of, "log": logging, "n": n}
                for _, kind in KINDS:
                    row[f"{kind}: width covered"] = _short(found.get((of, "dr", kind)), of)
                rows.append(row)
    return {"kinds of interval, dr, target near": rows}


def tails(reps: int) -> dict[str, list[dict[str, object]]]:
    """Costs of long tails that the quotes do not foresee, at logs that seldom chose the dear."""
    settings = [
        (log, target, n, reps)
        for log in UNSIZED_LOGS
        for target in UNSIZED_TARGETS
        for n in (200, 500, 2000)
    ]
    with ProcessPoolExecutor(CORES) as pool:
        results = list(pool.map(_tail, settings))
    rows = []
    least: dict[str, list[float]] = defaultdict(list)
    for (logging, target, n, _), found in zip(settings, results, strict=True):
        row: dict[str, object] = {"log": logging, "target": target, "n": n}
        for of in ("quality", "cost"):
            tally = found[of, "dr", "design"]
            row[f"{of}: bias rmse width covered"] = tally.cell(SCALE[of])
            least[of].append(float(np.mean(tally.covered)))
        rows.append(row)
    summary = [
        {"of": of, "least covered": f"{min(c):.1%}", "mean": f"{np.mean(c):.1%}"}
        for of, c in least.items()
    ]
    return {"quotes that do not know the size, dr": rows, "over all of these": summary}


def _tail(named: tuple[str, str, int, int]) -> dict[tuple[str, str, str], Tally]:
    logging, target, n, reps = named
    rules = UNSIZED_LOGS[logging], UNSIZED_TARGETS[target]
    return covered(unsized, *rules, n, reps, [("dr", "design")])


def hard(reps: int) -> dict[str, list[dict[str, object]]]:
    """A misled scorer, few grades, and recorded outcomes of real models."""
    settings = [
        ("misled quotes", misled, "explore 5 %", 1000, 1.0),
        ("misled quotes", misled, "explore 20 %", 1000, 1.0),
        ("10 % graded", synthetic, "explore 5 %", 5000, 0.1),
        ("30 % graded", synthetic, "explore 20 %", 1000, 0.3),
        *[
            ("recorded", recorded, f"explore {s} %", n, 1.0)
            for s in (2, 5, 20)
            for n in (200, 919)
        ],
    ]
    rows = []
    for name, world, logging, n, graded in settings:
        for target in ("near", "far", "all to one"):
            found = covered(world, LOGS[logging], TARGETS[target], n, reps, DESIGN[:2], graded)
            for of in ("quality", "cost"):
                row: dict[str, object] = {"world": name, "log": logging, "n": n}
                row |= {
                    "target": target,
                    "of": of,
                    "truth": truth(world, TARGETS[target])[of == "cost"] * SCALE[of],
                }
                for method, interval in DESIGN[:2]:
                    tally = found[of, method, interval]
                    row[f"{method}: bias rmse width covered"] = tally.cell(SCALE[of])
                rows.append(row)
    return {"misled quotes, few grades, recorded outcomes": rows}


def gates(reps: int) -> dict[str, list[dict[str, object]]]:
    """How often the gate says what: nothing to find, and something."""
    rows, peeks = [], []
    for logging in ("uniform", "explore 20 %", "explore 5 %", "explore 2 %"):
        for n in SIZES[1:]:
            rows += [{"log": logging, "n": n, **row} for row in verdicts(LOGS[logging], n, reps)]
    for share in (0.5, 0.2):
        for n in SIZES[2:]:
            name = f"canary by lot, {share:.0%}"
            rows += [{"log": name, "n": n, **row} for row in canaries(share, n, reps)]
    for logging in ("uniform", "explore 20 %", "explore 5 %"):
        peeks += [{"log": logging, **row} for row in looks(LOGS[logging], reps)]
    return {"gate, one look": rows, "gate, a look every 100 requests up to 3,000": peeks}


def clusters(reps: int) -> dict[str, list[dict[str, object]]]:
    """Requests of one conversation are alike: coverage, and how often the gate is wrong."""
    return coverage(reps) | gate_looks(max(1, reps // 2))


def _short(tally: Tally | None, of: str) -> object:
    if tally is None or not tally.errors:
        return "-"
    return (float(np.mean(tally.widths)) * SCALE[of], f"{np.mean(tally.covered):.1%}")


TASKS = {task.__name__: task for task in (estimators, intervals, tails, hard, gates, clusters)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.off_policy", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--reps", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="30 repetitions, about a minute")
    parser.add_argument("--only", nargs="*", choices=TASKS, default=list(TASKS))
    parser.add_argument("--out", type=Path, help="append the tables to this file")
    given = parser.parse_args()
    reps = 30 if given.quick else given.reps
    run(given.only, lambda name: TASKS[name](reps), given.out)


if __name__ == "__main__":
    main()
