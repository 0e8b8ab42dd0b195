"""What the clients do not take out of the response cache, or do not put into it."""

import logging
import sqlite3
from contextlib import closing

import pytest
from keeping import MODEL, Async, Sync

from router import Client
from router.errors import ConfigError, UsageError
from router.responses import ResponseCache
from router.testing import reply

DEAR = "deepseek-v3.2-speciale@azure"


@pytest.fixture(params=[Sync, Async])
def made(request, tmp_path, clock):
    """Makes the callers; the same tests hold for both clients."""
    return lambda *answers: request.param(*answers, tmp_path=tmp_path, clock=clock)


@pytest.mark.parametrize(
    "bad",
    [
        reply("cut", finish_reason="length"),
        reply("no", finish_reason="content_filter"),
        reply(""),
    ],
)
def test_answers_that_are_not_whole_are_asked_for_again(made, bad):
    """Cut, filtered or empty."""
    caller = made(bad, reply("Good"))
    caller.ask()
    assert caller.ask()[0] == "Good"
    assert caller.ask()[0] == "Good"
    assert caller.calls == 2


def test_an_answer_with_a_fault_is_not_kept(made):
    """With `strict_usage` one without a usage is an error: the next is asked for again."""
    caller = made(reply("One", usage=False), reply("Two"))
    with pytest.raises(UsageError):
        caller.ask(settings={"strict_usage": True})
    assert caller.ask(settings={"strict_usage": True})[0] == "Two"
    assert caller.calls == 2


def test_an_answer_whose_tokens_we_counted_is_kept(made):
    """Its text is whole; what it saves is as estimated as what it cost."""
    caller = made(reply("One", usage=False), reply("Two"))
    assert [caller.ask()[0] for _ in range(2)] == ["One", "One"]
    paid, hit = caller.entries()
    assert paid.estimated
    assert hit.saved == paid.cost > 0


def test_a_wrong_answer_is_not_kept(made):
    """The verifier says so; the right one is kept, and judged again when it is given."""
    seen = []

    def verify(completion):
        seen.append(completion.text)
        return completion.text == "Right"

    caller = made(reply("Wrong"), reply("Right"))
    settings = {"verify": verify}
    assert caller.ask(settings=settings)[0] == "Wrong"
    assert caller.ask(settings=settings)[0] == "Right"
    text, route, _ = caller.ask(settings=settings)
    assert (text, route.verified, caller.calls) == ("Right", 1.0, 2)
    assert seen == ["Wrong", "Right", "Right"]


def test_an_answer_that_another_verifier_finds_wrong_is_a_miss(made):
    """Kept without a judge, refused by one: then it is asked for as ever."""
    caller = made(reply("One"), reply("Two"))
    caller.ask()
    judge = {"verify": lambda completion: completion.text == "Two"}
    assert caller.ask(settings=judge)[0] == "Two"
    assert caller.calls == 2
    assert [e.outcome for e in caller.entries()] == ["ok", "ok"]


def test_a_client_limited_to_other_candidates_gets_none_of_these(made):
    """What a client may not ask it does not get second-hand either."""
    caller = made(reply("One"), reply("Two"))
    every = {"candidates": [MODEL, DEAR]}
    assert caller.ask(settings=every, model="auto")[0] == "One"
    assert caller.ask(settings={"candidates": [DEAR]}, model="auto")[0] == "Two"
    assert caller.calls == 2


def test_a_tampered_answer_is_asked_for_again(made, tmp_path, caplog):
    """A planted pickle in the row: a miss, a warning, a call, and then a hit again."""
    caller = made(reply("One"), reply("Two"))
    caller.ask()
    with closing(sqlite3.connect(tmp_path / "cache" / "cache.db")) as db, db:
        db.execute("UPDATE Cache SET mode = 4, value = ?", (b"cos\nsystem\n(S'false'\ntR.",))
    caplog.set_level(logging.WARNING, "router")
    assert caller.ask()[0] == "Two"
    assert len(caplog.records) == 1
    assert caller.ask()[0] == "Two"
    assert caller.calls == 2


def test_a_cache_that_cannot_be_used_costs_no_answer(made, tmp_path):
    """The directory turns into a file after the client was made."""
    caller = made(reply("One"), reply("Two"))
    cache = ResponseCache(tmp_path / "late")
    (tmp_path / "late").write_text("")
    for expected in ("One", "Two"):
        assert caller.ask(settings={"cache": cache})[0] == expected


def test_a_cache_that_makes_no_sense_is_refused(tmp_path):
    """When the client is made, not at its first request."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="expected a directory, got a file"):
        Client(cache=tmp_path / "file", ledger=":memory:")
    with pytest.raises(ConfigError, match="cache: expected a directory or a ResponseCache"):
        Client(cache=7, ledger=":memory:")


def test_no_prompt_is_in_the_file_and_no_answer_in_the_ledger(made, tmp_path):
    """The key is a digest; the ledger has figures only."""
    caller = made(reply("the answer of answers"))
    caller.ask()
    caller.ask()
    kept = b"".join(p.read_bytes() for p in (tmp_path / "cache").iterdir())
    assert b"zebra" not in kept
    assert b"the answer of answers" in kept
    for path in tmp_path.glob("ledger.sqlite3*"):
        assert b"the answer of answers" not in path.read_bytes()
