"""How often the gate is wrong where requests of a conversation are alike: with `cluster=` or not.

Worlds are those of `_off_policy_clusters`, and so are the figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks._off_policy_clusters import (
    ALIKE,
    LOT,
    cases_of,
    drawn_and_lots,
    mapped,
    numbered,
    sizes_of,
)
from benchmarks._off_policy_gate import CANDIDATE, PRESENT, WORDS, even, word_of
from benchmarks._off_policy_world import head
from router.tuning.arms import Split
from router.tuning.score import Of, Part, models, parts

LOOKED = 200
ARRIVALS = ("one after the other", "all mixed")


def _looks(named: tuple[str, float, bool, str, int]) -> dict[str, object]:
    """The first verdict of 20 looks, and the last one, where both are worth the same."""
    kind, alike, uneven, arrival, reps = named
    wrong: dict[tuple[str, bool], int] = defaultdict(int)
    for seed in range(reps):
        chance = np.random.default_rng([seed, int(10 * alike), len(arrival), uneven])
        of = np.repeat(np.arange(LOOKED), sizes_of(LOOKED, chance, uneven=uneven))
        if arrival == ARRIVALS[1]:
            chance.shuffle(of)
        at = (_logs if kind == "log" else _canary)(of, alike, chance)
        for aware in (True, False):
            words = defaultdict(list)
            for look in range(2, 21):
                found = at(len(of) * look // 20, aware)
                for interval in ("design", "sequence"):
                    words[interval].append(word_of(found, even(), interval) in WORDS[:2])
            wrong["one", aware] += words["design"][-1]
            wrong["all", aware] += any(words["sequence"])
            wrong["peeks", aware] += any(words["design"])
    heads = {
        "one": "one look",
        "all": "all looks, sequential",
        "peeks": "all looks, not sequential",
    }
    row: dict[str, object] = {
        "gate of": kind,
        "alike": alike,
        "sizes": "uneven" if uneven else "equal",
        "arrival": arrival,
    }
    for key, words_of in heads.items():
        shares = (f"{wrong[key, aware] / reps:.1%}" for aware in (True, False))
        row[f"{words_of}: wrong with, without"] = tuple(shares)
    return row


At = Callable[[int, bool], dict[Of, Part]]


def _logs(of: np.ndarray, alike: float, chance: np.random.Generator) -> At:
    """Of a log with lots for each request: the difference after so many of them."""
    cases = cases_of(of, alike, LOT, [CANDIDATE, PRESENT], chance)

    def found(n: int, aware: bool) -> dict[Of, Part]:
        part = head(cases, n)
        if aware:
            part = replace(part, log=replace(part.log, clusters=numbered(of[:n])))
        return parts(part, models(part), part.targets[0] - part.targets[1])

    return found


def _canary(of: np.ndarray, alike: float, chance: np.random.Generator) -> At:
    """Half of the clusters go to the candidate, by lot."""
    drawn, lot, noise = drawn_and_lots(of, alike, chance)
    canary = (chance.random(int(of.max()) + 1) < 0.5)[of]
    rows = np.arange(len(of))
    to = np.where(canary[:, None], CANDIDATE(drawn), PRESENT(drawn)).argmax(axis=1)
    quality = (lot < drawn.right)[rows, to].astype(float)
    cost = (drawn.cost * np.exp(noise - 0.5))[rows, to]

    def found(n: int, aware: bool) -> dict[Of, Part]:
        clusters = numbered(of[:n]) if aware else None
        names = ("candidate", "present")
        return Split(canary[:n], quality[:n], cost[:n], names, clusters).difference(None)

    return found


def gate_looks(reps: int) -> dict[str, list[dict[str, object]]]:
    """How often the gate is wrong, at the end and ever, where there is nothing to be found."""
    settings = [
        (kind, alike, uneven, arrival, reps)
        for kind in ("canary", "log")
        for alike in ALIKE
        for uneven, arrival in ((False, ARRIVALS[0]), (False, ARRIVALS[1]), (True, ARRIVALS[1]))
    ]
    return {f"gate, 19 looks at up to {LOOKED} clusters, as good": mapped(_looks, settings)}
