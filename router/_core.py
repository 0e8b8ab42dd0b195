"""What `Client` and `AsyncClient` share: settings, the portfolio, the parts that decide."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from policies.types import Policy
from router._arguments import (
    BudgetLike,
    CatalogSource,
    Verifier,
    VerifierLike,
    budgets_from,
    request_from,
)
from router._clock import utcnow
from router._locks import forkable_again
from router._settings import (
    catalog_of,
    check_ledger,
    check_names,
    check_scorer,
    check_verifier,
    instant_of,
    loaded,
    names_of,
    policy_of,
)
from router._upkeep import Upkeep
from router.budgets.warning import BudgetWarning
from router.catalog import Catalog
from router.errors import ConfigError, LedgerError, RouterError, UsageError
from router.feedback import Memory
from router.horizon import Unpriced
from router.ledgers import Ledger
from router.ledgers.manage import Budgets
from router.ledgers.open import (
    OnLedgerError,
    default_ledger,
    open_ledger,
    state_directory,
)
from router.pace import Pace
from router.portfolio import Portfolio
from router.responses import ResponseCache
from router.scoring import Scorer
from router.services import Services, cache_rules
from router.telemetry import Telemetry
from router.telemetry.baggage import tags_carried
from router.transports.access import Access
from router.types import Request

_ASK_AGAIN = 5.0
"""Seconds after which one's own servers that did not answer are asked again."""
_LOOKING = 0.02
"""Share of the time that may go into finding out what keeps prompt caches from hitting."""


