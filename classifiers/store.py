"""Trained weights as plain arrays in one npz, never a pickle; placements as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from classifiers.features import DENSE_NAMES, N_DENSE, N_FEATURES
from classifiers.placement import Placements, parse
from classifiers.spread import LEVELS, N_MEAN

FORMAT = "weights/1"
WEIGHTS_FILE, PLACEMENTS_FILE, CARD_FILE = "weights.npz", "placements.json", "card.json"


@dataclass(frozen=True, slots=True)
class Weights:
    """All heads side by side: H trained profiles, then the pooled scale, in this order.

    `coef` (N_FEATURES, 2H + 3) float16 and `intercept` (2H + 3,): H + 1 correctness logits, H + 1
    log1p token centres, one log spread. `offsets` (H + 2, 4) and `residuals` (H + 2, N_MEAN) are
    in units of the spread: the heads, an unknown model, a placed one. `placed_*` go with `placed`.
    """

    profiles: tuple[str, ...]
    dense_mean: npt.NDArray[np.float32]
    dense_scale: npt.NDArray[np.float32]
    hashed_scale: float
    coef: npt.NDArray[np.float16]
    intercept: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.float64]
    residuals: npt.NDArray[np.float64]
    placed: tuple[str, ...]
    placed_logit_shift: npt.NDArray[np.float64]
    placed_token_shift: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        heads = len(self.profiles) + 1
        expected = {
            "dense_mean": (N_DENSE,),
            "dense_scale": (N_DENSE,),
            "coef": (N_FEATURES, 2 * heads + 1),
            "intercept": (2 * heads + 1,),
            "offsets": (heads + 1, len(LEVELS)),
            "residuals": (heads + 1, N_MEAN),
            "placed_logit_shift": (len(self.placed),),
            "placed_token_shift": (len(self.placed),),
        }
        for name, shape in expected.items():
            found = getattr(self, name)
            if found.shape != shape:
                raise ValueError(f"weights: {name} has shape {found.shape}, expected {shape}")
            if not np.isfinite(found).all():
                raise ValueError(f"weights: {name} holds values that are not finite")


def save(weights: Weights, target: Path | IO[bytes]) -> None:
    """Write the arrays; the same weights give the same bytes of every array."""
    np.savez_compressed(
        target,
        format=np.array(FORMAT),
        dense_names=np.array(DENSE_NAMES),
        profiles=np.array(weights.profiles),
        dense_mean=weights.dense_mean,
        dense_scale=weights.dense_scale,
        hashed_scale=np.array(weights.hashed_scale),
        coef=weights.coef,
        intercept=weights.intercept,
        offsets=weights.offsets,
        residuals=weights.residuals,
        placed=np.array(weights.placed),
        placed_logit_shift=weights.placed_logit_shift,
        placed_token_shift=weights.placed_token_shift,
    )


def load_weights(source: Path | IO[bytes]) -> Weights:
    """Read weights written by `save`.

    Raises:
        ValueError: another format, or arrays that do not fit this version's features.
    """
    with np.load(source, allow_pickle=False) as arrays:
        found = str(arrays["format"]) if "format" in arrays else None
        if found != FORMAT:
            raise ValueError(f"expected weights of format {FORMAT!r}, got {found!r}: train anew")
        if tuple(arrays["dense_names"].tolist()) != DENSE_NAMES:
            raise ValueError("these weights belong to other features: train anew")
        return Weights(
            profiles=tuple(arrays["profiles"].tolist()),
            dense_mean=arrays["dense_mean"],
            dense_scale=arrays["dense_scale"],
            hashed_scale=float(arrays["hashed_scale"]),
            coef=arrays["coef"],
            intercept=arrays["intercept"],
            offsets=arrays["offsets"],
            residuals=arrays["residuals"],
            placed=tuple(arrays["placed"].tolist()),
            placed_logit_shift=arrays["placed_logit_shift"],
            placed_token_shift=arrays["placed_token_shift"],
        )


def shipped_weights() -> Weights:
    """The weights inside the package."""
    with (resources.files("classifiers") / "data" / WEIGHTS_FILE).open("rb") as file:
        return load_weights(file)


def shipped_placements() -> Placements:
    """The placements inside the package."""
    return parse(_json(PLACEMENTS_FILE))


def shipped_card() -> dict[str, Any]:
    """The model card inside the package: data, licences, split, figures, limits."""
    return _json(CARD_FILE)


def _json(name: str) -> dict[str, Any]:
    text = (resources.files("classifiers") / "data" / name).read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
