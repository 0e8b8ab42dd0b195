"""What one's own running server lacks for caching and billing to work, and to be seen.

Every check is a question over HTTP; what does not answer is a finding, never an exception. A vLLM
is asked for up to about 100 tokens in all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import httpx

from router.transports.discovery import read_models
from router.transports.vllm import checks_others
from router.transports.vllm.probe import Finding, Server, UnansweredError, cached_tokens
from router.transports.vllm.serving import Serving, serving_of

_TOOL = {
    "type": "function",
    "function": {"name": "now", "parameters": {"type": "object", "properties": {}}},
}


def check(
    kind: str, base_url: str, key: str | None = None, *, contexts: Mapping[str, int] | None = None
) -> Iterator[Finding]:
    """What a running server of a kind ("vllm", "sglang", "llamacpp", "ollama") lacks.

    `contexts` are the context lengths (tokens) that the catalogue has for ids at this host.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(headers=headers) as client:
        server = Server(client, base_url)
        try:
            models = read_models(server.json(f"{server.base_url}/models"))
        except UnansweredError as error:
            yield Finding("wrong", "models", f"{server.shown}/models {error}")
            return
        except (ValueError, LookupError, TypeError, AttributeError):
            yield Finding("wrong", "models", f"{server.shown}/models is no list of models")
            return
        if not models:
            yield Finding("wrong", "models", "serves no model")
            return
        yield from _served(models, contexts or {})
        others = {
            "sglang": checks_others.sglang,
            "llamacpp": checks_others.llamacpp,
            "ollama": checks_others.ollama,
        }
        if kind == "vllm":
            yield from _vllm(server, models)
        elif kind in others:
            yield from others[kind](server, models)


def _served(models: Mapping[str, int], contexts: Mapping[str, int]) -> Iterator[Finding]:
    for model, context in models.items():
        listed = contexts.get(model)
        if contexts and listed is None:
            yield Finding(
                "note",
                "model",
                f"{model} ({context:,} tokens) is not in the catalogue at this host: it can be "
                "called, but has no price until an overlay gives it one",
            )
        elif listed is not None and context < listed:
            yield Finding(
                "note",
                "model",
                f"{model} takes {context:,} tokens, the catalogue says {listed:,}: lay the lower "
                "limit over it (context_tokens), or start the server with --max-model-len",
            )
        else:
            yield Finding("ok", "model", f"{model}, {context:,} tokens")


def _vllm(server: Server, models: Mapping[str, int]) -> Iterator[Finding]:
    model = next(iter(models))
    serving = serving_of(model)
    yield from _version(server, serving)
    yield from _cache(server, max(models.values()))
    yield from cached_tokens(
        server, model, ": start the server with --enable-prompt-tokens-details"
    )
    try:
        yield from _tools(server, model, serving)
        yield from _reasoning(server, model, serving)
        yield from _load(server, model)
    except UnansweredError as error:
        yield Finding("wrong", "answer", str(error))


def _version(server: Server, serving: Serving | None) -> Iterator[Finding]:
    try:
        version = str(server.json(f"{server.root}/version")["version"])
    except UnansweredError as error:
        yield Finding("note", "version", f"/version {error}")
        return
    except (LookupError, TypeError):
        yield Finding("note", "version", "/version tells none")
        return
    if serving and serving.vllm and _numbers(version) < _numbers(serving.vllm):
        yield Finding("wrong", "version", f"{version}: this model needs {serving.vllm} or later")
    else:
        yield Finding("ok", "version", version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version)[:3])


def _cache(server: Server, context: int) -> Iterator[Finding]:
    try:
        metrics = server.text(f"{server.root}/metrics")
    except UnansweredError as error:
        yield Finding("wrong", "/metrics", str(error))
        return
    found = re.search(r"vllm:cache_config_info\{(.*?)\}", metrics)
    labels = dict(re.findall(r'(\w+)="([^"]*)"', found.group(1))) if found else {}
    caching = labels.get("enable_prefix_caching")
    if caching is None:
        yield Finding("wrong", "prefix cache", "/metrics does not tell; is this a vLLM server?")
        return
    if caching == "True":
        yield Finding("ok", "prefix cache", "on")
    else:
        yield Finding(
            "wrong", "prefix cache", "off: start the server with --enable-prefix-caching"
        )
    try:
        block, blocks = int(labels["block_size"]), int(labels["num_gpu_blocks"])
    except (LookupError, ValueError):
        yield Finding("note", "KV cache", "its size is not told")
        return
    yield Finding(
        "ok",
        "KV cache",
        f"{block * blocks:,} tokens in {blocks:,} blocks of {block}: "
        f"{block * blocks / max(1, context):.1f} prompts of full length",
    )


def _tools(server: Server, model: str, serving: Serving | None) -> Iterator[Finding]:
    if serving is not None and not serving.tools:
        return
    status, _ = server.ask(model, tools=[_TOOL], tool_choice="auto")
    if status == 200:
        yield Finding("ok", "tool calls", "tool_choice auto is accepted")
    elif status >= 500:
        yield Finding("wrong", "tool calls", f"a request with a tool failed (HTTP {status})")
    else:
        parser = serving.tools if serving else "..."
        yield Finding(
            "wrong" if serving else "note",
            "tool calls",
            f"refused (HTTP {status}): start the server with --enable-auto-tool-choice "
            f"--tool-call-parser {parser}",
        )


def _reasoning(server: Server, model: str, serving: Serving | None) -> Iterator[Finding]:
    if serving is None or not serving.reasoning:
        return
    thinking = {"thinking": True, "enable_thinking": True}
    status, answer = server.ask(model, max_tokens=16, chat_template_kwargs=thinking)
    try:
        message = answer["choices"][0]["message"]
        thought = message.get("reasoning") or message.get("reasoning_content")
        said = message.get("content")
    except (LookupError, TypeError, AttributeError):
        yield Finding("wrong", "reasoning", f"a request that thinks failed (HTTP {status})")
        return
    if thought:
        yield Finding("ok", "reasoning", "is told apart from the answer")
    elif said:
        yield Finding(
            "wrong",
            "reasoning",
            f"comes as a part of the answer: start the server with --reasoning-parser "
            f"{serving.reasoning}",
        )


def _load(server: Server, model: str) -> Iterator[Finding]:
    if server.load_of_one(model) > 0:
        yield Finding("ok", "load", "/load counts open requests")
    else:
        yield Finding(
            "note",
            "load",
            "/load counts nothing: start the server with --enable-server-load-tracking",
        )
