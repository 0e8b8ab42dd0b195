"""Train all heads and write weights and card.

    python -m classifiers.train --data DIR --date 2026-11-22 --out classifiers/data

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

from classifiers.card import (
    LEAVE_OUT,
    LEAVE_OUT_PROFILES,
    build_card,
    head_figures,
    left_out,
    placed_figures,
)
from classifiers.dataset import Outcomes, Prompts, load
from classifiers.fitting import export, fit
from classifiers.store import CARD_FILE, WEIGHTS_FILE, save, shipped_placements

logger = logging.getLogger("classifiers.train")
MIN_TRAIN_ROWS, MIN_TEST_ROWS = 400, 100


def leave_dataset_out(prompts: Prompts, outcomes: Outcomes) -> dict[str, Any]:
    """Figures of heads on data sets that neither they nor their trunk were trained on."""
    found: dict[str, Any] = {}
    for key in LEAVE_OUT:
        logger.info("leaving out %s", key)
        hidden = left_out(prompts, key)
        train = ~prompts.test & ~hidden
        names = []
        for name in LEAVE_OUT_PROFILES:
            inside = hidden[outcomes.row[outcomes.model == name]]
            seen = train[outcomes.row[(outcomes.model == name) & ~np.isnan(outcomes.tokens)]]
            if inside.sum() >= MIN_TEST_ROWS and seen.sum() >= MIN_TRAIN_ROWS:
                names.append(name)
        fitted = fit(prompts, outcomes, train, tuple(names))
        found[key] = {name: head_figures(fitted, outcomes, hidden, name) for name in names}
    return found


def main() -> None:
    """Train, export, measure, write."""
    parser = argparse.ArgumentParser(description="Train the shipped heads.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the two tables")
    parser.add_argument("--date", required=True, help="date to write into the card")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--no-leave-out", action="store_true", help="skip leave-dataset-out")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    prompts, outcomes = load(args.data)
    logger.info("%d prompts, %d outcomes", len(prompts.ids), outcomes.row.size)
    fitted = fit(prompts, outcomes, ~prompts.test)
    placements = shipped_placements()
    benchmark = ~prompts.test & (prompts.source == placements.benchmark)
    weights = export(fitted, placements, benchmark)
    save(weights, args.out / WEIGHTS_FILE)
    logger.info("wrote %s, %d bytes", WEIGHTS_FILE, (args.out / WEIGHTS_FILE).stat().st_size)
    out: dict[str, Any] = {} if args.no_leave_out else leave_dataset_out(prompts, outcomes)
    placed = placed_figures(weights, placements, prompts)
    card = build_card(fitted, prompts, outcomes, placed, out, args.date)
    (args.out / CARD_FILE).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    for name, entry in card["profiles"].items():
        logger.info("%s %s", name, json.dumps(entry["test"]))


if __name__ == "__main__":
    main()
