"""What published comparisons assume, as data: volumes, memory, GPUs, and measured fleets.

`scenarios.toml` has the figures with their sources, and what the articles had wrong.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from router.money import to_pico

if TYPE_CHECKING:
    from router.catalog.fleet_rows import FleetRow

UTILISATIONS = (30, 45, 60)
"""Percent: the range that gmicloud.ai (2026-05-28) gives for production, and its middle."""
_NODE = 8


@dataclass(frozen=True, slots=True)
class Volume:
    """Requests a month, and the bills in pico-dollars that the articles quote for them."""

    requests: int
    quoted_selfhosted: int
    quoted_api: int


@dataclass(frozen=True, slots=True)
class Memory:
    """GB that DeepSeek-V3.2 needs at a precision, and what the articles quote."""

    precision: str
    gb: int
    quoted_gb: int
    loss: str
    source: str


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU: its memory in GB and its price in pico-dollars an hour."""

    name: str
    gb: int
    usd_per_hour: int
    source: str

    def needed(self, gb: int) -> int:
        """How many hold so many GB: one, two, four, or whole nodes of eight.

        An engine splits a model evenly, by powers of two within a node.
        """
        least = -(-gb // self.gb)
        if least > _NODE:
            return -(-least // _NODE) * _NODE
        return next(count for count in (1, 2, 4, 8) if count >= least)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Somebody's fleet for models of one size, as it was measured and published."""

    name: str
    models: tuple[str, ...]
    note: str
    row: FleetRow


@dataclass(frozen=True, slots=True)
class Scenarios:
    """All of them."""

    volumes: tuple[Volume, ...]
    memory: tuple[Memory, ...]
    gpus: tuple[Gpu, ...]
    fleets: tuple[Scenario, ...]


@lru_cache(maxsize=1)
def scenarios() -> Scenarios:
    """The shipped scenarios, read once."""
    from router.catalog.fleet_rows import FleetRow

    found = tomllib.loads(Path(__file__).with_name("scenarios.toml").read_text("utf-8"))
    return Scenarios(
        volumes=tuple(
            Volume(row["requests"], to_pico(row["quoted_selfhosted"]), to_pico(row["quoted_api"]))
            for row in found["volume"]
        ),
        memory=tuple(Memory(**row) for row in found["memory"]),
        gpus=tuple(
            Gpu(**(row | {"usd_per_hour": to_pico(row["usd_per_hour"])})) for row in found["gpu"]
        ),
        fleets=tuple(
            Scenario(
                row["name"],
                tuple(row["models"]),
                row["note"],
                FleetRow.model_validate(row["fleet"]),
            )
            for row in found["scenario"]
        ),
    )
