"""What one passes first: a preset's name or a file as a policy, a path as traffic."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from policies import load_policy, presets
from policies.types import Policy
from router.errors import ConfigError
from router.tuning.load import load
from router.tuning.logged import Logged
from router.tuning.traffic import Traffic

PolicyLike: TypeAlias = Policy | str | Path
"""A policy, the name of a preset, or the path of a TOML file."""
TrafficLike: TypeAlias = Traffic | Sequence[Logged] | str | Path
"""Traffic, or what `load` takes without settings: a path, a ledger, a client, a table."""


def policy_of(given: object, where: str = "policy") -> Policy:
    """The policy that is meant; `where` names the argument in an error.

    Raises:
        ConfigError: no such preset or file, or it is no policy; a class is to be called first.
    """
    if isinstance(given, str | Path):
        try:
            return load_policy(given)
        except ValueError as error:  # policies know nothing of our errors
            raise ConfigError(_placed(str(error), where)) from None
    if isinstance(given, type):
        name = given.__name__
        raise ConfigError(
            f"{where}: expected a policy, got the class {name}: call it, {name}(...), or make a "
            f"family of it for sweep, frontier and choose: tuning.family({name})"
        )
    if not callable(given):
        raise ConfigError(
            f"{where}: expected a policy such as utility('0.01'), a preset "
            f"({', '.join(presets())}) or the path of a TOML file, got {given!r}"
        )
    if not takes_two(given):
        name = getattr(given, "__name__", repr(given))
        raise ConfigError(
            f"{where}: expected a policy, a function of quotes and context that gives a Decision; "
            f"{name} does not take two arguments"
        )
    return given


def traffic_of(given: Any) -> Traffic:
    """The traffic that is meant, read with `load` where it is none yet.

    Raises:
        ConfigError: as `load`; says what was expected.
    """
    if isinstance(given, Traffic):
        return given
    if isinstance(given, list | tuple) and given and all(isinstance(r, Logged) for r in given):
        return Traffic(given)
    return load(given)


def _placed(text: str, where: str) -> str:
    return f"{where}: {text.removeprefix('policy: ')}"


def takes_two(given: Any) -> bool:
    """Whether it can be called as a policy is: with quotes and a context."""
    try:
        inspect.signature(given).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # of C, without a signature
        return True
    return True
