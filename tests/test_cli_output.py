"""What commands write to a terminal: names from requests and bills give it no commands."""

import json

import pytest

from router.cli.output import Output, printable

HOSTILE = "\x1b[2J\x9b31m\x07evil\r\u202etxt"


def test_commands_of_a_terminal_are_shown_as_text(capsys):
    """In a line tabs and ends of lines stay; what a terminal obeys or reads backwards does not."""
    Output().line(f"a\tb\n{HOSTILE}")
    assert capsys.readouterr().out == ("a\tb\n\\x1b[2J\\x9b31m\\x07evil\\r\\u202etxt\n")
    assert (
        printable("Größe 日本語 👩‍💻 \N{NO-BREAK SPACE}") == "Größe 日本語 👩‍💻 \N{NO-BREAK SPACE}"
    )
    assert printable("\ud800") == "\\ud800"


def test_a_cell_is_one_line(capsys):
    """A newline in a tag makes no second row, and two different tags stay different."""
    Output().table("Spend", ["team", "usd"], [["a\nb", 1], ["ab", 2], [HOSTILE, 3]])
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 6
    assert "a\\nb" in out
    assert "\x1b" not in out


def test_json_is_escaped_and_the_same(capsys):
    """What a terminal obeys is written as JSON writes it in ASCII, and read back unchanged."""
    data = {"team": HOSTILE, "odd\ud800": ["Größe", "a\nb"]}
    Output(as_json=True).data(data)
    out = capsys.readouterr().out
    assert json.loads(out) == data
    assert "Größe" in out
    assert out.encode("utf-8")
    assert not set("\x1b\x9b\r\u202e\ud800") & set(out)


def test_marks_of_rich_are_text(monkeypatch, capsys):
    """On a terminal, too: `[red]` in a tag is no colour, and `[/red]` no error."""
    console = pytest.importorskip("rich.console")
    out = Output()
    monkeypatch.setattr(out, "_console", console.Console(width=80, force_terminal=True))
    out.table("Spend", ["team"], [["[red]x[/blue]"], ["\x1b[2Jb"]])
    said = capsys.readouterr().out
    assert "[red]x[/blue]" in said
    assert "\\x1b[2Jb" in said
