"""RouteLLM's own test (arXiv 2406.18665): Mixtral-8x7B or GPT-4-1106 on MMLU and on GSM8K.

Trained elsewhere, or in five folds inside. Elsewhere means: no row of either test source, no row
whose question (`classifiers.training.split.group_key`: options cut off) is asked in the test,
and no row made from the same benchmark (`kin`): MMLU-Pro marks its MMLU-derived rows, which
catches questions that were reworded; ZeroEval's `gsm` is GSM8K. GPT-4-1106 is in no other
source. Stand-ins, by choice: gpt-4-turbo-2024-04-09 (ZeroEval), its successor, and Llama-3.1-70B
(MMLU-Pro), which has no GPT-4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from benchmarks._routing_data import (
    POOLED,
    ROUTELLM_GSM8K,
    ROUTELLM_MMLU,
    Bench,
    Factory,
    Method,
    Pair,
    Part,
    everything,
    outside,
    pair_part,
)  # fmt: skip
from benchmarks._routing_pooled import Row, evaluate, figures_row
from benchmarks._routing_prices import extra_dollars

LIKE_GPT4 = (
    Pair("mmlu_pro", "Mixtral-8x7B-Instruct-v0.1", "Meta-Llama-3_1-70B-Instruct"),
    Pair("zeroeval", "Mixtral-8x7B-Instruct-v0.1", "gpt-4-turbo-2024-04-09"),
)
PUBLISHED: tuple[Row, ...] = (
    # best of RouteLLM's routers, trained on Arena votes and augmented; from memory, not verified
    {
        "set": "routellm_mmlu",
        "trained on": "their data",
        "method": "RouteLLM's best (from memory)",
        "APGR": 0.60,
    },
    {
        "set": "routellm_gsm8k",
        "trained on": "their data",
        "method": "RouteLLM's best (from memory)",
        "APGR": 0.62,
    },
)


def untouched(part: Part, test: Part) -> npt.NDArray[np.bool_]:
    """Rows that share neither source, question nor benchmark of origin with a test of RouteLLM."""
    keep = outside(part, test, "loso")
    return keep & ~np.isin(part.sources, ["routellm_mmlu", "routellm_gsm8k"])


def pretrain_untouched(method: Method, test: Part) -> None:
    """All untouched rows for a method that wants them."""
    if not hasattr(method, "pretrain"):
        return
    models, whole = everything(test.bench)
    known = whole.take(untouched(whole, test))
    method.pretrain(known.texts, known.targets, known.groups, known.rows, models)


def transferred(
    factories: dict[str, Factory], known: Part, test: Part, pair: Pair, resamples: int
) -> list[Row]:
    """Every method fitted on `known` and judged on `test`."""
    extra = extra_dollars(test.bench, pair)
    rows: list[Row] = []
    for name, factory in factories.items():
        method = factory(test.bench)
        pretrain_untouched(method, test)
        method.fit(known.texts, known.targets, known.groups, known.rows)
        predicted = method.predict(test.texts, test.groups, test.rows)
        row = {"method": name} | figures_row(test, [predicted], resamples, extra)
        print(f"  {pair.source} from elsewhere, {name}: APGR {row['APGR']:.3f}", flush=True)
        rows.append(row)
    return rows


def routellm(
    bench: Bench, factories: dict[str, Factory], splits: Sequence[str], *, resamples: int
) -> dict[str, list[Row]]:
    """Task 4: trained elsewhere on two kinds of pairs, and five folds inside."""
    rows: list[Row] = list(PUBLISHED)
    for pair in (ROUTELLM_MMLU, ROUTELLM_GSM8K):
        test = pair_part(bench, pair)
        for label, sources in (("Mixtral, like GPT-4", LIKE_GPT4), ("pooled mix", POOLED)):
            whole = pair_part(bench, *sources)
            known = whole.take(untouched(whole, test))
            head: Row = {"set": pair.source, "trained on": f"{label} ({len(known.rows)})"}
            rows += [head | row for row in transferred(factories, known, test, pair, resamples)]
        inside, _ = evaluate(
            test, factories, splits, seeds=1, resamples=resamples,
            extra=extra_dollars(bench, pair), label=pair.source,
        )  # fmt: skip
        rows += [{"set": pair.source, "trained on": "5 folds inside"} | row for row in inside]
    return {"RouteLLM": rows}
