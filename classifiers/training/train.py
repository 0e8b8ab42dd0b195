"""Train all heads and write weights and card.

    python -m classifiers.training.train --data DIR --date 2026-11-22 --out classifiers/data

DIR holds prompts.parquet and outcomes.parquet. Deterministic: the same tables give the same
arrays on the same machine. Needs pandas and pyarrow (the dev extra); takes a few minutes.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.placement import Placements
from classifiers.runtime import Scorer
from classifiers.store import CARD_FILE, WEIGHTS_FILE, Weights, save, shipped_placements
from classifiers.training.card import (
    LEAVE_OUT,
    LEAVE_OUT_PROFILES,
    build_card,
    head_figures,
    left_out,
)
from classifiers.training.dataset import Outcomes, Prompts, load
from classifiers.training.fitting import export, fit_outcomes
from classifiers.training.lengths import fit_lengths
from classifiers.training.thinking import Thoughts, load_thoughts
from classifiers.words import load_words

logger = logging.getLogger("classifiers.training.train")
MIN_TRAIN_ROWS, MIN_TEST_ROWS = 400, 100


def train_weights(
    prompts: Prompts,
    outcomes: Outcomes,
    train: npt.NDArray[np.bool_],
    placements: Placements,
    thoughts: Thoughts | None = None,
) -> Weights:
    """Everything from the training prompts (n,) alone."""
    fitted, models = fit_outcomes(prompts, outcomes, train)
    matrix = fitted.vectorizer_.transform_features(prompts.features)
    assert fitted.familiar_ is not None
    lengths = fit_lengths(prompts, outcomes, matrix, train, fitted.familiar_)
    return export(fitted, models, lengths, placements, prompts, train, thoughts)


def leave_dataset_out(
    prompts: Prompts, outcomes: Outcomes, placements: Placements, thoughts: Thoughts
) -> dict[str, Any]:
    """Figures on data sets that nothing was trained on."""
    found: dict[str, Any] = {}
    for key in LEAVE_OUT:
        logger.info("leaving out %s", key)
        hidden = left_out(prompts, key)
        train = ~prompts.test & ~hidden
        scorer = Scorer(
            train_weights(prompts, outcomes, train, placements, thoughts), placements, load_words()
        )
        names = []
        for name in LEAVE_OUT_PROFILES:
            inside = hidden[outcomes.row[outcomes.model == name]]
            seen = train[outcomes.row[outcomes.model == name]]
            if inside.sum() >= MIN_TEST_ROWS and seen.sum() >= MIN_TRAIN_ROWS:
                names.append(name)
        table = {
            row: scorer.score(prompts.texts[row], names) for row in np.flatnonzero(hidden).tolist()
        }
        found[key] = {name: head_figures(table, outcomes, hidden, name) for name in names}
    return found


def main() -> None:
    """Train, export, measure, write."""
    parser = argparse.ArgumentParser(description="Train the shipped scorer.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the two tables")
    parser.add_argument("--date", required=True, help="date to write into the card")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--no-leave-out", action="store_true", help="skip leave-dataset-out")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    prompts, outcomes = load(args.data)
    logger.info("%d prompts, %d outcomes", len(prompts.ids), outcomes.row.size)
    placements = shipped_placements()
    thoughts = load_thoughts(args.data, prompts.ids)
    weights = train_weights(prompts, outcomes, ~prompts.test, placements, thoughts)
    save(weights, args.out / WEIGHTS_FILE)
    logger.info("wrote %s, %d bytes", WEIGHTS_FILE, (args.out / WEIGHTS_FILE).stat().st_size)
    out: dict[str, Any] = {}
    if not args.no_leave_out:
        out = leave_dataset_out(prompts, outcomes, placements, thoughts)
    scorer = Scorer(weights, placements, load_words())
    card = build_card(scorer, placements, prompts, outcomes, out, args.date)
    (args.out / CARD_FILE).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    for name, entry in card["profiles"].items():
        logger.info("%s %s", name, json.dumps(entry["test"]))


if __name__ == "__main__":
    main()
