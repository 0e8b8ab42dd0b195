import io
import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

import router
from router import recorded_prompts
from router.cli import main

QUESTION = recorded_prompts(source="zeroeval")[0].prompt
PRESENT = "deepseek-v3.2@deepinfra"


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """The ledger that commands use when none is named."""
    path = tmp_path / "state" / "ledger.sqlite3"
    monkeypatch.setenv("CENTROUTE_LEDGER", str(path))
    return path


@pytest.fixture
def cli(ledger, capsys):
    """Runs a command; its exit code, standard output and standard error."""

    def run(*arguments):
        code = main(list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def js(cli):
    """Runs a command that must work with --json; what it printed, parsed."""

    def run(*arguments):
        code, out, _ = cli(*arguments, "--json")
        assert code == 0
        return json.loads(out)

    return run


def test_version(capsys):
    """`--version` needs no command, prints the distribution's and leaves with 0."""
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"centroute {router.__version__}\n"


def test_plan(cli):
    """A plan shows the choice, every forecast and every reason, and spends nothing."""
    code, out, err = cli("plan", "What is 2 + 2?", "--model", PRESENT, "--model", "deepseek-flash")
    assert (code, err) == (0, "")
    assert out.startswith(("deepseek-v3.2@", "deepseek-flash@"))
    for part in ("input: ", "P(correct)", "ceiling", "Not chosen", "deepseek-flash@deepseek"):
        assert part in out
    assert "total: 0.000000000000 USD" in cli("report")[1]


def test_plan_as_json(js):
    """The same as JSON, with amounts as exact decimal strings."""
    found = js("plan", "What is 2 + 2?", "--model", PRESENT, "--policy", "frugal")
    assert found["chosen"] == PRESENT
    assert found["policy"] == "cheapest"
    (forecast,) = found["forecasts"]
    low, high = Decimal(forecast["cost_p50_usd"]), Decimal(forecast["cost_ceiling_usd"])
    assert 0 < low <= Decimal(forecast["cost_p90_usd"]) <= high
    assert "E" not in forecast["cost_usd"]
    assert forecast["output_tokens"]["p10"] <= forecast["output_tokens"]["p99"]


def test_a_plan_under_a_budget(js):
    """A budget on the command line limits the answer that would be bought."""
    wide = js("plan", "Hi", "--model", PRESENT)["forecasts"][0]
    tight = js("plan", "Hi", "--model", PRESENT, "--budget", "0.0005")["forecasts"][0]
    assert tight["max_tokens"] < wide["max_tokens"]
    assert Decimal(tight["cost_ceiling_usd"]) <= Decimal("0.0005")
    asked = js("plan", "Hi", "--model", PRESENT, "--max-tokens", "7")["forecasts"][0]
    assert asked["max_tokens"] == 7


def test_chat_and_report(cli, js, tmp_path):
    """A recorded prompt is answered, booked, and reported to the last digit, also as CSV."""
    code, out, err = cli("chat", QUESTION, "--tag", "team=search", "--model", "deepseek-v2.5")
    assert code == 0
    assert out.startswith("[replay] deepseek-v2.5 answered this prompt")
    assert err.startswith("[deepseek-v2.5@replay; cost $0.0000")
    again = js("chat", QUESTION, "--model", "deepseek-v2.5", "--budget", "0.05")
    assert again["candidate"] == "deepseek-v2.5@replay"
    assert again["text"].startswith("[replay]")
    assert again["estimated"] is True
    report = js("report", "--by", "model, tag:team")
    assert [(r["model"], r["tag:team"], r["requests"]) for r in report["rows"]] == [
        ("deepseek-v2.5", "", 1),
        ("deepseek-v2.5", "search", 1),
    ]
    assert Decimal(report["total_usd"]) == 2 * Decimal(again["cost_usd"])
    csv = tmp_path / "spend.csv"
    code, out, _ = cli("report", "--by", "day,model", "--tz", "Europe/Berlin", "--csv", str(csv))
    assert code == 0
    assert f"total: {report['total_usd']} USD" in out
    assert f"written: {csv}" in out
    assert csv.read_text().startswith("day,model,requests,")
    assert js("report", "--since", "2100-01-01")["rows"] == []
    assert len(js("report", "--until", "2100-01-01T00:00:00+01:00")["rows"]) == 1


def test_standard_input(cli, monkeypatch):
    """A dash reads the prompt from standard input; an empty one is refused."""
    monkeypatch.setattr("sys.stdin", io.StringIO(QUESTION))
    assert cli("chat", "-", "--host", "replay")[0] == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(" \n"))
    code, _, err = cli("plan", "-")
    assert code == 1
    assert err == (
        "ConfigError: expected a prompt, or - to read it from standard input; got none\n"
    )


def test_an_empty_report(cli, js):
    """Before anything is spent there is a header, no row and a total of zero."""
    code, out, _ = cli("report")
    assert code == 0
    assert "total: 0.000000000000 USD" in out
    assert js("report") == {"rows": [], "total_usd": "0.000000000000", "unpriced": 0}


