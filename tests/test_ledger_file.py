import sqlite3
import stat
from datetime import UTC, datetime, timedelta

import pytest

from router.budgets import Hold
from router.errors import CorruptLedgerError, LedgerError
from router.ledgers import Record, Reservation
from router.ledgers._sqlite.schema import MIGRATIONS
from router.ledgers.sqlite import SQLiteLedger

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOLD = Hold(
    key="total/UTC/", window_start=NOW, resets_at=None, limit=10**12, hard=True, name="$1 in all"
)
RECORD = Record(request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p")


def reservation(rid="r/0"):
    return Reservation(
        id=rid,
        at=NOW,
        lease_until=NOW + timedelta(minutes=10),
        amount=40,
        holds=(HOLD,),
        record=RECORD,
    )


@pytest.fixture
def path(tmp_path):
    """A ledger file with one open reservation, closed."""
    path = tmp_path / "ledger.sqlite3"
    ledger = SQLiteLedger(path)
    ledger.reserve(reservation())
    ledger.check()
    ledger.close()
    return path


def meddle(path, *statements):
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def refused(path, error, says):
    """Every way in is refused with this error, and the file's bytes stay as they were."""
    before = path.read_bytes() if path.is_file() else None
    for use in (
        lambda ledger: ledger.reserve(reservation()),
        lambda ledger: ledger.balances([HOLD]),
        lambda ledger: list(ledger.entries()),
        lambda ledger: ledger.sweep(NOW),
        lambda ledger: ledger.check(),
    ):
        ledger = SQLiteLedger(path)
        with pytest.raises(error, match=says) as caught:
            use(ledger)
        ledger.close()
        assert type(caught.value) is error
        assert str(path) in str(caught.value)
    if before is not None:
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database, but longer than a header " * 50, b"\0" * 4096, b"PK\x03\x04zip"]
)
def test_a_file_that_is_no_database(tmp_path, content):
    """Whatever is at the path, a text or zeros, it is refused and left as it was."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    refused(path, CorruptLedgerError, "left as it is.*CENTROUTE_LEDGER")


def test_another_programs_database(tmp_path):
    """A SQLite file of another program is refused and left as it was."""
    path = tmp_path / "places.sqlite"
    meddle(path, "CREATE TABLE bookmarks (url TEXT)", "INSERT INTO bookmarks VALUES ('x')")
    refused(path, CorruptLedgerError, "a SQLite file, but not a ledger")


def test_a_damaged_ledger(path):
    """A ledger whose pages were overwritten is found out, and not written to."""
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    ledger = SQLiteLedger(path)
    with pytest.raises(CorruptLedgerError, match="left as it is"):
        ledger.reserve(reservation("b"))
    ledger.close()
    assert path.read_bytes() == content


def test_a_newer_ledger(path):
    """A file of a newer version is not touched: upgrading is what helps."""
    meddle(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    refused(path, LedgerError, "newer version of centroute; upgrade")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE balances SET spent = spent - 1",
        "UPDATE balances SET reserved = 0",
        "DELETE FROM balances",
        "INSERT INTO balances VALUES ('other', 0, 5, 0, 0)",
        "DELETE FROM open_reservations",
        "UPDATE holds SET amount = 1",
    ],
)
def test_check_finds_what_does_not_add_up(path, statement):
    """Running totals that were meddled with no longer match the entries, and check says so."""
    meddle(path, statement)
    ledger = SQLiteLedger(path)
    with pytest.raises(CorruptLedgerError, match="1 balances differ from entries"):
        ledger.check()
    ledger.close()


def test_an_empty_file_becomes_a_ledger(tmp_path):
    """A file that was made empty beforehand, as by a temporary-file helper, can be used."""
    path = tmp_path / "empty"
    path.touch()
    ledger = SQLiteLedger(path)
    ledger.reserve(reservation())
    ledger.check()
    ledger.close()


def test_a_directory_is_no_ledger(tmp_path):
    """A directory where the file should be: the error names it and says what to do."""
    refused(tmp_path, LedgerError, "unable to open.*choose another")


def test_a_directory_that_cannot_be_made(tmp_path):
    """A path below a regular file can never be written, whoever asks."""
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file" / "ledger.sqlite3", LedgerError, "cannot create.*choose another")
    assert (tmp_path / "file").read_text() == "x"


def test_a_read_only_ledger_can_be_read_only(path, monkeypatch):
    """When the file cannot be written, reserving fails with a typed error."""
    connect = sqlite3.connect

    def read_only(name, **options):
        return connect(f"file:{name}?mode=ro", uri=True, **options)

    monkeypatch.setattr(sqlite3, "connect", read_only)
    ledger = SQLiteLedger(path)
    assert ledger.balances([HOLD])[0].reserved == 40
    with pytest.raises(LedgerError, match=r"readonly.*CENTROUTE_LEDGER") as caught:
        ledger.reserve(reservation("b"))
    assert not isinstance(caught.value, CorruptLedgerError)
    ledger.close()


def test_the_directory_is_private(tmp_path):
    """The state directory is made for its owner alone: spend is nobody else's business."""
    ledger = SQLiteLedger(tmp_path / "state" / "deep" / "ledger.sqlite3")
    ledger.balances([HOLD])
    ledger.close()
    assert stat.S_IMODE((tmp_path / "state" / "deep").stat().st_mode) == 0o700


def test_opening_is_lazy(tmp_path):
    """Making a ledger object touches no file until it is used."""
    ledger = SQLiteLedger(tmp_path / "state" / "ledger.sqlite3")
    ledger.close()
    assert list(tmp_path.iterdir()) == []


def test_a_home_directory_is_expanded(tmp_path, monkeypatch):
    """A path with a tilde is the user's home, not a directory of that name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    ledger = SQLiteLedger("~/ledger.sqlite3")
    ledger.reserve(reservation())
    ledger.close()
    assert (tmp_path / "ledger.sqlite3").is_file()


def test_commits_are_durable(path):
    """The file is in WAL mode and syncs on every commit: what returned survives power loss."""
    ledger = SQLiteLedger(path)
    ledger.balances([HOLD])
    db = ledger._db()
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    ledger.close()
