"""`AsyncClient`: the same calls for an event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from router import flow
from router._arguments import BudgetLike, CallArguments, ClientArguments, VerifierLike
from router._core import with_completion
from router._drive import Drive
from router._drive_async import AsyncDrive, to_its_end
from router._settings import check_transport
from router.batch import Seen, checked, lined_up, rule_of
from router.batch_async import run_async
from router.chat import Result
from router.chat_async import AsyncChat, AsyncCompletionStream
from router.client_base import BaseClient, spelled_out
from router.errors import LedgerError, UsageError
from router.job import plan_job
from router.jobplan import JobPlan
from router.services import Services
from router.transports import AsyncTransport, Transport
from router.transports.live import async_transport
from router.types import Plan, Request

if TYPE_CHECKING:
    from router.completion import ChatCompletion
    from router.prompts.rule import CacheRule

_LEDGER_THREADS = 16


class AsyncClient(BaseClient):
    """The same for an event loop; takes the same settings as `Client`."""

    @spelled_out
    def __init__(
        self, *, transport: AsyncTransport | None = None, **settings: Unpack[ClientArguments]
    ) -> None:
        check_transport(transport, awaited=True)
        super().__init__(**settings)
        self._transport = transport or async_transport(self._core.access, self._core.engine)
        self._executor = _ledger_threads()
        self._pid = os.getpid()
        self.chat = AsyncChat(self._create)

    async def plan(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        budget: BudgetLike | Sequence[BudgetLike] | None = None,
        verify: VerifierLike = None,
        **arguments: Unpack[CallArguments],
    ) -> Plan:
        """Decide and forecast a request; see `Client.plan`."""
        request = self._core.request(messages, arguments)
        await self._prepare()
        services = self._core.services_for(budget, verify, spending=False)
        planned = flow.plan(request, services)
        return await AsyncDrive(planned, self._core.ledger, self._transport, self._executor).run()

    async def plan_job(
        self,
        requests: Iterable[Sequence[Mapping[str, Any]] | Mapping[str, Any]],
        *,
        within: timedelta | float | None = None,
        budget: BudgetLike | Sequence[BudgetLike] | None = None,
        **arguments: Unpack[CallArguments],
    ) -> JobPlan:
        """Forecast many requests as a total; see `Client.plan_job`.

        Works in a thread of its own, which takes `requests` one by one.
        """
        await self._prepare()
        services = self._core.services_for(budget, None, spending=False)
        planned = plan_job(requests, self._job_request(arguments), services, within)
        # A plan sends nothing, and ledgers are safe to read from any thread.
        drive = Drive(planned, self._core.ledger, cast("Transport", None))
        return await asyncio.to_thread(drive.run)

    async def batch(
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
        """Answer many requests; see `Client.batch`.

        `on_answer` is called on the event loop, and may be a coroutine function; a request's place
        is taken until it has ended. Cancelled, the batch ends when what was under way has been
        settled. The CancelledError, in an `asyncio.timeout` the cause of its TimeoutError, has the
        `answers` that came.
        """
        self._core.check_open()
        asked = checked(requests, self._job_request(arguments), concurrency, on_answer)
        await self._prepare()
        services = self._core.services_for(budget, verify, spending=True)

        async def answer(position: int) -> tuple[ChatCompletion, CacheRule | None]:
            # Taken for each: a long batch outlives the prices that it began with.
            current = self._core.services_for(budget, verify, spending=True)
            made = await self._answer(asked[position], current)
            return made, rule_of(made.route, current)

        return await run_async(
            await asyncio.to_thread(lined_up, asked, services, warm=warm),
            answer,
            concurrency=concurrency,
            clock=services.monotonic,
            seen=on_answer,
        )

    async def _create(
        self, messages: Any, budget: Any, verify: Any, arguments: Mapping[str, Any]
    ) -> ChatCompletion | AsyncCompletionStream:
        self._core.check_open()
        request = self._core.request(messages, arguments)
        await self._prepare()
        services = self._core.services_for(budget, verify, spending=True)
        if request.stream:
            return await AsyncCompletionStream.start(self._drive(request, services))
        return await self._answer(request, services)

    def _drive(self, request: Request, services: Services) -> AsyncDrive[Result]:
        return AsyncDrive(
            flow.complete(request, services),
            self._core.ledger,
            self._transport,
            self._executor,
            self._core.cache,
        )

    async def _answer(self, request: Request, services: Services) -> ChatCompletion:
        drive = self._drive(request, services)
        try:
            reply, route = await drive.run()
        except UsageError as error:
            with_completion(error)
            raise
        assert reply is not None
        from router.completion import completion_from

        return completion_from(reply, route)

    def _threads(self) -> ThreadPoolExecutor:
        if self._pid != os.getpid():  # threads do not live on in a fork
            self._executor, self._pid = _ledger_threads(), os.getpid()
        return self._executor

    async def _prepare(self) -> None:
        # The first request reads weights and asks one's own servers what they serve.
        self._threads()
        if not self._core.ready:
            await asyncio.to_thread(self._core.services)

    async def feedback(
        self, request_id: str, score: bool | float, *, by: str = "feedback"
    ) -> None:
        """Tell how good an answer was; see `Client.feedback`.

        Works in a thread. Cancelled, it ends when the grade is kept and learned, or has failed.

        Raises:
            ConfigError: also when the client is closed.
        """
        self._core.check_open()
        await to_its_end(self._threads(), self._feedback, request_id, score, by)

    async def close(self) -> None:
        """Close connections, and the ledger unless it was handed in."""
        try:
            await asyncio.to_thread(self._core.close)
        finally:
            await self._transport.close()
            # What still waits for the ledger may take long, and need this very loop.
            await asyncio.to_thread(self._executor.shutdown)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            await self.close()
        except LedgerError as failed:
            if error is None:
                raise
            error.add_note(f"closing the client: {failed}")


def _ledger_threads() -> ThreadPoolExecutor:
    # Those who wait for the ledger at once share a commit.
    return ThreadPoolExecutor(_LEDGER_THREADS, thread_name_prefix="centroute-ledger")
