"""Notebooks are kept clean, and `notebooks/execute.py` runs them as `make notebooks` does."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
BOOKS = sorted(FOLDER.glob("*.ipynb"))
EACH = pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


RUNNER = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("ipykernel", "nbclient", "nbformat")),
    reason="notebooks are run with nbclient and ipykernel",
)


def _run(*arguments: Path | str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`notebooks/execute.py` as `make notebooks` calls it."""
    command = [sys.executable, str(FOLDER / "execute.py"), *map(str, arguments)]
    own = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=own, check=False)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


def _write(path: Path, *sources: str) -> Path:
    cells = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"cell-{i}",
            "metadata": {},
            "outputs": [],
            "source": source,
        }
        for i, source in enumerate(sources)
    ]
    book = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(book), encoding="utf-8")
    return path


def test_there_are_six() -> None:
    """The six notebooks that README names are there, numbered in their order."""
    assert [path.stem[:3] for path in BOOKS] == [f"0{i}_" for i in range(1, 7)]


@EACH
def test_notebooks_hold_no_outputs(path: Path) -> None:
    """In git a notebook has no output, no count, and nothing of the machine that it ran on."""
    book = _read(path)
    assert (book["metadata"], book["nbformat"], book["nbformat_minor"]) == (METADATA, 4, 5)
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    for cell in book["cells"]:
        assert cell["metadata"] == {}
        assert "".join(cell["source"]).strip()
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
    assert not re.search(r"(?i)/home/|/root|/users/|sk-[a-z0-9]{8}", path.read_text("utf-8"))


@EACH
def test_notebooks_say_what_to_change(path: Path) -> None:
    """It opens with a title, marks the place for the reader's data, and ends with a figure."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in _read(path)["cells"]]
    kind, opening = cells[0]
    assert kind == "markdown"
    assert opening.startswith("# ")
    assert "No key, no network" in opening
    marked = [i for i, (kind, text) in enumerate(cells) if "**Your data here.**" in text]
    assert marked
    assert all(cells[i][0] == "markdown" and cells[i + 1][0] == "code" for i in marked)
    for i in marked:  # what to put there is code, which `execute.py` puts there and runs
        (code,) = re.findall(r"```python\n(.*?)\n```", cells[i][1], re.DOTALL)
        names = re.findall(r"^(\w+)(?:, \w+)* =", code, re.MULTILINE)
        assert set(names) <= set(re.findall(r"\w+", cells[i + 1][1]))
    kind, closing = cells[-1]
    assert kind == "code"
    assert "print(" in closing


@RUNNER
def test_the_runner_has_a_kernel_of_this_interpreter(tmp_path: Path) -> None:
    """A notebook runs in its own folder, by this Python, without the user's keys and ledger."""
    path = _write(
        tmp_path / "small.ipynb",
        "import os, pathlib, sys\npathlib.Path('kept.csv').write_text('a')",
        "assert not {'DEEPINFRA_API_KEY', 'VLLM_BASE_URL'} & os.environ.keys()",
        "assert not os.environ['CENTROUTE_LEDGER'].endswith('mine')",
        "print('first')\nprint(sys.executable)",
    )
    done = _run(
        path,
        "--keep",
        tmp_path / "kept",
        DEEPINFRA_API_KEY="secret",
        VLLM_BASE_URL="http://localhost:1",
        CENTROUTE_LEDGER=str(tmp_path / "mine"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        rf"small \(\d+\.\d s\): {re.escape(sys.executable)}\n  leaves kept.csv\n", done.stdout
    )
    assert (tmp_path / "kept" / "small" / "kept.csv").read_text("utf-8") == "a"
    assert _read(path)["cells"][1]["outputs"] == []


@RUNNER
def test_own_data_goes_where_the_text_says(tmp_path: Path) -> None:
    """With --own the code under "Your data here" is what runs, and a text without it is told."""
    path = _write(
        tmp_path / "own.ipynb", "rows = 2", "from pathlib import Path\nprint(rows, 'rows')"
    )
    book = _read(path)
    code = "rows = len(open('labels.csv').readlines())"
    book["cells"].insert(
        0,
        {
            "cell_type": "markdown",
            "id": "mark",
            "metadata": {},
            "source": f"**Your data here.** A file:\n\n```python\n{code}\n```",
        },
    )
    path.write_text(json.dumps(book), encoding="utf-8")
    done = _run(path, "--own")
    assert re.fullmatch(
        r"own, own data \(\d+\.\d s\): \d{2,} rows\n  leaves nothing\n", done.stdout
    )
    done = _run(_write(tmp_path / "bare.ipynb", "print('2 rows')"), "--own")
    assert done.returncode == 1
    assert "bare.ipynb: expected a cell that says **Your data here.**" in done.stderr
    book["cells"][0]["source"] = "**Your data here.** Leave out this cell."
    path.write_text(json.dumps(book), encoding="utf-8")
    assert "own.ipynb: expected one block of Python" in _run(path, "--own").stderr


@RUNNER
def test_a_cell_that_fails_ends_the_run(tmp_path: Path) -> None:
    """An error in a cell, or a notebook that prints nothing, is status 1 with its name and why."""
    done = _run(
        _write(tmp_path / "a_fails.ipynb", "print('before')", "1 / 0"),
        _write(tmp_path / "b_mute.ipynb", "1 + 1"),
        _write(tmp_path / "c_fine.ipynb", "open('x.txt', 'w').close()", "print('42 USD')"),
    )
    assert done.returncode == 1
    assert "a_fails.ipynb" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "b_mute.ipynb: expected a last cell that prints a figure" in done.stderr
    assert re.search(r"c_fine \(\d+\.\d s\): 42 USD\n  leaves x.txt", done.stdout)
    done = _run(tmp_path / "d_absent.ipynb")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no such notebook" in done.stderr
