"""Commands on a ledger that is a file or a server: what they read, and what they never print."""

import json
import subprocess
import sys

import pytest
from stores import POSTGRES, ROOT, needs_postgres, schema_fixture

from router import recorded_prompts
from router.cli import main

__all__ = ["schema_fixture"]

SECRET = "s3cret"
NOWHERE = f"postgresql://alice:{SECRET}@127.0.0.1:1/spend"
QUESTION = recorded_prompts(source="zeroeval")[0].prompt
ASK = ["chat", QUESTION, "--host", "replay"]
READERS = [["report"], ["doctor"], ["budgets", "history"]]
WITHOUT_DRIVER = """
import sys
sys.modules["psycopg"] = None
from router.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Runs a command in an empty directory; its exit code and all that it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            code = main(list(arguments))
        except SystemExit as stopped:
            code = stopped.code
        out, err = capsys.readouterr()
        assert SECRET not in out + err
        return code, out + err

    yield run
    assert not [path for path in tmp_path.rglob("*") if SECRET in path.name]


@pytest.mark.parametrize("command", [*READERS, ASK], ids=" ".join)
@pytest.mark.parametrize("named", [True, False])
def test_a_server_that_is_not_there(cli, monkeypatch, command, named):
    """Named or from the environment: the server is tried, and its place is told."""
    pytest.importorskip("psycopg")
    if named:
        code, said = cli(*command, "--ledger", NOWHERE)
    else:
        monkeypatch.setenv("CENTROUTE_LEDGER", NOWHERE)
        code, said = cli(*command)
    assert code == 1
    assert "postgresql://127.0.0.1:1/spend" in said
    assert "Check that the server runs" in said


@pytest.mark.parametrize("command", [*READERS, ASK], ids=" ".join)
@pytest.mark.parametrize(
    "at", [f"mysql://u:{SECRET}@h/d", f"postgresql:/u:{SECRET}@h/d", f"postgresql://u:{SECRET}@@h"]
)
def test_an_address_that_is_none(cli, monkeypatch, command, at):
    """Refused in words, without a word of it."""
    code, said = cli(*command, "--ledger", at)
    assert code == 1
    assert "ledger: " in said
    monkeypatch.setenv("CENTROUTE_LEDGER", at)
    code, said = cli(*command)
    assert code == 1
    assert "%40" in said or "expected a path" in said


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_a_file_that_is_not_there(cli, command, tmp_path):
    """A mistyped name is told; reading makes no ledger."""
    code, said = cli(*command, "--ledger", "no.sqlite3")
    assert (code, "'no.sqlite3' is none" in said) == (1, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["report", NOWHERE], [NOWHERE], ["plan", "Hi", NOWHERE]])
def test_a_url_in_a_wrong_place(cli, arguments):
    """The usage error quotes it without its password."""
    code, said = cli(*arguments)
    assert code == 2
    assert "usage: centroute" in said
    assert "alice:...@127.0.0.1:1" in said


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_without_the_driver(command):
    """It says what to install."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DRIVER, *command, "--ledger", NOWHERE],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "pip install 'centroute[postgres]'" in said
    assert SECRET not in said
    assert "Traceback" not in said


@pytest.fixture
def server(schema, monkeypatch):
    """The URL of a server with a ledger of its own, and a password that nobody asks for."""
    from router.ledgers.postgres import PostgresLedger  # not everybody has the driver

    made = PostgresLedger.__init__

    def init(self, conninfo, **options):
        made(self, conninfo, schema=schema.name, **options)

    monkeypatch.setattr(PostgresLedger, "__init__", init)
    return POSTGRES.replace("postgres@", f"postgres:{SECRET}@", 1)


@needs_postgres
def test_the_ledger_of_a_server(cli, server, monkeypatch, tmp_path):
    """A call is booked there, found by the report, and the doctor has no complaint."""
    monkeypatch.setenv("CENTROUTE_LEDGER", server)
    code, said = cli(*ASK, "--json")
    assert code == 0
    cost = json.loads(said)["cost_usd"]
    for named in ([], ["--ledger", server], ["--ledger", f" {server.upper()[:10]}{server[10:]}"]):
        code, said = cli("report", "--by", "host", "--json", *named)
        assert code == 0
        found = json.loads(said)
        assert [row["host"] for row in found["rows"]] == ["replay"]
        assert found["total_usd"] == cost
        code, said = cli("doctor", "--json", *named)
        assert code == 0
        (line,) = (f["finding"] for f in json.loads(said) if f["what"] == "ledger")
        assert line.startswith("postgresql://")
        assert line.endswith("adds up")
    assert list(tmp_path.iterdir()) == []


@needs_postgres
def test_budgets_of_a_server(cli, server, tmp_path):
    """Changes are booked there, too."""
    (tmp_path / "budgets.toml").write_text(
        '[[budget]]\nname = "all"\nlimit = "1"\nwindow = "day"\n'
    )
    who = ["--by", "ann", "--why", "launch", "--ledger", server]
    assert cli("budgets", "top-up", "all", "0.5", *who)[0] == 0
    code, said = cli("budgets", "status", "--json", "--ledger", server)
    assert code == 0
    assert [row["limit"] for row in json.loads(said)] == ["1.500000000000"]
    code, said = cli("budgets", "history", "--json", "--ledger", server)
    assert [(row["by"], row["amount"]) for row in json.loads(said)] == [("ann", "0.500000000000")]
