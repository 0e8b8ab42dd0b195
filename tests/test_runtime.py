from __future__ import annotations

import io
import json
import lzma
import subprocess
import sys
import threading
from importlib import resources

import numpy as np
import pytest

from classifiers import load_default
from classifiers.difficulty import CorrectnessClassifier
from classifiers.evaluation import auc, coverage
from classifiers.features import N_DENSE
from classifiers.length import LengthForecaster
from classifiers.linear import Linear
from classifiers.placement import parse
from classifiers.runtime import Scorer
from classifiers.spread import N_MEAN
from classifiers.store import (
    Weights,
    load_weights,
    save,
    shipped_card,
    shipped_placements,
    shipped_weights,
)
from classifiers.vectorizer import PromptVectorizer

HARD = (
    r"Let $a_1, a_2, \dots$ be a sequence of positive integers such that $a_{n+1} = a_n^2 - n$. "
    r"Find the number of ordered triples $(x, y, z)$ with $\sum_{k} x^k \equiv 7 \pmod{1000}$."
)
EASY = "What is 2 plus 3?"
ZEROEVAL = ("mixtral-8x7b-instruct-v0.1", "deepseek-v2.5", "claude-3-5-sonnet-20241022")
PROMPTS = [EASY, HARD, "", "数学", "x " * 5000, "Pick one.\nA. yes\nB. no\nC. both"]


@pytest.fixture(scope="module")
def recording() -> list[dict]:
    file = resources.files("router") / "transports" / "data" / "replay.jsonl.xz"
    lines = lzma.decompress(file.read_bytes()).decode().splitlines()
    return [json.loads(line) for line in lines]


