"""The linter: which cause is named, where, what it costs; and what is no finding."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks._lint_clean import CLEAN
from benchmarks._lint_inject import INJECTED
from benchmarks._lint_told import TOLD
from router import InvalidRequestError
from router.prompts import causes
from router.prompts.lint import Sent, View, compare, explain
from router.prompts.rule import CacheRule
from router.tokens import count_messages

RULE = CacheRule(unit_tokens=64)
LARGE = CacheRule(unit_tokens=128, min_tokens=1024)
RULES = "\n".join(f"{n}. When the {n}th case comes, answer it kindly." for n in range(40))
HISTORY = [
    (role, f"{role} says thing number {n}: " + f"word{n} " * 60)
    for n in range(4)
    for role in ("user", "assistant")
]
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def sent(*messages, **more):
    """A request of (role, text) pairs."""
    return Sent(messages=tuple({"role": r, "content": t} for r, t in messages), **more)


def tool(name, **schema):
    """A tool whose description is long enough to matter."""
    properties = {key: {"type": "string", "description": f"the {key}"} for key in ("a", "b")}
    parameters = {"type": "object", "properties": properties} | schema
    function = {"name": name, "description": f"Does {name}. " * 30, "parameters": parameters}
    return {"type": "function", "function": function}


@pytest.mark.parametrize("cause", INJECTED)
@pytest.mark.parametrize("seed", range(3))
def test_every_cause_is_named(cause, seed):
    """A cause put into a made-up conversation is named, and its tokens are counted."""
    p, c = INJECTED[cause](random.Random(f"{cause} {seed}"))
    rule = LARGE if cause == causes.MINIMUM else RULE
    found = compare(p, c, rule)
    assert found is not None
    assert found.cause == cause
    assert found.lost_tokens >= rule.unit_tokens
    assert found.kept_tokens + found.lost_tokens <= len(View(c).ids)
    assert found.fix == causes.FIXES[cause]


def test_documents_that_are_looked_up_anew_are_no_counter():
    """Others of them under other numbers: where much is the same, their order is what to mend."""
    rng = random.Random(7)

    def text(count):
        return " ".join(f"word{rng.randrange(9999)}" for _ in range(count))

    docs = [f"Document {n}: {text(200)}" for n in range(5)]
    first, anew, half = (
        sent(("system", RULES), ("user", "\n\n".join((*found, f"Question: {text(12)}"))))
        for found in (
            (docs[0], docs[3], docs[2]),
            (docs[0], docs[4], docs[1]),
            docs[:1] + docs[3:],
        )
    )
    assert compare(first, anew, RULE) is None
    found = compare(half, sent(*[(m["role"], m["content"]) for m in first.messages]), RULE)
    assert found is None or found.cause not in {causes.COUNTER, causes.QUESTION}
    moved = sent(
        ("system", RULES),
        ("user", "\n\n".join((docs[0], docs[4], docs[3], f"Question: {text(12)}"))),
    )
    found = compare(first, moved, RULE)
    assert found is not None
    assert found.cause == causes.DOCUMENTS


@pytest.mark.parametrize("between", ["\n", f"\n{RULES}\n"])
def test_a_number_alone_on_its_line_is_a_counter(between):
    """Whatever else changes further down."""
    texts = [f"Call {n} of today.{between}The client is {n * 'a'}.\n{RULES}" for n in (3, 4)]
    one, other = (sent(("system", text), ("user", "Go on.")) for text in texts)
    found = compare(one, other, RULE)
    assert found is not None
    assert found.cause == causes.COUNTER


@pytest.mark.parametrize("name", CLEAN)
@pytest.mark.parametrize("seed", range(3))
def test_what_must_differ_is_no_finding(name, seed):
    """Longer histories, other questions, other conversations, other users: nothing is said."""
    assert compare(*CLEAN[name](random.Random(f"{name} {seed}")), RULE) is None


def test_every_cause_has_a_fix_and_a_benchmark():
    """No cause is named that nobody can act upon, or that was never put in."""
    named = {n for key, n in vars(causes).items() if key[0] != "_" and isinstance(n, str)}
    assert named == set(causes.FIXES) == set(INJECTED)


def test_where_and_how_much():
    """The first token that differs, the message, and all that stands behind it."""
    p = sent(("system", f"It is 12:30:01.\n{RULES}"), ("user", "Hi"))
    c = sent(("system", f"It is 12:31:44.\n{RULES}"), ("user", "Ho"))
    found = compare(p, c, RULE)
    assert found.cause == causes.TIMESTAMP
    assert found.place == "messages[0] (system)"
    assert found.token == View(p).shared(View(c)) == 6  # BOS, It, is, a space, 12, :
    rules = count_messages([{"role": "system", "content": RULES}])
    assert rules - 64 <= found.lost_tokens <= rules + 16
    assert found.kept_tokens == 0


def test_no_text_unless_asked_for():
    """A finding and its requests show positions; with `show` a few tokens."""
    p = sent(("system", f"Hello 12:30:01.\n{RULES}"), ("user", "Hi"))
    c = sent(("system", f"Hello 12:31:44.\n{RULES}"), ("user", "Hi"))
    plain = compare(p, c, RULE)
    assert "Hello" not in repr(plain) + repr(p) + plain.shown + plain.fix + plain.place
    shown = compare(p, c, RULE, show=True)
    assert "Hello 12:30" in shown.shown
    assert "Hello 12:31" in shown.shown
    assert "Hello" not in repr(shown)
    assert len(shown.shown) < 300


def test_two_causes_one_behind_the_other():
    """The first is named alone, for what is between them; the second for the rest."""
    tools = [tool(n) for n in ("one", "two", "three")]
    p = sent(("system", f"12:30\n{RULES}"), *HISTORY, ("user", "x"), tools=tuple(tools))
    c = sent(
        ("system", f"12:31\n{RULES}"), *HISTORY, ("user", "x"), ("assistant", "y"), ("user", "z"),
        tools=tuple(tools[::-1]),
    )  # fmt: skip
    found = list(explain(View(p), View(c), RULE))
    assert [f.cause for f in found] == [causes.TIMESTAMP, causes.TOOL_ORDER]
    assert found[0].token < found[1].token
    whole = found[-1].kept_tokens + found[-1].lost_tokens
    assert 0 <= len(View(p).ids) - whole < 128


def test_causes_in_the_same_place():
    """A name beside the time is told as well: both have to go."""
    p = sent(("system", f"12:30, Ann asks.\n{RULES}"), ("user", "Hi"))
    c = sent(("system", f"12:31, Bob asks.\n{RULES}"), ("user", "Ho"))
    found = compare(p, c, RULE)
    assert (found.cause, found.also) == (causes.TIMESTAMP, (causes.USER_DATA,))


def test_a_second_cause_directly_behind_the_first():
    """What only both fixes win counts for the first, and the second is named with it."""
    tools = (tool("one"), tool("two"))
    p = sent(("system", "At 12:30."), ("user", "Hi"), tools=tools)
    c = sent(("system", "At 12:31."), ("user", "Hi"), tools=tools[::-1])
    found = list(explain(View(p), View(c), CacheRule(unit_tokens=128)))
    assert found[0].cause == causes.TIMESTAMP
    assert sum(f.lost_tokens for f in found) >= 256


@pytest.mark.parametrize(
    ("passed", "lost"), [(1, False), (6, True), (7200, True), (7201, False), (None, True)]
)
def test_only_what_could_be_cached_is_lost(passed, lost):
    """A host that needs 5 seconds and keeps for two hours: before and after, nothing is lost."""
    rule = CacheRule(unit_tokens=64, builds_seconds=5, lives_seconds=7200)
    p = sent(("system", f"12:30\n{RULES}"), ("user", "Hi"), at=AT)
    later = None if passed is None else AT + timedelta(seconds=passed)
    c = sent(("system", f"12:31\n{RULES}"), ("user", "Hi"), at=later)
    assert (compare(p, c, rule) is not None) is lost


def test_what_other_prompts_left_is_not_lost():
    """`kept` is what the host reads all the same."""
    p = View(sent(("system", f"12:30\n{RULES}"), ("user", "Hi")))
    c = View(sent(("system", f"12:31\n{RULES}"), ("user", "Hi")))
    [found] = explain(p, c, RULE)
    [less] = explain(p, c, RULE, kept=128)
    assert (less.kept_tokens, less.lost_tokens) == (128, found.lost_tokens - 128)
    assert list(explain(p, c, RULE, kept=found.lost_tokens)) == []


def test_small_units_do_not_make_small_findings():
    """A host that counts by single tokens: a few of them are no finding."""
    rule = CacheRule(unit_tokens=1)
    p, c = (sent(("system", f"At 12:3{n} be kind."), ("user", "Hi")) for n in range(2))
    assert compare(p, c, rule) is None


def test_a_longer_message_of_the_same_user():
    """Text before the question, the same each time, stands behind what changes."""
    p = sent(("user", f"What is a?\n\n{RULES}"))
    c = sent(("user", f"Who was Ada Lovelace?\n\n{RULES}"))
    assert compare(p, c, RULE).cause == causes.QUESTION
    assert compare(sent(("user", f"{RULES}\n\nWhat?")), sent(("user", f"{RULES}\n\nWho?"))) is None


def test_tool_results_without_their_call():
    """A window that cut the call away from its result is still understood."""
    call = {"type": "function", "id": "c", "function": {"name": "f", "arguments": "{}"}}
    talk = [
        {"role": "system", "content": RULES},
        {"role": "user", "content": "do it " * 50},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "done " * 100},
        {"role": "assistant", "content": "It is done. " * 20},
        {"role": "user", "content": "Thanks"},
    ]
    more = [{"role": "assistant", "content": "Ok"}, {"role": "user", "content": "And?"}]
    p = Sent(messages=tuple(talk))
    c = Sent(messages=(talk[0], *talk[3:], *more))
    assert compare(p, c, RULE).cause == causes.TRUNCATED


def test_tools_of_another_shape_and_odd_calls():
    """Tools as the Responses API has them, calls that no template takes: compared all the same."""
    flat = [{"type": "function", "name": n, "description": "does " * 60} for n in ("a", "b")]
    odd = {"role": "assistant", "content": "x", "tool_calls": [{"type": "custom"}]}
    messages = ({"role": "user", "content": "Hi"}, odd, {"role": "user", "content": "Ho"})
    p, c = (Sent(messages=messages, tools=tuple(t)) for t in (flat, flat[::-1]))
    assert compare(p, c, CacheRule(unit_tokens=16)).cause == causes.TOOL_ORDER


def test_what_no_template_takes():
    """A role nobody knows is a typed error, without a word of the prompt."""
    bad = sent(("wizard", "secret words"))
    with pytest.raises(InvalidRequestError) as caught:
        compare(bad, sent(("user", "Hi")), RULE)
    assert "messages[0]" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_switch_costs_what_the_other_cache_holds():
    """Another model has nothing of the prompt; for another conversation that is no finding."""
    p = sent(("system", RULES), *HISTORY, ("user", "x"), model="a")
    c = replace(p, messages=(*p.messages, *sent(("assistant", "y"), ("user", "z")).messages))
    assert compare(p, c, RULE) is None
    found = compare(p, replace(c, model="b"), RULE)
    assert (found.cause, found.kept_tokens) == (causes.MODEL, 0)
    assert len(View(p).ids) - 64 <= found.lost_tokens <= len(View(p).ids)
    other = sent(("system", RULES), ("user", "something else"), model="b")
    assert compare(p, other, RULE) is None


texts = st.lists(st.sampled_from([f"sentence {n} of this prompt is here." for n in range(30)]),
                 min_size=1, max_size=40).map("\n".join)  # fmt: skip
talks = st.lists(st.tuples(texts, texts), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(system=texts, talk=talks, question=texts, tools=st.integers(0, 3))
def test_a_history_that_only_grows_is_never_a_finding(system, talk, question, tools):
    """Whatever the texts are: a request that begins with the one before it loses nothing."""
    turns = [(role, text) for pair in talk for role, text in zip(("user", "assistant"), pair)]  # noqa: B905
    more = {"tools": tuple(tool(f"t{n}") for n in range(tools))}
    p = sent(("system", system), *turns[:-1], **more)
    c = sent(("system", system), *turns, ("user", question), **more)
    assert compare(p, c, RULE) is None
    assert compare(p, p, RULE) is None


@settings(max_examples=60, deadline=None)
@given(one=st.tuples(texts, texts), talk=talks, unit=st.sampled_from([1, 16, 64, 128]))
def test_figures_always_add_up(one, talk, unit):
    """Of any two requests no more is lost than the later one has, and all in whole units."""
    turns = [(role, text) for pair in talk for role, text in zip(("user", "assistant"), pair)]  # noqa: B905
    p = sent(("system", one[0]), *turns, ("user", one[1]))
    c = sent(("system", one[1]), *turns, ("user", one[0]))
    rule = CacheRule(unit_tokens=unit)
    whole = len(View(c).ids)
    findings = list(explain(View(p), View(c), rule))
    for before, after in pairwise(findings):
        assert after.kept_tokens == before.kept_tokens + before.lost_tokens
    for found in findings:
        assert found.lost_tokens > 0
        assert found.kept_tokens % unit == found.lost_tokens % unit == 0
        assert found.kept_tokens + found.lost_tokens <= whole
        assert 0 <= found.token <= whole
        assert found.cause in causes.FIXES


def test_images_belong_behind_what_is_shared():
    """An image in front of a fixed text costs the text; behind it, it costs nothing."""

    def page(name, *, first):
        image = {"type": "image_url", "image_url": {"url": f"https://files.example/{name}"}}
        parts = [image, {"type": "text", "text": RULES}][:: 1 if first else -1]
        return Sent(messages=({"role": "user", "content": parts},))

    found = compare(page("a", first=True), page("b", first=True), RULE)
    assert found.cause == causes.QUESTION
    assert compare(page("a", first=False), page("b", first=False), RULE) is None


@pytest.mark.parametrize(("told", "cause", "pair"), TOLD, ids=[told for told, _, _ in TOLD])
def test_causes_told_in_public_threads(told, cause, pair):
    """What users of real applications found broke their caches is named as they named it."""
    found = compare(*pair(random.Random(f"{told} 0")), RULE)
    assert found is not None
    assert found.cause == cause
