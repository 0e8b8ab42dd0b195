"""A soft budget only watches: what it guesses is never charged to a hard one beside it."""

from datetime import timedelta

import pytest
from calling import FixedScorer, in_order

from router import Budget, Client, ProviderTimeoutError
from router.ledgers.sqlite import SQLiteLedger
from router.testing import FakeClock, MockTransport

MESSAGES = [{"role": "user", "content": "Prove that there are infinitely many primes."}]
MODEL = "deepseek-v3.2:thinking@deepinfra"


def client(transport, *budgets):
    return Client(
        transport=transport,
        budgets=budgets,
        ledger=SQLiteLedger(":memory:"),
        keys={"deepinfra": "k"},
        scorer=FixedScorer(),
        policy=in_order,
        now=FakeClock(),
        environ={},
    )


@pytest.mark.parametrize("crashed", [False, True])
def test_what_is_lost_is_charged_as_the_hard_budget_reserved_it(crashed):
    """A call of 20 tokens at most that is lost takes its reservation, not a forecast's guess."""
    budgets = Budget(tokens=1000, name="hard"), Budget(tokens=10**6, hard=False, name="soft")
    lost = ProviderTimeoutError("no answer", billable=True)
    made = client(MockTransport(lost), *budgets)
    ledger = made._core.ledger
    if crashed:  # it never hears how the call ended
        ledger.settle = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises((ProviderTimeoutError, KeyboardInterrupt)):
        made.chat.completions.create(MESSAGES, model=MODEL, max_tokens=20, max_retries=0)
    if crashed:
        del ledger.settle
        assert ledger.sweep(made._core.now() + timedelta(days=1)) == 1
    hard, soft = made.budgets.status()
    assert 20 < hard.spent <= 200
    assert soft.spent == hard.spent
    assert hard.reserved == soft.reserved == 0
