"""Conversations that tempt a router to change the model each turn, with and without caches seen.

    python -m benchmarks.switching [--seeds N] [--out FILE]

Two models, or four, take turns at being the best one. A real `Client` serves the chats and the
agents of `_prefix_workloads` at hosts whose caches are simulated (`_prefix_rules`), and chooses
for the most money's worth (`utility`). Forecasts either expect what the caches hold, so that
leaving a warm one has its price, or expect nothing there. Bills come from what the hosts report in
both.

`gain` is by how much P(correct) of the turn's best model is higher; `worth` is dollars for a
right answer, less the bill, of 1,000 requests. Beside them, models alone, as far as they differ.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks._prefix_hosts import SimulatedHosts
from benchmarks._prefix_rules import HostCache, Units64, WholeUnits
from benchmarks._prefix_workloads import Agent, Chat, Step
from benchmarks._tables import run
from classifiers.scores import Quantiles, Score
from policies import utility
from router import Client
from router.prompts.held import Expectation
from router.prompts.prefix import PrefixIndex
from router.testing import FakeClock

HERE = "http://localhost:1"
OTHERS = ("second", "third", "fourth")
CANDIDATES: dict[str, list[dict[str, object]]] = {
    "host": [
        {"name": "elsewhere", "base_url": HERE, "api_key_env": "NONE", "cache": "deepseek-v3"},
        {"name": "openai", "base_url": HERE, "api_key_env": "OPENAI_API_KEY"},
    ],
    "model": [
        *({"name": name, "tokenizer": "deepseek-v3", "tools": True} for name in OTHERS),
        {"name": "gpt-5", "tools": True},
    ],
    "endpoint": [
        {
            "model": name,
            "host": "elsewhere",
            "model_id": name,
            "context_tokens": 131072,
            "max_output_tokens": 8192,
        }
        for name in OTHERS
    ],
    "rate": [
        {
            "endpoint": f"{name}@elsewhere",
            "input": "0.28",
            "cache_read": "0.028",
            "output": "0.42",
            "source": "V3.2's own price, for an imagined model",
            "checked": "2026-11-22",
        }
        for name in OTHERS
    ],
}
"""Imagined models at V3.2's price; and an address for GPT-5, which the catalogue has as a
baseline."""
BASE = 0.70
"""P(correct) of the others in a turn."""
TOKENS = Quantiles(60, 110, 180, 260, 115)
NONE = Quantiles(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Choice:
    """Candidates, when they are asked, their simulated caches, and a right answer's value."""

    names: tuple[str, ...]
    start: datetime
    caches: Callable[[], Sequence[HostCache]]
    value: str
    alone: int = 2


CHOICES = {
    "V3.2 at DeepSeek or another model at the same price": Choice(
        ("deepseek-v3.2@deepseek", "second@elsewhere"),
        datetime(2026, 1, 15, 11, tzinfo=UTC),
        lambda: (Units64(), Units64()),
        "0.01",
        alone=1,
    ),
    "V3.2 at DeepSeek or three other models at the same price": Choice(
        ("deepseek-v3.2@deepseek", *(f"{name}@elsewhere" for name in OTHERS)),
        datetime(2026, 1, 15, 11, tzinfo=UTC),
        lambda: (Units64(), Units64(), Units64(), Units64()),
        "0.01",
        alone=1,
    ),
    "V3.2 at deepinfra or V4.1 Flash at DeepSeek": Choice(
        ("deepseek-v3.2@deepinfra", "deepseek-flash@deepseek"),
        datetime(2026, 11, 22, 11, tzinfo=UTC),
        lambda: (Units64(), WholeUnits()),
        "0.01",
    ),
    "V3.2 at deepinfra or V4 Pro at DeepSeek": Choice(
        ("deepseek-v3.2@deepinfra", "deepseek-v4-pro@deepseek"),
        datetime(2026, 11, 22, 11, tzinfo=UTC),
        lambda: (Units64(), WholeUnits()),
        "0.01",
    ),
    "V3.2 at DeepSeek or GPT-5, in January 2026": Choice(
        ("deepseek-v3.2@deepseek", "gpt-5@openai"),
        datetime(2026, 1, 15, 11, tzinfo=UTC),
        lambda: (Units64(), Units64(lives=600.0, grain=128, least=1024)),
        "0.05",
    ),
}
GAINS = (0.01, 0.02, 0.05, 0.10)


