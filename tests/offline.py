"""Traffic whose truth is known: four models, prompts of every difficulty, quotes that are off."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from policies import Context, Quote
from router.decide import draw_of
from router.record import DecisionRecord
from router.tuning.traffic import Logged, Outcome, Traffic

NOW = datetime(2026, 11, 22, tzinfo=UTC)
NAMES = ("small", "middle", "large", "huge")
PRICE = (5e-5, 4e-4, 1.5e-3, 6e-3)
SKILL = (-0.3, 0.6, 1.3, 2.0)


def quote(name="a", quality=0.5, cost=10**9, **more):
    return Quote(
        name=name, quality=quality, cost=cost, cost_p90=2 * cost, cost_ceiling=6 * cost, **more
    )


def logged(policy, quotes, *, i=0, outcomes=None, graded=True, by="label", context=None, **more):
    """A request as `policy` decides it, with what came of it."""
    request_id = f"r{i}"
    seen = context or Context(now=NOW + timedelta(seconds=i), draw=draw_of(request_id))
    found = policy(tuple(quotes), seen)
    record = DecisionRecord(
        request_id=request_id,
        quotes=tuple(quotes),
        context=seen,
        policy=None,
        policy_name="policy",
        decision=found,
    )
    outcomes = outcomes or {q.name: Outcome(score=q.quality, cost=q.cost) for q in quotes}
    got = outcomes[found.chosen]
    return Logged(
        **{
            "request_id": request_id,
            "at": seen.now,
            "chosen": found.chosen,
            "propensity": found.propensity,
            "record": record,
            "served": found.chosen,
            "policy": found.policy,
            "cost": got.cost,
            "quality": got.score if graded else None,
            "quality_by": by if graded else "",
            "outcomes": outcomes,
            **more,
        }
    )


def traffic(n, policy, *, seed=0, graded=1.0, by="label"):
    """n requests as `policy` logged them, all outcomes known; a share of them has a grade."""
    chance = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        size, hard = np.exp(chance.normal()), chance.normal(0, 1.5)
        seen = hard + chance.normal()
        quotes, outcomes = [], {}
        for name, usd, skill in zip(NAMES, PRICE, SKILL, strict=True):
            cost = int(usd * size * 1e12)
            quality = float(1 / (1 + np.exp(0.7 * seen - 1.5 * skill)))
            quotes.append(quote(name, quality, cost))
            right = chance.random() < 1 / (1 + np.exp(hard - 1.5 * skill))
            bill = int(cost * np.exp(chance.normal(-0.125, 0.5)))
            outcomes[name] = Outcome(score=float(right), cost=bill)
        keep = bool(chance.random() < graded)
        rows.append(
            logged(policy, quotes, i=i + 10**6 * seed, outcomes=outcomes, graded=keep, by=by)
        )
    return Traffic(rows)


def blind(known):
    """The same log as anybody has it: without the outcomes of what was not chosen."""
    return Traffic(replace(request, outcomes={}) for request in known)
