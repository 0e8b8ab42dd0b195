"""One account in one window, as a process sees it that may hold a slab of it. Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from router.budgets.holds import Balance, Hold


@dataclass(slots=True, eq=False)
class Purse:
    """What this process may take from one account, in the hold's unit, and what it took.

    `rest` is what the store has set aside for it; `open` of that is promised to calls, `pending`
    was spent by calls that are not posted yet, `aside` is on its way back. `base` is what the
    store said last, at `contact` (monotonic seconds). The slab was granted under `limit`.

    Only a purse of a hard hold (`guarded`) has a slab. One that caps a single request has its
    whole limit as `rest`: nobody else may spend from it.
    """

    hold: Hold
    guarded: bool
    limit: int
    rest: int = 0
    open: int = 0
    pending: int = 0
    aside: int = 0
    slab: str | None = None
    lease_until: datetime | None = None
    renew_at: datetime | None = None
    lapsed: bool = False
    base: Balance | None = None
    contact: float = -math.inf
    touched: float = -math.inf
    heat: float = 0.0
    cooled: float | None = None
    lately: int = 0

    @property
    def single(self) -> bool:
        """Whether it caps one request."""
        return self.hold.single

    @property
    def free(self) -> int:
        """What may be taken; below zero after a call that cost more than there was."""
        return self.rest - self.open - self.pending - self.aside

    @property
    def in_use(self) -> bool:
        """Whether a call still counts against it here."""
        return bool(self.open or self.pending)

    @property
    def balance(self) -> Balance:
        """The account as the store told, with what happened here since; own free money is free."""
        if self.single:
            return Balance(spent=self.limit - self.rest + self.pending, reserved=self.open)
        base = self.base or Balance()
        own = self.rest if self.guarded else 0
        return Balance(
            spent=base.spent + self.pending,
            reserved=max(0, base.reserved - own) + self.open,
            adjusted=base.adjusted,
            frozen=base.frozen,
        )

    def spend(self, amount: int, cost: int) -> None:
        """A call that was promised `amount` cost this much; it is to be posted."""
        self.open -= amount
        self.pending += cost
        self.lately += cost

    def posted(self, cost: int) -> None:
        """The store has taken a call's cost out of the slab, as far as it goes."""
        self.pending -= cost
        if self.single:
            self.rest -= cost
        elif self.guarded:
            self.rest = max(0, self.rest - cost)

    def spending(self, at: float, seconds: float) -> int:
        """What was spent here within about so many seconds: an average that fades."""
        x = 0.0 if self.cooled is None else max(0.0, at - self.cooled) / seconds
        fades = math.exp(-x)
        # What came in between counts as if it had come evenly.
        self.heat = self.heat * fades + self.lately * ((1 - fades) / x if x > 1e-6 else 1.0)
        self.cooled, self.lately = at, 0
        return round(self.heat)
