"""One run of a judge over a table: its rows checked, its budget, what came of each row."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from router.budgets import Budget
from router.errors import ConfigError, RouterError, UnknownRequestError
from router.ledgers import Grade
from router.ledgers.ledger import Ledger
from router.money import to_pico, to_usd
from router.tuning.from_ledger import cost_of
from router.tuning.judge import Judge, Judgement
from router.tuning.judge_prompt import Asked, check
from router.tuning.load import ledger_of
from router.tuning.rows import pico_of

TAG = "judging"
"""Tag of a run's calls: its budget is scoped by it, and its spend is found by it."""
_PATIENCE = 5
"""So many failures in a row end it: the next ones would fail as well."""
_SET_BACK = timedelta(hours=1)
"""By so much a clock may be set back while a run lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one row asks of the judge, and whose answer it is."""

    question: Asked
    answer: str
    reference: Any
    candidate: str
    request_id: str


@dataclass(slots=True)
class Run:
    """What is under way: `made` and `failed` by position, `stopped` says why it ended early."""

    judge: Judge
    rows: Sequence[Row]
    budget: Budget | None
    tags: Mapping[str, str]
    keeper: Ledger | None = None
    made: list[Judgement | None] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    stopped: str = ""
    _in_a_row: int = 0

    def arguments(self, at: int) -> dict[str, Any]:
        """The arguments of the judge's call for a row."""
        row = self.rows[at]
        return {
            "question": row.question,
            "answer": row.answer,
            "reference": row.reference,
            "answered_by": row.candidate,
            "budget": self.budget,
            "tags": self.tags,
        }

    def took(self, at: int, found: Judgement) -> None:
        """Note a judgement, and keep its grade where a ledger was named."""
        self.made[at] = found
        if self.keeper is not None and found.score is not None:
            row = self.rows[at]
            self.keeper.grade(
                [
                    Grade(
                        request_id=row.request_id,
                        candidate=row.candidate,
                        score=found.score,
                        by="judge",
                        at=found.at,
                    )
                ]
            )
        self._in_a_row = 0

    def lost(self, at: int, error: Exception) -> None:
        """Note the failure of a row; too many in a row stop the run."""
        self.failed[at] = f"{type(error).__name__}: {error}"
        self._in_a_row += 1
        if self._in_a_row == _PATIENCE:
            self.stopped = f"{_PATIENCE} calls in a row failed, the last with {self.failed[at]}"

    def spent(self, began: datetime) -> Decimal | None:
        """USD that the ledger of the judge's client has for this run; None: a price is unknown."""
        ledger = self.judge.client._core.ledger
        try:
            lines = list(ledger.entries(since=began - _SET_BACK))
        except RouterError:  # it does not answer now: what is known without it
            told = [found.cost_usd for found in self.made if found is not None]
            known = [to_pico(usd) for usd in told if usd is not None]
            return to_usd(sum(known)) if len(known) == len(told) else None
        run = self.tags[TAG]
        cost = cost_of([e for e in lines if e.record.tags.get(TAG) == run])
        return None if cost is None else to_usd(cost)


def run_of(judge: Judge, rows: Any, budget_usd: Any, *, awaited: bool, kept: bool) -> Run:
    """A run whose rows and budget can be used, and whose client is of the kind that is called.

    Raises:
        ConfigError: what is wrong; of a row its number, from 1.
    """
    from router.frames import rows_of

    if not isinstance(judge, Judge):
        raise ConfigError(f"judge: expected a tuning.Judge, got {type(judge).__name__}")
    judge.check_client(awaited=awaited)
    table = [_row(row, number, kept) for number, row in enumerate(rows_of(rows), start=1)]
    run = secrets.token_hex(8)
    limit = pico_of(budget_usd, "budget_usd")
    budget = None
    if limit is not None:
        budget = Budget(to_usd(limit), scope={TAG: run}, name="this judging")
    return Run(judge, table, budget, {TAG: run}, made=[None] * len(table))


def opened(ledger: Any) -> Any:
    """The ledger that keeps the grades, as a context; None of None.

    Raises:
        ConfigError: it names no ledger.
    """
    return nullcontext(None) if ledger is None else ledger_of(ledger)


def check_known(run: Run, keeper: Ledger | None) -> None:
    """Have the run keep its grades there, if every request is known.

    Raises:
        UnknownRequestError: the number of a row (from 1) whose request the ledger does not have.
    """
    if keeper is None:
        return
    unknown = {row.request_id for row in run.rows}
    for entry in keeper.entries():
        if not unknown:
            break
        unknown.discard(entry.record.request_id)
    for number, row in enumerate(run.rows, start=1):
        if row.request_id in unknown:
            raise UnknownRequestError(
                f"row {number}: request_id: the ledger has no request {row.request_id!r}; "
                "nothing was judged"
            )
    run.keeper = keeper


def _row(row: Mapping[str, Any], number: int, kept: bool) -> Row:
    question = next(
        (row[name] for name in ("question", "messages", "prompt") if _given(row.get(name))), None
    )
    if question is None or not isinstance(row.get("answer"), str):
        raise ConfigError(
            f"row {number}: expected a question (or prompt, messages) and an answer as text, got "
            f"the columns {', '.join(sorted(str(name) for name in row if row[name] is not None))}"
        )
    try:
        check(question, row["answer"])
    except ConfigError as error:
        raise ConfigError(f"row {number}: {error}") from None
    return Row(
        question=question,
        answer=row["answer"],
        reference=row.get("reference"),
        candidate=_text(row, "candidate", number),
        request_id=_text(row, "request_id", number, needed=kept),
    )


def _given(value: object) -> bool:
    return value is not None and not (isinstance(value, Collection) and not value)


def _text(row: Mapping[str, Any], name: str, number: int, *, needed: bool = False) -> str:
    value = row.get(name)
    if value is None:
        value = ""
    if isinstance(value, str) and (value or not needed):
        return value
    why = ", to keep the grade under it" if needed else ""
    raise ConfigError(f"row {number}: {name}: expected a text{why}, got {value!r}")
