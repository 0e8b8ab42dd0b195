"""The canonical layout of a request: equal requests have equal bytes, and no meaning moves."""

import copy
import gc
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import InvalidRequestError
from router.prompts.layout import arrange, canonical

USER = {"role": "user", "content": "Hi"}
KEYS = st.sampled_from(["type", "properties", "default", "enum", "$defs", "anyOf", "a", "b"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
NAMES = st.text("abc_", min_size=1, max_size=4)


def tool(name, **parameters):
    schema = {"type": "object", **parameters}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TOOLS = st.lists(
    st.builds(tool, NAMES, anyOf=VALUES, description=VALUES),
    max_size=4,
    unique_by=lambda t: t["function"]["name"],
)


def shuffled(value, draw, *, inside=""):
    """The same value, its dicts filled in another order wherever order is no meaning."""
    if isinstance(value, list):
        return [shuffled(one, draw) for one in value]
    if not isinstance(value, dict):
        return value
    items = list(value.items())
    if inside != "properties":
        items = draw(st.permutations(items))
    plain = inside in {"default", "enum"}
    return {
        key: shuffled(
            inner, draw, inside=inside if plain else key if inside != "properties" else ""
        )
        for key, inner in items
    }


@given(VALUES)
def test_canonical_text_keeps_the_value(value):
    """Canonical JSON reads back as the same value."""
    assert json.loads(canonical(value)) == value


@given(TOOLS, VALUES, st.data())
def test_equal_requests_have_equal_bytes(tools, schema, data):
    """The order in which tools were listed and dicts filled leaves no trace in what is sent."""
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    others = [shuffled(t, data.draw) for t in data.draw(st.permutations(tools))]
    one = arrange([USER], tools, wanted)
    other = arrange([USER], others, shuffled(wanted, data.draw))
    assert json.dumps(one.tools) == json.dumps(other.tools)
    assert json.dumps(one.response_format) == json.dumps(other.response_format)


@given(TOOLS, VALUES)
def test_no_tool_and_no_value_is_lost(tools, schema):
    """What is sent equals what was given, and the caller's own dicts are not touched."""
    kept = copy.deepcopy(tools)
    wanted = {"type": "json_schema", "json_schema": {"schema": schema}}
    layout = arrange([USER], tools, wanted)
    assert tools == kept
    assert layout.response_format == wanted
    assert sorted(layout.tools, key=canonical) == sorted(tools, key=canonical)
    again = arrange(layout.messages, layout.tools, layout.response_format)
    assert json.dumps(again.tools) == json.dumps(layout.tools)
    assert again.moved == ()


def test_properties_keep_their_order():
    """Hosts write arguments in the order of `properties`: it is the caller's, at every depth."""
    inner = {"z": {"type": "object", "properties": {"d": {}, "c": {}}}, "a": {"b": 1, "a": 2}}
    given_ = [tool("f", required=["z", "a"], properties=inner)]
    schema = arrange([USER], given_).tools[0]["function"]["parameters"]
    assert list(schema) == ["properties", "required", "type"]
    assert list(schema["properties"]) == ["z", "a"]
    assert list(schema["properties"]["z"]) == ["properties", "type"]
    assert list(schema["properties"]["z"]["properties"]) == ["d", "c"]
    assert list(schema["properties"]["a"]) == ["a", "b"]
    assert schema["required"] == ["z", "a"]


def test_a_property_may_be_called_properties():
    """Names of properties are no keywords: what is under them is a schema again."""
    odd = {"properties": {"type": "object", "b": 1, "a": 2, "properties": {"y": {}, "x": {}}}}
    schema = arrange([USER], [tool("f", properties=odd)]).tools[0]["function"]["parameters"]
    assert list(schema["properties"]["properties"]) == ["a", "b", "properties", "type"]
    assert list(schema["properties"]["properties"]["properties"]) == ["y", "x"]


def test_values_are_no_schemas():
    """In a default or an example a key of that name is like any other; definitions are sorted."""
    layout = arrange(
        [USER],
        [
            tool(
                "f",
                **{
                    "default": {"properties": {"b": 1, "a": 2}},
                    "$defs": {"q": {"properties": {"b": {}, "a": {}}}, "p": {}},
                },
            )
        ],
    )
    schema = layout.tools[0]["function"]["parameters"]
    assert list(schema["default"]["properties"]) == ["a", "b"]
    assert list(schema["$defs"]) == ["p", "q"]
    assert list(schema["$defs"]["q"]["properties"]) == ["b", "a"]


def test_tools_are_sorted_by_name():
    """A list of tools is a set; that it was sorted is said, and not where it was sorted before."""
    layout = arrange([USER], [tool("b"), tool("a"), tool("c")])
    assert [t["function"]["name"] for t in layout.tools] == ["a", "b", "c"]
    assert layout.moved == ("tools sorted by name",)
    assert arrange([USER], layout.tools).moved == ()


def test_tools_of_one_name_keep_their_order():
    """Which of two tools of one name counts is the host's to say: they are not swapped."""
    twice = [tool("f", minimum=2), tool("f", minimum=1)]
    layout = arrange([USER], twice)
    assert [t["function"]["parameters"]["minimum"] for t in layout.tools] == [2, 1]
    assert layout.moved == ()
    nameless = [{"type": "function", "b": 1}, {"type": "function", "a": 1}]
    assert arrange([USER], nameless).tools == tuple(nameless)


@pytest.mark.parametrize(
    ("value", "says"),
    [({1, 2}, "not JSON serializable"), (float("nan"), "not JSON compliant"), (b"", "JSON")],
)
def test_what_is_not_json(value, says):
    """A tool or format that JSON cannot express is refused with its position."""
    with pytest.raises(InvalidRequestError, match=rf"tools\[1\]: expected JSON.*{says}") as caught:
        arrange([USER], [{"a": 1}, {"a": value}])
    assert caught.value.param == "tools[1]"
    with pytest.raises(InvalidRequestError, match=r"response_format: expected JSON") as caught:
        arrange([USER], [], {"a": value})
    assert caught.value.param == "response_format"


def test_what_is_nested_too_deeply():
    """A schema that no host could read is an error of ours, not of the interpreter."""
    deep = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(InvalidRequestError, match="nested too deeply"):
        arrange([USER], [deep])


def test_no_tool_is_kept():
    """Tools that change with every request, long lists of customers say, leave nothing behind."""
    tracemalloc.start()
    try:
        for i in range(20):
            names = [f"customer {i} {j}" for j in range(2000)]
            arrange([USER], [tool("pick", properties={"id": {"enum": names}})])
            if i == 0:
                before = tracemalloc.get_traced_memory()[0]
        del names
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held < 50_000


def test_a_format_may_be_left_out():
    """Without a response format there is none in the layout."""
    assert arrange([USER]).response_format is None
    assert arrange([USER], (), {"type": "text"}).response_format == {"type": "text"}


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
    assert layout.moved == ()
    assert len(layout.notes) == len(notes)
    assert all(got.startswith(start) for got, start in zip(layout.notes, notes, strict=True))
