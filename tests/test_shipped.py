"""The shipped weights against the recording and the card."""

from __future__ import annotations

import json
import lzma
from importlib import resources

import pytest

from classifiers import load_default
from classifiers.evaluation import auc, coverage
from classifiers.store import shipped_card

ZEROEVAL = ("mixtral-8x7b-instruct-v0.1", "deepseek-v2.5", "claude-3-5-sonnet-20241022")


@pytest.fixture(scope="module")
def recording() -> list[dict]:
    file = resources.files("router") / "transports" / "data" / "replay.jsonl.xz"
    lines = lzma.decompress(file.read_bytes()).decode().splitlines()
    return [json.loads(line) for line in lines]


def test_recorded_test_prompts_are_ranked_and_covered(recording: list[dict]) -> None:
    """On prompts no weight has seen, AUC beats chance and p90 covers about nine in ten."""
    rows = [r for r in recording[1:] if r["source"] == "zeroeval" and r["split"] == "test"]
    assert len(rows) >= 900
    scorer = load_default()
    scores = [scorer.score(r["prompt"], ZEROEVAL) for r in rows]
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
    assert card["format"] == "card/3"
    assert card["weights"] == load_default().version.partition("+")[0]
    assert set(card["profiles"]) == set(load_default().trained)
    for name, entry in card["profiles"].items():
        test = entry["test"]
        assert test["auc"] >= 0.58, name
        assert test["ece"] <= 0.1, name
        if "coverage_p90" in test:
            assert 0.8 <= test["coverage_p90"] <= 0.97, name
    assert all(pair["apgr"] > 0.5 for pair in card["pairs"])
    assert set(card["leave_dataset_out"]) == {"crux", "gsm8k", "mmlu_pro law and math"}
    assert {entry["license"] for entry in card["data"]} >= {"Apache-2.0", "MIT"}
