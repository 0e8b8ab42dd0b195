"""`centroute lint`: files and ledgers, as a table and as JSON, what it costs, how it exits."""

import io
import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from spending import HOLD, NOW

from benchmarks import _lint_make as make
from router import Catalog
from router.cli import main
from router.ledgers import Record, Reservation, Settlement
from router.ledgers._sqlite.rows import record_from, record_text
from router.ledgers.sqlite import SQLiteLedger
from router.prompts import causes
from router.types import Cost, Usage

MODEL = "deepseek-v3.2@deepinfra"
START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Runs a command in an empty directory; its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            code = main(list(arguments))
        except SystemExit as stopped:
            code = stopped.code
        return code, *capsys.readouterr()

    return run


def write(path, count=10, *, stamp=True, **more):
    """A log of a stamped application: a request every hour."""
    rng = random.Random(1)
    base, rows = make.chat(rng), []
    for n in range(count):
        talk = replace(base, turns=make.chat(rng).turns)
        at = START + timedelta(hours=n)
        messages = [dict(m) for m in talk.sent(1).messages]
        if stamp:
            messages[0]["content"] = f"Hello, it is {at.isoformat()}.\n{messages[0]['content']}"
        body = {"model": "deepseek-v3.2", "messages": messages, "tools": base.tools}
        rows.append({"at": at.isoformat(), "body": body} | more)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return rows


def test_a_file_as_json(cli, tmp_path):
    """Requests, tokens, oracles, and each loss with its dollars, at the rates' difference."""
    usage = {"usage": {"prompt_tokens": 1000, "completion_tokens": 1, "cached_tokens": 128}}
    write(tmp_path / "log.jsonl", response=usage)
    code, out, _ = cli("lint", "log.jsonl", "--model", MODEL, "--json")
    found = json.loads(out)
    assert code == 0
    [loss] = found["losses"]
    assert (loss["cause"], loss["requests"], loss["place"]) == (
        causes.TIMESTAMP, 9, "messages[0] (system)",
    )  # fmt: skip
    assert found["as_sent_tokens"] + loss["lost_tokens"] == found["restructured_tokens"]
    assert (found["reported_input_tokens"], found["reported_cache_read_tokens"]) == (10000, 1280)
    rates = Catalog.default().rates(MODEL, NOW)
    per_token = Decimal(rates.input - rates.cache_read).scaleb(-18)
    assert Decimal(loss["usd"]) == per_token * loss["lost_tokens"]
    month = Decimal(30 * 24) / 9
    assert Decimal(loss["usd_a_month"]) == pytest.approx(
        Decimal(loss["usd"]) * month, rel=Decimal("1e-5")
    )
    assert loss["fix"] == causes.FIXES[causes.TIMESTAMP]
    assert "Hello" not in out


def test_a_file_as_a_table(cli, tmp_path):
    """Cause, first token, tokens and dollars a month; the fix below, and no prompt."""
    write(tmp_path / "log.jsonl")
    code, out, _ = cli("lint", "log.jsonl", "--model", MODEL)
    assert code == 0
    assert "10 requests of 1 routes" in out
    assert "route 1  timestamp" in out
    assert f"timestamp: {causes.FIXES[causes.TIMESTAMP]}" in out
    assert "Hello" not in out
    _, shown, _ = cli("lint", "log.jsonl", "--model", MODEL, "--show")
    assert "Hello, it is 2026-11-01T00" in shown


def test_exit_codes(cli, tmp_path):
    """`--strict` fails where something is found, and only there."""
    write(tmp_path / "bad.jsonl")
    write(tmp_path / "good.jsonl", stamp=False)
    assert cli("lint", "bad.jsonl")[0] == 0
    assert cli("lint", "bad.jsonl", "--strict")[0] == 1
    assert cli("lint", "good.jsonl", "--strict")[0] == 0


def test_requests_a_month(cli, tmp_path):
    """Said by the user, it decides; twice as many cost twice as much."""
    write(tmp_path / "log.jsonl")
    costs = []
    for count in ("1000", "2000"):
        _, out, _ = cli("lint", "log.jsonl", "--model", MODEL, "--json", "--per-month", count)
        costs.append(Decimal(json.loads(out)["losses"][0]["usd_a_month"]))
    assert costs[1] == pytest.approx(2 * costs[0], rel=Decimal("1e-3"))
    assert cli("lint", "log.jsonl", "--per-month", "0")[0] == 2


