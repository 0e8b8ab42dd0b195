"""What a client is given, checked and turned into what it works with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from router._arguments import CatalogSource
from router.budgets.scopes import is_tag
from router.catalog import Catalog
from router.errors import ConfigError
from router.scoring import Scorer


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


def check_kinds(policy: object, ledger: object, catalog: object, *mappings: object) -> None:
    """Refuse settings of a wrong kind at once, not at the first request."""
    if not (policy is None or isinstance(policy, (str, Path)) or callable(policy)):
        raise ConfigError(f"policy: expected a preset, a file or a callable, got {policy!r}")
    if not (ledger is None or isinstance(ledger, (str, Path)) or hasattr(ledger, "reserve")):
        kind = type(ledger).__name__  # its repr may show a password
        raise ConfigError(f"ledger: expected a path, a URL or a ledger, got {kind}")
    if isinstance(catalog, (int, float, bytes)):
        raise ConfigError(f"catalog: expected a file, a mapping or a catalogue, got {catalog!r}")
    for name, mapping in zip(("keys", "base_urls", "tags"), mappings, strict=True):
        if mapping is None:
            continue
        texts = (str,) if name != "base_urls" else (str, list, tuple)  # several are replicas
        if not isinstance(mapping, Mapping) or not all(
            isinstance(k, str) and isinstance(v, texts) for k, v in mapping.items()
        ):
            raise ConfigError(f"{name}: expected a dict of texts by name")


def check_names(**settings: object) -> None:
    """Refuse what is not a list of tags' names; one text would be read letter by letter."""
    for setting, given in settings.items():
        if isinstance(given, (str, bytes)) or not (
            isinstance(given, Iterable) and all(is_tag(name) and name for name in given)
        ):
            raise ConfigError(f"{setting}: expected a list of names such as ['team']")


def names_of(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """One name or several, as several; None stays None."""
    return (given,) if isinstance(given, str) else None if given is None else tuple(given)


def check_verifier(verify: object) -> None:
    """Refuse a verifier that cannot be called."""
    if not (verify is None or callable(verify)):
        raise ConfigError(f"verify: expected a function of the answer, got {verify!r}")


def loaded(at: str | Path | None) -> Scorer:
    """The scorer saved at this path; of no path the shipped one."""
    if at is None:
        from classifiers.runtime import load_default

        return load_default()
    from classifiers.runtime import load_scorer

    try:
        return load_scorer(Path(at))
    except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
        raise ConfigError(f"scorer: cannot use {str(at)!r}: {error}") from error
