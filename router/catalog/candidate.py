"""A candidate: one model in one mode at one host, with all that sending a request needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from router.prompts.rule import CAUTIOUS, CacheRule

if TYPE_CHECKING:
    from router.catalog.schema import Endpoint, Host, Model

SELF_HOSTED = frozenset({"vllm", "sglang", "ollama", "llamacpp"})
"""Kinds of hosts that are one's own servers, and are asked which models they serve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Endpoint x mode. `name` is `model@host` or `model:thinking@host`.

    `request_extra` is merged into the request body; `ignored_fields` are accepted there without
    effect, `refused_fields` make the host answer with an error. Limits are tokens. `region` is
    where the host keeps data, "" where nobody says; `cache` is how it caches prompts.
    """

    name: str
    model: str
    mode: str
    host: str
    model_id: str
    profile: str
    tokenizer: str
    kind: str
    provider: str
    base_url: str | None
    base_url_env: str | None
    api_key_env: str | None
    api_key_required: bool
    context_tokens: int
    max_output_tokens: int
    tools: bool
    json_mode: bool
    streaming: bool
    self_hosted: bool
    request_extra: Mapping[str, Any]
    ignored_fields: frozenset[str]
    refused_fields: frozenset[str]
    max_tokens_field: str = "max_tokens"
    stops_when_left: bool = False
    retires_at: datetime | None = None
    region: str = ""
    cache: CacheRule = CAUTIOUS

    @property
    def thinking(self) -> bool:
        """Whether it reasons before it answers: in this mode, or because its model always does."""
        return self.mode == "thinking"

    @property
    def endpoint(self) -> str:
        """`model@host`, the name under which rates are listed; the same in every mode."""
        return f"{self.model}@{self.host}"

    def __hash__(self) -> int:
        return hash(self.name)


def candidates_of(
    endpoint: Endpoint, model: Model, host: Host, cache: CacheRule = CAUTIOUS
) -> Iterator[Candidate]:
    """One candidate per mode that the endpoint offers; `cache` is the rule of its cache.

    A model with a single mode carries no mode in its name; of two modes only thinking is named.
    """
    self_hosted = host.self_hosted if endpoint.self_hosted is None else endpoint.self_hosted
    region = host.region if endpoint.region is None else endpoint.region
    for mode in endpoint.modes or model.modes:
        options = endpoint.options.get(mode)
        profile = (
            f"{model.name}:thinking" if mode == "thinking" and len(model.modes) > 1 else model.name
        )
        wire_id = (options and options.model_id) or endpoint.model_id
        able = "speciale" not in wire_id.lower()  # whatever name its weights go by
        cap = (options and options.max_output_tokens) or endpoint.max_output_tokens
        yield Candidate(
            name=f"{profile}@{host.name}",
            model=model.name,
            mode=mode,
            host=host.name,
            model_id=wire_id,
            profile=profile,
            tokenizer=model.tokenizer,
            kind=endpoint.kind or host.kind,
            provider=host.provider or host.name,
            base_url=host.base_url,
            base_url_env=host.base_url_env,
            api_key_env=host.api_key_env,
            api_key_required=host.api_key_required and host.api_key_env is not None,
            context_tokens=endpoint.context_tokens,
            max_output_tokens=cap,
            tools=able and model.tools and endpoint.tools is not False,
            json_mode=able and model.json_mode and endpoint.json_mode is not False,
            streaming=endpoint.streaming,
            self_hosted=self_hosted,
            request_extra=deepcopy(options.request_extra) if options else {},
            ignored_fields=options.ignored_fields if options else frozenset(),
            refused_fields=options.refused_fields if options else frozenset(),
            max_tokens_field=host.max_tokens_field,
            stops_when_left=host.stops_when_left,
            retires_at=endpoint.retires_at,
            region=region or ("on-prem" if self_hosted else ""),
            cache=cache,
        )
