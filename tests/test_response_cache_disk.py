"""Attacks on the response cache's file: nothing in it is run, followed or obeyed."""

import os
import pickle
from contextlib import closing

import diskcache
import pytest
from keeping import KEY, OTHER, filled, kept_reply, plant, reader

from router.responses import ResponseCache
from router.responses.disk import PlainCache, PlainDisk
from router.responses.reply import TamperedError


class Payload:
    """Unpickled, it makes a directory: the sign that code ran."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def place(tmp_path, clock):
    return filled(tmp_path / "cache", clock)


@pytest.fixture
def reading(place, clock, caplog):
    return reader(place, clock, caplog)


def test_the_payload_works_where_nobody_defends(tmp_path):
    """The control: diskcache as it comes runs the planted pickle, and reads any path."""
    with closing(diskcache.Cache(str(tmp_path / "open"))) as cache:
        cache.set("k", "v")
        cache.set("p", "v")
        planted = pickle.dumps(Payload(tmp_path / "ran"))
        plant(tmp_path / "open", "UPDATE Cache SET mode = 4, value = ? WHERE key = 'k'", planted)
        (tmp_path / "secret").write_text("secret")
        path = "../secret"
        plant(tmp_path / "open", "UPDATE Cache SET mode = 3, filename = ? WHERE key = 'p'", path)
        cache.get("k")
        assert cache.get("p") == "secret"
    assert (tmp_path / "ran").is_dir()


@pytest.mark.parametrize("mode", [0, 1, 2, 3, 4, 5, None, "4", b"4", 1.5])
def test_a_planted_pickle_in_a_row_is_a_miss(place, reading, tmp_path, mode):
    """In no mode of a row is a pickle executed or its bytes taken for an answer."""
    planted = pickle.dumps(Payload(tmp_path / "ran"))
    plant(place, "UPDATE Cache SET mode = ?, value = ?", mode, planted)
    found, stats, said = reading()
    assert found is None
    assert (stats.failures, stats.misses) == (1, 1)
    assert len(said) == 1
    assert not (tmp_path / "ran").exists()
    assert stats.entries == 0, "the planted row is gone"


@pytest.mark.parametrize("mode", [1, 2, 3, 4])
@pytest.mark.parametrize("how", ["inside", "climbing", "absolute", "link", "bytes"])
def test_no_path_in_a_row_is_read_or_deleted(place, reading, tmp_path, mode, how):
    """A row may not name a file: not beside the database, not above it, not through a link."""
    secret = tmp_path / "secret"
    secret.write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    (place / "aa").mkdir()
    (place / "aa" / "inside.val").write_bytes(secret.read_bytes())
    (place / "aa" / "link.val").symlink_to(secret)
    name = {
        "inside": "aa/inside.val",
        "climbing": "../secret",
        "absolute": str(secret),
        "link": "aa/link.val",
        "bytes": b"../secret",
    }[how]
    plant(place, "UPDATE Cache SET mode = ?, filename = ?, value = NULL", mode, name)
    found, stats, said = reading()
    assert found is None
    assert len(said) == 1
    assert "secret" not in said[0]
    assert not (tmp_path / "ran").exists()
    assert secret.exists()
    assert (place / "aa" / "inside.val").exists()
    assert stats.entries == 0


def test_writing_over_a_row_that_names_a_file_leaves_the_file(place, clock, tmp_path):
    """diskcache deletes the old value's file: here the path in the row is somebody else's."""
    secret = tmp_path / "secret"
    secret.write_text("mine")
    plant(place, "UPDATE Cache SET mode = 3, filename = ?", "../secret")
    with closing(ResponseCache(place, now=clock)) as cache:
        cache.put(KEY, kept_reply("New"))
        assert cache.get(KEY) == kept_reply("New")
        plant(place, "UPDATE Cache SET filename = ?", str(secret))
        cache.clear()
        assert cache.stats().entries == 0
    assert secret.read_text() == "mine"


def test_evicting_a_row_that_names_a_file_leaves_the_file(place, clock, tmp_path):
    """An expired row is culled by the next write, but no path in it is followed."""
    secret = tmp_path / "secret"
    secret.write_text("mine")
    plant(place, "UPDATE Cache SET filename = ?, expire_time = 1", "../secret")
    with closing(ResponseCache(place, now=clock)) as cache:
        cache.put(OTHER, kept_reply())
        assert cache.stats().entries == 1
    assert secret.read_text() == "mine"


def test_a_planted_pickle_as_key_or_tag_is_not_read(place, reading, tmp_path):
    """Keys are compared as text, and tags are never looked at."""
    planted = pickle.dumps(Payload(tmp_path / "ran"))
    row = "INSERT INTO Cache (key, raw, tag, mode, value) VALUES (?, 0, ?, 4, ?)"
    plant(place, row, planted, planted, planted)
    plant(place, "UPDATE Cache SET tag = ? WHERE raw = 1", planted)
    found, stats, said = reading()
    assert found == kept_reply()
    assert (stats.entries, said) == (2, [])
    with closing(PlainCache(place / "cache.db", size_limit=2**20)) as store:
        with pytest.raises(TamperedError, match="no text of ours"):
            list(store)
        with pytest.raises(TamperedError, match="no text of ours"):
            store.peekitem(last=True)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("disk__directory", "/"),
        ("disk_min_file_size", 0),
        ("disk_pickle_protocol", 5),
        ("disk_fetch", "x"),
        ("disk_no_such", 1),
        ("disk", "JSONDisk"),
        ("_disk", "x"),
        ("_directory", "/"),
        ("_database", "/"),
        ("_kept", None),
        ("_settings", "x"),
        ("get", "x"),
        ("reset", "x"),
        ("eviction_policy", "none; DROP TABLE Cache"),
        ("cull_limit", "0"),
        ("size_limit", 1),
        ("size", "many"),
        ("count", b"many"),
        ("statistics", 1),
        ("tag_index", 1),
        ("sqlite_journal_mode", "off"),
        ("sqlite_locking_mode", "exclusive"),
        ("sqlite_user_version = 77; --", 1),
        ("sqlite_user_version", 77),
        ("sqlite_no_such", "x"),
        ("sqlite_mmap_size", 2**40),
    ],
)
def test_settings_in_the_file_decide_nothing(place, clock, name, value):
    """diskcache sets attributes, disk arguments and PRAGMAs from a table; ours are fixed."""
    plant(place, "INSERT OR REPLACE INTO Settings VALUES (?, ?)", name, value)
    with closing(ResponseCache(place, now=clock)) as cache:
        assert cache.get(KEY) == kept_reply()
        cache.put(OTHER, kept_reply("Other"))
        assert cache.get(OTHER) == kept_reply("Other")
        store = cache._store
        assert type(store.disk) is PlainDisk
        assert store.size_limit == cache.size_limit
        assert store.eviction_policy == "least-recently-stored"
        assert store.disk._directory == str(place)
        pragmas = [
            store._con.execute(f"PRAGMA {p}").fetchone()[0]
            for p in ("journal_mode", "locking_mode", "user_version", "mmap_size")
        ]
        assert pragmas == ["wal", "normal", 0, 0]
        assert cache.stats().failures == 0
    assert sorted(p.name for p in place.iterdir()) == ["cache.db"]


@pytest.mark.parametrize("value", ["text", 1, 1.5, None, {"a": 1}, object()])
def test_nothing_but_bytes_is_ever_written(tmp_path, value):
    """What diskcache would pickle, or put into a file, is refused when it is handed in."""
    disk = PlainDisk(str(tmp_path))
    with pytest.raises(TypeError, match="a value of bytes"):
        disk.store(value, read=False)
    with pytest.raises(TypeError, match="a value of bytes"):
        disk.store(b"from a reader", read=True)
    if type(value) is not str:
        with pytest.raises(TypeError, match="a key of text"):
            disk.put(value)
    with pytest.raises(TypeError, match="not in files"):
        disk.filename()
    assert list(tmp_path.iterdir()) == []
