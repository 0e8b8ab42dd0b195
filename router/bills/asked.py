"""What is asked of a bill, checked before anything is read: types, days, hosts and models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from router.bills.figures import YEARS
from router.catalog import Catalog
from router.catalog.names import nearest
from router.errors import ConfigError, InvalidRequestError, UnknownHostError, UnknownModelError


def paths_of(files: Iterable[Any]) -> list[Path]:
    """The files of a bill as paths, `~` expanded.

    Raises:
        ConfigError: one that is no path.
    """
    found = []
    for file in files:
        if not isinstance(file, (str, Path)):
            raise ConfigError(f"expected the path of an invoice, got {type(file).__name__}")
        try:
            found.append(Path(file).expanduser())
        except RuntimeError as error:  # "~" of nobody
            raise ConfigError(f"cannot read {file}: {error}") from None
    return found


def check_reading(texts: Mapping[str, Any], tables: Mapping[str, Any]) -> None:
    """Settings of reading by their names: those that are texts, and those that are mappings.

    Raises:
        ConfigError: one of another type.
    """
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"{name}: expected a text, got {type(value).__name__}")
    for name, value in tables.items():
        if value is None:
            continue
        if not isinstance(value, Mapping):
            raise ConfigError(f"{name}: expected a mapping, got {type(value).__name__}")
        for key, worth in value.items():
            amount = name == "exchange" and isinstance(worth, (Decimal, int))
            if not isinstance(key, str) or not (isinstance(worth, str) or amount):
                raise ConfigError(f"{name}: expected texts, got {key!a:.40}: {worth!a:.40}")


def check_request(catalog: Any, host: Any, models: Any, since: Any, until: Any, at: Any) -> None:
    """Arguments of `reconcile` by their types.

    Raises:
        InvalidRequestError: one that is of another, or days far from now.
    """
    if catalog is not None and not isinstance(catalog, Catalog):
        raise _wrong("catalog", "a Catalog, such as Catalog.default().overlay(path)", catalog)
    if host is not None and not isinstance(host, str):
        raise _wrong("host", "the name of a host, such as 'deepinfra'", host)
    if models is not None and not isinstance(models, Mapping):
        raise _wrong("models", "a mapping such as {'gpt x': 'gpt-5'}", models)
    for word, name in (models or {}).items():
        if not (isinstance(word, str) and isinstance(name, str)):
            raise _wrong("models", "texts", word if isinstance(name, str) else name)
    for param, day in (("since", since), ("until", until)):
        if day is not None and (isinstance(day, datetime) or not isinstance(day, date)):
            raise _wrong(param, "a day of the bill, such as date(2026, 11, 1)", day)
        if day is not None:
            check_days(param, (day,))
    if since is not None and until is not None and since >= until:
        raise InvalidRequestError(
            f"since, until: expected a span of days, got {since} to {until}", param="since"
        )
    if at is not None and not isinstance(at, datetime):
        raise _wrong("at", "an aware datetime", at)


def check_days(name: str, days: Iterable[date]) -> None:
    """Refuse days so far away that a day more would be none.

    Raises:
        InvalidRequestError: a year that is not of 2000 to 2999.
    """
    for day in days:
        if day.year not in YEARS:
            raise InvalidRequestError(
                f"{name}: expected days of the years 2000 to 2999, got {day}", param=name
            )


def check_host(host: str, catalog: Catalog, called: Iterable[str]) -> None:
    """Refuse a host that neither the catalogue nor the ledger knows: its bill would be all wrong.

    Raises:
        UnknownHostError: with the hosts that are known.
    """
    mine = sorted({*called})
    if host in mine or host in catalog.hosts or any(e.host == host for e in catalog.endpoints):
        return
    hosts = sorted(catalog.hosts)
    near = nearest(host, (*mine, *hosts))
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    theirs = f" the ledger's ({', '.join(mine)}) or" if mine else ""
    raise UnknownHostError(
        f"host: expected one of{theirs} the catalogue's hosts ({', '.join(hosts)}); "
        f"got {host[:80]!a}{hint}"
    )


def check_models(
    models: Mapping[str, str] | None, host: str, catalog: Catalog, called: Iterable[str]
) -> None:
    """Refuse words that are said to mean what the host neither serves nor was called for.

    Raises:
        UnknownModelError: with the models of this host that are nearest.
    """
    known = {e.name for e in catalog.endpoints if e.host == host}
    known |= {name for name in called if name.endswith(f"@{host}")}
    for word, name in (models or {}).items():
        if (name if "@" in name else f"{name}@{host}") in known:
            continue
        near = nearest(name, sorted(known | {each.rpartition("@")[0] for each in known}))
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UnknownModelError(
            f"models: {word[:80]!a}: expected a model that {host} serves by the catalogue or the "
            f"ledger, without its mode; got {name[:80]!a}{hint}",
            did_you_mean=near,
        )


def amount_of(name: str, value: Any) -> Decimal:
    """A number that somebody set, as a Decimal.

    Raises:
        InvalidRequestError: no number, a float, or one below zero.
    """
    try:
        found = None if isinstance(value, (float, bool)) else Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        found = None
    if found is None or not found.is_finite() or found < 0:
        raise InvalidRequestError(
            f"{name}: expected a Decimal or text such as '0.005', not below zero; got "
            f"{value!a:.40}",
            param=name,
        )
    return found


def _wrong(name: str, expected: str, got: Any) -> InvalidRequestError:
    return InvalidRequestError(
        f"{name}: expected {expected}; got {type(got).__name__}", param=name
    )
