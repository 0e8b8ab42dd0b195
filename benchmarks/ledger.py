"""Reserving and settling: pairs a second and their times, beside what the disk can do.

`python -m benchmarks.ledger [--postgres URL] [--leases]`. All callers spend from one budget. The
first column of each table is a ratio: to one caller of the same store, or to what the disk could
commit one by one. Two targets: SQLite with 32 callers makes at least 3 times as many pairs as
with one; a leased reserve takes less than 20 us at its median. The exit status is 1 if one is
missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

from benchmarks._ledger_disk import appended, overwritten
from benchmarks._ledger_load import BUDGET
from benchmarks._ledger_stores import fresh, opened
from benchmarks._tables import markdown
from benchmarks.overhead import concurrent
from router import recorded_prompts
from router._clock import utcnow
from router.budgets import holds_for

ROOT = Path(__file__).parent.parent
SHAPES = ((1, 1), (1, 8), (1, 32), (4, 1), (4, 8))
"""Processes, and threads of each."""
PROMPTS = 400


def load(at: str, scratch: Path, shape: tuple[int, int], seconds: float, *, leased: bool):
    """Seconds of each reserve and each settle, of all callers together."""
    count, threads = shape
    run = uuid4().hex[:8]
    files = [scratch / f"{run}-{p}" for p in range(count)]
    processes = []
    for p, file in enumerate(files):
        given = {
            "ledger": at,
            "leased": leased,
            "name": f"{run}/{p}",
            "threads": threads,
            "seconds": seconds,
            "out": str(file),
        }
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks._ledger_load", json.dumps(given)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    for process in processes:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("a process of the load did not start; see above")
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    took = array("d")
    for process, file in zip(processes, files, strict=True):
        process.communicate()
        took.frombytes(file.read_bytes())
        file.unlink()
    return took[::2].tolist(), took[1::2].tolist()


def spread(took: list[float]) -> str:
    """p50 / p99 / p99.9 in microseconds."""
    cuts = statistics.quantiles(took, n=1000)
    return " / ".join(f"{cuts[i - 1] * 1e6:,.0f}" for i in (500, 990, 999))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--postgres", metavar="URL", help="a database of its own")
    parser.add_argument("--leases", action="store_true", help="also with slabs of the budget")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--directory", type=Path, help="the disk to measure on")
    given = parser.parse_args()
    missed: list[str] = []
    kinds = [("SQLite, FULL", "sqlite"), ("PostgreSQL", given.postgres)]
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=given.directory)))
        limits = disk(scratch, given.seconds)
        stores = {}
        for leased in (False, True)[: 1 + given.leases]:
            for name, store in kinds:
                if store:
                    at = stack.enter_context(fresh(store, given.directory))
                    stores[name + ", leased" * leased] = (at, leased)
        pairs(stores, scratch, given.seconds, limits, missed)
        reading(stores, given.seconds)
        prompts = [r.prompt for r in recorded_prompts(source="zeroeval")[:PROMPTS]]
        took = asyncio.run(concurrent(scratch / "async.sqlite3", prompts))
    print(f"AsyncClient, 64 requests at once, SQLite: {PROMPTS / took:,.0f} requests a second")
    for what in missed:
        print(f"MISSED: {what}")
    sys.exit(bool(missed))


def disk(scratch: Path, seconds: float) -> dict[str, float]:
    """Print what the disk can do, and return its commits a second."""
    took = {
        "4 KiB overwritten": overwritten(scratch, seconds),
        "4 KiB appended": appended(scratch, seconds),
    }
    rates = {what: len(times) / sum(times) for what, times in took.items()}
    rows = [
        {
            "fdatasync": what,
            "a second": f"{rates[what]:,.0f}",
            "us p50 / p99 / p99.9": spread(times),
        }
        for what, times in took.items()
    ]
    print(markdown(rows), end="\n\n", flush=True)
    return rates


def pairs(
    stores: dict[str, tuple[str, bool]],
    scratch: Path,
    seconds: float,
    limits: dict[str, float],
    missed: list[str],
) -> None:
    """Print the table of reserve + settle, and note the targets that were missed."""
    rows = []
    overwrite = limits["4 KiB overwritten"] / 2  # a pair is two commits
    for store, (at, leased) in stores.items():
        single = 0.0
        for shape in SHAPES:
            began = time.perf_counter()
            reserve, settle = load(at, scratch, shape, seconds, leased=leased)
            rate = len(reserve) / seconds
            single = single or rate
            rows.append(
                {
                    "store": store,
                    "processes x threads": f"{shape[0]} x {shape[1]}",
                    "to 1 x 1": f"{rate / single:.2f}x",
                    "to one by one on disk": f"{rate / overwrite:.2f}x",
                    "pairs a second": f"{rate:,.0f}",
                    "reserve us p50 / p99 / p99.9": spread(reserve),
                    "settle us p50 / p99 / p99.9": spread(settle),
                }
            )
            print(f"{store}, {shape}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
            if store == "SQLite, FULL" and shape == (1, 32) and rate < 3 * single:
                missed.append(f"32 callers make {rate / single:.2f} times the pairs of one")
            if leased and shape == (1, 1) and (p50 := statistics.median(reserve) * 1e6) >= 20:
                missed.append(f"{store}: a reserve takes {p50:.1f} us")
    print(markdown(rows), end="\n\n", flush=True)


def reading(stores: dict[str, tuple[str, bool]], seconds: float) -> None:
    """Print what it takes to read the balance of one budget: a plan does so once."""
    rows = []
    for store, (at, leased) in stores.items():
        ledger = opened(at, leased=leased)
        holds = holds_for([BUDGET], {}, utcnow(), "")
        took = []
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            ledger.balances(holds)
            took.append(time.perf_counter() - began)
        ledger.close()
        rows.append({"balances": store, "us p50 / p99 / p99.9": spread(took)})
    print(markdown(rows), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
