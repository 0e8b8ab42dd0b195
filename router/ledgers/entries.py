"""What goes into a ledger and comes out: reservations, how they ended, and the lines of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from router.budgets.budget import Unit
from router.budgets.holds import Hold
from router.errors import InvalidRequestError
from router.types import Cost, Usage

EntryKind: TypeAlias = Literal["settle", "release", "expire", "correct"]
_LONGEST_BY = 40
LEASE = "lease"
"""What the record of a slab has for a policy: it is no call of anybody's."""
AdjustmentKind: TypeAlias = Literal["top_up", "freeze", "unfreeze", "transfer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of a call when it is reserved; costs in pico-dollars, None when unpriced.

    `propensity` is the chance that the policy had to choose this candidate. So many tokens as
    `forecast_cache_read_tokens` were expected from the host's cache, and `cache_lost_tokens` more
    but for `cache_lost_to`, a cause of `router.prompts.causes`, "" where there is none.
    """

    request_id: str
    candidate: str
    model: str
    mode: str
    host: str
    policy: str
    tags: Mapping[str, str] = field(default_factory=dict)
    rates_id: str = ""
    forecast_cost: int | None = None
    forecast_cost_p90: int | None = None
    forecast_output_tokens: int = 0
    forecast_quality: float = 0.0
    propensity: float = 1.0
    forecast_cache_read_tokens: int = 0
    cache_lost_tokens: int = 0
    cache_lost_to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Money set aside for one call, until it is settled or its lease ends.

    `amount` (pico-dollars) and `tokens` are what the call is charged if its outcome is lost; each
    hold has what is set aside in it. A `slab` is no call but a part of one account that a process
    may spend from without asking: see `router.ledgers.lease`. `decision` is the packed decision
    record (`router.packing`) of a request's first attempt, where the client logs them.
    """

    id: str
    at: datetime
    lease_until: datetime
    amount: int
    holds: tuple[Hold, ...]
    record: Record
    tokens: int = 0
    slab: bool = False
    decision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How a call ended: its usage and cost, and whether they were reported or assumed.

    `cost.pico` is 0 with an empty `rates_id` for a model without a known price. `saved` is what
    an answer out of the response cache would have cost (pico-dollars). `released` says that the
    call was not charged; neither is an answer out of the cache. `tokens` is what budgets are
    charged where it is not the usage's.
    """

    at: datetime
    usage: Usage
    cost: Cost
    outcome: str = "ok"
    finish_reason: str | None = None
    seconds: float = 0.0
    saved: int = 0
    released: bool = False
    tokens: int | None = None

    @property
    def charged(self) -> bool:
        """Whether it counts against budgets."""
        return not self.released and self.outcome != "cached"

    @property
    def estimated(self) -> bool:
        """Whether usage was counted or assumed by us instead of reported by the host."""
        return self.usage.estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger: a reservation's record with how it ended.

    `cost` (pico-dollars), `tokens` and `requests` are what this line adds to the accounts of each
    unit: negative in a correction downwards. `overage` is what the call cost beyond its
    reservation, `saved` what the response cache saved. `rates_id` names the price row that was
    billed, "" where no price was known; `record.rates_id` is that of the forecast, and the only
    one that lines of older files have.
    """

    kind: EntryKind
    at: datetime
    reservation_id: str
    record: Record
    usage: Usage
    cost: int
    reserved: int
    overage: int
    outcome: str
    finish_reason: str | None
    seconds: float
    tokens: int = 0
    requests: int = 0
    saved: int = 0
    rates_id: str = ""

    @property
    def estimated(self) -> bool:
        """Whether the cost rests on counted or assumed tokens."""
        return self.usage.estimated

    def adds(self, unit: Unit) -> int:
        """What the line adds to the accounts of this unit."""
        return {"usd": self.cost, "tokens": self.tokens, "requests": self.requests}[unit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """A change of a budget by a person, in the window of `window_start`: who, and why.

    `amount` (in `unit`) is added to the limit for the rest of the window; it is negative for
    what a transfer takes away, and 0 for a freeze, which lasts until the budget is unfrozen.
    Booked once by `id`.
    """

    id: str
    kind: AdjustmentKind
    at: datetime
    key: str
    window_start: datetime
    unit: Unit
    amount: int
    by: str
    why: str
    budget: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """How good an answer was, from 0 (wrong) to 1 (right), and who says so.

    `candidate` is who gave the answer, "" for the one that the request was served with. `by` is
    "feedback", "verifier", "judge", "label" or a word of your own. A request has one grade of each
    candidate by each: the first stays.

    Raises:
        InvalidRequestError: the score is not from 0 to 1, `by` no word of at most 40 letters, a
            name no text, or the instant has no offset.
    """

    request_id: str
    candidate: str
    score: float
    by: str
    at: datetime

    def __post_init__(self) -> None:
        score = self.score
        if not (isinstance(score, (int, float)) or hasattr(score, "__float__")):
            raise _refused("score", "a number from 0 to 1", score)
        if not 0 <= float(score) <= 1:
            raise _refused("score", "a number from 0 to 1", score)
        for name in ("request_id", "candidate"):
            if not isinstance(getattr(self, name), str):
                raise _refused(name, "a text", getattr(self, name))
        by = self.by
        if not (isinstance(by, str) and 0 < len(by) <= _LONGEST_BY and by.isprintable()):
            expected = f"a word such as 'feedback', at most {_LONGEST_BY} letters"
            raise _refused("by", expected, by)
        if not isinstance(self.at, datetime) or self.at.tzinfo is None:
            raise _refused("at", "an aware instant", self.at)


def _refused(name: str, expected: str, got: object) -> InvalidRequestError:
    return InvalidRequestError(f"{name}: expected {expected}, got {got!r}", param=name)
