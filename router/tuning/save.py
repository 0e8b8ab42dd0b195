"""A policy into a TOML file that `router.load_policy` and `Client(policy=path)` read back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unicodedata import category

from policies.load import load_policy
from policies.spec import from_spec, to_spec
from policies.types import Policy
from router._files import file_named, whole
from router.catalog.imports.toml import toml_key, toml_text
from router.errors import ConfigError


def save_policy(policy: Policy, path: str | Path, *, head: str = "") -> Path:
    """Write a policy as TOML, under `head` as a comment; whatever was at `path` is replaced.

    The file is read back before it takes that place: whatever goes wrong, the old one is there.

    Raises:
        ConfigError: the policy is, or holds, a callable of your own: a file cannot hold it; or
            the file cannot be written.
    """
    text = policy_text(policy, head=head)
    found = file_named(path)
    try:
        with whole(found) as part:
            part.write_text(text, encoding="utf-8", newline="\n")
            if part.is_file() and load_policy(part) != from_spec(to_spec(policy)):
                raise ConfigError(f"it would not hold {policy!r}")
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"policy file {str(path)!r}: {error}") from None
    return found


def policy_text(policy: Policy, *, head: str = "") -> str:
    """The text of such a file. Wrappers stand around their policy as [[wrap]], innermost first.

    Raises:
        ConfigError: as in `save_policy`.
    """
    try:
        spec = to_spec(policy)
    except ValueError as error:
        raise ConfigError(f"{error}; a file holds policies of router, not functions") from None
    lines = [f"# {_line(line)}".rstrip() for line in head.splitlines()]
    return "\n".join([*lines, *_table(spec, "")]) + "\n"


def _line(text: str) -> str:
    """A line without what a TOML comment cannot hold: control characters, halves of pairs."""
    return "".join("\ufffd" if category(c) in {"Cc", "Cs"} and c != "\t" else c for c in text)


def _table(spec: Mapping[str, Any], prefix: str) -> list[str]:
    """The lines of one policy: its own keys, the policies that it chooses from, its wrappers."""
    wraps: list[Mapping[str, Any]] = []
    while isinstance(inner := spec.get("of"), Mapping):
        wraps.append(spec)
        spec = inner
    lines = _keys(spec)
    for each in spec.get("of", ()):
        lines += [f"[[{prefix}of]]", *_table(each, f"{prefix}of.")]
    for wrap in reversed(wraps):
        lines += [f"[[{prefix}wrap]]", *_keys(wrap)]
    return lines


def _keys(spec: Mapping[str, Any]) -> list[str]:
    # None is the default wherever it is allowed; TOML has no word for it.
    return [
        f"{toml_key(key)} = {_value(value)}"
        for key, value in spec.items()
        if key != "of" and value is not None
    ]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return toml_text(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        inner = ", ".join(
            f"{toml_key(key)} = {_value(v)}" for key, v in value.items() if v is not None
        )
        return f"{{ {inner} }}" if inner else "{}"
    return f"[{', '.join(map(_value, value))}]"
