"""How long scoring takes, without scikit-learn: `python -m benchmarks.scoring`, one thread.

Beside it the time to read the prompt alone, the size of the shipped arrays, and the largest
difference between the scorer (float32) and the same arrays in float64.
"""

from __future__ import annotations

import sys
import time
from importlib import resources
from itertools import cycle, islice

import numpy as np

from classifiers import load_default
from classifiers.calibration import sigmoid
from classifiers.store import shipped_weights
from router import recorded_prompts

TEXT = (
    "The quick brown function returns a list of integers where each element is the sum of two "
    "primes Prove that 12 apples cost 3.50 dollars"
)
PROFILES = (
    ["deepseek-v2.5"],
    ["deepseek-v3.2", "deepseek-v3.2:thinking", "deepseek-v3.2-speciale"],
)
RUNS = 3000


def microseconds(call) -> list[float]:
    """Sorted times of `RUNS` calls, after some to warm up."""
    for _ in range(200):
        call()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - start) / 1e3)
    return sorted(times)


def parity() -> float:
    """The largest difference of P(correct) from a float64 evaluation, over recorded prompts."""
    weights, scorer = shipped_weights(), load_default()
    names = [n for n, f in zip(weights.profiles, weights.floor, strict=True) if f < 0]
    at = [weights.profiles.index(name) for name in names]
    theta, base = (a.astype(float)[..., at] for a in (weights.theta, weights.base))
    worst = 0.0
    for prompt in recorded_prompts()[:500]:
        reading = scorer.read(prompt.prompt)
        demands = weights.net.exact_demands(reading.x[None])[0]
        logits = np.einsum("kd,kdm->km", demands, theta[:, :-1]) + theta[:, -1]
        known = weights.familiar.known(reading.x.astype(float), reading.structure)
        exact = sigmoid((base + known * (logits - base)).mean(axis=0))
        found = [score.p_correct for score in scorer.score(reading, names).values()]
        worst = max(worst, float(np.abs(exact - found).max()))
    return worst


def main() -> None:
    """Print the table."""
    scorer = load_default()
    print("words  profiles   p50 us   p99 us   read alone, p50")
    for words in (50, 500, 5000):
        text = " ".join(islice(cycle(TEXT.split()), words))
        read = microseconds(lambda text=text: scorer.read(text))[RUNS // 2]
        for names in PROFILES:
            times = microseconds(lambda text=text, names=names: scorer.score(text, names))
            p50, p99 = times[RUNS // 2], times[RUNS * 99 // 100]
            print(f"{words:5}  {len(names):8}  {p50:7.0f}  {p99:7.0f}  {read:8.0f}")
    print("scikit-learn loaded:", "sklearn" in sys.modules)
    data = resources.files("classifiers") / "data"
    for name in ("weights.npz", "words.npz"):
        print(f"{name}: {len((data / name).read_bytes()):,} bytes")
    print(f"largest difference from float64: {parity():.1e}")


if __name__ == "__main__":
    main()
