"""Causes that users found in real applications, put together again from public issue threads.

Each names its thread. The words that broke the cache are as told there; what stands around them
is made by chance. They were written after the linter, to see what it makes of them: at first
sight it named 237 of 280 (ten of each) as the users did; what it missed was then mended.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from benchmarks import _lint_make as make
from benchmarks._lint_inject_text import Pair, going_on, put
from router.prompts import causes
from router.prompts.lint import Sent

Told = tuple[str, str, Callable[[random.Random], Pair]]


def on_top(
    form: str, value: Callable[[random.Random, int], str]
) -> Callable[[random.Random], Pair]:
    """A line on top of the system prompt, with another value in each request."""

    def pair(rng: random.Random) -> Pair:
        p, c, _ = going_on(rng, least=1)
        old, new = (form.format(value(rng, i)) for i in (0, 1))
        return put(p, 0, lambda t: f"{old}\n{t}"), put(c, 0, lambda t: f"{new}\n{t}")

    return pair


def at_the_end(
    form: str, value: Callable[[random.Random, int], str]
) -> Callable[[random.Random], Pair]:
    """The same at the end of the system prompt, which tools and a history follow."""

    def pair(rng: random.Random) -> Pair:
        p, c, _ = going_on(rng, least=1)
        old, new = (form.format(value(rng, i)) for i in (0, 1))
        return put(p, 0, lambda t: f"{t}\n\n{old}"), put(c, 0, lambda t: f"{t}\n\n{new}")

    return pair


def clock(form: str, seconds: int = 14) -> Callable[[random.Random, int], str]:
    """The time of one day, some seconds later in the second request."""

    def value(_: random.Random, i: int) -> str:
        at = datetime(2026, 9, 9, 15, 9, 20, tzinfo=UTC) + timedelta(seconds=i * seconds)
        return at.strftime(form)

    return value


def files(rng: random.Random, i: int) -> str:
    """A listing in which a file appears."""
    seed = random.Random(len(make.NOUNS))
    names = [f"  src/{seed.choice(make.NOUNS)}_{n}.ts" for n in range(40)]
    return "\n".join((*names[:20], *([f"  src/{rng.choice(make.NAMES)}.ts"] * i), *names[20:]))


def nudge(rng: random.Random, i: int) -> str:
    """Advice that depends on how full the context is."""
    used = 17501 + i * rng.randint(3000, 9000)
    return f"Context: {used:,} tokens, grown by {rng.randint(3, 60)} %. " + (
        "Compress soon: " + make.prose(rng, 2) if i else "No need to compress."
    )


def skills(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng, least=1)
    known = [f"- {verb}-{rng.choice(make.NOUNS)}: {make.prose(rng, 1)}" for verb in make.VERBS]
    while (order := rng.sample(known, len(known))) == known:
        pass
    old, new = "\n".join(known), "\n".join(order)
    return put(p, 0, lambda t: f"{t}\n\n## Skills\n{old}"), put(
        c, 0, lambda t: f"{t}\n\n## Skills\n{new}"
    )


def window(rng: random.Random) -> Pair:
    talk = make.chat(rng, 8)
    whole = [talk.sent(turn) for turn in (6, 7)]
    cut = [replace(s, messages=(s.messages[0], *s.messages[-9:])) for s in whole]
    return cut[0], cut[1]


def text_window(rng: random.Random) -> Pair:
    """A history that is one text, of which the last characters are sent."""
    talk = make.chat(rng, 8)
    log = "\n".join(f"{m['role']}: {m['content']}" for turn in talk.turns for m in turn)
    pair = [
        replace(talk, turns=[[{"role": "user", "content": f"HISTORY:\n{log[i : i + 4000]}"}]])
        for i in (0, 700)
    ]
    return pair[0].sent(0), pair[1].sent(0)


def shuffled_maps(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng, least=1)
    tools = []
    for tool in rng.sample(c.tools, len(c.tools)):
        function = tool["function"]
        known = function["parameters"]["properties"]
        mixed = {name: known[name] for name in rng.sample(list(known), len(known))}
        parameters = {**function["parameters"], "properties": mixed}
        tools.append({**tool, "function": {**function, "parameters": parameters}})
    if tools[0]["function"]["name"] == c.tools[0]["function"]["name"]:
        return shuffled_maps(rng)  # the order of properties would be met first
    return p, replace(c, tools=tuple(tools))


def tool_order(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng, least=1)
    at = rng.randint(1, len(c.tools) - 1)
    return p, replace(c, tools=(*c.tools[at:], *c.tools[:at]))


def cut_results(rng: random.Random) -> Pair:
    """Every earlier tool result is cut to a length that depends on how many there are."""
    talk = make.agent(rng)

    def cut(sent: Sent, count: int) -> Sent:
        for i in range(3, len(sent.messages), 2):
            sent = put(sent, i, lambda t: t[: 1200 // count] + "... [truncated]")
        return sent

    return cut(make.step_sent(talk, 4), 4), cut(make.step_sent(talk, 5), 5)


def pruned(rng: random.Random) -> Pair:
    talk = make.agent(rng)
    p, c = make.step_sent(talk, 4), make.step_sent(talk, 5)
    return p, put(put(c, 3, lambda _: "[pruned]"), 5, lambda _: "[pruned]")


def cache_keys(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng, least=1)
    keys = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(2)]
    return replace(p, salt=keys[0]), replace(c, salt=keys[1])


def other_deployment(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng, least=1)
    return replace(p, host="azure-east"), replace(c, host="azure-west")


def _uuid(rng: random.Random, i: int) -> str:
    at = clock("%Y-%m-%dT%H:%M:%S.000Z")(rng, i)
    return f"{uuid.UUID(int=rng.getrandbits(128), version=4)} at {at}"


def image_first(rng: random.Random) -> Pair:
    """One long instruction for every page, and the page's image before it."""
    text = make.rules(rng, 30)
    pages = [f"data:image/png;base64,{rng.getrandbits(200):x}" for _ in range(2)]
    pair = [
        Sent(
            messages=(
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": page}},
                        {"type": "text", "text": text},
                    ],
                },
            )
        )
        for page in pages
    ]
    return pair[0], pair[1]


