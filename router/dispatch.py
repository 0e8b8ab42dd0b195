"""After an error: retry the same candidate, fall back to the next, or give up. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from router.errors import (
    BadRequestError,
    BadResponseError,
    ConnectionFailedError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitError,
    ServerError,
)

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 8.0
_LONGEST_RETRY_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class Next:
    """What to do now: `retry` after `delay` seconds, `fallback` at once, or `raise`."""

    action: Literal["retry", "fallback", "raise"]
    delay: float = 0.0


def after_error(
    error: ProviderError,
    *,
    retries: int,
    max_retries: int,
    fallbacks: int,
    seconds_left: float,
    jitter: float,
) -> Next:
    """Decide what follows `error`, the end of try number `retries` + 1 at one candidate.

    Overload, 5xx and lost connections are retried with exponential backoff and full jitter
    (`jitter` in [0, 1) is drawn by the caller), honouring `retry_after`; then, as for every
    other failure of a host, the next of the `fallbacks` left is tried. A request that a host
    refuses as malformed falls back too: hosts differ in what they accept. A call that may have
    been charged is not repeated at the same candidate.
    """
    transient = isinstance(error, (RateLimitError, ServerError, ConnectionFailedError))
    if transient and not error.billable and retries < max_retries:
        ceiling = min(_LONGEST_DELAY, _FIRST_DELAY * 2**retries)
        delay = ceiling * (0.5 + 0.5 * jitter)
        if error.retry_after is not None:
            delay = max(delay, error.retry_after)
        # A long wait is worse than another candidate that could answer now.
        waits_too_long = delay > _LONGEST_RETRY_AFTER or (delay > _LONGEST_DELAY and fallbacks)
        if not waits_too_long and delay < seconds_left:
            return Next("retry", delay)
    if fallbacks and seconds_left > 0:
        return Next("fallback")
    return Next("raise")


def outcome_of(error: BaseException) -> str:
    """A short, fixed word for how a call failed, for the ledger and telemetry."""
    if isinstance(error, ProviderTimeoutError):
        return "timeout"
    if isinstance(error, ProviderError):
        if error.status_code:
            return f"http_{error.status_code}"
        if isinstance(error, ConnectionFailedError):
            return "connection"
        if isinstance(error, BadResponseError):
            return "bad_response"
        return "refused" if isinstance(error, BadRequestError) else "error"
    return "error" if isinstance(error, Exception) else "cancelled"
