"""A fleet's rates from the forecast to the ledger: through a client, under a hard budget."""

from decimal import Decimal

import pytest
from catalogs import utc

from policies import cheapest
from router import Client
from router.errors import BudgetExceededError
from router.ledgers.sqlite import SQLiteLedger
from router.money import to_usd
from router.selfhost import priced
from router.testing import FakeClock, MockTransport, reply

NOW = utc("2026-11-22T12:00")
ASK = [{"role": "user", "content": "Which colour has the zebra?"}]
LIMITS = {"context_tokens": 10_000, "max_output_tokens": 1_000}
KNOWN = {"source": "measured", "checked": "2026-11-22"}
CATALOG = {
    "host": [{"name": "h", "base_url": "http://localhost:1", "self_hosted": True}],
    "model": [{"name": "m", "tokenizer": "deepseek-v3"}],
    "endpoint": [{"model": "m", "host": "h", "model_id": "m", **LIMITS}],
}
FLEET = {
    "endpoint": "m@h",
    "gpus": 1,
    "usd_per_gpu_hour": "3.60",
    "utilisation": 45,
    "input_weight": "0.1",
    "cached_weight": "0.01",
    "curve": [{"in_flight": 1, "output": 60}, {"in_flight": 4, "output": 100}],
    **KNOWN,
}


def client(basis, **settings):
    answer = reply("Black and white", input_tokens=1000, cache_read_tokens=500, output_tokens=100)
    made = {
        "catalog": CATALOG | {"fleet": [FLEET | {"basis": basis}]},
        "candidates": ["m@h"],
        "base_urls": {"h": "http://localhost:1"},
        "keys": {"h": "k"},
        "policy": cheapest(),
        "ledger": SQLiteLedger(":memory:"),
        "now": lambda: NOW,
    }
    return Client(**({"transport": MockTransport(answer)} | made | settings))


@pytest.mark.parametrize(
    ("basis", "unit"),
    [("amortised", Decimal("22.23")), ("marginal", Decimal("7.778"))],
)
def test_forecast_and_bill_use_the_fleets_rates(basis, unit):
    """3.60 USD an hour, 100 tokens a second: 22.23 USD a million at 45 percent; by the curve's
    slope (4 / 100 - 1 / 60) / 3 seconds a token 7.78 USD.
    """
    ledger = SQLiteLedger(":memory:")
    with client(basis, budgets="5", ledger=ledger) as mine:
        plan = mine.plan(ASK, max_tokens=100)
        answer = mine.chat.completions.create(ASK, max_tokens=100)
    (entry,) = ledger.entries()
    ledger.close()
    cost = answer.route.cost
    assert cost.rates_id == entry.record.rates_id == f"m@h/1970-01-01#{basis}@45%"
    rates = priced(mine.catalog, cost.rates_id, NOW)
    assert rates.output == unit * 10**12
    by_hand = 500 * rates.input + 500 * rates.cache_read + 100 * rates.output
    assert cost.pico == -(-by_hand // 10**6)
    assert plan.forecast.rates_id == cost.rates_id


def test_a_hard_budget_holds():
    """A fleet's price is known: a hard budget reserves by it, and refuses what it cannot pay."""
    with client("amortised", budgets="0.001") as mine, pytest.raises(BudgetExceededError):
        mine.chat.completions.create(ASK, max_tokens=100)
    with client("marginal", budgets="0.002") as mine:
        assert mine.chat.completions.create(ASK, max_tokens=100).text == "Black and white"


class Meanwhile(MockTransport):
    """While it serves a call, `then` happens."""

    then = staticmethod(lambda: None)

    def send(self, call):
        self.then()
        return super().send(call)


@pytest.mark.parametrize(("tokens", "step"), [(60, "22%"), (60 * 91, "90%")])
def test_a_price_that_changes_under_way_is_the_next_calls(tokens, step):
    """Between reserve and settle the fleet became dearer, or cheaper: the call costs what it was
    reserved at, a hard budget with room for just that holds, and the next call pays the new one.
    """
    clock, ledger = FakeClock(NOW), SQLiteLedger(":memory:")
    transport = Meanwhile(reply("Black and white", input_tokens=12, output_tokens=100))
    with client("amortised", ledger=ledger, now=clock, transport=transport) as mine:
        with pytest.raises(BudgetExceededError) as refused:
            mine.chat.completions.create(ASK, max_tokens=100, budget="0.000001")
        was, load = mine.catalog.rates("m@h", NOW), mine._core.upkeep.load

        def others_call():
            for _ in range(10):
                load.served(
                    "m@h", clock(), input_tokens=0, cache_read_tokens=0, output_tokens=tokens
                )
                clock.advance(60)
            mine.plan(ASK, max_tokens=100)
            assert mine.catalog.rates("m@h", clock()).id.endswith(step)

        transport.then = others_call
        just = refused.value.requested
        first = mine.chat.completions.create(ASK, max_tokens=100, budget=just).route.cost
        (entry,) = ledger.entries()
        transport.then = lambda: None
        second = mine.chat.completions.create(ASK, max_tokens=100).route.cost
    ledger.close()
    assert first.rates_id == entry.record.rates_id == was.id
    assert first.pico == entry.cost == -(-(12 * was.input + 100 * was.output) // 10**6)
    assert to_usd(first.pico) <= just
    assert second.rates_id.endswith(step)
