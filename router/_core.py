"""What `Client` and `AsyncClient` share: settings, the portfolio, the parts that decide."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, get_args
from zipfile import BadZipFile

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
from router.budgets.warning import BudgetWarning
from router.catalog import Catalog
from router.errors import ConfigError, UsageError
from router.feedback import Memory
from router.horizon import Unpriced
from router.ledgers import Ledger
from router.ledgers.manage import Budgets
from router.ledgers.open import (
    OnLedgerError,
    default_ledger,
    open_ledger,
    server_url,
    state_directory,
)
from router.pace import Pace
from router.portfolio import Portfolio
from router.prompts.prefix import PrefixIndex
from router.responses import ResponseCache
from router.scoring import Scorer
from router.services import Services, cache_rules
from router.telemetry import Telemetry
from router.transports.access import Access
from router.types import Request


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
        base_urls: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        timeout: float = 600.0,
        max_retries: int = 2,
        metric_tags: Sequence[str] = (),
        scorer: Scorer | str | Path | None = None,
        verify: Verifier | None = None,
        unpriced: Unpriced = None,
        strict_usage: bool = False,
        on_warning: Callable[[BudgetWarning], Any] | None = None,
        on_ledger_error: OnLedgerError = "deny",
        cache: ResponseCache | str | Path | None = None,
        now: Callable[[], datetime] = utcnow,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        _check_kinds(policy, ledger, catalog, keys, base_urls, tags)
        _check_verifier(verify)
        if not (on_warning is None or callable(on_warning)):
            raise ConfigError(f"on_warning: expected a function, got {on_warning!r}")
        if on_ledger_error not in get_args(OnLedgerError):
            expected = ", ".join(map(repr, get_args(OnLedgerError)))
            raise ConfigError(f"on_ledger_error: expected {expected}, got {on_ledger_error!r}")
        if not (cache is None or isinstance(cache, (str, Path, ResponseCache))):
            raise ConfigError(f"cache: expected a directory or a ResponseCache, got {cache!r}")
        if unpriced not in {None, "deny", "ceiling"}:
            raise ConfigError(f"unpriced: expected None, 'deny' or 'ceiling', got {unpriced!r}")
        if not (scorer is None or isinstance(scorer, (str, Path)) or hasattr(scorer, "score")):
            raise ConfigError(f"scorer: expected a path, or an object with score, got {scorer!r}")
        env = os.environ if environ is None else environ
        self.access = Access(environ=env, keys=keys or {}, base_urls=base_urls or {})
        self.budgets = budgets_from(budgets)
        self.tags = dict(tags or {})
        self.timeout, self.max_retries = timeout, max_retries
        self.now = now
        self.portfolio = Portfolio(
            _catalog(catalog), self.access, hosts=_names(hosts), names=_names(candidates), at=now()
        )
        self.memory = Memory()
        self._policy = policy
        self._scorer_at = scorer
        self._scorer: Scorer | None = None
        self._verify = verify
        self._unpriced, self._strict_usage = unpriced, bool(strict_usage)
        self._telemetry = Telemetry(metric_tags)
        self._prefixes, self._pace = PrefixIndex(), Pace()
        self._on_warning, self._on_ledger_error = on_warning, on_ledger_error
        self._told: set[tuple[str, datetime, float]] = set()
        self._ledger: Ledger | None = None
        self._ledger_at = default_ledger(env) if ledger is None else ledger
        if isinstance(self._ledger_at, (str, Path)):
            server_url(self._ledger_at, "CENTROUTE_LEDGER" if ledger is None else "ledger")
        self._own_cache = isinstance(cache, (str, Path))
        self.cache = ResponseCache(cache, now=now) if isinstance(cache, (str, Path)) else cache
        self.budget_desk = Budgets(self.budgets, lambda: self.ledger, self.tags, now)
        self._services: Services | None = None
        self._closed = False
        self._lock = threading.RLock()

    @property
    def ledger(self) -> Ledger:
        """The ledger; the default is a file in the user's state directory."""
        with self._lock:
            if self._ledger is None:
                state = state_directory(self.access.environ)
                self._ledger = open_ledger(self._ledger_at, self._on_ledger_error, state)
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
                self._scorer = _loaded(at) if at is None or isinstance(at, (str, Path)) else at
            return self._scorer

    @property
    def ready(self) -> bool:
        """Whether the parts that decide are put together already."""
        return self._services is not None

    def services(self) -> Services:
        """The parts that decide, put together at the first request."""
        with self._lock:
            if self._services is None:
                from policies import load_policy
                from router import tokens
                from router.transports.replay import unfit

                self.portfolio.discover()
                policy = self._policy
                if policy is None or isinstance(policy, (str, Path)):
                    try:
                        policy = load_policy(policy or "balanced")
                    except ValueError as error:  # policies know nothing of our errors
                        raise ConfigError(str(error)) from None
                places = self.access.fingerprint(self.catalog.hosts)
                self._services = Services(
                    catalog=self.catalog,
                    candidates=self.portfolio.configured,
                    scorer=self.scorer,
                    count_input=tokens.count_messages,
                    count_text=tokens.count,
                    policy=policy,
                    budgets=self.budgets,
                    prefixes=self._prefixes,
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
                    told=self._told,
                    cache=None if self.cache is None else cache_rules(policy, self.cache, places),
                )
            return self._services

    def request(self, messages: Any, arguments: Mapping[str, Any]) -> Request:
        """A checked request out of the arguments of a call; see `request_from`."""
        return request_from(
            messages,
            arguments,
            tags=self.tags,
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
            _check_verifier(verify or None)
            services = replace(services, verify=verify or None)
        if budget is not None:
            services = replace(services, budgets=(*self.budgets, *budgets_from(budget, "request")))
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


def _catalog(given: Catalog | CatalogSource | Sequence[CatalogSource] | None) -> Catalog:
    if isinstance(given, Catalog):
        return given
    if given is None:
        return Catalog.default()
    if isinstance(given, (str, Path, Mapping)):
        return Catalog.default().overlay(given)
    return Catalog.default().overlay(*given)


def _check_kinds(policy: object, ledger: object, catalog: object, *mappings: object) -> None:
    """Refuse settings of a wrong kind at once, not at the first request."""
    if not (policy is None or isinstance(policy, (str, Path)) or callable(policy)):
        raise ConfigError(f"policy: expected a preset, a file or a callable, got {policy!r}")
    if not (ledger is None or isinstance(ledger, (str, Path)) or hasattr(ledger, "reserve")):
        kind = type(ledger).__name__  # its repr may show a password
        raise ConfigError(f"ledger: expected a path, a URL or a ledger, got {kind}")
    if isinstance(catalog, (int, float, bytes)):
        raise ConfigError(f"catalog: expected a file, a mapping or a catalogue, got {catalog!r}")
    for name, mapping in zip(("keys", "base_urls", "tags"), mappings, strict=True):
        if mapping is None:
            continue
        if not isinstance(mapping, Mapping) or not all(
            isinstance(k, str) and isinstance(v, str) for k, v in mapping.items()
        ):
            raise ConfigError(f"{name}: expected a dict of texts by name")


def _names(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    return (given,) if isinstance(given, str) else None if given is None else tuple(given)


def _check_verifier(verify: object) -> None:
    if not (verify is None or callable(verify)):
        raise ConfigError(f"verify: expected a function of the answer, got {verify!r}")


def _loaded(at: str | Path | None) -> Scorer:
    """The scorer saved at this path; of no path the shipped one."""
    if at is None:
        from classifiers.runtime import load_default

        return load_default()
    from classifiers.runtime import load_scorer

    try:
        return load_scorer(Path(at))
    except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
        raise ConfigError(f"scorer: cannot use {str(at)!r}: {error}") from error
