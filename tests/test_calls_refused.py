"""Arguments and messages that no host could take: refused before anything is reserved or sent."""

import copy
from types import MappingProxyType

import pytest
from pydantic import BaseModel

from router import Client, InvalidRequestError
from router.testing import MockTransport, reply

MODEL = "deepseek-v3.2@deepinfra"
ASK = [{"role": "user", "content": "Hi"}]
NAN, INF = float("nan"), float("inf")


def tool(name="f"):
    return {"type": "function", "function": {"name": name, "parameters": {}}}


class Message(BaseModel):
    role: str
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[dict[str, object]] | None = None


@pytest.fixture
def shop():
    """A client of one host, and its transport."""
    host = MockTransport(*[reply("ok")] * 3)
    with Client(transport=host, keys={"deepinfra": "k"}, ledger=":memory:") as client:
        yield client, host


@pytest.fixture
def refuse(shop):
    """Calls, and says with which error the call was refused, untouched."""
    client, host = shop

    def call(messages=ASK, **arguments):
        with pytest.raises(InvalidRequestError) as caught:
            client.chat.completions.create(messages, model=MODEL, **arguments)
        with pytest.raises(InvalidRequestError):
            client.plan(messages, model=MODEL, **arguments)
        assert host.calls == []
        assert list(client.ledger.entries()) == []
        return caught.value

    return call


WRONG = {
    "temperature": [NAN, INF, -1, "hot", True, [1]],
    "top_p": [NAN, -0.1, 1.1, "x"],
    "presence_penalty": [NAN, "x", True],
    "frequency_penalty": [INF, "x"],
    "stop": [3, [3], "", [""], b"x", {"a"}],
    "seed": ["x", 1.5, NAN, True],
    "logprobs": ["x", 3],
    "top_logprobs": [-1, "x", True],
    "parallel_tool_calls": ["x", 1],
    "reasoning_effort": [3, True],
    "user": [3, b"x"],
    "stream": ["no", 1],
    "cache": ["no", 0],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in WRONG.items() for v in vs])
def test_a_field_that_means_nothing(refuse, name, value):
    """The error names the argument and what was expected, whoever the host is."""
    error = refuse(**{name: value})
    assert error.param == name
    assert str(error).startswith(f"{name}: expected ")


@pytest.mark.parametrize(
    "arguments",
    [
        {"temperature": 5, "top_p": 0, "seed": -1, "stop": ["a"], "user": "u"},
        {"temperature": 10**400, "presence_penalty": -9.5, "logprobs": False, "top_logprobs": 0},
        {"max_tokens": 5, "max_completion_tokens": 5},
        {"tools": [tool("a"), tool("b")], "tool_choice": "required"},
        {"tools": [tool("a")], "tool_choice": {"type": "function", "function": {"name": "a"}}},
        {"tool_choice": "auto"},
        {"extra_body": {"top_k": 3, "guided_json": {"type": "object"}}},
    ],
)
def test_what_is_left_to_the_host(shop, arguments):
    """Limits that differ from host to host are not ours."""
    client, host = shop
    client.chat.completions.create(ASK, model=MODEL, **arguments)
    assert len(host.calls) == 1


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"x": object()}, "x: expected JSON values"),
        ({"x": NAN}, "x: expected JSON values"),
        ({3: 4}, "extra_body: expected names as texts"),
        ({"temperature": NAN}, "temperature: expected a number"),
    ],
)
def test_fields_of_a_host_that_are_no_json(refuse, body, says):
    """A host's own fields are anything that JSON can express."""
    assert str(refuse(extra_body=body)).startswith(says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"tools": [tool("a"), tool("b"), tool("a")]}, "tools[2]: expected a name of its own"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0]: expected a function with"),
        ({"tools": [{"type": "function"}]}, "tools[0]: expected {"),
        ({"tools": [print]}, "tools[0]: expected {"),
        ({"tools": [tool("a")], "tool_choice": "a"}, "tool_choice: expected 'none'"),
        ({"tools": [tool("a")], "tool_choice": ["a"]}, "tool_choice: expected 'none'"),
        ({"tool_choice": "required"}, "tool_choice: expected tools to choose from"),
        (
            {"tools": [tool("a")], "tool_choice": {"function": {"name": "b"}}},
            "tool_choice: expected one of the tools (a), got 'b'",
        ),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens: expected it or"),
    ],
)
def test_tools_and_lengths_that_contradict_themselves(refuse, arguments, says):
    """Which tool, or which of two lengths, is meant would be the host's guess."""
    assert str(refuse(**arguments)).startswith(says)


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/secret.png"}}


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([{"role": "user", "content": [IMAGE]}], "messages[0].content[0]: only text can be"),
        ([{"role": "user", "content": ["secret"]}], "messages[0].content[0]: only text can be"),
        (
            [{"role": "user", "content": [{"type": "text", "text": " "}, IMAGE]}],
            "messages[0].content[1]: only text can be",
        ),
        (
            [*ASK, {"role": "user", "content": "secret", "x": object()}],
            "messages[1]: expected JSON",
        ),
        ([*ASK, {"role": "user", "content": "secret", "x": NAN}], "messages[1]: expected JSON"),
        ([{"role": "user", "content": "secret", 3: 4}], "messages: expected JSON values"),
        ([MappingProxyType(ASK[0])], "messages[0]: expected JSON values"),
        ([Message], "messages[0]: expected a dict"),
        ([Message(role="robot")], "messages[0]: expected a dict"),
    ],
)
def test_messages_that_cannot_be_sent(refuse, messages, says):
    """The error says where, and how it should look; it shows nothing of the prompt."""
    error = refuse(messages)
    assert str(error).startswith(says)
    assert "secret" not in str(error)


