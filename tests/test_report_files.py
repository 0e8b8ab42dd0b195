"""Files of reports: what is in their place, who may read them, many at once."""

import os
import stat
import threading

import pytest
from spending import Book

from router.errors import ConfigError, InvalidRequestError
from router.reports import verify


@pytest.fixture
def report():
    book = Book()
    book.call(501)
    yield book.report("model")
    book.ledger.close()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_link_stays_and_its_target_is_written(report, tmp_path):
    """A link is followed: what it names has the new figures, and it is still a link."""
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "real.csv", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to(target)
    report.to_csv(link)
    assert link.is_symlink()
    assert target.read_text().startswith("model,")
    new = tmp_path / "new.csv"
    new.symlink_to(tmp_path / "there" / "none.csv")  # to where nothing is yet
    report.to_csv(new)
    assert (tmp_path / "there" / "none.csv").read_text() == target.read_text()
    assert sorted(p.name for p in (tmp_path / "there").iterdir()) == ["none.csv", "real.csv"]


def test_a_pipe_is_written_to(report, tmp_path):
    """What reads a pipe gets the file, and the pipe is still one."""
    pipe, came = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: came.append(pipe.read_text()))
    reader.start()
    assert report.to_csv(pipe) == pipe
    reader.join(20)
    assert came == [report.to_csv(tmp_path / "x.csv").read_text()]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(ConfigError, match="expected a file to write a checksum beside"):
        report.to_csv(pipe, checksum=True)


def test_who_may_read_it(report, tmp_path):
    """A file that is replaced keeps its mode; a new one has what the umask leaves."""
    private = tmp_path / "private.csv"
    private.write_text("old")
    private.chmod(0o600)
    report.to_csv(private)
    assert mode(private) == 0o600
    plain = tmp_path / "plain"
    plain.write_text("")
    assert mode(report.to_csv(tmp_path / "new.csv")) == mode(plain)


def test_files_of_others_stay(report, tmp_path):
    """A user's own `spend.csv.part` is no leftover of ours."""
    mine = tmp_path / "spend.csv.part"
    mine.write_text("my notes")
    report.to_csv(tmp_path / "spend.csv")
    assert mine.read_text() == "my notes"
    assert len(list(tmp_path.iterdir())) == 2


def test_many_writers_of_one_path(tmp_path):
    """Each writes its whole file; whoever ends last is what stays, and nothing is left over."""
    book = Book()
    for i in range(300):
        book.call(1, model=f"m{i}")
    big, failed = book.report("model"), []
    path = tmp_path / "spend.csv"

    def write():
        try:
            for _ in range(5):
                big.to_csv(path, checksum=True)
        except ConfigError as error:
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert verify(path)
    assert len(path.read_text().splitlines()) == 301
    assert sorted(p.name for p in tmp_path.iterdir()) == ["spend.csv", "spend.csv.sha256"]
    book.ledger.close()


def test_a_long_name(report, tmp_path):
    """A name as long as the system allows is written all the same."""
    assert report.to_csv(tmp_path / ("x" * 251 + ".csv")).is_file()


@pytest.mark.parametrize("path", [None, 5, "", b"x.csv", "a\0b"])
def test_no_path(report, path):
    """What is no name of a file is refused by name, before anything is written."""
    for write in (report.to_csv, report.to_parquet, verify):
        with pytest.raises(InvalidRequestError, match="path: expected the name of a file"):
            write(path)
