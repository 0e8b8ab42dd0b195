"""100,000 random lines of a ledger through every report and file: totals, seconds, memory.

    python -m benchmarks.reports [--rows 100000] [--seed 1]

Lines are of every kind that there is: answered, failed, cached, released, lost, corrected (also in
a later month), leases, unknown prices and price rows that are gone. Each file is read back and
added up; a total that is not the ledger's to the last pico-dollar ends with status 1.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from router.catalog import Catalog
from router.ledgers import Entry
from router.money import to_usd
from router.reports import accuracy_from, focus_from, report_from, savings_from
from router.reports.html import Facts, page
from router.reports.prices import billed_by

_HELPER = Path(__file__).parents[1] / "tests" / "random_ledger.py"
_BY = ("day", "candidate", "outcome", "tag")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    catalog = Catalog.default()
    entries: list[Entry] = _random()(given.rows, seed=given.seed, catalog=catalog)
    spent = to_usd(sum(entry.cost for entry in entries))
    print(f"{len(entries):,} lines, {spent:f} USD, {_mebibytes():.0f} MiB with them in memory")
    kinds = Counter(f"{e.kind}/{e.outcome}" for e in entries)
    print("  " + ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common()))
    with tempfile.TemporaryDirectory() as at:
        totals = _measured(entries, catalog, Path(at))
    wrong = {what: total for what, total in totals.items() if total != spent}
    for what, total in wrong.items():
        print(f"WRONG {what}: {total:f}, the ledger has {spent:f}")
    print(f"{len(totals) - len(wrong)} of {len(totals)} totals are the ledger's exactly")
    print(f"{_mebibytes():.0f} MiB at most")
    return 1 if wrong else 0


def _measured(entries: list[Entry], catalog: Catalog, at: Path) -> dict[str, Decimal]:
    rates_of = billed_by(catalog)
    report = _timed("report", lambda: report_from(entries, by=_BY, rates_of=rates_of))
    _timed("accuracy", lambda: accuracy_from(entries, by="model"))
    _timed("savings, 9 baselines", lambda: savings_from(entries, catalog))
    focus = _timed("focus", lambda: focus_from(entries, catalog))
    hourly = _timed("focus by hour", lambda: focus_from(entries, catalog, period="hour"))
    _timed("html", lambda: page(entries, catalog, Facts(made=entries[-1].at)))
    files = {
        "csv": report.to_csv(at / "a.csv", checksum=True),
        "csv de": report.to_csv(at / "de.csv", "de"),
        "focus csv": focus.to_csv(at / "focus.csv"),
        "focus csv by hour": hourly.to_csv(at / "hourly.csv"),
    }
    parquets = {
        "parquet": (report.to_parquet(at / "a.parquet"), "cost_usd"),
        "focus parquet": (focus.to_parquet(at / "focus.parquet"), "BilledCost"),
    }
    print(f"  {len(report):,} rows of a report, {len(focus):,} and {len(hourly):,} of FOCUS")
    frame = report.to_frame()["cost_usd"].dropna().sum()
    totals = {"report": report.total, "focus": focus.total, "pandas": frame}
    totals |= {what: _csv_total(path) for what, path in files.items()}
    return totals | {what: _parquet_total(*found) for what, found in parquets.items()}


def _csv_total(path: Path) -> Decimal:
    with path.open(newline="", encoding="utf-8-sig") as file:
        separator = ";" if path.name == "de.csv" else ","
        rows = csv.DictReader(file, delimiter=separator)
        column = "cost_usd" if "cost_usd" in (rows.fieldnames or ()) else "BilledCost"
        return _sum(row[column].replace(",", ".") for row in rows)


def _parquet_total(path: Path, column: str) -> Decimal:
    import pyarrow.parquet

    return _sum(pyarrow.parquet.read_table(path)[column].to_pylist())


def _sum(values: Iterable[Any]) -> Decimal:
    return sum((Decimal(value) for value in values if value not in {None, ""}), Decimal(0))


def _timed(what: str, make: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    made = make()
    print(f"  {what}: {time.perf_counter() - start:.2f} s")
    return made


def _mebibytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _random() -> Callable[..., list[Entry]]:
    spec = importlib.util.spec_from_file_location("random_ledger", _HELPER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[..., list[Entry]] = module.random_entries
    return found


if __name__ == "__main__":
    sys.exit(main())