def test_an_unknown_price_is_not_zero(cli, tmp_path):
    """Without a candidate that can be priced: tokens, and no dollars."""
    rows = write(tmp_path / "log.jsonl")
    for row in rows:
        row["body"]["model"] = "nobody-knows"
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    _, out, _ = cli("lint", "log.jsonl", "--json")
    [loss] = json.loads(out)["losses"]
    assert (loss["usd"], loss["usd_a_month"]) == (None, None)
    assert loss["lost_tokens"] > 0
    _, out, _ = cli("lint", "log.jsonl")
    assert "unknown" in out
    assert "--model" in out


def test_standard_input(cli, tmp_path, monkeypatch):
    """A dash reads from there."""
    write(tmp_path / "log.jsonl")
    monkeypatch.setattr("sys.stdin", io.StringIO((tmp_path / "log.jsonl").read_text("utf-8")))
    code, out, _ = cli("lint", "-")
    assert code == 0
    assert "10 requests" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "expected a file of requests, or --ledger"),
        (("log.jsonl", "--ledger", "x.sqlite3"), "one of them"),
        (("none.jsonl",), "cannot read none.jsonl"),
        (("empty.jsonl",), "empty.jsonl: expected requests"),
        (("binary.jsonl",), "expected text in UTF-8"),
        (("broken.jsonl",), "broken.jsonl:11: expected one JSON object a line"),
        (("log.jsonl", "--model", "nobody@nowhere"), "UnknownHostError"),
        (("--ledger", "none.sqlite3"), "expected the file of a ledger"),
    ],
)
def test_what_cannot_be_done(cli, tmp_path, arguments, said):
    """In one sentence, with the file and the line."""
    write(tmp_path / "log.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n\n")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "broken.jsonl").write_text((tmp_path / "log.jsonl").read_text() + '{"mess')
    code, _, err = cli("lint", *arguments)
    assert code == 1
    assert said in err
    assert "Traceback" not in err


def test_skipping_bad_lines(cli, tmp_path):
    """What is good is linted, what is not is named on standard error."""
    write(tmp_path / "log.jsonl")
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"secret": 1\n')
    code, out, err = cli("lint", "log.jsonl", "--skip-bad")
    assert code == 0
    assert "10 requests" in out
    assert "skipped: log.jsonl:11" in err
    assert "secret" not in err


@pytest.mark.parametrize(
    "line",
    [
        {"messages": ["my secret"]},
        {"messages": [{"role": "my secret", "content": "x"}]},
        {"messages": [{"role": ["my secret"], "content": "x"}]},
        {"messages": [{"role": "user", "content": {"my secret": "x"}}]},
        {"messages": "my secret"},
        {"my secret": 1},
        {"body": {"my secret": 1}},
        {"messages": [{"role": "user", "content": "x"}], "at": "my secret"},
        {"messages": [{"role": "user", "content": "x"}], "tools": "my secret"},
        {"messages": [{"role": "user", "content": "x"}], "tools": [{"my secret": 1}]},
    ],
)
def test_what_is_wrong_is_said_without_what_it_says(cli, tmp_path, line):
    """The place and the kind; the input itself may be anything, a prompt above all."""
    (tmp_path / "bad.jsonl").write_text(json.dumps(line))
    code, out, err = cli("lint", "bad.jsonl")
    assert "secret" not in out + err
    if code == 1:
        assert "1: " in err
        assert "expected" in err


