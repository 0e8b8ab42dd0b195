"""The typed surface, as a type checker of a user sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_user_code_type_checks() -> None:
    """`tests/typing/api.py` passes mypy --strict, and its wrong uses are found."""
    target = Path(__file__).parent / "typing" / "api.py"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(target)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
    )
    assert done.returncode == 0, done.stdout
