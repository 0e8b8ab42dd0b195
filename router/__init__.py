"""Cost-aware routing and budgeting for large language models: `from router import Client`.

The names below are the public surface. They are loaded when first used: importing this package
touches neither the network nor any file but its own, and loads no numpy, scikit-learn or
tiktoken.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from router._siblings import check as _check_siblings

_check_siblings()

if TYPE_CHECKING:
    from classifiers.prompt import Prompt
    from classifiers.runtime import Scorer
    from classifiers.scores import Quantiles, Score
    from policies import (
        Context,
        Decision,
        Policy,
        Purse,
        Quote,
        cascade,
        cheapest,
        cheapest_adequate,
        constrained,
        explore,
        fingerprint,
        first_of,
        from_spec,
        ladder,
        load_policy,
        pacing,
        presets,
        restrict,
        sparing,
        threshold,
        to_spec,
        utility,
    )
    from router import bills as bills
    from router import reports as reports
    from router import testing as testing
    from router import tuning as tuning
    from router.bills import (
        Reconciliation,
        Repriced,
        Tolerance,
        read_invoice,
        reconcile,
        reprice,
    )
    from router.budgets import Budget, load_budgets
    from router.budgets.warning import BudgetWarning
    from router.catalog import Candidate, Catalog, Rates
    from router.chat import CompletionStream
    from router.chat_async import AsyncCompletionStream
    from router.client import Client
    from router.client_async import AsyncClient
    from router.completion import ChatCompletion, ChatCompletionChunk
    from router.errors import (
        AlreadyGradedError,
        AuthenticationError,
        BadRequestError,
        BadResponseError,
        BudgetExceededError,
        BudgetFrozenError,
        CatalogError,
        ConfigError,
        ConnectionFailedError,
        ContextLengthError,
        CorruptLedgerError,
        DeferredError,
        InsufficientBalanceError,
        InvalidBudgetError,
        InvalidParameterError,
        InvalidRequestError,
        LedgerError,
        MissingKeyError,
        NoCandidateError,
        ProviderError,
        ProviderTimeoutError,
        RateLimitError,
        RecordError,
        ReplayMissError,
        RetiredModelError,
        RouterError,
        ScorerError,
        ServerError,
        UnknownHostError,
        UnknownModelError,
        UnknownRequestError,
        UnpricedModelError,
        UsageError,
    )
    from router.jobplan import JobPlan
    from router.ledgers import Adjustment, Grade
    from router.ledgers.lease import LeasedLedger
    from router.ledgers.postgres import PostgresLedger
    from router.ledgers.sqlite import SQLiteLedger
    from router.ledgers.status import BudgetStatus
    from router.prompts.prompt import PromptBuilder
    from router.record import DecisionRecord
    from router.reports import Report
    from router.responses import ResponseCache
    from router.transports.recording import recorded_prompts
    from router.types import Cost, Forecast, Plan, Route, Usage
    from router.webhook import Webhook

    __version__: str

_ERRORS = (
    "AlreadyGradedError AuthenticationError BadRequestError BadResponseError BudgetExceededError "
    "BudgetFrozenError CatalogError ConfigError ConnectionFailedError ContextLengthError "
    "CorruptLedgerError DeferredError InsufficientBalanceError InvalidBudgetError "
    "InvalidParameterError InvalidRequestError LedgerError MissingKeyError NoCandidateError "
    "ProviderError ProviderTimeoutError RateLimitError RecordError ReplayMissError "
    "RetiredModelError RouterError ScorerError ServerError UnknownHostError UnknownModelError "
    "UnknownRequestError UnpricedModelError UsageError"
)
_POLICIES = (
    "Context Decision Policy Purse Quote cascade cheapest cheapest_adequate constrained explore "
    "fingerprint first_of from_spec ladder load_policy pacing presets restrict sparing threshold "
    "to_spec utility"
)
_HOMES = {
    "classifiers.prompt": "Prompt",
    "classifiers.runtime": "Scorer",
    "classifiers.scores": "Quantiles Score",
    "policies": _POLICIES,
    "router.bills": "Reconciliation Repriced Tolerance read_invoice reconcile reprice",
    "router.budgets": "Budget load_budgets",
    "router.ledgers": "Adjustment Grade",
    "router.ledgers.lease": "LeasedLedger",
    "router.ledgers.postgres": "PostgresLedger",
    "router.ledgers.sqlite": "SQLiteLedger",
    "router.ledgers.status": "BudgetStatus",
    "router.budgets.warning": "BudgetWarning",
    "router.catalog": "Candidate Catalog Rates",
    "router.chat": "CompletionStream",
    "router.chat_async": "AsyncCompletionStream",
    "router.client": "Client",
    "router.client_async": "AsyncClient",
    "router.completion": "ChatCompletion ChatCompletionChunk",
    "router.errors": _ERRORS,
    "router.jobplan": "JobPlan",
    "router.prompts.prompt": "PromptBuilder",
    "router.record": "DecisionRecord",
    "router.reports": "Report",
    "router.responses": "ResponseCache",
    "router.transports.recording": "recorded_prompts",
    "router.types": "Cost Forecast Plan Route Usage",
    "router.webhook": "Webhook",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
_SUBMODULES = ("bills", "reports", "testing", "tuning")
_REFUSING = {"policies": "policies._check", "classifiers.runtime": "classifiers.checks"}
"""Where siblings keep which error a parameter is refused with: ours, which they cannot import."""

__all__ = [
    "Adjustment",
    "AlreadyGradedError",
    "AsyncClient",
    "AsyncCompletionStream",
    "AuthenticationError",
    "BadRequestError",
    "BadResponseError",
    "Budget",
    "BudgetExceededError",
    "BudgetFrozenError",
    "BudgetStatus",
    "BudgetWarning",
    "Candidate",
    "Catalog",
    "CatalogError",
    "ChatCompletion",
    "ChatCompletionChunk",
    "Client",
    "CompletionStream",
    "ConfigError",
    "ConnectionFailedError",
    "Context",
    "ContextLengthError",
    "CorruptLedgerError",
    "Cost",
    "Decision",
    "DecisionRecord",
    "DeferredError",
    "Forecast",
    "Grade",
    "InsufficientBalanceError",
    "InvalidBudgetError",
    "InvalidParameterError",
    "InvalidRequestError",
    "JobPlan",
    "LeasedLedger",
    "LedgerError",
    "MissingKeyError",
    "NoCandidateError",
    "Plan",
    "Policy",
    "PostgresLedger",
    "Prompt",
    "PromptBuilder",
    "ProviderError",
    "ProviderTimeoutError",
    "Purse",
    "Quantiles",
    "Quote",
    "RateLimitError",
    "Rates",
    "Reconciliation",
    "RecordError",
    "ReplayMissError",
    "Report",
    "Repriced",
    "ResponseCache",
    "RetiredModelError",
    "Route",
    "RouterError",
    "SQLiteLedger",
    "Score",
    "Scorer",
    "ScorerError",
    "ServerError",
    "Tolerance",
    "UnknownHostError",
    "UnknownModelError",
    "UnknownRequestError",
    "UnpricedModelError",
    "Usage",
    "UsageError",
    "Webhook",
    "cascade",
    "cheapest",
    "cheapest_adequate",
    "constrained",
    "explore",
    "fingerprint",
    "first_of",
    "from_spec",
    "ladder",
    "load_budgets",
    "load_policy",
    "pacing",
    "presets",
    "read_invoice",
    "reconcile",
    "recorded_prompts",
    "reprice",
    "restrict",
    "sparing",
    "threshold",
    "to_spec",
    "utility",
]


if not TYPE_CHECKING:  # a checker that saw it would take every misspelt name for an Any

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            return version("centroute")
        if name in _SUBMODULES:
            return import_module(f"router.{name}")
        if name not in _HOME_OF:
            raise AttributeError(f"module 'router' has no attribute {name!r}")
        home = _HOME_OF[name]
        found = getattr(import_module(home), name)
        if home in _REFUSING:
            from router.errors import InvalidParameterError

            import_module(_REFUSING[home]).refuse_as(InvalidParameterError)
        if isinstance(found, type):
            found.__module__ = (
                "router"  # what users read in reprs and tracebacks is what they import
            )
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted([*_HOME_OF, *_SUBMODULES, "__version__"])
