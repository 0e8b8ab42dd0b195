"""Models without outcomes of their own: what is published of them, and how long they answer.

Pure Python on single numbers; the figures and their sources are in data/placements.json.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

THINKING_SUFFIX = ":thinking"

LengthKind = Literal["pool", "thinking", "scaled"]


def logistic(logit: float) -> float:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1.0 + math.tanh(0.5 * logit))


@dataclass(frozen=True, slots=True)
class Anchor:
    """What answers with thinking take on average, in tokens, on these (source, data set)."""

    parts: tuple[tuple[str, str], ...]
    mean_tokens: float


@dataclass(frozen=True, slots=True)
class Placement:
    """One profile: accuracies in (0, 1) by benchmark, and the profile it is like (None: any).

    `gain` is by how many logits it is better than that one; `floor` names a profile that it never
    falls below: thinking does not lower the chance to be right.

    `length` says what its answers' length follows: the pooled scale, moved so that the
    benchmark's mean is `mean_tokens`; thinking on top of profile `base`; or `base` times
    `token_ratio`.
    """

    like: str | None
    published: Mapping[str, float]
    length: LengthKind
    gain: float = 0.0
    floor: str | None = None
    base: str | None = None
    mean_tokens: float | None = None
    token_ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class Placements:
    """All placed profiles, the prompts that stand for each benchmark, how long thinking is, and
    what an asked effort makes of it: a factor by name.
    """

    benchmarks: Mapping[str, tuple[tuple[str, str], ...]]
    profiles: Mapping[str, Placement]
    thinking: tuple[Anchor, ...]
    effort: Mapping[str, float]
    note: str = field(default="", repr=False)

    def order(self) -> list[str]:
        """Names so that a profile comes after the one it is like."""
        done: list[str] = []
        left = list(self.profiles)
        while left:
            ready = [n for n in left if self.profiles[n].like not in left]
            if not ready:
                raise ValueError(f"placements: profiles are like each other: {left}")
            done += ready
            left = [n for n in left if n not in ready]
        return done


def parse(document: Mapping[str, Any]) -> Placements:
    """Read the JSON document of placements.

    Raises:
        ValueError: another format, an unknown kind or benchmark, or a base that is not placed.
    """
    if document.get("format") != "placements/3":
        raise ValueError(f"expected format 'placements/3', got {document.get('format')!r}")
    benchmarks = {
        name: tuple((str(a), str(b)) for a, b in parts)
        for name, parts in document["benchmarks"].items()
    }
    profiles: dict[str, Placement] = {}
    for name, entry in document["profiles"].items():
        lengths = entry["lengths"]
        if lengths["kind"] not in {"pool", "thinking", "scaled"}:
            raise ValueError(f"placements: {name}: unknown kind {lengths['kind']!r}")
        if unknown := set(entry["published"]) - set(benchmarks):
            raise ValueError(f"placements: {name}: unknown benchmark {min(unknown)!r}")
        figures = {
            key: float(lengths[key]["value"])
            for key in ("mean_tokens", "token_ratio")
            if key in lengths
        }
        profiles[name] = Placement(
            like=entry.get("like"),
            published={k: float(v["value"]) for k, v in entry["published"].items()},
            length=lengths["kind"],
            gain=float(entry["gain"]["value"]) if "gain" in entry else 0.0,
            floor=entry.get("floor"),
            base=lengths.get("base"),
            **figures,
        )
    for name, profile in profiles.items():
        if profile.length != "pool" and profile.base not in profiles:
            raise ValueError(f"placements: {name}: base {profile.base!r} is not placed")
        if profile.floor is not None and profile.floor not in profiles:
            raise ValueError(f"placements: {name}: floor {profile.floor!r} is not placed")
    return Placements(
        benchmarks=benchmarks,
        profiles=profiles,
        thinking=_anchors(document["thinking_tokens"]["means"]),
        effort={name: float(v["value"]) for name, v in document["effort"]["factors"].items()},
        note=str(document.get("note", "")),
    )


def _anchors(means: Sequence[Mapping[str, Any]]) -> tuple[Anchor, ...]:
    found = tuple(
        Anchor(tuple((str(a), str(b)) for a, b in mean["parts"]), float(mean["value"]))
        for mean in means
    )
    if not found or any(not anchor.mean_tokens > 0 or not anchor.parts for anchor in found):
        raise ValueError("placements: thinking_tokens needs means above 0, each with its prompts")
    return found
