"""A batch on a real vLLM with a small cache: one call after another as they come, and `batch`."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks._batching_sim import bound
from benchmarks._prefix_server import Tokens, server
from benchmarks._prefix_text import paragraph, question
from router import ChatCompletion, Client

LANES = 4
Messages = list[dict[str, str]]


def live(
    url: str | None, venv: Path | None, model: Path | None, blocks: int
) -> list[dict[str, object]]:
    """Rows of what the server at `url` reported, or one that is started for it."""
    if url is not None:
        return _measured(url)
    if venv is None or model is None:
        raise SystemExit("live: expected --url, or --vllm and --model")
    with server(venv, model, blocks=blocks) as started:
        return _measured(started)


def _work(documents: int = 20, questions: int = 5) -> list[Messages]:
    """Questions over documents of some 500 tokens, shuffled."""
    chance = random.Random(11)
    rules = "You answer questions about the pages of a shop. " + paragraph(chance, 3)
    asked = [
        [
            {"role": "system", "content": f"{rules}\n\n{page}"},
            {"role": "user", "content": question(chance)},
        ]
        for page in [paragraph(chance, 25) for _ in range(documents)]
        for _ in range(questions)
    ]
    chance.shuffle(asked)
    return asked


def _measured(url: str) -> list[dict[str, object]]:
    tokens, asked = Tokens(url), _work()
    unit, blocks = tokens.blocks()
    best = bound([tokens.prompt(messages, ()) for messages in asked], unit)
    rows = []
    with Client(hosts="vllm", base_urls={"vllm": url}, ledger=":memory:", environ={}) as client:
        for title, ordered in (("as they come", False), ("client.batch", True)):
            settings: dict[str, Any] = {
                "model": f"{tokens.name}@vllm",
                "max_tokens": 2,
                "extra_body": {"cache_salt": f"{title} {time.time_ns()}"},
            }
            began = time.perf_counter()
            answers = _sent(client, asked, settings, ordered=ordered)
            took = time.perf_counter() - began
            usages = [a.route.usage for a in answers if isinstance(a, ChatCompletion)]
            read = sum(u.cache_read_tokens for u in usages if u is not None)
            whole = sum(u.input_tokens for u in usages if u is not None)
            rows.append(
                {
                    "sent": title,
                    "answers": len(usages),
                    "cache": f"{blocks} blocks of {unit}",
                    "input tokens": whole,
                    "cached": read / whole,
                    "no order can exceed": best,
                    "% of that": 100 * read / whole / best,
                    "s": took,
                }
            )
    tokens.close()
    return rows


def _sent(
    client: Client, asked: Sequence[Messages], settings: dict[str, Any], *, ordered: bool
) -> Sequence[object]:
    if ordered:
        return client.batch(asked, concurrency=LANES, **settings)
    with ThreadPoolExecutor(LANES) as threads:
        return list(threads.map(lambda m: client.chat.completions.create(m, **settings), asked))
