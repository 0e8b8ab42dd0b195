"""The wire format as pure functions: bodies out of calls, replies and errors out of JSON."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_bodies import V3_USAGE, deepseek, vllm

from router.catalog import Catalog
from router.errors import (
    AuthenticationError,
    BadRequestError,
    InsufficientBalanceError,
    ProviderError,
    RateLimitError,
    ServerError,
)
from router.transports.openai import body_of, chunk_from, error_from, reply_from
from router.types import Call, Request

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PROMPT = "Why is the zebra of my grandmother striped?"


def call(name="deepseek-v3.2@deepinfra", max_tokens=None, **request):
    made = Request(id="r", messages=({"role": "user", "content": PROMPT},), **request)
    return Call(
        request=made,
        candidate=Catalog.default().candidate(name, at=NOW),
        max_tokens=max_tokens,
        timeout=1.0,
        input_tokens=10,
    )


def error(status, body=b"", headers=None, **request):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_from(status, headers or {}, content, call(**request), now=NOW)


def test_the_smallest_body():
    """A model, messages, and whether to stream: nothing that nobody asked for."""
    body = body_of(call("deepseek-v3.2@novita"))
    assert body == {
        "model": "deepseek/deepseek-v3.2",
        "messages": [{"role": "user", "content": PROMPT}],
        "stream": False,
    }


def test_the_largest_body():
    """Every argument arrives under its name; a stream asks for usage."""
    tool = {"type": "function", "function": {"name": "f"}}
    body = body_of(
        call(
            "deepseek-v3.2@novita",
            max_tokens=77,
            stream=True,
            tools=(tool,),
            tool_choice="required",
            response_format={"type": "json_object"},
            extra={"temperature": 0.0, "seed": 7},
        )
    )
    del body["model"], body["messages"]
    assert body == {
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [tool],
        "tool_choice": "required",
        "response_format": {"type": "json_object"},
        "max_tokens": 77,
        "temperature": 0.0,
        "seed": 7,
    }


def test_a_tool_choice_without_tools_is_not_sent():
    """Hosts refuse tool_choice without tools."""
    assert "tool_choice" not in body_of(call(tool_choice="auto"))


def test_what_the_mode_needs_wins_over_extras():
    """A caller's extra field cannot switch thinking: what was priced is what is sent."""
    body = body_of(call("deepseek-v3.2:thinking@deepinfra", extra={"reasoning": {"x": 1}}))
    assert body["reasoning"] == {"enabled": True}


def test_a_host_may_name_max_tokens_otherwise():
    """The field's name comes from the catalogue."""
    made = call(max_tokens=5)
    renamed = replace(made.candidate, max_tokens_field="max_completion_tokens")
    body = body_of(replace(made, candidate=renamed))
    assert body["max_completion_tokens"] == 5
    assert "max_tokens" not in body


def test_bodies_do_not_share_state_with_the_catalogue():
    """Changing a body changes nothing for the next call."""
    body_of(call())["messages"].clear()
    assert body_of(call())["messages"]


@pytest.mark.parametrize("blank", [b"", b"\n\n\n", b"\r\n  \n"])
def test_keep_alive_lines_before_the_json_are_skipped(blank):
    """DeepSeek sends empty lines while a request waits."""
    content = blank + b"".join(deepseek("Hi").pieces)
    made = reply_from(content, call())
    assert made.body["choices"][0]["message"]["content"] == "Hi"
    assert made.usage.cache_read_tokens == V3_USAGE["prompt_cache_hit_tokens"]
    assert made.finish_reason == "stop"


def test_reasoning_has_one_name():
    """vLLM's `reasoning` can be read as DeepSeek's `reasoning_content`."""
    made = reply_from(b"".join(vllm(reasoning="hm").pieces), call())
    assert made.body["choices"][0]["message"]["reasoning_content"] == "hm"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "delta", "usage", "error", "prompt_tokens", "finish_reason"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_a_reply_or_a_typed_error(value):
    """No answer of a host makes the parser crash."""
    content = json.dumps(value).encode()
    try:
        assert reply_from(content, call()).body["choices"]
    except ProviderError as caught:
        assert caught.billable


@given(json_values)
def test_any_json_is_a_chunk_or_a_typed_error(value):
    """Nor does any piece of a stream."""
    try:
        assert chunk_from(json.dumps(value), call()).body is not None
    except ProviderError as caught:
        assert caught.billable


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (307, BadRequestError),
        (400, BadRequestError),
        (401, AuthenticationError),
        (402, InsufficientBalanceError),
        (403, AuthenticationError),
        (404, BadRequestError),
        (413, BadRequestError),
        (422, BadRequestError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (529, ServerError),
    ],
)
def test_each_status_has_its_error(status, kind):
    """The kind follows the status; the candidate and the host's request id are kept."""
    made = error(status, {"error": {"message": "why"}}, {"x-request-id": "abc"})
    assert type(made) is kind
    assert str(made) == f"deepseek-v3.2@deepinfra: HTTP {status}: why"
    assert (made.status_code, made.provider_request_id) == (status, "abc")
    assert not made.billable


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("soon", None),
        ("nan", 0.0),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 12:00:30 -0000", 30.0),
        ("Sun, 22 Nov 2026 13:00:30 +0100", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
    ],
)
def test_retry_after(header, seconds):
    """Seconds, or an HTTP date against the clock; nonsense is no wait at all."""
    headers = {} if header is None else {"retry-after": header}
    assert error(429, b"", headers).retry_after == seconds


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"error": {"message": "Model Not Exist"}}, "Model Not Exist"),
        ({"error": "Unauthorized"}, "Unauthorized"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"detail": [{"msg": "x"}]}, "no explanation was given"),
        ({"error": {"message": None}}, "no explanation was given"),
        ({"error": {"message": ["x"]}}, "no explanation was given"),
        (b"<html>", "no explanation was given"),
        ([1], "no explanation was given"),
        ({"error": f"cannot serve {PROMPT!r}"}, "repeats the prompt"),
        ({"error": {"message": f"x{PROMPT[:41]}y"}}, "repeats the prompt"),
    ],
)
def test_the_hosts_words_are_shown_unless_they_quote(body, shown):
    """All recorded shapes of an error body; the prompt itself is never shown."""
    made = str(error(400, body))
    assert shown in made
    assert PROMPT[:40] not in made


def test_long_explanations_are_cut():
    """A page of text does not fill the log."""
    assert len(str(error(500, {"error": "e" * 5000}))) < 400


@pytest.mark.parametrize(
    ("code", "kind", "billable"),
    [
        (402, InsufficientBalanceError, False),
        (429, RateLimitError, False),
        (503, ServerError, False),
        ("broken", ServerError, True),
        (None, ServerError, True),
    ],
)
def test_an_error_with_status_200_is_that_error(code, kind, billable):
    """Gateways tell errors in a body of status 200: its code says which, its words are shown."""
    content = json.dumps({"error": {"code": code, "message": "No luck"}}).encode()
    with pytest.raises(kind, match="No luck") as caught:
        reply_from(content, call())
    assert caught.value.billable is billable


@pytest.mark.parametrize("piece", [PROMPT, PROMPT[9:35], PROMPT[:30], json.dumps(PROMPT)])
def test_no_piece_of_the_prompt_is_shown(piece):
    """A host that quotes the prompt, or 24 characters out of its middle, is not quoted."""
    shown = str(error(400, {"error": {"message": f"bad input: {piece} !"}}))
    assert "zebra" not in shown
    assert "left out" in shown
