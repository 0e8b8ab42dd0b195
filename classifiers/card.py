"""The model card's figures: how good the shipped heads are, on prompts they never saw."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.calibration import sigmoid
from classifiers.dataset import Outcomes, Prompts
from classifiers.evaluation import apgr, auc, coverage, ece, log_mae, pinball
from classifiers.fitting import Fitted, with_tokens
from classifiers.placement import Placements
from classifiers.runtime import Scorer
from classifiers.store import Weights

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


def head_figures(
    fitted: Fitted, outcomes: Outcomes, where: npt.NDArray[np.bool_], name: str
) -> dict[str, Any]:
    """Figures of one head on the prompts (n,) where `where` holds."""
    own = outcomes.take((outcomes.model == name) & where[outcomes.row])
    figures: dict[str, Any] = {"n": int(own.row.size)}
    if own.row.size:
        p = fitted.heads[name].predict_proba(fitted.matrix[own.row])[:, 1]
        figures["accuracy"] = _round(own.score.mean())
        figures["auc"], figures["ece"] = _round(auc(own.score, p)), _round(ece(own.score, p))
    own = with_tokens(own)
    figures["n_tokens"] = int(own.row.size)
    if own.row.size:
        q = fitted.lengths[name].predict_quantiles(fitted.matrix[own.row])
        figures["mean_tokens"] = _round(own.tokens.mean())
        figures["mean_ratio"] = _round(q[:, 4].mean() / own.tokens.mean())
        figures["log_mae"] = _round(log_mae(own.tokens, q[:, 1]))
        figures["pinball_p90"] = _round(pinball(own.tokens, q[:, 2], 0.9))
        figures["coverage_p90"] = _round(coverage(own.tokens, q[:, 2]))
        figures["coverage_p99"] = _round(coverage(own.tokens, q[:, 3]))
    return figures


def pair_figures(
    fitted: Fitted, prompts: Prompts, outcomes: Outcomes, source: str, weak: str, strong: str
) -> dict[str, Any]:
    """Routing between two heads on a source's test prompts: APGR by P(strong) - P(weak)."""
    inside = prompts.test & (prompts.source == source)
    grades = []
    for name in (weak, strong):
        own = outcomes.take((outcomes.model == name) & inside[outcomes.row])
        grades.append(dict(zip(own.row.tolist(), own.score.tolist(), strict=True)))
    rows = np.array(sorted(set(grades[0]) & set(grades[1])), dtype=np.int64)
    low, high = (np.array([grade[row] for row in rows.tolist()]) for grade in grades)
    logits = [fitted.heads[n].decision_function(fitted.matrix[rows]) for n in (weak, strong)]
    gain = sigmoid(logits[1]) - sigmoid(logits[0])
    return {
        "source": source,
        "weak": weak,
        "strong": strong,
        "n": int(rows.size),
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


def placed_figures(weights: Weights, placements: Placements, prompts: Prompts) -> dict[str, Any]:
    """What the placed profiles come to, on average over 500 test prompts of the benchmark."""
    scorer = Scorer(weights, placements)
    rows = np.flatnonzero(prompts.test & (prompts.source == placements.benchmark))[:500]
    scores = [scorer.score(prompts.texts[row], scorer.placed) for row in rows.tolist()]
    return {
        name: {
            "published_or_assumed_accuracy": placements.profiles[name].accuracy,
            "accuracy": _round(float(np.mean([s[name].p_correct for s in scores]))),
            "mean_tokens": _round(float(np.mean([s[name].output_tokens.mean for s in scores]))),
        }
        for name in scorer.placed
    }


def build_card(
    fitted: Fitted,
    prompts: Prompts,
    outcomes: Outcomes,
    placed: dict[str, Any],
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
    profiles = {}
    for name in fitted.heads:
        own = outcomes.model == name
        sources = sorted(set(prompts.source[outcomes.row[own]].tolist()))
        profiles[name] = {
            "C": fitted.heads[name].C,
            "alpha": fitted.lengths[name].alpha,
            "train_rows": int((own & ~prompts.test[outcomes.row]).sum()),
            "test": head_figures(fitted, outcomes, prompts.test, name),
            "test_by_source": {
                s: head_figures(fitted, outcomes, prompts.test & (prompts.source == s), name)
                for s in sources
            },
        }
    return {
        "format": "card/1",
        "date": date,
        "what": "Linear heads over hand features and hashed words, on pooled scales of difficulty "
        "and length; Platt calibration and split conformal quantiles on held-out rows.",
        "data": [{"source": s, "origin": o, "license": lic} for s, o, lic in DATA],
        "split": {
            "rule": "by hash of the normalised question; 50 % of ZeroEval's questions and 20 % of "
            "the others are test; a fifth of the rest calibrates",
            "prompts": counts,
        },
        "profiles": profiles,
        "pairs": [pair_figures(fitted, prompts, outcomes, *pair) for pair in PAIRS],
        "placed_on_benchmark": placed,
        "leave_dataset_out": leave_out,
        "limits": LIMITS,
    }
