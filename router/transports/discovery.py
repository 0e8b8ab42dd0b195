"""Which models a self-hosted host really serves: `GET /models` of each replica, once a client."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from router.catalog.candidate import SELF_HOSTED
from router.transports.access import Access, shown

if TYPE_CHECKING:
    from router.catalog import Catalog
    from router.catalog.schema import Host

__all__ = ["SELF_HOSTED", "Served", "ask", "overlay_for", "read_models"]

_SECONDS = 5.0
_CONTEXT = 8192
"""Context assumed for a model whose server does not tell (Ollama, llama.cpp)."""


_AT_ONCE = 16
"""Replicas that are asked at the same time."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a host answered: model ids with their context in tokens, or why it did not.

    Of several replicas the models are those of all that live, each with the least context, and
    `replicas` has what each of them answered, by its base URL.
    """

    models: Mapping[str, int]
    problem: str = ""
    replicas: Mapping[str, Served] = field(default_factory=dict)


def ask(name: str, host: Host, access: Access) -> Served:
    """Ask the replicas of a self-hosted host which models they serve.

    As long as one of them answers, those that do not are no problem.

    Raises:
        ConfigError: its API key cannot be one.
    """
    urls, key = access.base_urls_of(name, host), access.key(name, host)
    if len(urls) == 1:
        return replace(found := _ask(urls[0], key), replicas={urls[0]: found})
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        found_of = dict(zip(urls, threads.map(lambda url: _ask(url, key), urls), strict=True))
    return _together(found_of)


def _ask(url: str, key: str | None) -> Served:
    import httpx

    try:
        response = httpx.get(
            f"{url}/models",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=_SECONDS,
        )
        response.raise_for_status()
        return Served(read_models(response.json()))
    except httpx.HTTPStatusError as error:
        return Served({}, f"{shown(url)}/models answers HTTP {error.response.status_code}")
    except httpx.UnsupportedProtocol:
        return Served({}, f"{shown(url)} has no http:// or https:// before it")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Served({}, f"{shown(url)} does not answer ({type(error).__name__})")
    except (ValueError, LookupError, TypeError, AttributeError):
        return Served({}, f"{shown(url)}/models does not answer with a list of models")


def _together(replicas: Mapping[str, Served]) -> Served:
    models: dict[str, int] = {}
    for served in replicas.values():
        for model, context in served.models.items():
            models[model] = min(context, models.get(model, context))
    problems = [served.problem for served in replicas.values()]
    return Served(models, "; ".join(problems) if all(problems) else "", replicas)


def read_models(body: Any) -> dict[str, int]:
    """Model ids and contexts in an OpenAI-shaped list of models (vLLM adds `max_model_len`)."""
    return {
        str(row["id"]): int(row.get("max_model_len") or _CONTEXT) for row in body.get("data") or ()
    }


def overlay_for(host: str, models: Mapping[str, int], catalog: Catalog) -> dict[str, Any]:
    """Catalogue rows for models that a server serves under an id the catalogue does not list.

    A model that the catalogue knows by name (served from a local directory, say) keeps what the
    catalogue says of it.
    """
    listed = {e.model_id: e for e in catalog.endpoints if e.host == host}
    by_name = {e.model: e for e in listed.values()}
    taken = {e.model for model_id, e in listed.items() if model_id in models}
    rows: dict[str, Any] = {"model": [], "endpoint": []}
    for model_id, context in models.items():
        if model_id in listed:
            continue
        name = _name(model_id, taken)
        taken.add(name)
        where = {"source": f"GET /models of {host}"}
        row: dict[str, Any] = {
            "model": name,
            "host": host,
            "unpriced": "depends on your GPUs and load; a [[rate]] row in an overlay gives it one",
        }
        if name in by_name:
            row = by_name[name].model_dump(exclude_unset=True)
        elif known := catalog.models.get(name):
            # How this server would switch thinking on is not known.
            row["modes"] = ("chat",) if "chat" in known.modes else known.modes
        else:
            # These servers make any model keep to a JSON schema, by what they let it sample.
            able = "speciale" not in f"{name} {model_id}".lower()
            rows["model"].append({"name": name, "json_mode": able, **where})
        limits = {"context_tokens": context, "max_output_tokens": context}
        rows["endpoint"].append(row | limits | where | {"model_id": model_id})
    return rows


def _name(model_id: str, taken: Container[str]) -> str:
    """A name for an id: its last part, the whole id, or that with a number, if not yet taken."""
    path = model_id.strip("/")
    short, whole = (_slug(text) or "model" for text in (path.rpartition("/")[2], path))
    numbered = (f"{whole}-{n}" for n in count(2))
    return next(name for name in chain((short, whole), numbered) if name not in taken)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("._-")
