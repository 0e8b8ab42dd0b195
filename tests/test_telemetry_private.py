"""Nothing but tokens and money leaves by telemetry, unless it was opted in."""

import json
import logging

import pytest
from observing import client_of

from router.errors import BudgetExceededError, ServerError
from router.telemetry import names
from router.testing import Reply, reply

CANARY = "canary-7f3a"
MODEL = "deepseek-v3.2@deepinfra"
ASK = [
    {"role": "system", "content": f"{CANARY} system"},
    {"role": "user", "content": [{"type": "text", "text": f"{CANARY} question"}]},
]
TOOLS = [
    {"type": "function", "function": {"name": f"{CANARY}_tool", "description": CANARY}},
]


def answers():
    """One for each way out: answers, a failure that quotes the prompt, a missing count."""
    wordy = reply(f"{CANARY} answer")
    echoed = {**wordy.body, "id": f"{CANARY} id", "model": f"{CANARY} model"}
    return [
        wordy,
        Reply(body=echoed, usage=wordy.usage, finish_reason=f"{CANARY} reason"),
        ServerError(f"{CANARY} in an error", status_code=503, retry_after=0.0),
        wordy,
        reply(f"{CANARY} answer", usage=False),
        wordy,
        wordy,
    ]


def all_ways(**settings):
    """Calls that end in every way, with the canary in all that telemetry must not show."""
    given = {
        "keys": {"deepinfra": f"sk-{CANARY}"},
        "base_urls": {"deepinfra": f"https://{CANARY}:{CANARY}/x@host.example/v1?k={CANARY}"},
        "tags": {"secret": CANARY, "team": "search"},
        "metric_tags": ["team"],
        "budgets": "1",
    }
    calls = {"model": MODEL, "tools": TOOLS, "tags": {f"{CANARY}-tag": "x"}, "user": CANARY}
    with client_of(*answers(), **(given | settings)) as client:
        create = client.chat.completions.create
        for _ in range(4):  # one of them fails first
            create(ASK, **calls)
        with create(ASK, stream=True, **calls) as stream:
            list(stream)
        with create(ASK, stream=True, **calls) as stream:
            next(iter(stream))
        with pytest.raises(BudgetExceededError):
            create(ASK, budget="0", **calls)


@pytest.mark.parametrize("opt_in", ["", names.LATEST])
@pytest.mark.parametrize("capture", ["", "NO_CONTENT", "SPAN", "true"])
def test_nothing_leaks(observed, caplog, opt_in, capture):
    """Neither prompt, answer, tools, tags, keys nor addresses: in spans, metrics and logs."""
    caplog.set_level(logging.DEBUG)
    environ = {names.OPT_IN: opt_in, names.CAPTURE: capture}
    all_ways(environ=environ)
    emitted = observed.text()
    assert "host.example" in emitted
    assert '"search"' in emitted
    assert CANARY not in emitted
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    ("capture", "on_span", "in_event"),
    [("SPAN_ONLY", True, False), ("EVENT_ONLY", False, True), ("span_and_event", True, True)],
)
def test_content_where_it_was_opted_in(observed, capture, on_span, in_event):
    """By the standard variable: on the span, in an event of it, or both; never in a metric."""
    with client_of(reply("Paris"), environ={names.CAPTURE: capture}) as client:
        client.chat.completions.create(ASK, model=MODEL, tools=TOOLS)
        with client.chat.completions.create(ASK, model=MODEL, stream=True) as stream:
            list(stream)
    for span in observed.spans:
        events = [event for event in span.events if event.name == names.DETAILS]
        assert len(events) == in_event
        assert (names.INPUT_MESSAGES in span.attributes) is on_span
        found = span.attributes if on_span else events[0].attributes
        asked, said = (
            json.loads(found[name]) for name in (names.INPUT_MESSAGES, names.OUTPUT_MESSAGES)
        )
        assert [message["role"] for message in asked] == ["system", "user"]
        assert asked[1]["parts"] == [{"type": "text", "content": f"{CANARY} question"}]
        assert said == [
            {
                "role": "assistant",
                "parts": [{"type": "text", "content": "Paris"}],
                "finish_reason": "stop",
            }
        ]
    points = [dict(p.attributes) for ps in observed.points().values() for p in ps]
    assert CANARY not in json.dumps(points)


def test_calls_of_tools_are_content(observed):
    """Asked for and answered, as the conventions' schemas have them."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    asked = [
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "done"},
    ]
    with client_of(reply("Good"), environ={names.CAPTURE: "SPAN_ONLY"}) as client:
        client.chat.completions.create(asked, model=MODEL)
    (span,) = observed.spans
    _, called, answered = json.loads(span.attributes[names.INPUT_MESSAGES])
    assert called["parts"] == [{"type": "tool_call", "id": "1", "name": "f", "arguments": "{}"}]
    assert answered["parts"] == [{"type": "tool_call_response", "id": "1", "response": "done"}]


def test_an_unknown_word_captures_nothing_and_says_so(observed, caplog):
    """Content is never captured by a slip."""
    with client_of(reply("Paris"), environ={names.CAPTURE: "YES"}) as client:
        client.chat.completions.create(ASK, model=MODEL)
    assert names.CAPTURE in caplog.text
    assert "SPAN_ONLY" in caplog.text
    (span,) = observed.spans
    assert names.INPUT_MESSAGES not in span.attributes
