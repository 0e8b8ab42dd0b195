"""Four to eight models: quality against dollars, RouterBench's AIQ (arXiv 2403.12031).

A router picks the model of highest P(correct) - lambda x dollars, where the dollars are the
model's mean on the training folds: what a router knows before the answer. Judged are the real
dollars of the picked answers. The hull takes the single models in: one may always mix with them;
"AIQ alone" leaves them out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks._routing_data import (
    Array,
    Bench,
    Factory,
    Part,
    cross_predict,
    folds_of,
    outside,
)  # fmt: skip
from benchmarks._routing_metrics import Figures, Weighed, aiq, bootstrap, dollars_at, hull
from benchmarks._routing_pooled import Row
from benchmarks._routing_prices import dollars

LEVELS = (0.99, 0.97, 0.95)


@dataclass(frozen=True)
class Portfolio:
    """Models of one source that a router chooses among."""

    source: str
    models: tuple[str, ...]


PORTFOLIOS = (
    Portfolio("mmlu_pro", ("Meta-Llama-3_1-8B-Instruct", "Meta-Llama-3_1-70B-Instruct",
                           "gemini-1.5-flash-002", "gemini-1.5-pro-002")),
    Portfolio("zeroeval", ("Meta-Llama-3.1-8B-Instruct", "Meta-Llama-3.1-70B-Instruct",
                           "deepseek-v2.5-0908", "gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06",
                           "claude-3-5-sonnet-20241022")),
    Portfolio("reasoning_gym", ("google/gemma-3-27b-it", "meta-llama/llama-3.3-70b-instruct",
                                "mistralai/mistral-small-3.1-24b-instruct",
                                "meta-llama/llama-4-scout", "meta-llama/llama-4-maverick",
                                "deepseek/deepseek-r1", "openai/o3-mini",
                                "anthropic/claude-3.5-sonnet")),
)  # fmt: skip
PUBLISHED: tuple[Row, ...] = (
    # random split of a cut with two more (hard) categories: compare what is gained over singles;
    # dollars per 1000 prompts
    {"source": "mmlu_pro", "split": "random", "method": "hgb then", "AIQ": 0.6777,
     "$ at 99 %": 0.459, "$ at 97 %": 0.332, "$ at 95 %": 0.206},
    {"source": "mmlu_pro", "split": "random", "method": "knn then", "AIQ": 0.6747,
     "$ at 99 %": 0.507, "$ at 97 %": 0.353, "$ at 95 %": 0.243},
    {"source": "mmlu_pro", "split": "random", "method": "singles then", "AIQ": 0.6692,
     "$ at 99 %": 0.583, "$ at 97 %": 0.441, "$ at 95 %": 0.300},
)  # fmt: skip


def answered(bench: Bench, portfolio: Portfolio) -> tuple[Part, Array]:
    """Rows that all models answered with a known length, and the dollars per 1000 such answers."""
    grades = np.stack([bench.column(portfolio.source, m) for m in portfolio.models], axis=1)
    bills = np.stack([dollars(bench, portfolio.source, m) for m in portfolio.models], axis=1)
    rows = np.flatnonzero(~np.isnan(grades + bills).any(axis=1))
    return Part(bench, rows, grades[rows]), 1000 * bills[rows]


def forecast_bills(part: Part, bills: Array, split: str, seed: int) -> Array:
    """Mean dollars of each model on the rows that the fold may learn from."""
    out = np.empty(bills.shape)
    fold = folds_of(part, split, seed)
    for one in np.unique(fold):
        test = fold == one
        out[test] = bills[outside(part, part.take(test), split)].mean(axis=0)
    return out


def swept(value: Array, forecast: Array) -> npt.NDArray[np.intp]:
    """The pick of every row for every lambda, (lambdas, n)."""
    scale = forecast.mean(axis=0)
    lambdas = np.concatenate(([0.0], np.geomspace(0.002 / scale.max(), 2.0 / scale.min(), 80)))
    return np.stack([(value - each * forecast).argmax(axis=1) for each in lambdas])


def frontier(
    part: Part, bills: Array, picks: npt.NDArray[np.intp] | None
) -> Callable[[Array], Figures]:
    """AIQ and dollars at levels of the best single, as a function of weights of the rows."""
    at = np.arange(len(part.rows))
    quality = part.targets.T if picks is None else np.stack([part.targets[at, p] for p in picks])
    spent = bills.T if picks is None else np.stack([bills[at, p] for p in picks])

    def figures(weights: Array) -> Figures:
        share = weights / weights.sum()
        singles = list(zip(bills.T @ share, part.targets.T @ share, strict=True))
        own = list(zip(spent @ share, quality @ share, strict=True))
        low, high = min(c for c, _ in singles), max(c for c, _ in singles)
        best_bill, best = max(singles, key=lambda point: (point[1], -point[0]))
        line, alone = hull([*singles, *own]), hull(own)
        found = {"AIQ": aiq(line, low, high), "AIQ alone": aiq(alone, low, high)}
        found["best"] = max(q for _, q in own) - best
        for level in LEVELS:
            found[f"$ at {level:.0%}".replace("%", " %")] = dollars_at(line, level * best)
        return found | {"best single": best, "$ of it": best_bill}

    return figures


def gain_over(figures: Weighed, singles: Weighed) -> Weighed:
    """The same with what AIQ gains over mixing single models, prompt by prompt the same draw."""

    def both(weights: Array) -> Figures:
        found = figures(weights)
        return found | {"AIQ gain": found["AIQ"] - singles(weights)["AIQ"]}

    return both


def row_of(label: Row, weighed: Sequence[Weighed], n: int, resamples: int) -> Row:
    """Point figures and intervals."""
    point, bounds = bootstrap(weighed, n, resamples=resamples)
    row = dict(label)
    for name, value in point.items():
        row[name] = value
        if bounds and name in {"AIQ", "AIQ gain", "$ at 99 %"}:
            row[f"{name} 95%"] = bounds[name]
    return row


def single_rows(part: Part, bills: Array, portfolio: Portfolio) -> list[Row]:
    """Each model alone."""
    quality, spent = part.targets.mean(axis=0), bills.mean(axis=0)
    return [
        {"source": portfolio.source, "model": model, "quality": float(q), "$ per 1000": float(c)}
        for model, q, c in zip(portfolio.models, quality, spent, strict=True)
    ]


def one_portfolio(
    bench: Bench, one: Portfolio, factories: dict[str, Factory], splits: Sequence[str],
    seeds: int, resamples: int,
) -> tuple[list[Row], list[Row]]:  # fmt: skip
    """Rows of all methods, and of the single models."""
    part, bills = answered(bench, one)
    n = len(part.rows)
    singles = frontier(part, bills, None)
    head: Row = {"source": f"{one.source} ({len(one.models)} models, {n})"}
    mixed = row_of(
        head | {"method": "singles, mixed"}, [gain_over(singles, singles)], n, resamples
    )
    best = frontier(part, bills, swept(part.targets, np.tile(bills.mean(axis=0), (n, 1))))
    rows = [mixed, row_of(head | {"method": "oracle"}, [gain_over(best, singles)], n, resamples)]
    for split in splits:
        for name, factory in factories.items():
            began = time.perf_counter()
            weighed = []
            for seed in range(seeds):
                value = cross_predict(factory, part, split, seed)
                picks = swept(value, forecast_bills(part, bills, split, seed))
                weighed.append(gain_over(frontier(part, bills, picks), singles))
            row = row_of(head | {"split": split, "method": name}, weighed, n, resamples)
            took = time.perf_counter() - began
            print(f"  {one.source} {split} {name}: AIQ {row['AIQ']:.4f}, {took:.0f} s", flush=True)
            rows.append(row)
    return rows, single_rows(part, bills, one)


def portfolio(
    bench: Bench, factories: dict[str, Factory], splits: Sequence[str], *, seeds: int,
    resamples: int,
) -> dict[str, list[Row]]:  # fmt: skip
    """Task 3: three portfolios."""
    rows: list[Row] = list(PUBLISHED)
    singles: list[Row] = []
    for one in PORTFOLIOS:
        found, alone = one_portfolio(bench, one, factories, splits, seeds, resamples)
        rows += found
        singles += alone
    return {"Portfolios": rows, "Single models": singles}
