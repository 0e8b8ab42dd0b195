"""`Client`: OpenAI-shaped calls that know their price, keep to budgets and say why.

`AsyncClient` (`client_async.py`) differs only in how it drives the same flow.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, Unpack

from router import flow
from router._arguments import BudgetLike, CallArguments, ClientArguments, VerifierLike
from router._core import with_completion
from router._drive import Drive
from router._settings import check_transport
from router.batch import Seen, checked, lined_up, rule_of, run
from router.chat import Chat, CompletionStream, Result
from router.client_base import BaseClient, spelled_out
from router.errors import ConfigError, LedgerError, UsageError
from router.job import plan_job
from router.jobplan import JobPlan
from router.services import Services
from router.transports import Transport
from router.transports.live import sync_transport
from router.types import Plan, Request

if TYPE_CHECKING:
    from router.completion import ChatCompletion
    from router.prompts.rule import CacheRule


class Client(BaseClient):
    """A synchronous client. Without any key it replays recorded outcomes of real models.

    Settings (all optional): `hosts` or `candidates` to choose from, `catalog` overlays, `policy`
    (a preset's name, a TOML file or a callable), `budgets`, `ledger` (a path or URL) and
    `on_ledger_error` ("deny", "local-lease" or "allow"), `keys` and `base_urls` by host, `tags`
    for every request, `timeout` (seconds), `max_retries`, `scorer` (a file, or your own), `verify`
    (a judge of answers), `unpriced` (None, "deny" or "ceiling"), `strict_usage`, `on_warning` (is
    told when a budget runs low), `cache` (a directory for answers), `log_decisions` (in the
    ledger, for `router.tuning`), `metric_tags` and `span_tags` (of the tags, those that telemetry
    may show), `baggage` (entries that become tags), `engine` (a `vllm.LLM`), `transport` (in place
    of the network), `now` (the clock: an aware instant) and `environ` (in place of `os.environ`).

    Thread-safe. Close it, or use it in a `with` statement.

    >>> from router import Client, recorded_prompts
    >>> client = Client(ledger=":memory:", budgets="0.01")
    >>> question = recorded_prompts(source="zeroeval")[0].prompt
    >>> reply = client.chat.completions.create([{"role": "user", "content": question}])
    >>> reply.route.host
    'replay'
    """

    @spelled_out
    def __init__(
        self, *, transport: Transport | None = None, **settings: Unpack[ClientArguments]
    ) -> None:
        check_transport(transport, awaited=False)
        _refuse_awaiting(settings.get("verify"))
        _refuse_awaiting(settings.get("on_warning"), "on_warning", "a listener")
        super().__init__(**settings)
        self._transport = transport or sync_transport(self._core.access, self._core.engine)
        self._sleep: Callable[[float], None] = time.sleep
        self.chat = Chat(self._create)

    def plan(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        budget: BudgetLike | Sequence[BudgetLike] | None = None,
        verify: VerifierLike = None,
        **arguments: Unpack[CallArguments],
    ) -> Plan:
        """Decide and forecast a request without sending, reserving or spending anything.

        `model` may name any candidate of the catalogue, or several; hosts need no key for this.
        """
        request = self._core.request(messages, arguments)
        services = self._core.services_for(budget, verify, spending=False)
        planned = flow.plan(request, services)
        return Drive(planned, self._core.ledger, self._transport).run()

    def plan_job(
        self,
        requests: Iterable[Sequence[Mapping[str, Any]] | Mapping[str, Any]],
        *,
        within: timedelta | float | None = None,
        budget: BudgetLike | Sequence[BudgetLike] | None = None,
        **arguments: Unpack[CallArguments],
    ) -> JobPlan:
        """Forecast many requests as a total, without sending, reserving or spending anything.

        Each is a list of messages, or a mapping of arguments of `create` with "messages", over
        those given here. "turns" in it makes it a conversation of so many, forecast from the
        first. Each is planned as if it came alone; `JobPlan.budgets` says whether all fit. Costs
        are those of calls sent now, ceilings those of calls sent `within` from now on: a span,
        or seconds; 24 hours if it is left out.

        Raises:
            RouterError: as in `plan`; a note says which request.
        """
        services = self._core.services_for(budget, None, spending=False)
        planned = plan_job(requests, self._job_request(arguments), services, within)
        return Drive(planned, self._core.ledger, self._transport).run()

    def batch(
        self,
        requests: Iterable[Sequence[Mapping[str, Any]] | Mapping[str, Any]],
        *,
        concurrency: int = 8,
        warm: bool = True,
        on_answer: Seen | None = None,
        budget: BudgetLike | Sequence[BudgetLike] | None = None,
        verify: VerifierLike = None,
        **arguments: Unpack[CallArguments],
    ) -> list[ChatCompletion | Exception]:
        """Answer many requests, up to `concurrency` at once; answers are in the order given.

        Each is a list of messages, or a mapping of arguments of `create` with "messages", over
        those given here, and each goes its own way: `budget` caps each, and one that fails is an
        error in the list. They are sent in the order that shares prefixes. Where a host needs an
        answer, and time, before a prefix can be read from its cache, one goes first, and those
        that share with it wait; `warm=False` sends them at once. `on_answer(position, answer)` is
        called as each comes, in the worker threads, several at once; what it raises is logged.

        An interrupt starts nothing more, and is raised when what is under way has been settled:
        its `answers` are those that came, in the order given, None where there is none.

        Raises:
            RouterError: before anything is sent; a note says which request.
        """
        self._core.check_open()
        _refuse_awaiting(verify)
        _refuse_awaiting(on_answer, "on_answer", "a listener")
        asked = checked(requests, self._job_request(arguments), concurrency, on_answer)
        services = self._core.services_for(budget, verify, spending=True)

        def answer(position: int) -> tuple[ChatCompletion, CacheRule | None]:
            # Taken for each: a long batch outlives the prices that it began with.
            current = self._core.services_for(budget, verify, spending=True)
            made = self._answer(asked[position], current)
            return made, rule_of(made.route, current)

        return run(
            lined_up(asked, services, warm=warm),
            answer,
            concurrency=concurrency,
            clock=services.monotonic,
            seen=on_answer,
        )

    def _create(
        self, messages: Any, budget: Any, verify: Any, arguments: Mapping[str, Any]
    ) -> ChatCompletion | CompletionStream:
        self._core.check_open()
        _refuse_awaiting(verify)
        request = self._core.request(messages, arguments)
        services = self._core.services_for(budget, verify, spending=True)
        if request.stream:
            return CompletionStream.start(self._drive(request, services))
        return self._answer(request, services)

    def _drive(self, request: Request, services: Services) -> Drive[Result]:
        return Drive(
            flow.complete(request, services),
            self._core.ledger,
            self._transport,
            self._sleep,
            self._core.cache,
        )

    def _answer(self, request: Request, services: Services) -> ChatCompletion:
        drive = self._drive(request, services)
        try:
            reply, route = drive.run()
        except UsageError as error:
            with_completion(error)
            raise
        assert reply is not None
        from router.completion import completion_from

        return completion_from(reply, route)

    def feedback(self, request_id: str, score: bool | float, *, by: str = "feedback") -> None:
        """Tell how good an answer was: True, False, or from 0 to 1. `by` says whose word that is.

        The ledger keeps the grade, for reports and tuning, and the scorer learns from it, where
        `request_id` (`route.request_id`) is one of the latest 10,000 of this client. Each answer
        is learned from once, by feedback or by a verifier; the ledger has one grade by each.

        Raises:
            UnknownRequestError: the request is neither remembered nor in the ledger; see `learn`.
            AlreadyGradedError: it was learned from before; a note says if the ledger kept this.
            InvalidRequestError: `score` is no grade.
            ConfigError: a scorer of your own that does not learn; the ledger has kept the grade.
            LedgerError: the ledger could not keep it; nothing was learned.
        """
        self._feedback(request_id, score, by)

    def close(self) -> None:
        """Close connections, and the ledger unless it was handed in."""
        try:
            self._core.close()
        finally:
            self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self.close()
        except LedgerError as failed:
            if error is None:
                raise
            error.add_note(f"closing the client: {failed}")


def _refuse_awaiting(given: object, name: str = "verify", what: str = "a verifier") -> None:
    if inspect.iscoroutinefunction(given):
        raise ConfigError(f"{name}: only AsyncClient awaits {what}; pass a plain function")
