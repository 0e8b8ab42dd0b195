"""Files that are written whole or not at all, so that a failure leaves the old one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from router.errors import ConfigError


@contextmanager
def replacing(path: Path, *, errors: str = "strict") -> Iterator[TextIO]:
    """A UTF-8 file that takes the place of `path` when the block ends well, and is gone else.

    Raises:
        ConfigError: the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", newline="", encoding="utf-8", errors=errors) as file:
            yield file
        os.replace(part, path)  # noqa: PTH105 - Path.replace hides which file an error is about
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror}. Name a file in a directory that exists and "
            "can be written."
        ) from error
    finally:  # whatever went wrong, no half of it stays; after a success it is gone already
        with suppress(OSError):
            part.unlink()
