"""Injected billing errors: how many alarm, how many are named right, how many names are false.

    python benchmarks/reconcile.py [--seeds 10] [--jobs 1]

A synthetic month at DeepSeek (two models, peak hours, October's holidays, cache hits, streams that
were closed, failed attempts, lost calls, our own counts) is billed right by prices written down by
hand, then with one error put in, or two. Both forms of bill: amounts by kind of token and price
(DeepSeek's export), and one amount a day with token counts. A name is right when it is given to
every model that alarms.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from _reconcile_errors import ERRORS, PAIRS, UNKNOWN, Error, bill_of
from _reconcile_month import Month, month

from router.bills import Reconciliation, reconcile

FORMS = ("kinds", "days")


def run(made: Month, errors: list[Error], form: str, seed: int) -> Reconciliation:
    """Reconcile a bill with these errors in it."""
    bill = bill_of(made, errors, random.Random(seed))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "invoice.csv"
        file.write_text(bill.csv(form))
        return reconcile(
            file, made.entries, host="deepseek",
            since=date(2026, 10, 1), until=date(2026, 11, 1),
        )  # fmt: skip


def verdict(found: Reconciliation, names: set[str]) -> str:
    """silent, right, part (some of two), unnamed (it said that it does not know) or false."""
    alarmed = [set(f.causes) for f in found.findings if f.alarm]
    if not alarmed:
        return "silent"
    said = set().union(*alarmed) - {"unexplained"}
    if said - names:
        return "false"
    if not said:
        return "unnamed"
    whole = len(names) == 1 or said == names
    return "right" if whole and "unexplained" not in set().union(*alarmed) else "part"


def table(title: str, rows: dict[tuple[str, str], dict[str, Counter]]) -> None:
    """A line for each error: alarmed, named right, in part, unnamed, false; both forms of bill."""
    print(f"\n{title}")
    head = "alarm right  part unnamed false"
    print(f"  {'':26} {'':30} | by kind: {head} | by day: {head}")
    for (name, size), by_form in rows.items():
        cells = []
        for form in FORMS:
            n = by_form.get(form)
            if not n:
                cells.append(f"{'-':>41}")
                continue
            alarms = sum(n.values()) - n["silent"]
            cells.append(
                f"{alarms:>9}/{sum(n.values()):<3}{n['right']:>6}{n['part']:>6}"
                f"{n['unnamed']:>8}{n['false']:>6}"
            )
        print(f"  {name or '(no name)':26} {size:30} | {cells[0]} | {cells[1]}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--calls", type=int, default=2500)
    given = parser.parse_args()
    began = time.monotonic()
    clean: dict[str, Counter] = defaultdict(Counter)
    rows: dict = defaultdict(lambda: defaultdict(Counter))
    none: dict = defaultdict(lambda: defaultdict(Counter))
    pairs: dict = defaultdict(lambda: defaultdict(Counter))
    for seed in range(given.seeds):
        made = month(seed, given.calls, scale=10)
        for form in FORMS:
            found = run(made, [], form, seed)
            clean[form][("alarm" if found.alarm else "none")] += 1
            for error in ERRORS:
                if form in error.forms:
                    found = run(made, [error], form, seed)
                    rows[error.name, error.size][form][verdict(found, {error.name})] += 1
            for error in UNKNOWN:
                found = run(made, [error], form, seed)
                none["", error.size][form][verdict(found, set())] += 1
            for names in PAIRS:
                rng = random.Random(seed)
                both = [
                    rng.choice([e for e in ERRORS if e.name == name and form in e.forms])
                    for name in names
                ]
                found = run(made, both, form, seed)
                pairs[names[0], "and " + names[1]][form][verdict(found, set(names))] += 1
        print(f"month {seed}: {sum(e.cost for e in made.entries) / 10**12:.2f} USD", flush=True)
    print("\nRight bills that alarm: " + ", ".join(
        f"{clean[f]['alarm']} of {sum(clean[f].values())} ({f})" for f in FORMS
    ))  # fmt: skip
    table("One error", rows)
    table("One error of no kind that is known", none)
    table("Two errors at once, of random size (right: both named)", pairs)
    for title, found in (("one error", rows), ("two errors", pairs)):
        for form in FORMS:
            total = sum((c[form] for c in found.values()), Counter())
            n = sum(total.values())
            alarms = n - total["silent"]
            print(
                f"{title}, {form}: {alarms} of {n} alarm; of those {total['right']} named right, "
                f"{total['part']} in part, {total['unnamed']} not named, {total['false']} false"
            )
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