def test_runtime_needs_no_scikit_learn() -> None:
    """Scoring a prompt loads numpy and nothing of the training side."""
    code = (
        "import sys; from classifiers import load_default; load_default().score('hi', ['gpt-4o']);"
        "heavy = {'sklearn', 'scipy', 'pandas'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("text", PROMPTS)
def test_every_score_is_in_range_and_ordered(text: str) -> None:
    """Any prompt, any profile: a probability, rising quantiles, reasoning within output."""
    scorer = load_default()
    names = [*scorer.trained, *scorer.placed, "no-such-model", "no-such-model:thinking"]
    for name, score in scorer.score(text, names).items():
        q, r = score.output_tokens, score.reasoning_tokens
        assert 0.0 < score.p_correct < 1.0, name
        assert 0.0 <= q.p10 <= q.p50 <= q.p90 <= q.p99 <= 262144 * 2, name
        assert q.p10 <= q.mean <= q.p99, name
        assert r.p10 <= q.p10, name
        assert r.p99 <= q.p99, name


def test_basis_says_where_numbers_come_from() -> None:
    """Own outcomes, published scores, or nothing; unknown intervals are wider."""
    scorer = load_default()
    found = scorer.score(EASY, ["deepseek-v2.5", "deepseek-v3.2", "unheard-of"])
    assert [s.basis for s in found.values()] == ["trained", "placed", "prior"]
    ratios = [s.output_tokens.p90 / s.output_tokens.p10 for s in found.values()]
    assert ratios[2] > ratios[0]
    assert scorer.score(EASY, []) == {}


def test_thinking_and_speciale_are_better_and_longer_the_harder_it_gets() -> None:
    """P(V3.2) <= P(thinking) <= P(Speciale), tokens likewise; the gap grows with difficulty."""
    names = ["deepseek-v3.2", "deepseek-v3.2:thinking", "deepseek-v3.2-speciale"]
    hard, easy = (list(load_default().score(t, names).values()) for t in (HARD, EASY))
    p, q = [s.p_correct for s in hard], [s.p_correct for s in easy]
    assert p[0] < p[1] < p[2]
    assert q[0] <= q[1] <= q[2]
    assert p[0] < q[0]
    assert p[2] - p[0] > q[2] - q[0]
    means = [s.output_tokens.mean for s in hard]
    assert means[0] < means[1] < means[2]
    assert hard[1].output_tokens.mean > easy[1].output_tokens.mean
    assert hard[0].reasoning_tokens.mean == 0 < hard[1].reasoning_tokens.mean


def small_weights() -> tuple[Weights, CorrectnessClassifier, LengthForecaster, PromptVectorizer]:
    """One head trained here and now, exported by hand."""
    rng = np.random.default_rng(5)
    texts = [f"Question {i}: what is {rng.integers(999)} times {i}?" for i in range(200)]
    vectorizer = PromptVectorizer()
    rows = vectorizer.fit_transform(texts)
    spread = Linear(np.full(rows.shape[1], 0.015625), -1.0)
    head = CorrectnessClassifier(C=1.0).fit(rows, rng.integers(0, 4, 200) / 3)
    length = LengthForecaster(spread=spread).fit(rows, rng.integers(5, 500, 200))
    columns = [head.coef_, head.coef_, length.coef_, length.coef_, spread.coef]
    weights = Weights(
        profiles=("tiny",),
        dense_mean=vectorizer.mean_,
        dense_scale=vectorizer.scale_,
        hashed_scale=vectorizer.hashed_scale,
        coef=np.column_stack(columns).astype(np.float16),
        intercept=np.array(
            [head.intercept_, 0.0, length.intercept_, length.intercept_, spread.intercept]
        ),
        offsets=np.stack([length.offsets_] * 3),
        residuals=np.stack([length.residuals_] * 3),
        placed=tuple(shipped_placements().profiles),
        placed_logit_shift=np.zeros(len(shipped_placements().profiles)),
        placed_token_shift=np.zeros(len(shipped_placements().profiles)),
    )
    return weights, head, length, vectorizer


def test_runtime_equals_the_estimators_to_1e_9() -> None:
    """Training and shipped arithmetic are the same numbers, after a round trip through npz."""
    weights, head, length, vectorizer = small_weights()
    file = io.BytesIO()
    save(weights, file)
    file.seek(0)
    scorer = Scorer(load_weights(file), shipped_placements())
    rows = vectorizer.transform(PROMPTS)
    p, q = head.predict_proba(rows)[:, 1], length.predict_quantiles(rows)
    for i, text in enumerate(PROMPTS):
        score = scorer.score(text, ["tiny"])["tiny"]
        t = score.output_tokens
        assert score.p_correct == pytest.approx(p[i], abs=1e-9)
        assert [t.p10, t.p50, t.p90, t.p99, t.mean] == pytest.approx(q[i].tolist(), rel=1e-9)


def test_weights_are_checked_when_loaded() -> None:
    """Another format, pickled arrays or a wrong shape are refused with a reason."""
    file = io.BytesIO()
    np.savez(file, format=np.array("weights/0"))
    file.seek(0)
    with pytest.raises(ValueError, match="train anew"):
        load_weights(file)
    weights = shipped_weights()
    with pytest.raises(ValueError, match="dense_mean has shape"):
        Weights(**{**fields(weights), "dense_mean": np.zeros(N_DENSE + 1, dtype=np.float32)})
    bad = weights.residuals.copy()
    bad[0, N_MEAN - 1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        Weights(**{**fields(weights), "residuals": bad})


def fields(weights: Weights) -> dict:
    return {name: getattr(weights, name) for name in Weights.__slots__}


def test_placements_are_checked_when_read() -> None:
    """A base that is not placed, or another format, is refused by name."""
    with pytest.raises(ValueError, match="placements/1"):
        parse({})
    file = resources.files("classifiers") / "data" / "placements.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    for figure in [*document["gain"]["points"], *document["thinking_tokens"]["points"]]:
        assert figure["source"]
        assert figure["status"] in {"published", "proxy", "assumed"}
    document["profiles"]["deepseek-v3.2:thinking"]["base"] = "nobody"
    with pytest.raises(ValueError, match="base 'nobody' does not fit"):
        parse(document)


def test_wrong_arguments_are_refused() -> None:
    """The message says what to pass."""
    with pytest.raises(ValueError, match="prompt as str"):
        load_default().score(None, ["gpt-4o"])
    with pytest.raises(ValueError, match="wrap it in a list"):
        load_default().score("hi", "gpt-4o")


def test_one_scorer_serves_all_threads() -> None:
    """Loaded once; concurrent calls agree with a lone one."""
    alone = load_default().score(HARD, ZEROEVAL)
    found: list = []
    threads = [
        threading.Thread(target=lambda: found.append((load_default(), HARD))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(scorer) for scorer, _ in found}) == 1
    assert all(scorer.score(text, ZEROEVAL) == alone for scorer, text in found)


def test_recorded_test_prompts_are_ranked_and_covered(recording: list[dict]) -> None:
    """On prompts no weight has seen, AUC beats chance and p90 covers about nine in ten."""
    rows = [r for r in recording[1:] if r["source"] == "zeroeval" and r["split"] == "test"]
    assert len(rows) >= 900
    scores = [load_default().score(r["prompt"], ZEROEVAL) for r in rows]
    for name in ZEROEVAL:
        tokens = [r["outcomes"][name]["output_tokens"] for r in rows]
        p90 = [s[name].output_tokens.p90 for s in scores]
        assert 0.8 <= coverage(tokens, p90) <= 0.97, name
        grades = [r["outcomes"][name]["score"] for r in rows]
        assert auc(grades, [s[name].p_correct for s in scores]) > 0.6, name


def test_recording_says_what_it_is(recording: list[dict]) -> None:
    """The header names sources and licences; every row has what a replay needs."""
    header, *rows = recording
    assert header["format"] == "replay/1"
    assert header["rows"] == len(rows)
    assert all(source["license"] for source in header["sources"])
    assert len({r["id"] for r in rows}) == len(rows)
    for row in rows:
        assert len(row["outcomes"]) == 3
        assert row["split"] in {"train", "test"}
        assert all(0 <= o["score"] <= 1 < o["output_tokens"] for o in row["outcomes"].values())


def test_card_keeps_its_floors() -> None:
    """Figures of the shipped weights on the test split, below which nothing may ship."""
    card = shipped_card()
    assert set(card["profiles"]) == set(load_default().trained)
    for name, entry in card["profiles"].items():
        test = entry["test"]
        assert test["auc"] >= 0.58, name
        assert test["ece"] <= 0.1, name
        assert 0.8 <= test["coverage_p90"] <= 0.97, name
    assert all(pair["apgr"] > 0.5 for pair in card["pairs"])
    assert set(card["leave_dataset_out"]) == {"crux", "gsm8k", "mmlu_pro law and math"}
    assert {entry["license"] for entry in card["data"]} >= {"Apache-2.0", "MIT"}
