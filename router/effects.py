"""What a flow may ask of the world. The drivers in `_drive.py` obey, sync or async."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from router.budgets import Hold
from router.budgets.warning import BudgetWarning
from router.ledgers import Grade, Reservation, Settlement
from router.responses import CachedReply
from router.types import Call, Chunk, Reply, Route


@dataclass(frozen=True, slots=True)
class Balances:
    """Read what the holds' accounts contain; answered with `list[Balance]`."""

    holds: Sequence[Hold]


@dataclass(frozen=True, slots=True)
class Reserve:
    """Set money aside; answered with None, or BudgetExceededError is thrown in."""

    reservation: Reservation


@dataclass(frozen=True, slots=True)
class Settle:
    """Turn a reservation into spend; answered with its ledger `Entry`."""

    reservation_id: str
    settlement: Settlement


@dataclass(frozen=True, slots=True)
class Release:
    """Return a reservation that was not charged; answered with None."""

    reservation_id: str
    at: datetime
    outcome: str


@dataclass(frozen=True, slots=True)
class Post:
    """Record a call that nobody reserved; answered with its ledger `Entry`."""

    reservation: Reservation
    settlement: Settlement


@dataclass(frozen=True, slots=True)
class Warned:
    """Note that a share of an account is warned of; answered with whether we are the first."""

    key: str
    window_start: datetime
    share: float


@dataclass(frozen=True, slots=True)
class Graded:
    """Keep grades of answers in the ledger; answered with how many are new."""

    grades: Sequence[Grade]


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell the caller's `on_warning`; answered with None, whatever comes of it."""

    listener: Callable[[BudgetWarning], Any]
    warning: BudgetWarning


@dataclass(frozen=True, slots=True)
class Recall:
    """Look into the response cache; answered with `CachedReply`, or None."""

    key: str


@dataclass(frozen=True, slots=True)
class Memorize:
    """Put an answer into the response cache; answered with None."""

    key: str
    reply: CachedReply


@dataclass(frozen=True, slots=True)
class Send:
    """Make a call and wait for the whole answer; answered with `Reply`, or ProviderError."""

    call: Call


@dataclass(frozen=True, slots=True)
class Open:
    """Begin a streamed call; answered with None once the host has accepted it."""

    call: Call


@dataclass(frozen=True, slots=True)
class Read:
    """The next piece of the open stream; answered with `Chunk`, or None at its end."""


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand a piece to the caller (None: the stream is open); answered when more is wanted."""

    chunk: Chunk | None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for this many seconds; answered with None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Verify:
    """Ask the caller's verifier about an answer; answered with what it says, or its error."""

    verifier: Callable[[Any], Any]
    reply: Reply
    route: Route


Effect: TypeAlias = (
    Balances
    | Reserve
    | Settle
    | Release
    | Post
    | Warned
    | Graded
    | Notify
    | Recall
    | Memorize
    | Send
    | Open
    | Read
    | Emit
    | Sleep
    | Verify
)
