"""A scorer that learns, a client of three models in stages, and a verifier, for tests."""

from __future__ import annotations

import asyncio
import inspect
import threading

from classifiers.scores import Quantiles, Score
from policies.types import Decision
from router import Client, SQLiteLedger
from router.testing import AsyncMockTransport, FakeClock, MockTransport

ASK = [{"role": "user", "content": "Which colour has the zebra of my grandmother?"}]
SMALL, LARGE, HUGE = "small@h", "large@h", "huge@h"

LENGTHS, NONE = Quantiles(50, 100, 300, 400, 120), Quantiles(0, 0, 0, 0, 0)


class Learning:
    """`right` is P(correct) by profile, 0.5 of others; every answer takes about 100 tokens."""

    def __init__(self, right=None, draws=()):
        self.right = dict(right or {})
        self.draws = draws
        self.told = []
        self.prompts = []
        self._lock = threading.Lock()

    @property
    def version(self):
        return f"test+{len(self.told)}"

    def read(self, prompt):
        self.prompts.append(prompt)
        return ("read", prompt.route)

    def score(self, prompt, profiles, *, tenant=""):
        assert prompt[0] == "read"
        return {
            p: Score(
                self.right.get(p, 0.5),
                LENGTHS,
                NONE,
                "trained",
                draws=self.draws,
                base=0.6,
                graded=3,
            )
            for p in profiles
        }

    def learn(self, prompt, profile, grade, *, tenant=""):
        with self._lock:
            self.told.append((prompt, profile, grade, tenant))


def models(*names):
    """A catalogue of these models at the host `h`, each ten times dearer than the one before."""
    limits = {"context_tokens": 10_000, "max_output_tokens": 1_000}
    known = {"source": "test", "checked": "2026-11-22"}
    return {
        "host": [{"name": "h", "base_url": "http://localhost:1", "region": "eu"}],
        "model": [{"name": name, "tokenizer": "deepseek-v3"} for name in names],
        "endpoint": [{"model": m, "host": "h", "model_id": m, **limits} for m in names],
        "rate": [
            {"endpoint": f"{m}@h", "input": str(10**i), "output": str(10**i), **known}
            for i, m in enumerate(names)
        ],
    }


def stages(*names):
    """A policy: the first of `names`, then the others if it is found wrong."""

    def policy(quotes, context):
        first, *then = names or [q.name for q in quotes]
        rest = [q.name for q in quotes if q.name != first]
        chance = {first: 1.0} if context.verifiable else {}
        return Decision(
            ranking=(first, *rest),
            reason="in stages",
            rejected=dict.fromkeys(rest, "later"),
            policy="stages",
            escalation=tuple(then),
            propensities=chance,
        )

    return policy


def staged(*answers, cls=Client, **settings):
    kind = MockTransport if cls is Client else AsyncMockTransport
    transport = kind(*answers)
    given = {
        "catalog": models("small", "large", "huge"),
        "candidates": [SMALL, LARGE, HUGE],
        "base_urls": {"h": "http://localhost:1"},
        "policy": stages(SMALL, LARGE, HUGE),
        "scorer": Learning(),
        "ledger": SQLiteLedger(":memory:"),
        "now": FakeClock(),
        "max_retries": 0,
    } | settings
    made = cls(transport=transport, **given)
    made.calls, made.kept = transport.calls, given["ledger"]
    return made


def ask(made, **arguments):
    """The answer, of either kind of client."""
    found = made.chat.completions.create(ASK, **arguments)
    return asyncio.run(found) if inspect.isawaitable(found) else found


def rate(made, route, score):
    """Feedback on an answer, of either kind of client."""
    given = made.feedback(route.request_id, score)
    if inspect.isawaitable(given):
        asyncio.run(given)


def is_right(answer):
    return answer.text == "right"
