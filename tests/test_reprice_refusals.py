"""What `reprice` refuses: instants, names and histories that are none."""

from datetime import UTC, datetime, timedelta

import pytest
from invoices import month

from router.bills import reprice
from router.cli import main
from router.errors import ConfigError, InvalidRequestError
from router.ledgers.sqlite import SQLiteLedger


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": "2026-01-01"},
        {"at": timedelta.max},
        {"at": -timedelta(days=10**6)},
        {"at": datetime.max.replace(tzinfo=UTC)},
        {"at": datetime(2026, 1, 1)},
        {"known_at": 5},
        {"known_at": datetime.min.replace(tzinfo=UTC)},
        {"since": "x"},
        {"since": datetime(2026, 1, 1)},
        {"until": 5},
        {"until": "2026-01-01", "since": "2026-01-02"},
        {"tz": "Europe/Nowhere"},
        {"host": ""},
        {"host": 3},
        {"candidate": 3},
        {"catalog": "mine.toml"},
    ],
    ids=str,
)
def test_instants_and_names_that_are_none(wrong):
    """A text for an instant is refused by the argument's name, never ignored."""
    with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
        reprice(month(2), **wrong)


def test_what_is_no_history_is_refused(tmp_path):
    """A path without a ledger makes none; a list of other things is none."""
    with pytest.raises(ConfigError, match="typo"):
        reprice(tmp_path / "typo.sqlite3")
    assert not (tmp_path / "typo.sqlite3").exists()
    with pytest.raises(InvalidRequestError, match="entries of a ledger"):
        reprice([1])


def test_a_candidate_nobody_knows_is_refused_on_the_command_line(tmp_path, capsys):
    """Not a table in which nothing is priced."""
    SQLiteLedger(tmp_path / "l.sqlite3").close()
    ledger = ["--ledger", str(tmp_path / "l.sqlite3")]
    for wrong in (["--candidate", "nope"], ["--host", "nope"]):
        assert main(["reprice", *ledger, *wrong]) == 1
        assert wrong[0] in capsys.readouterr().err
