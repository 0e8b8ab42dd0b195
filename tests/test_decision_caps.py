"""A policy that cuts the answer shorter: the host is told, and forecast and reservation follow."""

from dataclasses import replace
from datetime import datetime

import pytest
from calling import MESSAGES, FixedScorer, in_order

from router import Budget, Client, DecisionRecord
from router.catalog import Catalog
from router.errors import RouterError
from router.ledgers.sqlite import SQLiteLedger
from router.testing import FakeClock, MockTransport, reply

MODEL = "deepseek-v3.2@deepinfra"
KNOWN = {"source": "test", "checked": "2026-11-22"}


class Asked:
    """A client with a transport that answers 90 tokens to 10."""

    def __init__(self, *budgets, **changes):
        self.host = MockTransport(reply("x", input_tokens=10, output_tokens=90))
        given = {
            "budgets": budgets,
            "ledger": SQLiteLedger(":memory:"),
            "keys": {"deepinfra": "k"},
            "scorer": FixedScorer(),
            "policy": in_order,
            "now": FakeClock(),
            "environ": {},
        }
        self.client = Client(transport=self.host, **(given | changes))

    def ask(self, **arguments):
        return self.client.chat.completions.create(MESSAGES, model=MODEL, **arguments)


def capped(cap):
    def policy(quotes, context):
        return replace(in_order(quotes, context), max_tokens=cap, steps=("shorter",))

    return policy


@pytest.mark.parametrize(
    ("budgets", "asked", "cap", "told"),
    [
        (("1",), None, 64, 64),
        (("1",), 30, 64, 30),
        (("1",), 100, 64, 64),
        ((), None, 64, 64),
        ((Budget(tokens=10_000),), None, 64, 64),
        ((Budget("1", quantile=0.9),), None, 64, 64),
        ((), 100, None, 100),
        ((), None, None, None),
        (("1",), None, 5000, 500),
    ],
)
def test_a_policy_s_max_tokens_is_told_forecast_and_reserved(budgets, asked, cap, told):
    """The call, its ceiling and the reservation follow it; the record decides the same again."""
    one = Asked(*budgets, policy=capped(cap))
    done = one.ask(max_tokens=asked)
    (call,), forecast = one.host.calls, done.route.forecasts[MODEL]
    assert call.max_tokens == told
    if told is not None:
        assert forecast.max_tokens == told
        free = Asked(*budgets).client.plan(MESSAGES, model=MODEL, max_tokens=told).forecasts
        assert forecast.cost_ceiling == free[MODEL].cost_ceiling
        assert forecast.cost <= free[MODEL].cost
    (entry,) = one.client._core.ledger.entries()
    if budgets == ("1",):
        assert entry.reserved == forecast.cost_ceiling
    if cap == told:
        assert any("money is tight" in note for note in forecast.notes) is (cap is not None)
    record = DecisionRecord.from_json(done.route.record.to_json())
    assert record.decision.max_tokens == cap
    assert record.decision.steps == ("shorter",)
    assert record.replays(capped(cap))


def test_fallbacks_are_cut_as_well():
    """Every candidate that may be asked is forecast with the policy's cap, the others without."""
    catalog = Catalog.load(
        {
            "host": [{"name": "h", "base_url": "http://localhost:1"}],
            "model": [{"name": m, "tokenizer": "deepseek-v3"} for m in "abc"],
            "endpoint": [
                {"model": m, "host": "h", "model_id": m, "context_tokens": 1000}
                | {"max_output_tokens": 500}
                for m in "abc"
            ],
            "rate": [{"endpoint": f"{m}@h", "input": "1", "output": "2", **KNOWN} for m in "abc"],
        }
    )

    def policy(quotes, context):
        return replace(
            capped(64)(quotes, context), ranking=("a@h",), escalation=("b@h",), rejected={}
        )

    one = Asked("1", policy=policy, catalog=catalog, hosts=["h"], keys=None)
    plan = one.client.plan(MESSAGES)
    assert {name: f.max_tokens for name, f in plan.forecasts.items()} == {
        "a@h": 64,
        "b@h": 64,
        "c@h": 500,
    }


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"max_tokens": 0}, "max_tokens 0, expected a whole number from 1"),
        ({"max_tokens": -5}, "expected a whole number"),
        ({"max_tokens": True}, "expected a whole number"),
        ({"max_tokens": 1.5}, "expected a whole number"),
        ({"defer_until": datetime(2026, 11, 22)}, "expected an aware datetime"),
        ({"defer_until": "tonight"}, "expected an aware datetime"),
    ],
)
def test_what_a_policy_cannot_mean(changes, says):
    """Refused before anything is sent, with the policy's name."""

    def policy(quotes, context):
        return replace(in_order(quotes, context), **changes)

    one = Asked("1", policy=policy)
    with pytest.raises(RouterError, match=f"policy 'in-order' set .*{says}"):
        one.ask(patience=3600)
    assert one.host.calls == []
