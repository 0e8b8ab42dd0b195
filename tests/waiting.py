"""A client for which waiting only moves the clock, and policies that make it wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from calling import FixedScorer, in_order

from router import Budget, Client
from router.ledgers.sqlite import SQLiteLedger
from router.testing import FakeClock, MockTransport, reply

MESSAGES = [{"role": "user", "content": "Which colour has a zebra?"}]
MODEL = "deepseek-v3.2@deepinfra"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = 3600
ANSWER = reply("x", input_tokens=10, output_tokens=90)
ONCE = Budget(requests=1, window="day", name="once a day")


def settings(clock, *budgets, **changes):
    return {
        "budgets": budgets,
        "ledger": SQLiteLedger(":memory:"),
        "keys": {"deepinfra": "k"},
        "scorer": FixedScorer(),
        "policy": in_order,
        "now": clock,
        "environ": {},
    } | changes


class Waiting:
    """A client for which waiting only moves the clock; `waits` are the seconds, `woke` when."""

    def __init__(self, *budgets, **changes):
        self.clock, self.waits, self.woke = FakeClock(NOON), [], []
        self.host = MockTransport(ANSWER)
        self.client = Client(transport=self.host, **settings(self.clock, *budgets, **changes))
        self.client._sleep = self.sleep
        self.during = lambda: None

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.clock.advance(seconds)
        self.woke.append(self.clock())
        self.during()

    def ask(self, **arguments):
        return self.client.chat.completions.create(MESSAGES, **({"model": MODEL} | arguments))


def soon_after_midnight(at):
    """At it, or so much later that not all who wait come at once."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return timedelta(0) <= at - midnight <= timedelta(seconds=30)


def later(until, **changes):
    """A policy that would send everything at `until`."""
    seen = []

    def policy(quotes, context):
        seen.append((context.now, context.patience))
        return replace(in_order(quotes, context), defer_until=until, **changes)

    policy.seen = seen
    return policy


def overtaken():
    """A client whose first request loses its money to another while the policy decides."""
    others = []

    def policy(quotes, context):
        if not others:
            others.append(context)
            one.ask()
        return in_order(quotes, context)

    one = Waiting(ONCE, policy=policy)
    return one
