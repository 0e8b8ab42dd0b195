"""A judge over a whole table, within a budget: what was graded is not lost where a row fails."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from router.errors import BudgetExceededError, ConfigError
from router.tuning.grading_run import Run, check_known, opened, run_of
from router.tuning.judge import Judge, Judgement
from router.tuning.progress import track

_KINDS: dict[str, type] = {
    "score": float,
    "cost_usd": Decimal,
    "judge": str,
    "at": datetime,
    "raw": str,
    "failed": str,
}
_UNCLEAR = (
    "most had no verdict: look at `raw` of a judgement; a larger max_tokens lets a judge finish, "
    "response_format=tuning.VERDICT holds one to the form"
)


@dataclass(frozen=True, slots=True)
class Graded(Sequence[Judgement | None]):
    """Judgements in the order of the rows; None where a row was not judged.

    `stopped` says why it ended early, "" where it did not. `cost_usd` is what the ledger has for
    it, failed calls that were charged included; None where the price of a call is unknown.
    `failed` maps positions of rows to the error of their call, or of keeping their grade.
    """

    judgements: tuple[Judgement | None, ...]
    stopped: str
    cost_usd: Decimal | None
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

    def to_frame(self, backend: str = "pandas") -> Any:
        """A table as long as the one that was judged, in its order: "pandas", "polars", "pyarrow".

        Columns: `score`, `cost_usd`, `judge` (who judged), `at`, `raw` (its words) and `failed`,
        the error of the row; null where there is none.

        Raises:
            ConfigError: its library is not installed.
            InvalidRequestError: no such backend.
        """
        from router.frames import to_frame

        rows = [
            {
                "score": found and found.score,
                "cost_usd": found and found.cost_usd,
                "judge": found and found.candidate,
                "at": found and found.at,
                "raw": found and found.raw,
                "failed": self.failed.get(at),
            }
            for at, found in enumerate(self.judgements)
        ]
        return to_frame(list(_KINDS), rows, backend, kinds=_KINDS)

    def __str__(self) -> str:
        graded = sum(score is not None for score in self.scores)
        cost = "at unknown cost" if self.cost_usd is None else f"for ${self.cost_usd:.6f}"
        text = f"{graded:,} of {len(self):,} graded {cost}"
        text += f", {self.unclear:,} without a verdict, {len(self.failed):,} failed"
        if self.stopped:
            return f"{text}; stopped: {self.stopped}"
        if self.failed:
            at, error = next(iter(self.failed.items()))
            text += f"; the first, row {at + 1}: {error}"
        if self.unclear > graded:
            text += f"; {_UNCLEAR}"
        return text


def grade(
    judge: Judge,
    rows: Any,
    *,
    budget_usd: str | Decimal | None = None,
    ledger: Any = None,
    progress: bool = True,
) -> Graded:
    """Judge a table: rows of `question` (or `prompt`, `messages`) and `answer`.

    Each may have a `reference`, and `candidate`, who answered. All of it together is under one
    hard budget of `budget_usd` that the ledger of the judge's client keeps, failures and retries
    included: it ends when the next judgement does not fit into it, or into the client's own. With
    `ledger` (a path, URL, ledger, client) each grade is kept there as it comes, for the row's
    `request_id` and `candidate`, by "judge"; its lines are read first, to know the ids.

    Raises:
        ConfigError: the number of the row (from 1), what was expected; nothing was judged.
    """
    run = run_of(judge, rows, budget_usd, awaited=False, kept=ledger is not None)
    began = judge.client._core.now()
    with opened(ledger) as keeper, closing(_places(run, progress)) as places:
        check_known(run, keeper)
        for at in places:
            try:
                run.took(at, judge(**run.arguments(at)))
            except BudgetExceededError as error:
                run.stopped = str(error)
            except Exception as error:  # noqa: BLE001 - it must not cost the other rows
                run.lost(at, error)
            if run.stopped:
                break
    return _graded(run, began)


async def agrade(
    judge: Judge,
    rows: Any,
    *,
    budget_usd: str | Decimal | None = None,
    ledger: Any = None,
    progress: bool = True,
    at_once: int = 4,
) -> Graded:
    """As `grade`, with a judge of an `AsyncClient`; `at_once` rows are judged at a time.

    What does not fit into the budget beside the others is tried again when they have ended.

    Raises:
        ConfigError: as `grade`; or `at_once` is no number of 1 or more.
    """
    if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
        raise ConfigError(f"at_once: expected a whole number of 1 or more, got {at_once!r}")
    run = run_of(judge, rows, budget_usd, awaited=True, kept=ledger is not None)
    began = judge.client._core.now()
    with opened(ledger) as keeper, closing(_places(run, progress)) as places:
        await asyncio.to_thread(check_known, run, keeper)
        await _all(run, places, at_once)
    return await asyncio.to_thread(_graded, run, began)


async def _all(run: Run, places: Generator[int], at_once: int) -> None:
    """Judge the rows, `at_once` at a time; `places` is told of each that has ended."""
    waiting = deque(range(len(run.rows)))
    under_way: dict[asyncio.Task[Judgement], tuple[int, bool]] = {}
    next(places, None)
    try:
        while under_way or (waiting and not run.stopped):
            while waiting and not run.stopped and len(under_way) < at_once:
                at = waiting.popleft()
                task = asyncio.ensure_future(run.judge.ajudge(**run.arguments(at)))
                under_way[task] = at, at_once == 1
            done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                at, alone = under_way.pop(task)
                try:
                    await asyncio.to_thread(run.took, at, task.result())
                except BudgetExceededError as error:
                    # Others may hold what this one lacks: from here on they go one by one.
                    at_once = 1
                    if alone:
                        run.stopped = str(error)
                    else:
                        waiting.appendleft(at)
                        continue
                except Exception as error:  # noqa: BLE001 - it must not cost the other rows
                    run.lost(at, error)
                next(places, None)
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


def _places(run: Run, progress: bool) -> Generator[int]:
    every = range(len(run.rows))
    return track(every, "answers") if progress else (at for at in every)


def _graded(run: Run, began: datetime) -> Graded:
    return Graded(tuple(run.made), run.stopped, run.spent(began), run.failed)
