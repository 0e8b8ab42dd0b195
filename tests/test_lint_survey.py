"""Many requests at once: routes, conversations in between each other, oracles, times, reading."""

import io
import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks import _lint_make as make
from router import InvalidRequestError
from router.cli.lint_read import read
from router.prompts import causes
from router.prompts.lint import Sent, View
from router.prompts.rule import CacheRule
from router.prompts.survey import Asked, survey

RULE = CacheRule(unit_tokens=64)
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def rule_of(_):
    return RULE


def traffic(seed, conversations=4, turns=4):
    """Conversations of one application, one request of each after the other."""
    rng = random.Random(seed)
    base = make.chat(rng)
    talks = [replace(base, turns=make.chat(rng).turns) for _ in range(conversations)]
    return [talk.sent(turn) for turn in range(turns) for talk in talks]


def stamped(sent, text):
    """The request with a line on top of its system prompt."""
    first = {**sent.messages[0], "content": f"{text}\n{sent.messages[0]['content']}"}
    return replace(sent, messages=(first, *sent.messages[1:]))


def asked(sents, **more):
    return [Asked(sent=sent, line=n, **more) for n, sent in enumerate(sents, start=1)]


def longest_shared(sents):
    """By definition: tokens that each request shares with the best of those before it."""
    views, total = [View(sent) for sent in sents], 0
    for i, view in enumerate(views):
        best = max((view.shared(earlier) for earlier in views[:i]), default=0)
        total += best // 64 * 64
    return total


@pytest.mark.parametrize("seed", range(4))
def test_clean_traffic_loses_nothing(seed):
    """Conversations in between each other: no finding; the oracle is what the prompts share."""
    sents = traffic(seed)
    found = survey(asked(sents), rule_of)
    assert found.losses == []
    assert found.as_sent_tokens == found.restructured_tokens == longest_shared(sents)
    assert found.input_tokens == sum(len(View(sent).ids) for sent in sents)
    assert list(found.routes.values()) == [len(sents)]


@pytest.mark.parametrize("seed", range(4))
def test_fixing_wins_what_clean_traffic_has(seed):
    """What a stamped head costs is what the same traffic without it reads, within a unit each."""
    clean = traffic(seed)
    sents = [stamped(s, f"It is 12:{n + 10}:00.") for n, s in enumerate(clean)]
    found = survey(asked(sents), rule_of)
    assert {loss.cause for loss in found.losses} == {causes.TIMESTAMP}
    assert found.losses[0].requests == len(sents) - 1
    whole = longest_shared(clean)
    assert abs(found.restructured_tokens - whole) <= 80 * len(sents)
    assert found.as_sent_tokens <= 64 * len(sents)


def test_two_causes_in_one_traffic():
    """Both are listed, with their own tokens; together they are all there is to win."""
    rng = random.Random(7)
    sents = [
        replace(stamped(s, f"12:{n + 10}:30"), tools=tuple(rng.sample(s.tools, len(s.tools))))
        for n, s in enumerate(traffic(7))
    ]
    found = survey(asked(sents), rule_of)
    assert {loss.cause for loss in found.losses} == {causes.TIMESTAMP, causes.TOOL_ORDER}
    lost = sum(loss.lost_tokens for loss in found.losses)
    assert found.as_sent_tokens + lost == found.restructured_tokens <= found.input_tokens


def test_routes_given_and_found():
    """A route that is named counts; else applications are told apart by their heads."""
    mixed = [s for pair in zip(traffic(1), traffic(2), strict=True) for s in pair]
    assert len(survey(asked(mixed), rule_of).routes) == 2
    assert survey(asked(mixed, route="all"), rule_of).routes == {"all": len(mixed)}


def test_times_decide():
    """In the order of time, and only within the life of what was cached."""
    first, second = traffic(3, conversations=1, turns=2)
    rule = CacheRule(unit_tokens=64, lives_seconds=600)

    def held(seconds):
        late = replace(second, at=AT + timedelta(seconds=seconds))
        found = survey(asked([late, replace(first, at=AT)]), lambda _: rule)
        assert (found.first, found.last) == (AT, late.at)
        return found.as_sent_tokens

    assert held(60) > 0
    assert held(601) == 0


