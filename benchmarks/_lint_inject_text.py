"""Causes that lie in a text or in tools, put into pairs of consecutive requests."""

from __future__ import annotations

import json
import random
import string
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks import _lint_make as make
from benchmarks._lint_make import Talk
from router.prompts.lint import Sent

Pair = tuple[Sent, Sent]
STAMPS = (
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M",
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %B %d, %Y at %I:%M %p",
    "%H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%Y-%m-%dT%H:%M:%S.%f+00:00",
    "%Y年%m月%d日 %H:%M",
    "%m/%d/%Y, %I:%M:%S %p",
    "%Y%m%dT%H%M%SZ",
)
DATES = ("%Y-%m-%d", "%A, %B %d, %Y", "%d %B %Y", "%m/%d/%Y", "%b %d, %Y", "%Y年%m月%d日", "%A")
LABELS = ("Current time: {}", "Now is {}.", "[{}]", "Time: {} (UTC)", "<now>{}</now>", "As of {}:")


def clean(rng: random.Random) -> tuple[Sent, Sent, Talk]:
    """Two requests as they should be: the next turn, or another conversation's."""
    kind = rng.choice(("next", "next", "other", "agent"))
    if kind == "agent":
        talk = make.agent(rng)
        step = rng.randint(1, 5)
        return make.step_sent(talk, step), make.step_sent(talk, step + 1), talk
    talk = make.chat(rng)
    turn = rng.randint(0, 4)
    if kind == "next":
        return talk.sent(turn), talk.sent(turn + 1), talk
    other = replace(talk, turns=make.chat(rng).turns)
    return talk.sent(turn), other.sent(rng.randint(0, 4)), talk


def going_on(rng: random.Random, least: int = 2) -> tuple[Sent, Sent, Talk]:
    """Two consecutive turns of a chat that has some history."""
    talk = make.chat(rng)
    turn = rng.randint(least, 4)
    return talk.sent(turn), talk.sent(turn + 1), talk


def put(sent: Sent, index: int, change: Callable[[str], str]) -> Sent:
    """The request with the text of one message changed."""
    messages = list(sent.messages)
    messages[index] = {**messages[index], "content": change(messages[index]["content"])}
    return replace(sent, messages=tuple(messages))


