"""A file's SHA-256 beside it, as `sha256sum -c` reads it: what was sent is what arrived."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from router._files import file_named, replacing
from router.errors import ConfigError

SUFFIX = ".sha256"
_BYTES = "surrogateescape"
"""Names are bytes to the system and may be no UTF-8: they are written and read as they are."""
_LINE = re.compile(r"(?P<mark>\\?)(?P<digest>[0-9a-fA-F]{64}) [ *](?P<name>[^\n]+)\n?")
_MARKS = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
"""What `sha256sum` writes for characters of a name that would end its line, and for their mark."""


def check_file(path: str | Path) -> Path:
    """The path, if a checksum can be written beside it: a pipe or a device has none.

    Raises:
        ConfigError: it is no regular file.
        InvalidRequestError: no path.
    """
    target = file_named(path)
    if target.exists() and not target.is_file():
        raise ConfigError(f"{target}: expected a file to write a checksum beside, this is none")
    return target


def write_checksum(path: Path) -> Path:
    """Write `path`'s digest to the file of that name and ".sha256"; returns the new path.

    Raises:
        ConfigError: one of them cannot be read or written.
    """
    beside = path.with_name(path.name + SUFFIX)
    with replacing(beside, errors=_BYTES) as file:
        mark, name = _marked(path.name)
        file.write(f"{mark}{_digest(path)}  {name}\n")
    return beside


def verify(path: str | Path) -> bool:
    """Whether a file is what its ".sha256" beside it says: False where a byte was changed.

    Raises:
        ConfigError: one of them cannot be read, or the side file is no such line.
        InvalidRequestError: no path.
    """
    target = file_named(path)
    beside = target.with_name(target.name + SUFFIX)
    try:
        found = _LINE.fullmatch(beside.read_bytes().decode("utf-8", _BYTES))
    except OSError as error:
        raise ConfigError(
            f"cannot read {beside}: {error}. It is written beside a report with checksum=True, or "
            "by --checksum."
        ) from error
    names = {("", target.name), _marked(target.name)}  # some tools leave a backslash as it is
    if found is None or (found["mark"], found["name"]) not in names:
        raise ConfigError(f"{beside}: expected one line, a SHA-256 and the name {target.name!r}")
    return _digest(target) == found["digest"].lower()


def _marked(name: str) -> tuple[str, str]:
    """The mark of a line, and the name in it: a backslash where the name has to be marked."""
    if not any(letter in name for letter in _MARKS):
        return "", name
    return "\\", "".join(_MARKS.get(letter, letter) for letter in name)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
