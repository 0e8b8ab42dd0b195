"""Odd answers of hosts, brought into shape or refused; none of them breaks a client."""

import json
import sqlite3

import pytest
from calling import MESSAGES, FixedScorer, in_order
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router import Client
from router.errors import BadResponseError
from router.testing import MockSource, MockTransport
from router.transports.openai import chunk_from, reply_from
from router.transports.shape import shaped

PLAIN = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}


def with_message(**message):
    return {"choices": [PLAIN | {"message": PLAIN["message"] | message}]}


@pytest.mark.parametrize(
    ("body", "path", "expected"),
    [
        ({"id": 7, "choices": [PLAIN]}, ("id",), "7"),
        ({"id": None, "choices": [PLAIN]}, ("id",), None),
        ({"created": 1.5, "choices": [PLAIN]}, ("created",), 1),
        ({"created": "today", "choices": [PLAIN]}, ("created",), None),
        ({"choices": [PLAIN | {"index": None}]}, ("choices", 0, "index"), 0),
        ({"choices": [PLAIN | {"finish_reason": 1}]}, ("choices", 0, "finish_reason"), None),
        (with_message(role=None), ("choices", 0, "message", "role"), None),
        (with_message(content=None), ("choices", 0, "message", "content"), None),
        (
            with_message(content=[{"type": "text", "text": "a"}, {"type": "x"}, {"text": "b"}]),
            ("choices", 0, "message", "content"),
            "ab",
        ),
        (with_message(reasoning="r"), ("choices", 0, "message", "reasoning_content"), "r"),
        (
            with_message(reasoning="r", reasoning_content="c"),
            ("choices", 0, "message", "reasoning_content"),
            "c",
        ),
        (
            with_message(reasoning={"effort": 1}),
            ("choices", 0, "message", "reasoning_content"),
            None,
        ),
        (with_message(own=[1]), ("choices", 0, "message", "own"), [1]),
    ],
)
def test_what_has_a_plain_meaning_is_kept(body, path, expected):
    """Numbers as ids, nulls, parts of content: each gets the form that OpenAI's has."""
    found = shaped(body, "message")
    for step in path:
        found = found.get(step) if isinstance(found, dict) else found[step]
    assert found == expected


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"choices": "x"},
        {"choices": ["x"]},
        {"choices": [{"message": None}]},
        {"choices": [{}]},
        with_message(content=7),
        with_message(tool_calls="x"),
        with_message(tool_calls=["x"]),
        with_message(tool_calls=[{"function": "x"}]),
        with_message(tool_calls=[{"function": {"arguments": {}}}]),
    ],
)
def test_what_is_no_answer_is_refused(body):
    """What cannot be read as a message is a ValueError here, a BadResponseError outside."""
    with pytest.raises(ValueError, match="expected"):
        shaped(body, "message")


odd = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["function", "name", "arguments", "text"]), inner)
    ),
    max_leaves=5,
)
names = ["role", "content", "reasoning", "reasoning_content", "tool_calls"]
messages = odd | st.fixed_dictionaries({}, optional=dict.fromkeys(names, odd))
choices = st.fixed_dictionaries(
    {"message": messages, "delta": messages}, optional={"index": odd, "finish_reason": odd}
)
bodies = st.fixed_dictionaries(
    {"choices": st.lists(choices, min_size=1, max_size=2)},
    optional=dict.fromkeys(["id", "created", "model", "usage", "object"], odd),
)


class Odd(MockTransport):
    """Reads whatever `content` is as a host's answer."""

    content = b""

    def send(self, call):
        return reply_from(self.content, call)

    def open(self, call):
        return MockSource([chunk_from(self.content.decode(), call)])


@pytest.fixture(scope="module")
def odd_client(tmp_path_factory):
    path = tmp_path_factory.mktemp("odd") / "ledger.sqlite3"
    transport = Odd()
    with Client(
        transport=transport,
        keys={"deepinfra": "k"},
        ledger=path,
        scorer=FixedScorer(),
        policy=in_order,
    ) as client:
        yield client, transport, path


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=bodies, streamed=st.booleans())
def test_no_answer_breaks_a_client_or_leaves_money_set_aside(odd_client, body, streamed):
    """Any JSON becomes a completion or a typed error, and its reservation is resolved."""
    client, transport, path = odd_client
    transport.content = json.dumps(body).encode()
    try:
        made = client.chat.completions.create(
            MESSAGES, model="deepseek-v3.2@deepinfra", stream=streamed, max_retries=0
        )
        if streamed:
            with made:
                assert all(isinstance(chunk.text, str) for chunk in made)
        else:
            assert isinstance(made.text, str)
    except BadResponseError as error:
        assert error.billable
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM open_reservations").fetchone() == (0,)
    db.close()