def placed(rng: random.Random, text: str, line: str) -> str:
    """A line put into a text: on top, in the first third, or in the middle."""
    lines = text.split("\n")
    at = rng.choice((0, 0, 0, 1, len(lines) // 4, len(lines) // 2))
    return "\n".join((*lines[:at], line, *lines[at:]))


def volatile(
    rng: random.Random, value: Callable[[random.Random, int], str], labels: tuple[str, ...]
) -> Pair:
    """A value in the system prompt (mostly), a tool's description or the first message."""
    p, c, _ = clean(rng)
    label, where = rng.choice(labels), rng.random()
    old, new = (label.format(value(rng, i)) for i in (0, 1))
    if where < 0.2:
        return _in_tool(p, old), _in_tool(c, new)
    seed = rng.random()
    p = put(p, 0, lambda t: placed(random.Random(seed), t, old))
    return p, put(c, 0, lambda t: placed(random.Random(seed), t, new))


def _in_tool(sent: Sent, text: str) -> Sent:
    tools = json.loads(json.dumps(sent.tools))
    tools[0]["function"]["description"] += " " + text
    return replace(sent, tools=tuple(tools))


def timestamp(rng: random.Random) -> Pair:
    form, start = rng.choice(STAMPS), _instant(rng)
    step = timedelta(seconds=rng.randint(61, 7200))
    return volatile(rng, lambda _, i: (start + i * step).strftime(form), LABELS)


def date(rng: random.Random) -> Pair:
    form, start, days = rng.choice(DATES), _instant(rng), rng.randint(1, 6)
    labels = ("Today is {}.", "Date: {}", "The date is {}")
    return volatile(rng, lambda _, i: (start + timedelta(days=i * days)).strftime(form), labels)


def uuids(rng: random.Random) -> Pair:
    labels = ("Session {}", "request_id={}", "trace: {}", "<id>{}</id>")
    return volatile(rng, lambda r, _: str(uuid.UUID(int=r.getrandbits(128), version=4)), labels)


def epoch(rng: random.Random) -> Pair:
    start, scale = _instant(rng).timestamp(), rng.choice((1, 1000))
    labels = ("ts={}", "Now (unix): {}", "generated at {}")
    return volatile(rng, lambda _, i: str(int((start + i * 777) * scale)), labels)


def random_id(rng: random.Random) -> Pair:
    letters = string.ascii_letters + string.digits
    kind = rng.choice(("hex", "prefixed", "mixed"))

    def value(r: random.Random, _: int) -> str:
        if kind == "hex":
            return f"{r.getrandbits(96):024x}"
        mixed = "".join(r.choices(letters, k=13)) + str(r.randint(100, 999))
        return f"req_{mixed}" if kind == "prefixed" else mixed

    return volatile(rng, value, ("Request {}", "run: {}", "nonce={}", "Your session is {}."))


def counter(rng: random.Random) -> Pair:
    start, by = rng.randint(1, 500), rng.randint(1, 3)
    labels = ("This is call {} of the day.", "Step {} of 900", "Request #{}", "Turn: {}")
    return volatile(rng, lambda _, i: str(start + i * by), labels)


def _instant(rng: random.Random) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randint(0, 300 * 86400))


def tool_order(rng: random.Random) -> Pair:
    p, c, talk = clean(rng)
    while (order := tuple(rng.sample(talk.tools, len(talk.tools)))) == p.tools:
        pass
    return p, replace(c, tools=order)


def tool_added(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng)
    at = rng.randint(0, len(c.tools))
    extra = make.tool(rng, "search_everything")
    return p, replace(c, tools=(*c.tools[:at], extra, *c.tools[at:]))


def tool_removed(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng)
    at = rng.randrange(len(c.tools))
    gone = () if rng.random() < 0.3 else (*c.tools[:at], *c.tools[at + 1 :])
    return p, replace(c, tools=gone)


def tool_changed(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng)
    tools = json.loads(json.dumps(c.tools))
    function = rng.choice(tools)["function"]
    if rng.random() < 0.5:
        function["description"] = make.prose(rng, 1)
    else:
        function["parameters"]["properties"]["verbose"] = {"type": "boolean"}
    return p, replace(c, tools=tuple(tools))


def _turned(value: Any, key: str, *, named: bool = False) -> Any:
    """JSON with the keys of `properties` turned round, or all others' ("" for `key`)."""
    if isinstance(value, dict):
        items = [(k, _turned(v, key, named=k == "properties")) for k, v in value.items()]
        return dict(items[::-1] if named == (key == "properties") else items)
    return [_turned(v, key) for v in value] if isinstance(value, list) else value


def tool_keys(rng: random.Random) -> Pair:
    p, c, _ = clean(rng)
    return p, replace(c, tools=tuple(_turned(list(c.tools), "")))


def property_order(rng: random.Random) -> Pair:
    p, c, _ = clean(rng)
    return p, replace(c, tools=tuple(_turned(list(c.tools), "properties")))


def format_changed(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng)
    schema = make.tool(rng, "answer")["function"]["parameters"]
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    if rng.random() < 0.5:
        return replace(p, response_format={"type": "json_object"}), replace(
            c, response_format=form
        )
    return p, replace(c, response_format=form)


def whitespace(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng)
    index = rng.choice((0, 1, 2))
    change = rng.choice(
        (
            lambda t: t.replace("\n", "\n\n").replace(". ", ".  "),
            lambda t: "\n" + t.replace(". ", ".\n"),
            lambda t: "  " + t,
            lambda t: t.replace("\n", "\r\n").replace(". ", ". \t"),
        )
    )
    return p, put(c, index, change)


def serialisation(rng: random.Random) -> Pair:
    talk = make.agent(rng)
    step = rng.randint(2, 5)
    p, c = make.step_sent(talk, step), make.step_sent(talk, step + 1)
    form = rng.choice(({"indent": 2}, {"separators": (",", ":")}, {"sort_keys": True}))
    return p, put(c, rng.choice((3, 5)), lambda t: json.dumps(json.loads(t), **form))


def system_changed(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng)
    lines = p.messages[0]["content"].split("\n")
    at = rng.randrange(len(lines) // 2)
    kind = rng.choice(("line", "cart", "memory"))
    if kind == "line":
        return p, put(c, 0, lambda t: t.replace(lines[at], make.prose(rng, 2), 1))
    label = "The cart holds: {}." if kind == "cart" else "Known of the user: {}"
    old, new = (label.format(make.prose(rng, 1)) for _ in range(2))
    return put(p, 0, lambda t: f"{old}\n{t}"), put(c, 0, lambda t: f"{new}\n{t}")


def user_data(rng: random.Random) -> Pair:
    talk = make.chat(rng)
    other = replace(talk, turns=make.chat(rng).turns)
    one, two = rng.sample(make.NAMES, 2)
    label = rng.choice(("You are talking to {}.", "Customer: {}", "User profile: {} of {}"))
    seed = rng.random()

    def named(sent: Sent, name: str) -> Sent:
        line = label.format(name, rng.choice(make.CITIES))
        return put(sent, 0, lambda t: placed(random.Random(seed), t, line))

    return named(talk.sent(rng.randint(0, 3)), one), named(other.sent(rng.randint(0, 3)), two)


def question_first(rng: random.Random) -> Pair:
    talk = make.rag(rng)
    asked = rng.sample(make.questions(), 2)
    form = rng.choice(
        ("Question: {q}\n\n{d}", "{q}\n\nUse these sources:\n{d}", "Q: {q}\n---\n{d}")
    )
    docs = "\n\n".join(talk.docs)
    pair = [replace(talk, turns=[[_user(form.format(q=q, d=docs))]]).sent(0) for q in asked]
    return pair[0], pair[1]


def documents_reordered(rng: random.Random) -> Pair:
    talk = make.rag(rng)
    while (order := rng.sample(talk.docs, len(talk.docs))) == talk.docs:
        pass
    numbered, in_system = rng.random() < 0.3, rng.random() < 0.4

    def sent(docs: list[str], question: str) -> Sent:
        if numbered:
            docs = [f"[{n}] {doc}" for n, doc in enumerate(docs, start=1)]
        text = "\n\n".join(docs)
        if in_system:
            whole = replace(talk, system=f"{talk.system}\n\n{text}", turns=[[_user(question)]])
        else:
            whole = replace(talk, turns=[[_user(f"{text}\n\nQuestion: {question}")]])
        return whole.sent(0)

    one, two = rng.sample(make.questions(), 2)
    return sent(talk.docs, one), sent(order, two)


def examples_reordered(rng: random.Random) -> Pair:
    talk = make.chat(rng, 2)
    shots = [(make.prose(rng, 2), rng.choice(make.FIELDS)) for _ in range(rng.randint(4, 8))]
    while (order := rng.sample(shots, len(shots))) == shots:
        pass
    as_messages = rng.random() < 0.5

    def sent(given: list[tuple[str, str]], question: str) -> Sent:
        if not as_messages:
            text = "\n\n".join(f"Input: {a}\nOutput: {b}" for a, b in given)
            whole = replace(talk, system=f"{talk.system}\n\n{text}", turns=[[_user(question)]])
            return whole.sent(0)
        turns = [[_user(a), {"role": "assistant", "content": b}] for a, b in given]
        return replace(talk, turns=[*turns, [_user(question)]]).sent(len(turns))

    one, two = rng.sample(make.questions(), 2)
    return sent(shots, one), sent(order, two)


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}
