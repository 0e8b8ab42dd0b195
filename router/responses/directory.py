"""A directory that nobody else can write into: answers are kept there, and they are private."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

from router.errors import ConfigError

_creating = threading.Lock()
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def check_directory(path: Path) -> None:
    """Refuse a place that another user could have filled, or could fill; a missing one is fine.

    Raises:
        ConfigError: no directory, another owner's, or writable by group or others (POSIX).
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


def make_private(directory: Path, name: str) -> Path:
    """Make the directory (0700) and the database file `name` in it (0600); the file's path.

    Raises:
        ConfigError: as `check_directory`; or the file, or one that SQLite keeps beside it, is a
            link or another owner's, so that opening it would write elsewhere.
        OSError: it cannot be made.
    """
    check_directory(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_directory(directory)  # somebody else may have been quicker
    for suffix in ("", "-wal", "-shm", "-journal"):
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


def _is_ours(found: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
