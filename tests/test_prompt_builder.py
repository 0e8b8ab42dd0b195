"""`PromptBuilder`: each request begins with all of the one before, and templates take it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import Client, InvalidRequestError, PromptBuilder
from router.completion import ChatCompletion
from router.prompts.layout import arrange
from router.testing import MockTransport, reply
from router.tokens import encode_messages

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"b": 1}'}}
OTHER = {**CALL, "id": "c2"}


def answered(content="A", **fields):
    message = {"role": "assistant", "content": content, **fields}
    return ChatCompletion.model_validate({"choices": [{"message": message}]})


def test_static_comes_before_session_in_one_message():
    """Many templates refuse a second system message: there is one, and what is shared opens it."""
    talk = PromptBuilder("You help.", session="The customer is Ann.")
    assert list(talk) == [{"role": "system", "content": "You help.\n\nThe customer is Ann."}]
    assert list(PromptBuilder(session="S")) == [{"role": "system", "content": "S"}]
    assert list(PromptBuilder()) == []


def test_what_is_volatile_stays_in_its_turn():
    """The time of a turn ends its user message, and is still there in the next request."""
    talk = PromptBuilder("S").user("Hi", volatile="It is 12:30.")
    assert talk[-1] == {"role": "user", "content": "Hi\n\nIt is 12:30."}
    talk.assistant("A").user("Bye", volatile="It is 12:31.")
    assert [m["content"] for m in talk[1:]] == ["Hi\n\nIt is 12:30.", "A", "Bye\n\nIt is 12:31."]
    image = {"type": "image_url", "image_url": {"url": "u"}}
    assert PromptBuilder().user([image], volatile="V")[0]["content"] == [
        image,
        {"type": "text", "text": "V"},
    ]


STEPS = st.lists(st.tuples(st.text("ab c", min_size=1), st.booleans(), st.booleans()), max_size=5)


@given(st.text("xy", max_size=3), STEPS)
def test_each_request_begins_with_the_one_before(static, steps):
    """Byte for byte: what was sent once is the beginning of all that is sent later."""
    talk, before = PromptBuilder(static, session="T", tools=[TOOL]), ""
    for text, calls, late in steps:
        talk.user(text, volatile="V" if late else "")
        for _ in range(2 * calls):
            sent = json.dumps([arrange(talk).messages])[:-2]
            assert sent.startswith(before)
            talk.assistant(answered(None, tool_calls=[CALL], reasoning_content="R"))
            talk.tool("c1", "B")
            before = sent
        talk.assistant(answered(text, reasoning_content="R"))
    sent = json.dumps([arrange(talk).messages])[:-2]
    assert sent.startswith(before)


def test_a_chat_is_a_prefix_under_the_template():
    """In chat mode the tokens of a request begin with those of the request before."""
    talk = PromptBuilder("You help.", session="Ann.", tools=[TOOL]).user("Hi", volatile="12:30")
    before = encode_messages(talk, tools=talk.tools).tolist()
    talk.assistant("Hello!").user("Bye")
    after = encode_messages(talk, tools=talk.tools).tolist()
    assert after[: len(before)] == before


def test_a_tool_loop_is_a_prefix_under_the_template_in_thinking_mode():
    """Reasoning goes back while tools are called: without it V3.2 would read another history."""
    talk = PromptBuilder("S", tools=[TOOL]).user("Hi")
    talk.assistant(answered("", tool_calls=[CALL], reasoning_content="First f.")).tool("c1", "B")
    before = encode_messages(talk, thinking=True).tolist()
    talk.assistant(answered("", tool_calls=[CALL], reasoning_content="Then f.")).tool("c1", "C")
    after = encode_messages(talk, thinking=True).tolist()
    assert after[: len(before)] == before


def test_reasoning_is_kept_in_turns_that_call_tools_alone():
    """Elsewhere hosts ignore or refuse it; V4 wants it back in all requests after a tool call."""
    talk = PromptBuilder().user("Hi").assistant(answered(reasoning_content="R"))
    assert talk[-1] == {"role": "assistant", "content": "A"}
    talk.user("Use f").assistant(answered(None, tool_calls=[CALL], reasoning_content="R"))
    assert talk[-1]["reasoning_content"] == "R"
    talk.tool("c1", "B").assistant(answered("Done", reasoning_content="S"))
    assert talk[-1]["reasoning_content"] == "S"
    talk.user("Thanks").assistant({"content": "Bye", "reasoning": "T"})
    assert talk[-1] == {"role": "assistant", "content": "Bye"}
    assert [m.get("reasoning_content") for m in talk] == [
        None, None, None, "R", None, "S", None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        "A",
        {"content": "A"},
        {"role": "assistant", "content": "A", "refusal": None},
        answered(),
        answered().choices[0].message,
    ],
)
def test_answers_of_any_shape(answer):
    """Text, message or completion: what goes back is the message, without what hosts add."""
    assert PromptBuilder().user("Hi").assistant(answer)[-1] == {
        "role": "assistant",
        "content": "A",
    }


def test_an_answer_without_content():
    """None is content only beside tool calls; else it is empty text, which hosts take."""
    assert PromptBuilder().user("Hi").assistant(answered(None))[-1]["content"] == ""
    called = PromptBuilder().user("Hi").assistant(answered(None, tool_calls=[CALL]))
    assert called[-1] == {"role": "assistant", "content": None, "tool_calls": [CALL]}


def test_calls_are_answered_one_by_one():
    """Parallel calls take their results in any order; until then nothing else comes."""
    talk = PromptBuilder().user("Hi").assistant(answered(None, tool_calls=[CALL, OTHER]))
    with pytest.raises(InvalidRequestError, match=r"no result; expected .tool.* for 'c1', 'c2'"):
        talk.user("And?")
    talk.tool("c2", "B")
    with pytest.raises(InvalidRequestError, match="an answer while tool calls have no result"):
        talk.assistant("A")
    with pytest.raises(InvalidRequestError, match=r"without a result \('c1'\), got 'c2'"):
        talk.tool("c2", "B")
    talk.tool("c1", [{"type": "text", "text": "C"}]).assistant("A")
    with pytest.raises(InvalidRequestError, match=r"\(none\)"):
        talk.tool("c1", "B")
    assert [m["role"] for m in talk] == ["user", "assistant", "tool", "tool", "assistant"]


@pytest.mark.parametrize(
    ("build", "param", "says"),
    [
        (lambda: PromptBuilder(5), "static", "expected text, got int"),
        (lambda: PromptBuilder(session=None), "session", "expected text, got NoneType"),
        (lambda: PromptBuilder(tools=TOOL), "tools", "expected a list of tools, got dict"),
        (lambda: PromptBuilder(tools="f"), "tools", "got str"),
        (lambda: PromptBuilder().user(5), "content", "got int"),
        (lambda: PromptBuilder().user(""), "content", "expected text or parts"),
        (lambda: PromptBuilder().user({"type": "text"}), "content", "got dict"),
        (lambda: PromptBuilder().user(["my secret"]), "content", "parts that are dicts"),
        (lambda: PromptBuilder().user("A", volatile=5), "volatile", "got int"),
        (lambda: PromptBuilder().assistant("my secret"), "messages", "an answer to nothing"),
        (lambda: PromptBuilder().user("A").assistant("B").assistant("C"), "messages", "nothing"),
        (lambda: PromptBuilder().user("A").assistant(5), "reply", "got int"),
        (lambda: PromptBuilder().user("A").assistant({"role": "user"}), "reply", "got dict"),
        (lambda: PromptBuilder().user("A").assistant({"content": 5}), "reply", "got int"),
        (
            lambda: PromptBuilder().user("A").assistant(ChatCompletion(choices=[])),
            "reply",
            "got ChatCompletion",
        ),
        (
            lambda: PromptBuilder().user("A").assistant({"tool_calls": [{"type": "function"}]}),
            "reply",
            "each with an id",
        ),
        (lambda: PromptBuilder().user("A").assistant({"tool_calls": "f"}), "reply", "got str"),
        (lambda: PromptBuilder().tool(5, "B"), "call_id", "got int"),
    ],
)
def test_what_is_refused(build, param, says):
    """Errors name the argument and what was expected; never the text."""
    with pytest.raises(InvalidRequestError, match=says) as caught:
        build()
    assert caught.value.param == param
    assert "secret" not in str(caught.value)


def test_an_error_changes_nothing():
    """What was refused is not half there: the prompt can go on."""
    talk = PromptBuilder("S").user("Hi")
    kept = talk.messages
    for wrong in (lambda: talk.assistant(5), lambda: talk.tool("c", "B"), lambda: talk.user(5)):
        with pytest.raises(InvalidRequestError):
            wrong()
    assert talk.messages == kept


def test_what_was_sent_cannot_be_changed():
    """Messages and tools are handed out as copies, and taken as copies."""
    tools, parts = [json.loads(json.dumps(TOOL))], [{"type": "text", "text": "Hi"}]
    talk = PromptBuilder("S", tools=tools).user(parts)
    parts[0]["text"] = "changed"
    tools[0]["function"]["name"] = "changed"
    talk[1]["content"][0]["text"] = "changed"
    talk.messages[0]["content"] = "changed"
    assert talk[1]["content"] == [{"type": "text", "text": "Hi"}]
    assert talk[0]["content"] == "S"
    assert talk.tools == (TOOL,)


def test_a_copy_goes_its_own_way():
    """Many questions about one beginning: copies share it, and nothing later."""
    base = PromptBuilder("S").user("Hi").assistant(answered(None, tool_calls=[CALL]))
    one, other = base.copy().tool("c1", "B"), base.copy().tool("c1", "C")
    assert (len(base), one[-1]["content"], other[-1]["content"]) == (3, "B", "C")
    base.tool("c1", "D")


def test_no_text_is_shown():
    """Prompts can be private: the repr counts, it does not quote."""
    talk = PromptBuilder("my secret", session="hers", tools=[TOOL]).user("hidden")
    assert repr(talk) == "PromptBuilder(static 9, session 4 characters, 1 tools, 2 messages)"


def test_clients_take_it():
    """`create` and `plan` send its messages and tools; tools besides are refused."""
    transport = MockTransport(reply("A"))
    with Client(transport=transport, keys={"deepinfra": "k"}, ledger=":memory:") as client:
        talk = PromptBuilder("You help.", tools=[TOOL]).user("Hi")
        answer = client.chat.completions.create(talk, model="deepseek-v3.2@deepinfra")
        sent = transport.calls[-1].request
        assert (list(sent.messages), sent.tools) == (list(talk), (TOOL,))
        talk.assistant(answer).user("Bye")
        plan = client.plan(talk, model="deepseek-v3.2@deepinfra")
        assert (plan.layout.messages, plan.layout.tools) == (talk.messages, (TOOL,))
        with pytest.raises(InvalidRequestError, match="tools of its own"):
            client.plan(talk, tools=[TOOL])
        bare = PromptBuilder().user("Hi")
        assert client.plan(bare, model="deepseek-v3.2@deepinfra", tools=[TOOL]).layout.tools
