"""The response cache as a store: what goes in comes out, for a time, and never costs an answer."""

import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keeping import KEY, OTHER, kept_reply

import router
from router.errors import ConfigError
from router.responses import CachedReply, ResponseCache
from router.responses.reply import decode, encode
from router.types import Usage

ROOT = Path(router.__file__).parent.parent

texts = st.text(st.characters(), max_size=30)  # lone surrogates, too: hosts send them escaped
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def cache(tmp_path, clock):
    with closing(ResponseCache(tmp_path / "cache", now=clock)) as made:
        yield made


def test_what_was_put_is_given(cache):
    """Under its key, and under no other; a second answer takes the place of the first."""
    assert cache.get(KEY) is None
    cache.put(KEY, kept_reply("one"))
    cache.put(KEY, kept_reply("two"))
    assert cache.get(KEY) == kept_reply("two")
    assert cache.get(OTHER) is None
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.stored, stats.failures) == (1, 2, 2, 0)
    assert stats.entries == 1
    assert stats.size_bytes > 0


def test_answers_outlive_the_object(cache, clock):
    """They are in the file; closing lets go of it, and further calls open it again."""
    cache.put(KEY, kept_reply())
    cache.close()
    with closing(ResponseCache(cache.path, now=clock)) as other:
        assert other.get(KEY) == kept_reply()
    assert cache.get(KEY) == kept_reply()


def test_clear_forgets_all(cache):
    """And the cache can be used on."""
    cache.put(KEY, kept_reply())
    cache.clear()
    assert cache.get(KEY) is None
    cache.put(KEY, kept_reply())
    assert cache.get(KEY) == kept_reply()


@given(
    content=texts.filter(bool),
    extra=st.dictionaries(texts.map(lambda t: "x" + t), json_values, max_size=3),
    names=st.tuples(texts, texts, texts, texts, texts),
    counts=st.lists(st.integers(0, 2**40), min_size=4, max_size=4),
    cost=st.none() | st.integers(0, 2**63 - 1),
    reported=st.none() | st.integers(0, 2**63 - 1),
    estimated=st.booleans(),
    at=st.datetimes(timezones=st.just(UTC)),
    quality=st.floats(0, 1),
)
def test_an_answer_survives_as_json(
    content, extra, names, counts, cost, reported, estimated, at, quality
):
    """Text out, text in, and the two are equal in every field."""
    read, write, miss, out = counts
    candidate, model, mode, host, rates_id = names
    reply = CachedReply(
        body={
            **extra,
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": content, **extra}}
            ],
        },
        usage=Usage(
            input_tokens=read + write + miss,
            cache_read_tokens=read,
            cache_write_tokens=write,
            cache_write_1h_tokens=write // 2,
            output_tokens=out + 1,
            reasoning_tokens=out,
            estimated=estimated,
            reported_cost=reported,
        ),
        candidate=candidate,
        model=model,
        mode=mode,
        host=host,
        cost=cost,
        rates_id=rates_id,
        finish_reason=None,
        at=at,
        quality=quality,
    )
    assert decode(encode(reply, KEY), KEY) == reply


@pytest.mark.parametrize("ttl", [60, 60.0, timedelta(minutes=1)])
def test_an_answer_is_given_until_its_time_is_over(tmp_path, clock, ttl):
    """By the injected clock: a second before the end yes, at the end no, and then it is gone."""
    with closing(ResponseCache(tmp_path / "cache", ttl=ttl, now=clock)) as cache:
        cache.put(KEY, kept_reply(at=clock()))
        clock.advance(59.999)
        assert cache.get(KEY) is not None
        clock.advance(0.001)
        assert cache.get(KEY) is None
        clock.advance(-30)
        assert cache.get(KEY) is None
        assert cache.stats().entries == 0


def test_an_answer_from_the_future_is_not_given(cache, clock):
    """A clock that was set back, or a row that never ends: neither is believed."""
    cache.put(KEY, kept_reply(at=clock() + timedelta(seconds=1)))
    assert cache.get(KEY) is None


@pytest.mark.parametrize(
    "ttl", [0, -1, float("nan"), float("inf"), True, "60", None, timedelta(0), 1e300]
)
def test_a_time_to_live_that_is_none_is_refused(tmp_path, ttl):
    """It says what was expected."""
    with pytest.raises(ConfigError, match="cache ttl: expected seconds above 0"):
        ResponseCache(tmp_path / "cache", ttl=ttl)


@pytest.mark.parametrize("size_limit", [0, -1, 2**20 - 1, 1e9, True, None, 2**63])
def test_a_size_limit_that_is_none_is_refused(tmp_path, size_limit):
    """It says what was expected."""
    with pytest.raises(ConfigError, match="at least 1 MiB"):
        ResponseCache(tmp_path / "cache", size_limit=size_limit)


def test_the_file_stays_within_its_limit(tmp_path, clock):
    """The answers stored first go first; the last one is always there."""
    with closing(ResponseCache(tmp_path / "cache", size_limit=2**20, now=clock)) as cache:
        for i in range(60):
            cache.put(f"{i:064x}", kept_reply("x" * 50_000))
            assert cache.get(f"{i:064x}") is not None
        stats = cache.stats()
        assert stats.size_bytes <= 2**20 + 60_000
        assert 5 <= stats.entries <= 21
        assert cache.get(f"{0:064x}") is None
        cache.put(KEY, kept_reply("x" * 2**18))
        assert cache.get(KEY) is None, "too large: it would drive out the others"
        assert cache.stats().entries == stats.entries
    assert (tmp_path / "cache" / "cache.db").stat().st_size <= 2**20 + 60_000


def test_what_is_no_json_is_left_out(cache, caplog):
    """No answer, no failure, no word: such a body is the caller's own transport's."""
    cache.put(KEY, kept_reply(body={"choices": object()}))
    cache.put(KEY, kept_reply(body={"choices": {1, 2}}))
    assert cache.get(KEY) is None
    assert (cache.stats().stored, cache.stats().failures, caplog.records) == (0, 0, [])


def test_nothing_is_opened_until_it_is_needed(tmp_path):
    """Making a cache makes no directory and loads no diskcache; nor does the import."""
    code = (
        "import sys\n"
        "from router.responses import ResponseCache\n"
        f"ResponseCache({str(tmp_path / 'cache')!r}).close()\n"
        "print({'diskcache', 'pickle', 'sqlite3', 'httpx', 'pydantic'} & set(sys.modules) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "diskcache" not in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "cache").exists()


def test_a_missing_instant_is_never_naive():
    """What is kept says when in UTC, whatever zone it was put with."""
    local = datetime.fromisoformat("2026-11-22T13:00:00+01:00")
    assert decode(encode(kept_reply(at=local), KEY), KEY).at == kept_reply().at
    assert decode(encode(kept_reply(at=local), KEY), KEY).at.tzinfo is UTC
