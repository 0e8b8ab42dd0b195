"""Causes that lie in a history, in the template, or in where a request is sent."""

from __future__ import annotations

import random
from dataclasses import replace

from benchmarks import _lint_make as make
from benchmarks._lint_inject_text import Pair, going_on, put
from router.prompts.lint import Sent


def edited(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng, least=3)
    index = rng.choice((1, 2, 3))
    kind = rng.choice(("rewritten", "stub", "cut"))
    if kind == "rewritten":
        return p, put(c, index, lambda _: make.prose(rng, 4))
    if kind == "stub":
        return p, put(c, index, lambda _: "[content removed to save space]")
    return p, put(c, index, lambda t: t[: max(10, len(t) // 2)] + " ...")


def truncated(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng, least=3)
    drop = rng.choice((2, 2, 4))
    return p, replace(c, messages=(c.messages[0], *c.messages[1 + drop :]))


def reordered(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng, least=3)
    messages = list(c.messages)
    if rng.random() < 0.5:
        messages[1], messages[2] = messages[2], messages[1]
    else:
        messages[2], messages[5] = messages[5], messages[2]
    return p, replace(c, messages=tuple(messages))


def summary(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng, least=4)
    role = rng.choice(("user", "assistant"))
    words = rng.choice(
        ("Summary of the conversation so far: ", "Earlier in this conversation: ", "")
    )
    note = {"role": role, "content": words + make.prose(rng, 4)}
    if words and rng.random() < 0.5:  # the summary before is replaced by a new one
        older = {"role": role, "content": words + make.prose(rng, 3)}
        p = replace(p, messages=(p.messages[0], older, *p.messages[3:]))
        return p, replace(c, messages=(c.messages[0], note, *c.messages[5:]))
    return p, replace(c, messages=(c.messages[0], note, *c.messages[5:]))


def template(rng: random.Random) -> Pair:
    talk = make.agent(rng, thinking=True)
    step = rng.randint(2, 5)
    p = make.step_sent(talk, step, thinking=True)
    c = make.step_sent(talk, step + 1, thinking=True)
    if rng.random() < 0.5:
        return p, replace(c, thinking=False)
    dropped = [{k: v for k, v in m.items() if k != "reasoning_content"} for m in c.messages]
    return p, replace(c, messages=tuple(dropped))


def image(rng: random.Random) -> Pair:
    p, c, _ = going_on(rng)

    def shown(sent: Sent, signature: str, detail: str) -> Sent:
        part = {"url": f"https://files.example/a.png?sig={signature}", "detail": detail}
        messages = list(sent.messages)
        text = {"type": "text", "text": messages[1]["content"]}
        messages[1] = {"role": "user", "content": [{"type": "image_url", "image_url": part}, text]}
        return replace(sent, messages=tuple(messages))

    if rng.random() < 0.5:
        return shown(p, "a", "high"), shown(c, f"{rng.getrandbits(64):x}", "high")
    return shown(p, "a", "low"), shown(c, "a", "high")


def switched(rng: random.Random, **to: str) -> Pair:
    p, c, _ = going_on(rng)
    whole = {"model": "deepseek-v3.2", "host": "deepinfra", "salt": "u-1"}
    return replace(p, **whole), replace(c, **(whole | to))


def below(rng: random.Random) -> Pair:
    talk = make.Talk(make.rules(rng, 6), [], make.chat(rng).turns)
    other = replace(talk, turns=make.chat(rng).turns)
    return talk.sent(0), other.sent(0)
