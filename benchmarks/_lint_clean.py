"""Pairs of requests that differ as they should: nothing is to be found in them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from benchmarks import _lint_make as make
from benchmarks._lint_inject_text import Pair, going_on, put


def next_turn(rng: random.Random) -> Pair:
    return going_on(rng, least=0)[:2]


def other_conversation(rng: random.Random) -> Pair:
    talk = make.chat(rng)
    other = replace(talk, turns=make.chat(rng).turns)
    return talk.sent(rng.randint(0, 5)), other.sent(rng.randint(0, 5))


def same_greeting(rng: random.Random) -> Pair:
    """Conversations that open alike and say "yes" alike."""
    talk = make.chat(rng)
    pair = []
    for _ in range(2):
        turns = make.chat(rng).turns
        turns[0] = [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hello! How can I help you today?"},
        ]
        turns[3][0] = {"role": "user", "content": "Yes, please go on."}
        pair.append(replace(talk, turns=turns).sent(rng.randint(3, 4)))
    return pair[0], pair[1]


def again(rng: random.Random) -> Pair:
    sent = going_on(rng)[0]
    return sent, sent


def asked_otherwise(rng: random.Random) -> Pair:
    """The last question is edited and sent again."""
    sent = going_on(rng)[0]
    question = rng.choice(make.questions())
    return sent, put(sent, -1, lambda _: question)


def forked(rng: random.Random) -> Pair:
    """The conversation goes on from an earlier point."""
    talk = make.chat(rng)
    turns = [*talk.turns[:2], *make.chat(rng).turns]
    return talk.sent(5), replace(talk, turns=turns).sent(rng.randint(2, 4))


def agent_step(rng: random.Random) -> Pair:
    talk = make.agent(rng, thinking=rng.random() < 0.5)
    thinking = "reasoning_content" in talk.turns[1][0]
    step = rng.randint(0, 5)
    return (
        make.step_sent(talk, step, thinking=thinking),
        make.step_sent(talk, step + 1, thinking=thinking),
    )


def agent_next_task(rng: random.Random) -> Pair:
    """After a loop with reasoning comes a user's message: the template drops the reasoning."""
    talk = make.agent(rng, thinking=True)
    p = make.step_sent(talk, 5, thinking=True)
    more = (
        {"role": "assistant", "content": make.prose(rng, 2)},
        {"role": "user", "content": rng.choice(make.questions())},
    )
    return p, replace(p, messages=(*p.messages, *more))


def other_task(rng: random.Random) -> Pair:
    talk = make.agent(rng)
    other = make.agent(rng)
    other.system, other.tools = talk.system, talk.tools
    return make.step_sent(talk, rng.randint(0, 6)), make.step_sent(other, rng.randint(0, 6))


def thinking_switched(rng: random.Random) -> Pair:
    """Without tools in between, history is written the same in both modes."""
    p, c, _ = going_on(rng)
    return replace(p, thinking=True), replace(c, thinking=False)


def fixed_documents(rng: random.Random) -> Pair:
    talk = make.rag(rng)
    docs = "\n\n".join(talk.docs)
    one, two = rng.sample(make.questions(), 2)
    pair = [
        replace(talk, turns=[[{"role": "user", "content": f"{docs}\n\n{q}"}]]).sent(0)
        for q in (one, two)
    ]
    return pair[0], pair[1]


def other_documents(rng: random.Random) -> Pair:
    """What was found for one question, and what for another."""
    talk = make.rag(rng)
    pair = []
    for question in rng.sample(make.questions(), 2):
        docs = "\n\n".join(make.documents(rng, 5))
        content = f"{docs}\n\nQuestion: {question}\nAnswer with the documents' numbers."
        pair.append(replace(talk, turns=[[{"role": "user", "content": content}]]).sent(0))
    return pair[0], pair[1]


def other_application(rng: random.Random) -> Pair:
    return make.chat(rng).sent(rng.randint(0, 4)), make.chat(rng).sent(rng.randint(0, 4))


def time_at_the_end(rng: random.Random) -> Pair:
    """The time stands in each question, and stays in the history."""
    p, c, _ = going_on(rng)
    for i in range(1, len(c.messages), 2):
        stamp = f"\n\n(sent at 2026-11-22T12:{10 + i}:{rng.randint(10, 59)}Z)"
        c = put(c, i, lambda t, s=stamp: t + s)
        if i < len(p.messages):
            p = put(p, i, lambda t, s=stamp: t + s)
    return p, c


def name_at_the_end(rng: random.Random) -> Pair:
    """Without tools, a name at the end of the system prompt costs nothing."""
    talk = make.chat(rng)
    talk.tools = []
    other = replace(talk, turns=make.chat(rng).turns)
    one, two = rng.sample(make.NAMES, 2)
    return (
        put(talk.sent(2), 0, lambda t: f"{t}\n\nThe customer is {one}."),
        put(other.sent(2), 0, lambda t: f"{t}\n\nThe customer is {two}."),
    )


def other_model(rng: random.Random) -> Pair:
    """Another conversation may well be another model's."""
    p, c = other_conversation(rng)
    return replace(p, model="deepseek-v3.2"), replace(c, model="deepseek-v3.2-speciale")


def other_user(rng: random.Random) -> Pair:
    """Users are kept apart on purpose."""
    p, c = other_conversation(rng)
    return replace(p, salt="u-1"), replace(c, salt="u-2")


def short(rng: random.Random) -> Pair:
    pair = []
    for question in rng.sample(make.questions(), 2):
        talk = make.Talk("Answer briefly.", [], [[{"role": "user", "content": question}]])
        pair.append(talk.sent(0))
    return pair[0], pair[1]


def no_system(rng: random.Random) -> Pair:
    talk = make.Talk("", [], make.chat(rng).turns)
    return talk.sent(2), make.Talk("", [], make.chat(rng).turns).sent(1)


CLEAN: dict[str, Callable[[random.Random], Pair]] = {
    control.__name__.replace("_", " "): control
    for control in (
        next_turn,
        other_conversation,
        same_greeting,
        again,
        asked_otherwise,
        forked,
        agent_step,
        agent_next_task,
        other_task,
        thinking_switched,
        fixed_documents,
        other_documents,
        other_application,
        time_at_the_end,
        name_at_the_end,
        other_model,
        other_user,
        short,
        no_system,
    )
}
