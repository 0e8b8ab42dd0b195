"""What the size of a reservation costs: requests refused that the money would have paid for.

`python -m benchmarks.reservations [--seeds N] [--prompts N]`. Recorded prompts meet a budget that
four fifths of them fit in; a call is answered when 1, 8 or 64 more have come. Sizes are ours
(`hard`: the worst case, whose `max_tokens` the host is told; `q`: a quantile of the forecast) and
those of others, who reserve a number of output tokens that the host is not told. 16,384, or the
model's own cap if that is less, is what LiteLLM 1.109.1 assumes; unless it is told to be strict,
it shrinks that to what is left.

`hard` cannot overspend. Under a quantile q a call in 1/(1-q) takes more than was reserved for it,
as far as forecasts are calibrated, so that of k in flight k(1-q) are expected to; and the limit is
overshot at most by the sum, over the calls in flight, of worst case less reserved. `bound` is the
largest such sum that was met; the exit status is 1 if an overspend is beyond it.

Refused though affordable: what the request really costs would have fit into the limit less what
was spent and what those in flight really cost. Lengths are learned from, as in any client.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks._reservations_flight import Run, Runway, Size
from benchmarks._tables import Tables, run
from router import recorded_prompts
from router.money import to_usd
from router.transports.recording import Recorded

SIZES = (
    Size("hard"),
    Size("hard, asked for 16,384", max_tokens=16_384),
    Size("q = 0.99", quantile=0.99),
    Size("q = 0.9", quantile=0.9),
    Size("q = 0.5", quantile=0.5),
    Size("assumes 1,024", assumed=1024),
    Size("assumes 16,384, shrunk to the rest", assumed=16_384, shrunk=True),
)
TRAFFIC = {
    "zeroeval": "deepseek-v2.5@replay",  # lengths: mean 154, p99 269, the longest 320
    "mmlu_pro": "deepseek-coder-v2@replay",  # mean 200, p99 845, the longest 3,357
}
IN_FLIGHT = (1, 8, 64)
SHARE = 0.8
FREE = 10**15


def orders(source: str, model: str, seeds: int, count: int) -> list[list[Recorded]]:
    """For each seed so many prompts that the model answered, in an order of their own."""
    name = model.partition("@")[0]
    known = [r for r in recorded_prompts(source=source) if name in r.outcomes]
    return [random.Random(f"{source}/{seed}").sample(known, count) for seed in range(seeds)]


def truth(model: str, prompts: Sequence[Recorded]) -> int:
    """What all of them cost together, in pico-dollars."""
    return Runway(Size("", assumed=1), model, FREE, 1).fly(prompts).spent


def row(size: Size, places: int, runs: Sequence[Run]) -> dict[str, object]:
    """One line of the table, over all seeds."""
    asked = sum(one.served + one.refused for one in runs)
    served = sum(one.served for one in runs)
    over = [one.overspend for one in runs]
    expected = "" if size.quantile is None else f"{1 - size.quantile:.1%}"
    return {
        "reserved": size.name,
        "in flight": places,
        "served": f"{served / asked:.1%}",
        "refused": f"{sum(one.refused for one in runs) / asked:.1%}",
        "though affordable": f"{sum(one.affordable for one in runs) / asked:.1%}",
        "spent of limit": f"{statistics.mean(one.spent / one.limit for one in runs):.1%}",
        "peak reserved": f"{max(one.peak / one.limit for one in runs):.1%}",
        "overspend mean": f"{statistics.mean(over):.2f}%",
        "worst": f"{max(over):.2f}%",
        "bound": f"{max(100 * one.gap / one.limit for one in runs):.1f}%",
        "over its size": f"{sum(one.over for one in runs) / max(1, served):.1%}",
        "1 - q": expected,
        "cut off": sum(one.cut for one in runs),
    }


class Bench:
    """Runs the tables; `broken` names what overspent beyond its bound."""

    def __init__(self, seeds: int, prompts: int) -> None:
        self.seeds, self.prompts = seeds, prompts
        self.broken: list[str] = []

    def table(self, source: str) -> Tables:
        """All sizes, with 1, 8 and 64 in flight."""
        model = TRAFFIC[source]
        samples = orders(source, model, self.seeds, self.prompts)
        limits = [round(SHARE * truth(model, prompts)) for prompts in samples]
        rows = []
        for places in IN_FLIGHT:
            for size in SIZES:
                runs = [
                    Runway(size, model, limit, places).fly(prompts)
                    for prompts, limit in zip(samples, limits, strict=True)
                ]
                rows.append(row(size, places, runs))
                for one in runs:
                    if one.spent > one.limit + one.gap or (size.name == "hard" and one.overspend):
                        self.broken.append(f"{source}, {size.name}, {places} in flight")
        usd = to_usd(round(statistics.mean(limits)))
        title = (
            f"{model} on {source}: {self.seeds} x {self.prompts} requests, a limit of ${usd:.4f}"
        )
        return {title: rows}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--out", type=Path, help="append the tables to this file")
    given = parser.parse_args()
    bench = Bench(given.seeds, given.prompts)
    run(TRAFFIC, bench.table, given.out)
    for what in bench.broken:
        print(f"overspent beyond its bound: {what}")
    return bool(bench.broken)


if __name__ == "__main__":
    sys.exit(main())
