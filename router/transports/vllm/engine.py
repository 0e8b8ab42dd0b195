"""A `vllm.LLM` in this process as a host: no server, no HTTP.

One call at a time: the engine is not made for several threads, so calls wait for each other. For
many at once run a server (`centroute vllm serve`). A stream gives the whole answer as one piece.
"""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

from router.errors import ConfigError, ProviderTimeoutError
from router.transports import openai
from router.transports.discovery import overlay_for
from router.transports.vllm.parsers import Parsers
from router.transports.vllm.sampling import arguments_of
from router.transports.vllm.serving import serving_of
from router.types import Call, Chunk, Reply

if TYPE_CHECKING:
    from router.catalog import Catalog

HOST = "engine"
"""The host's name in the catalogue, and its kind."""


def engine_rows(llm: Any, catalog: Catalog) -> dict[str, Any]:
    """Catalogue rows for the model that `llm` holds, under the host "engine".

    A model that the catalogue lists for vLLM keeps modes and options; others come as a server's
    unknown models do, without a price.

    Raises:
        ConfigError: `llm` is no `vllm.LLM`.
    """
    model_id, context = _facts(llm)
    name = next(
        (e.model for e in catalog.endpoints if e.host == "vllm" and e.model_id == model_id), None
    )
    rows = overlay_for(HOST, {model_id: context}, catalog)
    (endpoint,) = rows["endpoint"]
    if name is not None:
        listed = next(e for e in catalog.endpoints if e.host == "vllm" and e.model == name)
        endpoint = listed.model_dump(exclude_unset=True) | {
            key: endpoint[key]
            for key in ("host", "model_id", "context_tokens", "max_output_tokens")
        }
        endpoint["unpriced"] = "depends on your GPUs and load; give it a rate in an overlay"
        rows["model"] = []
    host = {
        "name": HOST,
        "provider": "vllm",
        "kind": HOST,
        "api_key_required": False,
        "cache": "vllm",
        "self_hosted": True,
        "source": "an engine in this process",
    }
    where = {"source": "the vllm.LLM given to the client"}
    return rows | {"host": [host], "endpoint": [endpoint | where]}


class EngineTransport:
    """Sends calls to a `vllm.LLM`, or to anything with its `chat` and `model_config`.

    Sampling is by the model's own defaults where a call says nothing, as on vLLM's server.

    Raises:
        ConfigError: `llm` is none.
    """

    def __init__(self, llm: Any) -> None:
        model_id, _ = _facts(llm)
        self._llm = llm
        self._lock = threading.Lock()
        self._parsers = Parsers(llm, serving_of(model_id))
        defaults = getattr(llm.model_config, "get_diff_sampling_param", dict)
        self._defaults = dict(defaults())

    def send(self, call: Call) -> Reply:
        """Generate the answer; one that waits for others longer than its timeout is given up."""
        # What an engine says is read as a server's answer: one reader, one set of errors.
        return openai.reply_from(json.dumps(self._answer(call)).encode(), call)

    def open(self, call: Call) -> EngineSource:
        """The same, as one piece."""
        return EngineSource(self.send(call))

    def close(self) -> None:
        """Nothing: the engine is its owner's."""

    def _answer(self, call: Call) -> dict[str, Any]:
        try:
            arguments = arguments_of(call, self._defaults, raw=self._parsers.reads_tools(call))
        except Exception as error:  # noqa: BLE001 - see below
            return _failure(error)
        if not self._lock.acquire(timeout=call.timeout):
            raise ProviderTimeoutError(
                f"the engine was busy for {call.timeout:.1f} s", candidate=call.candidate.name
            )
        try:
            # The last one: what an interrupted call left behind may come first.
            return self._body(call, self._llm.chat(use_tqdm=False, **arguments)[-1])
        except Exception as error:  # noqa: BLE001 - whatever an engine raises becomes one of ours
            return _failure(error)
        finally:
            self._lock.release()

    def _body(self, call: Call, output: Any) -> dict[str, Any]:
        (answer,) = output.outputs
        message, called = self._parsers.message(answer.text, call)
        finish = "tool_calls" if called and answer.finish_reason == "stop" else None
        prompt, taken = len(output.prompt_token_ids or ()), len(answer.token_ids)
        return {
            "id": f"engine-{call.request.id}",
            "object": "chat.completion",
            "model": call.candidate.model_id,
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "finish_reason": finish or answer.finish_reason,
                }
            ],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": taken,
                "total_tokens": prompt + taken,
                "prompt_tokens_details": {"cached_tokens": output.num_cached_tokens or 0},
            },
        }


class EngineSource:
    """A whole answer as a stream of one piece, then its end with the usage."""

    def __init__(self, reply: Reply) -> None:
        choice = reply.body["choices"][0]
        message = choice["message"]
        head = {key: reply.body[key] for key in ("id", "model")}
        head["object"] = "chat.completion.chunk"
        end = {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}
        piece = {"index": 0, "delta": message, "finish_reason": None}
        self._chunks = [
            Chunk(
                body=head | {"choices": [end], "usage": reply.body["usage"]},
                usage=reply.usage,
                finish_reason=reply.finish_reason,
            ),
            Chunk(
                body=head | {"choices": [piece]},
                text=message.get("content") or "",
                reasoning=message.get("reasoning_content") or "",
            ),
        ]

    def read(self) -> Chunk | None:
        """The next piece."""
        return self._chunks.pop() if self._chunks else None

    def close(self) -> None:
        """Nothing to close."""


class AsyncEngineTransport:
    """`EngineTransport` for an event loop: it works in a thread.

    A call that is cancelled is generated to its end all the same; the next one waits for it.
    """

    def __init__(self, llm: Any) -> None:
        self._sync = EngineTransport(llm)

    async def send(self, call: Call) -> Reply:
        """Generate the answer."""
        return await asyncio.to_thread(self._sync.send, call)

    async def open(self, call: Call) -> AsyncEngineSource:
        """The same, as one piece."""
        return AsyncEngineSource(await asyncio.to_thread(self._sync.open, call))

    async def close(self) -> None:
        """Nothing: the engine is its owner's."""


class AsyncEngineSource:
    """`EngineSource` for an event loop."""

    def __init__(self, source: EngineSource) -> None:
        self._source = source

    async def read(self) -> Chunk | None:
        """The next piece."""
        return self._source.read()

    async def close(self) -> None:
        """Nothing to close."""


def _facts(llm: Any) -> tuple[str, int]:
    """The model's id and its context in tokens."""
    config = getattr(llm, "model_config", None)
    served = getattr(config, "served_model_name", None) or getattr(config, "model", None)
    served = served[0] if isinstance(served, (list, tuple)) and served else served
    context = getattr(config, "max_model_len", None)
    if not (callable(getattr(llm, "chat", None)) and isinstance(served, str) and context):
        raise ConfigError(
            "engine: expected a vllm.LLM, or an object with its chat() and model_config (model, "
            f"max_model_len); got {type(llm).__name__}"
        )
    return served, int(context)


def _failure(error: Exception) -> dict[str, Any]:
    """What a server would answer: 400 where the request is at fault, 500 for all else.

    vLLM has a kind of its own for the former, which is no ValueError; older versions have none.
    """
    ours = any(kind.__name__ == "VLLMClientError" for kind in type(error).__mro__)
    if ours or isinstance(error, (TypeError, ValueError)):
        return {"error": {"message": str(error), "code": 400}}
    what = f"the engine failed ({type(error).__name__})"
    return {"error": {"message": what, "code": 500}}