def test_progress_where_somebody_looks(cli, tmp_path, monkeypatch):
    """On a terminal a line on standard error counts up; elsewhere nothing does."""
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    (tmp_path / "many.jsonl").write_text((json.dumps(body) + "\n") * 201)
    code, out, err = cli("lint", "many.jsonl", "--json")
    assert (code, err) == (0, "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    _, shown, err = cli("lint", "many.jsonl", "--json")
    assert err.startswith("\rlinted 20 of 201\rlinted 40 of 201")
    assert err.endswith("\rlinted 201 of 201\n")
    assert shown == out


def ledger_of(path, *records):
    """A ledger with one answered call for each (fields, input, cached, when)."""
    ledger = SQLiteLedger(path)
    for n, (fields, tokens, cached, at) in enumerate(records):
        known = {
            "request_id": f"r{n}", "candidate": MODEL, "model": "deepseek-v3.2", "mode": "chat",
            "host": "deepinfra", "policy": "cheapest", "rates_id": "x",
        }  # fmt: skip
        record = Record(**(known | fields))
        lease = at + timedelta(minutes=10)
        ledger.reserve(
            Reservation(
                id=f"r{n}/0", at=at, lease_until=lease, amount=1, holds=(HOLD,), record=record
            )
        )
        usage = Usage(input_tokens=tokens, cache_read_tokens=cached, output_tokens=1)
        ledger.settle(f"r{n}/0", Settlement(at=at, usage=usage, cost=Cost(pico=1, rates_id="x")))
    ledger.close()


def test_a_ledger(cli, tmp_path):
    """By route, model and host: expected, reported, and lost to which cause at which price."""
    lost = {"cache_lost_tokens": 640, "cache_lost_to": causes.TIMESTAMP}
    expected = {"forecast_cache_read_tokens": 512, "tags": {"route": "support"}}
    ledger_of(
        tmp_path / "spend.sqlite3",
        (expected | lost, 2000, 448, START),
        (expected | lost, 2000, 512, START + timedelta(days=15)),
        ({}, 500, 0, START),
        ({"model": "other", "cache_lost_tokens": 64, "cache_lost_to": "from later"}, 9, 0, START),
    )
    code, out, _ = cli("lint", "--ledger", "spend.sqlite3", "--json", "--strict")
    assert code == 1
    rows = {(row["route"], row["model"]): row for row in json.loads(out)["rows"]}
    row = rows["route=support", "deepseek-v3.2"]
    assert (row["requests"], row["input_tokens"]) == (2, 4000)
    assert (row["forecast_cache_read_tokens"], row["cache_read_tokens"]) == (1024, 960)
    [loss] = row["lost"]
    assert (loss["cause"], loss["requests"], loss["lost_tokens"]) == (causes.TIMESTAMP, 2, 1280)
    rates = Catalog.default().rates(MODEL, START)
    assert Decimal(loss["usd"]) == Decimal(1280 * (rates.input - rates.cache_read)).scaleb(-18)
    assert Decimal(loss["usd_a_month"]) == 2 * Decimal(loss["usd"])
    assert rows["", "deepseek-v3.2"]["lost"] == []
    [later] = rows["", "other"]["lost"]
    assert (later["usd"], later["fix"]) == (None, None)
    code, out, _ = cli("lint", "--ledger", "spend.sqlite3")
    assert code == 0
    assert f"timestamp: {causes.FIXES[causes.TIMESTAMP]}" in out
    _, out, _ = cli("lint", "--ledger", "spend.sqlite3", "--json", "--since", "2026-11-10")
    assert [row["requests"] for row in json.loads(out)["rows"]] == [1]


def test_a_ledger_without_losses(cli, tmp_path):
    """Nothing lost, nothing to fail for; an empty one is a table of nothing."""
    ledger_of(tmp_path / "spend.sqlite3", ({}, 500, 0, START))
    assert cli("lint", "--ledger", "spend.sqlite3", "--strict")[0] == 0
    later = ("--since", "2026-12-01", "--strict")
    code, out, _ = cli("lint", "--ledger", "spend.sqlite3", "--json", *later)
    assert (code, json.loads(out)["rows"]) == (0, [])
    code, out, _ = cli("lint", "--ledger", "spend.sqlite3", *later)
    assert (code, "no answered calls" in out) == (0, True)


def test_records_with_and_without_the_new_fields():
    """Rows of earlier versions read as nothing expected, nothing lost; defaults take no room."""
    record = Record(
        request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p",
        forecast_cache_read_tokens=64, cache_lost_tokens=128, cache_lost_to="date",
    )  # fmt: skip
    assert record_from(record_text(record)) == record
    plain = replace(record, forecast_cache_read_tokens=0, cache_lost_tokens=0, cache_lost_to="")
    assert record_from(record_text(plain)) == plain
    assert "cache" not in record_text(plain)
