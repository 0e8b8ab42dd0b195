"""What the report's page says besides its entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from router.reports.fleets import Fleets


class Status(Protocol):
    """What is said of a budget; `router.ledgers.status.BudgetStatus` is one."""

    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def limit(self) -> Decimal | int: ...
    @property
    def spent(self) -> Decimal | int: ...
    @property
    def reserved(self) -> Decimal | int: ...
    @property
    def remaining(self) -> Decimal | int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a page says besides its entries. Instants are UTC, shown in the zone `tz`."""

    made: datetime
    title: str = "Spend"
    tz: str = "UTC"
    since: datetime | None = None
    until: datetime | None = None
    budgets: Sequence[Status] = ()
    fleets: Fleets | None = None
