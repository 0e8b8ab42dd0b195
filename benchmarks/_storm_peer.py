"""The same storm through LiteLLM's Router, and the measures that can be taken of it."""

from __future__ import annotations

import sys
import time
from collections import Counter

from benchmarks._storm_run import Storm, blow, provider, told
from router.money import format_usd, to_usd


def through_litellm(
    storm: Storm, python: str, redis: str
) -> tuple[str, dict[str, str], Counter[str], float]:
    """Name with version and set-up, measures, what callers saw, seconds.

    Without Redis each process has its share of the limit, which is the most that it can be given
    if the limit is meant for all of them.
    """
    limit = storm.limit / (1 if redis else storm.processes)
    command = [python, "-m", "benchmarks._storm_litellm"]
    with provider() as url:
        given = {
            "url": url,
            "limit": f"{limit / 1e12:.12f}",
            "threads": storm.threads,
            "calls": storm.calls,
            "redis": redis,
        }
        began = time.perf_counter()
        tellings = blow(storm, url, command, given)
        took = time.perf_counter() - began
        bill = told(url, "bill")
    billed = sum(line["pico"] for line in bill)
    accounts = [telling["account"] for telling in tellings]
    own = to_usd(round((max(accounts) if redis else sum(accounts)) * 1e12))
    setup = "Redis" if redis else "limit split over processes"
    if not tellings:
        sys.exit("no process of LiteLLM's lived to tell")
    rows = {
        "limit": format_usd(storm.limit),
        "provider's bill": f"{format_usd(billed)} ({billed / storm.limit:.3f}x)",
        "over the limit, pico-dollars": f"{max(0, billed - storm.limit):,}",
        "calls the provider served": f"{len(bill):,}",
        "own account of the spend": f"${own:.6f}",
    }
    seen: Counter[str] = sum((Counter(telling["seen"]) for telling in tellings), Counter())
    return f"LiteLLM Router {tellings[0]['version']}, {setup}", rows, seen, took
