import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.prompt import Prompt
from router.errors import InvalidRequestError
from router.prompts.layout import arrange, canonical
from router.prompts.prefix import PrefixIndex, chain_of
from router.prompts.text import check_messages, message_text, prompt_of, scored_text

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
USER = {"role": "user", "content": "Hi"}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


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


@given(JSON)
def test_canonical_text_keeps_the_value(value):
    """Canonical JSON reads back as the same value."""
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=5), st.data())
def test_equal_values_have_equal_bytes(value, data):
    """The order in which a dict was filled leaves no trace."""
    items = data.draw(st.permutations(list(value.items())))
    assert canonical(dict(items)) == canonical(value)
    assert arrange([USER], [dict(items)]) == arrange([USER], [value])


def test_a_layout_moves_nothing_that_has_meaning():
    """Messages keep order and text; tools keep their order, only their keys are sorted."""
    tools = [{"type": "function", "b": 1, "a": {"y": 1, "x": 2}}, {"type": "function", "a": 0}]
    layout = arrange([USER, {"role": "assistant", "content": "A"}], tools)
    assert layout.messages == (USER, {"role": "assistant", "content": "A"})
    assert layout.tools == tuple(tools)
    assert [list(tool) for tool in layout.tools] == [["a", "b", "type"], ["a", "type"]]
    assert list(layout.tools[0]["a"]) == ["x", "y"]
    assert layout.notes == ()


def test_a_tool_that_is_not_json():
    """A tool that JSON cannot express is refused with its position."""
    with pytest.raises(InvalidRequestError, match=r"tools\[1\]: expected JSON values") as caught:
        arrange([USER], [{"a": 1}, {"a": {1, 2}}])
    assert caught.value.param == "tools[1]"


@pytest.mark.parametrize(
    ("messages", "notes"),
    [
        ([("system", "It is 2026-11-22 12:30. Be brief.")], ["messages[0] holds a timestamp"]),
        ([("system", "At 2026-11-22T12:30Z")], ["messages[0] holds a timestamp"]),
        (
            [("developer", "Session 3F2504E0-4F89-11D3-9A0C-0305E82C3301")],
            ["messages[0] holds a UUID"],
        ),
        ([("system", "Since 2026-11-22 we are brief.")], []),
        ([("user", "It is 2026-11-22 12:30.")], []),
        ([("system", "x" * 2000 + "2026-11-22 12:30")], []),
        ([("user", "Hi"), ("system", "Be brief.")], ["messages[1] is a system message after"]),
        (
            [("user", "Hi"), ("system", "It is 2026-11-22 12:30")],
            ["messages[1] is a system message after", "messages[1] holds a timestamp"],
        ),
    ],
)
def test_what_keeps_caches_from_hitting_is_noted(messages, notes):
    """Text that changes from call to call, near the front, is pointed out and left alone."""
    sent = [{"role": role, "content": content} for role, content in messages]
    layout = arrange(sent)
    assert layout.messages == tuple(sent)
    assert len(layout.notes) == len(notes)
    assert all(got.startswith(start) for got, start in zip(layout.notes, notes, strict=True))


def chain(*texts, tools=()):
    return chain_of([{"role": "user", "content": text} for text in texts], tools)


def test_a_chain_has_a_link_for_each_prefix():
    """Conversations that begin alike share the links of what they share, and no others."""
    assert len(chain("a", "b", "c")) == 3
    assert chain("a", "b", "c")[:2] == chain("a", "b")
    assert set(chain("a", "b")).isdisjoint(chain("b", "a"))
    assert chain("ab")[-1] != chain("a", "b")[-1]
    assert chain("a")[0] != chain("a", tools=[{"a": 1}])[0]
    assert chain("\ud800")  # half of a pair is hashed, too


def after(seconds):
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, 0), (4.9, 0), (5, 960), (3600, 960), (3600.1, 0), (-60, 0)],
)
def test_a_prefix_lives_for_an_hour(seconds, expected):
    """A cache needs seconds to be built and is kept an hour, in whole units of 64 tokens."""
    index = PrefixIndex()
    index.record("m@h", chain("a")[-1], 1000, NOW)
    assert index.expected("m@h", chain("a", "b"), after(seconds)) == expected


def test_the_longest_prefix_counts():
    """The longest known beginning is what is expected, at this endpoint alone."""
    index = PrefixIndex()
    index.record("m@h", chain("a")[-1], 640, NOW)
    index.record("m@h", chain("a", "b")[-1], 1280, NOW)
    later = after(60)
    assert index.expected("m@h", chain("a", "b", "c"), later) == 1280
    assert index.expected("m@h", chain("a", "x"), later) == 640
    assert index.expected("m@h", chain("x", "b"), later) == 0
    assert index.expected("m@elsewhere", chain("a", "b"), later) == 0
    assert index.expected("m@h", (), later) == 0


def test_less_than_a_unit_is_not_expected():
    """A prompt below the cache's unit is never a hit."""
    index = PrefixIndex()
    index.record("m@h", chain("a")[-1], 63, NOW)
    assert index.expected("m@h", chain("a"), after(60)) == 0


def test_the_index_is_bounded():
    """Beyond its size the index forgets what was recorded longest ago."""
    index = PrefixIndex(size=3)
    for name in "abcd":
        index.record("m@h", chain(name)[-1], 640, NOW)
        index.record("m@h", chain("a")[-1], 640, NOW)
    later = after(60)
    known = [name for name in "abcd" if index.expected("m@h", chain(name), later)]
    assert known == ["a", "c", "d"]
    assert len(index._seen) == 3


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
