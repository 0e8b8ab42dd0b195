"""The model card's figures: how good the shipped heads are, on prompts they never saw."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.evaluation import apgr, auc, brier, coverage, ece, log_mae, pinball
from classifiers.placement import Placements
from classifiers.runtime import Scorer
from classifiers.scores import Score
from classifiers.training.dataset import PROFILES, Outcomes, Prompts

PAIRS = (
    ("zeroeval", "mixtral-8x7b-instruct-v0.1", "claude-3-5-sonnet-20241022"),
    ("zeroeval", "deepseek-v2.5", "claude-3-5-sonnet-20241022"),
    ("mmlu_pro", "mixtral-8x7b-instruct-v0.1", "gemini-1.5-pro-002"),
    ("mmlu_pro", "llama-3.1-8b-instruct", "llama-3.1-70b-instruct"),
    ("reasoning_gym", "llama-3.3-70b-instruct", "claude-3-5-sonnet-20241022"),
)
LEAVE_OUT: dict[str, tuple[tuple[str, str], ...]] = {
    "crux": (("zeroeval", "crux"),),
    "gsm8k": (("zeroeval", "gsm"), ("routellm_gsm8k", "*")),
    "mmlu_pro law and math": (("mmlu_pro", "law"), ("mmlu_pro", "math")),
}
LEAVE_OUT_PROFILES = (
    "mixtral-8x7b-instruct-v0.1",
    "deepseek-v2.5",
    "deepseek-coder-v2",
    "deepseek-r1",
    "claude-3-5-sonnet-20241022",
    "gemini-1.5-pro-002",
    "llama-3.1-70b-instruct",
)
DATA = [
    ("reasoning_gym", "open-thought/reasoning-gym-eval", "Apache-2.0"),
    ("mmlu_pro", "TIGER-AI-Lab/MMLU-Pro", "Apache-2.0 (repository), MIT (data set)"),
    ("zeroeval", "WildEval/ZeroEval", "Apache-2.0"),
    ("routellm_mmlu, routellm_gsm8k", "lm-sys/RouteLLM", "Apache-2.0"),
    ("planbench", "karthikv792/LLMs-Planning", "MIT"),
    ("qwen3_think_nothink", "Amir-Mohseni/LLM-Router", "MIT"),
    ("lrm_token_economy", "cpldcpu/LRMTokenEconomy", "Apache-2.0"),
]
WORDS = "static word vectors of wordllama 0.4.0 (MIT), 64 of 256 dimensions, one byte each"
LIMITS = [
    (
        "Most of what can be told from a prompt is which kind of task it is: within one data set "
        "the AUC is 0.55 to 0.7. On a new kind expect the leave_dataset_out figures or worse."
    ),
    (
        "Token quantiles are calibrated on traffic like the training set; on new tasks p90 covers "
        "less than 90 %: see leave_dataset_out. Widen them by your own outcomes."
    ),
    (
        "Placed profiles rest on published means over whole benchmarks; no outcome per prompt "
        "stands behind them. placements.json gives source and status of every figure."
    ),
    (
        "On a kind of prompt that was not trained on, the order of prompts by gain is chance; the "
        "scorer says so (known = 0) and falls back to each model's average until it has learned."
    ),
    (
        "Prompts are English questions with a checkable answer; chat, long documents and tools "
        "are not in the data. MMLU-Pro was answered 5-shot, its prompts are the bare questions."
    ),
    (
        "Identical questions never straddle the split, but templates of reasoning_gym and "
        "planbench do: figures there flatter."
    ),
]


def _round(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


Table = dict[int, dict[str, Score]]


def score_all(scorer: Scorer, prompts: Prompts, rows: npt.NDArray[np.int64]) -> Table:
    """The scores of every trained and placed profile for these prompts, by row."""
    names = (*scorer.trained, *scorer.placed)
    return {row: scorer.score(prompts.texts[row], names) for row in rows.tolist()}


def head_figures(
    table: Table, outcomes: Outcomes, where: npt.NDArray[np.bool_], name: str
) -> dict[str, Any]:
    """Figures of one profile on the scored prompts (n,) where `where` holds."""
    own = outcomes.take((outcomes.model == name) & where[outcomes.row])
    figures: dict[str, Any] = {"n": int(own.row.size)}
    if own.row.size:
        p = np.array([table[row][name].p_correct for row in own.row.tolist()])
        figures["accuracy"] = _round(own.score.mean())
        figures["auc"], figures["ece"] = _round(auc(own.score, p)), _round(ece(own.score, p))
        figures["brier"] = _round(brier(own.score, p))
    if name not in PROFILES:
        return figures
    own = own.take(~np.isnan(own.tokens))
    figures["n_tokens"] = int(own.row.size)
    if own.row.size:
        q = [table[row][name].output_tokens for row in own.row.tolist()]
        mean = np.array([one.mean for one in q])
        figures["mean_tokens"] = _round(own.tokens.mean())
        figures["mean_ratio"] = _round(mean.mean() / own.tokens.mean())
        figures["log_mae"] = _round(log_mae(own.tokens, [one.p50 for one in q]))
        figures["pinball_p90"] = _round(pinball(own.tokens, [one.p90 for one in q], 0.9))
        figures["coverage_p90"] = _round(coverage(own.tokens, [one.p90 for one in q]))
        figures["coverage_p99"] = _round(coverage(own.tokens, [one.p99 for one in q]))
    return figures


def pair_figures(
    table: Table, prompts: Prompts, outcomes: Outcomes, source: str, weak: str, strong: str
) -> dict[str, Any]:
    """Routing between two profiles on a source's test prompts: APGR by P(strong) - P(weak)."""
    inside = prompts.test & (prompts.source == source)
    grades = []
    for name in (weak, strong):
        own = outcomes.take((outcomes.model == name) & inside[outcomes.row])
        grades.append(dict(zip(own.row.tolist(), own.score.tolist(), strict=True)))
    rows = sorted(set(grades[0]) & set(grades[1]))
    low, high = (np.array([grade[row] for row in rows]) for grade in grades)
    gain = np.array([table[row][strong].p_correct - table[row][weak].p_correct for row in rows])
    return {
        "source": source,
        "weak": weak,
        "strong": strong,
        "n": len(rows),
        "accuracy": [_round(low.mean()), _round(high.mean())],
        "apgr": _round(apgr(low, high, gain)),
        "apgr_oracle": _round(apgr(low, high, high - low)),
    }


