"""What a request takes beside waiting: the overhead of routing, and what was refused."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from router.errors import RouterError
from router.ledgers.failing import ledger_failed

T = TypeVar("T")
E = TypeVar("E")


def timed(
    line: Generator[E, Any, T],
    clock: Callable[[], float],
    *,
    away: tuple[type, ...],
    sent: tuple[type, ...],
    answered: Callable[[T, float], None],
    refused: Callable[[RouterError], None],
    failed: Callable[[str, bool], None],
) -> Generator[E, Any, T]:
    """Run a flow, unchanged. `answered` is told what it returned, and the seconds (by `clock`)
    it took without effects of the kinds `away`; `refused`, an error before any of `sent`;
    `failed`, which effect the ledger failed at, and whether any of `sent` had been by then.
    """
    began, waited, began_call = clock(), 0.0, False
    step: Callable[[Any], E] = line.send
    answer: Any = None
    while True:
        try:
            effect = step(answer)
        except StopIteration as stop:
            result: T = stop.value
            answered(result, clock() - began - waited)
            return result
        except RouterError as error:
            if not began_call:
                refused(error)
            raise
        began_call = began_call or isinstance(effect, sent)
        asked = clock()
        try:
            answer, step = (yield effect), line.send
        except GeneratorExit:
            line.close()
            raise
        except BaseException as error:
            answer, step = error, line.throw
            if ledger_failed(error) and not isinstance(effect, away):
                failed(type(effect).__name__.lower(), began_call)
        if isinstance(effect, away):
            waited += clock() - asked
