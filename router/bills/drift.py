"""What hosts say in each answer that they charged, against the ledger: before any bill."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from router.bills.calls import Paid
from router.money import to_usd

_RUN = 5
"""So many calls in a row off in the same direction are no accident, where others are exact."""
_LEAST = 20
"""A run must be off by this part of the money that nobody need look at."""
_FEW = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One candidate whose host reports costs. Pico-dollars.

    `ratio` is reported to ours over all calls, None where ours is nothing. `since` is how many
    calls it took from the first that was off until the alarm would have rung; 0 where it did not.
    """

    candidate: str
    calls: int
    reported: int
    ours: int
    off: int
    since: int
    alarm: bool

    @property
    def ratio(self) -> Decimal | None:
        """Reported to ours."""
        return Decimal(self.reported) / Decimal(self.ours) if self.ours else None

    def __str__(self) -> str:
        ratio = self.ratio
        said = (
            f"{self.candidate}: its host reported {to_usd(self.reported):.4f} USD for "
            f"{self.calls:,} calls, ours is {to_usd(self.ours):.4f}"
        )
        if not self.alarm:
            return f"{said}: agrees"
        times = "" if ratio is None else f" ({ratio:.4g} times ours)"
        seen = f"; seen after {self.since} calls" if self.since else ""
        return f"{said}{times}: {self.off:,} calls are off{seen}; compare its price row"


def drift_of(
    calls: Iterable[Paid], *, share: Decimal = Decimal("0.005"), usd: Decimal = Decimal("0.01")
) -> tuple[Drift, ...]:
    """Each candidate whose host reports what it charged, in the order of the calls.

    A call is off by more than `share` of its cost and a millionth of a dollar. A candidate alarms
    where all its calls together are off by more than `share` and `usd`, or where five of them in
    a row were off in one direction by more than a twentieth of `usd` together: more than five
    where others were off before. Noise that goes both ways alike is no drift.
    """
    found: dict[str, _Watch] = {}
    floor = int(usd * 10**12)
    for call in sorted(calls, key=lambda c: c.ended):
        if call.usage.reported_cost is not None and call.state == "told":
            found.setdefault(call.candidate, _Watch(share, floor)).see(call)
    return tuple(watch.drift(name) for name, watch in sorted(found.items()))


class _Watch:
    """The running comparison of one candidate."""

    def __init__(self, share: Decimal, floor: int) -> None:
        self._share, self._floor = share, floor
        self._run_gap = self._above = self._squares = 0
        self.calls = self.reported = self.ours = self.off = 0
        self._row = self._sign = self._began = self._rang = 0

    def see(self, call: Paid) -> None:
        """Take one call."""
        reported = call.usage.reported_cost or 0
        self.calls += 1
        self.reported += reported
        self.ours += call.cost
        gap = reported - call.cost
        # Hosts round to a millionth or a billionth of a dollar; so little says nothing.
        off = abs(gap) > max(int(self._share * call.cost), 10**6)
        sign = (gap > 0) - (gap < 0) if off else 0
        self.off += off
        if off and not self._began:
            self._began = self.calls
        self._above += sign
        self._squares += gap * gap
        again = off and sign == self._sign
        self._row = self._row + 1 if again else int(off)
        self._run_gap = self._run_gap + gap if again else gap
        self._sign = sign
        # Each call that was off outside of the run makes a run by chance likelier.
        needed = _RUN + 2 * (self.off - self._row).bit_length()
        enough = self._row >= needed and _LEAST * abs(self._run_gap) > self._floor
        if enough and not self._rang:
            self._rang = self.calls

    def _noise(self) -> bool:
        """Whether calls are off in both directions alike, and their sum by no more than that."""
        if self.off < _FEW:
            return False
        gap = self.reported - self.ours
        return self._above**2 <= 4 * self.off and gap * gap <= 9 * self._squares

    def drift(self, candidate: str) -> Drift:
        """What was seen."""
        gap = abs(self.reported - self.ours)
        much = gap > max(int(self._share * self.ours), self._floor)
        return Drift(
            candidate=candidate,
            calls=self.calls,
            reported=self.reported,
            ours=self.ours,
            off=self.off,
            since=self._rang - self._began + 1 if self._rang else 0,
            alarm=(bool(self._rang) or much) and not self._noise(),
        )
