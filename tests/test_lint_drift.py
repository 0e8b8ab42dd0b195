"""Live requests watched for what costs them the cache: cheap, bounded, in memory only."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from router.prompts import causes
from router.prompts import drift as drift_module
from router.prompts.blocks import BLOCK, chain_of
from router.prompts.drift import Drift
from router.prompts.lint import Sent, View
from router.prompts.rule import CacheRule
from router.tokens import encode_messages

RULE = CacheRule(unit_tokens=64)
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
RULES = "\n".join(f"{n}. When the {n}th case comes, answer it kindly." for n in range(40))
PLACE = "deepseek-v3.2@deepinfra"


@dataclass
class Asked:
    """As much of a request as is looked at."""

    messages: tuple[Any, ...]
    tools: tuple[Any, ...] = ()
    response_format: Any = None


def ask(drift, *texts, system=RULES, route="chat", at=AT, **more):
    """Show a conversation of these texts, users first, to `drift`."""
    roles = ("user", "assistant") * len(texts)
    messages = [{"role": r, "content": t} for r, t in zip(roles, texts, strict=False)]
    request = Asked(({"role": "system", "content": system}, *messages))
    chain = chain_of(encode_messages(request.messages))
    more = {"place": PLACE} | more
    return drift.seen(route, request, chain, RULE, at, **more)


def test_what_goes_on_is_not_looked_at(monkeypatch):
    """Turns, retries and a new conversation's first turn cost a comparison of bytes."""
    drift = Drift()
    assert ask(drift, "Hi") is None
    monkeypatch.setattr(View, "loose", property(lambda _: pytest.fail("looked at the text")))
    monkeypatch.setattr(View, "ids", property(lambda _: pytest.fail("counted tokens")))
    assert ask(drift, "Hi", "Hello", "How are you?") is None
    assert ask(drift, "Hi", "Hello", "How are you?") is None
    assert ask(drift, "Ho") is None
    assert ask(drift, "Hi", "Hello", "How are you?", "Well", "Good.") is None


def test_a_stamped_head_is_named():
    """Each request with the time in front is one finding, whatever conversation it is."""
    drift = Drift()
    assert ask(drift, "Hi", system=f"12:30\n{RULES}") is None
    found = ask(drift, "Ho", system=f"12:31\n{RULES}")
    assert found.cause == causes.TIMESTAMP
    assert found.lost_tokens >= 512
    again = ask(drift, "Hi", "Hello", "So?", system=f"12:32\n{RULES}")
    assert again.cause == causes.TIMESTAMP


def test_conversations_side_by_side():
    """Each is compared with its own last turn, and another one in between changes nothing."""
    drift = Drift()
    long = "a long answer " * 60
    for user in "abc":
        ask(drift, f"{user} asks " * 30, long, f"{user} again " * 60)
    for user in "abc":
        found = ask(drift, f"{user} asks " * 30, f"{long}!!", f"{user} again " * 60, "x", "y")
        assert found.cause == causes.EDITED, user
        assert found.place == "messages[2] (assistant)"


def test_what_the_index_expects_is_not_lost():
    """Only what is lost besides is told."""
    drift = Drift()
    ask(drift, "Hi", system=f"12:30\n{RULES}")
    found = ask(drift, "Ho", system=f"12:31\n{RULES}")
    less = ask(drift, "Hu", system=f"12:32\n{RULES}", expected=128)
    assert found.lost_tokens - less.lost_tokens == 128
    assert ask(drift, "He", system=f"12:33\n{RULES}", expected=10_000) is None


def test_switches():
    """A conversation that another host goes on with is told; a retry there is none."""
    drift = Drift()
    assert ask(drift, "Hi" * 50) is None
    other = "deepseek-v3.2@openrouter"
    assert ask(drift, "Hi" * 50, place=other) is None
    found = ask(drift, "Hi" * 50, "Hello", "So?" * 50, place="deepseek-v3.2@azure")
    assert found.cause == causes.HOST
    salted = ask(drift, "Hi" * 50, "Hello", "So?" * 50, "x", "y" * 50, place=PLACE, salt="u2")
    assert salted.cause in {causes.HOST, causes.SALT}


def test_routes_are_apart():
    """What other routes send is not compared."""
    drift = Drift()
    ask(drift, "Hi", system=f"12:30\n{RULES}", route="a")
    assert ask(drift, "Hi", system=f"12:31\n{RULES}", route="b") is None


def test_times_count():
    """After the host has forgotten, nothing is lost."""
    drift = Drift()
    rule = CacheRule(unit_tokens=64, lives_seconds=60)
    request = [Asked(({"role": "system", "content": f"12:3{n}\n{RULES}"},)) for n in range(2)]
    chains = [chain_of(encode_messages(r.messages)) for r in request]
    assert drift.seen("r", request[0], chains[0], rule, AT) is None
    assert drift.seen("r", request[1], chains[1], rule, AT + timedelta(seconds=61)) is None


