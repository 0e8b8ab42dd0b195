"""After an error: retry, fall back or give up, as a table."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.dispatch import Next, after_error, outcome_of
from router.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ConnectionFailedError,
    InsufficientBalanceError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitError,
    ReplayMissError,
    ServerError,
)


def decide(error, retries=0, max_retries=2, fallbacks=1, seconds_left=100.0, jitter=0.0):
    return after_error(
        error,
        retries=retries,
        max_retries=max_retries,
        fallbacks=fallbacks,
        seconds_left=seconds_left,
        jitter=jitter,
    )


@pytest.mark.parametrize(
    ("error", "arguments", "expected"),
    [
        (RateLimitError("x"), {}, Next("retry", 0.25)),
        (RateLimitError("x"), {"retries": 1}, Next("retry", 0.5)),
        (RateLimitError("x"), {"retries": 2}, Next("fallback")),
        (RateLimitError("x"), {"retries": 2, "fallbacks": 0}, Next("raise")),
        (RateLimitError("x"), {"max_retries": 0}, Next("fallback")),
        (ServerError("x"), {"jitter": 0.5}, Next("retry", 0.375)),
        (ConnectionFailedError("x"), {}, Next("retry", 0.25)),
        (ProviderTimeoutError("x"), {}, Next("retry", 0.25)),
        (ServerError("x", billable=True), {}, Next("fallback")),
        (ConnectionFailedError("x", billable=True), {"fallbacks": 0}, Next("raise")),
        (ServerError("x"), {"retries": 9, "max_retries": 10}, Next("retry", 4.0)),
        (RateLimitError("x", retry_after=3), {}, Next("retry", 3)),
        (RateLimitError("x", retry_after=30), {}, Next("fallback")),
        (RateLimitError("x", retry_after=30), {"fallbacks": 0}, Next("retry", 30)),
        (RateLimitError("x", retry_after=61), {"fallbacks": 0}, Next("raise")),
        (RateLimitError("x", retry_after=3), {"seconds_left": 2}, Next("fallback")),
        (RateLimitError("x", retry_after=3), {"seconds_left": 2, "fallbacks": 0}, Next("raise")),
        (RateLimitError("x", retry_after=0), {}, Next("retry", 0.25)),
        (RateLimitError("x"), {"seconds_left": 0}, Next("raise")),
        (AuthenticationError("x"), {}, Next("fallback")),
        (InsufficientBalanceError("x"), {}, Next("fallback")),
        (BadRequestError("x"), {}, Next("fallback")),
        (BadRequestError("x"), {"fallbacks": 0}, Next("raise")),
        (BadResponseError("x", billable=True), {}, Next("fallback")),
        (ReplayMissError("x"), {"fallbacks": 0}, Next("raise")),
    ],
)
def test_what_follows_an_error(error, arguments, expected):
    """Overload is retried within limits, everything else moves on, the last one raises."""
    assert decide(error, **arguments) == expected


@given(
    st.integers(0, 20),
    st.floats(0, 0.999),
    st.one_of(st.none(), st.floats(0, 200)),
    st.floats(0, 700),
    st.integers(0, 3),
)
def test_a_wait_ends_before_the_deadline(retries, jitter, retry_after, seconds_left, fallbacks):
    """Whatever the host says, no wait passes the deadline, a minute, or a fallback's chance."""
    after = decide(
        RateLimitError("x", retry_after=retry_after),
        retries=retries,
        max_retries=30,
        fallbacks=fallbacks,
        seconds_left=seconds_left,
        jitter=jitter,
    )
    if after.action == "retry":
        assert 0 < after.delay < seconds_left
        assert after.delay <= (8 if fallbacks else 60)
        assert after.delay >= (retry_after or 0)
    else:
        assert after.delay == 0


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (ProviderTimeoutError("x"), "timeout"),
        (ServerError("x", status_code=503), "http_503"),
        (ConnectionFailedError("x"), "connection"),
        (BadResponseError("x"), "bad_response"),
        (BadRequestError("x"), "refused"),
        (ServerError("x"), "error"),
        (ProviderError("x"), "error"),
        (KeyboardInterrupt(), "cancelled"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
def test_every_failure_has_a_fixed_word(error, word):
    """The ledger and metrics group by these words: they hold no text of a host or prompt."""
    assert outcome_of(error) == word