def test_messages_of_pydantic(shop):
    """The message of a completion may be sent back as it is, as with OpenAI's client."""
    client, host = shop
    first = client.chat.completions.create([Message(role="user", content="Hi")], model=MODEL)
    said = first.choices[0].message
    called = Message(
        role="assistant",
        reasoning_content="why",
        tool_calls=[{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    )
    thought = Message(role="assistant", content="so", reasoning_content="why")
    result = {"role": "tool", "tool_call_id": "1", "content": "3"}
    messages = [*ASK, said, *ASK, thought, *ASK, called, result]
    before = copy.deepcopy(messages)
    client.chat.completions.create(messages, model=MODEL)
    assert messages == before
    sent = [dict(m) for m in host.calls[1].request.messages]
    assert sent[1] == {"role": "assistant", "content": "ok"}
    assert sent[3] == {"role": "assistant", "content": "so"}  # reasoning goes only with its tools
    assert sent[5]["reasoning_content"] == "why"
    assert sent[5]["tool_calls"] == called.tool_calls


@pytest.mark.parametrize("method", ["batch", "plan_job"])
@pytest.mark.parametrize(
    ("requests", "says"),
    [
        (ASK, r"requests\[0\]: expected a list of messages, got one message; .*\[messages\]"),
        ("Hi", "requests: expected lists of messages, got str"),
        (None, "requests: expected lists of messages, got NoneType"),
        ({"messages": ASK}, "requests: expected lists of messages, got dict"),
    ],
)
def test_one_conversation_is_no_batch(shop, method, requests, says):
    """Several are wanted, and the error says how one is given."""
    client, host = shop
    with pytest.raises(InvalidRequestError, match=says):
        getattr(client, method)(requests)
    assert host.calls == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("temprature", "did you mean 'temperature'"),
        ("budget", "for a whole batch"),
        ("frobnicate", "unexpected keyword argument 'frobnicate'; a host's own"),
    ],
)
def test_an_argument_that_there_is_not(shop, name, says):
    """It is Python's error, with what may have been meant."""
    with pytest.raises(TypeError, match=says):
        shop[0].batch([{"messages": ASK, name: 1}])


@pytest.mark.parametrize("value", ["a\x1b[2J", "a\nb", "\x9b2J", "a\u2028b", "\u202eabc"])
def test_tags_that_terminals_obey(refuse, value):
    """Control characters of either set, ends of lines and overrides of direction are no tags."""
    assert refuse(tags={"team": value}).param == "tags"


@pytest.mark.parametrize("value", ["日本語", "a b/c", "naïve", "\u3000", "👩‍💻"])
def test_tags_in_any_script(shop, value):
    """What people write is taken."""
    client, _ = shop
    client.chat.completions.create(ASK, model=MODEL, tags={"team": value})
    (row,) = client.report(by="tag:team")
    assert value in row.values()