def test_memory_is_bounded():
    """Neither routes nor conversations nor tokens grow without end."""
    drift = Drift(routes=3, conversations=2, tokens=3000)
    for n in range(30):
        ask(drift, f"conversation {n} " * 40, route=f"route {n % 7}")
    assert len(drift._seen) <= 3
    assert all(len(tips) <= 2 for tips in drift._seen.values())
    assert drift._held == sum(tips.tokens for tips in drift._seen.values()) <= 3000
    drift.forget()
    assert (len(drift._seen), drift._held) == (0, 0)


def test_no_text_is_shown():
    """What is kept is kept to itself."""
    drift = Drift()
    ask(drift, "my secret", system=f"12:30\n{RULES}")
    found = ask(drift, "my secret", system=f"12:31\n{RULES}")
    assert "secret" not in repr(drift) + repr(found) + repr(drift._seen["chat"].all)
    assert "case" not in repr(found)


def test_what_cannot_be_counted():
    """A prompt that no template takes costs no request its answer."""
    drift = Drift()
    requests = [Asked(({"role": "wizard", "content": f"12:3{n}\n{RULES}"},)) for n in range(2)]
    chains = [chain_of(list(range(n, n + 100))) for n in range(2)]
    for request, chain in zip(requests, chains, strict=True):
        assert drift.seen("r", request, chain, RULE, AT, place=PLACE) is None


def test_threads():
    """Many threads on few routes: no error, the bounds hold, causes are named."""
    drift, errors, found = Drift(routes=4, conversations=3), [], []

    def work(me):
        try:
            for n in range(12):
                system = f"12:{n + 10}\n{RULES}"
                one = ask(drift, f"{me} asks", system=system, route=f"r{n % 3}")
                found.append(one)
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert drift._held == sum(tips.tokens for tips in drift._seen.values())
    assert {f.cause for f in found if f} <= {causes.TIMESTAMP}
    assert any(found)


def test_sent_is_kept_by_reference():
    """Nothing is copied: a history of a thousand turns costs its references."""
    message = {"role": "user", "content": "x" * 1000}
    request = Sent(messages=(message,))
    assert View(request).sent.messages[0] is message
    assert BLOCK == 16


def test_a_fault_of_the_linter_costs_no_answer(monkeypatch):
    """Whatever goes wrong in it, the request goes on, and the next one is compared again."""
    drift = Drift()
    ask(drift, "Hi", system=f"12:30\n{RULES}")

    def broken(*_, **__):
        raise RecursionError

    with monkeypatch.context() as patch:
        patch.setattr("router.prompts.lint.explain", broken)
        assert ask(drift, "Ho", system=f"12:31\n{RULES}") is None
    assert ask(drift, "Hu", system=f"12:32\n{RULES}").cause == causes.TIMESTAMP


def test_traffic_faster_than_a_cache_is_built():
    """With a request a second, the one before is not cached yet; those of a while ago are."""
    drift = Drift()
    rule = CacheRule(unit_tokens=64, builds_seconds=5, lives_seconds=60)
    lost = []
    for second in (0, 1, 2, 3, 4, 5, 6, 70, 71, 76):
        messages = ({"role": "system", "content": f"12:{second + 10}\n{RULES}"},)
        chain = chain_of(encode_messages(messages))
        at = AT + timedelta(seconds=second)
        lost.append(drift.seen("r", Asked(messages), chain, rule, at, place=PLACE) is not None)
    assert lost == [False] * 5 + [True] * 2 + [False, False, True]


def test_little_of_the_time_is_spent_on_it(monkeypatch):
    """Until its share of time is up again nothing is compared; the same symptom is the same."""
    times, compared = [0.0], []

    def clock():
        times[0] += 0.010  # each look at the clock is ten milliseconds later
        return times[0]

    real = drift_module._explained
    monkeypatch.setattr(
        drift_module, "_explained", lambda *given: compared.append(1) or real(*given)
    )
    drift = Drift(share=0.01, clock=clock)
    assert ask(drift, "Hi", system=f"12:30\n{RULES}") is None
    first = ask(drift, "Ho", system=f"12:31\n{RULES}")
    assert (first.cause, len(compared)) == (causes.TIMESTAMP, 1)
    again = ask(drift, "He", system=f"12:32\n{RULES}")
    assert (again, len(compared)) == (first, 1)
    times[0] += 2.0
    assert ask(drift, "Ha", system=f"12:33\n{RULES}").cause == causes.TIMESTAMP
    assert len(compared) == 2
