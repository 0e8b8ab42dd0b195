"""Many requests at once: in the order that shares prefixes, a first one before those that share.

Each goes the way of a single request, with its own reservation, decision and route. What drives
them, threads here or tasks in `batch_async.py`, follows one queue (`prompts.warmup`).
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Any, TypeAlias, TypeVar

from router.catalog import Candidate
from router.constraints import check_parameters
from router.errors import InvalidRequestError, RouterError
from router.places import salt_of
from router.prompts.layout import arrange
from router.prompts.order import Group, groups, order
from router.prompts.rule import CacheRule
from router.prompts.text import conversations
from router.prompts.warmup import Queue, at_once
from router.services import Services
from router.types import Request, Route

T = TypeVar("T")
Seen: TypeAlias = Callable[[int, Any], Any]
"""Told the position and the answer, or error, of each request as it comes."""

_log = logging.getLogger("router")

_WORTH = 256
"""Tokens that must be shared for others to wait: less saves too little for an answer's time."""
_MOST = 1024
"""Requests that may be under way at once."""


def checked(
    given: Iterable[Any],
    make: Callable[[Any, Mapping[str, Any]], Request],
    concurrency: Any,
    seen: Any = None,
) -> list[Request]:
    """The requests of a batch: lists of messages, or mappings of arguments with "messages".

    Raises:
        RouterError, TypeError: before anything is sent; a note says which request.
    """
    if (
        isinstance(concurrency, bool)
        or not isinstance(concurrency, int)
        or not 1 <= concurrency <= _MOST
    ):
        raise InvalidRequestError(
            f"concurrency: expected a whole number from 1 to {_MOST:,}, got {concurrency!r}",
            param="concurrency",
        )
    if not (seen is None or callable(seen)):
        raise InvalidRequestError(
            f"on_answer: expected a function, got {type(seen).__name__}", param="on_answer"
        )
    found: list[Request] = []
    for i, one in conversations(given):
        own = dict(one) if isinstance(one, Mapping) else {"messages": one}
        try:
            request = make(own.pop("messages", None), own)
            check_parameters(request)
            if request.stream:
                raise InvalidRequestError(
                    "stream: a batch returns whole answers; leave it out", param="stream"
                )
        except (RouterError, TypeError) as error:
            error.add_note(f"in requests[{i}]")
            raise
        found.append(request)
    return found


def lined_up(requests: Sequence[Request], services: Services, *, warm: bool) -> Queue:
    """The queue of these requests; without `warm` none waits for another.

    Raises:
        RouterError: no candidate, or a prompt that cannot be read; a note says which request.
    """
    now = services.now()
    known: dict[tuple[str, ...], Sequence[Candidate]] = {}
    families: dict[tuple[Any, ...], list[int]] = {}
    chains = []
    for i, request in enumerate(requests):
        try:
            candidates = known.get(request.models)
            if candidates is None:
                candidates = known[request.models] = services.candidates(request.models, now)
            layout = arrange(request.messages, request.tools, request.response_format)
            chains.append(services.chain(request.arranged(layout)))
        except RouterError as error:
            error.add_note(f"in requests[{i}]")
            raise
        salts = tuple(salt_of(candidate.cache, request) for candidate in candidates)
        families.setdefault((request.models, salts), []).append(i)
    line: list[int] = []
    found: list[Group] = []
    for (models, _), members in families.items():
        line += order(chains, members)
        least = _least(known[models]) if warm else None
        if least is not None:
            found += groups(chains, least, members)
    return Queue(line, found)


def rule_of(route: Route, services: Services) -> CacheRule | None:
    """The cache rule of who answered; None where no host saw the prompt."""
    if not route.attempts:
        return None
    candidate = services.catalog.candidate(route.candidate, at=route.started_at)
    return None if candidate.kind == "replay" else candidate.cache


def run(
    queue: Queue,
    answer: Callable[[int], tuple[T, CacheRule | None]],
    *,
    concurrency: int,
    clock: Callable[[], float],
    seen: Seen | None,
) -> list[T | Exception]:
    """What `answer` returns for each position, or the error that it raised, in threads.

    An interrupt starts nothing more and is raised when what is under way has ended, with
    `answers`; see `with_answers`.
    """
    total = len(queue)
    results: dict[int, T | Exception] = {}
    fatal: list[BaseException] = []
    turn = threading.Condition()

    def position() -> int | None:
        with turn:
            while len(queue) and not fatal:
                now = clock()
                if (found := queue.take(now)) is not None:
                    return found
                turn.wait(None if queue.wakes_at is None else max(0.0, queue.wakes_at - now))
        return None

    def work() -> None:
        while (at := position()) is not None:
            made: T | Exception
            rule, sent = None, True
            try:
                try:
                    made, rule = answer(at)
                    sent = rule is not None
                except Exception as error:  # noqa: BLE001 - one that fails is not to lose others
                    made = error
                results[at] = made
                if seen is not None and inspect.iscoroutine(waits := told(seen, at, made)):
                    waits.close()
                    _log.error("on_answer: only AsyncClient awaits a listener")
            except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
                fatal.append(error)
            with turn:
                queue.done(at, clock(), rule, sent=sent)
                turn.notify_all()

    workers = min(concurrency, total) or 1
    try:
        with ThreadPoolExecutor(workers, thread_name_prefix="centroute-batch") as threads:
            try:
                wait([threads.submit(copy_context().run, work) for _ in range(workers)])
            except BaseException as error:
                fatal.append(error)  # before all else: it is what keeps threads from going on
                with turn:
                    turn.notify_all()
                raise
        if fatal:
            raise fatal[0]
    except BaseException as error:
        with_answers(error, results, total)
        raise
    return [results[at] for at in range(total)]


def told(seen: Seen, position: int, made: object) -> Any:
    """What the listener returns; its errors are logged, for they must not cost an answer."""
    try:
        return seen(position, made)
    except Exception:  # noqa: BLE001 - a listener is anybody's code
        _log.exception("on_answer failed")
        return None


def with_answers(error: BaseException, results: Mapping[int, object], total: int) -> None:
    """Give what ends a batch early the `answers` that came, None where none did: they are paid."""
    vars(error)["answers"] = [results.get(at) for at in range(total)]
    error.add_note(f"{len(results)} of {total} answers came before; .answers holds them")


def _least(candidates: Sequence[Candidate]) -> int | None:
    """How much must be shared for others to wait; None where nobody needs to."""
    rules = [c.cache for c in candidates if c.kind != "replay" and not at_once(c.cache)]
    if not rules:
        return None
    return max(_WORTH, min(max(rule.min_tokens, rule.unit_tokens) for rule in rules))