class Tempting:
    """A scorer that finds another model the best in each turn, one after another."""

    def __init__(self, profiles: Sequence[str], gain: float) -> None:
        self._profiles, self._gain = profiles, gain
        self.turn = 0

    def of(self, profile: str) -> float:
        """P(correct) in this turn."""
        best = self._profiles[self.turn % len(self._profiles)]
        return BASE + self._gain * (profile == best)

    def score(
        self, prompt: Any, profiles: Sequence[str], *, tenant: str = ""
    ) -> Mapping[str, Score]:
        del prompt, tenant
        return {p: Score(self.of(p), TOKENS, NONE, "trained") for p in profiles}


def unseen(*_: Any, **__: Any) -> Expectation:
    """What an index answers that expects nothing of any cache."""
    return Expectation()


@dataclass
class Outcome:
    """What serving some workloads came to; `pico` are pico-dollars."""

    asked: int = 0
    pico: int = 0
    right: float = 0.0
    switches: int = 0
    given: int = 0
    expected: int = 0
    read: int = 0


def serve(choice: Choice, gain: float, seed: int, found: Outcome, *, only: int | None = None):
    """Serve the workloads of a seed, by one candidate `only` or by all."""
    for kind in (Chat, Agent):
        workload, clock = kind(seed), FakeClock(choice.start)
        hosts = SimulatedHosts(dict(zip(choice.names, choice.caches(), strict=True)), clock)
        scorer = Tempting([name.partition("@")[0] for name in choice.names], gain)
        with Client(
            transport=hosts,
            catalog=CANDIDATES,
            candidates=choice.names if only is None else choice.names[only],
            keys={name.partition("@")[2]: "none" for name in choice.names},
            policy=utility(choice.value, z=0.0),
            scorer=scorer,
            ledger=":memory:",
            now=clock,
            environ={},
        ) as client:
            answers: dict[int, list[str]] = {}
            last: dict[int, str] = {}
            for step in workload.steps:
                _wait(clock, choice.start, step)
                said = answers.setdefault(step.conversation, [])
                asked = workload.ask("planned", step, said)
                scorer.turn = step.turn
                reply = client.chat.completions.create(asked.messages, tools=asked.tools or None)
                said.append(reply.text)
                chosen, usage, cost = reply.route.candidate, reply.route.usage, reply.route.cost
                assert usage is not None and cost is not None
                found.asked += 1
                found.pico += cost.pico
                found.right += scorer.of(chosen.partition("@")[0])
                found.switches += last.get(step.conversation, chosen) != chosen
                found.given += usage.input_tokens
                found.expected += reply.route.forecast.cache_read_tokens
                found.read += usage.cache_read_tokens
                last[step.conversation] = chosen


def _wait(clock: FakeClock, start: datetime, step: Step) -> None:
    clock.advance(max(0.0, (start - clock()).total_seconds() + step.after))


def table(choice: Choice, seeds: int) -> list[dict[str, object]]:
    """A row for each gain and each way to choose."""
    ways = {"caches seen": None, "caches not seen": None}
    ways |= {f"always {name}": i for i, name in enumerate(choice.names[: choice.alone])}
    rows = []
    for gain in GAINS:
        for way, only in ways.items():
            found = Outcome()
            with ExitStack() as stack:
                if way == "caches not seen":
                    stack.enter_context(patch.object(PrefixIndex, "look", unseen))
                for seed in range(seeds):
                    serve(choice, gain, seed, found, only=only)
            assert bool(found.expected) == (way != "caches not seen")
            each = 1e3 / found.asked
            dollars = found.pico * each / 1e12
            rows.append(
                {
                    "gain": f"{gain:.2f}",
                    "chooses": way,
                    "requests": found.asked,
                    "switches": found.switches,
                    "cached": f"{found.read / found.given:.1%}",
                    "$ of 1,000": f"{dollars:.3f}",
                    "P(correct)": found.right / found.asked,
                    "worth": f"{float(choice.value) * found.right * each - dollars:.3f}",
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.switching", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="append the tables to this file")
    given = parser.parse_args()
    run(CHOICES, lambda name: {name: table(CHOICES[name], given.seeds)}, given.out)


if __name__ == "__main__":
    main()
