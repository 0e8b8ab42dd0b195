"""Three kinds of traffic, each request of it laid out in three ways.

`naive` is how such programs are often written, `planned` what our planner makes of the same
parts, `best` the best layout that is known of, written by hand: what the planner is held
against. All three say the same to the model. Conversations are interleaved, and their answers
are the server's own.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from benchmarks._prefix_text import dumped, paragraph, question, record, scrambled, sentence, tool
from router import PromptBuilder
from router.prompts.layout import Layout, arrange

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
LAYOUTS = ("naive", "planned", "best")
Messages = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """A request of the traffic: the `turn`th of a conversation, `after` seconds from the first."""

    conversation: int
    turn: int
    after: float

    @property
    def clock(self) -> str:
        """The time as programs write it into prompts."""
        return (START + timedelta(seconds=self.after)).isoformat()


@dataclass(frozen=True, slots=True)
class Asked:
    """What is handed to the client: plain messages and tools, or a builder, which has its own."""

    messages: Messages | PromptBuilder
    tools: list[dict[str, Any]] = field(default_factory=list)

    def laid_out(self) -> Layout:
        """The request as it will be sent."""
        own = self.messages.tools if isinstance(self.messages, PromptBuilder) else self.tools
        return arrange(self.messages, own)


class Workload(Protocol):
    """Traffic: its steps in order, and each of them as a request."""

    name: str
    steps: list[Step]

    def ask(self, layout: str, step: Step, answers: Sequence[str]) -> Asked:
        """The request of a step in a layout; `answers` are those of the conversation so far."""


def interleaved(rng: random.Random, turns: Sequence[int], pause: float) -> list[Step]:
    """Steps of conversations of so many turns each, in an order by chance, `pause` seconds apart
    on average."""
    left = [c for c, n in enumerate(turns) for _ in range(n)]
    rng.shuffle(left)
    seen: Counter[int] = Counter()
    steps, after = [], 0.0
    for conversation in left:
        steps.append(Step(conversation, seen[conversation], after))
        seen[conversation] += 1
        after += rng.uniform(0.5, 1.5) * pause
    return steps


def _system(*texts: str) -> dict[str, Any]:
    return {"role": "system", "content": "\n\n".join(texts)}


def _user(*texts: str) -> dict[str, Any]:
    return {"role": "user", "content": "\n\n".join(texts)}


def _assistant(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


class Chat:
    """Customers of a shop: a long system prompt, eight tools, a customer each, six turns.

    Naive: the time and a request id stand on line one, tools come in the order of a hash table.
    """

    name = "chat"

    def __init__(self, seed: int = 0, conversations: int = 8, turns: int = 6) -> None:
        rng = random.Random(f"chat {seed}")
        self._seed = seed
        self._static = "You answer the customers of a shop.\n\n" + "\n".join(
            f"- {paragraph(rng, 2)}" for _ in range(24)
        )
        self._tools = [tool(rng, f"look_up_{n}") for n in "abcdefgh"]
        self._customers = [
            f"The customer is no. {c}. {sentence(rng)}" for c in range(conversations)
        ]
        self._asked = [[question(rng) for _ in range(turns)] for _ in range(conversations)]
        self.steps = interleaved(rng, [turns] * conversations, 20.0)
        self._when = {(s.conversation, s.turn): s for s in self.steps}

    def ask(self, layout: str, step: Step, answers: Sequence[str]) -> Asked:
        told, customer = self._asked[step.conversation], self._customers[step.conversation]
        tools = list(self._tools)
        random.Random(f"{self._seed} {step}").shuffle(tools)
        if layout == "naive":
            messages = [_system(self._now(step), self._static, customer)]
            for text, answer in zip(told, answers, strict=False):
                messages += [_user(text), _assistant(answer)]
            return Asked([*messages, _user(told[step.turn])], tools)
        times = [self._now(self._when[step.conversation, t]) for t in range(step.turn + 1)]
        if layout == "planned":
            # Tools stand after the system message: who the customer is comes after both.
            prompt, first = PromptBuilder(static=self._static, tools=tools), f"{customer}\n\n"
            for text, now, answer in zip(told, times, answers, strict=False):
                prompt.user(first + text, volatile=now).assistant(answer)
                first = ""
            return Asked(prompt.user(first + told[step.turn], volatile=times[-1]))
        users = [_user(customer, told[0], times[0])]
        users += [_user(text, now) for text, now in zip(told[1:], times[1:], strict=False)]
        messages = [_system(self._static)]
        for user, answer in zip(users, answers, strict=False):
            messages += [user, _assistant(answer)]
        return Asked([*messages, users[step.turn]], self._tools)

    def _now(self, step: Step) -> str:
        made = uuid.UUID(int=random.Random(f"{self._seed} id {step}").getrandbits(128), version=4)
        return f"It is {step.clock}. Request {made}."


class Documents:
    """Questions on six subjects over the four documents of each, two turns each; one time in ten
    a document of another subject is found instead of one of them.

    Naive: the question first, then the documents in the order of relevance. Planned: the documents
    before it, in the order of their numbers. Best: in that of how often they will be asked for.
    """

    name = "documents"

    def __init__(self, seed: int = 0, conversations: int = 30, turns: int = 2) -> None:
        rng = random.Random(f"documents {seed}")
        self._static = "Answer from the documents alone.\n" + paragraph(rng, 6)
        self._texts = [f"Document {i}\n" + paragraph(rng, 16) for i in range(24)]
        self._found = []
        for _ in range(conversations):
            subject = min(int(rng.paretovariate(0.8)) - 1, 5)
            found = list(range(4 * subject, 4 * subject + 4))
            if rng.random() < 0.1:
                found[rng.randrange(4)] = rng.randrange(24)
            found = list(dict.fromkeys(found))
            rng.shuffle(found)
            self._found.append(found)
        self._asked = [[question(rng) for _ in range(turns)] for _ in range(conversations)]
        self.steps = interleaved(rng, [turns] * conversations, 20.0)
        often = Counter(i for found in self._found for i in found)
        self._popular = sorted(range(24), key=lambda i: (-often[i], i))
        self._when = {(s.conversation, s.turn): s for s in self.steps}

    def ask(self, layout: str, step: Step, answers: Sequence[str]) -> Asked:
        found, asked = self._found[step.conversation], self._asked[step.conversation]
        if layout == "naive":
            messages = [_system(f"Today is {START:%Y-%m-%d}.", self._static)]
            users = [_user(asked[0], *(self._texts[i] for i in found)), *map(_user, asked[1:])]
            for user, answer in zip(users, answers, strict=False):
                messages += [user, _assistant(answer)]
            return Asked([*messages, users[step.turn]])
        times = [self._when[step.conversation, t].clock for t in range(step.turn + 1)]
        if layout == "planned":
            shared = "\n\n".join(self._texts[i] for i in sorted(found))
            prompt = PromptBuilder(static=self._static, session=shared)
            for text, now, answer in zip(asked, times, answers, strict=False):
                prompt.user(text, volatile=f"Today is {now}.").assistant(answer)
            return Asked(prompt.user(asked[step.turn], volatile=f"Today is {times[-1]}."))
        messages = [_system(self._static, *(self._texts[i] for i in self._popular if i in found))]
        for text, now, answer in zip(asked, times, answers, strict=False):
            messages += [_user(text, f"Today is {now}."), _assistant(answer)]
        return Asked([*messages, _user(asked[step.turn], f"Today is {times[-1]}.")])


class Agent:
    """Four tasks, each a loop of tool calls with growing results.

    Naive: a step counter on top, results written anew from dicts in every request, and those
    older than three steps cut short.
    """

    name = "agent"

    def __init__(self, seed: int = 0, conversations: int = 4, turns: int = 10) -> None:
        rng = random.Random(f"agent {seed}")
        self._seed, self._turns = seed, turns
        self._static = "You work on a task step by step, with tools.\n" + paragraph(rng, 24)
        self._tools = [tool(rng, name) for name in ("fetch", "search", "update", "write")]
        self._tasks = [f"Task {c}: {paragraph(rng, 4)}" for c in range(conversations)]
        self._calls = [
            [{"query": sentence(rng), "page": rng.randint(1, 9)} for _ in range(turns)]
            for _ in range(conversations)
        ]
        self._results = [[record(rng) for _ in range(turns)] for _ in range(conversations)]
        self.steps = interleaved(rng, [turns] * conversations, 8.0)

    def ask(self, layout: str, step: Step, answers: Sequence[str]) -> Asked:
        past = list(self._past(step, answers))
        task = self._tasks[step.conversation]
        if layout == "naive":
            rng = random.Random(f"{self._seed} {step}")
            messages = [
                _system(f"Step {step.turn + 1} of {self._turns}.", self._static),
                _user(task),
            ]
            for i, (answer, call, result) in enumerate(past):
                text = dumped(scrambled(result, rng))
                if i < len(past) - 3:
                    text = text[:120] + "... [cut]"
                messages += [_assistant(answer, tool_calls=[call]), _result(call, text)]
            return Asked(messages, self._tools)
        if layout == "planned":
            tools = list(self._tools)
            random.Random(f"{self._seed} {step}").shuffle(tools)
            prompt = PromptBuilder(static=self._static, tools=tools).user(
                task, volatile=self._at(0)
            )
            for i, (answer, call, result) in enumerate(past):
                prompt.assistant(_assistant(answer, tool_calls=[call]))
                prompt.tool(call["id"], f"{dumped(result)}\n\n{self._at(i + 1)}")
            return Asked(prompt)
        messages = [_system(self._static), _user(task, self._at(0))]
        for i, (answer, call, result) in enumerate(past):
            text = f"{dumped(result)}\n\n{self._at(i + 1)}"
            messages += [_assistant(answer, tool_calls=[call]), _result(call, text)]
        return Asked(messages, self._tools)

    def _past(
        self, step: Step, answers: Sequence[str]
    ) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        calls, results = self._calls[step.conversation], self._results[step.conversation]
        for i, answer in enumerate(answers[: step.turn]):
            function = {"name": "search", "arguments": dumped(calls[i])}
            call = {"id": f"call_{i}", "type": "function", "function": function}
            yield answer, call, results[i]

    def _at(self, turn: int) -> str:
        return f"Step {turn + 1} of {self._turns}."


def _result(call: Mapping[str, Any], text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call["id"], "content": text}


WORKLOADS: dict[str, Callable[[], Workload]] = {
    kind.name: kind for kind in (Chat, Documents, Agent)
}
