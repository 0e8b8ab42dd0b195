"""Policies as data: a small TOML file names one and its parameters."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from policies.cheapest import cheapest
from policies.compose import sparing
from policies.threshold import threshold
from policies.types import Policy
from policies.utility import utility

_PRESETS = Path(__file__).parent / "presets"
_KNOWN: dict[str, Callable[..., Policy]] = {
    "cheapest": cheapest,
    "threshold": threshold,
    "utility": utility,
}


def presets() -> tuple[str, ...]:
    """Names of the policies that are shipped."""
    return tuple(sorted(path.stem for path in _PRESETS.glob("*.toml")))


def load_policy(source: str | Path) -> Policy:
    """The policy of a preset's name, or of a TOML file such as::

        policy = "utility"
        answer_value_usd = "0.01"
        sparing = 0.05    # optional: wraps it in `sparing`

    Raises:
        ValueError: no such preset or file, not TOML, an unknown policy or parameter.
    """
    path = _PRESETS / f"{source}.toml" if str(source) in presets() else Path(source)
    try:
        content = path.read_bytes()
    except OSError:
        raise ValueError(
            f"policy: expected a preset ({', '.join(presets())}), a TOML file or a callable; "
            f"got {str(source)!r}"
        ) from None
    try:
        parameters: dict[str, Any] = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not TOML: {error}") from None
    name, share = parameters.pop("policy", None), parameters.pop("sparing", None)
    if not isinstance(name, str) or name not in _KNOWN:
        raise ValueError(f"{path}: policy: expected one of {', '.join(_KNOWN)}; got {name!r}")
    try:
        policy = _KNOWN[name](**parameters)
        return policy if share is None else sparing(policy, share)
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
