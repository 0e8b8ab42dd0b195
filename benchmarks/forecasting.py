"""The forecasting benchmark: how many tokens answers took, and what was forecast before.

    python -m benchmarks.forecasting heldout --data DIR [--weights FILE.npz]

DIR holds `prompts.parquet` and `outcomes.parquet`; FILE.npz weights to judge in place of the
shipped ones. Tables are printed as Markdown, or with `--out` appended to a file. Errors and log
pinball losses are in log tokens, other losses in tokens; c10, c90 and c99 are coverage.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks._forecasting_data import Bench, load_bench
from benchmarks._forecasting_drift import censored, drift
from benchmarks._forecasting_heldout import heldout
from benchmarks._forecasting_leftout import leftout
from benchmarks._forecasting_metrics import Row
from benchmarks._forecasting_planbench import planbench
from benchmarks._forecasting_size import size
from benchmarks._forecasting_thinking import thinking
from benchmarks._forecasting_totals import totals_task
from benchmarks._tables import run

Tables = dict[str, list[Row]]


def run_heldout(bench: Bench) -> Tables:
    """Prompts held out of data sets that were trained on, and PlanBench by itself."""
    return heldout(bench) | planbench(bench)


TASKS = {
    "heldout": run_heldout,
    "leftout": leftout,
    "totals": totals_task,
    "drift": drift,
    "censored": censored,
    "thinking": thinking,
    "size": size,
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.forecasting", description=__doc__)
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    made.add_argument("task", choices=[*TASKS, "all"])
    made.add_argument("--data", type=Path, required=True, help="where the two tables lie")
    made.add_argument("--weights", type=Path, help="weights to judge, .npz; else the shipped ones")
    made.add_argument("--out", type=Path, help="append the tables to this file")
    return made


def main() -> None:
    """Run a task and print its tables."""
    given = parser().parse_args()
    bench = load_bench(given.data, given.weights)
    wanted = TASKS if given.task == "all" else [given.task]
    run(wanted, lambda name: TASKS[name](bench), given.out)


if __name__ == "__main__":
    main()
