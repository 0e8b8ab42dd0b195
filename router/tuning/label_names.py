"""What the names in an evaluation set stand for, in the catalogue of the client that plans it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Any

from router.errors import ConfigError, NoCandidateError, RetiredModelError, UnknownModelError


def check_client(client: Any) -> None:
    """Whether it plans without being awaited.

    Raises:
        ConfigError: it does not; what does instead.
    """
    plan = getattr(client, "plan", None)
    if callable(plan) and not iscoroutinefunction(plan):
        return
    kind = type(client).__name__
    raise ConfigError(
        f"client: expected a Client, got {kind}: planning sends nothing and keeps nothing, so "
        "Client(ledger=':memory:') with the same candidates, catalog and scorer does"
    )


def check_model(client: Any, messages: Sequence[Mapping[str, Any]], name: str, where: str) -> None:
    """Whether the client's catalogue has a model; `where` says which row names it.

    Raises:
        UnknownModelError, RetiredModelError: it does not.
    """
    try:
        client.plan(messages, model=[name])
    except RetiredModelError as error:
        raise RetiredModelError(
            f"{where}: {error}", retired_at=error.retired_at, successor=error.successor
        ) from None
    except UnknownModelError as error:
        raise UnknownModelError(f"{where}: {error}", did_you_mean=error.did_you_mean) from None
    except NoCandidateError:
        return


def stands_for(
    name: str, client: Any, at: Any, models: dict[str, frozenset[str]]
) -> frozenset[str]:
    """The candidates that a row's name stands for, recordings of the model included."""
    if name not in models:
        stands: set[str] = set()
        for words in (name, f"{name}@replay") if "@" not in name else (name,):
            try:
                stands.update(found.name for found in client.catalog.find(words, at=at))
            except UnknownModelError:
                continue
        models[name] = frozenset(stands)
    return models[name]