def loaded_tool(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng, least=1)
    return p, replace(c, tools=(*c.tools, make.tool(rng, "found_by_search")))


def plan_mode(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng, least=1)
    return p, replace(c, tools=c.tools[:: rng.choice((2, -2))][: len(c.tools) // 2])


def pruned_thoughts(rng: random.Random) -> Pair:
    """Reasoning older than a few steps is taken out of a running loop."""
    talk = make.agent(rng, thinking=True)
    p, c = (make.step_sent(talk, step, thinking=True) for step in (4, 5))
    kept = [
        {k: v for k, v in m.items() if k != "reasoning_content" or i > 6}
        for i, m in enumerate(c.messages)
    ]
    return p, replace(c, messages=tuple(kept))


def session_ids(rng: random.Random) -> Pair:
    talk = make.chat(rng)
    other = replace(talk, turns=make.chat(rng).turns)
    lines = [f"session_id: sess_{rng.getrandbits(48):012x}" for _ in range(2)]
    p, c = talk.sent(rng.randint(0, 3)), other.sent(rng.randint(0, 3))
    return put(p, 0, lambda t: f"{lines[0]}\n{t}"), put(c, 0, lambda t: f"{lines[1]}\n{t}")


TOLD: tuple[Told, ...] = (
    (
        "anthropics/claude-code 68900",
        causes.RANDOM_ID,
        on_top(
            "x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=sdk-cli; cch={};",
            lambda rng, _: f"{rng.getrandbits(20):05x}",
        ),
    ),
    (
        "goruck/home-generative-agent 617",
        causes.TIMESTAMP,
        on_top("Current time is {}. Today's date is 2026-09-09.", clock("%H:%M:%S")),
    ),
    (
        "Mintplex-Labs/anything-llm 6398",
        causes.TIMESTAMP,
        on_top("The current date and time is {}.", clock("%A, %B %d, %Y %I:%M %p", 61)),
    ),
    ("abstxn/lunch-uncle 6", causes.UUID, on_top("Request {}.", _uuid)),
    (
        "adolfousier/opencrabs 657",
        causes.TIMESTAMP,
        at_the_end(
            "--- Runtime Info ---\nTimestamp: {}\nOS: linux\n", clock("%Y-%m-%d %H:%M:%S UTC")
        ),
    ),
    (
        "joshuadavidthomas/opencode-agent-memory 8",
        causes.TIMESTAMP,
        on_top(
            "<memory_metadata>\n- The current system date is: {}\n</memory_metadata>",
            clock("%Y-%m-%dT%H:%M:%S.123Z"),
        ),
    ),
    (
        "open-gsd/gsd-pi 108",
        causes.TIMESTAMP,
        on_top("# Codebase Map\n\nGenerated: {} | Files: 312", clock("%Y-%m-%dT%H:%M:%SZ", 3600)),
    ),
    ("Systemorph/MeshWeaver 2108", causes.TIMESTAMP, at_the_end("UTC now: {}", clock("%c"))),
    ("ranxianglei/billion-context 1", causes.SYSTEM, at_the_end("{}", nudge)),
    ("anomalyco/opencode 5224", causes.SYSTEM, at_the_end("<files>\n{}\n</files>", files)),
    (
        "open-gsd/gsd-pi 847",
        causes.SYSTEM,
        at_the_end("[MEMORY]\n{}", lambda rng, _: make.prose(rng, 3)),
    ),
    ("crystal-autobot/autobot 143: skills", causes.DOCUMENTS, skills),
    ("crystal-autobot/autobot 143: window", causes.TRUNCATED, window),
    ("singnet/Omega 300", causes.TRUNCATED, text_window),
    ("maximhq/bifrost 2347", causes.TOOL_ORDER, shuffled_maps),
    ("langchain-ai/deepagents 2497", causes.TOOL_ORDER, tool_order),
    ("LibreChat-AI/agents 497", causes.EDITED, cut_results),
    ("ranxianglei/opencode-acp 26", causes.EDITED, pruned),
    ("CaddyGlow/ccproxy-api 61", causes.SALT, cache_keys),
    ("BerriAI/litellm 6784", causes.HOST, other_deployment),
    ("datalab-to/chandra 89", causes.QUESTION, image_first),
    (
        "letuhao/lore-weave 298",
        causes.SYSTEM,
        on_top("## Grounding\n{}\n", lambda rng, _: make.prose(rng, 4)),
    ),
    ("srtab/daiv 1465", causes.TOOL_ADDED, loaded_tool),
    ("elgorro/aiquila 412", causes.TOOL_REMOVED, plan_mode),
    ("NousResearch/hermes-agent 22068", causes.TEMPLATE, pruned_thoughts),
    ("NousResearch/hermes-agent 16057", causes.RANDOM_ID, session_ids),
    (
        "microsoft/vscode 312577",
        causes.SYSTEM,
        at_the_end(
            "<availableDeferredTools>\n{}\n</availableDeferredTools>",
            lambda rng, i: "\n".join(
                f"mcp_{verb}_{rng.choice(make.NOUNS)}" for verb in make.VERBS[i:]
            ),
        ),
    ),
    (
        "gptme/gptme 2724",
        causes.SYSTEM,
        on_top(
            "## Workspace\n{}\n",
            lambda rng, _: "\n".join(f" M src/{rng.choice(make.NAMES)}.py" for _ in range(4)),
        ),
    ),
)
"""Thread, cause, and what makes a pair."""
