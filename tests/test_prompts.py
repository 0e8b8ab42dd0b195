import json
from datetime import UTC, datetime

import pytest

from classifiers.prompt import Prompt
from router.errors import InvalidRequestError
from router.prompts.text import check_messages, message_text, prompt_of, scored_text, traffic_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
USER = {"role": "user", "content": "Hi"}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    "messages",
    [
        [USER],
        (USER,),
        [{"role": "system", "content": "Be brief."}, USER],
        [{"role": "developer", "content": "Be brief."}, USER],
        [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}],
        [USER, {"role": "assistant", "content": "A"}, {"role": "tool", "content": "B"}],
        [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        [USER, {"role": "user", "content": ""}],
    ],
)
def test_conversations(messages):
    """Lists of messages as OpenAI knows them pass unchanged."""
    assert check_messages(messages) == tuple(messages)


@pytest.mark.parametrize(
    ("messages", "param", "says"),
    [
        ([], "messages", "expected at least one, got none"),
        ((), "messages", "expected at least one"),
        ("Hi", "messages", "expected a list .* got str"),
        (b"Hi", "messages", "got bytes"),
        (USER, "messages", "got dict"),
        (None, "messages", "got NoneType"),
        (iter([USER]), "messages", "expected a list"),
        (["Hi"], "messages[0].role", "got 'str'"),
        ([USER, {"content": "Hi"}], "messages[1].role", "got None"),
        ([{"role": "robot", "content": "Hi"}], "messages[0].role", "got 'robot'"),
        ([{"role": ["user"], "content": "Hi"}], "messages[0].role", "expected a dict with a role"),
        ([{"role": "user"}], "messages[0].content", "got NoneType"),
        ([{"role": "user", "content": None}], "messages[0].content", "got NoneType"),
        ([{"role": "user", "content": 7}], "messages[0].content", "got int"),
        ([USER, {"role": "assistant"}], "messages[1].content", "got NoneType"),
        ([USER, {"role": "assistant", "content": 7}], "messages[1].content", "got int"),
        ([{"role": "user", "content": ""}], "messages", "all of them are empty"),
        ([{"role": "user", "content": " \n"}], "messages", "all of them are empty"),
        ([{"role": "user", "content": []}], "messages", "all of them are empty"),
    ],
)
def test_what_is_no_conversation(messages, param, says):
    """What cannot be sent is refused with its position and what was expected."""
    with pytest.raises(InvalidRequestError, match=says) as caught:
        check_messages(messages)
    assert caught.value.param == param


def test_an_error_never_repeats_the_prompt():
    """Prompts can be private: an error says where, not what."""
    messages = [{"role": "user", "content": "my secret"}, {"role": "user", "content": 7}]
    with pytest.raises(InvalidRequestError) as caught:
        check_messages(messages)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Hi", "Hi"),
        (None, ""),
        ([], ""),
        ([{"type": "text", "text": "A"}, {"type": "text", "text": "B"}], "A\nB"),
        ([{"type": "image_url", "image_url": {}}, {"type": "text", "text": "B"}], "B"),
        (["odd", {"text": 5}], ""),
    ],
)
def test_the_text_of_a_message(content, text):
    """Parts are joined; what is not text is left out."""
    assert message_text({"role": "user", "content": content}) == text


def test_the_text_that_is_scored():
    """The last user message is the question; without one, the last text of any kind."""
    system = {"role": "system", "content": "S"}
    answer = {"role": "assistant", "content": "A"}
    assert scored_text([system, USER, answer, {"role": "user", "content": "B"}, answer]) == "B"
    assert scored_text([system, answer]) == "A"
    assert scored_text([system, {"role": "assistant", "content": None}]) == "S"


def test_a_request_as_a_scorer_reads_it():
    """The text in question and what is around it, counted; no other text."""
    system = {"role": "system", "content": "Be brief."}
    more = {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]}
    answer = {"role": "assistant", "content": "A"}
    second = {"role": "user", "content": "And why?"}
    schema = {"name": "s", "schema": {"type": "object"}}
    found = prompt_of(
        [system, more, USER, answer, second],
        [{"type": "function"}] * 2,
        {"type": "json_schema", "json_schema": schema},
    )
    assert (found.text, found.turns, found.tools) == ("And why?", 2, 2)
    assert found.system_chars == len("Be brief.\nBe kind.")
    assert (found.wants_json, found.schema_chars) == (True, len(json.dumps(schema)))
    assert found.route.startswith("template:")
    assert len(found.route) == len("template:") + 12
    assert prompt_of([USER]) == Prompt(text="Hi")
    assert not prompt_of([USER], response_format={"type": "text"}).wants_json
    assert prompt_of([system]).turns == 1


@pytest.mark.parametrize(
    ("tags", "route"),
    [
        ({"route": "r", "feature": "f", "task": "t"}, "route=r"),
        ({"feature": "f", "task": "t"}, "feature=f"),
        ({"task": "t", "team": "x"}, "task=t"),
        ({"team": "x"}, ""),
        ({"route": ""}, ""),
        (None, ""),
    ],
)
def test_the_route_of_a_prompt(tags, route):
    """The caller's tag, the first of three that is there; else the system prompt."""
    assert prompt_of([USER], tags=tags).route == route
    templates = {
        prompt_of([{"role": "system", "content": c}, USER]).route for c in ("a", "a", "b")
    }
    assert len(templates) == 2


def test_kinds_of_traffic():
    """A tag names it; else its tools and the end of its system prompt do, whatever comes first."""
    rules = "Answer kindly, and cite the terms. " * 20

    def kind(head, *names, **tags):
        tools = [{"type": "function", "function": {"name": name}} for name in names]
        return traffic_of(tags, [{"role": "system", "content": head}, USER], tools)

    assert kind("a", route="r") == "route=r"
    assert kind(f"It is 12:30. {rules}") == kind(f"It is 12:31. {rules}")
    assert kind(rules, "b", "a") == kind(rules, "a", "b") != kind(rules, "a")
    assert kind(rules) != kind("Be brief.")
    assert kind(rules + "Case 7") == kind(rules + "Case 8")
