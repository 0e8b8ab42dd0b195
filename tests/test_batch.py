"""`client.batch`: prefixes are warmed, order is kept, and one that fails loses no other."""

import threading

import pytest

from router import (
    BadRequestError,
    BudgetExceededError,
    Client,
    ConfigError,
    InvalidRequestError,
    PromptBuilder,
    UnknownModelError,
    recorded_prompts,
)
from tests.batches import SHARED, Host, ask, shop

QUESTIONS = [f"question {i}" for i in range(6)]
WRITES = {"writes": True}
AT_ONCE = {"builds_seconds": 0}


def texts(answers):
    return [a if isinstance(a, Exception) else a.text for a in answers]


def test_answers_come_in_the_order_given():
    """However they were sent, each answer stands where its request stood."""
    host = Host()
    with Client(transport=host, **shop(**AT_ONCE)) as client:
        answers = client.batch([ask(q, SHARED[i % 2 :]) for i, q in enumerate(QUESTIONS)])
    assert texts(answers) == QUESTIONS
    assert len({a.route.request_id for a in answers}) == len(QUESTIONS)


def test_prompts_that_begin_alike_are_sent_one_after_another():
    """One at a time, every other prefix: sent group by group, those that save most first."""
    host, other = Host(), "Answer briefly. " * 300
    with Client(transport=host, **shop(**AT_ONCE)) as client:
        client.batch(
            [ask("a"), ask("b", other), ask("alone", ""), ask("c"), ask("d", other)], concurrency=1
        )
    assert host.began == ["b", "d", "a", "c", "alone"]


def test_one_goes_first_and_alone():
    """Where caches are written, others wait for the first answer; what shares nothing does not."""
    host = Host(seconds=0.05)
    with Client(transport=host, **shop(**WRITES)) as client:
        client.batch([*map(ask, QUESTIONS), ask("Hi", "Be brief.")])
    assert host.alone(QUESTIONS[0], QUESTIONS[1:])
    assert not host.alone(QUESTIONS[0], ["Hi"])


def test_whole_units_are_warmed_twice():
    """DeepSeek V4 keeps a prefix that two had in common: two go one by one, then all."""
    host = Host(seconds=0.05)
    with Client(transport=host, **shop(match="units", builds_seconds=0.01)) as client:
        client.batch(map(ask, QUESTIONS))
    assert host.alone(QUESTIONS[0], QUESTIONS[1:])
    assert host.alone(QUESTIONS[1], QUESTIONS[2:])
    assert not host.alone(QUESTIONS[2], QUESTIONS[3:])


@pytest.mark.parametrize(
    ("rule", "warm", "shared"),
    [
        (WRITES, False, SHARED),  # the caller does not want to wait
        (AT_ONCE, True, SHARED),  # what one computes all can read
        (WRITES, True, "Be brief."),  # hardly anything to share
    ],
)
def test_where_nobody_waits(rule, warm, shared):
    """All of them are under way together: each waits in the host for the others."""
    together = threading.Barrier(len(QUESTIONS), timeout=20)
    host = Host({"*": together.wait})
    with Client(transport=host, **shop(**rule)) as client:
        answers = client.batch([ask(q, shared) for q in QUESTIONS], warm=warm)
    assert texts(answers) == QUESTIONS


def test_no_more_than_asked_for_are_under_way():
    """`concurrency` bounds how many calls are open at once."""
    host = Host(seconds=0.01)
    with Client(transport=host, **shop(**AT_ONCE)) as client:
        client.batch(map(ask, QUESTIONS), concurrency=2)
    open_, most = 0, 0
    for what, _ in host.events:
        open_ += 1 if what == "begin" else -1
        most = max(most, open_)
    assert most == 2


def test_caches_that_are_apart_are_not_waited_for():
    """Requests with other salts share no cache, and are no group."""
    both = threading.Barrier(2, timeout=20)
    host = Host({"*": both.wait})
    requests = [
        {"messages": ask(q), "extra_body": {"user_id": f"u{i}"}}
        for i, q in enumerate(QUESTIONS[:2])
    ]
    with Client(transport=host, **shop(**WRITES, salts=["user_id"])) as client:
        assert texts(client.batch(requests)) == QUESTIONS[:2]


def test_models_do_not_wait_for_each_other():
    """Each model has a cache of its own: the same beginning is warmed in both."""
    both = threading.Barrier(2, timeout=20)
    host = Host({"*": both.wait})
    requests = [
        {"messages": ask(q), "model": f"{model}@deepseek"}
        for q, model in zip(QUESTIONS, ("deepseek-flash", "deepseek-v4-pro"), strict=False)
    ]
    with Client(transport=host, **shop(**WRITES)) as client:
        assert texts(client.batch(requests)) == QUESTIONS[:2]


def test_one_that_fails_does_not_lose_the_others():
    """A refused request is its error, at its place; another takes the lead."""

    def refuse():
        raise BadRequestError("no")

    host = Host({QUESTIONS[0]: refuse, QUESTIONS[4]: refuse}, seconds=0.02)
    with Client(transport=host, **shop(**WRITES)) as client:
        answers = client.batch(map(ask, QUESTIONS))
    assert [type(a) for a in answers if isinstance(a, Exception)] == [BadRequestError] * 2
    assert texts(answers)[1:4] == QUESTIONS[1:4]
    assert isinstance(answers[4], BadRequestError)
    assert host.alone(QUESTIONS[1], QUESTIONS[2:])


