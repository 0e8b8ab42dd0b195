"""The response cache under threads, processes, forks and trouble: it never costs an answer."""

import logging
import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from keeping import KEY, OTHER, kept_reply

import router
from router.errors import ConfigError
from router.responses import ResponseCache

ROOT = Path(router.__file__).parent.parent


@pytest.fixture
def cache(tmp_path, clock):
    with closing(ResponseCache(tmp_path / "cache", now=clock)) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch):
    """A busy store is given up on at once, and asked again at once."""
    monkeypatch.setattr("router.responses.disk._BUSY_SECONDS", 0.01)
    monkeypatch.setattr("router.responses.cache._REST", 0.0)


def test_threads_share_it(cache):
    """Sixteen threads read and write the same keys: each gets its answers whole."""

    def work(name):
        for i in range(40):
            mine = f"{name:032x}{i:032x}"
            cache.put(mine, kept_reply(f"{name}/{i}"))
            assert cache.get(mine) == kept_reply(f"{name}/{i}")
            cache.put(KEY, kept_reply(f"shared {i}"))
            assert cache.get(KEY) is not None

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    stats = cache.stats()
    assert (stats.entries, stats.failures, stats.misses) == (16 * 40 + 1, 0, 0)


PROCESS = """
import sys
from datetime import UTC, datetime
sys.path.insert(0, {tests!r})
from keeping import AT, kept_reply
from router.responses import ResponseCache
cache = ResponseCache({path!r}, now=lambda: AT)
name = int(sys.argv[1])
for i in range(50):
    mine = f"{{name:032x}}{{i:032x}}"
    cache.put(mine, kept_reply(f"{{name}}/{{i}}"))
    assert cache.get(mine) == kept_reply(f"{{name}}/{{i}}"), i
assert cache.stats().failures == 0, cache.stats()
cache.close()
"""


def test_processes_share_it(tmp_path, clock):
    """Four processes make the same file at once and fill it: all answers are there."""
    path = tmp_path / "cache"
    code = PROCESS.format(tests=str(ROOT / "tests"), path=str(path))
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(i)], cwd=ROOT, stderr=subprocess.PIPE)
        for i in range(4)
    ]
    said = [(p.communicate(timeout=120)[1].decode(), p.returncode) for p in running]
    assert said == [("", 0)] * 4
    with closing(ResponseCache(path, now=clock)) as cache:
        assert cache.stats().entries == 200
        assert cache.get(f"{3:032x}{49:032x}") == kept_reply("3/49")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_and_its_parent_go_on(cache):
    """An open cache survives a fork while another thread writes: both sides read and write."""
    cache.put(KEY, kept_reply())
    stop = threading.Event()

    def write():
        i = 0
        while not stop.is_set():
            i += 1
            cache.put(f"{i:064x}", kept_reply(f"parent {i}"))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            pid = os.fork()
            if not pid:
                status = 1
                try:
                    assert cache._store is None, "an open file was inherited"
                    mine = f"{number:032x}{'c' * 32}"
                    cache.put(mine, kept_reply(f"child {number}"))
                    good = cache.get(mine) == kept_reply(f"child {number}")
                    status = 0 if good and cache.get(KEY) == kept_reply() else 2
                    cache.close()
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        stop.set()
        writer.join()
    for number in range(5):
        assert cache.get(f"{number:032x}{'c' * 32}") == kept_reply(f"child {number}")
    assert cache.stats().failures == 0
    with closing(sqlite3.connect(cache.path / "cache.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_locked_file_costs_no_answer(cache, impatient, caplog):
    """Another program holds the write lock: answers are read, none is kept, and that is said."""
    cache.put(KEY, kept_reply())
    caplog.set_level(logging.WARNING, "router")
    with closing(sqlite3.connect(cache.path / "cache.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        cache.put(OTHER, kept_reply())
        cache.put(OTHER, kept_reply())
        assert cache.get(KEY) == kept_reply()
        db.execute("ROLLBACK")
    assert cache.get(OTHER) is None
    cache.put(OTHER, kept_reply())
    assert cache.get(OTHER) == kept_reply()
    assert cache.stats().failures == 2
    assert [r.getMessage() for r in caplog.records if "Timeout" in r.getMessage()]
    assert len(caplog.records) == 1, "once for each cause, not for each call"


def test_a_file_locked_from_the_start_costs_no_answer(tmp_path, clock, impatient):
    """Opening waits for a moment only, not for diskcache's minute."""
    with closing(ResponseCache(tmp_path / "cache", now=clock)) as first:
        first.put(KEY, kept_reply())
    with closing(sqlite3.connect(tmp_path / "cache" / "cache.db", isolation_level=None)) as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        with closing(ResponseCache(tmp_path / "cache", now=clock)) as cache:
            assert cache.get(KEY) is None
            cache.put(KEY, kept_reply())
            assert cache.stats().failures == 3
            db.execute("ROLLBACK")
            db.close()
            assert cache.get(KEY) == kept_reply()


def test_a_store_that_failed_is_left_alone_for_a_while(tmp_path, clock, monkeypatch):
    """So that not every request waits for it; then it is tried again."""
    tries = []
    instant = [100.0]
    monkeypatch.setattr("router.responses.cache.time.monotonic", lambda: instant[0])

    def broken(directory, name):
        tries.append(directory)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("router.responses.cache.make_private", broken)
        cache = ResponseCache(tmp_path / "cache", now=clock)
        for _ in range(5):
            assert cache.get(KEY) is None
            cache.put(KEY, kept_reply())
        assert len(tries) == 1
        instant[0] += 10.0
        assert cache.get(KEY) is None
        assert len(tries) == 2
    instant[0] += 10.0
    cache.put(KEY, kept_reply())
    assert cache.get(KEY) == kept_reply()
    cache.close()


def test_a_place_that_cannot_be_made_costs_no_answer(tmp_path, clock, caplog):
    """Its parent is a file: one warning, no error, nothing made."""
    (tmp_path / "file").write_text("")
    caplog.set_level(logging.WARNING, "router")
    with pytest.raises(ConfigError, match="cannot be looked at"):
        ResponseCache(tmp_path / "file" / "cache", now=clock)
    (tmp_path / "file").unlink()
    cache = ResponseCache(tmp_path / "file" / "cache", now=clock)
    (tmp_path / "file").write_text("")
    assert cache.get(KEY) is None
    cache.put(KEY, kept_reply())
    assert cache.stats().failures == 1
    assert len(caplog.records) == 1


def test_a_file_that_vanishes_costs_no_answer(cache, clock):
    """Somebody tidies up under a running process."""
    cache.put(KEY, kept_reply())
    for path in cache.path.iterdir():
        path.unlink()
    cache.path.rmdir()
    cache.get(KEY)
    cache.put(OTHER, kept_reply())
    cache.close()  # what comes next begins anew
    assert cache.get(KEY) is None
    cache.put(KEY, kept_reply())
    with closing(ResponseCache(cache.path, now=clock)) as other:
        assert other.get(KEY) == kept_reply()


def test_an_interrupt_is_not_swallowed(cache, monkeypatch):
    """Ctrl-C in the middle of a look-up is the caller's, and the lock is let go."""
    cache.put(KEY, kept_reply())

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("router.responses.cache.decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cache.get(KEY)
    assert cache.get(KEY) == kept_reply()
