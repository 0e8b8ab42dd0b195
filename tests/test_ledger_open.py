"""Which ledger a setting means, and that a URL's password goes nowhere."""

import contextlib
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from calling import MESSAGES, FixedScorer, in_order
from hypothesis import given
from hypothesis import strategies as st
from stores import ROOT

from router import Client
from router.errors import ConfigError, LedgerError
from router.ledgers.open import default_ledger, open_ledger, open_store, server_url
from router.ledgers.sqlite import SQLiteLedger
from router.testing import MockTransport, reply

SECRET = "s3cret"
MODEL = "deepseek-v3.2@deepinfra"
NOWHERE = f"postgresql://alice:{SECRET}@127.0.0.1:1/spend"

STRAYS = [
    f"mysql://u:{SECRET}@h/db",
    f"postgresql+psycopg://u:{SECRET}@h/db",
    f"sqlite:///{SECRET}.db",
    f"postgresql:/u:{SECRET}@h/db",
    f"POSTGRES:/u:{SECRET}@h/db",
    f"postgresql:u:{SECRET}@h/db",
    f"./postgresql://u:{SECRET}@h/db",
    f"  mysql://u:{SECRET}@h/db",
    f"postgresql;//u:{SECRET}@h/db",
    f"//u:{SECRET}@h/db",
    f"host=db user=u password={SECRET}",
    f"postgresql://u:{SECRET}@/x@h/db",
    f"postgresql://u:/{SECRET}@h/db",
    f"postgresql://u:a?{SECRET}@b@h/db",
    f"postgresql://u:@{SECRET}@h/db",
    "",
    "  ",
]
PATHS = [
    "ledger.sqlite3",
    "/var/lib/ledger.sqlite3",
    "~/ledger.sqlite3",
    ":memory:",
    "C:/ledgers/l.sqlite3",
    r"C:\ledgers\l.sqlite3",
    r"\\server\share\l.sqlite3",
    "my postgresql.db",
    "user=ann/2026-11-22T10:00/l.db",
    "passwords/l.db",
]


def client(**settings):
    defaults = {
        "transport": MockTransport(reply("x", input_tokens=10, output_tokens=100)),
        "keys": {"deepinfra": "k"},
        "scorer": FixedScorer(),
        "policy": in_order,
    }
    return Client(**(defaults | settings))


def ask(made):
    return made.chat.completions.create(MESSAGES, model=MODEL)


@pytest.mark.parametrize("before", ["", " ", "\n\t "])
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "PostgreSQL", "POSTGRES"])
def test_a_url_of_a_server(scheme, before):
    """Either scheme in any case, blanks around it; libpq takes only one of them, in lower case."""
    rest = "u:p%40@[::1]:5432/db?host=/run/a@b&options=-c%20x"
    assert server_url(f"{before}{scheme}://{rest}{before}") == f"postgresql://{rest}"
    assert server_url(f"{scheme}:///db") == "postgresql:///db"
    assert server_url(f"{scheme}://") == "postgresql://"


@pytest.mark.parametrize("path", PATHS)
def test_a_path(path):
    """A path is a path, however odd: as text and as a Path."""
    assert server_url(f"./odd:/{path}") is None
    assert server_url(path) is None
    assert server_url(Path(path)) is None
    assert isinstance(open_store(path), SQLiteLedger)


@pytest.mark.parametrize("at", STRAYS)
def test_what_is_neither_is_refused(at, tmp_path, monkeypatch):
    """Said when the client is made, from an argument and the environment; nothing is made, and
    the password is shown nowhere.
    """
    monkeypatch.chdir(tmp_path)
    refused = [
        (ConfigError, lambda: client(ledger=at)),
        (ConfigError, lambda: open_store(at)),
        (ConfigError, lambda: open_ledger(at, "deny", tmp_path)),
    ]
    if at.strip():
        refused.append((ConfigError, lambda: client(environ={"CENTROUTE_LEDGER": at})))
    for kind, use in refused:
        with pytest.raises(kind, match=r"^(ledger|CENTROUTE_LEDGER): ") as caught:
            use()
        assert SECRET not in repr(caught.value)
        assert caught.value.__cause__ is None
    assert list(tmp_path.iterdir()) == []


def test_the_error_says_what_helps():
    """What was expected, which kind came, which setting it was."""
    with pytest.raises(ConfigError, match=r"postgresql://user@host.* got a URL of 'mysql'"):
        server_url("mysql://u@h/d")
    with pytest.raises(ConfigError, match=r"^ledger: a URL .* '@' as %40"):
        server_url("postgresql://u:a@b@h/d")
    with pytest.raises(ConfigError, match=r"^CENTROUTE_LEDGER: "):
        client(environ={"CENTROUTE_LEDGER": "mysql://u@h/d"})


