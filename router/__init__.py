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
    from policies import (
        Context,
        Decision,
        Policy,
        Quote,
        cheapest,
        load_policy,
        sparing,
        threshold,
        utility,
    )
    from router.budgets import Budget
    from router.budgets.sqlite import SQLiteLedger
    from router.catalog import Candidate, Catalog, Rates
    from router.client import Client
    from router.client_async import AsyncClient
    from router.completion import ChatCompletion, ChatCompletionChunk
    from router.errors import (
        AuthenticationError,
        BadRequestError,
        BadResponseError,
        BudgetExceededError,
        CatalogError,
        ConfigError,
        ConnectionFailedError,
        ContextLengthError,
        CorruptLedgerError,
        InsufficientBalanceError,
        InvalidBudgetError,
        InvalidRequestError,
        LedgerError,
        MissingKeyError,
        NoCandidateError,
        ProviderError,
        ProviderTimeoutError,
        RateLimitError,
        ReplayMissError,
        RetiredModelError,
        RouterError,
        ServerError,
        UnknownHostError,
        UnknownModelError,
        UnpricedModelError,
    )
    from router.reports import Report
    from router.transports.recording import recorded_prompts
    from router.types import Cost, Forecast, Plan, Route, Usage

_ERRORS = (
    "AuthenticationError BadRequestError BadResponseError BudgetExceededError CatalogError "
    "ConfigError ConnectionFailedError ContextLengthError CorruptLedgerError "
    "InsufficientBalanceError InvalidBudgetError InvalidRequestError LedgerError MissingKeyError "
    "NoCandidateError ProviderError ProviderTimeoutError RateLimitError ReplayMissError "
    "RetiredModelError RouterError ServerError UnknownHostError UnknownModelError "
    "UnpricedModelError"
)
_HOMES = {
    "policies": "Context Decision Policy Quote cheapest load_policy sparing threshold utility",
    "router.budgets": "Budget",
    "router.budgets.sqlite": "SQLiteLedger",
    "router.catalog": "Candidate Catalog Rates",
    "router.client": "Client",
    "router.client_async": "AsyncClient",
    "router.completion": "ChatCompletion ChatCompletionChunk",
    "router.errors": _ERRORS,
    "router.reports": "Report",
    "router.transports.recording": "recorded_prompts",
    "router.types": "Cost Forecast Plan Route Usage",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "AsyncClient",
    "AuthenticationError",
    "BadRequestError",
    "BadResponseError",
    "Budget",
    "BudgetExceededError",
    "Candidate",
    "Catalog",
    "CatalogError",
    "ChatCompletion",
    "ChatCompletionChunk",
    "Client",
    "ConfigError",
    "ConnectionFailedError",
    "Context",
    "ContextLengthError",
    "CorruptLedgerError",
    "Cost",
    "Decision",
    "Forecast",
    "InsufficientBalanceError",
    "InvalidBudgetError",
    "InvalidRequestError",
    "LedgerError",
    "MissingKeyError",
    "NoCandidateError",
    "Plan",
    "Policy",
    "ProviderError",
    "ProviderTimeoutError",
    "Quote",
    "RateLimitError",
    "Rates",
    "ReplayMissError",
    "Report",
    "RetiredModelError",
    "Route",
    "RouterError",
    "SQLiteLedger",
    "ServerError",
    "UnknownHostError",
    "UnknownModelError",
    "UnpricedModelError",
    "Usage",
    "cheapest",
    "load_policy",
    "recorded_prompts",
    "sparing",
    "threshold",
    "utility",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("centroute")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'router' has no attribute {name!r}")
    found = getattr(import_module(_HOME_OF[name]), name)
    if isinstance(found, type):
        found.__module__ = "router"  # what users read in reprs and tracebacks is what they import
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(_HOME_OF)
