"""Rows and files that are not ours: a miss and a warning without content, never an error."""

import json
import logging
from contextlib import closing

import pytest
from keeping import KEY, OTHER, filled, kept_reply, plant, reader

from router.responses import ResponseCache
from router.responses.reply import encode


@pytest.fixture
def place(tmp_path, clock):
    return filled(tmp_path / "cache", clock)


@pytest.fixture
def reading(place, clock, caplog):
    return reader(place, clock, caplog)


def _text(**changes):
    row = json.loads(encode(kept_reply(), KEY))
    return json.dumps(row | changes).encode()


def _reply(**changes):
    row = json.loads(encode(kept_reply(), KEY))
    row["reply"] |= changes
    return json.dumps(row).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        "text instead of bytes",
        7,
        None,
        _text(key=OTHER),
        _text(format="response/0"),
        _text(reply=None),
        _text(reply=[]),
        _reply(body=None),
        _reply(body={}),
        _reply(body={"choices": []}),
        _reply(body={"choices": [7]}),
        _reply(body={"choices": [{"message": {"content": {"a": 1}}}]}),
        _reply(body={"choices": [{"message": {"content": None, "tool_calls": [7]}}]}),
        _reply(usage=None),
        _reply(usage={"input_tokens": -1}),
        _reply(candidate=7),
        _reply(cost=-1),
        _reply(cost=True),
        _reply(cost=2**80),
        _reply(cost=0.5),
        _reply(at="yesterday"),
        _reply(at="2026-11-22T12:00:00"),
        _reply(at=0),
        _reply(quality=2),
        _reply(quality=float("nan")),
        _reply(finish_reason="length"),
        _reply(finish_reason=[]),
    ],
)
def test_a_row_that_is_not_ours_is_a_miss(place, reading, content):
    """Whatever is in a row: a miss, one warning without content, and the row goes."""
    plant(place, "UPDATE Cache SET value = ?", content)
    found, stats, said = reading()
    assert (found, stats.failures, stats.entries) == (None, 1, 0)
    assert len(said) == 1
    assert "Hello" not in said[0]


@pytest.mark.parametrize(
    ("column", "value"), [("mode", 4), ("mode", 2), ("filename", "aa/x.val"), ("filename", "")]
)
def test_a_sound_answer_in_an_odd_row_is_a_miss(place, reading, column, value):
    """No row of ours is marked as a pickle or a file, whatever else is in it."""
    plant(place, f"UPDATE Cache SET {column} = ?", value)
    found, stats, said = reading()
    assert (found, stats.failures, stats.entries) == (None, 1, 0)
    assert said[0].endswith(
        "a row with a pickle, a path or another kind of value; it was left out"
    )


def test_a_row_under_another_key_is_a_miss(place, reading):
    """Moving one tenant's answer under another's key does not hand it over."""
    plant(place, "UPDATE Cache SET key = ?", OTHER)
    found, stats, _ = reading(OTHER)
    assert (found, stats.failures) == (None, 1)


def test_a_row_with_text_that_is_no_unicode_is_a_miss(place, reading):
    """SQLite itself fails to decode such a column."""
    plant(place, "UPDATE Cache SET tag = CAST(x'ff' AS TEXT)")
    found, stats, said = reading()
    assert (found, stats.failures) == (None, 1)
    assert len(said) == 1


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100, None])
def test_a_file_that_is_no_database_costs_no_answer(tmp_path, clock, caplog, content):
    """Overwritten, cut short or a directory: misses and one warning for each cause."""
    place = tmp_path / "cache"
    place.mkdir(mode=0o700)
    if content is None:
        (place / "cache.db").mkdir()
    else:
        (place / "cache.db").write_bytes(content)
    with (
        caplog.at_level(logging.WARNING, "router"),
        closing(ResponseCache(place, now=clock)) as cache,
    ):
        assert cache.get(KEY) is None
        cache.put(KEY, kept_reply())
        assert cache.get(KEY) == (kept_reply() if content == b"" else None)
    assert len(caplog.records) == (content != b"")


def test_settings_that_are_no_names_cost_no_answer(place, reading):
    """A table that diskcache itself trips over is a cache that does not work, not an error."""
    plant(place, "INSERT INTO Settings VALUES (?, 1)", b"sqlite_x")
    found, stats, said = reading()
    assert (found, stats.failures, stats.misses) == (None, 1, 1)
    assert len(said) == 1
