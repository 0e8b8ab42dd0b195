"""Marked messages: only they move, to where caches are served best."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import InvalidRequestError
from router.prompts.layout import arrange

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "1", "content": "B"}
MARKS = st.sampled_from([None, "static", "session", "volatile"])


def system(text, mark=None):
    return {"role": "system", "content": text} | ({"segment": mark} if mark else {})


SYSTEMS = st.builds(system, st.text("xyz", max_size=3), MARKS).map(lambda m: [m])
TURNS = st.sampled_from([[USER], [USER, CALLED, RESULT], [{"role": "assistant", "content": "A"}]])


def numbered(turns):
    """One conversation, in which every message has its position in its text."""
    talk = [m for turn in turns for m in turn]
    return [{**m, "content": f"{m['content'] or ''} {i}"} for i, m in enumerate(talk)]


TALKS = st.lists(TURNS | SYSTEMS, min_size=1, max_size=8).map(numbered)


def bare(message):
    return {k: v for k, v in message.items() if k != "segment"}


def test_segments_stand_in_their_order():
    """Static first, session next, volatile directly before the last user message."""
    a, b, c, d = (
        system("It is 12:30", "volatile"),
        system("The customer is Ann", "session"),
        system("Be brief", "static"),
        system("Our docs", "static"),
    )
    answer = {"role": "assistant", "content": "A"}
    second = {"role": "user", "content": "And why?"}
    layout = arrange([a, b, USER, c, answer, second, d])
    assert list(layout.messages) == [bare(m) for m in (c, d, b, USER, answer, a, second)]
    assert layout.moved == (
        "messages[3] to messages[0]: marked static",
        "messages[6] to messages[1]: marked static",
        "messages[1] to messages[2]: marked session",
        "messages[0] to messages[5]: marked volatile",
    )
    assert layout.notes == ()


def test_what_stands_right_is_not_moved():
    """A prompt in order is sent as it is, without its marks, and nothing is reported."""
    sent = [system("S", "static"), system("T", "session"), system("V", "volatile"), USER]
    layout = arrange(sent)
    assert list(layout.messages) == [bare(m) for m in sent]
    assert layout.moved == ()


def test_the_running_turn_stays_whole():
    """In a tool loop what is volatile goes before the question, never between call and result."""
    layout = arrange([system("V", "volatile"), USER, USER, CALLED, RESULT])
    assert list(layout.messages) == [USER, system("V"), USER, CALLED, RESULT]


def test_without_a_user_message():
    """Where nobody asks, what is volatile comes last."""
    layout = arrange([system("V", "volatile"), system("S")])
    assert list(layout.messages) == [system("S"), system("V")]


@given(TALKS)
def test_only_marked_messages_move(talk):
    """No message is lost or changed, unmarked ones keep their order, results follow calls."""
    layout = arrange(talk)
    sent = list(layout.messages)
    assert sorted(map(repr, sent)) == sorted(repr(bare(m)) for m in talk)
    unmarked = [m for m in talk if "segment" not in m]
    assert [m for m in sent if m in unmarked] == unmarked
    calls = [i for i, m in enumerate(sent) if m.get("tool_calls")]
    assert [i + 1 for i in calls] == [i for i, m in enumerate(sent) if m["role"] == "tool"]
    assert bool(layout.moved) == (sent != [bare(m) for m in talk])
    assert arrange(sent).messages == layout.messages


@given(TALKS)
def test_segments_have_their_places(talk):
    """Static and session come first, in the caller's order, volatile before the question."""
    marked = {
        mark: [bare(m) for m in talk if m.get("segment") == mark]
        for mark in ("static", "session", "volatile")
    }
    head = marked["static"] + marked["session"]
    sent = list(arrange(talk).messages)
    assert sent[: len(head)] == head
    users = [i for i, m in enumerate(sent) if m["role"] == "user"]
    end = users[-1] if users else len(sent)
    assert sent[end - len(marked["volatile"]) : end] == marked["volatile"]


@pytest.mark.parametrize("mark", ["Static", "", "statics", 1, ["static"], True])
def test_a_wrong_mark_is_refused(mark):
    """A mark of no such name is an error that says where, and which there are."""
    with pytest.raises(InvalidRequestError, match=r"messages\[1\].segment: .*'session'") as caught:
        arrange([USER, {"role": "system", "content": "my secret", "segment": mark}])
    assert caught.value.param == "messages[1].segment"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("message", [USER, CALLED, RESULT, {"role": "assistant", "content": "A"}])
def test_history_is_not_marked(message):
    """Users, answers and results keep their order: a mark on one is refused."""
    with pytest.raises(InvalidRequestError, match="history keeps its order"):
        arrange([system("S"), {**message, "segment": "static"}])


def test_no_mark_is_none():
    """None stands for no mark, and is not sent either."""
    assert arrange([{**USER, "segment": None}]).messages == (USER,)


def test_what_changes_may_be_marked():
    """A timestamp is noted in what is said to be static, not in what is said to be volatile."""
    at = "It is 2026-11-22 12:30"
    assert arrange([system(at, "volatile"), USER]).notes == ()
    (note,) = arrange([system(at, "static"), USER]).notes
    assert note.startswith("messages[0] holds a timestamp and is marked static")
    assert arrange([USER, system("S", "session")]).notes == ()
