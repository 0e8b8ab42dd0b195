"""Recorded outcomes of real models on public prompts: what the replay transport answers from.

Which data, under which licences, is said in the first line of `data/replay.jsonl.xz` and in
NOTICE. Texts of answers are not part of it.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent / "data" / "replay.jsonl.xz"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a model made of a prompt: its graded `score` in [0, 1] and the length of its answer."""

    score: float
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """A public prompt with the outcomes of the models that answered it.

    `split` is "test" when no shipped weight has seen the prompt.
    """

    id: str
    source: str
    dataset: str
    prompt: str
    split: str
    outcomes: Mapping[str, Outcome]


@lru_cache(maxsize=1)
def _all() -> dict[str, Recorded]:
    with lzma.open(_FILE, "rt", encoding="utf-8") as lines:
        next(lines)  # the header: provenance and licences
        rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return {
        row["prompt"].strip(): Recorded(
            id=row["id"],
            source=row["source"],
            dataset=row["dataset"],
            prompt=row["prompt"],
            split=row["split"],
            outcomes={
                model: Outcome(score=o["score"], output_tokens=int(o["output_tokens"]))
                for model, o in row["outcomes"].items()
            },
        )
        for row in rows
    }


def find(prompt: str) -> Recorded | None:
    """The recording of this exact prompt, or None."""
    return _all().get(prompt.strip())


def recorded_prompts(*, split: str | None = "test", source: str | None = None) -> list[Recorded]:
    """The recorded prompts, in a fixed order; by default those that no shipped weight has seen.

    >>> from router import recorded_prompts
    >>> len(recorded_prompts(source="zeroeval")) > 500
    True
    """
    return [
        r
        for r in _all().values()
        if (split is None or r.split == split) and (source is None or r.source == source)
    ]