def test_errors_of_any_kind_stay_with_their_request():
    """Not only errors of ours: what a transport, or a verifier, of one's own raises as well."""

    def odd():
        raise ZeroDivisionError("mine")

    with Client(transport=Host({"b": odd}), **shop(**AT_ONCE)) as client:
        answers = client.batch(map(ask, "abc"))
    assert isinstance(answers[1], ZeroDivisionError)
    assert (answers[0].text, answers[2].text) == ("a", "c")


def test_budgets_hold():
    """Each request reserves for itself: what the budget cannot pay is refused, not sent."""
    host = Host()
    with Client(transport=host, budgets="0.0008", **shop(**AT_ONCE)) as client:
        answers = client.batch(map(ask, QUESTIONS), concurrency=1, max_tokens=200)
        (status,) = client.budgets.status()
    refused = [a for a in answers if isinstance(a, BudgetExceededError)]
    assert 0 < len(refused) < len(QUESTIONS)
    assert len(host.began) == len(QUESTIONS) - len(refused)
    assert status.reserved == 0
    assert status.spent == sum(a.route.cost.usd for a in answers if not isinstance(a, Exception))
    assert status.spent <= status.limit


def test_a_budget_of_the_call_caps_each_request():
    """As in `create`: an amount given with the batch is each request's own."""
    with Client(transport=Host(), **shop(**AT_ONCE)) as client:
        answers = client.batch([ask("a"), ask("b")], budget="0.0000001", max_tokens=100)
    assert [type(a) for a in answers] == [BudgetExceededError] * 2


def test_requests_may_bring_their_own_arguments():
    """As for `plan_job`: messages alone, a mapping of arguments, or a prompt with its tools."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    calls = []

    class Kept(Host):
        def send(self, call):
            calls.append(call)
            return super().send(call)

    talk = PromptBuilder("Be brief.", tools=[tool]).user("c")
    own = {"messages": ask("b"), "max_tokens": 7, "tags": {"team": "x"}}
    with Client(transport=Kept(), **shop(**AT_ONCE)) as client:
        answers = client.batch((r for r in (ask("a"), own, talk)), max_tokens=9, concurrency=1)
    assert texts(answers) == ["a", "b", "c"]
    by_text = {c.request.messages[-1]["content"]: c for c in calls}
    assert (by_text["a"].max_tokens, by_text["b"].max_tokens) == (9, 7)
    assert by_text["b"].request.tags == {"team": "x"}
    assert by_text["c"].request.tools == (tool,)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ([{"role": "robot"}], InvalidRequestError, "expected a dict with a role"),
        ({"messages": ask("a"), "model": "gpt-nix"}, UnknownModelError, "gpt-nix"),
        ({"messages": ask("a"), "stream": True}, InvalidRequestError, "whole answers"),
        ({"messages": ask("a"), "max_tokens": 0}, InvalidRequestError, "max_tokens"),
        ({"messages": ask("a"), "turns": 3}, TypeError, "turns"),
        ({}, InvalidRequestError, "got NoneType"),
        ([{"role": "user", "content": [{"type": "image_url"}]}, *ask("a")], InvalidRequestError,
         "only text"),
        ([{"role": "user", "content": "a", "segment": "static"}], ConfigError, "mark"),
    ],
)  # fmt: skip
def test_nothing_is_sent_where_one_is_wrong(wrong, error, says):
    """All are checked before any is sent, and the error says which one it was."""
    host = Host()
    with (
        Client(transport=host, **shop(**AT_ONCE)) as client,
        pytest.raises(error, match=says) as caught,
    ):
        client.batch([ask("a"), ask("b"), wrong])
    assert caught.value.__notes__ == ["in requests[2]"]
    assert host.events == []


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, True, None, 10_000, "8"])
def test_a_wrong_concurrency(concurrency):
    """It is a whole number of calls."""
    with (
        Client(transport=Host(), **shop()) as client,
        pytest.raises(InvalidRequestError, match="concurrency: expected a whole number"),
    ):
        client.batch([ask("a")], concurrency=concurrency)


@pytest.mark.parametrize("requests", ["Hi", None, 5, {"messages": []}])
def test_what_is_no_batch(requests):
    """Several requests are wanted, not one."""
    with (
        Client(transport=Host(), **shop()) as client,
        pytest.raises(InvalidRequestError, match="requests: expected lists of messages"),
    ):
        client.batch(requests)


def test_a_batch_of_none():
    """No requests, no answers."""
    with Client(transport=Host(), **shop()) as client:
        assert client.batch([]) == []
    with pytest.raises(ConfigError, match="closed"):
        client.batch([ask("a")])


def test_recorded_outcomes_wait_for_nothing():
    """Without a key answers come from the recording, which has no cache to warm."""
    asked = [
        [{"role": "user", "content": each.prompt}] for each in recorded_prompts(source="zeroeval")
    ][:6]
    with Client(ledger=":memory:") as client:
        answers = client.batch(asked)
        one = client.chat.completions.create(asked[0])
    assert all(not isinstance(a, Exception) for a in answers)
    assert answers[0].route.cost.usd == one.route.cost.usd
