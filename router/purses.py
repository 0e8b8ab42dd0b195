"""What the budgets leave for each candidate of one request. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from policies.types import Purse
from router.budgets import Balance, Budget, Hold, exceeded, holds_for, left
from router.catalog import Candidate
from router.errors import BudgetExceededError
from router.types import Request

Account: TypeAlias = tuple[str, datetime]


@dataclass(frozen=True, slots=True)
class Limit:
    """The hard hold with the least left, in its unit."""

    left: int
    hold: Hold
    balance: Balance

    def exceeded(self, needed: int, detail: str = "") -> BudgetExceededError:
        """The error for a request that needs more than is left at the least."""
        what = "the cheapest candidate needs"
        return exceeded(self.hold, self.balance, needed, what, detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What hard budgets leave for one candidate; None where none limits it.

    `usd` and `tokens` are to hold the worst case, `likely_usd` and `likely_tokens` the forecast's
    `quantile`. `blocked` is a budget that is frozen, or has no request left.
    """

    hard: bool = False
    usd: Limit | None = None
    tokens: Limit | None = None
    likely_usd: Limit | None = None
    likely_tokens: Limit | None = None
    quantile: float | None = None
    blocked: Limit | None = None

    @property
    def priced(self) -> bool:
        """Whether it takes a known price: a limit in dollars cannot hold for any other."""
        return self.usd is not None or self.likely_usd is not None


NO_LIMIT = Room()


@dataclass(frozen=True, slots=True)
class Purses:
    """The holds of a request by candidate, `shared` by all of them, and what they contain."""

    shared: tuple[Hold, ...] = ()
    special: Mapping[str, tuple[Hold, ...]] = field(default_factory=dict)
    balances: Mapping[Account, Balance] = field(default_factory=dict)

    @property
    def holds(self) -> tuple[Hold, ...]:
        """All that last longer than this request, each account once."""
        every = [*self.shared, *(hold for holds in self.special.values() for hold in holds)]
        return tuple({account_of(h): h for h in every if not h.single}.values())

    def filled(self, balances: Iterable[Balance]) -> Purses:
        """The same, with the balances of `holds`, in their order."""
        found = dict(zip(map(account_of, self.holds), balances, strict=True))
        return replace(self, balances=found)

    def of(self, candidate: str) -> list[tuple[Hold, Balance]]:
        """The holds of one candidate with their balances."""
        holds = [*self.shared, *self.special.get(candidate, ())]
        return [(hold, self.balance(hold)) for hold in holds]

    def balance(self, hold: Hold) -> Balance:
        """What a hold's account contains; nothing, for a window of this request alone."""
        return self.balances.get(account_of(hold), Balance())

    def rooms(self, candidates: Iterable[Candidate]) -> dict[str, Room]:
        """The room of each candidate."""
        if not self.shared and not self.special:
            return {}
        common = room_in(self.of(""))
        return {
            c.name: room_in(self.of(c.name)) if c.name in self.special else common
            for c in candidates
        }

    def purses(self) -> tuple[Purse, ...]:
        """The lasting budgets in dollars for policies: a cap on one request is no purse."""
        return tuple(
            Purse(
                limit=hold.limit + balance.adjusted,
                taken=balance.spent + balance.reserved,
                starts=hold.window_start if hold.resets_at else None,
                ends=hold.resets_at,
                hard=hold.hard,
            )
            for hold, balance in self.of("")
            if hold.unit == "usd" and not hold.single
        )

    def tightest(self) -> tuple[Hold, Balance] | None:
        """The lasting budget in dollars with the least left, a hard one first; None: none."""
        lasting = [
            (hold, balance)
            for hold, balance in self.of("")
            if hold.unit == "usd" and not hold.single
        ]
        return min(lasting, key=lambda p: (not p[0].hard, left(*p)), default=None)

    def remaining(self) -> int | None:
        """Pico-dollars that the tightest lasting hard budget still has; None without any."""
        found = self.tightest()
        return max(0, left(*found)) if found is not None and found[0].hard else None


def purses_of(
    budgets: Sequence[Budget], request: Request, candidates: Sequence[Candidate], now: datetime
) -> Purses:
    """The holds of a request at an instant, still without balances."""
    special = [budget for budget in budgets if budget.by_candidate]
    shared = [budget for budget in budgets if not budget.by_candidate] if special else budgets
    return Purses(
        shared=holds_for(shared, request.tags, now, request.id),
        special={
            c.name: holds
            for c in candidates
            if special and (holds := holds_for(special, tags_of(request, c), now, request.id))
        },
    )


def holds_of(
    budgets: Sequence[Budget], request: Request, candidate: Candidate, now: datetime
) -> tuple[Hold, ...]:
    """The holds of one call."""
    found = purses_of(budgets, request, (candidate,), now)
    return (*found.shared, *found.special.get(candidate.name, ()))


def tags_of(request: Request, candidate: Candidate) -> dict[str, str]:
    """The request's tags, and who is called."""
    return {
        **request.tags,
        "model": candidate.model,
        "mode": candidate.mode,
        "host": candidate.host,
        "candidate": candidate.name,
    }


def account_of(hold: Hold) -> Account:
    """The account of a hold."""
    return hold.key, hold.window_start


def room_in(held: Iterable[tuple[Hold, Balance]]) -> Room:
    """What holds leave together."""
    hard, blocked = False, None
    least: dict[tuple[str, bool], Limit] = {}
    quantiles = []
    for hold, balance in held:
        if not hold.hard:
            continue
        hard = True
        limit = Limit(max(0, left(hold, balance)), hold, balance)
        if balance.frozen or (hold.unit == "requests" and not limit.left):
            blocked = blocked or limit
        kind = hold.unit, hold.quantile is None
        if kind not in least or limit.left < least[kind].left:
            least[kind] = limit
        if hold.quantile is not None:
            quantiles.append(hold.quantile)
    if not hard:
        return NO_LIMIT
    return Room(
        hard=True,
        usd=least.get(("usd", True)),
        tokens=least.get(("tokens", True)),
        likely_usd=least.get(("usd", False)),
        likely_tokens=least.get(("tokens", False)),
        quantile=max(quantiles, default=None),
        blocked=blocked,
    )
