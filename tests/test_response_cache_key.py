"""Which requests are the same, and which answers are worth keeping."""

import json
from dataclasses import fields, replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import cheapest, constrained, first_of, sparing, utility
from router.responses import cache_key, storable, tags_read
from router.testing import reply
from router.types import Request, Usage

names = st.text(st.characters(codec="utf-8"), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(names, values, max_size=4)
requests = st.builds(
    Request,
    id=names,
    messages=st.lists(objects, max_size=3).map(tuple),
    models=st.lists(names, min_size=1, max_size=3).map(tuple),
    tools=st.lists(objects, max_size=2).map(tuple),
    tool_choice=values,
    response_format=st.none() | objects,
    max_tokens=st.none() | st.integers(1, 9),
    extra=objects,
    tags=st.dictionaries(st.sampled_from(["tenant", "team", "user"]), names, max_size=3),
)
TOOL = {"type": "function", "function": {"name": "look", "parameters": {}}}
ASKED = Request(
    id="r",
    messages=({"role": "user", "content": "Hi"},),
    tools=(TOOL,),
    tool_choice="auto",
    response_format={"type": "json_object"},
    max_tokens=50,
    extra={"temperature": 0.5, "service_tier": "flex", "seed": 1},
    tags={"tenant": "a", "team": "search"},
)


def key(request, policy="p", **more):
    return cache_key(request, policy=policy, **more)


def backwards(value):
    """The same value with every dict in the opposite order."""
    if isinstance(value, dict):
        return {k: backwards(value[k]) for k in reversed(list(value))}
    if isinstance(value, (list, tuple)):
        return type(value)(backwards(v) for v in value)
    return value


@given(requests)
def test_the_order_of_keys_does_not_matter(request):
    """Nor do id, timeout, retries, `stream` and tags that the policy does not read."""
    same = replace(
        request,
        id="another",
        messages=backwards(request.messages),
        tools=backwards(request.tools),
        response_format=backwards(request.response_format),
        extra=backwards(request.extra),
        tags={**backwards(request.tags), "team": "another"},
        timeout=1.0,
        max_retries=9,
    )
    found = key(request)
    assert found == key(same)
    assert len(found) == 64
    assert set(found) <= set("0123456789abcdef")
    if not request.tools:
        assert found == key(replace(request, stream=True))


@given(requests, requests, names, names)
def test_two_tenants_never_share(one, other, mine, theirs):
    """Whatever they ask, equal or not: another tenant is another key."""
    a = key(replace(one, tags={**one.tags, "tenant": mine}))
    for asked in (one, other):
        b = key(replace(asked, tags={**asked.tags, "tenant": theirs}))
        assert mine == theirs or a != b
    nobody = {k: v for k, v in one.tags.items() if k != "tenant"}
    assert (a == key(replace(one, tags=nobody))) == (mine == "")


@given(requests, requests)
def test_different_requests_have_different_keys(one, other):
    """A key is equal exactly where all that the answer depends on is equal, as JSON."""

    def asked(request):
        parts = {f.name: getattr(request, f.name) for f in fields(request)}
        for name in ("id", "timeout", "max_retries", "patience", "stream", "unvetted"):
            parts.pop(name)
        parts["tags"] = request.tags.get("tenant", "")
        # `null` and `{}` say the same of a format: nothing
        parts["response_format"] = parts["response_format"] or None
        return json.dumps(parts, sort_keys=True)

    same = replace(one, response_format=one.response_format or None)
    other = replace(other, response_format=other.response_format or None)
    assert (key(same) == key(other)) == (asked(same) == asked(other))


@pytest.mark.parametrize(
    "change",
    [
        {"messages": ({"role": "user", "content": "Ho"},)},
        {"messages": ({"role": "system", "content": "Hi"},)},
        {"messages": ({"role": "user", "content": "Hi", "name": "ann"},)},
        {"messages": ASKED.messages * 2},
        {"models": ("deepseek-v3.2",)},
        {"tools": ()},
        {"tools": ({**TOOL, "strict": True},)},
        {"tool_choice": "required"},
        {"tool_choice": None},
        {"response_format": None},
        {"response_format": {"type": "text"}},
        {"max_tokens": 51},
        {"max_tokens": None},
        {"extra": {**ASKED.extra, "temperature": 0.7}},
        {"extra": {**ASKED.extra, "service_tier": "priority"}},
        {"extra": {**ASKED.extra, "seed": 2}},
        {"extra": {**ASKED.extra, "stop": ["."]}},
        {"extra": {}},
        {"tags": {"tenant": "b", "team": "search"}},
        {"tags": {"team": "search"}},
    ],
    ids=repr,
)
def test_all_that_changes_the_answer_changes_the_key(change):
    """One field after the other."""
    assert key(replace(ASKED, **change)) != key(ASKED)


def test_the_policy_changes_the_key():
    """Another policy may have chosen another candidate."""
    assert key(ASKED, "p") != key(ASKED, "q")


def test_the_addresses_of_the_hosts_change_the_key():
    """What another server says is another answer, though its host has the same name."""
    assert key(ASKED, addresses="x") != key(ASKED, addresses="y")


def test_tags_that_the_policy_reads_count():
    """A tag that decides about quality must not be answered by another one's answer."""
    other = replace(ASKED, tags={**ASKED.tags, "team": "legal"})
    assert key(ASKED) == key(other)
    assert key(ASKED, by=["team"]) != key(other, by=["team"])
    assert key(ASKED, by=["team"]) != key(ASKED)
    assert key(ASKED, by=["nobody's"]) == key(ASKED)
    assert key(ASKED, by=None) == key(ASKED, by=["team", "tenant"])
    assert key(ASKED, by=None) != key(replace(ASKED, tags={"tenant": "a", "x": "y"}), by=None)


def test_which_tags_a_policy_reads():
    """Those of its quality floors, however deep; of a stranger's callable anything may be read."""
    floors = {"feature=checkout": 0.8, "team=legal": 0.9}
    strict = constrained(utility("0.01"), quality_floors=floors)
    assert tags_read(utility("0.01")) == ()
    assert tags_read(strict) == ("feature", "team")
    assert tags_read(sparing(first_of(cheapest(), strict), share=0.05)) == ("feature", "team")
    assert tags_read(lambda quotes, context: None) is None
    assert tags_read(sparing(lambda quotes, context: None, share=0.05)) is None


def test_streams_that_may_call_tools_are_cached_only_if_asked():
    """A half-delivered call of a tool is nothing to repeat; without tools a stream is fine."""
    streamed = replace(ASKED, stream=True)
    assert key(streamed) is None
    assert key(streamed, streams_with_tools=True) == key(ASKED)
    assert key(replace(streamed, tools=())) == key(replace(ASKED, tools=()))


@pytest.mark.parametrize(
    "change",
    [
        {"messages": ({"role": "user", "content": "\ud800"},)},
        {"messages": ({"role": "user", "content": b"bytes"},)},
        {"tools": ({"parameters": {1: "a", "b": 2}},)},
        {"extra": {"logit_bias": {object(): 1}}},
        {"extra": {"stop": {"a", "b"}}},
        {"tool_choice": object()},
    ],
    ids=repr,
)
def test_what_json_cannot_express_has_no_key(change):
    """It cannot be sent either; that is said elsewhere."""
    assert key(replace(ASKED, **change)) is None


def test_a_value_without_end_has_no_key():
    """A list in itself is no JSON."""
    loop = []
    loop.append(loop)
    assert key(replace(ASKED, extra={"stop": loop})) is None


def test_any_mapping_will_do():
    """Messages and formats may be read-only mappings."""
    proxies = replace(
        ASKED,
        messages=tuple(MappingProxyType(dict(m)) for m in ASKED.messages),
        response_format=MappingProxyType(dict(ASKED.response_format)),
    )
    assert key(proxies) == key(ASKED)


USAGE = Usage(input_tokens=10, output_tokens=5)


def body(message):
    return {"choices": [{"index": 0, "message": message}]}


@pytest.mark.parametrize("reason", ["stop", "tool_calls", None])
def test_whole_answers_are_worth_keeping(reason):
    """Also where a host does not say why it ended."""
    assert storable(reply("Hello").body, reason, USAGE)
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    assert storable(body({"content": None, "tool_calls": [call]}), reason, USAGE)


@pytest.mark.parametrize(
    "reason",
    ["length", "content_filter", "insufficient_system_resource", "function_call", "error", "", 7],
)
def test_answers_that_were_cut_are_not(reason):
    """Or that ended for a reason that we do not know."""
    assert not storable(reply("Hello").body, reason, USAGE)


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"choices": None},
        {"choices": []},
        {"choices": [{}]},
        body({}),
        body({"content": None}),
        body({"content": ""}),
        body({"content": "", "tool_calls": []}),
        body({"content": None, "refusal": "I cannot"}),
    ],
    ids=repr,
)
def test_empty_answers_are_not(odd):
    """An asker who tries again must not get nothing again."""
    assert not storable(odd, "stop", USAGE)


def test_wrong_and_uncounted_answers_are_not():
    """Found wrong by a verifier, without a usage, or with one of nothing."""
    good = reply("Hello").body
    assert storable(good, "stop", USAGE, grade=0.5)
    assert not storable(good, "stop", USAGE, grade=0.49)
    assert not storable(good, "stop", None)
    assert not storable(good, "stop", Usage(input_tokens=10))


def test_json_that_was_asked_for_must_be_json():
    """Broken JSON is asked for again; it must not come out of the cache."""
    assert storable(body({"content": '{"a": 1}'}), "stop", USAGE, wants_json=True)
    assert not storable(body({"content": '{"a": 1'}), "stop", USAGE, wants_json=True)
    assert not storable(body({"content": "[" * 100_000}), "stop", USAGE, wants_json=True)
    assert storable(body({"content": '{"a": 1'}), "stop", USAGE)
