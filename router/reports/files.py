"""Files that are written whole or not at all, so that a failure leaves the old one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from router.errors import ConfigError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """The name of a file that takes the place of `path` when the block ends well, else is gone.

    Raises:
        ConfigError: the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        yield part
        os.replace(part, path)  # noqa: PTH105 - Path.replace hides which file an error is about
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror}. Name a file in a directory that exists and "
            "can be written."
        ) from error
    finally:  # whatever went wrong, no half of it stays; after a success it is gone already
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
