"""What the lengths weigh, how near runtime and estimator are, and how long they take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from io import BytesIO
from itertools import cycle, islice

import numpy as np

from benchmarks._forecasting_data import Bench
from benchmarks._forecasting_metrics import Row
from classifiers.length.arrays import HEAD, POOL
from classifiers.length.correction import Extra
from classifiers.length.history import History
from classifiers.length.net import QuantileNet, moved
from classifiers.length.shipped import LengthProfile
from classifiers.spread import MAX_LOG_TOKENS

PROMPTS, RUNS = 2000, 2000
TEXT = (
    "The quick brown function returns a list of integers where each element is the sum of two "
    "primes Prove that 12 apples cost 3.50 dollars"
)
FOUR = ["deepseek-v3.2", "deepseek-v3.2:thinking", "deepseek-v3.2-speciale", "deepseek-r1"]
PARAMETERS = ("w1", "b1", "coef", "intercept")


def size(bench: Bench) -> dict[str, list[Row]]:
    """Task 6."""
    return {
        "Arrays of the lengths": weight(bench),
        f"Runtime against estimator, log tokens, {PROMPTS} prompts": [parity(bench)],
        "Microseconds": latency(bench),
    }


def weight(bench: Bench) -> list[Row]:
    """Bytes as stored and as compressed."""
    lengths = bench.scorer._prior.weights.lengths
    found: list[Row] = []
    every = {part.name: getattr(lengths, part.name) for part in fields(lengths)}
    for name, array in every.items():
        shape = " x ".join(map(str, array.shape))
        found.append({"array": name, "shape": shape, "bytes": array.nbytes,
                      "compressed": _compressed({name: array})})  # fmt: skip
    found.append({
        "array": "all",
        "shape": f"{sum(every[name].size for name in PARAMETERS):,} parameters of the network, "
        f"{sum(a.size for n, a in every.items() if n not in PARAMETERS):,} others",
        "bytes": sum(array.nbytes for array in every.values()),
        "compressed": _compressed(every),
    })  # fmt: skip
    return found


def _compressed(arrays: dict[str, np.ndarray]) -> int:
    file = BytesIO()
    np.savez_compressed(file, **arrays)
    return len(file.getvalue())


def parity(bench: Bench) -> Row:
    """The largest difference of any quantile, of trained profiles and of an unknown model."""
    lengths, runtime = bench.scorer._prior.weights.lengths, bench.scorer._lengths._prior
    net = QuantileNet(
        *(a.astype(np.float64) for a in (lengths.w1, lengths.b1, lengths.coef, lengths.intercept))
    )
    rows = np.random.default_rng(0).choice(len(bench.sets), PROMPTS, replace=False)
    kinds = len(bench.scorer._prior.weights.kinds)
    heads = len(lengths.offsets) - 2
    profiles = [LengthProfile(HEAD, ref, 0.0, tight=False) for ref in range(heads)]
    profiles.append(LengthProfile(POOL, -1, 0.0, tight=False))
    exact = net.knots(bench.matrix[rows])
    worst = 0.0
    for at, row in enumerate(rows.tolist()):
        kind = at % kinds
        found = runtime.foretell(bench.matrix[row], 1.0, kind, profiles, lambda _: 0.0)
        expected = moved(exact[at], lengths.offsets[:-1, kind])
        expected = np.clip(expected, 0.0, MAX_LOG_TOKENS)
        got = np.array([one.output for one in found])
        worst = max(worst, float(np.abs(got - expected).max()))
    return {"profiles": len(profiles), "largest difference": f"{worst:.1e}"}


def latency(bench: Bench) -> list[Row]:
    """One thread, on the machine at hand."""
    scorer, runtime = bench.scorer.fresh(), bench.scorer._lengths._prior
    found: list[Row] = []
    for words in (50, 500):
        text = " ".join(islice(cycle(TEXT.split()), words))
        found.append({"what": f"Scorer.read, {words} words"} | took(lambda t=text: scorer.read(t)))
        for names in (FOUR[:1], FOUR):
            what = f"Scorer.score, {words} words, {len(names)} profiles"
            found.append({"what": what} | took(lambda t=text, n=names: scorer.score(t, n)))
    reading = scorer.read(text)
    seen = scorer._prior.see(reading.x, reading.structure)
    kind = bench.scorer._prior.weights.kinds.index(seen.kind)
    names = [*FOUR, *(n for n in bench.models if n not in FOUR)]
    for count in (1, 4, 12):
        profiles = [runtime.profile(name, "prior") for name in names[:count]]

        def foretell(profiles=profiles):
            logit = partial(scorer._prior.logit, seen)
            return runtime.foretell(reading.x, seen.known, kind, profiles, logit)

        found.append({"what": f"LengthPrior.foretell, {count} profiles"} | took(foretell))
    heads = [runtime.profile(name, "prior") for name in bench.models[:12]]
    found.append({"what": "the same, 12 profiles without thinking"} | took(
        lambda: runtime.foretell(reading.x, seen.known, kind, heads, lambda _: 0.0)
    ))  # fmt: skip
    return found + histories(bench)


def histories(bench: Bench) -> list[Row]:
    """A history that is full, and a scorer that keeps some."""
    past, rng = History(), np.random.default_rng(0)
    knots, extra = (4.0, 5.0, 6.0, 7.0), Extra(0.1, 0.2, 0.3, 0.4)
    for log in (5.0 + rng.normal(size=300)).tolist():
        past.observe(knots, extra, log, truncated=False)
    scorer = bench.scorer.fresh()
    text = " ".join(islice(cycle(TEXT.split()), 50))
    for tokens in rng.integers(50, 500, 300).tolist():
        scorer.observe(text, FOUR[0], tokens)
    reading, tokens = scorer.read(text), cycle([90, 200, 310])
    return [
        {"what": "History.corrected"} | took(lambda: past.corrected(knots, extra)),
        {"what": "History.observe"}
        | took(lambda: past.observe(knots, extra, 5.1, truncated=False)),
        {"what": "Scorer.observe, a prompt already read"}
        | took(lambda: scorer.observe(reading, FOUR[0], next(tokens))),
        {"what": "Scorer.score, 50 words, 4 profiles, one with a history"}
        | took(lambda: scorer.score(text, FOUR)),
    ]


def took(call: Callable[[], object]) -> Row:
    """p50 and p99 after some calls to warm up."""
    for _ in range(100):
        call()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - start) / 1e3)
    times.sort()
    return {"p50": round(times[RUNS // 2], 1), "p99": round(times[RUNS * 99 // 100], 1)}
