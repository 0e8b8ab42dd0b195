"""Policies in files: a small TOML file names one and its parameters."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from policies import _check
from policies.spec import from_spec
from policies.types import Policy

_PRESETS = Path(__file__).parent / "presets"


def presets() -> tuple[str, ...]:
    """Names of the policies that are shipped."""
    return tuple(sorted(path.stem for path in _PRESETS.glob("*.toml")))


def load_policy(source: str | Path) -> Policy:
    """The policy of a preset's name, or of a TOML file such as::

        policy = "utility"
        value_usd = "0.01"
        [[wrap]]            # optional, innermost first
        policy = "sparing"
        share = 0.05

    The keys are those of `to_spec`. A policy made of others has them under `of`: a table `[of]`,
    or for `first_of` tables `[[of]]`; `[[wrap]]` says the same from the inside out.

    Raises:
        ValueError: no such preset or file, not TOML, an unknown policy or parameter, or a value
            out of its range; the message names the file and the key.
    """
    path = _PRESETS / f"{source}.toml" if str(source) in presets() else Path(source)
    try:
        content = path.read_bytes()
    except (OSError, ValueError):  # ValueError: a path with a null byte
        raise _check.refusal(
            f"policy: expected a preset ({', '.join(presets())}), a TOML file or a callable; "
            f"got {str(source)!r}"
        ) from None
    try:
        table: dict[str, Any] = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _check.refusal(f"{path}: not TOML: {error}") from None
    try:
        return from_spec(_nested(table, ""))
    except ValueError as error:
        raise _check.refusal(f"{path}: {error}") from None


def _nested(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A table as a spec: `wrap` becomes policies around it, here and in the tables under `of`."""
    spec = {key: value for key, value in table.items() if key != "wrap"}
    of = spec.get("of")
    if isinstance(of, Mapping):
        spec["of"] = _nested(of, f"{where}of.")
    elif isinstance(of, list):
        spec["of"] = [
            _nested(item, f"{where}of[{i}].") if isinstance(item, Mapping) else item
            for i, item in enumerate(of)
        ]
    wraps = table.get("wrap", [])
    if not (isinstance(wraps, list) and all(isinstance(wrap, Mapping) for wrap in wraps)):
        raise _check.refusal(f"{where}wrap: expected tables [[wrap]], got {wraps!r}")
    for i, wrap in enumerate(wraps):
        if {"of", "wrap"} & wrap.keys():
            raise _check.refusal(
                f"{where}wrap[{i}]: expected neither of nor wrap, got {dict(wrap)!r}"
            )
        spec = {**wrap, "of": spec}
    return spec
