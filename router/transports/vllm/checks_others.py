"""The checks of `checks.py` for SGLang, llama.cpp and Ollama, as far as they apply.

Field names: SGLang's ServerArgs, as `/server_info` tells them (sgl-project/sglang,
docs/advanced_features/server_arguments.md at 004813e1); llama.cpp's `/props` (ggml-org/llama.cpp
tools/server/README.md, seen in xllamacpp 2026.10); Ollama's `/api/version`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from router.transports.vllm.probe import Finding, Server, UnansweredError, cached_tokens
from router.transports.vllm.serving import serving_of


def sglang(server: Server, models: Mapping[str, int]) -> Iterator[Finding]:
    """Radix cache, cache report, metrics and parsers of an SGLang server."""
    model = next(iter(models))
    report = ": start the server with --enable-cache-report"
    try:
        info = _sglang_info(server)
    except UnansweredError as error:
        yield Finding("note", "/server_info", str(error))
        info = {}
    if version := info.get("version"):
        yield Finding("ok", "version", str(version))
    if info.get("disable_radix_cache"):
        yield Finding("wrong", "prefix cache", "off: start without --disable-radix-cache")
    elif "disable_radix_cache" in info:
        yield Finding("ok", "prefix cache", f"on, pages of {info.get('page_size', 1)} tokens")
    if info.get("enable_metrics") is False:
        yield Finding("note", "/metrics", "off: start the server with --enable-metrics")
    serving = serving_of(model)
    for field, flag, wanted in (
        ("tool_call_parser", "--tool-call-parser", serving and serving.tools),
        ("reasoning_parser", "--reasoning-parser", serving and serving.reasoning),
    ):
        if wanted and field in info and not info[field]:
            yield Finding("wrong", field.replace("_", " "), f"none: start the server with {flag}")
    # Without the report its usage has the field, and null in it, as if nothing were ever cached.
    if info.get("enable_cache_report") is False:
        yield Finding("wrong", "cached tokens", f"not reported{report}")
    else:
        yield from cached_tokens(server, model, report)


def llamacpp(server: Server, models: Mapping[str, int]) -> Iterator[Finding]:
    """Slots, context and metrics of a llama.cpp server."""
    try:
        props = server.json(f"{server.root}/props")
        context = int(props["default_generation_settings"]["n_ctx"])
        slots = int(props["total_slots"])
    except UnansweredError as error:
        yield Finding("note", "/props", str(error))
    except (LookupError, TypeError, ValueError):
        yield Finding("note", "/props", "tells neither slots nor context")
    else:
        yield Finding(
            "ok", "slots", f"{slots}, each of {context:,} tokens with a cache of its own"
        )
    try:
        server.text(f"{server.root}/metrics")
    except UnansweredError as error:
        yield Finding("note", "/metrics", f"{error}: start the server with --metrics")
    else:
        yield Finding("ok", "/metrics", "on")
    yield from cached_tokens(server, next(iter(models)), ": this version of llama.cpp is too old")


def ollama(server: Server, models: Mapping[str, int]) -> Iterator[Finding]:
    """Version of an Ollama, and whether it tells what was cached."""
    try:
        yield Finding("ok", "version", str(server.json(f"{server.root}/api/version")["version"]))
    except (UnansweredError, LookupError, TypeError):
        yield Finding("note", "version", "/api/version tells none")
    for finding in cached_tokens(server, next(iter(models)), " by its OpenAI API"):
        missing = finding.what == "cached tokens" and finding.state == "wrong"
        yield Finding("note", finding.what, finding.finding) if missing else finding


def _sglang_info(server: Server) -> dict[str, Any]:
    try:
        info = server.json(f"{server.root}/server_info")
    except UnansweredError:  # its name before 2026
        info = server.json(f"{server.root}/get_server_info")
    return info if isinstance(info, dict) else {}
