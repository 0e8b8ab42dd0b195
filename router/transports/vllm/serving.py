"""What vLLM must be told for a model to be served well: rows of `models.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How vLLM serves the models that match: parsers and flags by vLLM's own names.

    `template` is a chat template in vLLM's repository that its tool calls need, `vllm` the least
    version, `gpu_gb` the least memory of all GPUs together (GB) of the weights in `weights`.
    """

    match: tuple[str, ...] = ()
    tools: str = ""
    reasoning: str = ""
    flags: tuple[str, ...] = ()
    template: str = ""
    vllm: str = ""
    gpu_gb: int = 0
    weights: str = ""
    moe: bool = False
    note: str = ""
    source: str = ""


@cache
def servings() -> tuple[Serving, ...]:
    """All rows, in the order in which they are tried."""
    text = files(__package__).joinpath("models.toml").read_text("utf-8")
    rows: list[dict[str, Any]] = tomllib.loads(text)["model"]
    return tuple(
        Serving(**row | {k: tuple(v) for k, v in row.items() if isinstance(v, list)})
        for row in rows
    )


def serving_of(model: str) -> Serving | None:
    """How a model is served, by its id, its name or the directory it lies in; None if unknown."""
    last = model.rstrip("/").rpartition("/")[2].lower()
    return next((s for s in servings() if any(fnmatchcase(last, m) for m in s.match)), None)
