"""The outcome tables as a bench: prompts, grades of models, pairs, folds, and what a method is.

A method is asked only what a router is asked: read these graded prompts, then say P(correct) of
other prompts. Everything here is seeded and a pure function of the two tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks._routing_hand import hand_features
from classifiers.training.split import group_key, unit

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Names = npt.NDArray[np.str_]


class Method(Protocol):
    """Predicts P(correct) of k models. `rows` are row numbers of `Bench`; -1: a new text.

    A method may also have `pretrain(texts, targets, groups, rows, models)`: called before `fit`
    with every prompt outside the held-out part and the grades (n, m) of all `models`.
    """

    name: str

    def fit(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        """Learn from grades (n, k) in [0, 1], NaN where not graded; `groups` are data sets."""

    def predict(self, texts: list[str], groups: Names, rows: Rows) -> Array:
        """P(correct), (n, k)."""


class Learner(Method, Protocol):
    """A method whose `fit` is the prior of other traffic and that learns from one's own."""

    def learn(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        """Learn from graded prompts of the traffic that will be routed; after `fit`."""


@dataclass(frozen=True)
class Pair:
    """A weak and a strong model of one source."""

    source: str
    weak: str
    strong: str

    @property
    def label(self) -> str:
        short = (name.split("/")[-1] for name in (self.weak, self.strong))
        return f"{self.source}: {' -> '.join(short)}"


POOLED = (
    Pair("reasoning_gym", "meta-llama/llama-3.3-70b-instruct", "deepseek/deepseek-r1"),
    Pair("zeroeval", "Meta-Llama-3.1-70B-Instruct", "o1-mini-2024-09-12"),
    Pair("mmlu_pro", "Meta-Llama-3_1-70B-Instruct", "gemini-1.5-pro-002"),
)
ROUTELLM_MMLU = Pair("routellm_mmlu", "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview")
ROUTELLM_GSM8K = Pair(
    "routellm_gsm8k", "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"
)
PAIRS = (
    POOLED[0],
    Pair("reasoning_gym", "meta-llama/llama-4-maverick", "deepseek/deepseek-r1"),
    Pair("reasoning_gym", "mistralai/mistral-small-3.1-24b-instruct", "openai/o3-mini"),
    Pair("zeroeval", "deepseek-v2.5-0908", "o1-mini-2024-09-12"),
    Pair("zeroeval", "Meta-Llama-3.1-8B-Instruct", "deepseek-v2.5-0908"),
    ROUTELLM_MMLU,
    ROUTELLM_GSM8K,
    Pair("mmlu_pro", "Meta-Llama-3_1-8B-Instruct", "gemini-1.5-pro-002"),
    POOLED[2],
    Pair("mmlu_pro", "Mistral-7B-Instruct-v0.2", "DeepSeek-Coder-V2"),
)


@dataclass
class Bench:
    """The tables, row by row, and features that several methods share."""

    texts: list[str]
    sources: Names
    datasets: Names  # "source/dataset"
    subsets: Names
    keys: Names  # `group_key` of the text
    outcomes: pd.DataFrame  # with `row`
    embeddings: npt.NDArray[np.float16] | None = None
    _hand: dict[int, npt.NDArray[np.float32]] = field(default_factory=dict)

    def __deepcopy__(self, _memo: dict[int, object]) -> Bench:
        return self  # a copied method shares the tables

    def column(self, source: str, model: str, what: str = "score") -> Array:
        """One model's grades (or tokens) of one source, a number for each row of the bench."""
        table = self.outcomes
        chosen = table[(table.source == source) & (table.model == model)]
        if chosen.empty:
            raise ValueError(f"no outcomes of {model!r} in {source!r}")
        column = np.full(len(self.texts), np.nan)
        column[chosen.row.to_numpy()] = chosen[what].to_numpy()
        return column.clip(0, 1) if what == "score" else column

    def grades(self, models: Sequence[str] | None = None) -> tuple[list[str], Array]:
        """Names "source/model" and all their grades, (rows, models)."""
        named = self.outcomes.source + "/" + self.outcomes.model
        chosen = list(models) if models is not None else sorted(named.unique())
        position = {name: index for index, name in enumerate(chosen)}
        columns = named.map(position)
        kept = columns.notna().to_numpy()
        table = np.full((len(self.texts), len(chosen)), np.nan)
        rows, at = self.outcomes.row.to_numpy()[kept], columns[kept].astype(int).to_numpy()
        table[rows, at] = self.outcomes.score.to_numpy()[kept].clip(0, 1)
        return chosen, table

    def hand(self, texts: Sequence[str], rows: Rows) -> npt.NDArray[np.float32]:
        """The hand features of texts, those of the bench's own rows computed once."""
        out = []
        for text, row in zip(texts, rows.tolist(), strict=True):
            dense = self._hand.get(row)
            if dense is None:
                dense = hand_features(text)
                if row >= 0:
                    self._hand[row] = dense
            out.append(dense)
        return np.stack(out)


@dataclass(frozen=True)
class Part:
    """Some rows of a bench with grades of k models: what is fitted on or predicted."""

    bench: Bench
    rows: Rows
    targets: Array  # (n, k)

    @property
    def texts(self) -> list[str]:
        return [self.bench.texts[row] for row in self.rows.tolist()]

    @property
    def groups(self) -> Names:
        return self.bench.datasets[self.rows]

    @property
    def sources(self) -> Names:
        return self.bench.sources[self.rows]

    @property
    def keys(self) -> Names:
        return self.bench.keys[self.rows]

    def take(self, chosen: npt.NDArray[np.bool_] | Rows) -> Part:
        """The part of it that a mask or a row of indices chooses."""
        return Part(self.bench, self.rows[chosen], self.targets[chosen])


Factory = Callable[[Bench], Method]


def load(directory: Path, embeddings: Path | None = None) -> Bench:
    """Read `prompts.parquet` and `outcomes.parquet`; `embeddings` is (n prompts, d), in order."""
    prompts = pd.read_parquet(directory / "prompts.parquet")
    outcomes = pd.read_parquet(directory / "outcomes.parquet")
    position = {name: row for row, name in enumerate(prompts.prompt_id)}
    outcomes["row"] = outcomes.prompt_id.map(position)
    outcomes = outcomes[outcomes.row.notna() & outcomes.score.notna()]
    outcomes = outcomes.assign(
        row=outcomes.row.astype(int),
        source=outcomes.source.astype(object),
        model=outcomes.model.astype(object),
    )
    texts = [str(text) for text in prompts.prompt]
    vectors = np.load(embeddings) if embeddings is not None else None
    if vectors is not None and len(vectors) != len(texts):
        raise ValueError(f"{len(vectors)} embeddings for {len(texts)} prompts")
    return Bench(
        texts=texts,
        sources=prompts.source.to_numpy(dtype=str),
        datasets=(prompts.source + "/" + prompts.dataset).to_numpy(dtype=str),
        subsets=prompts.subset.fillna("").to_numpy(dtype=str),
        keys=np.array([group_key(text) for text in texts], dtype=object),
        outcomes=outcomes,
        embeddings=vectors,
    )


def pair_part(bench: Bench, *pairs: Pair) -> Part:
    """All rows that both models of a pair answered; columns are weak and strong."""
    both = np.full((len(bench.texts), 2), np.nan)
    for pair in pairs:
        grades = np.stack([bench.column(pair.source, m) for m in (pair.weak, pair.strong)], axis=1)
        known = ~np.isnan(grades).any(axis=1)
        both[known] = grades[known]
    rows = np.flatnonzero(~np.isnan(both).any(axis=1))
    return Part(bench, rows, both[rows])


def folds_of(part: Part, split: str, seed: int) -> npt.NDArray[np.int64]:
    """The fold of each row: "random" by question, "lodo" by data set, "loso" by source."""
    if split == "random":
        drawn = [unit(key, f"fold {seed}") for key in part.keys]
        return (np.array(drawn) * 5).astype(np.int64)
    if split == "loso":
        return np.unique(part.sources, return_inverse=True)[1].astype(np.int64)
    if split != "lodo":
        raise ValueError(f"expected random, lodo or loso, got {split!r}")
    names, at, sizes = np.unique(part.groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    loads, fold = np.zeros(min(6, len(names))), np.zeros(len(names), dtype=np.int64)
    for index in order:  # each whole data set to the emptiest fold
        fold[index] = int(loads.argmin())
        loads[fold[index]] += sizes[index]
    return fold[at]


def kin(part: Part, test: Part) -> npt.NDArray[np.bool_]:
    """Rows made from the same public benchmark as a source of `test`, whoever reworded them.

    MMLU-Pro marks what it took from MMLU (`subset` "ori_mmlu"); ZeroEval's `gsm` is GSM8K.
    """
    found = np.zeros(len(part.rows), dtype=bool)
    tested = set(np.unique(test.sources).tolist())
    if "mmlu_pro" in tested:
        found |= part.sources == "routellm_mmlu"
    if "zeroeval" in tested:
        found |= part.sources == "routellm_gsm8k"
    if "routellm_mmlu" in tested:
        found |= part.bench.subsets[part.rows] == "ori_mmlu"
    if "routellm_gsm8k" in tested:
        found |= part.groups == "zeroeval/gsm"
    return found


def outside(part: Part, test: Part, split: str) -> npt.NDArray[np.bool_]:
    """Rows of `part` that may be learned from: no question, data set or source of `test`."""
    keep = ~np.isin(part.keys, list(set(test.keys)))
    if split == "lodo":
        keep &= ~np.isin(part.groups, np.unique(test.groups))
    elif split == "loso":
        keep &= ~np.isin(part.sources, np.unique(test.sources)) & ~kin(part, test)
    return keep


def everything(bench: Bench) -> tuple[list[str], Part]:
    """All prompts with the grades of all models, for methods that `pretrain`."""
    models, grades = bench.grades()
    return models, Part(bench, np.arange(len(bench.texts)), grades)


def pretrain(method: Method, bench: Bench, test: Part, split: str) -> None:
    """Hand all that is outside `test` to a method that wants it."""
    if not hasattr(method, "pretrain"):
        return
    models, whole = everything(bench)
    known = whole.take(outside(whole, test, split))
    method.pretrain(known.texts, known.targets, known.groups, known.rows, models)


def folded(part: Part, split: str, seed: int) -> Iterator[tuple[Part, Rows]]:
    """(what may be learned from, indices of the held-out rows), fold by fold."""
    fold = folds_of(part, split, seed)
    for one in np.unique(fold):
        test = np.flatnonzero(fold == one)
        yield part.take(outside(part, part.take(test), split)), test


def cross_predict(factory: Factory, part: Part, split: str, seed: int = 0) -> Array:
    """Out-of-fold predictions (n, k) of a fresh method per fold."""
    out = np.zeros(part.targets.shape)
    for known, test in folded(part, split, seed):
        held = part.take(test)
        method = factory(part.bench)
        pretrain(method, part.bench, held, split)
        method.fit(known.texts, known.targets, known.groups, known.rows)
        out[test] = method.predict(held.texts, held.groups, held.rows)
    return out
