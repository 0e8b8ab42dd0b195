"""`Client`: OpenAI-shaped calls that know their price, keep to budgets and say why.

`AsyncClient` (`client_async.py`) differs only in how it drives the same flow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, Unpack

from router import flow
from router._arguments import BudgetLike, CallArguments, ClientArguments
from router._core import Core
from router._drive import Drive
from router.budgets.status import BudgetStatus, status
from router.chat import Chat, CompletionStream
from router.transports import Transport
from router.transports.live import sync_transport
from router.types import Plan

if TYPE_CHECKING:
    from router.catalog import Candidate, Catalog
    from router.completion import ChatCompletion
    from router.reports import Report


class BaseClient:
    """What both clients offer without a call to a model."""

    def __init__(self, **settings: Unpack[ClientArguments]) -> None:
        self._core = Core(**settings)

    @property
    def catalog(self) -> Catalog:
        """The catalogue in use."""
        return self._core.catalog

    def candidates(self, model: str = "auto") -> tuple[Candidate, ...]:
        """The candidates that `model` stands for now, in this client's configuration."""
        self._core.services()
        return tuple(self._core.portfolio.configured((model,), self._core.now()))

    def status(self, tags: Mapping[str, str] | None = None) -> list[BudgetStatus]:
        """Limit, spend and remainder of each budget that a request with these tags would meet."""
        core = self._core
        return status(core.budgets, core.ledger, core.tags | dict(tags or {}), core.now())

    def report(
        self,
        by: str | Sequence[str] = ("day", "model"),
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        tz: str = "UTC",
    ) -> Report:
        """Spend from the ledger, grouped; see `router.reports.spend.report_from`."""
        from router.catalog.rates import aware
        from router.reports import report_from

        entries = self._core.ledger.entries(
            since=since and aware(since), until=until and aware(until)
        )
        return report_from(entries, by=by, tz=tz)


class Client(BaseClient):
    """A synchronous client. Without any key it replays recorded outcomes of real models.

    Settings (all optional): `hosts` or `candidates` to choose from, `catalog` overlays, `policy`
    (a preset's name, a TOML file or a callable), `budgets`, `ledger` (a path), `keys` and
    `base_urls` by host, `tags` for every request, `timeout` (seconds) and `max_retries`.
    Thread-safe. Close it, or use it in a `with` statement.

    >>> from router import Client, recorded_prompts
    >>> client = Client(ledger=":memory:", budgets="0.01")
    >>> question = recorded_prompts(source="zeroeval")[0].prompt
    >>> reply = client.chat.completions.create([{"role": "user", "content": question}])
    >>> reply.route.host
    'replay'
    """

    def __init__(
        self, *, transport: Transport | None = None, **settings: Unpack[ClientArguments]
    ) -> None:
        super().__init__(**settings)
        self._transport = transport or sync_transport(self._core.access)
        self.chat = Chat(self._create)

    def plan(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        budget: BudgetLike | Sequence[BudgetLike] | None = None,
        **arguments: Unpack[CallArguments],
    ) -> Plan:
        """Decide and forecast a request without sending, reserving or spending anything.

        `model` may name any candidate of the catalogue, or several; hosts need no key for this.
        """
        request = self._core.request(messages, arguments)
        services = self._core.services_for(budget, spending=False)
        planned = flow.plan(request, services)
        return Drive(planned, self._core.ledger, self._transport).run()

    def _create(
        self, messages: Any, budget: Any, arguments: Mapping[str, Any]
    ) -> ChatCompletion | CompletionStream:
        self._core.check_open()
        request = self._core.request(messages, arguments)
        services = self._core.services_for(budget, spending=True)
        drive = Drive(flow.complete(request, services), self._core.ledger, self._transport)
        if request.stream:
            return CompletionStream.start(drive)
        reply, route = drive.run()
        assert reply is not None
        from router.completion import completion_from

        return completion_from(reply, route)

    def close(self) -> None:
        """Close connections, and the ledger unless it was handed in."""
        self._core.close()
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
