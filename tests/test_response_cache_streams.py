"""A streamed answer gathered into a whole one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.responses import Gathered
from router.testing import chunks, reply
from router.types import Chunk, Usage

USAGE = Usage(input_tokens=10, output_tokens=5)


def piece(delta=None, finish_reason=None, **more):
    """A chunk as a host sends it."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish_reason}
    return Chunk(
        body={"id": "c", "model": "m", "choices": [choice | more]}, finish_reason=finish_reason
    )


def gathered(*pieces):
    whole = Gathered()
    for chunk in pieces:
        whole.take(chunk)
    return whole.reply(USAGE)


def message_of(made):
    return made.body["choices"][0]["message"]


@given(st.text(min_size=1))
def test_a_stream_is_its_answer(text):
    """Cut into words and put together again, it is the answer that was cut."""
    answer = reply(text)
    made = gathered(*chunks(answer))
    assert message_of(made) == answer.body["choices"][0]["message"]
    assert (made.finish_reason, made.usage) == ("stop", USAGE)
    assert (made.body["id"], made.body["object"]) == ("mock", "chat.completion")


def test_reasoning_and_calls_of_tools_are_kept():
    """Names and arguments come in pieces, by index; `reasoning` is a copy."""
    made = gathered(
        piece({"role": "assistant", "content": ""}),
        piece({"reasoning": "Hm", "reasoning_content": "Hm"}),
        piece({"reasoning_content": "m."}),
        piece(
            {
                "tool_calls": [
                    {"index": 0, "id": "1", "type": "function", "function": {"name": "look"}}
                ]
            }
        ),
        piece({"tool_calls": [{"index": 1, "id": "2", "function": {"name": "go"}}]}),
        piece({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}),
        piece({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}),
        piece({}, "tool_calls"),
        Chunk(body={"choices": []}, usage=USAGE),
    )
    assert message_of(made) == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "Hmm.",
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}},
            {"id": "2", "type": "function", "function": {"name": "go", "arguments": ""}},
        ],
    }


@pytest.mark.parametrize(
    "odd",
    [
        piece({"content": "Hi"}, "stop", logprobs={"content": [1]}),
        piece({"audio": {"id": "1"}}, "stop"),
        piece({"refusal": "No"}, "stop"),
        piece({"content": ["parts"]}, "stop"),
        piece({"tool_calls": [{"function": {"name": "look"}}]}, "stop"),
        Chunk(body={"choices": [{"index": 1, "delta": {}}]}, finish_reason="stop"),
        Chunk(body={"choices": [{"delta": {}}, {"delta": {}}]}, finish_reason="stop"),
    ],
)
def test_what_is_of_no_known_kind_is_not_whole(odd):
    """Rather nothing than a part."""
    assert gathered(piece({"content": "Hi"}), odd) is None


def test_a_stream_without_an_end_is_not_whole():
    """Nobody said that it was over."""
    assert gathered(piece({"content": "Hi"})) is None
    assert gathered() is None


def test_remarks_beside_the_answer_are_left_out():
    """Azure and SGLang add fields to each choice."""
    made = gathered(piece({"content": "Hi"}, "stop", content_filter_results={"a": 1}))
    assert message_of(made) == {"role": "assistant", "content": "Hi"}


def test_fields_of_null_are_no_fields():
    """Hosts fill what they do not use."""
    made = gathered(
        piece({"content": "Hi", "tool_calls": None, "refusal": None, "reasoning": ""}),
        piece(None, "stop", logprobs=None),
    )
    assert message_of(made) == {"role": "assistant", "content": "Hi"}
