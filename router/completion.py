"""What the client hands out: OpenAI-shaped completions, plus `.route`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, PrivateAttr

from router.errors import ConfigError, RouterError
from router.types import Chunk, Reply, Route
from router.usage import to_openai


class _Open(BaseModel):
    # Hosts add fields of their own; they pass through.
    model_config = ConfigDict(extra="allow")


class Message(_Open):
    """A whole answer. `reasoning_content` is the chain of thought, where the host gives it."""

    role: str = "assistant"
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class Choice(_Open):
    """One answer of a completion."""

    index: int = 0
    message: Message
    finish_reason: str | None = None


class PromptTokensDetails(_Open):
    """Parts of `prompt_tokens`."""

    cached_tokens: int = 0


class CompletionTokensDetails(_Open):
    """Parts of `completion_tokens`."""

    reasoning_tokens: int = 0


class CompletionUsage(_Open):
    """Tokens in OpenAI's words; `completion.route.usage` has ours."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class ChatCompletion(_Open):
    """An OpenAI-shaped chat completion. `route` says how it came about and what it cost."""

    id: str = ""
    object: Literal["chat.completion"] = "chat.completion"
    created: int = 0
    model: str = ""
    choices: list[Choice]
    usage: CompletionUsage | None = None
    _route: Route | None = PrivateAttr(default=None)

    @property
    def route(self) -> Route:
        """The decision, the forecast, the usage, the cost and the request id.

        Raises:
            RouterError: read from JSON or made by hand: no client gave this answer.
        """
        if self._route is None:
            raise RouterError(
                "route: this completion was read or made by hand, and a route is no part of its "
                "JSON; keep what you need of it, such as route.request_id, beside it"
            )
        return self._route

    @property
    def cost_usd(self) -> Decimal:
        """USD that this request was charged, all attempts together; see `Route.total_cost_usd`.

        Raises:
            ConfigError: no price is known for what answered: unknown is never zero.
        """
        return known_cost(self.route)

    @property
    def text(self) -> str:
        """The text of the first answer, "" when there is none."""
        return self.choices[0].message.content or "" if self.choices else ""


class Delta(_Open):
    """What a chunk adds to an answer."""

    role: str | None = None
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class ChunkChoice(_Open):
    """One answer's part of a chunk."""

    index: int = 0
    delta: Delta = Delta()
    finish_reason: str | None = None


class ChatCompletionChunk(_Open):
    """An OpenAI-shaped piece of a streamed completion."""

    id: str = ""
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int = 0
    model: str = ""
    choices: list[ChunkChoice] = []
    usage: CompletionUsage | None = None

    @property
    def text(self) -> str:
        """What this chunk adds to the first answer."""
        return self.choices[0].delta.content or "" if self.choices else ""


def known_cost(route: Route) -> Decimal:
    """USD of all attempts of a request.

    Raises:
        ConfigError: no price is known for one that was charged.
    """
    total = route.total_cost_usd
    if total is None:
        raise ConfigError(
            f"cost_usd: no price is known for {route.candidate}, and unknown is never zero. Give "
            "it a rate with Client(catalog=...), or take the dearest known one with "
            "unpriced='ceiling'; route.total_cost_usd is None then, and raises nothing"
        )
    return total


def completion_from(reply: Reply, route: Route) -> ChatCompletion:
    """The completion of a reply, its usage replaced by what was settled."""
    body = _clean(reply.body, "chat.completion")
    if route.usage is not None:
        body["usage"] = to_openai(route.usage)
    completion = ChatCompletion.model_validate(body)
    completion._route = route
    return completion


def chunk_from(chunk: Chunk) -> ChatCompletionChunk:
    """The OpenAI-shaped form of a chunk."""
    body = _clean(chunk.body, "chat.completion.chunk")
    body["usage"] = to_openai(chunk.usage) if chunk.usage else None
    return ChatCompletionChunk.model_validate(body)


def _clean(body: Mapping[str, Any], kind: str) -> dict[str, Any]:
    # null where a field has a default ("id": null), and servers that name the object otherwise
    return {k: v for k, v in body.items() if v is not None} | {"object": kind}
