"""What a client is given, checked and turned into what it works with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias, get_args
from zipfile import BadZipFile

from policies.types import Policy
from router._arguments import CatalogSource, ClientArguments
from router.budgets.scopes import is_tag
from router.catalog import Catalog
from router.constraints import LONGEST_TIMEOUT
from router.errors import ConfigError, InvalidParameterError
from router.ledgers.open import OnLedgerError, server_url
from router.responses import ResponseCache
from router.scoring import Scorer

Kind: TypeAlias = tuple[str, Callable[[Any], bool]]
"""What is expected, in words and as a test."""


def _none_or(expected: str, *kinds: type, method: str = "__none__") -> Kind:
    def fits(value: object) -> bool:
        made = hasattr(value, method) and not isinstance(value, type)
        return value is None or isinstance(value, kinds) or made

    return expected, fits


def _one_of(*values: object) -> Kind:
    *first, last = map(repr, values)
    return f"{', '.join(first)} or {last}", lambda v: v in values


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _seconds(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0 < value <= LONGEST_TIMEOUT  # type: ignore[operator]


_TEXTS = _none_or("a dict of texts by name", Mapping)
_NAMES: Kind = ("a name, or a list of names", lambda v: v is None or _are_names(v))
_FLAG: Kind = ("True or False", lambda v: isinstance(v, bool))
_KINDS: dict[str, Kind] = {
    "hosts": _NAMES,
    "candidates": _NAMES,
    "policy": (
        "a preset, a file or a callable",
        lambda v: v is None or isinstance(v, (str, Path)) or callable(v),
    ),
    "ledger": _none_or("a path, a URL or a ledger", str, Path, method="reserve"),
    "catalog": (
        "a file, a mapping or a catalogue",
        lambda v: not isinstance(v, (int, float, bytes)),
    ),
    "keys": _TEXTS,
    "base_urls": _TEXTS,
    "tags": _TEXTS,
    "environ": _TEXTS,
    "timeout": (f"seconds above 0, at most {LONGEST_TIMEOUT:,} (a day)", _seconds),
    "max_retries": ("a whole number from 0", _whole),
    "scorer": _none_or("a path, or an object with score", str, Path, method="score"),
    "unpriced": _one_of(None, "deny", "ceiling"),
    "strict_usage": _FLAG,
    "on_warning": _none_or("a function", method="__call__"),
    "on_ledger_error": _one_of(*get_args(OnLedgerError)),
    "cache": _none_or("a directory or a ResponseCache", str, Path, ResponseCache),
    "log_decisions": _FLAG,
    "now": ("a function that returns an aware instant", callable),
}
_ELSEWHERE = {
    "api_key": "keys are by host: keys={'deepinfra': '...'}",
    "base_url": "addresses are by host: base_urls={'vllm': 'http://...'}",
    "model": "create() takes it; candidates= is what model='auto' chooses from",
}


def check_known(client: str, settings: Iterable[str]) -> None:
    """Refuse a setting that there is not, as Python does, but with the one that was meant."""
    known = ClientArguments.__annotations__
    for name in settings:
        if name not in known:
            from difflib import get_close_matches

            near = get_close_matches(name, known, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"help({client}) lists its settings"
            raise TypeError(
                f"{client}() got an unexpected keyword argument {name!r}; "
                f"{_ELSEWHERE.get(name, meant)}"
            )


def check_kinds(settings: Mapping[str, Any]) -> None:
    """Refuse settings of a wrong kind at once, not at the first request."""
    for name in _KINDS.keys() & settings.keys():
        (expected, fits), value = _KINDS[name], settings[name]
        if not fits(value):
            # The repr of a ledger may show a password, that of a mapping a key.
            hidden = name == "ledger" or _KINDS[name] is _TEXTS
            got = type(value).__name__ if hidden else repr(value)
            raise ConfigError(f"{name}: expected {expected}, got {got}")
    for name in ("keys", "base_urls", "tags"):
        texts = (str, list, tuple) if name == "base_urls" else (str,)  # several are replicas
        for key, text in dict(settings.get(name) or {}).items():
            if not (isinstance(key, str) and isinstance(text, texts)):
                raise ConfigError(
                    f"{name}: expected a dict of texts by name, got {type(text).__name__} "
                    f"for {key!r}"
                )


def check_names(**settings: object) -> None:
    """Refuse what is not a list of tags' names; one text would be read letter by letter."""
    for setting, given in settings.items():
        if isinstance(given, (str, bytes)) or not (
            isinstance(given, Iterable) and all(is_tag(name) and name for name in given)
        ):
            raise ConfigError(f"{setting}: expected a list of names such as ['team']")


def check_verifier(verify: object) -> None:
    """Refuse a verifier that cannot be called with an answer."""
    expected = "a function of the answer"
    if not (verify is None or callable(verify)):
        raise ConfigError(f"verify: expected {expected}, got {verify!r}")
    if verify is not None:
        check_takes("verify", verify, 1, expected)


