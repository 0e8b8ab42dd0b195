"""Where a report's file goes: to a path, or to standard output as `-`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from router.errors import ConfigError

STDOUT = "-"


@contextmanager
def to_path(name: str) -> Iterator[Path]:
    """The path to write to; what is written for `-` is copied to standard output at the end.

    Raises:
        ConfigError: standard output was closed.
    """
    if name != STDOUT:
        yield Path(name)
        return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "report"
        yield path
        try:
            sys.stdout.buffer.write(path.read_bytes())
            sys.stdout.buffer.flush()
        except OSError as error:
            raise ConfigError(f"cannot write to standard output: {error.strerror}") from error