def test_places_have_caches_of_their_own():
    """Models and salts apart: nothing is shared, and a conversation that moves is told."""
    talk = traffic(5, conversations=1, turns=3)
    moved = [replace(s, model=f"m{n}") for n, s in enumerate(talk)]
    found = survey(asked(moved), rule_of)
    assert found.as_sent_tokens == 0
    assert [(loss.cause, loss.requests) for loss in found.losses] == [(causes.MODEL, 2)]


def test_an_impossible_message_is_named_by_line():
    """The line is told, the text is not."""
    bad = Sent(messages=({"role": "wizard", "content": "secret"},))
    with pytest.raises(InvalidRequestError, match=r"line 2: messages\[0\]") as caught:
        survey([Asked(sent=traffic(1)[0], line=1), Asked(sent=bad, line=2)], rule_of)
    assert "secret" not in str(caught.value)


def lines(*values):
    return io.StringIO("".join(json.dumps(value) + "\n" for value in values))


HI = [{"role": "user", "content": "Hi"}]


def test_shapes_of_lines():
    """Bodies, batch files, and logs with answers and times, as OpenAI's and DeepSeek's are."""
    usage = {"prompt_tokens": 90, "completion_tokens": 3}
    found = list(
        read(
            lines(
                {"model": "a", "messages": HI},
                {"custom_id": "1", "url": "/v1/chat/completions", "body": {"messages": HI}},
                {
                    "request": {"model": "deepseek-reasoner", "messages": HI, "user_id": "u"},
                    "response": {
                        "created": 1_763_800_000,
                        "usage": {**usage, "prompt_cache_hit_tokens": 64},
                    },
                    "route": "support",
                    "host": "deepseek",
                },
                {"at": "2026-11-22T12:00:00+01:00", "messages": HI, "tags": {"feature": "x"}},
                {"ts": 1_763_800_000_500, "messages": HI, "metadata": {"task": "y"}},
                {
                    "model": "q:thinking",
                    "messages": HI,
                    "chat_template_kwargs": {"thinking": False},
                },
            ),
            "log",
            rule_of,
        )
    )
    assert [one.line for one in found] == [1, 2, 3, 4, 5, 6]
    assert [one.sent.model for one in found] == ["a", "", "deepseek-chat", "", "", "q"]
    assert [one.sent.thinking for one in found] == [False, False, True, False, False, False]
    assert (found[2].input_tokens, found[2].cache_read_tokens) == (90, 64)
    assert (found[2].route, found[2].sent.host, found[2].sent.salt) == ("support", "deepseek", "u")
    assert found[2].sent.at == datetime.fromtimestamp(1_763_800_000, UTC)
    assert found[3].sent.at == datetime(2026, 11, 22, 11, tzinfo=UTC)
    assert found[4].sent.at == datetime.fromtimestamp(1_763_800_000.5, UTC)
    assert [one.route for one in found[3:5]] == ["feature=x", "task=y"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "expected one JSON object a line, got no JSON"),
        ("[" * 100_000, "got no JSON"),
        ("[1]", "expected a JSON object, got list"),
        ('{"prompt": "secret"}', "got an object with 1 other fields"),
        ('{"messages": "secret"}', "messages: expected a list"),
        ('{"messages": [{"role": "user", "content": "secret"}], "tools": {"a": 1}}', "tools:"),
        ('{"messages": [{"role": "secret"}], "at": 1}', "messages[0].role: expected system"),
        ('{"messages": [{"role": "user", "content": "x"}], "at": "noon"}', "an ISO instant"),
        ('{"messages": [{"role": "user", "content": "x"}], "at": 1e300}', "an ISO instant"),
    ],
)
def test_bad_lines(line, said):
    """The file, the line and what was expected; what can be read is kept if that is wanted."""
    good = json.dumps({"messages": HI})
    text = f"{good}\n\n{line}\n{good}\n"
    with pytest.raises(InvalidRequestError) as caught:
        list(read(io.StringIO(text), "log.jsonl", rule_of))
    assert str(caught.value).startswith("log.jsonl:3: ")
    assert said in str(caught.value)
    bad = []
    assert [one.line for one in read(io.StringIO(text), "x", rule_of, bad.append)] == [1, 4]
    assert len(bad) == 1
