# DeepSeek's marks are written with U+FF5C and U+2581, on purpose.
# ruff: noqa: RUF001

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from router.errors import InvalidRequestError
from router.tokens import count, count_messages, render

GOLDEN = json.loads((Path(__file__).parent / "data" / "template.json").read_text("utf-8"))
SECRET = "the text of a prompt"
USER = {"role": "user", "content": SECRET}


def call(name: Any = "f", arguments: Any = "{}") -> dict[str, Any]:
    return {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}


def caller(*calls: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


@pytest.mark.parametrize("case", GOLDEN, ids=[case["name"] for case in GOLDEN])
def test_prompts_equal_the_published_template(case: dict[str, Any]) -> None:
    """Text and count equal those of the model's own template with the model's tokenizer."""
    messages = case["messages"]
    options = {key: case[key] for key in ("tools", "response_format", "thinking")}
    assert render(messages, **options) == case["prompt"]
    assert count_messages(messages, **options) == case["tokens"]


def test_a_single_message_costs_four_tokens_more() -> None:
    """BOS, two role marks and the think tag surround a user message."""
    for thinking in (False, True):
        assert count_messages([USER], thinking=thinking) == count(SECRET) + 4


def test_reasoning_counts_only_after_the_last_user_message() -> None:
    """Reasoning is read by either name in the open turn, and nowhere without thinking."""
    for name in ("reasoning", "reasoning_content"):
        open_turn = [USER, caller(call()) | {name: "Hm."}, {"role": "tool", "content": "1"}]
        assert "Hm.</think>" in render(open_turn, thinking=True)
        assert "Hm." not in render(open_turn, thinking=False)
        assert "Hm." not in render([*open_turn, USER], thinking=True)


def test_text_parts_are_joined_by_line_feeds() -> None:
    """A list of text parts counts as their lines."""
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert render([USER | {"content": parts}]) == render([USER | {"content": "a\nb"}])


def test_absent_content_is_empty() -> None:
    """None is no text in any role, never the word None."""
    messages: list[dict[str, Any]] = [{"role": "system"}, USER | {"content": None}]
    messages += [caller(call()), {"role": "tool", "content": None}]
    assert "None" not in render(messages)


def test_text_format_adds_nothing() -> None:
    """The default response format, said aloud, costs nothing."""
    assert render([USER], response_format={"type": "text"}) == render([USER])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("", ""),
        (None, ""),
        ({"a": 1}, '<｜DSML｜parameter name="a" string="false">1</｜DSML｜parameter>'),
        (
            '{"a": 1',
            '<｜DSML｜parameter name="arguments" string="true">{"a": 1</｜DSML｜parameter>',
        ),
        ("[1]", '<｜DSML｜parameter name="arguments" string="false">[1]</｜DSML｜parameter>'),
    ],
)
def test_odd_arguments_are_counted_all_the_same(arguments: Any, line: str) -> None:
    """Missing, parsed or broken arguments of a call are written: a model may have made them."""
    text = render([USER, caller(call(arguments=arguments))])
    assert f'<｜DSML｜invoke name="f">\n{line}\n</｜DSML｜invoke>' in text


def test_assistant_without_reasoning_gets_an_empty_thought() -> None:
    """A last answer without reasoning counts in thinking mode, where the model's code stops."""
    text = render([USER, {"role": "assistant", "content": "x"}], thinking=True)
    assert text.endswith("<think></think>x<｜end▁of▁sentence｜>")


@pytest.mark.parametrize(
    "messages",
    [
        [],
        SECRET,
        USER,
        None,
        [SECRET],
        [{"content": SECRET}],
        [{"role": SECRET, "content": SECRET}],
        [USER | {"content": 7}],
        [USER | {"content": [SECRET]}],
        [USER | {"content": [{"type": "image_url", "image_url": {"url": SECRET}}]}],
        [USER | {"content": [{"type": "text", "text": None, "note": SECRET}]}],
        [{"role": "tool", "content": SECRET}],
        [USER, {"role": "tool", "content": SECRET}],
        [USER, caller(call()), *[{"role": "tool", "content": SECRET}] * 2],
        [USER, {"role": "assistant", "tool_calls": SECRET}],
        [USER, caller(SECRET)],
        [USER, caller({"function": SECRET})],
        [USER, caller(call(name=None, arguments=SECRET))],
        [USER, caller(call(arguments={"a": {SECRET}}))],
        [USER, caller(call()) | {"reasoning_content": [SECRET]}],
    ],
)
def test_bad_messages_are_refused_without_their_text(messages: Any) -> None:
    """What the template cannot express names its place and what was expected, never its text."""
    with pytest.raises(InvalidRequestError, match="expected") as caught:
        count_messages(messages, thinking=True)
    assert caught.value.param == "messages"
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"tools": SECRET}, "tools"),
        ({"tools": [SECRET]}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": {SECRET}}}]}, "tools"),
        ({"response_format": SECRET}, "response_format"),
        ({"response_format": {"type": {SECRET}}}, "response_format"),
    ],
)
def test_bad_options_are_refused_by_name(options: dict[str, Any], param: str) -> None:
    """Tools and response formats that are no JSON of the right shape name their argument."""
    with pytest.raises(InvalidRequestError, match="expected") as caught:
        render([USER], **options)
    assert caught.value.param == param
    assert SECRET not in str(caught.value)
