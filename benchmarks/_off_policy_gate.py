"""How often the gate is wrong, and how often open, in a world whose truth is known.

What a right answer is worth is chosen so that candidate and present policy are worth the same:
then "better" and "worse" are both errors. Away from that value one of them is right.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from benchmarks._off_policy_world import Rule, head, log, synthetic, truth, utility
from router.tuning.arms import Split
from router.tuning.score import Of, Part, models, parts, worth

PRESENT, CANDIDATE = utility(0.01), utility(0.03)
DAYS, A_DAY = 30, 100
TRUTHS = {"as good": 1.0, "worse": 1 / 3, "better": 3.0}
"""What is so, and times the even value at which it is."""
WORDS = ("better", "worse", "undecided")


def even() -> float:
    """The value (USD) at which the candidate is worth as much as the present policy."""
    (better, dearer), (right, cost) = truth(synthetic, CANDIDATE), truth(synthetic, PRESENT)
    return (dearer - cost) / (better - right)


def verdicts(logging: Rule, n: int, reps: int) -> list[dict[str, object]]:
    """One look at a log: how often which verdict."""
    return _table(lambda seed: _difference(_cases(logging, n, seed)), reps)


def canaries(share: float, n: int, reps: int) -> list[dict[str, object]]:
    """The same by lot: a share of the requests goes to the candidate, the rest to the present."""

    def difference(seed: int) -> dict[Of, Part]:
        chance = np.random.default_rng([n, seed])
        drawn = synthetic(n, chance)
        one, other = (log(drawn, rule, [rule], chance) for rule in (CANDIDATE, PRESENT))
        lot = chance.random(n) < share
        quality = np.where(lot, one.quality, other.quality)
        cost = np.where(lot, one.cost, other.cost)
        return Split(lot, quality, cost, ("candidate", "present")).difference(None)

    return _table(difference, reps)


def looks(logging: Rule, reps: int) -> list[dict[str, object]]:
    """Stopping at the first verdict: how often it was wrong, by interval."""
    said: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for seed in range(reps):
        cases = _cases(logging, DAYS * A_DAY, seed)
        open_ones = {(i, t) for i in ("design", "sequence") for t in ("as good", "better")}
        for day in range(1, DAYS + 1):
            if not open_ones:
                break
            found = _difference(head(cases, day * A_DAY))
            for interval, true in sorted(open_ones):
                word = word_of(found, even() * TRUTHS[true], interval)
                if word != "undecided":
                    said.setdefault((interval, true), []).append((word, day * A_DAY))
                    open_ones.remove((interval, true))
    rows = []
    for interval in ("design", "sequence"):
        for true in ("as good", "better"):
            ends = said.get((interval, true), [])
            shares = {w: f"{sum(e[0] == w for e in ends) / reps:.1%}" for w in WORDS[:2]}
            stops = f"{np.median([at for _, at in ends]):.0f}" if ends else "-"
            rows.append({"interval": interval, "truth": true, **shares, "stops at": stops})
    return rows


def _table(difference, reps: int) -> list[dict[str, object]]:
    said = {true: Counter() for true in TRUTHS}
    for seed in range(reps):
        found = difference(seed)
        for true, times in TRUTHS.items():
            said[true][word_of(found, even() * times, "design")] += 1
    return [
        {
            "value": f"${even() * times:.4f}",
            "truth": true,
            **{word: f"{said[true][word] / reps:.1%}" for word in WORDS},
        }
        for true, times in TRUTHS.items()
    ]


def _cases(logging: Rule, n: int, seed: int):
    chance = np.random.default_rng([n, seed])
    return log(synthetic(n, chance), logging, [CANDIDATE, PRESENT], chance)


def _difference(cases) -> dict[Of, Part]:
    candidate, present = cases.targets
    return parts(cases, models(cases), candidate - present)


def word_of(found: dict[Of, Part], value: float, interval: str) -> str:
    ends = worth(found["quality"], found["cost"], value).interval(interval, 0.95)
    if ends is None:
        return "undecided"
    return "better" if ends[0] > 0 else "worse" if ends[1] < 0 else "undecided"
