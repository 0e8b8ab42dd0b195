"""Every error the library raises, as one tree.

RouterError
├── ConfigError                 a setting, file or argument that cannot be used
│   ├── CatalogError            a catalogue file or entry: file, line, what was expected
│   ├── UnknownModelError       no such model or alias; names the nearest
│   │   └── RetiredModelError   it existed: says until when, and the successor
│   ├── UnknownHostError        no such host; names those known
│   ├── MissingKeyError         the host is known, its API key or base URL is not set
│   ├── InvalidBudgetError      a limit, window or scope that makes no sense
│   ├── InvalidParameterError   a policy's or the scorer's parameter that makes no sense
│   ├── InvalidRequestError     messages, tools or parameters we can refuse before sending
│   ├── UnknownRequestError     feedback on a request that is not remembered (any more)
│   ├── AlreadyGradedError      feedback on an answer that has its grade
│   └── RecordError             a decision record that cannot be read or replayed
├── ScorerError                 the scorer failed, or answered what is no score
├── UsageError                  with strict_usage: the host's own count is missing or not sound
├── NoCandidateError            nobody can serve this request; `.reasons` says why, one by one
│   ├── ContextLengthError      the prompt is longer than every context window
│   └── UnpricedModelError      a hard budget and a model without a price
├── BudgetExceededError         refused before any spend: which budget, what is left, until when
│   ├── BudgetFrozenError       somebody froze the budget; its history says who and why
│   └── DeferredError           the policy would send it later: says when
├── LedgerError                 the ledger cannot be opened, read or written
│   └── CorruptLedgerError      the file is not a ledger, or is damaged; it is left untouched
└── ProviderError               the host answered with an error, or did not answer
    ├── AuthenticationError     401, 403
    ├── InsufficientBalanceError 402: the account at the host is empty
    ├── BadRequestError         400, 404, 413, 422 and the like: our request was refused
    ├── RateLimitError          429
    ├── ServerError             5xx
    ├── ConnectionFailedError   no connection, or it broke
    │   └── ProviderTimeoutError no answer within the deadline
    ├── BadResponseError        an answer that is not what the protocol says
    └── ReplayMissError         the recording has no outcome for this prompt
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any


class RouterError(Exception):
    """Base of all errors raised by this library."""

    def __reduce__(self) -> tuple[object, ...]:
        # With keyword-only arguments the default would not survive a process pool.
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(
    kind: type[RouterError], arguments: tuple[object, ...], state: dict[str, object]
) -> RouterError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(state)
    return error


class ConfigError(RouterError):
    """A setting, file or argument that cannot be used."""


class CatalogError(ConfigError):
    """A catalogue file or entry that cannot be used; `file` and `line` (from 1) say where."""

    def __init__(self, message: str, *, file: str | None = None, line: int | None = None) -> None:
        where = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(where + message)
        self.file = file
        self.line = line


class UnknownModelError(ConfigError):
    """No model, alias or candidate of this name; `did_you_mean` names the nearest."""

    def __init__(self, message: str, *, did_you_mean: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.did_you_mean = did_you_mean


class RetiredModelError(UnknownModelError):
    """The name was served once; `retired_at` (UTC) and `successor` say since when and what now."""

    def __init__(self, message: str, *, retired_at: datetime, successor: str | None) -> None:
        super().__init__(message, did_you_mean=(successor,) if successor else ())
        self.retired_at = retired_at
        self.successor = successor


class UnknownHostError(ConfigError):
    """No host of this name in the catalogue."""


class MissingKeyError(ConfigError):
    """A host was asked for whose API key or base URL is not set; `variable` is what to set."""

    def __init__(self, message: str, *, variable: str) -> None:
        super().__init__(message)
        self.variable = variable


class InvalidBudgetError(ConfigError, ValueError):
    """A limit, window, zone or scope that makes no sense."""


class InvalidParameterError(ConfigError, ValueError):
    """A parameter of a policy, or an argument of the scorer, that makes no sense."""


class InvalidRequestError(ConfigError, ValueError):
    """A request that can be refused before anything is sent; `param` names the argument."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class UnknownRequestError(ConfigError, LookupError):
    """Feedback on a request that this client does not remember: another's, or too long ago."""


class AlreadyGradedError(ConfigError):
    """Feedback on an answer that has been graded: each is learned from once."""


class RecordError(ConfigError, ValueError):
    """A decision record that cannot be read, or not be replayed without the caller's policy."""