@pytest.mark.parametrize(
    "path", [Path(NOWHERE), Path(f" {NOWHERE}"), Path(NOWHERE).absolute(), Path("mysql://h/d")]
)
def test_a_path_that_swallowed_a_url(path):
    """A Path has one slash less: the URL is to be passed as text."""
    with pytest.raises(ConfigError, match="pass it as text") as caught:
        client(ledger=path)
    assert SECRET not in repr(caught.value)


@pytest.mark.parametrize("ledger", [NOWHERE.encode(), [NOWHERE], {"url": NOWHERE}])
def test_a_setting_of_another_kind_is_not_shown(ledger):
    """Its repr could hold a password."""
    with pytest.raises(ConfigError, match="expected a path, a URL or a ledger, got") as caught:
        client(ledger=ledger)
    assert SECRET not in str(caught.value)


texts = st.text("@/?:#&=%[]ab ")


@given(texts, texts, texts)
def test_no_password_becomes_a_host(user, password, rest):
    """Whatever it holds: the ledger is named without it, or refused without a word of it."""
    conninfo = pytest.importorskip("psycopg.conninfo")
    secret = f"<{password}>"
    url = f"postgresql://{user}:{secret}@host/{rest}"
    try:
        found = server_url(url)
    except ConfigError as error:
        assert secret not in str(error)
        return
    try:
        parts = conninfo.conninfo_to_dict(found)
    except Exception:  # noqa: BLE001 - libpq refuses it, and PostgresLedger says so without it
        return
    shown = f"{parts.get('host')} {parts.get('port')} {parts.get('dbname')}"
    assert not set("<>") & set(shown)


def test_the_default(tmp_path):
    """CENTROUTE_LEDGER as it stands, which may be a URL; else a file in the state directory."""
    assert default_ledger({"CENTROUTE_LEDGER": NOWHERE}) == NOWHERE
    assert default_ledger({"CENTROUTE_LEDGER": "a.db", "XDG_STATE_HOME": "/x"}) == "a.db"
    state = {"XDG_STATE_HOME": str(tmp_path), "CENTROUTE_LEDGER": " "}
    assert default_ledger(state) == str(tmp_path / "centroute" / "ledger.sqlite3")
    local = {"LOCALAPPDATA": str(tmp_path)}
    assert default_ledger(local) == str(tmp_path / "centroute" / "ledger.sqlite3")
    home = str(Path("~/.local/state/centroute/ledger.sqlite3").expanduser())
    assert default_ledger({}) == home


def test_a_url_in_the_environment_opens_a_server(tmp_path, monkeypatch):
    """It is not taken for a path: no directory is made, and the error names the server."""
    pytest.importorskip("psycopg")
    monkeypatch.chdir(tmp_path)
    environ = {"CENTROUTE_LEDGER": f" {NOWHERE}\n", "XDG_STATE_HOME": str(tmp_path / "state")}
    with client(environ=environ, budgets="1") as made:
        with pytest.raises(LedgerError, match=r"postgresql://127\.0\.0\.1:1/spend") as caught:
            ask(made)
        assert SECRET not in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if SECRET in str(path)]
    assert {path.name for path in tmp_path.iterdir()} == {"state"}


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_what_a_server_did_not_take_survives_the_process(tmp_path, caplog):
    """The state directory is made for it, private: where nobody used it before, too."""
    pytest.importorskip("psycopg")
    environ = {"XDG_STATE_HOME": str(tmp_path / "state")}
    made = client(ledger=NOWHERE, on_ledger_error="allow", environ=environ)
    with caplog.at_level(logging.WARNING, "router"):
        assert ask(made).text == "x"
        with pytest.raises(LedgerError, match="the next process posts") as caught:
            made.close()
    (left,) = (tmp_path / "state" / "centroute").iterdir()
    assert left.name.startswith("postgres-")
    assert left.parent.stat().st_mode & 0o777 == 0o700
    assert left.stat().st_mode & 0o777 == 0o600
    for said in (left.read_text(), str(caught.value), caplog.text):
        assert SECRET not in said


def test_a_state_directory_that_cannot_be_made_is_no_reason_to_fail(tmp_path):
    """It is needed only when the server fails."""
    pytest.importorskip("psycopg")
    (tmp_path / "file").write_text("")
    with contextlib.closing(open_ledger(NOWHERE, "deny", tmp_path / "file" / "state")):
        pass


def test_without_the_driver():
    """A URL says what to install, without showing itself; a file needs no driver."""
    script = (
        "import sys\n"
        "sys.modules['psycopg'] = None\n"
        "from router import Client\n"
        "from router.errors import ConfigError\n"
        f"for at in ({NOWHERE!r}, ':memory:'):\n"
        "    client = Client(ledger=at, budgets='1')\n"
        "    try:\n"
        "        print(len(client.budgets.status()))\n"
        "    except ConfigError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )
    first, second = done.stdout.splitlines()
    assert "pip install 'centroute[postgres]'" in first
    assert second == "1"
    assert SECRET not in done.stdout + done.stderr