def test_catalog(cli, js):
    """The catalogue is listed with rates at an instant, and with sources on demand."""
    code, out, _ = cli("catalog", "show", "deepseek-flash@deepseek", "--at", "2026-11-20T02:00")
    assert code == 0
    assert "USD per million tokens at 2026-11-20 02:00 UTC" in out
    assert "peak" in out
    assert "https://" not in out
    out = cli("catalog", "show", "deepseek-flash", "--sources")[1]
    assert "https://api-docs.deepseek.com" in out
    rows = js("catalog", "at", "2026-11-20T02:00Z", "deepseek-flash@deepseek")
    assert [r["candidate"] for r in rows] == ["deepseek-flash@deepseek"]
    assert rows[0]["rates"].endswith("#peak")
    assert rows[0]["output_usd_per_mtok"] == "1.2"
    assert cli("catalog", "show", "deepseek-v32")[0] == 1
    assert "did you mean deepseek-v3.2" in cli("catalog", "show", "deepseek-v32")[2]


def test_a_catalog_overlay(js, tmp_path):
    """A file of one's own lies over the shipped catalogue, in every command that takes one."""
    overlay = tmp_path / "mine.toml"
    overlay.write_text(
        '[[rate]]\nendpoint = "deepseek-v3.2@deepinfra"\nvalid_from = 2026-01-01\ninput = "5"\n'
        'output = "7"\nsource = "contract"\nchecked = 2026-11-22\n'
    )
    rows = js("catalog", "show", PRESENT, "--catalog", str(overlay))
    assert [r["input_usd_per_mtok"] for r in rows] == ["5"]
    found = js("plan", "Hi", "--model", PRESENT, "--catalog", str(overlay))
    assert found["forecasts"][0]["rates"] == f"{PRESENT}/2026-01-01"


def test_doctor(cli, js, monkeypatch):
    """What is configured and what is missing is listed; nothing is contacted."""
    code, out, _ = cli("doctor")
    assert code == 0
    assert "set DEEPINFRA_API_KEY to use it" in out
    assert "recorded outcomes answer" in out
    assert "adds up" in out
    monkeypatch.setenv("DEEPINFRA_API_KEY", "sk-very-secret")
    code, out, _ = cli("doctor")
    assert "configured (not contacted)" in out
    assert "sk-very-secret" not in out
    states = {(f["state"], f["what"]) for f in js("doctor")}
    assert ("ok", "host deepinfra") in states
    assert ("ok", "ledger") in states


def test_doctor_finds_a_broken_ledger(cli, tmp_path):
    """A ledger that cannot be read is wrong, and the exit code says so."""
    (tmp_path / "notes").write_text("not a ledger " * 100)
    code, out, _ = cli("doctor", "--ledger", str(tmp_path / "notes"))
    assert code == 1
    assert "wrong" in out
    assert "file is not a database" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plan", "Hi", "--model", "depseek-v3.2"], "UnknownModelError: .*did you mean"),
        (["plan", "Hi", "--model", "deepseek-chat"], "RetiredModelError: .*use "),
        (["plan", "Hi", "--host", "nowhere"], "UnknownHostError: expected one of the hosts"),
        (["plan", "Hi", "--policy", "fugal"], "ConfigError: policy: expected a preset"),
        (["plan", "Hi", "--catalog", "/no/such.toml"], "CatalogError: /no/such.toml: "),
        (["plan", "Hi", "--model", PRESENT, "--budget", "nan"], "InvalidBudgetError: .*finite"),
        (["plan", "Hi", "--model", PRESENT, "--budget", "0"], "BudgetExceededError: "),
        (["plan", "Hi", "--model", PRESENT, "--max-tokens", "0"], "InvalidRequestError: max_tok"),
        (["chat", " "], "ConfigError: expected a prompt"),
        (["chat", "Hi", "--host", "deepinfra"], "MissingKeyError: .*set DEEPINFRA_API_KEY"),
        (["chat", "Hi", "--model", PRESENT], "MissingKeyError: .*set DEEPINFRA_API_KEY"),
        (["chat", "Never recorded"], "NoCandidateError: .*recorded_prompts"),
        (["report", "--by", "dya"], "InvalidRequestError: by: expected day"),
        (["report", "--tz", "Berlin"], "InvalidRequestError: tz: expected an IANA zone"),
        (["report", "--csv", "/no/such/x.csv"], "ConfigError: cannot write /no/such/x.csv"),
        (["catalog", "--catalog", "/no/such.toml"], "CatalogError: /no/such.toml: "),
    ],
)
def test_errors(cli, arguments, says):
    """What went wrong is said on standard error with the error's type; the exit code is 1."""
    code, _, err = cli(*arguments)
    assert code == 1
    assert "Traceback" not in err
    first = err.splitlines()[0]
    assert re.match(says, first), first


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["paln"],
        ["plan"],
        ["report", "--since", "yesterday"],
        ["catalog", "--at", "now"],
        ["plan", "Hi", "--max-tokens", "many"],
    ],
)
def test_a_wrong_command_line(cli, capsys, arguments):
    """A command line that makes no sense gives the usage and exit code 2."""
    with pytest.raises(SystemExit) as caught:
        cli(*arguments)
    assert caught.value.code == 2
    assert "usage: centroute" in capsys.readouterr().err


def test_python_dash_m(tmp_path):
    """`python -m router` is the same program; away from a terminal its output is plain text."""
    done = subprocess.run(
        [sys.executable, "-m", "router", "report"],
        env=os.environ | {"CENTROUTE_LEDGER": str(tmp_path / "l.sqlite3")},
        cwd=Path(router.__file__).parent.parent,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "total: 0.000000000000 USD" in done.stdout
    assert done.stdout.isascii()