def check_takes(name: str, function: Callable[..., Any], arguments: int, expected: str) -> None:
    """Refuse a function that cannot be called with so many arguments by position."""
    try:
        inspect.signature(function).bind(*range(arguments))
    except TypeError:
        raise ConfigError(f"{name}: expected {expected}, got {function!r}") from None
    except ValueError:  # one that is written in C and does not say
        pass


def check_ledger(at: str | Path, setting: str) -> None:
    """Refuse what no ledger can be opened at; connects to nothing and makes nothing.

    Raises:
        ConfigError: as in `server_url`, or a directory.
    """
    file = server_url(at, setting) is None and "\0" not in str(at)
    if file and Path(at).expanduser().is_dir():
        raise ConfigError(f"{setting}: expected a file, {str(at)!r} is a directory")


def check_transport(transport: object, *, awaited: bool) -> None:
    """Refuse what is no transport, and one that is made for the other client.

    Raises:
        ConfigError: what was expected.
    """
    if transport is None:
        return
    methods = [getattr(transport, name, None) for name in ("send", "open", "close")]
    known = transport if isinstance(transport, type) else type(transport)
    kind = f"{known.__module__}.{known.__qualname__}"
    # A stub of somebody's tests may have only what they need.
    if known is transport or not any(map(callable, methods[:2])):
        raise ConfigError(
            "transport: expected an object with send, open and close, such as "
            f"router.testing.MockTransport(...), got {kind}{' (a class)' * (known is transport)}"
        )
    waits = any(map(inspect.iscoroutinefunction, methods))
    if waits and not awaited:
        raise ConfigError(f"transport: {kind} is to be awaited: pass it to AsyncClient")
    # A plain method of somebody else's may return what is awaited; none of ours does.
    ours = any(base.__module__.startswith("router.") for base in type(transport).__mro__)
    if awaited and ours and not waits:
        raise ConfigError(f"transport: {kind} cannot be awaited: pass it to Client")


def catalog_of(
    given: Catalog | CatalogSource | Sequence[CatalogSource] | None, engine: Any = None
) -> Catalog:
    """The catalogue that was handed in, or the shipped one, with engine and overlays."""
    shipped = given if isinstance(given, Catalog) else Catalog.default()
    if engine is not None:
        from router.transports.vllm.engine import engine_rows

        shipped = shipped.overlay(engine_rows(engine, shipped))
    if given is None or isinstance(given, Catalog):
        return shipped
    if isinstance(given, (str, Path, Mapping)):
        return shipped.overlay(given)
    return shipped.overlay(*given)


def names_of(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """One name or several, as several; None stays None."""
    return (given,) if isinstance(given, str) else None if given is None else tuple(given)


def instant_of(now: Callable[[], datetime]) -> datetime:
    """What the clock of a client says.

    Raises:
        ConfigError: no aware instant.
    """
    at: object = now()
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise ConfigError(
            "now: expected a function that returns an aware instant, such as "
            f"lambda: datetime.now(UTC); it returned {at!r}"
        )
    return at


def policy_of(given: Policy | str | Path | None) -> Policy:
    """The policy of a preset's name or of a file, "balanced" of None, or the one handed in.

    Raises:
        ConfigError: no such preset or file, a class, or a function of something else.
    """
    if isinstance(given, type):
        name = given.__name__
        raise ConfigError(f"policy: expected a policy, got the class {name}: call it, {name}(...)")
    if given is not None and not isinstance(given, (str, Path)):
        check_takes("policy", given, 2, "a function of quotes and context")
        return given
    from policies import load_policy

    try:
        return load_policy(given or "balanced")
    except ValueError as error:  # policies know nothing of our errors
        raise ConfigError(str(error)) from None


def loaded(at: str | Path | None) -> Scorer:
    """The scorer saved at this path; of no path the shipped one."""
    from classifiers.checks import refuse_as

    refuse_as(InvalidParameterError)  # what it is asked later on, it refuses with an error of ours
    if at is None:
        from classifiers.loading import load_default

        return load_default()
    from classifiers.loading import load_scorer

    try:
        return load_scorer(Path(at))
    except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
        raise ConfigError(f"scorer: cannot use {str(at)!r}: {error}") from error


def check_scorer(at: str | Path) -> None:
    """Refuse the path of a scorer where there is no file; what is in it is read later."""
    if "\0" in str(at) or not Path(at).is_file():
        raise ConfigError(f"scorer: cannot use {str(at)!r}: there is no such file")


def _are_names(given: object) -> bool:
    if isinstance(given, (str, bytes)):
        return isinstance(given, str)
    return isinstance(given, Iterable) and all(isinstance(name, str) for name in given)
