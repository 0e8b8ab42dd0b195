"""Late lines of a transaction whose COMMIT was not answered: told when they are found."""

from __future__ import annotations

from collections.abc import Sequence

from router.ledgers._postgres.load import Session
from router.ledgers._sqlite.rows import entry_from
from router.ledgers.notices import Late, Notices


class Doubts:
    """What one process sent, and does not know whether it holds.

    Asked again, an operation that holds books nothing more, so its late lines would be told by
    nobody. The next transaction looks for them; the locks of the lost one are gone by then, for
    it is the same one again, or waited longer.
    """

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._late: tuple[Late, ...] = ()

    def keep(self, lines: Sequence[Late]) -> None:
        """Lines of a transaction that broke off, at its end or before."""
        self._late += tuple(lines)

    def settle(self, session: Session) -> None:
        """Tell those that the ledger has: each at most once."""
        if not self._late:
            return
        found = [late for late in self._late if _holds(late, session)]
        self._late = ()
        self._notices.late(found)


def _holds(late: Late, session: Session) -> bool:
    ours = late.entry
    rows = session.ask("ended", [ours.reservation_id])
    lines = [entry_from(row[:-1]) for row in rows]
    return any((e.kind, e.at, e.cost) == (ours.kind, ours.at, ours.cost) for e in lines)
