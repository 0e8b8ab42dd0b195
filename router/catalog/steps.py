"""The price of one's own GPUs from an instant on, at one load."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from router.catalog.prices import Rate


@dataclass(frozen=True, slots=True)
class Step:
    """From `start` on a fleet's price is that of so many `percent` of its capacity in use.

    `mark` says so in the price's id: "amortised@45%".
    """

    start: datetime
    percent: int
    mark: str
    rate: Rate
