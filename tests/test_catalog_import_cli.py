import json
from decimal import Decimal

import pytest
from price_lists import DAY, LITELLM, MODULE, NOW, PRICES, SHIPPED, entry, usd

from router.cli import main


@pytest.fixture
def cli(capsys):
    def run(*arguments):
        code = main(["catalog", "import", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


def test_the_command(cli, tmp_path):
    """It writes an overlay that loads, and says what changed, what was skipped and why."""
    data = {
        **LITELLM,
        "deepinfra/deepseek-ai/DeepSeek-V3.2": entry(input_cost_per_token=5.2e-7),
    }
    path, out = tmp_path / "prices.json", tmp_path / "overlay.toml"
    path.write_text(json.dumps(data))
    options = ("--version", "1.109.1", "--checked", DAY, "--out", out)
    code, shown, _ = cli("litellm", path, *options)
    assert code == 0
    assert "deepseek-v3.2@deepinfra" in shown
    assert "100.0" in shown
    assert "retired" in shown
    assert "litellm 1.109.1, read on 2026-11-22" in out.read_text()
    merged = SHIPPED.overlay(out)
    assert usd(merged.rates("deepseek-v3.2@deepinfra", NOW).input) == Decimal("0.52")
    code, shown, _ = cli("litellm", path, *options, "--catalog", out, "--json")
    again = json.loads(shown)
    assert code == 1
    assert again["priced"] == 0
    assert again["changed"] == []
    assert again["skipped"].keys() == data.keys()


def test_the_command_without_a_version(cli, tmp_path):
    """A file names no version: its digest stands in for one."""
    code, shown, _ = cli("genai-prices", PRICES / "genai_prices.json", "--only", "sonar", "--json")
    assert code == 0
    assert json.loads(shown)["version"].startswith("sha256 ")
    module = tmp_path / "data.py"
    module.write_text(MODULE)
    assert json.loads(cli("genai-prices", module, "--json")[1])["priced"] == 1


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (None, "cannot read"),
        ("{", "expected a price list in JSON"),
        ("3", "expected a price list"),
    ],
)
def test_files_that_are_no_list(cli, tmp_path, text, error):
    """One sentence says what was expected of which file."""
    path = tmp_path / "x.json"
    if text is not None:
        path.write_text(text)
    code, _, shown = cli("litellm", path)
    assert code == 1
    assert error in shown
    assert str(path) in shown


def test_no_file_and_no_package(cli, monkeypatch):
    """Without a file the installed package is looked for."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    code, _, shown = cli("genai-prices")
    assert code == 1
    assert "expected the FILE of a price list: genai_prices is not installed here" in shown


def test_an_import_of_nothing_leaves_the_file(cli, tmp_path):
    """Where nothing was priced the overlay of yesterday stays, byte for byte; exit code 1."""
    path, out = tmp_path / "prices.json", tmp_path / "overlay.toml"
    path.write_text(json.dumps(LITELLM))
    out.write_text("# mine\n")
    code, shown, error = cli("litellm", path, "--only", "no such key", "--out", out)
    assert code == 1
    assert "0 endpoints priced" in shown
    assert error == f"not written: nothing was priced; {out} is as it was\n"
    assert out.read_text() == "# mine\n"
    code, shown, _ = cli("litellm", path, "--only", "no such key", "--out", out, "--json")
    assert code == 1
    assert json.loads(shown)["written"] is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["overlay.toml", "prices.json"]
    assert cli("litellm", path, "--only", "no such key")[0] == 0  # nothing was to be written


def test_an_overlay_is_written_whole_or_not_at_all(cli, tmp_path, monkeypatch):
    """When writing fails half way the old overlay stays, and no half of a new one."""
    path, out = tmp_path / "prices.json", tmp_path / "overlay.toml"
    path.write_text(json.dumps({"deepinfra/deepseek-ai/DeepSeek-V3.2": entry()}))
    out.write_text("# mine\n")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    code, _, error = cli("litellm", path, "--out", out)
    assert code == 1
    assert f"cannot write {out}: No space left on device" in error
    assert out.read_text() == "# mine\n"
    monkeypatch.undo()
    code, shown, _ = cli("litellm", path, "--out", out)
    assert code == 0
    assert f"written: {out}" in shown
    assert "# mine" not in out.read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["overlay.toml", "prices.json"]
    code, _, error = cli("litellm", path, "--out", tmp_path / "missing" / "x.toml")
    assert code == 1
    assert "cannot write" in error