def left_out(prompts: Prompts, key: str) -> npt.NDArray[np.bool_]:
    """The prompts (n,) of one leave-out group."""
    mask = np.zeros(len(prompts.ids), dtype=bool)
    for source, dataset in LEAVE_OUT[key]:
        inside = prompts.source == source
        mask |= inside if dataset == "*" else inside & (prompts.dataset == dataset)
    return mask


def placed_figures(table: Table, placements: Placements, prompts: Prompts) -> dict[str, Any]:
    """What placed profiles come to on test prompts of each source: accuracy and mean tokens."""
    found: dict[str, Any] = {}
    for name, placement in placements.profiles.items():
        found[name] = {"published_or_assumed": dict(placement.published)}
        for source in sorted(set(prompts.source.tolist())):
            rows = [row for row in table if prompts.source[row] == source]
            scores = [table[row][name] for row in rows]
            found[name][source] = {
                "accuracy": _round(float(np.mean([s.p_correct for s in scores]))),
                "mean_tokens": _round(float(np.mean([s.output_tokens.mean for s in scores]))),
            }
    return found


def build_card(
    scorer: Scorer,
    placements: Placements,
    prompts: Prompts,
    outcomes: Outcomes,
    leave_out: dict[str, Any],
    date: str,
) -> dict[str, Any]:
    """The card as a JSON document."""
    counts = {
        str(source): {
            "train": int((~prompts.test & (prompts.source == source)).sum()),
            "test": int((prompts.test & (prompts.source == source)).sum()),
        }
        for source in sorted(set(prompts.source.tolist()))
    }
    table = score_all(scorer, prompts, np.flatnonzero(prompts.test))
    profiles = {}
    for name in scorer.trained:
        own = outcomes.model == name
        sources = sorted(set(prompts.source[outcomes.row[own]].tolist()))
        profiles[name] = {
            "train_rows": int((own & ~prompts.test[outcomes.row]).sum()),
            "test": head_figures(table, outcomes, prompts.test, name),
            "test_by_source": {
                s: head_figures(table, outcomes, prompts.test & (prompts.source == s), name)
                for s in sources
            },
        }
    return {
        "format": "card/3",
        "date": date,
        "weights": scorer.version.partition("+")[0],
        "what": "An ensemble of small networks over hand features and static word vectors says "
        "what a prompt demands; abilities of each model, by empirical Bayes, what it can do. "
        "Lengths: a small quantile network over the same inputs, conformal by profile; thinking "
        "follows the length without it and the chance to be right without it.",
        "words": WORDS,
        "data": [{"source": s, "origin": o, "license": lic} for s, o, lic in DATA],
        "split": {
            "rule": "by hash of the normalised question; 50 % of ZeroEval's questions and 20 % of "
            "the others are test; a fifth of the rest calibrates",
            "prompts": counts,
        },
        "profiles": profiles,
        "pairs": [pair_figures(table, prompts, outcomes, *pair) for pair in PAIRS],
        "placed": placed_figures(table, placements, prompts),
        "leave_dataset_out": leave_out,
        "limits": LIMITS,
    }
