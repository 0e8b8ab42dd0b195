"""How many causes the linter names right, and how often it cries wolf.

Each cause is put into conversations made by chance, over many seeds; clean pairs stand beside.
`python -m benchmarks.lint [--seeds N] [--first N] [--misses]`.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections import Counter

from benchmarks._lint_clean import CLEAN
from benchmarks._lint_inject import INJECTED
from benchmarks._lint_told import TOLD
from benchmarks._tables import markdown
from router.prompts import causes
from router.prompts.lint import compare
from router.prompts.rule import CacheRule

RULE = CacheRule(unit_tokens=64)
LARGE = CacheRule(unit_tokens=128, min_tokens=1024)  # as OpenAI's
FIRST = 3000
"""The linter was written while looking at lower seeds."""


def confusion(seeds: range, *, misses: bool = False) -> list[dict[str, object]]:
    """A row for each cause: how many pairs, how many named right, what else was said."""
    rows: list[dict[str, object]] = []
    for cause, inject in INJECTED.items():
        said: Counter[str] = Counter()
        for seed in seeds:
            p, c = inject(random.Random(f"{cause} {seed}"))
            found = compare(p, c, LARGE if cause == causes.MINIMUM else RULE)
            said[found.cause if found else "nothing"] += 1
            if misses and (found is None or found.cause != cause):
                print(f"{cause}, seed {seed}: {found}")
        right = said.pop(cause, 0)
        rows.append(_row(cause, len(seeds), right, said))
    return rows


def told(seeds: range) -> list[dict[str, object]]:
    """A row for each public thread: how many pairs, how many named as its users did."""
    rows: list[dict[str, object]] = []
    for thread, cause, pair in TOLD:
        said: Counter[str] = Counter()
        for seed in seeds:
            found = compare(*pair(random.Random(f"{thread} {seed}")), RULE)
            said[found.cause if found else "nothing"] += 1
        right = said.pop(cause, 0)
        rows.append(_row(f"{thread}: {cause}", len(seeds), right, said))
    return rows


def controls(seeds: range, *, misses: bool = False) -> list[dict[str, object]]:
    """A row for each kind of clean pair: how many, and what was said of them."""
    rows: list[dict[str, object]] = []
    for name, clean in CLEAN.items():
        said: Counter[str] = Counter()
        for seed in seeds:
            found = compare(*clean(random.Random(f"{name} {seed}")), RULE)
            said[found.cause if found else "nothing"] += 1
            if misses and found:
                print(f"{name}, seed {seed}: {found}")
        right = said.pop("nothing", 0)
        rows.append(_row(name, len(seeds), right, said))
    return rows


def _row(name: str, pairs: int, right: int, said: Counter[str]) -> dict[str, object]:
    rest = ", ".join(f"{other}: {times}" for other, times in said.most_common())
    return {"put in": name, "pairs": pairs, "right": right, "else": rest}


def speed(seeds: range) -> float:
    """Median seconds of a comparison that has a cause to name, tokens counted before."""
    taken = []
    for cause, inject in INJECTED.items():
        for seed in seeds[:3]:
            p, c = inject(random.Random(f"{cause} {seed}"))
            began = time.perf_counter()
            compare(p, c, RULE)
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=FIRST)
    parser.add_argument("--misses", action="store_true", help="print what was missed")
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.seeds)
    injected = confusion(seeds, misses=given.misses)
    clean = controls(seeds, misses=given.misses)
    tables = (
        ("Causes put in", injected),
        ("Nothing put in", clean),
        ("Told in public threads", told(seeds)),
    )
    for title, rows in tables:
        right, pairs = (sum(int(str(row[key])) for row in rows) for key in ("right", "pairs"))
        print(f"\n### {title}: {right} of {pairs} right\n\n{markdown(rows)}")
    print(f"\nmedian time of a comparison: {1000 * speed(seeds):.1f} ms")


if __name__ == "__main__":
    main()
