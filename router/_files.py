"""Files that are written whole or not at all, so that a failure leaves the old one."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from router.errors import ConfigError, InvalidRequestError

_LONGEST = 40
"""Letters of a name that its part keeps: names have an end, at 255 bytes on most systems."""


def file_named(path: object) -> Path:
    """A path as callers give it, `~` expanded.

    Raises:
        InvalidRequestError: no text and no path, or an empty one.
    """
    if not isinstance(path, (str, Path)) or not str(path) or path == Path() or "\0" in str(path):
        raise InvalidRequestError(f"path: expected the name of a file, got {path!r}", param="path")
    return Path(path).expanduser()


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """The name of a file that takes the place of `path` when the block ends well, else is gone.

    Links are followed, the mode of a file that is replaced stays, and many may write to one path:
    the last to end wins. What is no regular file (a pipe, a device) is written to as it is.

    Raises:
        ConfigError: the file cannot be written.
    """
    part = None
    try:
        target = Path(os.path.realpath(path))
        mode = _mode(path)
        if mode is not None and not stat.S_ISREG(mode):
            yield path
            return
        part = _made(target, mode)
        yield part
        os.replace(part, target)  # noqa: PTH105 - Path.replace hides which file an error is about
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror}. Name a file in a directory that exists and "
            "can be written."
        ) from error
    finally:  # whatever went wrong, no half of it stays; after a success it is gone already
        if part is not None:
            with suppress(OSError):
                part.unlink()


@contextmanager
def replacing(path: Path, *, errors: str = "strict", encoding: str = "utf-8") -> Iterator[TextIO]:
    """A text file, UTF-8 by default, that takes the place of `path`; see `whole`.

    Raises:
        ConfigError: the file cannot be written.
    """
    with (
        whole(path) as part,
        part.open("w", newline="", encoding=encoding, errors=errors) as file,
    ):
        yield file


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _made(target: Path, mode: int | None) -> Path:
    """A new, empty file beside `target` that nobody else has, which may be read by the same."""
    name = f".{target.name[:_LONGEST]}.{secrets.token_hex(8)}.part"
    part = target.with_name(name)
    # Not by `tempfile`, whose files are for their owner alone: the umask is to decide, as always.
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    if mode is not None:
        part.chmod(stat.S_IMODE(mode))
    return part
