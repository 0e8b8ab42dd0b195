"""What a user may call a candidate, read in every sensible way.

"deepseek-v3.2", "deepseek-v3.2:thinking", "deepseek-v3.2@deepinfra", "deepinfra/deepseek-v3.2",
or the id on the wire, "deepseek-ai/DeepSeek-V3.2". Upper and lower case do not matter. All
readings count together: a router that calls a model "deepseek/x" is found beside host "deepseek".
Only "@" binds a name to one host.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a name: a model name, alias or wire id, with mode and host if named."""

    base: str
    mode: str | None
    host: str | None


def readings(name: str, hosts: Collection[str]) -> Iterator[Reading]:
    """The ways to read `name`, those that name a host first. It counts only if it is known."""
    text = name.strip().lower()
    base, at, host = text.rpartition("@")
    if at and host in hosts:
        yield _with_mode(base, host)
    host, slash, base = text.partition("/")
    if slash and host in hosts:
        yield _with_mode(base, host)
    yield _with_mode(text, None)


def _with_mode(text: str, host: str | None) -> Reading:
    base, colon, mode = text.rpartition(":")
    if colon and mode in {"thinking", "chat"}:
        return Reading(base, mode, host)
    return Reading(text, None, host)


def unknown_host(name: str, hosts: Collection[str]) -> str | None:
    """The host part of `model@host` if there is one and no such host is known."""
    base, at, host = name.strip().lower().rpartition("@")
    return host if at and base and host not in hosts else None


def nearest(name: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """Up to `count` known names that look like `name`, the nearest first."""
    by_lower = {item.lower(): item for item in known}
    close = difflib.get_close_matches(name.strip().lower(), by_lower, n=count, cutoff=0.55)
    return tuple(by_lower[item] for item in close)