class Core:
    """The settings of a client, and what follows from them. Opens nothing until it is needed."""

    def __init__(
        self,
        *,
        hosts: str | Sequence[str] | None = None,
        candidates: str | Sequence[str] | None = None,
        catalog: Catalog | CatalogSource | Sequence[CatalogSource] | None = None,
        policy: Policy | str | Path | None = None,
        budgets: BudgetLike | Sequence[BudgetLike] | None = (),
        ledger: Ledger | str | Path | None = None,
        keys: Mapping[str, str] | None = None,
        base_urls: Mapping[str, str | Sequence[str]] | None = None,
        tags: Mapping[str, str] | None = None,
        timeout: float = 600.0,
        max_retries: int = 2,
        metric_tags: Sequence[str] = (),
        span_tags: Sequence[str] = (),
        baggage: Sequence[str] = (),
        scorer: Scorer | str | Path | None = None,
        verify: Verifier | None = None,
        unpriced: Unpriced = None,
        strict_usage: bool = False,
        on_warning: Callable[[BudgetWarning], Any] | None = None,
        on_ledger_error: OnLedgerError = "deny",
        cache: ResponseCache | str | Path | None = None,
        log_decisions: bool = False,
        engine: Any = None,
        now: Callable[[], datetime] = utcnow,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        check_verifier(verify)
        env = os.environ if environ is None else environ
        self.access = Access(environ=env, keys=keys or {}, base_urls=base_urls or {})
        self.budgets = budgets_from(budgets)
        self.tags = dict(tags or {})
        self.timeout, self.max_retries = timeout, max_retries
        self.now = now
        self.engine = engine
        self.portfolio = Portfolio(
            catalog_of(catalog, engine),
            self.access,
            hosts=names_of(hosts),
            names=names_of(candidates),
            at=instant_of(now),
        )
        self.portfolio.check_scopes(self.budgets)
        self.memory = Memory()
        self._policy = policy_of(policy)
        if isinstance(scorer, (str, Path)):
            check_scorer(scorer)
        self._scorer_at = scorer
        self._scorer: Scorer | None = None
        self._verify = verify
        self._unpriced, self._strict_usage = unpriced, strict_usage
        self._log_decisions = log_decisions
        check_names(metric_tags=metric_tags, span_tags=span_tags, baggage=baggage)
        self._baggage = tuple(baggage)
        self._scoped = frozenset(name for budget in self.budgets for name in budget.scope)
        self._telemetry = Telemetry(
            metric_tags,
            span_tags=span_tags,
            environ=env,
            address=lambda call: (
                call.base_url or self.access.base_url(call.candidate.host, call.candidate)
            ),
        )
        self._pace = Pace()
        self.upkeep = Upkeep(self.access, self._telemetry)
        self._on_warning, self._on_ledger_error = on_warning, on_ledger_error
        self._ledger: Ledger | None = None
        self._ledger_at = default_ledger(env) if ledger is None else ledger
        if isinstance(self._ledger_at, (str, Path)):
            check_ledger(self._ledger_at, "CENTROUTE_LEDGER" if ledger is None else "ledger")
        self._own_cache = isinstance(cache, (str, Path))
        self.cache = ResponseCache(cache, now=now) if isinstance(cache, (str, Path)) else cache
        self.budget_desk = Budgets(self.budgets, lambda: self.ledger, self.tags, now)
        self._services: Services | None = None
        self._asked = time.monotonic()
        self._closed = False
        self._lock = forkable_again(self)
        # Not the property: a gauge must not open a ledger.
        self._telemetry.budgets(self.budgets, self.tags, lambda: self._ledger, now)

    @property
    def ledger(self) -> Ledger:
        """The ledger; the default is a file in the user's state directory.

        Raises:
            LedgerError: it was in memory, and is gone with `close`.
        """
        if self._closed and str(self._ledger_at) == ":memory:":
            raise LedgerError(
                "this client is closed, and its ledger, which was in memory, is gone; read it "
                "before, or keep it in a file: Client(ledger='spend.sqlite3')"
            )
        with self._lock:
            if self._ledger is None:
                state = state_directory(self.access.environ)
                self._ledger = open_ledger(self._ledger_at, self._on_ledger_error, state)
                self._telemetry.ledger(self._ledger, lambda: self.catalog, self.now)
            return self._ledger

    @property
    def catalog(self) -> Catalog:
        """The catalogue, with what one's own servers were found to serve."""
        return self.portfolio.catalog

    @property
    def scorer(self) -> Scorer:
        """The scorer, read when it is first needed."""
        with self._lock:
            if self._scorer is None:
                at = self._scorer_at
                self._scorer = loaded(at) if at is None or isinstance(at, (str, Path)) else at
            return self._scorer

    @property
    def ready(self) -> bool:
        """Whether the parts that decide are put together already."""
        return self._services is not None

    def services(self) -> Services:
        """The parts that decide, put together at the first request."""
        with self._lock:
            if self._services is None:
                from router import tokens
                from router.prompts.drift import Drift
                from router.transports.replay import unfit

                self.portfolio.discover()
                places = self.access.fingerprint(self.catalog.hosts)
                self._services = Services(
                    catalog=self.catalog,
                    candidates=self.portfolio.configured,
                    scorer=self.scorer,
                    read_input=tokens.encode_messages,
                    count_text=tokens.count,
                    policy=self._policy,
                    budgets=self.budgets,
                    places=self.upkeep.places(self.catalog, self.portfolio.served),
                    telemetry=self._telemetry,
                    unfit=unfit,
                    now=self.now,
                    monotonic=time.monotonic,
                    random=random.random,
                    verify=self._verify,
                    memory=self.memory,
                    pace=self._pace,
                    unpriced=self._unpriced,
                    strict_usage=self._strict_usage,
                    on_warning=self._on_warning,
                    told=set(),
                    drift=Drift(share=_LOOKING),
                    log_decisions=self._log_decisions,
                    cache=None
                    if self.cache is None
                    else cache_rules(self._policy, self.cache, places),
                )
            elif (catalog := self.upkeep.refreshed(self.catalog, self.now())) is not None:
                self.portfolio.catalog = catalog
                self._services = replace(self._services, catalog=catalog)
            elif self.portfolio.silent and time.monotonic() - self._asked > _ASK_AGAIN:
                self._asked = time.monotonic()
                threading.Thread(target=self._ask_again, daemon=True).start()
            return self._services

    def _ask_again(self) -> None:
        """Ask servers that did not answer at first; nobody waits for it."""
        with suppress(RouterError):
            again = self.portfolio.ask_again()
            with self._lock:
                if self.portfolio.found(again) and self._services is not None:
                    self.upkeep.found(again)
                    self._services = replace(self._services, catalog=self.catalog)

    def request(self, messages: Any, arguments: Mapping[str, Any]) -> Request:
        """A checked request out of the arguments of a call; see `request_from`."""
        return request_from(
            messages,
            arguments,
            tags={**tags_carried(self._baggage, self._scoped), **self.tags},
            timeout=self.timeout,
            max_retries=self.max_retries,
        )

    def services_for(
        self,
        budget: BudgetLike | Sequence[BudgetLike] | None,
        verify: VerifierLike = None,
        *,
        spending: bool,
    ) -> Services:
        """Services with what this call adds; a plan may name hosts without a key."""
        services = self.services()
        if verify is not None:
            check_verifier(verify or None)
            services = replace(services, verify=verify or None)
        if budget is not None:
            own = budgets_from(budget, "request")
            self.portfolio.check_scopes(own)
            services = replace(services, budgets=(*self.budgets, *own))
        if not spending:
            services = replace(services, candidates=self.portfolio.known)
        return services

    def check_open(self) -> None:
        """Raise ConfigError after `close`: before anything is reserved."""
        if self._closed:
            raise ConfigError("this client is closed; make a new one")

    def close(self) -> None:
        """Close the ledger, unless it was handed in; the client sends no more."""
        self._closed = True
        self._telemetry.budgets((), {}, lambda: None, self.now)
        self.upkeep.close()
        try:
            if self._ledger is not None and self._ledger is not self._ledger_at:
                self._ledger.close()
        finally:
            if self.cache is not None and self._own_cache:
                self.cache.close()


def with_completion(error: UsageError) -> None:
    """Give the error the answer as a completion: it is paid for, so nothing of it is lost."""
    from router.completion import completion_from

    parts = vars(error)
    if parts.get("reply") is not None:
        parts["completion"] = completion_from(parts["reply"], parts["route"])
