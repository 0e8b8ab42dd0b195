"""`python -m router selfhost`: tables and JSON, one's own fleet from a file, wrong arguments."""

import json

import pytest

from router.cli import main


def asked(capsys, *arguments):
    assert main(["selfhost", *arguments]) == 0
    return capsys.readouterr().out


def test_scenarios_by_default(capsys):
    """DeepSeek-V3.2: published fleets, the hosts that sell it, memory, and what articles quote."""
    text = asked(capsys)
    for part in (
        "one node",
        "at scale",
        "deepseek-v3.2@deepinfra",
        "never",
        "805 GB",
        "50,000,000",
    ):
        assert part in text
    assert "deepseek-v3.2-speciale@azure" in asked(capsys, "deepseek-v3.2-speciale")


def test_as_json(capsys):
    """The same figures, exact, for programs."""
    found = json.loads(asked(capsys, "--json", "--per-month", "1000000", "--mix", "200/0/100"))
    node = found["fleets"][0]
    assert node["fleet"] == "one node"
    assert [p["busy_at_most"] for p in node["per_month"]] == [30, 45, 60]
    (plan,) = [p for p in node["per_month"] if p["busy_at_most"] == 45]
    assert plan["usd"] == "20440.000000000000"  # 8 x 3.50 x 730
    assert plan["hosts_usd"]["deepseek-v3.2@deepinfra"] == "90.000000000000"
    cheapest = node["hosts"][0]
    assert cheapest["requests_a_month"] is None
    assert cheapest["utilisation_needed"] > 1
    assert found["quoted"][0]["selfhosted_usd"] == "200.000000000000"


def test_a_fleet_of_ones_own(capsys, tmp_path):
    """A [[fleet]] row in a file stands in for the scenarios."""
    file = tmp_path / "mine.toml"
    file.write_text(
        '[[fleet]]\nendpoint = "deepseek-v3.2@vllm"\ngpus = 8\nusd_per_gpu_hour = "0.10"\n'
        "utilisation = 45\ncurve = [{ input = 4725, output = 4243 }]\n"
        'source = "mine"\nchecked = 2026-11-22\n',
        "utf-8",
    )
    found = json.loads(asked(capsys, "deepseek-v3.2", "--fleet", str(file), "--json"))
    assert [fleet["fleet"] for fleet in found["fleets"]] == ["deepseek-v3.2@vllm"]
    assert found["fleets"][0]["hosts"][0]["requests_a_month"] > 0
    both = json.loads(asked(capsys, "--fleet", str(file), "--json"))
    assert len(both["fleets"]) == 2  # the shipped Mixtral's, too


def test_against_another_endpoint(capsys):
    """A baseline that is named counts as a host."""
    text = asked(
        capsys,
        "mixtral-8x7b-instruct-v0.1",
        "--per-month",
        "10000000",
        "--against",
        "gpt-4-turbo@openai",
    )
    assert "gpt-4-turbo@openai" in text
    assert "own" in text.split()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nobody"], "expected a model with a [[fleet]] row (deepseek-v3.2,"),
        (["--mix", "3"], "--mix: expected IN/CACHED/OUT"),
        (["--mix", "1/2/3"], "mix: expected input tokens"),
        (["--per-month", "0"], "at least 1 request"),
        (["--against", "nobody@nowhere"], "UnknownHostError"),
        (["--fleet", "/nowhere.toml"], "expected a readable TOML file"),
    ],
)
def test_wrong_arguments(arguments, says, capsys):
    """One line on standard error, status 1."""
    assert main(["selfhost", *arguments]) == 1
    assert says in capsys.readouterr().err
