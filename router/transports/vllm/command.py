"""The command line that serves a model with vLLM so that caching and billing can be seen."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from router.errors import ConfigError
from router.transports.vllm.serving import Serving, serving_of

if TYPE_CHECKING:
    from router.catalog import Catalog

PROGRAM = ("vllm", "serve")
OLD_PROGRAM = ("python", "-m", "vllm.entrypoints.openai.api_server", "--model")
"""Where the command `vllm` is missing or dies: the build for CPUs is not called "vllm" on its
index, and its own command looks itself up by that name."""
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104
_TLS = frozenset({"--ssl-keyfile", "--ssl-certfile"})
_READ = _TLS | {"--host", "--port", "--uds", "--api-key", "--served-model-name"}
"""Flags of the caller's own whose values say where the server answers, and to whom."""
_SHORT = {"-tp": "--tensor-parallel-size", "-dp": "--data-parallel-size"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is served: the id or directory for vLLM, the id it answers to, its context (tokens)."""

    model: str
    served_name: str
    context_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line, where the server will answer, and what to know before it is run.

    It listens at `host` and `port`; `base_url` is None where that is a Unix socket. `api_key` is
    one of the caller's flags.
    """

    arguments: tuple[str, ...] = field(repr=False)
    served_name: str
    base_url: str | None
    host: str = "127.0.0.1"
    port: int = 8000
    api_key: str | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    def shell(self) -> str:
        """It as text for a shell, quoted, one option a line."""
        lines: list[list[str]] = [[]]
        for argument in self.arguments:
            if argument.startswith("--") and argument != "--model":
                lines.append([])
            lines[-1].append(argument)
        return " \\\n  ".join(shlex.join(line) for line in lines if line)


def target_of(model: str, catalog: Catalog) -> Target:
    """What `model` means: a directory, a model of the catalogue that vLLM serves, or an id.

    Raises:
        ConfigError: it is none of these.
    """
    path = Path(model).expanduser()
    if model and path.is_dir():
        return Target(model=str(path), served_name=path.resolve().name)
    for endpoint in catalog.endpoints:
        if endpoint.host == "vllm" and model in {endpoint.model, endpoint.model_id}:
            return Target(
                model=endpoint.model_id,
                served_name=endpoint.model_id,
                context_tokens=endpoint.context_tokens,
            )
    if model.count("/") == 1 and not model.startswith((".", "/", "~")):
        return Target(model=model, served_name=model)
    known = ", ".join(sorted({e.model for e in catalog.endpoints if e.host == "vllm"}))
    raise ConfigError(
        f"expected a directory with weights, an id such as deepseek-ai/DeepSeek-V3.2, or one of "
        f"{known}; {model!r} is none"
    )


def command_for(
    target: Target,
    *,
    program: Sequence[str] = PROGRAM,
    host: str = "127.0.0.1",
    port: int = 8000,
    gpus: int | None = None,
    extra: Sequence[str] = (),
) -> Command:
    """The command that serves `target`; `extra` are flags for vLLM and go before ours.

    `gpus` shards the weights over so many. What vLLM switches on by itself today (prefix caching,
    chunked prefill) is said all the same: it was not always so.

    Raises:
        ConfigError: no port, or a flag that we read lacks its value.
    """
    serving = serving_of(target.served_name) or serving_of(target.model)
    given = _given(extra)
    kept = [
        option for option in _options(target, serving, host, port, gpus) if option[0] not in given
    ]
    for flag in _READ & given.keys():
        if not given[flag]:
            raise ConfigError(f"{flag}: expected a value behind it")
    listens, number = given.get("--host", host), _port(given.get("--port", str(port)))
    at = "127.0.0.1" if listens in _EVERYWHERE else f"[{listens}]" if ":" in listens else listens
    scheme = "https" if _TLS & given.keys() else "http"
    return Command(
        arguments=(*program, target.model, *(a for option in kept for a in option), *extra),
        served_name=given.get("--served-model-name", target.served_name),
        base_url=None if "--uds" in given else f"{scheme}://{at}:{number}/v1",
        host=listens,
        port=number,
        api_key=given.get("--api-key"),
        notes=tuple(_notes(serving, given, gpus)),
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 1 << 16):
        raise ConfigError(f"--port: expected a number from 1 to 65535, got {text!r}")
    return int(text)


def _options(
    target: Target, serving: Serving | None, host: str, port: int, gpus: int | None
) -> Iterator[tuple[str, ...]]:
    yield "--host", host
    yield "--port", str(port)
    yield "--served-model-name", target.served_name
    if target.context_tokens:
        yield "--max-model-len", str(target.context_tokens)
    yield ("--enable-prefix-caching",)
    yield ("--enable-chunked-prefill",)
    yield ("--enable-prompt-tokens-details",)
    yield ("--enable-server-load-tracking",)
    if serving is not None:
        yield from zip(serving.flags[::2], serving.flags[1::2], strict=True)
        if serving.reasoning:
            yield "--reasoning-parser", serving.reasoning
        if serving.tools:
            yield ("--enable-auto-tool-choice",)
            yield "--tool-call-parser", serving.tools
    if gpus is not None:
        yield "--tensor-parallel-size", str(gpus)


def _notes(serving: Serving | None, given: dict[str, str], gpus: int | None) -> Iterator[str]:
    for flag in ("--enable-prefix-caching", "--enable-prompt-tokens-details"):
        if given.get(flag) == "no":
            yield f"{flag} is switched off: what the cache saves will not be seen or had"
    if "--uds" in given:
        yield (
            "--uds: it answers at a Unix socket alone, which centroute does not call; "
            "VLLM_BASE_URL is the address of what you put before it"
        )
    if "--api-key" in given:
        yield (
            "--api-key is seen by all who list processes: VLLM_API_KEY says the same, and "
            "centroute needs it there"
        )
    if serving is None:
        if not {"--tool-call-parser", "--reasoning-parser"} & given.keys():
            yield (
                "which parsers this model needs is not known here: see vLLM's --tool-call-parser "
                "(with --enable-auto-tool-choice) and --reasoning-parser"
            )
        return
    if serving.note:
        yield serving.note
    if serving.vllm:
        yield f"needs vLLM {serving.vllm} or later"
    if serving.gpu_gb:
        yield f"needs at least {serving.gpu_gb} GB of GPU memory in all: {serving.weights}"
        if gpus is None and "--tensor-parallel-size" not in given:
            yield "over several GPUs: --gpus 8 shards every layer over 8"
    if serving.moe and "--enable-expert-parallel" not in given:
        yield (
            "a mixture of experts; for throughput on several GPUs try, after --, "
            "--data-parallel-size N --enable-expert-parallel instead of --gpus N"
        )
    if serving.template and serving.tools and "--chat-template" not in given:
        yield f"tool calls need --chat-template with {serving.template} of vLLM's repository"


def _given(extra: Sequence[str]) -> dict[str, str]:
    """Flags in `extra`, by their long names, with their values; "no" for `--no-...`."""
    found: dict[str, str] = {}
    for i, word in enumerate(extra):
        if not word.startswith("-"):
            continue
        name, _, value = word.partition("=")
        name = _SHORT.get(name, name.replace("_", "-"))
        if name.startswith("--no-"):
            found["--" + name.removeprefix("--no-")] = "no"
            continue
        following = extra[i + 1] if i + 1 < len(extra) else ""
        found[name] = value or ("" if following.startswith("--") else following)
    return found
