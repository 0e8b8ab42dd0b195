"""Prompts as programs write them against the same prompts planned: what caches read of them.

    python -m benchmarks.prefix --simulated
    python -m benchmarks.prefix --url http://localhost:8000/v1
    python -m benchmarks.prefix --vllm VENV --model DIR [--blocks N]

Three workloads (see `_prefix_workloads`) go through a real `Client`, one request at a time: to a
running vLLM, to one that is started here (with `--blocks`, one with a cache of so many blocks), or
to simulated caches of DeepSeek's. Columns:

- cached: tokens that the host reported, as a share of the input;
- as sent, best layout, evicted best: of what `_prefix_oracle` says could be had at most, with
  these prompts, with the same contents in the best layout that is known, and with a cache of that
  size; simulated: of what `_prefix_rules` says that vLLM's own eviction leaves;
- first token: milliseconds from `create` to the first token, routing included, at the median and
  for 99 of 100 (of fewer than 100, the longest);
- dollars of 1,000 requests: at deepinfra's price of V3.2, and at DeepSeek's own of 2025-12;
- off by: forecast less reported cached tokens, in the host's blocks, median and 9 of 10.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks._prefix_oracle import Sent, bounded, unbounded
from benchmarks._prefix_replay import (
    SIMULATED,
    Done,
    at_simulated,
    live,
    our_tokens,
    rearranged,
    replayed,
)
from benchmarks._prefix_rules import BlockPool, played
from benchmarks._prefix_server import Tokens, server
from benchmarks._prefix_workloads import LAYOUTS, WORKLOADS
from benchmarks._tables import run
from router import Client
from router.catalog import Catalog
from router.pricing import cost
from router.prompts.rule import CacheRule

PRICES = {
    "$ deepinfra": ("deepseek-v3.2@deepinfra", datetime(2026, 11, 22, tzinfo=UTC)),
    "$ DeepSeek": ("deepseek-v3.2@deepseek", datetime(2026, 1, 15, tzinfo=UTC)),
}


def row(
    done: Sequence[Done],
    others: Sequence[Sequence[Sent]],
    rule: CacheRule,
    blocks: int | None = None,
) -> dict[str, object]:
    """What one run came to; `others` are its contents in other layouts."""
    sends = [one.sent for one in done]
    read = sum(one.usage.cache_read_tokens for one in done)
    given = sum(one.usage.input_tokens for one in done)
    as_sent = sum(unbounded(sends, rule))
    best = max(sum(unbounded(other, rule)) for other in others)
    found: dict[str, object] = {
        "requests": len(done),
        "input": given,
        "cached": f"{read / given:.1%}",
        "as sent": _share(read, as_sent),
        "best layout": _share(read, max(as_sent, best)),
    }
    if blocks is not None:  # one of them is never used
        found["evicted best"] = _share(read, sum(bounded(sends, rule, blocks - 1)))
        found["simulated"] = _share(read, sum(played(BlockPool(rule.unit_tokens, blocks), sends)))
    if any(one.first_token for one in done):
        firsts = sorted(1e3 * one.first_token for one in done)
        found["first token p50"] = f"{statistics.median(firsts):.0f} ms"
        found["p99"] = f"{firsts[-max(1, len(firsts) // 100)]:.0f} ms"
    catalog = Catalog.default()
    for name, (candidate, at) in PRICES.items():
        rates = catalog.rates(catalog.candidate(candidate, at=at), at)
        assert rates is not None
        pico = sum(cost(one.usage, rates).pico for one in done)
        found[name] = f"{pico / 1e9 / len(done):.3f}"
    return found | off_by(done, rule)


def off_by(done: Sequence[Done], rule: CacheRule) -> dict[str, object]:
    """Errors of the forecasts, in blocks of the host."""
    errors = [(one.expected - one.usage.cache_read_tokens) / rule.unit_tokens for one in done]
    sizes = sorted(map(abs, errors))
    return {
        "off by p50": f"{statistics.median(sizes):.1f}",
        "p90": f"{sizes[int(0.9 * (len(sizes) - 1))]:.1f}",
        "mean": f"{statistics.mean(errors):+.2f}",
    }


def _share(read: int, most: int) -> str:
    return f"{read / most:.1%}" if most else "-"


def on_vllm(
    name: str, url: str, layouts: Sequence[str], steps: int | None
) -> list[dict[str, object]]:
    """A workload on a running server, each layout in a cache of its own."""
    tokens, rows = Tokens(url), []
    unit, blocks = tokens.blocks()
    known = tokens.name in Catalog.default().models
    rule = CacheRule(unit_tokens=unit, holds_output=True, recomputes_tokens=1)
    for layout in layouts:
        workload = WORKLOADS[name]()
        workload.steps = workload.steps[:steps]
        salt = f"{name} {layout} {time.time_ns()}"
        with Client(
            hosts="vllm",
            base_urls={"vllm": url},
            catalog={"model": [] if known else [{"name": tokens.name, "tools": True}]},
            ledger=":memory:",
            environ={},
        ) as client:
            done, answers = replayed(workload, layout, live(client, tokens, salt))
        others = rearranged(workload, done, answers, tokens.prompt)
        given = row(done, others, rule, blocks)
        rows.append({"workload": name, "cache": f"{blocks} blocks", "layout": layout, **given})
    tokens.close()
    return rows


def on_simulated(name: str, layouts: Sequence[str], steps: int | None) -> list[dict[str, object]]:
    """A workload at DeepSeek's, by its documented rules."""
    rows = []
    for title, (*_, rule) in SIMULATED.items():
        for layout in layouts:
            workload = WORKLOADS[name]()
            workload.steps = workload.steps[:steps]
            done, answers = at_simulated(title, workload, layout)
            given = row(done, rearranged(workload, done, answers, our_tokens), rule)
            rows.append({"workload": name, "rule": title, "layout": layout, **given})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prefix", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--simulated", action="store_true", help="DeepSeek's rules, no server")
    where.add_argument("--url", help="a running vLLM, such as http://localhost:8000/v1")
    where.add_argument("--vllm", type=Path, help="a virtual environment that has vLLM")
    parser.add_argument("--model", type=Path, help="a model's directory, for --vllm")
    parser.add_argument("--block", type=int, default=32, help="tokens in a block, for --vllm")
    parser.add_argument("--blocks", type=int, help="so many blocks of cache, for --vllm")
    parser.add_argument("--workload", action="append", choices=list(WORKLOADS))
    parser.add_argument("--layout", action="append", choices=LAYOUTS)
    parser.add_argument("--steps", type=int, help="fewer, for a quick look")
    parser.add_argument("--out", type=Path, help="append the tables to this file")
    given = parser.parse_args()
    layouts = given.layout or LAYOUTS[:2]
    with ExitStack() as stack:
        url = given.url
        if given.vllm is not None:
            if given.model is None:
                parser.error("--vllm needs --model")
            kept = server(given.vllm, given.model, block=given.block, blocks=given.blocks)
            url = stack.enter_context(kept)

        def task(name: str):
            if url is None:
                return {name: on_simulated(name, layouts, given.steps)}
            return {name: on_vllm(name, url, layouts, given.steps)}

        run(given.workload or WORKLOADS, task, given.out)


if __name__ == "__main__":
    main()
