"""Spans and metrics through opentelemetry-api alone; every name we emit is in `names`.

Tokens and money, and no more: tags, prompts and answers only where that was opted in. Nothing
here configures a provider or exporter: that is the application's. Where none is configured, a
call costs two looks at whether there is one.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from router.budgets import Budget
from router.catalog import Candidate, Catalog
from router.errors import BudgetExceededError, RouterError
from router.ledgers import Ledger
from router.outlook import Forecast
from router.telemetry import budgets, names, pools
from router.telemetry.content import capture_of
from router.telemetry.gauges import register
from router.telemetry.instruments import Instruments
from router.telemetry.labels import Labels
from router.telemetry.measures import measure
from router.telemetry.observation import Ending, Observation
from router.telemetry.source import Source
from router.telemetry.spans import begun, dollars, ended
from router.telemetry.stores import Stores
from router.telemetry.timed import timed
from router.types import Call, Cost, Reply, Request, Route, Usage

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

__all__ = ["Ending", "Observation", "Telemetry"]

_log = logging.getLogger("router")
E = TypeVar("E")


class Telemetry:
    """What one client emits: a span and metrics for each attempt, gauges of budgets and replicas.

    `metric_tags` are the request tags that become labels and span attributes, `span_tags` those
    of spans only; no other tag is recorded. Of each 100 values are told apart, and 240 sets of
    values together with candidate and policy: what comes later is counted under the tag "other",
    with one warning, so that sums by candidate stay right (`labels`). `environ` chooses the
    generation of names and whether content is captured; `address` answers the base URL of a call,
    without secrets.
    """

    def __init__(
        self,
        metric_tags: Sequence[str] = (),
        *,
        span_tags: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        address: Callable[[Call], str | None] = lambda _: None,
    ) -> None:
        env = environ or {}
        self._metric_tags = tuple(dict.fromkeys(metric_tags))
        self._span_tags = tuple(dict.fromkeys((*metric_tags, *span_tags)))
        self._source = Source(names.generation_of(env.get(names.OPT_IN)))
        self._capture = capture_of(env.get(names.CAPTURE))
        self._address = address
        self._labels = Labels(self._metric_tags)
        self._replicas = pools.Pools()
        self._stores = Stores(self._instruments, self._labels)
        self._accounts: budgets.BudgetGauges | None = None
        self._gauges: dict[str, Callable[[Meter], None]] = {}

    def begin(
        self, call: Call, forecast: Forecast, policy: str, reserved: int | None = None
    ) -> Observation | None:
        """Start the span of an attempt for which `reserved` pico-dollars are set aside (None: no
        budget in dollars holds any).

        None when nobody listens, or when telemetry fails, which never costs an answer.
        """
        try:
            if not self._listens():
                return None
            candidate, tags, source = call.candidate, call.request.tags, self._source
            labels = self._labels.call(candidate, policy, tags)
            self._met(tags, candidate)
        except Exception:
            _log.warning("telemetry could not start", exc_info=True)
            return None
        span = None
        try:
            if source.tracer is not None:
                shown = {tag: tags[tag] for tag in self._span_tags if tag in tags}
                span = begun(source.tracer, call, forecast, policy, reserved, shown, self._address)
                self._capture.asked(span, call)
        except Exception:
            _log.warning("telemetry could not start a span", exc_info=True)
        return Observation(call, forecast, labels, reserved, span, source.instruments)

    def end(
        self,
        observed: Observation | None,
        *,
        seconds: float,
        usage: Usage | None = None,
        cost: Cost | None = None,
        response: Mapping[str, Any] | None = None,
        finish_reason: str | None = None,
        outcome: str = "ok",
        first_chunk: float | None = None,
        texts: Sequence[str] = (),
        booked: bool = True,
    ) -> None:
        """End the span and record the metrics of an attempt; see `Ending` for what is told."""
        if observed is None:
            return
        ending = Ending(
            seconds=seconds,
            usage=usage,
            cost=cost,
            response=response,
            finish_reason=finish_reason,
            outcome=outcome,
            first_chunk=first_chunk,
            texts=texts,
            booked=booked,
        )
        try:
            if observed.instruments is not None:
                measure(observed.instruments, observed, ending, self._labels)
        except Exception:
            _log.warning("telemetry could not measure a call", exc_info=True)
        try:
            if observed.span is not None:
                generation = self._source.generation
                ended(observed.span, ending, observed.call, generation, self._capture)
        except Exception:
            _log.warning("telemetry could not end a span", exc_info=True)

    def request(
        self,
        line: Generator[E, Any, tuple[Reply | None, Route]],
        request: Request,
        clock: Callable[[], float],
        *,
        away: tuple[type, ...],
        sent: tuple[type, ...],
    ) -> Generator[E, Any, tuple[Reply | None, Route]]:
        """The flow of a request, measured where somebody listens.

        Effects of the kinds `away` are others' time, and not overhead; an error before any of
        `sent` is a refusal. `clock` is monotonic, in seconds.
        """
        try:
            if not self._listens():
                return line
        except Exception:
            _log.warning("telemetry could not start", exc_info=True)
            return line

        def answered(result: tuple[Reply | None, Route], seconds: float) -> None:
            self._overhead(result[1], request.tags, seconds)

        def refused(error: RouterError) -> None:
            by = error if isinstance(error, BudgetExceededError) else None
            self.refused(type(error).__name__, request.tags, by)

        failed = self._stores.raised
        return timed(
            line, clock, away=away, sent=sent, answered=answered, refused=refused, failed=failed
        )

    def refused(
        self,
        error: str,
        tags: Mapping[str, str] | None = None,
        by: BudgetExceededError | None = None,
    ) -> None:
        """Count a request that was refused before anything was sent; `error` is the type, `by`
        says which budget it was.

        A plan that says no is none: nobody asked for an answer.
        """
        try:
            if not self._listens():
                return
            self._met(tags or {})
            if (instruments := self._source.instruments) is not None:
                budget = "" if by is None else budgets.refusing(by, self._accounts)
                labels = self._labels.refusal(error, tags or {}, budget, by.unit if by else "")
                instruments.refusals.add(1, labels)
        except Exception:
            _log.warning("telemetry could not count a refusal", exc_info=True)

    def saved(self, candidate: Candidate, pico: int | None, tags: Mapping[str, str]) -> None:
        """Count what an answer out of the response cache had cost; None: nobody knows."""
        try:
            if not self._listens():
                return
            labels = self._labels.call(candidate, "cache", tags)
            if (instruments := self._source.instruments) is not None and pico is not None:
                instruments.saved.add(dollars(pico), labels)
        except Exception:
            _log.warning("telemetry could not count what was saved", exc_info=True)

    def ledger(
        self, found: Ledger, catalog: Callable[[], Catalog], now: Callable[[], datetime]
    ) -> None:
        """Watch this ledger from now on: late lines, failures of its store, what waits for it."""
        try:
            self._stores.watch(found, catalog, now)
        except Exception:
            _log.warning("telemetry could not watch the whole ledger", exc_info=True)
        self._show("ledgers", self._stores.begin)

    def pools(self, replicas: Callable[[], Iterable[Any]]) -> None:
        """Show one's own replicas from now on: their states (`router.transports.vllm.State`)."""
        self._replicas.replicas = replicas
        pools.showing.add(self._replicas)
        self._show("replicas", lambda meter: register(meter, names.POOLS, pools.showing))

    def budgets(
        self,
        found: Sequence[Budget],
        tags: Mapping[str, str],
        ledger: Callable[[], Ledger | None],
        now: Callable[[], datetime],
    ) -> None:
        """Show what is left of these budgets from now on; none of them ends it.

        `tags` are the client's own, `ledger` answers None while it is not open.
        """
        if self._accounts is not None:
            budgets.showing.discard(self._accounts)
            self._accounts = None
        if found:
            self._accounts = budgets.BudgetGauges(
                found, tags, ledger, now, metric_tags=self._metric_tags
            )
            budgets.showing.add(self._accounts)
            self._show("budgets", lambda meter: register(meter, names.BUDGETS, budgets.showing))

    def selfhosted(
        self,
        endpoint: str,
        utilisation: float,
        usd_per_million_tokens: Mapping[tuple[str, str], float],
    ) -> None:
        """Show how busy one's own fleet is (a part of its capacity), and what a token costs now,
        by basis ("amortised", "marginal") and kind ("input", "cache_read", "output").
        """
        try:
            if not self._listens() or (instruments := self._source.instruments) is None:
                return
            labels = {names.ENDPOINT: endpoint}
            instruments.utilisation.set(utilisation, labels)
            for (basis, kind), usd in usd_per_million_tokens.items():
                more = {names.BASIS: basis, names.TOKEN_TYPE: kind}
                instruments.token_cost.set(usd, labels | more)
        except Exception:
            _log.warning("telemetry could not show a fleet's cost", exc_info=True)

    def _instruments(self) -> Instruments | None:
        return self._source.instruments if self._listens() else None

    def _listens(self) -> bool:
        if not self._source.listening():
            return False
        if self._gauges and (instruments := self._source.instruments) is not None:
            for what in list(self._gauges):
                if (registered := self._gauges.pop(what, None)) is not None:
                    registered(instruments.meter)
        return True

    def _show(self, what: str, registered: Callable[[Meter], None]) -> None:
        """Make gauges, at once or when somebody listens."""
        self._gauges[what] = registered
        if "opentelemetry.metrics" not in sys.modules:
            return  # so nobody has configured an SDK yet, and importing it takes a while
        try:
            self._listens()
        except Exception:
            _log.warning("telemetry could not show the %s", what, exc_info=True)

    def _met(self, tags: Mapping[str, str], candidate: Candidate | None = None) -> None:
        if self._accounts is not None:
            self._accounts.met(tags, candidate)

    def _overhead(self, route: Route, tags: Mapping[str, str], seconds: float) -> None:
        try:
            if (instruments := self._source.instruments) is not None:
                labels = self._labels.served(route.candidate, route.decision.policy, tags)
                instruments.overhead.record(max(0.0, seconds), labels)
        except Exception:
            _log.warning("telemetry could not measure a request", exc_info=True)
