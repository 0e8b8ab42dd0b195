"""A storm on one budget: threads, event loops and processes, cancelled, timed out and killed.

`python -m benchmarks.storm --ledger sqlite` (or a URL of PostgreSQL) sends what hundreds of
callers want through one budget that only a share of it fits in, to a provider on loopback that
keeps books of its own. Two processes are killed midway. Afterwards ledger and books are compared,
call by call; the exit status is 1 if a target is missed. `--litellm PYTHON` sends the same storm
through the Router of the LiteLLM that this interpreter has, with its provider budget: split over
the processes, or shared through Redis (`--redis HOST:PORT`).
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import Any

from benchmarks._ledger_stores import fresh, opened
from benchmarks._storm_ours import budgets
from benchmarks._storm_peer import through_litellm
from benchmarks._storm_run import Storm, blow, provider, told
from benchmarks._storm_verdict import Verdict, judged
from benchmarks._tables import markdown
from router import Budget
from router._clock import utcnow
from router.budgets import holds_for
from router.money import to_usd


def through_us(
    storm: Storm, ledger_at: str, *, leased: bool = False
) -> tuple[Verdict, Counter[str], float]:
    """The storm through centroute: the verdict, what callers saw, and the seconds it took."""
    limit = to_usd(storm.limit)
    ledger = opened(ledger_at)
    (hold,) = holds_for([Budget(limit, "total")], {}, utcnow(), "")
    peak, over = 0, threading.Event()
    ledger.balances([hold])  # makes the file
    if not ledger_at.startswith("postgresql://"):
        audit(ledger_at)

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.002):
            (balance,) = ledger.balances([hold])
            peak = max(peak, balance.spent + balance.reserved)

    watcher = threading.Thread(target=watch)
    with provider() as url:
        given = {
            "ledger": ledger_at,
            "url": url,
            "limit": str(limit),
            "threads": storm.threads,
            "calls": storm.calls,
            "leased": leased,
        }
        began = time.perf_counter()
        watcher.start()
        try:
            tellings = blow(storm, url, [sys.executable, "-m", "benchmarks._storm_ours"], given)
        finally:
            over.set()
            watcher.join()
        took = time.perf_counter() - began
        ledger.sweep(utcnow() + timedelta(days=2))
        bill = told(url, "bill")
    ledger.check()
    if not ledger_at.startswith("postgresql://"):
        peak = max(peak, audited(ledger_at))
    (balance,) = ledger.balances([hold])
    keep_tokens(limit, ledger, bill)
    verdict = judged(
        ledger.entries(), bill, limit=storm.limit, peak=peak, still_open=balance.reserved
    )
    if verdict.spent != balance.spent:
        raise RuntimeError(f"entries add up to {verdict.spent}, the balance is {balance.spent}")
    ledger.close()
    return verdict, sum(map(Counter, tellings), Counter()), took


def keep_tokens(limit: Decimal, ledger: Any, bill: Sequence[Mapping[str, Any]]) -> None:
    """The limit in tokens held too, by the ledger's account and by the provider's."""
    hold = next(
        hold
        for hold in holds_for(budgets(str(limit)), {}, utcnow(), "")
        if hold.unit == "tokens" and hold.hard
    )
    (balance,) = ledger.balances([hold])
    served = sum(line["input"] + line["output"] for line in bill)
    if balance.reserved or max(balance.spent, served) > hold.limit:
        raise RuntimeError(f"tokens: {balance}, served {served}, the limit was {hold.limit}")


def audit(path: str) -> None:
    """Let SQLite itself note, at every commit, the most that was spent and set aside."""
    with closing(sqlite3.connect(path, timeout=30.0)) as db, db:
        db.execute("CREATE TABLE storm_peak AS SELECT 0 AS peak")
        for event in ("INSERT", "UPDATE"):
            db.execute(
                f"CREATE TRIGGER storm_{event} AFTER {event} ON balances "
                "WHEN NEW.spent + NEW.reserved > (SELECT peak FROM storm_peak) "
                "BEGIN UPDATE storm_peak SET peak = NEW.spent + NEW.reserved; END"
            )


def audited(path: str) -> int:
    """What `audit` noted, in pico-dollars."""
    with closing(sqlite3.connect(path, timeout=30.0)) as db:
        return int(db.execute("SELECT peak FROM storm_peak").fetchone()[0])


def faults(verdict: Verdict, seen: Counter[str]) -> list[str]:
    """The targets that were missed."""
    errors = [f"{n} x {what}" for what, n in seen.items() if "error:" in what]
    return verdict.faults + errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--ledger", action="append", help="sqlite, or postgresql://...; several")
    parser.add_argument("--processes", type=int, default=Storm.processes)
    parser.add_argument("--threads", type=int, default=Storm.threads)
    parser.add_argument("--calls", type=int, default=Storm.calls, help="of each thread")
    parser.add_argument("--share", type=float, default=Storm.share, help="of the calls' price")
    parser.add_argument("--leases", action="store_true", help="each process holds slabs")
    parser.add_argument("--litellm", metavar="PYTHON", help="an interpreter that has LiteLLM")
    parser.add_argument("--redis", metavar="HOST:PORT", default="", help="for LiteLLM's budget")
    given = parser.parse_args()
    storm = Storm(
        processes=given.processes, threads=given.threads, calls=given.calls, share=given.share
    )
    print(f"{storm}\n", flush=True)
    columns: dict[str, dict[str, str]] = {}
    missed = []
    for at in given.ledger or ["sqlite"]:
        with fresh(at) as ledger_at:
            verdict, seen, took = through_us(storm, ledger_at, leased=given.leases)
        name = "centroute, SQLite" if at == "sqlite" else "centroute, PostgreSQL"
        name += ", leases" * given.leases
        columns[name] = verdict.rows() | outcomes(seen) | {"seconds": f"{took:.0f}"}
        missed += [f"{name}: {fault}" for fault in faults(verdict, seen)]
    if given.litellm:
        name, rows, seen, took = through_litellm(storm, given.litellm, given.redis)
        columns[name] = rows | outcomes(seen) | {"seconds": f"{took:.0f}"}
    measures = list(dict.fromkeys(measure for rows in columns.values() for measure in rows))
    table = [
        {"measure": m} | {name: rows.get(m, "-") for name, rows in columns.items()}
        for m in measures
    ]
    print(markdown(table))
    for fault in missed:
        print(f"MISSED: {fault}")
    sys.exit(bool(missed))


def outcomes(seen: Counter[str]) -> dict[str, str]:
    """What the callers of the processes that lived saw."""
    return {f"callers: {what}": f"{n:,}" for what, n in sorted(seen.items())}


if __name__ == "__main__":
    main()
