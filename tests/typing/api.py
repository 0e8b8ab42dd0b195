"""Never run: what users write, checked by mypy --strict (see tests/test_typing.py)."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_type

from router import (
    AsyncClient,
    Budget,
    ChatCompletion,
    Client,
    Context,
    Decision,
    DecisionRecord,
    Forecast,
    Plan,
    Quote,
    Report,
    Route,
)
from router.chat import CompletionStream
from router.chat_async import AsyncCompletionStream

messages = [{"role": "user", "content": "Hello"}]
client = Client(budgets=[Budget("1.00", "day", {"team": "x"})], ledger=":memory:", tags={"a": "b"})

reply = client.chat.completions.create(messages, model="auto", temperature=0.2, budget="0.01")
assert_type(reply, ChatCompletion)
assert_type(reply.route, Route)
assert_type(reply.route.forecast, Forecast)
assert_type(reply.route.total_cost_usd, Decimal | None)
assert_type(client.chat.completions.create(messages, stream=True), CompletionStream)
assert_type(client.plan(messages, model=["deepseek-v3.2"]), Plan)
assert_type(client.report(["day"]), Report)

client.chat.completions.create(messages, temprature=1)  # type: ignore[call-overload]
client.chat.completions.create(messages, model=3)  # type: ignore[call-overload]
Budget("1.00", "fortnight")  # type: ignore[arg-type]
Client(hosts="deepinfra")
assert_type(reply.route.record, DecisionRecord)
assert_type(client.plan(messages).record.replay(), Decision)
assert_type(reply.route.verified, float | None)
Client(verify=lambda answer: "Paris" in answer.text)
client.chat.completions.create(messages, verify=lambda answer: len(answer.text) / 100)
client.chat.completions.create(messages, verify=False)
client.chat.completions.create(messages, verify="yes")  # type: ignore[call-overload]
client.feedback(reply.route.request_id, score=True)
client.feedback(reply.route.request_id, 0.5)
client.feedback(reply.route.request_id, "good")  # type: ignore[arg-type]
assert_type(client.learn([(messages, "deepseek-v3.2", 1.0), ("Hi", "m", True, {"a": "b"})]), int)
Client(ledgr="x")  # type: ignore[call-arg]


def dearest(quotes: list[Quote], context: Context) -> Decision:
    """A policy of one's own."""
    best = max(quotes, key=lambda q: q.cost)
    return Decision(ranking=(best.name,), reason="dearest", rejected={}, policy="dearest")


async def judge(answer: ChatCompletion) -> bool:
    """A verifier that awaits."""
    return bool(answer.text)


async def talk() -> None:
    """The same, asynchronously."""
    async with AsyncClient() as other:
        assert_type(await other.chat.completions.create(messages), ChatCompletion)
        stream = await other.chat.completions.create(messages, stream=True)
        assert_type(stream, AsyncCompletionStream)
        assert_type(await other.plan(messages), Plan)
        await other.chat.completions.create(messages, verify=judge)
        await other.feedback("x", score=False)
        other.feedback("x", score=False)  # type: ignore[unused-coroutine]
