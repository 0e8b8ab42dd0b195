"""Where answers are kept: nobody else can write there, and nothing is opened through a link."""

import os
import sqlite3
from contextlib import closing

import pytest
from keeping import KEY, filled, kept_reply, reader

from router.errors import ConfigError
from router.responses import ResponseCache

posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX")


@pytest.fixture
def place(tmp_path, clock):
    return filled(tmp_path / "cache", clock)


@pytest.fixture
def reading(place, clock, caplog):
    return reader(place, clock, caplog)


def test_a_database_of_another_kind_is_not_harmed(tmp_path, clock):
    """A link to somebody else's database is refused: opening it would write tables into it."""
    place = tmp_path / "cache"
    place.mkdir(mode=0o700)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db, db:
        db.execute("CREATE TABLE spend (x)")
    before = (tmp_path / "ledger.db").read_bytes()
    for make in (os.symlink, os.link):
        make(tmp_path / "ledger.db", place / "cache.db")
        with closing(ResponseCache(place, now=clock)) as cache:
            cache.put(KEY, kept_reply())
            assert cache.get(KEY) is None
        assert (tmp_path / "ledger.db").read_bytes() == before
        (place / "cache.db").unlink()


@posix
@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_links_beside_the_database_are_refused(place, reading, tmp_path, suffix):
    """SQLite would write through them."""
    (tmp_path / "victim").write_text("mine")
    (place / f"cache.db{suffix}").symlink_to(tmp_path / "victim")
    found, _, said = reading()
    assert found is None
    assert len(said) == 1
    assert (tmp_path / "victim").read_text() == "mine"


@posix
def test_the_directory_and_the_file_are_private(tmp_path, clock):
    """0700 and 0600 from the first moment, whatever the umask; an old file is tightened."""
    old = os.umask(0)
    try:
        cache = ResponseCache(tmp_path / "made" / "cache", now=clock)
        cache.put(KEY, kept_reply())
    finally:
        os.umask(old)
    assert (tmp_path / "made" / "cache").stat().st_mode & 0o777 == 0o700
    files = list((tmp_path / "made" / "cache").iterdir())
    assert {f.stat().st_mode & 0o777 for f in files} == {0o600}
    cache.close()
    (tmp_path / "made" / "cache" / "cache.db").chmod(0o644)
    assert cache.get(KEY) == kept_reply()
    assert (tmp_path / "made" / "cache" / "cache.db").stat().st_mode & 0o777 == 0o600
    cache.close()


@posix
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777])
def test_a_directory_that_others_can_write_is_refused(tmp_path, clock, mode):
    """Others could plant answers there; the error says what to do."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(mode)
    with pytest.raises(ConfigError, match="chmod 700"):
        ResponseCache(tmp_path / "cache", now=clock)


@posix
@pytest.mark.parametrize("mode", [0o755, 0o750, 0o711, 0o704, 0o2755])
def test_a_directory_that_others_can_look_into_is_closed(tmp_path, place, clock, mode):
    """Empty or a cache of ours: it gets mode 0700 when it is opened, and keeps its answers."""
    (tmp_path / "empty").mkdir()
    for directory in (tmp_path / "empty", place):
        directory.chmod(mode)
        with closing(ResponseCache(directory, now=clock)) as cache:
            assert cache.get(KEY) == (kept_reply() if directory == place else None)
            cache.put(KEY, kept_reply())
            assert directory.stat().st_mode & 0o7777 == 0o700
            assert cache.get(KEY) == kept_reply()


@posix
@pytest.mark.parametrize("other", ["notes.txt", "cache.db.txt", "cache.db-x", ".hidden"])
def test_a_directory_of_more_than_the_cache_is_not_changed(place, clock, other):
    """Somebody may need to look into it: it is refused, and stays as it is."""
    (place / other).write_text("mine")
    place.chmod(0o755)
    with pytest.raises(ConfigError, match=f"{other}.*chmod 700"):
        ResponseCache(place, now=clock)
    assert place.stat().st_mode & 0o777 == 0o755
    place.chmod(0o700)
    with closing(ResponseCache(place, now=clock)) as cache:
        assert cache.get(KEY) == kept_reply()


@posix
def test_a_directory_that_is_shared_later_costs_no_answer(tmp_path, clock):
    """Between the check and the first use somebody puts a file of theirs there: no cache."""
    cache = ResponseCache(tmp_path / "cache", now=clock)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o755)
    (tmp_path / "cache" / "notes").write_text("mine")
    cache.put(KEY, kept_reply())
    assert cache.get(KEY) is None
    assert [f.name for f in (tmp_path / "cache").iterdir()] == ["notes"]
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o755


@posix
def test_a_directory_of_another_user_is_refused(tmp_path, clock, monkeypatch):
    """Also for root: what is in it was put there by somebody else."""
    (tmp_path / "cache").mkdir(mode=0o700)
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.raises(ConfigError, match="belongs to another user"):
        ResponseCache(tmp_path / "cache", now=clock)


@posix
def test_a_directory_that_turns_bad_later_costs_no_answer(tmp_path, clock):
    """Between the check and the first use somebody opens it up: no answers from there."""
    cache = ResponseCache(tmp_path / "cache", now=clock)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    cache.put(KEY, kept_reply())
    assert cache.get(KEY) is None
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("bad", ["a$HOME", "", 7, None, "x\0y"])
def test_a_path_that_is_none_is_refused(tmp_path, bad):
    """diskcache would expand variables in it, and open another directory than was checked."""
    path = f"{tmp_path}/{bad}" if isinstance(bad, str) and bad else bad
    with pytest.raises(ConfigError, match="cache: expected"):
        ResponseCache(path)


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path):
    """Said when the cache is made, not at the first request."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="got a file"):
        ResponseCache(tmp_path / "file")
