"""One process that reserves and settles as fast as its threads can, on one hot budget.

Reads its settings as JSON from the command line, says "ready", waits for a line on standard
input, and writes what each operation took to a file of doubles: reserve, settle, reserve, ...
"""

from __future__ import annotations

import json
import sys
import threading
import time
from array import array
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks._ledger_stores import opened
from router import Budget
from router._clock import utcnow
from router.budgets import holds_for
from router.ledgers import Record, Reservation, Settlement
from router.types import Cost, Usage

BUDGET = Budget("1000000", "total")
LEASE = timedelta(minutes=10)
AMOUNT, COST = 150_000_000, 80_000_000
RECORD = Record(
    request_id="r",
    candidate="deepseek-v3.2@deepinfra",
    model="deepseek-v3.2",
    mode="chat",
    host="deepinfra",
    policy="balanced",
    tags={"team": "search", "user": "ann"},
    rates_id="deepseek-v3.2@deepinfra/2026-11-21",
    forecast_cost=80_000_000,
    forecast_cost_p90=120_000_000,
    forecast_output_tokens=180,
    forecast_quality=0.71,
)
USAGE = Usage(input_tokens=420, cache_read_tokens=128, output_tokens=180)


def work(ledger: Any, name: str, seconds: float, took: array[float]) -> None:
    """Reserve and settle until the time is over; what each took, in seconds."""
    clock = time.perf_counter
    holds = holds_for([BUDGET], {}, utcnow(), "")
    end, i = clock() + seconds, 0
    while clock() < end:
        now = utcnow()
        rid = f"{name}/{i}"
        reservation = Reservation(
            id=rid,
            at=now,
            lease_until=now + LEASE,
            amount=AMOUNT,
            holds=holds,
            record=RECORD,
            tokens=600,
        )
        settlement = Settlement(at=now, usage=USAGE, cost=Cost(pico=COST), seconds=1.5)
        t0 = clock()
        ledger.reserve(reservation)
        t1 = clock()
        ledger.settle(rid, settlement)
        took.append(t1 - t0)
        took.append(clock() - t1)
        i += 1


def main() -> None:
    given = json.loads(sys.argv[1])
    ledger = opened(given["ledger"], leased=given["leased"])
    # The first call opens files and connections, and takes the first slab.
    work(ledger, f"{given['name']}/warm", 0.2, array("d"))
    print("ready", flush=True)
    sys.stdin.readline()
    each = [array("d") for _ in range(given["threads"])]
    threads = [
        threading.Thread(
            target=work, args=(ledger, f"{given['name']}/{t}", given["seconds"], each[t])
        )
        for t in range(given["threads"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Path(given["out"]).open("wb") as file:
        for took in each:
            took.tofile(file)
    ledger.close()


if __name__ == "__main__":
    main()
