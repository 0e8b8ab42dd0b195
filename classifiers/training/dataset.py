"""The public outcome tables, as arrays to train on (pandas; training only)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.features import Features, featurize
from classifiers.length.estimator import WHOLE_TOKEN_KINDS
from classifiers.training.split import assign, group_key, is_calibration, unit
from classifiers.words import load_words

PROFILES: dict[str, tuple[tuple[str, str], ...]] = {
    "mixtral-8x7b-instruct-v0.1": (
        ("*", "Mixtral-8x7B-Instruct-v0.1"),
        ("*", "mistralai/Mixtral-8x7B-Instruct-v0.1"),
    ),
    "deepseek-v2.5": (("zeroeval", "deepseek-v2.5-0908"),),
    "deepseek-coder-v2": (("mmlu_pro", "DeepSeek-Coder-V2"),),
    "claude-3-5-sonnet-20241022": (
        ("zeroeval", "claude-3-5-sonnet-20241022"),
        ("reasoning_gym", "anthropic/claude-3.5-sonnet"),
    ),
    "claude-3-5-haiku-20241022": (("zeroeval", "claude-3-5-haiku-20241022"),),
    "claude-sonnet-4": (("reasoning_gym", "anthropic/claude-sonnet-4"),),
    "gemini-1.5-pro-002": (("mmlu_pro", "gemini-1.5-pro-002"),),
    "gemini-1.5-flash-002": (("mmlu_pro", "gemini-1.5-flash-002"),),
    "llama-3.1-70b-instruct": (
        ("mmlu_pro", "Meta-Llama-3_1-70B-Instruct"),
        ("zeroeval", "Meta-Llama-3.1-70B-Instruct"),
    ),
    "llama-3.1-8b-instruct": (
        ("mmlu_pro", "Meta-Llama-3_1-8B-Instruct"),
        ("zeroeval", "Meta-Llama-3.1-8B-Instruct"),
    ),
    "llama-3.3-70b-instruct": (("reasoning_gym", "meta-llama/llama-3.3-70b-instruct"),),
    "llama-4-maverick": (("reasoning_gym", "meta-llama/llama-4-maverick"),),
    "llama-4-scout": (("reasoning_gym", "meta-llama/llama-4-scout"),),
    "gemma-3-27b-it": (("reasoning_gym", "google/gemma-3-27b-it"),),
    "mistral-small-3.1-24b-instruct": (
        ("reasoning_gym", "mistralai/mistral-small-3.1-24b-instruct"),
    ),
    "mistral-large-2407": (("zeroeval", "Mistral-Large-2"),),
    "qwen2.5-72b-instruct": (("zeroeval", "Qwen2.5-72B-Instruct"),),
    "gpt-4o": (("zeroeval", "gpt-4o-2024-08-06"),),
    "gpt-4o-mini": (("zeroeval", "gpt-4o-mini-2024-07-18"),),
}
"""Profiles with answers of known length, by (source, model name there); "*" is any source. Names
are folded only where it is one model."""

REASONING: dict[str, tuple[tuple[str, str], ...]] = {
    "deepseek-r1": (
        ("reasoning_gym", "deepseek/deepseek-r1"),
        ("planbench", "deepseek-r1-api"),
        ("lrm_token_economy", "deepseek-r1"),
    ),
    "o1-mini": (("zeroeval", "o1-mini-2024-09-12"), ("planbench", "o1-mini_chat")),
    "o1-preview": (("zeroeval", "o1-preview-2024-09-12"), ("planbench", "o1-preview_chat")),
    "o3-mini": (("reasoning_gym", "openai/o3-mini"),),
    "qwq-32b": (("reasoning_gym", "qwen/qwq-32b"),),
}
"""Profiles of models that reason: graded, but what they reasoned was not stored everywhere."""

GRADED: dict[str, tuple[tuple[str, str], ...]] = {
    "deepseek-v3": (("zeroeval", "deepseek-chat"),),
    "gpt-4-1106-preview": (("*", "gpt-4-1106-preview"),),
    "llama-3.1-405b-instruct": (
        ("zeroeval", "Llama-3.1-405B-Inst-fp8"),
        ("planbench", "llama-3.1-405b_aws"),
    ),
    "qwen2.5-7b-instruct": (("zeroeval", "Qwen2.5-7B-Instruct"),),
    "qwen2.5-32b-instruct": (("zeroeval", "Qwen2.5-32B-Instruct"),),
}
"""More profiles that are graded; their lengths follow the pooled scale."""

KINDS: dict[tuple[str, str], str] = {
    ("mmlu_pro", "*"): "knowledge",
    ("routellm_mmlu", "*"): "knowledge",
    ("reasoning_gym", "*"): "puzzles",
    ("lrm_token_economy", "*"): "puzzles",
    ("planbench", "*"): "planning",
    ("routellm_gsm8k", "*"): "maths",
    ("zeroeval", "*"): "maths",
    ("zeroeval", "crux"): "code",
    ("qwen3_think_nothink", "*"): "maths",
    ("qwen3_think_nothink", "SimpleQA"): "facts",
}
"""The kind of task of each (source, data set)."""

NO_LENGTHS_FROM = frozenset({"routellm_gsm8k", "lrm_token_economy"})
"""RouteLLM answers GSM8K after worked examples, hence shorter than ZeroEval; the other source has
reasoning models alone, and the pooled length is of answers without reasoning."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """n prompts: their features, and which part of the split each is in."""

    ids: list[str]
    texts: list[str]
    source: npt.NDArray[Any]
    dataset: npt.NDArray[Any]
    kind: npt.NDArray[Any]
    features: list[Features]
    test: npt.NDArray[np.bool_]
    calibration: npt.NDArray[np.bool_]
    fold: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """m outcomes: row of the prompt, profile or model, grade, whole output tokens or NaN."""

    row: npt.NDArray[np.int64]
    model: npt.NDArray[Any]
    score: npt.NDArray[np.float64]
    tokens: npt.NDArray[np.float64]
    draw: npt.NDArray[np.float64]

    def take(self, mask: npt.NDArray[np.bool_]) -> Outcomes:
        """The outcomes where `mask` holds."""
        return Outcomes(
            row=self.row[mask],
            model=self.model[mask],
            score=self.score[mask],
            tokens=self.tokens[mask],
            draw=self.draw[mask],
        )


def load(data: Path) -> tuple[Prompts, Outcomes]:
    """Read prompts.parquet and outcomes.parquet; split and featurise every prompt."""
    import pandas as pd

    table = pd.read_parquet(data / "prompts.parquet")
    texts: list[str] = table.prompt.tolist()
    source = table.source.to_numpy(dtype=object)
    split = assign(zip(source, texts, strict=True))
    words = load_words()
    prompts = Prompts(
        ids=table.prompt_id.tolist(),
        texts=texts,
        source=source,
        dataset=table.dataset.to_numpy(dtype=object),
        kind=np.array(
            [
                KINDS.get((a, b), KINDS.get((a, "*"), a))
                for a, b in zip(source.tolist(), table.dataset.tolist(), strict=True)
            ],
            dtype=object,
        ),
        features=[featurize(text, words) for text in texts],
        test=np.array([part == "test" for part in split]),
        calibration=np.array([is_calibration(text) for text in texts]),
        fold=np.array([unit(group_key(text), "fold") for text in texts]),
    )
    return prompts, _outcomes(pd.read_parquet(data / "outcomes.parquet"), prompts.ids)


def _outcomes(table: Any, ids: Sequence[str]) -> Outcomes:
    where = {prompt_id: row for row, prompt_id in enumerate(ids)}
    known = PROFILES | REASONING | GRADED
    names = {key: name for name, keys in known.items() for key in keys}
    table = table[table.score.notna() & table.prompt_id.isin(where)]
    whole = (
        table.token_kind.isin(list(WHOLE_TOKEN_KINDS))
        & ~table.source.isin(list(NO_LENGTHS_FROM))
        & ~(table.reasoning_tokens > 0)
        & ~table.model.str.fullmatch(r"qwen3-\w+-think")
    ).to_numpy(dtype=bool)
    pairs = list(zip(table.source, table.model, strict=True))
    models = [names.get(pair, names.get(("*", pair[1]), pair[1])) for pair in pairs]
    rows = [where[prompt_id] for prompt_id in table.prompt_id]
    return Outcomes(
        row=np.array(rows, dtype=np.int64),
        model=np.array(models, dtype=object),
        score=np.clip(table.score.to_numpy(dtype=np.float64), 0.0, 1.0),
        tokens=np.where(whole, table.output_tokens.to_numpy(dtype=np.float64), np.nan),
        draw=np.array([unit(f"{r}", m) for r, m in zip(rows, models, strict=True)]),
    )


def grade_matrix(outcomes: Outcomes, n: int) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Models in order, and grades (n, models) of every prompt, NaN where not graded.

    A model that answered a prompt more than once has the mean of its grades.
    """
    return _matrix(outcomes, outcomes.score, n)


def token_matrix(outcomes: Outcomes, n: int) -> tuple[list[str], npt.NDArray[np.float32]]:
    """The same for log1p of whole output tokens."""
    counted = outcomes.take(~np.isnan(outcomes.tokens))
    return _matrix(counted, np.log1p(counted.tokens), n)


def _matrix(
    outcomes: Outcomes, values: npt.NDArray[np.float64], n: int
) -> tuple[list[str], npt.NDArray[np.float32]]:
    models, column = np.unique(outcomes.model.astype(str), return_inverse=True)
    cell = outcomes.row * len(models) + column
    count = np.bincount(cell, minlength=n * len(models))
    total = np.bincount(cell, weights=values, minlength=n * len(models))
    with np.errstate(invalid="ignore"):
        mean = (total / count).reshape(n, len(models))
    return models.tolist(), mean.astype(np.float32)
