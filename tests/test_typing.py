"""The typed surface, as a type checker of a user sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_user_code_type_checks() -> None:
    """What is in `tests/typing` passes mypy --strict, and its wrong uses are found."""
    targets = sorted(map(str, (Path(__file__).parent / "typing").glob("*.py")))
    assert len(targets) == 2
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *targets],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
    )
    assert done.returncode == 0, done.stdout
