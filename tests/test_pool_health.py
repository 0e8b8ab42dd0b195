"""Whether a replica may be given calls, and what a failed call says of it."""

import pytest

from router.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ConnectionFailedError,
    ProviderTimeoutError,
    RateLimitError,
    ServerError,
)
from router.transports.vllm.health import (
    FIRST_DELAY,
    LONGEST_DELAY,
    REFUSED_DELAY,
    Health,
    trouble_of,
)


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (ConnectionFailedError("x", candidate="c"), "refused"),
        (ConnectionFailedError("x", candidate="c", billable=True), "broke"),
        (ProviderTimeoutError("x", candidate="c"), "broke"),
        (ProviderTimeoutError("x", candidate="c", billable=True), "failed"),
        (RateLimitError("x", candidate="c", status_code=429), "busy"),
        (ServerError("x", candidate="c", status_code=503), "busy"),
        (ServerError("x", candidate="c", status_code=500), "failed"),
        (ServerError("the stream broke off", candidate="c", billable=True), "failed"),
        (BadResponseError("x", candidate="c", billable=True), "failed"),
        (BadRequestError("x", candidate="c", status_code=400), ""),
        (AuthenticationError("x", candidate="c", status_code=401), ""),
        (KeyboardInterrupt(), ""),
    ],
)
def test_what_a_failed_call_says_of_the_replica(error, trouble):
    """The request's own faults, and the caller's leaving, say nothing of it."""
    assert trouble_of(error) == trouble


@pytest.mark.parametrize(
    ("how", "longest"), [(Health.down, LONGEST_DELAY), (Health.refused, REFUSED_DELAY)]
)
def test_it_is_tried_again_later_and_later(how, longest):
    """Down; after a second one call may try it; twice as long after each vain try, to a limit."""
    health, now = Health(), 100.0
    how(health, now)
    waits = []
    for _ in range(8):
        assert health.status == "down"
        assert not health.fit(health.retry_at - 0.001)
        waits.append(health.retry_at - now)
        now = health.retry_at
        assert health.fit(now)
        health.trying = True
        assert not health.fit(now)
        how(health, now)
    assert waits[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert waits[-1] == longest
    assert health.down_since == 100.0


def test_many_calls_that_fail_at_once_are_one_failure():
    """Ten calls broken by the same crash do not double the wait ten times."""
    health = Health()
    for _ in range(10):
        health.down(5.0)
    assert health.retry_at == 5.0 + FIRST_DELAY


def test_an_answer_makes_it_well():
    """It says whether it was down, and starts the waits anew."""
    health = Health()
    assert health.well() is False
    health.down(0.0)
    health.trying = True
    health.down(1.0)
    assert health.well() is True
    assert (health.status, health.fit(1.0)) == ("up", True)
    health.down(10.0)
    assert health.retry_at == 10.0 + FIRST_DELAY


def test_three_failures_in_a_row_are_down():
    """One that answers in between is not."""
    health = Health()
    for _ in range(2):
        health.failed(0.0)
        health.silent(0.0)
    health.well()
    for _ in range(2):
        health.failed(0.0)
    assert health.status == "up"
    health.failed(0.0)
    assert health.status == "down"


def test_a_good_poll_ends_silence_and_no_failure():
    """Down as nothing answered: up again. Failures still count until a call ends well."""
    health = Health()
    for _ in range(2):
        health.failed(0.0)
        health.silent(0.0)
    assert health.ready() is False
    health.silent(0.0)
    assert health.status == "up"
    for _ in range(2):
        health.silent(0.0)
    assert (health.status, health.ready(), health.status) == ("down", True, "up")
    health.failed(0.0)
    assert (health.status, health.ready(), health.status) == ("down", False, "down")
    assert health.fit(FIRST_DELAY)
    assert (health.well(), health.status) == (True, "up")


def test_silence_counts_by_itself():
    """Three polls without an answer in time."""
    health = Health()
    for status in ("up", "up", "down"):
        health.silent(0.0)
        assert health.status == status


def test_draining_takes_no_new_calls():
    """Whether it says so itself or the application does."""
    health = Health()
    health.leaving = True
    assert (health.status, health.fit(0.0)) == ("draining", False)
    health.leaving, health.asked = False, True
    assert (health.status, health.fit(0.0)) == ("draining", False)
    health.asked = False
    assert (health.status, health.fit(0.0)) == ("up", True)
