"""Never run: lines as README has them, and slips; checked by mypy --strict."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import assert_type

import router
from router import (
    AsyncClient,
    AsyncCompletionStream,
    ChatCompletion,
    Client,
    CompletionStream,
    Cost,
    Prompt,
    Quantiles,
    Scorer,
    cascade,
    constrained,
    ladder,
    load_policy,
    pacing,
    recorded_prompts,
    tuning,
    utility,
)
from router import BudgetExceededEror as Misspelt  # type: ignore[attr-defined]
from router.testing import AsyncMockTransport, MockTransport, reply
from router.types import Call, Reply

messages = [{"role": "user", "content": "Hello"}]
client = Client(budgets="0.05", ledger="spend.sqlite3", policy=load_policy("careful"))

answer = client.chat.completions.create(messages)
assert_type(answer.cost_usd, Decimal)
assert_type(answer.route.cost, Cost | None)
print(answer.route.cost.usd)  # type: ignore[union-attr]
if answer.route.cost is not None:
    assert_type(answer.route.cost.usd, Decimal)

assert_type(client.scorer, Scorer)
client.scorer.learn(Prompt(text="Hi", route="letters"), "deepseek-v3.2", 0.0)
client.scorer.observe("Hi", "deepseek-v3.2", 40)
client.scorer.place("my-moe", {"mmlu_pro": 0.71}, mean_tokens=300)
client.scorer.save("scorer.npz")
assert_type(client.scorer.rollback(client.scorer.version), int)
score = client.scorer.score("Hi", ["deepseek-v3.2"])["deepseek-v3.2"]
assert_type(score.output_tokens, Quantiles)
client.scorer.lern("Hi", "deepseek-v3.2", 0.0)  # type: ignore[attr-defined]

rules: Sequence[str] = ["*@openrouter"]
Client(policy=constrained(utility("0.05"), deny=["claude*"], regions=["EU"], allow=rules))
Client(policy=ladder(pacing("0.10", profile=[1.0] * 24), profile=[1.0] * 168))
Client(policy=cascade("0.01"), verify=lambda made: "Paris" in made.text)
Client(polcy="careful")  # type: ignore[call-arg]
constrained(utility("0.05"), deny=3)  # type: ignore[arg-type]

assert_type(router.__version__, str)
router.tuning.family(router.utility, ["0.01", "0.1"])
tuning.sweep(tuning.recorded(client, recorded_prompts()), tuning.family(utility, ["0.01"]))
router.testing.FakeClock().advance(1.0)
router.nothing(3)  # type: ignore[attr-defined]
try:
    client.plan(messages)
except router.BudgetExceedError:  # type: ignore[attr-defined]
    raise
except Misspelt:
    print("a misspelt name would be any exception at all")


def ask(stream: bool) -> str:
    """Where only the run knows whether it is streamed."""
    made = client.chat.completions.create(messages, stream=stream)
    assert_type(made, ChatCompletion | CompletionStream)
    if isinstance(made, CompletionStream):
        with made:
            text = "".join(chunk.text for chunk in made)
        assert_type(made.cost_usd, Decimal)
        return text
    return made.text


def shout(call: Call) -> Reply:
    """A function of the call, in place of a host."""
    return reply(str(call.request.messages[-1]["content"]).upper())


async def shout_later(call: Call) -> Reply:
    """The same, to be awaited."""
    return shout(call)


async def ask_later(stream: bool) -> None:
    """The same on an event loop."""
    async with AsyncClient(transport=AsyncMockTransport(shout_later, shout, reply("Hi"))) as other:
        made = await other.chat.completions.create(messages, stream=stream)
        assert_type(made, ChatCompletion | AsyncCompletionStream)


Client(transport=MockTransport(shout, reply("Hi"), TimeoutError()))
Client(transport=AsyncMockTransport(shout))  # type: ignore[arg-type]
