"""The routing benchmark: real outcomes of real models, and what a router makes of them.

    python -m benchmarks.routing pooled --data DIR [--minilm FILE.npy] [--methods hand,hgb-hand]

DIR holds `prompts.parquet` and `outcomes.parquet`; FILE.npy sentence embeddings of the prompts, in
their order. Tables are printed as Markdown, or with `--out` appended to a file. One core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks._routing_curve import LEARNERS, curve
from benchmarks._routing_data import Bench, load
from benchmarks._routing_methods import METHODS, chosen
from benchmarks._routing_metrics import RESAMPLES
from benchmarks._routing_place import PLACERS, place
from benchmarks._routing_pooled import Row, pairs, pooled
from benchmarks._routing_portfolio import portfolio
from benchmarks._routing_robust import robust
from benchmarks._routing_routellm import routellm
from benchmarks._tables import run

Tables = dict[str, list[Row]]


def run_pooled(bench: Bench, given: argparse.Namespace) -> Tables:
    """Three sources as one, under random, leave-datasets-out and leave-source-out splits."""
    return pooled(
        bench, chosen(given.methods, bench), given.splits or ("random", "lodo", "loso"),
        seeds=given.seeds, resamples=given.resamples, by_dataset=given.by_dataset,
    )  # fmt: skip


def run_pairs(bench: Bench, given: argparse.Namespace) -> Tables:
    """Ten weak and strong pairs, each inside its source."""
    return pairs(
        bench, chosen(given.methods, bench), given.splits or ("random", "lodo"),
        seeds=given.seeds, resamples=given.resamples,
    )  # fmt: skip


def run_curve(bench: Bench, given: argparse.Namespace) -> Tables:
    """What 0 to 1000 graded answers of one's own are worth on a source never seen."""
    return curve(bench, given.methods)


def run_portfolio(bench: Bench, given: argparse.Namespace) -> Tables:
    """Four to eight models: AIQ, and the dollars at a quality."""
    return portfolio(
        bench, chosen(given.methods, bench), given.splits or ("random", "lodo"),
        seeds=given.seeds, resamples=given.resamples,
    )  # fmt: skip


def run_routellm(bench: Bench, given: argparse.Namespace) -> Tables:
    """RouteLLM's MMLU and GSM8K, trained elsewhere and inside."""
    factories = chosen(given.methods, bench)
    return routellm(bench, factories, given.splits or ("random",), resamples=given.resamples)


def run_place(bench: Bench, given: argparse.Namespace) -> Tables:
    """A model left out, placed by its published means and its first answers."""
    return place(bench, given.methods)


def run_robust(bench: Bench, given: argparse.Namespace) -> Tables:
    """Flips of choices when prompts are said differently."""
    return robust(bench, chosen(given.methods, bench))


TASKS = {
    "pooled": run_pooled,
    "pairs": run_pairs,
    "portfolio": run_portfolio,
    "routellm": run_routellm,
    "curve": run_curve,
    "place": run_place,
    "robust": run_robust,
}


def names(text: str) -> list[str]:
    """A comma-separated list."""
    return [name for name in text.split(",") if name]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    known = ", ".join(sorted({*METHODS, *LEARNERS, *PLACERS}))
    made = argparse.ArgumentParser(prog="python -m benchmarks.routing", description=__doc__)
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    made.add_argument("task", choices=[*TASKS, "all"])
    made.add_argument("--data", type=Path, required=True, help="where the two tables lie")
    made.add_argument("--minilm", type=Path, help="sentence embeddings, .npy")
    made.add_argument("--methods", type=names, default=[], help=f"of {known}")
    made.add_argument("--splits", type=names, default=[], help="of random, lodo, loso")
    made.add_argument("--seeds", type=int, default=1, help="seeds of the folds, averaged")
    made.add_argument("--resamples", type=int, default=RESAMPLES, help="of the bootstrap")
    made.add_argument("--by-dataset", action="store_true")
    made.add_argument("--out", type=Path, help="append the tables to this file")
    return made


def main() -> None:
    """Run a task and print its tables."""
    given = parser().parse_args()
    bench = load(given.data, given.minilm)
    wanted = TASKS if given.task == "all" else [given.task]
    run(wanted, lambda name: TASKS[name](bench, given), given.out)


if __name__ == "__main__":
    main()
