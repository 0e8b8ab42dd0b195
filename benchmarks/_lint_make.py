"""Conversations for the linter's benchmark: chats with tools, retrieval, agents; made by chance.

Questions are those of the shipped recording (real prompts of public benchmarks); rules, tools,
documents and tool results are put together from lists.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from router import recorded_prompts
from router.prompts.lint import Sent

SUBJECTS = [
    "refunds",
    "parcels",
    "invoices",
    "passwords",
    "returns",
    "warranties",
    "gift-cards",
    "bookings",
    "seats",
    "visas",
]
VERBS = [
    "explain",
    "confirm",
    "check",
    "escalate",
    "summarise",
    "decline",
    "offer",
    "repeat",
    "translate",
    "verify",
]
TONES = [
    "calmly",
    "briefly",
    "in-full-sentences",
    "without-jargon",
    "step-by-step",
    "with-one-example",
]
NOUNS = [
    "order",
    "customer",
    "ticket",
    "invoice",
    "article",
    "parcel",
    "flight",
    "room",
    "contract",
    "device",
]
FIELDS = [
    "name",
    "status",
    "note",
    "reason",
    "region",
    "currency",
    "quantity",
    "priority",
    "channel",
    "language",
]
NAMES = [
    "Ann",
    "Boris",
    "Chen",
    "Dalia",
    "Emeka",
    "Farah",
    "Goran",
    "Hana",
    "Ivo",
    "Jun",
    "Kofi",
    "Lena",
    "Mira",
    "Nils",
]
CITIES = ["Lagos", "Oslo", "Lima", "Pune", "Kyoto", "Graz", "Porto", "Leeds", "Accra", "Quito"]
_SHARED = "You are given a Python function and an assertion"


@cache
def questions() -> list[str]:
    """Real questions, of at most 1,200 characters.

    One data set of the recording opens all its prompts with the same 60 tokens: two of these are
    no control, for what the linter says of them is true.
    """
    found = (p.prompt for p in recorded_prompts() if len(p.prompt) <= 1200)
    return [prompt for prompt in found if not prompt.startswith(_SHARED)]


@dataclass(slots=True)
class Talk:
    """A conversation: what is sent at a turn is all up to that turn's question."""

    system: str
    tools: list[dict[str, Any]]
    turns: list[list[dict[str, Any]]]  # each: question, then what answers it
    docs: list[str] = field(default_factory=list)

    def sent(self, turn: int, **more: Any) -> Sent:
        """The request of a turn (from 0)."""
        messages = [{"role": "system", "content": self.system}] if self.system else []
        for past in self.turns[:turn]:
            messages += past
        messages.append(self.turns[turn][0])
        return Sent(messages=tuple(messages), tools=tuple(self.tools), **more)


def rules(rng: random.Random, count: int) -> str:
    """A system prompt of so many rules, with headings and some figures."""
    lines = [f"You are the assistant of {rng.choice(CITIES)} {rng.choice(NOUNS)} services."]
    for number in range(1, count + 1):
        if number % 8 == 1:
            lines.append(f"\n## {rng.choice(SUBJECTS).title()}")
        lines.append(
            f"{number}. When a {rng.choice(NOUNS)} concerns {rng.choice(SUBJECTS)}, "
            f"{rng.choice(VERBS)} it {rng.choice(TONES).replace('-', ' ')} and mention rule "
            f"{rng.randint(2, 99)} of the {rng.choice(FIELDS)} rules of {rng.randint(1999, 2026)}."
        )
    return "\n".join(lines)


def tool(rng: random.Random, name: str) -> dict[str, Any]:
    """A tool with three to five parameters."""
    properties = {
        key: {"type": "string", "description": f"The {key} of the {rng.choice(NOUNS)} in question"}
        for key in rng.sample(FIELDS, rng.randint(3, 5))
    }
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": f"{rng.choice(VERBS).title()} a {name} and return it.",
            "parameters": {
                "type": "object",
                "properties": properties,
                "required": list(properties)[:2],
            },
        },
    }


def tools(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Tools of different names."""
    names = rng.sample([f"{verb}_{noun}" for verb in VERBS for noun in NOUNS], count)
    return [tool(rng, name) for name in names]


def prose(rng: random.Random, sentences: int) -> str:
    """Text as an assistant or a document may have it."""
    return " ".join(
        f"The {rng.choice(NOUNS)} of {rng.choice(NAMES)} in {rng.choice(CITIES)} was "
        f"{rng.choice(VERBS)}ed for {rng.choice(SUBJECTS)} with {rng.choice(FIELDS)} "
        f"{rng.randint(1, 900)}."
        for _ in range(sentences)
    )


def documents(rng: random.Random, count: int) -> list[str]:
    """Documents with a title, each different."""
    return [
        f"Document {rng.randint(100, 999)}-{n}: {rng.choice(SUBJECTS)}\n"
        f"{prose(rng, rng.randint(6, 10))}"
        for n in range(count)
    ]


def result(rng: random.Random) -> dict[str, Any]:
    """What a tool returns."""
    rows = [
        {key: f"{rng.choice(NAMES)} {rng.randint(1, 999)}" for key in rng.sample(FIELDS, 4)}
        for _ in range(rng.randint(3, 8))
    ]
    return {"rows": rows, "total": len(rows), "next": None}


def chat(rng: random.Random, turns: int = 6) -> Talk:
    """A chat with a long system prompt and tools."""
    asked = rng.sample(questions(), turns)
    return Talk(
        rules(rng, rng.randint(14, 50)),
        tools(rng, rng.randint(3, 8)),
        [
            [
                {"role": "user", "content": question},
                {"role": "assistant", "content": prose(rng, rng.randint(6, 12))},
            ]
            for question in asked
        ],
    )


def rag(rng: random.Random, turns: int = 4) -> Talk:
    """Questions about documents that all share; the documents stand in `docs`."""
    talk = chat(rng, turns)
    talk.tools = []
    talk.docs = documents(rng, rng.randint(4, 9))
    return talk


def agent(rng: random.Random, steps: int = 6, *, thinking: bool = False) -> Talk:
    """One task and a loop of tool calls: `turns` are steps, each a call and its result."""
    known = tools(rng, rng.randint(3, 8))
    task = {"role": "user", "content": rng.choice(questions())}
    turns: list[list[dict[str, Any]]] = [[task]]
    for step in range(steps):
        name = rng.choice(known)["function"]["name"]
        arguments = json.dumps({rng.choice(FIELDS): rng.choice(NAMES)})
        call = {
            "role": "assistant",
            "content": f"Step: I {rng.choice(VERBS)} the {rng.choice(NOUNS)} next.",
            "tool_calls": [
                {
                    "id": f"call_{step}",
                    "type": "function",
                    "function": {"name": name, "arguments": arguments},
                }
            ],
        }
        if thinking:
            call["reasoning_content"] = prose(rng, 5)
        content = json.dumps(result(rng))
        turns.append([call, {"role": "tool", "tool_call_id": f"call_{step}", "content": content}])
    return Talk(rules(rng, rng.randint(10, 30)), known, turns)


def step_sent(talk: Talk, step: int, **more: Any) -> Sent:
    """What an agent sends after so many steps: all calls and results so far."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": talk.system}]
    for turn in talk.turns[: step + 1]:
        messages += turn
    return Sent(messages=tuple(messages), tools=tuple(talk.tools), **more)
