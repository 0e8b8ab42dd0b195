"""What must not leak, and what is refused before a byte leaves: keys, prompts, odd bodies."""

import traceback

import pytest
from calling import KEY, MESSAGES
from wire import CUT, Answer
from wire_bodies import deepseek, deepseek_error, event, refusal, stream, vllm_models

from router.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigError,
    InvalidRequestError,
    RouterError,
)

PROMPT = MESSAGES[1]["content"]


def whole(error):
    """All that a log would show of an error, its causes included."""
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_host_that_quotes_the_key_does_not_make_us_leak_it(caller, wire, streamed):
    """Some hosts repeat the whole key in a 401: it is blotted out of the error."""
    wire.script("deepinfra", deepseek_error(401, f"Incorrect API key provided: {KEY}"))
    asked = caller.ask(stream=streamed)
    assert type(asked.error) is AuthenticationError
    assert "Incorrect API key provided: ***" in str(asked.error)
    assert KEY not in whole(asked.error)


@pytest.mark.parametrize(
    "answer",
    [
        Answer((CUT,), raw=True),
        Answer((b"HTTP/9 what\r\n\r\n",), raw=True),
        Answer((b"{",)),
        stream(event({"content": "one"}), CUT),
        deepseek_error(500, "no"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_no_error_shows_the_key_or_the_prompt(caller, wire, answer, streamed):
    """Neither message nor cause nor traceback text of any failure holds them."""
    wire.script("deepinfra", answer)
    asked = caller.ask(stream=streamed, max_retries=0)
    assert isinstance(asked.error, RouterError)
    shown = whole(asked.error)
    assert KEY not in shown
    assert PROMPT not in shown
    assert PROMPT.encode() not in caller.path.read_bytes()


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": f"messages.1.content: '{PROMPT}' is not allowed"}},
        {"error": f"bad input {PROMPT}"},
        {"detail": [{"loc": ["body"], "input": PROMPT}]},
    ],
)
def test_an_explanation_that_repeats_the_prompt_is_left_out(caller, wire, body):
    """A host's own words are shown unless they quote the prompt."""
    wire.script("deepinfra", refusal(400, body))
    asked = caller.ask()
    assert type(asked.error) is BadRequestError
    assert PROMPT not in whole(asked.error)


@pytest.mark.parametrize("key", [f"{KEY}\n", f"  {KEY}\r\n"])
def test_blanks_around_a_key_are_not_sent(caller, wire, key):
    """A key read from a file often ends in a newline: it works all the same."""
    wire.script("deepinfra", deepseek())
    asked = caller.ask(settings={"keys": {"deepinfra": key}})
    assert asked.error is None
    assert wire.calls("deepinfra")[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", ["sk-one\nsk-two", "sk-schlüssel", "sk-\x00"])
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(caller, wire, key):
    """The error names the host, not the key; nothing is sent and nothing is written."""
    with pytest.raises(ConfigError, match="API key of host 'deepinfra'") as caught:
        raise caller.ask(settings={"keys": {"deepinfra": key}}).error
    assert key not in whole(caught.value)
    assert wire.seen == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"messages": [{"role": "user", "content": "half a character \ud83e"}]},
        {"extra_body": {"guide": float("nan")}},
        {"extra_body": {"guide": object()}},
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_cannot_be_written_as_json_is_refused_unsent(caller, wire, arguments, streamed):
    """A typed error that does not show the text; nothing is sent and nothing is charged."""
    asked = caller.ask(stream=streamed, budget="1", **arguments)
    assert type(asked.error) is InvalidRequestError
    assert "half a character" not in whole(asked.error)
    assert wire.seen == []
    assert sum(e.cost for e in caller.entries()) == 0


def test_a_key_is_not_needed_for_ones_own_server(caller, wire):
    """Without a key no Authorization header is sent, neither to list models nor to answer."""
    wire.models("vllm", vllm_models(**{"org/Smol": 4096}))
    wire.script("vllm", deepseek())
    caller.ask("vllm", model="smol@vllm", settings={"keys": {}})
    assert [("authorization" in seen.headers) for seen in wire.seen] == [False, False]
