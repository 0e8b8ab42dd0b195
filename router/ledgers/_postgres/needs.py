"""What an operation is going to touch: to be locked before it runs, in one order for all."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

from router.budgets.holds import Hold
from router.errors import RouterError
from router.ledgers._postgres.books import NotPreparedError, PostgresBooks
from router.ledgers.view import Known

At: TypeAlias = tuple[str, datetime]
"""An account: its key and the start of its window."""

HEAD = datetime(1970, 1, 1, tzinfo=UTC)
"""The window of a rolling account's head row, which holds nothing. Who reserves locks it first: a
bucket that another transaction adds would be unseen by one that waits for buckets only."""

_REMEMBERED = 8192


@dataclass(frozen=True, slots=True)
class Task:
    """An operation, the reservations that it looks up, and the accounts it reads or moves.

    `made` is a reservation that it makes: only if that exists already are its parts looked up.
    """

    run: Callable[[PostgresBooks], Any]
    ids: Sequence[str] = ()
    made: str = ""
    holds: Sequence[Hold] = ()
    accounts: Sequence[At] = ()

    def __call__(self, rows: PostgresBooks) -> Any:
        return self.run(rows)


@dataclass(slots=True)
class Needs:
    """The needs of several operations together."""

    ids: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    accounts: set[At] = field(default_factory=set)
    rolling: dict[str, datetime] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)

    def want(self, tasks: Iterable[Task]) -> Needs:
        """These needs and those of the tasks."""
        for task in tasks:
            self.ids.update(task.ids)
            if task.made:
                self.made.add(task.made)
            self.accounts.update(task.accounts)
            self.want_holds(task.holds)
        return self

    def want_holds(self, holds: Iterable[Hold]) -> Needs:
        """These needs and the accounts of these holds."""
        for hold in holds:
            self.keys.add(hold.key)
            self.accounts.add((hold.key, hold.window_start))
            if hold.since is not None:
                self.accounts.add((hold.key, HEAD))
                since = self.rolling.get(hold.key, hold.since)
                self.rolling[hold.key] = min(since, hold.since)
        return self

    def add(self, missing: NotPreparedError) -> None:
        """What was found to be missing."""
        if missing.at is not None:
            self.accounts.add(missing.at)
        if missing.rid:
            self.ids.add(missing.rid)


class Memory:
    """What this process knows for certain: reservations as they were made, accounts that exist.

    Settling what one has reserved then needs no look-up of what it set aside where.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._accounts: OrderedDict[At, None] = OrderedDict()

    def known(self, reservation_id: str) -> Known | None:
        """The reservation as it was made: a copy, to be changed."""
        found = self._known.get(reservation_id)
        return None if found is None else replace(found)

    def unmade(self, accounts: Iterable[At]) -> list[At]:
        """Those accounts that may not exist yet."""
        return [at for at in accounts if at not in self._accounts]

    def learn(self, accounts: Iterable[At], opened: Iterable[Known], ended: Iterable[str]) -> None:
        """A transaction was committed."""
        for at in accounts:
            self._accounts[at] = None
        for known in opened:
            self._known[known.id] = known
        for rid in ended:
            self._known.pop(rid, None)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        while len(self._accounts) > _REMEMBERED:
            self._accounts.popitem(last=False)

    def forget(self) -> None:
        """The database is not what it was."""
        self._known.clear()
        self._accounts.clear()


def result(task: Callable[[PostgresBooks], Any], rows: PostgresBooks) -> Any:
    """What an operation returns, or the error by which it refuses."""
    try:
        return task(rows)
    except RouterError as error:
        return error
