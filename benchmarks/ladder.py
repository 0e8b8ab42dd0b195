"""A month of a budget that is 20 % too small, with and without the ladder.

    python -m benchmarks.ladder [--seeds N] [--share 0.8] [--requests N] [--out FILE]

A real `Client` with a hard monthly budget answers recorded prompts; see `_ladder_month` for what
is assumed. The budget is `--share` of what `utility` spends in the same month without one. Cells
are means over the seeds, and in brackets the range. A rung alone is on below 0.95.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

from benchmarks._ladder_month import (
    DAYS,
    PORTFOLIOS,
    VALUE_USD,
    Outcome,
    catalog,
    hindsight,
    live,
    month,
)
from benchmarks._tables import run
from benchmarks.pacing import WEEK
from policies import Policy, ladder, pacing, sparing, utility
from policies.ladder import RUNGS

plain = utility(VALUE_USD)


def contenders() -> dict[str, Policy]:
    """The policies under comparison, by name."""
    waits_first = sorted(RUNGS, key=lambda rung: rung["do"] != "defer")
    return {
        "utility": plain,
        "sparing(utility)": sparing(plain),
        "pacing": pacing(VALUE_USD),
        "ladder(utility)": ladder(plain),
        "ladder(utility), week known": ladder(plain, profile=WEEK),
        "ladder(utility), defer first": ladder(plain, waits_first),
        "ladder(pacing)": ladder(pacing(VALUE_USD)),
        **{f"only {rung['do']}": ladder(plain, [{**rung, "below": 0.95}]) for rung in RUNGS},
    }


def table(names: tuple[str, ...], seeds: int, share: float, requests: int | None):
    """A row for every policy."""
    prices = catalog()
    found: dict[str, list[tuple[Outcome, int]]] = {}
    for seed in range(seeds):
        asks = month(seed, requests)
        free = live(plain, asks, None, names, prices)
        limit = int(share * free.dollars)
        outcomes = {"utility, no budget": free}
        outcomes |= {k: live(p, asks, limit, names, prices) for k, p in contenders().items()}
        outcomes["one price, in hindsight"] = hindsight(asks, free, limit, prices)
        for name, outcome in outcomes.items():
            found.setdefault(name, []).append((outcome, limit))
    return [{"policy": name, **row(pairs)} for name, pairs in found.items()]


def row(pairs: list[tuple[Outcome, int]]) -> dict[str, object]:
    """What the months of one policy came to."""

    def of(value: Callable[[Outcome], float], form: str = "{:.1%}") -> str:
        values = [value(outcome) for outcome, _ in pairs]
        low, mean, high = min(values), statistics.mean(values), max(values)
        said = form.format(mean)
        return said if low == high else f"{said} ({form.format(low)} to {form.format(high)})"

    steps = {
        name: sum(o.steps[name] for o, _ in pairs) / len(pairs)
        for o, _ in pairs
        for name in o.steps
    }
    return {
        "served": of(lambda o: o.served / o.asked),
        "right of all": of(lambda o: o.right / o.asked),
        "right of served": of(lambda o: o.right / max(1, o.served)),
        "dollars": of(lambda o: o.dollars / 1e12, "${:.3f}"),
        "of the budget": f"{statistics.mean(o.dollars / limit for o, limit in pairs):.0%}",
        "gone on day": of(lambda o: DAYS if o.gone is None else o.gone, "{:.0f}"),
        "refused": of(lambda o: o.refused, "{:.0f}"),
        "put off to next month": of(lambda o: o.left_over, "{:.0f}"),
        "deferred": of(lambda o: o.deferred, "{:.0f}"),
        "cut": of(lambda o: o.cut, "{:.0f}"),
        "steps": ", ".join(f"{name} {n:.0f}" for name, n in sorted(steps.items())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ladder", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.8)
    parser.add_argument("--requests", type=int, help="fewer, for a quick look")
    parser.add_argument("--out", type=Path, help="append the tables to this file")
    given = parser.parse_args()

    def task(name: str):
        return {name: table(PORTFOLIOS[name], given.seeds, given.share, given.requests)}

    run(PORTFOLIOS, task, given.out)


if __name__ == "__main__":
    main()
