"""What the disk itself can do: how long until 4 KiB are safe, overwritten or appended."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

_BLOCK = b"x" * 4096


def overwritten(directory: Path, seconds: float) -> list[float]:
    """Seconds of each fdatasync of a block that was there before, as in SQLite's log."""
    with _file(directory) as file:
        os.write(file.fileno(), _BLOCK)
        os.fsync(file.fileno())
        return _timed(lambda: _write(file.fileno(), 0), seconds)


def appended(directory: Path, seconds: float) -> list[float]:
    """Seconds of each fdatasync of a block at the end of a file that grows with it."""
    with _file(directory) as file:
        size = 0

        def append() -> None:
            nonlocal size
            _write(file.fileno(), size)
            size += len(_BLOCK)

        return _timed(append, seconds)


def _file(directory: Path):
    return (directory / "block").open("wb", buffering=0)


def _write(descriptor: int, offset: int) -> None:
    os.pwrite(descriptor, _BLOCK, offset)
    os.fdatasync(descriptor)


def _timed(write: Callable[[], None], seconds: float) -> list[float]:
    took = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        write()
        took.append(time.perf_counter() - began)
    return took
