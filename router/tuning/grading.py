"""A judge over a whole table, within a budget: what was graded is never lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from router.errors import BudgetExceededError, ConfigError, RouterError
from router.ledgers import Grade
from router.money import to_pico, to_usd
from router.tuning.judge import Judge, Judgement
from router.tuning.progress import track

_PATIENCE = 5
"""So many failures in a row end it: the next ones would fail as well."""


@dataclass(frozen=True, slots=True)
class Graded(Sequence[Judgement | None]):
    """Judgements in the order of the rows; None where a row was not judged.

    `stopped` says why it ended early, "" where it did not. `cost_usd` is what judging cost as far
    as known. `failed` maps positions of rows to the error of their call.
    """

    judgements: tuple[Judgement | None, ...]
    stopped: str
    cost_usd: Decimal
    failed: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.judgements)

    def __getitem__(self, at: Any) -> Any:
        return self.judgements[at]

    @property
    def scores(self) -> list[float | None]:
        """Grades from 0 to 1, None where there is none."""
        return [None if j is None else j.score for j in self.judgements]

    @property
    def unclear(self) -> int:
        """How many were judged in words that are no verdict."""
        return sum(j is not None and j.score is None for j in self.judgements)

    def __str__(self) -> str:
        graded = sum(score is not None for score in self.scores)
        text = f"{graded:,} of {len(self):,} graded for ${self.cost_usd:.6f}"
        text += f", {self.unclear:,} without a verdict, {len(self.failed):,} failed"
        return text + (f"; stopped: {self.stopped}" if self.stopped else "")


def grade(
    judge: Judge,
    rows: Any,
    *,
    budget_usd: str | Decimal | None = None,
    ledger: Any = None,
    progress: bool = True,
) -> Graded:
    """Judge a table: rows of `question` (or `prompt`, `messages`) and `answer`.

    Each may have a `reference`, and `candidate`, who answered. It ends when the next judgement
    does not fit into `budget_usd` or the client's budgets. With `ledger` (a path, URL, ledger)
    each grade is kept there for the row's `request_id`, by "judge".

    Raises:
        ConfigError: the number of the row (from 1), what was expected. Nothing is judged then.
    """
    from router.frames import rows_of

    table = rows_of(rows)
    asked = [_checked(row, n, needs_id=ledger is not None) for n, row in enumerate(table, 1)]
    limit = None if budget_usd is None else to_pico(budget_usd)
    made: list[Judgement | None] = [None] * len(asked)
    failed: dict[int, str] = {}
    spent, row_failures, stopped = 0, 0, ""
    with _opened(ledger) as keeper:
        items = track(asked, "answers") if progress else iter(asked)
        for at, row in enumerate(items):
            left = None if limit is None else to_usd(limit - spent)
            if left is not None and left <= 0:
                stopped = f"${budget_usd} are spent"
                break
            try:
                found = judge(
                    row["question"],
                    row["answer"],
                    reference=row["reference"],
                    answered_by=row["candidate"],
                    budget=left,
                )
            except BudgetExceededError as error:
                stopped = str(error)
                break
            except RouterError as error:
                failed[at] = f"{type(error).__name__}: {error}"
                row_failures += 1
                if row_failures == _PATIENCE:
                    stopped = f"{_PATIENCE} calls in a row failed, the last with {failed[at]}"
                    break
                continue
            row_failures, made[at] = 0, found
            spent += 0 if found.cost_usd is None else to_pico(found.cost_usd)
            if keeper is not None and found.score is not None:
                keeper.grade([_kept(row["request_id"], found, found.score)])
    return Graded(tuple(made), stopped, to_usd(spent), failed)


def _kept(request_id: str, found: Judgement, score: float) -> Grade:
    return Grade(request_id=request_id, candidate="", score=score, by="judge", at=found.at)


def _checked(row: Mapping[str, Any], number: int, *, needs_id: bool) -> dict[str, Any]:
    question = next(
        (row[name] for name in ("question", "messages", "prompt") if row.get(name)), None
    )
    if question is None or not isinstance(row.get("answer"), str):
        raise ConfigError(
            f"row {number}: expected a question (or prompt, messages) and an answer as text, got "
            f"the columns {', '.join(sorted(str(name) for name in row if row[name] is not None))}"
        )
    if needs_id and not row.get("request_id"):
        raise ConfigError(f"row {number}: request_id: expected one, to keep the grade under it")
    return {
        "question": question,
        "answer": row["answer"],
        "reference": row.get("reference"),
        "candidate": row.get("candidate") or "",
        "request_id": row.get("request_id"),
    }


def _opened(ledger: Any) -> Any:
    if not isinstance(ledger, str | Path):
        return nullcontext(ledger)
    from contextlib import closing

    from router.ledgers.open import open_store

    return closing(open_store(ledger))
