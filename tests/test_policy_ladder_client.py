"""The ladder under a real client: its steps are taken, told, and replayed."""

from datetime import UTC, datetime, timedelta

import pytest

from policies import ladder, utility
from router import Budget, BudgetExceededError, Client, recorded_prompts
from router.errors import DeferredError
from router.testing import FakeClock

START = datetime(2026, 6, 1, tzinfo=UTC)
NAMES = ("mixtral-8x7b-instruct-v0.1@replay", "deepseek-v2.5@replay")
PROMPTS = [r.prompt for r in recorded_prompts(source="zeroeval")[:2]]


@pytest.fixture
def ask():
    """Two requests: the first, while on pace, and one more when money is tight."""
    opened = []

    def second(*rungs):
        client = Client(
            candidates=NAMES,
            policy=ladder(utility("0.1"), [{"below": 1, **rung} for rung in rungs]),
            budgets=Budget("0.01", "day"),
            ledger=":memory:",
            now=FakeClock(START),
            environ={},
        )
        opened.append(client)
        first = client.chat.completions.create([{"role": "user", "content": PROMPTS[0]}])
        assert first.route.decision.steps == ()
        assert first.route.candidate == "deepseek-v2.5@replay"
        return client.chat.completions.create([{"role": "user", "content": PROMPTS[1]}]).route

    yield second
    for client in opened:
        client.close()


def test_a_step_is_taken_told_and_replayed(ask):
    """The choice is another one; decision, reason and record say so."""
    route = ask({"do": "self_hosted"})
    assert route.candidate == "mixtral-8x7b-instruct-v0.1@replay"
    (step,) = route.decision.steps
    assert step.startswith("self_hosted: ")
    assert step in route.decision.reason
    assert route.record.replays()


def test_a_shorter_answer_is_reserved_and_cut(ask):
    """The host is told the cap: what is charged and what was forecast keep to it."""
    route = ask({"do": "shorter", "quantile": 0.5, "least": 1})
    assert route.decision.max_tokens == route.forecast.max_tokens
    assert route.usage.output_tokens <= route.decision.max_tokens
    assert route.record.replays()


def test_refused_for_want_of_money(ask):
    """A refusal by the ladder is one by the budget, with the step in its words."""
    with pytest.raises(BudgetExceededError, match="refuse: "):
        ask({"do": "refuse", "share": 0})


def test_deferred_until_the_budget_is_renewed(ask):
    """Who does not wait is told until when."""
    with pytest.raises(DeferredError, match="defer: ") as raised:
        ask({"do": "defer", "impatient": 1})
    assert raised.value.until == START + timedelta(days=1)
