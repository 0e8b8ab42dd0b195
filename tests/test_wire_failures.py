"""What hosts do wrong, over a real socket and through both clients: errors, charges, fallbacks."""

import pytest
from wire import CUT, Answer
from wire_bodies import (
    deepseek,
    deepseek_error,
    refusal,
)

from router.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    InsufficientBalanceError,
    RateLimitError,
    RouterError,
)

V3_COST = 219_520_000
BOTH = ["deepseek-v3.2@deepinfra", "deepseek-v3.2@novita"]
TWO = ("deepinfra", "novita")


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (deepseek_error(400, "Model Not Exist"), BadRequestError, "Model Not Exist"),
        (
            deepseek_error(401, "Authentication Fails, Your api key: ****3750 is invalid"),
            AuthenticationError,
            "Authentication Fails",
        ),
        (deepseek_error(402, "Insufficient Balance"), InsufficientBalanceError, "Insufficient"),
        (deepseek_error(422, "Invalid parameters"), BadRequestError, "Invalid parameters"),
        (refusal(401, {"error": "Unauthorized"}), AuthenticationError, "Unauthorized"),
        (refusal(404, {"detail": "Not Found"}), BadRequestError, "Not Found"),
        (refusal(422, {"detail": [{"loc": ["body"]}]}), BadRequestError, "no explanation"),
        (Answer((b"<html>nope</html>",), status=403), AuthenticationError, "no explanation"),
        (Answer((), status=307, headers={"location": "/x"}), BadRequestError, "HTTP 307"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_refusal_is_a_typed_error_and_costs_nothing(caller, wire, answer, kind, says, streamed):
    """Refused requests are neither repeated nor charged, streamed or not."""
    wire.script("deepinfra", answer)
    asked = caller.ask(stream=streamed, budget="1")
    assert type(asked.error) is kind
    assert says in str(asked.error)
    assert asked.error.status_code == answer.status
    assert asked.error.candidate == "deepseek-v3.2@deepinfra"
    assert not asked.error.billable
    entry = caller.entry()
    assert (entry.kind, entry.cost) == ("release", 0)
    assert entry.outcome == f"http_{answer.status}"
    assert len(wire.calls("deepinfra")) == 1


@pytest.mark.parametrize("status", [400, 401, 402, 422])
def test_another_host_serves_what_one_refuses(caller, wire, status):
    """An empty account or a refusal is not the end: the next candidate is tried, at its price."""
    wire.script("deepinfra", deepseek_error(status, "no"))
    wire.script("novita", deepseek())
    asked = caller.ask(*TWO, model=BOTH, budget="1")
    assert asked.route.candidate == "deepseek-v3.2@novita"
    assert [a.outcome for a in asked.route.attempts] == [f"http_{status}", "ok"]
    cost = 896 * 134_500 + 104 * 269_000 + 200 * 400_000
    assert asked.route.cost.pico == cost
    assert [(e.kind, e.cost) for e in caller.entries()] == [("release", 0), ("settle", cost)]
    assert wire.calls("novita")[0].body["model"] == "deepseek/deepseek-v3.2"


@pytest.mark.parametrize(
    ("status", "headers"),
    [(429, {}), (429, {"Retry_After": "0.02"}), (500, {}), (503, {})],
)
def test_overload_is_retried_at_the_same_host(caller, wire, status, headers):
    """429 and 5xx are tried again, at once or when the host says; only the answer is charged."""
    wire.script("deepinfra", deepseek_error(status, "busy", **headers), deepseek())
    asked = caller.ask(budget="1")
    assert asked.route.cost.pico == asked.route.total_cost_usd * 10**12 == V3_COST
    entries = caller.entries()
    assert [(e.kind, e.outcome, e.cost) for e in entries] == [
        ("release", f"http_{status}", 0),
        ("settle", "ok", V3_COST),
    ]
    assert len({e.reservation_id for e in entries}) == 2


def test_after_the_retries_the_next_host_is_tried(caller, wire):
    """Two retries by default, then the fallback."""
    wire.script("deepinfra", *[deepseek_error(503, "overloaded")] * 3)
    wire.script("novita", deepseek())
    asked = caller.ask(*TWO, model=BOTH)
    assert [a.outcome for a in asked.route.attempts] == ["http_503"] * 3 + ["ok"]
    assert len(caller.entries()) == 4


@pytest.mark.parametrize("later", ["120", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_a_long_wait_is_left_to_others(caller, wire, later):
    """Seconds or a date far ahead: another host answers now, without waiting."""
    wire.script("deepinfra", deepseek_error(429, "slow down", Retry_After=later))
    wire.script("novita", deepseek())
    asked = caller.ask(*TWO, model=BOTH)
    assert asked.route.candidate == "deepseek-v3.2@novita"
    assert asked.route.attempts[0].outcome == "http_429"


def test_a_date_that_has_passed_means_now(caller, wire):
    """Retry-After as an HTTP date in the past does not keep anyone waiting."""
    past = "Wed, 21 Oct 2015 07:28:00 GMT"
    wire.script("deepinfra", deepseek_error(429, "slow down", Retry_After=past), deepseek())
    assert caller.ask().text == "Hello"


def test_when_all_fail_the_last_error_names_what_was_tried(caller, wire):
    """The error is the last host's; its notes list every attempt."""
    wire.script("deepinfra", deepseek_error(402, "Insufficient Balance"))
    wire.script("novita", deepseek_error(429, "slow", Retry_After="3600"))
    asked = caller.ask(*TWO, model=BOTH)
    assert type(asked.error) is RateLimitError
    assert asked.error.retry_after == 3600
    assert asked.error.__notes__ == [
        "tried: deepseek-v3.2@deepinfra: http_402; deepseek-v3.2@novita: http_429"
    ]
    assert [e.cost for e in caller.entries()] == [0, 0]


@pytest.mark.parametrize(
    "answer",
    [
        Answer((b'{"id": "930c60df", "choi', CUT)),
        Answer((b"\n", b'{"id"', CUT), chunked=True),
        Answer((CUT,), raw=True),
        Answer((b"HTTP/9 what\r\n\r\n",), raw=True),
    ],
)
def test_an_answer_that_breaks_is_charged_in_full_and_not_repeated(caller, wire, answer):
    """Sent and lost: nobody knows what it cost, so the reservation is spent, as an estimate."""
    wire.script("deepinfra", answer)
    wire.script("novita", deepseek())
    asked = caller.ask(*TWO, model=BOTH, budget="1")
    assert asked.route.candidate == "deepseek-v3.2@novita"
    lost, served = caller.entries()
    assert (lost.kind, lost.outcome, lost.estimated) == ("settle", "connection", True)
    assert lost.cost == lost.reserved > 0
    assert asked.route.total_cost_usd * 10**12 == lost.cost + served.cost


def test_nobody_listening_costs_nothing(caller, wire):
    """A refused connection was never a request: it is retried, released, and passed on."""
    wire.script("novita", deepseek())
    dead = {"deepinfra": "http://127.0.0.1:1/v1", "novita": wire.url("novita")}
    asked = caller.ask(*TWO, model=BOTH, settings={"base_urls": dead}, budget="1")
    assert [a.outcome for a in asked.route.attempts] == ["connection"] * 3 + ["ok"]
    assert [e.cost for e in caller.entries()[:3]] == [0, 0, 0]


@pytest.mark.parametrize("address", ["127.0.0.1:9/v1", "http://[::1", "ftp://127.0.0.1/v1"])
def test_an_address_that_is_none_is_a_typed_error(caller, address):
    """A base URL without a scheme or with a broken one is said to be so; nothing is charged."""
    asked = caller.ask(settings={"base_urls": {"deepinfra": address}, "max_retries": 0})
    assert isinstance(asked.error, RouterError)
    assert caller.entry().cost == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"<html>",
        b'{"choices": []}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": ["x"]}',
        b'{"choices": [{"message": {"content": "x"}}], "usage": [1]}',
        b"\xff\xfe",
    ],
)
def test_an_answer_of_another_shape_is_a_typed_error(caller, wire, content):
    """HTTP 200 with something else inside: BadResponseError, charged as lost, never a crash."""
    wire.script("deepinfra", Answer((content,)))
    asked = caller.ask()
    if b"usage" in content:  # a fit answer with unfit usage: counted
        assert asked.error is None
        assert asked.route.usage.estimated
        return
    assert type(asked.error) is BadResponseError
    assert caller.entry().outcome == "bad_response"
