"""A directory that nobody else can look or write into: answers are kept there, and are private."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

from router.errors import ConfigError

_creating = threading.Lock()
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_SUFFIXES = ("", "-wal", "-shm", "-journal")
"""Of the database, and of the files that SQLite keeps beside it."""


def check_directory(path: Path, name: str) -> None:
    """Refuse a place that another user could have filled, or could look into; a missing one is
    fine, and so is one that `make_private` may close to others: nothing but the database `name`.

    Raises:
        ConfigError: no directory, another owner's, or (POSIX) writable by group or others, or
            open to them in any way while it holds other files.
    """
    if os.path.expandvars(path) != str(path) or "\0" in str(path):
        raise ConfigError(f"cache: expected a path without variables, got {str(path)!r}")
    try:
        link, found = path.lstat(), path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"cache {path}: cannot be looked at ({error.strerror})") from error
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"cache {path}: expected a directory, got a file; name another path")
    if not _is_ours(link) or not _is_ours(found):
        raise ConfigError(f"cache {path}: belongs to another user; name a directory of your own")
    if os.name == "posix" and found.st_mode & _OTHERS_WRITE:
        raise ConfigError(
            f"cache {path}: others can write into it, and so could plant answers; "
            f"chmod 700 it, or name a directory that does not exist yet"
        )
    if _is_open(found) and (other := _another(path, name)):
        raise ConfigError(
            f"cache {path}: others can look into it, and it holds files that are not the cache's "
            f"({other!r}); chmod 700 it, or name a directory that does not exist yet"
        )


def make_private(directory: Path, name: str) -> Path:
    """Make the directory and the database file `name` in it; the file's path.

    The directory gets mode 0700, the file 0600, also where they are there already.

    Raises:
        ConfigError: as `check_directory`; or the file, or one that SQLite keeps beside it, is a
            link or another owner's, so that opening it would write elsewhere.
        OSError: it cannot be made, or closed to others.
    """
    check_directory(directory, name)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_directory(directory, name)  # somebody else may have been quicker
    if _is_open(directory.stat()):
        directory.chmod(0o700)
    for suffix in _SUFFIXES:
        _check_file(directory / (name + suffix))
    path = directory / name
    with _creating:  # closing a file drops this process's SQLite locks on it: only a new one
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            path.chmod(0o600)
    return path


def _check_file(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1 or not _is_ours(found):
        raise ConfigError(
            f"cache {path}: expected a file of ours with no second name, got a link or another "
            "user's file; remove it"
        )


def _is_open(found: os.stat_result) -> bool:
    return os.name == "posix" and bool(found.st_mode & _OTHERS)


def _another(directory: Path, name: str) -> str | None:
    """A file in the directory that is not the cache's, if there is one."""
    ours = {name + suffix for suffix in _SUFFIXES}
    try:
        with os.scandir(directory) as entries:
            return next((entry.name for entry in entries if entry.name not in ours), None)
    except OSError as error:
        raise ConfigError(f"cache {directory}: cannot be read ({error.strerror})") from error


def _is_ours(found: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
