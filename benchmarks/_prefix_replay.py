"""A workload through a real client, to a real server or to simulated hosts, request by request."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from benchmarks._prefix_hosts import SimulatedHosts
from benchmarks._prefix_oracle import Sent
from benchmarks._prefix_rules import HostCache, Units64, WholeUnits
from benchmarks._prefix_server import Tokens
from benchmarks._prefix_workloads import LAYOUTS, START, Asked, Step, Workload
from router import Client
from router.prompts.rule import CacheRule
from router.testing import FakeClock
from router.tokens import encode, render
from router.types import Route, Usage

ANSWER = 16
"""Tokens of each answer of a real server."""
Count = Callable[[Any, Any], list[int]]
"""Token ids of messages and tools."""
SIMULATED: dict[str, tuple[str, datetime, Callable[[], HostCache], CacheRule]] = {
    "V3 units of 64": (
        "deepseek-v3.2@deepseek",
        datetime(2026, 1, 15, 9, tzinfo=UTC),
        Units64,
        CacheRule(unit_tokens=64, builds_seconds=3.0),
    ),
    "V4 whole units": (
        "deepseek-flash@deepseek",
        START,
        WholeUnits,
        CacheRule(unit_tokens=128, match="units", holds_output=True, builds_seconds=3.0),
    ),
    "V4, cut every 1024": (
        "deepseek-flash@deepseek",
        START,
        lambda: WholeUnits(interval=1024),
        CacheRule(unit_tokens=128, match="units", holds_output=True, builds_seconds=3.0),
    ),
}
"""Who answers, when, by which simulated cache, and the oracle's rule."""


@dataclass(frozen=True, slots=True)
class Done:
    """One request of a run: as its host saw it, and what it came to."""

    step: Step
    sent: Sent
    expected: int
    usage: Usage
    first_token: float = 0.0


def replayed(
    workload: Workload, layout: str, ask: Callable[[Step, Asked], tuple[Done, str]]
) -> tuple[list[Done], dict[int, list[str]]]:
    """All steps of a workload in order; what was done, and the answers by conversation."""
    answers: dict[int, list[str]] = {}
    done = []
    for step in workload.steps:
        said = answers.setdefault(step.conversation, [])
        one, answer = ask(step, workload.ask(layout, step, said))
        done.append(one)
        said.append(answer)
    return done, answers


def live(client: Client, tokens: Tokens, salt: str) -> Callable[[Step, Asked], tuple[Done, str]]:
    """Asks a real server, in a cache of its own."""
    extra = {"cache_salt": salt, "ignore_eos": True, "return_token_ids": True}

    def ask(step: Step, asked: Asked) -> tuple[Done, str]:
        planned = asked.laid_out()
        began = time.perf_counter()
        stream = client.chat.completions.create(
            asked.messages,
            tools=asked.tools or None,
            tool_choice="none" if planned.tools else None,
            stream=True,
            max_tokens=ANSWER,
            temperature=0.0,
            extra_body=extra,
        )
        first, text, ids = 0.0, "", []
        for chunk in stream:
            for choice in chunk.choices:
                ids += (choice.model_extra or {}).get("token_ids") or []
                text += choice.delta.content or ""
            if ids and not first:
                first = time.perf_counter() - began
        route = stream.route
        prompt = tokens.prompt(planned.messages, planned.tools)
        sent = Sent(prompt=prompt, answer=ids, salt=salt, at=began, first=began + first)
        return _done(step, sent, route, first), text

    return ask


def simulated(
    client: Client, hosts: SimulatedHosts, clock: FakeClock, start: datetime
) -> Callable[[Step, Asked], tuple[Done, str]]:
    """Asks the simulated hosts, at the times of the steps."""

    def ask(step: Step, asked: Asked) -> tuple[Done, str]:
        due = (start - clock()).total_seconds() + step.after
        clock.advance(max(0.0, due))
        reply = client.chat.completions.create(asked.messages, tools=asked.tools or None)
        seen = hosts.answered[-1]
        sent = Sent(prompt=seen.prompt, answer=seen.answer, at=seen.at, first=seen.first)
        return _done(step, sent, reply.route, 0.0), reply.text

    return ask


def _done(step: Step, sent: Sent, route: Route, first: float) -> Done:
    assert route.usage is not None
    return Done(step, sent, route.forecast.cache_read_tokens, route.usage, first)


def rearranged(
    workload: Workload, done: Sequence[Done], answers: dict[int, list[str]], count: Count
) -> list[list[Sent]]:
    """The requests of a run as they would have been sent in other layouts, in canonical bytes."""
    found = []
    for layout in LAYOUTS[1:]:
        sends = []
        for one in done:
            said = answers[one.step.conversation][: one.step.turn]
            sent = workload.ask(layout, one.step, said).laid_out()
            sends.append(replace(one.sent, prompt=count(sent.messages, sent.tools)))
        found.append(sends)
    return found


def at_simulated(
    title: str, workload: Workload, layout: str
) -> tuple[list[Done], dict[int, list[str]]]:
    """Replay a workload at one of `SIMULATED`."""
    candidate, start, cache, _ = SIMULATED[title]
    clock = FakeClock(start)
    hosts = SimulatedHosts({candidate: cache()}, clock)
    with Client(
        transport=hosts,
        candidates=candidate,
        keys={"deepseek": "none"},
        ledger=":memory:",
        now=clock,
        environ={},
    ) as client:
        return replayed(workload, layout, simulated(client, hosts, clock, start))


def our_tokens(messages: Any, tools: Any) -> list[int]:
    return encode(render(messages, tools=tools or None))
