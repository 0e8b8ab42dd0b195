"""`client.budgets`: what is left of each, and changes of them by people, each with who and why."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from router.budgets.budget import Budget, Unit
from router.budgets.holds import Hold, holds_for
from router.errors import InvalidBudgetError
from router.ledgers.asked import check_text, checked_amount, checked_tags
from router.ledgers.entries import Adjustment, AdjustmentKind
from router.ledgers.ledger import Ledger
from router.ledgers.status import BudgetStatus, status


class Budgets:
    """The budgets of a client: iterate over them, see what is left, change them for now.

    Budgets are named by themselves or by their name. Where a scope has a `*`, `tags` say whose
    account is meant. Every change is a line of the ledger, by whom and why, and lasts for the
    present window; a freeze lasts until it is ended. It is of the account, so a budget that has
    its account together with another one of the client is not changed. In an event loop call
    them in a thread.

    >>> from router import Budget, Client
    >>> client = Client(budgets=Budget("5.00", "day", name="daily"), ledger=":memory:")
    >>> client.budgets.top_up("daily", "2.50", by="ann", why="launch").limit
    Decimal('7.500000000000')
    """

    def __init__(
        self,
        budgets: Sequence[Budget],
        ledger: Callable[[], Ledger],
        tags: Mapping[str, str],
        now: Callable[[], datetime],
    ) -> None:
        self._budgets, self._ledger, self._tags, self._now = tuple(budgets), ledger, tags, now

    def __iter__(self) -> Iterator[Budget]:
        return iter(self._budgets)

    def __len__(self) -> int:
        return len(self._budgets)

    def status(self, tags: Mapping[str, str] | None = None) -> list[BudgetStatus]:
        """Limit, spend and rest of each budget that a request with these tags would meet."""
        known = {**self._tags, **checked_tags(tags)}
        return status(self._budgets, self._ledger(), known, self._now())

    def top_up(
        self,
        budget: Budget | str,
        amount: str | int | Decimal,
        *,
        by: str,
        why: str,
        unit: Unit = "usd",
        tags: Mapping[str, str] | None = None,
    ) -> BudgetStatus:
        """Raise a limit for the rest of its window; a negative amount lowers it.

        `amount` is in USD, or in whole tokens or requests, as `unit` says.

        Raises:
            InvalidBudgetError: no such budget or limit, two of that name, an account that another
                budget has, too; no amount, nobody or no reason named.
            BudgetExceededError: lowered by more than is left.
        """
        hold = self._hold(budget, unit, tags)
        self._book([("top_up", hold, checked_amount(amount, unit))], by, why)
        return self._state(hold, budget, tags)

    def transfer(
        self,
        source: Budget | str,
        target: Budget | str,
        amount: str | int | Decimal,
        *,
        by: str,
        why: str,
        unit: Unit = "usd",
        tags: Mapping[str, str] | None = None,
        target_tags: Mapping[str, str] | None = None,
    ) -> None:
        """Take an amount from one budget's window and give it to another's, at once or not at all.

        `target_tags` are those of the target where they are others than `tags`.

        Raises:
            InvalidBudgetError: as in `top_up`, or both are one account.
            BudgetExceededError: the source has less left.
        """
        moved = checked_amount(amount, unit)
        if moved <= 0:
            raise InvalidBudgetError(f"transfer: expected an amount above 0, got {amount!r}")
        giver = self._hold(source, unit, tags)
        taker = self._hold(target, unit, tags if target_tags is None else target_tags)
        if (giver.key, giver.window_start) == (taker.key, taker.window_start):
            raise InvalidBudgetError(f"transfer: both are the budget of {giver.name}")
        self._book([("transfer", giver, -moved), ("transfer", taker, moved)], by, why)

    def freeze(
        self,
        budget: Budget | str,
        *,
        by: str,
        why: str,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Refuse every request that the budget applies to, until `unfreeze`; hard budgets only.

        An answer out of the response cache is still given, for it costs nothing.

        Raises:
            InvalidBudgetError: as in `top_up`, or the budget is soft.
        """
        self._freeze("freeze", budget, by, why, tags)

    def unfreeze(
        self,
        budget: Budget | str,
        *,
        by: str,
        why: str,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """End a freeze."""
        self._freeze("unfreeze", budget, by, why, tags)

    def history(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[Adjustment]:
        """All changes with since <= at < until, oldest first: of every budget in this ledger."""
        return list(self._ledger().adjustments(since=since, until=until))

    def _freeze(
        self,
        kind: AdjustmentKind,
        budget: Budget | str,
        by: str,
        why: str,
        tags: Mapping[str, str] | None,
    ) -> None:
        holds = self._holds(budget, tags)
        if not all(hold.hard for hold in holds):
            raise InvalidBudgetError(
                f"{kind}: the budget of {holds[0].name} is soft and refuses nothing; make it hard"
            )
        if kind == "freeze":
            self._check_alone(self._find(budget), holds, tags)
        self._book([(kind, hold, 0) for hold in holds], by, why)

    def _book(
        self, changes: Sequence[tuple[AdjustmentKind, Hold, int]], by: str, why: str
    ) -> None:
        check_text("by", by)
        check_text("why", why)
        now = self._now()
        rows = [
            Adjustment(
                id=uuid.uuid4().hex,
                kind=kind,
                at=now,
                key=hold.key,
                window_start=hold.window_start,
                unit=hold.unit,
                amount=amount,
                by=by,
                why=why,
                budget=hold.name,
            )
            for kind, hold, amount in changes
        ]
        self._ledger().adjust(rows, [hold for _, hold, _ in changes])

    def _hold(self, budget: Budget | str, unit: Unit, tags: Mapping[str, str] | None) -> Hold:
        holds = {hold.unit: hold for hold in self._holds(budget, tags)}
        if unit not in holds:
            raise InvalidBudgetError(
                f"unit: the budget of {next(iter(holds.values())).name} has limits in "
                f"{', '.join(holds)}, got {unit!r}"
            )
        self._check_alone(self._find(budget), [holds[unit]], tags)
        return holds[unit]

    def _holds(self, budget: Budget | str, tags: Mapping[str, str] | None) -> tuple[Hold, ...]:
        found = self._find(budget)
        if found.window == "request":
            raise InvalidBudgetError(
                f"the budget of {found.name} caps each request: it has no window"
            )
        known = self._known(found, tags)
        holds = holds_for((found,), known, self._now(), "")
        if not holds:
            raise InvalidBudgetError(
                f"tags: the budget of {found.name} is for {dict(found.scope)}, which {known!r} "
                "does not fit; say whose with tags={...}"
            )
        return holds

    def _check_alone(
        self, budget: Budget, holds: Sequence[Hold], tags: Mapping[str, str] | None
    ) -> None:
        """A change is of an account: of one that two budgets have it would be one of both."""
        keys, known = {hold.key for hold in holds}, self._known(budget, tags)
        for other in self._budgets:
            if other is budget or other.window == "request":
                continue
            if any(hold.key in keys for hold in holds_for((other,), known, self._now(), "")):
                raise InvalidBudgetError(
                    f"the budget of {_described(budget)} has one account with the budget of "
                    f"{_described(other)}, so a change would be of both. Give one of them another "
                    "scope or window"
                )

    def _known(self, budget: Budget, tags: Mapping[str, str] | None) -> dict[str, str]:
        """Whose account is meant: a budget that is named knows better than the client's tags."""
        own = {key: value for key, value in budget.scope.items() if "*" not in value}
        return {**self._tags, **own, **checked_tags(tags)}

    def _find(self, budget: Budget | str) -> Budget:
        found = [one for one in self._budgets if budget in (one, one.name)]
        if isinstance(budget, str) and any(one is not found[0] for one in found):
            which = " and ".join(_described(one) for one in found)
            raise InvalidBudgetError(
                f"several budgets of this client are named {budget!r}: {which}. Pass the Budget "
                "itself, or give them other names"
            )
        if found:
            return found[0]
        names = ", ".join(repr(one.name) for one in self._budgets) or "none"
        raise InvalidBudgetError(f"no such budget of this client: {budget!r}; there are {names}")

    def _state(
        self, hold: Hold, budget: Budget | str, tags: Mapping[str, str] | None
    ) -> BudgetStatus:
        found = self._find(budget)
        states = status((found,), self._ledger(), self._known(found, tags), self._now())
        return next(state for state in states if state.unit == hold.unit)


def _described(budget: Budget) -> str:
    named = "" if budget.name == budget.words else f"{budget.name} "
    zone = "" if budget.tz == "UTC" else f", {budget.tz}"
    return f"{named}({budget.words}{zone}{'' if budget.hard else ', soft'})"