class ScorerError(RouterError):
    """The scorer failed, or answered what is no score; nothing was sent."""


class UsageError(RouterError):
    """Only with `strict_usage`: a host's usage is missing, of no known shape, or does not add up.

    The call is settled by then, with a count of ours. `keys` names the fields that came. The
    answer is paid for and not lost: it is in `completion`, how it was served in `route`.
    """

    completion: Any = None
    route: Any = None
    reply: Any = None

    def __init__(self, message: str, *, keys: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.keys = keys


class NoCandidateError(RouterError):
    """No candidate can serve this request; `reasons` maps each candidate to why not."""

    def __init__(self, message: str, *, reasons: Mapping[str, str] | None = None) -> None:
        self.reasons = dict(reasons or {})
        lines = "".join(f"\n  {name}: {why}" for name, why in self.reasons.items())
        super().__init__(message + lines)


class ContextLengthError(NoCandidateError):
    """The prompt is longer than the context window of every candidate."""


class UnpricedModelError(NoCandidateError):
    """A model without a known price was asked for under a hard budget. Unknown is never zero."""


class BudgetExceededError(RouterError):
    """A hard budget refused the request; nothing was sent and nothing was spent.

    Amounts are in `unit`: USD as `Decimal`, or whole tokens or requests. `resets_at` (UTC) is None
    when the window never ends. `account` is the ledger's key of the account that refuses.
    """

    def __init__(
        self,
        message: str,
        *,
        budget: str,
        limit: Decimal | int,
        spent: Decimal | int,
        reserved: Decimal | int,
        requested: Decimal | int,
        resets_at: datetime | None = None,
        unit: str = "usd",
        account: str = "",
    ) -> None:
        super().__init__(message)
        self.budget = budget
        self.account = account
        self.unit = unit
        self.limit = limit
        self.spent = spent
        self.reserved = reserved
        self.requested = requested
        self.resets_at = resets_at

    @property
    def remaining(self) -> Decimal | int:
        """What is neither spent nor reserved, in `unit`; never below zero."""
        rest = self.limit - self.spent - self.reserved
        return max(type(rest)(0), rest)


class BudgetFrozenError(BudgetExceededError):
    """Somebody froze the budget: `client.budgets.history()` says who and why."""


class DeferredError(BudgetExceededError):
    """The policy would send the request later, at `until` (UTC): money is tight now.

    Pass `patience=` (seconds) to have it wait.
    """

    def __init__(self, message: str, *, until: datetime, **figures: Any) -> None:
        super().__init__(message, **figures)
        self.until = until


class LedgerError(RouterError):
    """The ledger cannot be opened, read or written.

    `outage` says that its store failed, and not what was asked of it: later it may go.
    """

    outage: bool = False


class CorruptLedgerError(LedgerError):
    """The file is not a ledger of ours, or is damaged. It is left as it was."""


class ProviderError(RouterError):
    """A host answered with an error, or did not answer.

    `billable` is True when the request may have been charged all the same.
    """

    def __init__(
        self,
        message: str,
        *,
        candidate: str | None = None,
        status_code: int | None = None,
        retry_after: float | None = None,
        provider_request_id: str | None = None,
        billable: bool = False,
    ) -> None:
        super().__init__(f"{candidate}: {message}" if candidate else message)
        self.candidate = candidate
        self.status_code = status_code
        self.retry_after = retry_after
        self.provider_request_id = provider_request_id
        self.billable = billable


class AuthenticationError(ProviderError):
    """401 or 403: the key is wrong or may not use this model."""


class InsufficientBalanceError(ProviderError):
    """402: the account at the host is empty. Not retried there; another host may serve."""


class BadRequestError(ProviderError):
    """4xx: the host refused the request as it is. Not retried."""


class RateLimitError(ProviderError):
    """429: too many requests or too many at once."""


class ServerError(ProviderError):
    """5xx: the host failed or is overloaded."""


class ConnectionFailedError(ProviderError):
    """No connection could be made, or it broke before the answer was whole."""


class ProviderTimeoutError(ConnectionFailedError):
    """No answer within the deadline (seconds in the message)."""


class BadResponseError(ProviderError):
    """The host's answer is not what the protocol says."""


class ReplayMissError(ProviderError):
    """The recording holds no outcome of this model for this prompt."""


for _found in list(vars().values()):
    if isinstance(_found, type) and issubclass(_found, RouterError):
        _found.__module__ = "router"  # tracebacks name what users import
del _found
