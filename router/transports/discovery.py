"""Which models a self-hosted server really serves: `GET /models`, once per client."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from router.transports.access import Access

if TYPE_CHECKING:
    from router.catalog.schema import Host

SELF_HOSTED = frozenset({"vllm", "sglang", "ollama", "llamacpp"})
_SECONDS = 5.0
_CONTEXT = 8192
"""Context assumed for a model whose server does not tell (Ollama, llama.cpp)."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a server answered: model ids with their context in tokens, or why it did not."""

    models: Mapping[str, int]
    problem: str = ""


def ask(name: str, host: Host, access: Access) -> Served:
    """Ask a self-hosted server which models it serves; never raises."""
    import httpx

    url, key = access.base_url(name, host), access.key(name, host)
    try:
        response = httpx.get(
            f"{url}/models",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=_SECONDS,
        )
        response.raise_for_status()
        return Served(read_models(response.json()))
    except httpx.HTTPStatusError as error:
        return Served({}, f"{url}/models answers HTTP {error.response.status_code}")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Served({}, f"{url} does not answer ({type(error).__name__})")
    except (ValueError, LookupError, TypeError):
        return Served({}, f"{url}/models does not answer with a list of models")


def read_models(body: Any) -> dict[str, int]:
    """Model ids and contexts in an OpenAI-shaped list of models (vLLM adds `max_model_len`)."""
    return {
        str(row["id"]): int(row.get("max_model_len") or _CONTEXT) for row in body.get("data") or ()
    }


def overlay_for(host: str, models: Mapping[str, int]) -> dict[str, Any]:
    """Catalogue rows for models that a server serves and the catalogue does not know."""
    rows: dict[str, Any] = {"model": [], "endpoint": []}
    for model_id, context in models.items():
        where = {"source": f"GET /models of {host}"}
        name = re.sub(r"[^a-z0-9._-]", "-", model_id.rpartition("/")[2].lower()).lstrip("._-")
        rows["model"].append({"name": name, **where})
        rows["endpoint"].append(
            {
                "model": name,
                "host": host,
                "model_id": model_id,
                "context_tokens": context,
                "max_output_tokens": context,
                "unpriced": "depends on your GPUs and load; give it a rate in an overlay",
                **where,
            }
        )
    return rows
