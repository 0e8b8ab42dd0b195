"""The command line for a vLLM server: what it holds, what the caller's own flags replace."""

import json
import shlex
import sys
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.catalog import Catalog
from router.cli import main, vllm
from router.errors import ConfigError
from router.transports.vllm.command import Target, command_for, target_of
from router.transports.vllm.serving import serving_of, servings

V32 = "deepseek-ai/DeepSeek-V3.2"


@pytest.fixture
def cli(capsys):
    """Runs `vllm ...`; what it printed."""

    def run(*arguments):
        assert main(list(arguments)) == 0
        return capsys.readouterr().out

    return run


def flags(command):
    """The flags of a command line with their values."""
    words = list(command.arguments)
    found = {}
    for i, word in enumerate(words):
        if word.startswith("--"):
            following = words[i + 1] if i + 1 < len(words) else "--"
            found[word] = None if following.startswith("--") else following
    return found


def test_v32_gets_all_that_its_recipe_names():
    """Parsers, tokenizer mode and context of V3.2, and what caching and billing need."""
    command = command_for(target_of("deepseek-v3.2", Catalog.default()), gpus=8)
    assert command.arguments[:3] == ("vllm", "serve", V32)
    assert flags(command) == {
        "--host": "127.0.0.1",
        "--port": "8000",
        "--served-model-name": V32,
        "--max-model-len": "163840",
        "--enable-prefix-caching": None,
        "--enable-chunked-prefill": None,
        "--enable-prompt-tokens-details": None,
        "--enable-server-load-tracking": None,
        "--tokenizer-mode": "deepseek_v32",
        "--reasoning-parser": "deepseek_v3",
        "--enable-auto-tool-choice": None,
        "--tool-call-parser": "deepseek_v32",
        "--tensor-parallel-size": "8",
    }
    assert command.base_url == "http://127.0.0.1:8000/v1"
    assert any("0.18.0" in note for note in command.notes)
    assert any("805 GB" in note for note in command.notes)


def test_speciale_gets_no_tool_parser():
    """It was never trained for tool calls: it thinks, and its row says why it has no tools."""
    command = command_for(target_of("deepseek-v3.2-speciale", Catalog.default()))
    found = flags(command)
    assert found["--reasoning-parser"] == "deepseek_v3"
    assert not found.keys() & {"--tool-call-parser", "--enable-auto-tool-choice"}
    assert any("not trained for tool calls" in note for note in command.notes)


@pytest.mark.parametrize(
    ("model", "tools", "reasoning"),
    [
        (V32, "deepseek_v32", "deepseek_v3"),
        ("nvidia/DeepSeek-V3.2-NVFP4", "deepseek_v32", "deepseek_v3"),
        ("deepseek-ai/DeepSeek-V3.2-Speciale", "", "deepseek_v3"),
        ("deepseek-ai/DeepSeek-V3.2-Exp", "", "deepseek_v3"),
        ("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", "", "deepseek_r1"),
        ("unsloth/DeepSeek-R1-0528-Qwen3-8B-bnb-4bit", "", "deepseek_r1"),
        ("Qwen/Qwen3-Embedding-8B", "", ""),
        ("Qwen/Qwen3-Reranker-0.6B", "", ""),
        ("deepseek-ai/DeepSeek-V3.1", "deepseek_v31", "deepseek_v3"),
        ("deepseek-ai/DeepSeek-V3-0324", "deepseek_v3", ""),
        ("deepseek-ai/DeepSeek-R1-0528", "deepseek_v3", "deepseek_r1"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "", "deepseek_r1"),
        ("deepseek-ai/DeepSeek-V4-Pro", "deepseek_v4", "deepseek_v4"),
        ("deepseek-ai/DeepSeek-V4.1-Flash", "deepseek_v41", "deepseek_v41"),
        ("Qwen/Qwen3-30B-A3B", "hermes", "qwen3"),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507", "hermes", ""),
        ("Qwen/Qwen3-Coder-480B-A35B-Instruct", "qwen3_coder", ""),
        ("Qwen/Qwen3.5-35B-A3B", "qwen3_coder", "qwen3"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "", ""),
        ("mistralai/Mistral-7B-Instruct-v0.3", "mistral", ""),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama3_json", ""),
        ("/srv/models/Llama-3.3-70B-Instruct/", "llama3_json", ""),
    ],
)
def test_parsers_by_model(model, tools, reasoning):
    """A model is known by the last part of its id, whoever quantised it or wherever it lies."""
    serving = serving_of(model)
    assert (serving.tools, serving.reasoning) == (tools, reasoning)


def test_what_small_and_other_models_are_not_told():
    """A dense distill needs no memory of R1's; what writes no answers is said to write none."""
    distill = command_for(Target(model="x/DeepSeek-R1-0528-Qwen3-8B", served_name="r1"))
    assert not any("GB" in note or "mixture" in note for note in distill.notes)
    assert serving_of("deepseek-ai/DeepSeek-R1-0528").gpu_gb == 805
    embeds = command_for(Target(model="Qwen/Qwen3-Embedding-8B", served_name="e"))
    assert any("writes no answers" in note for note in embeds.notes)
    assert "--tool-call-parser" not in flags(embeds)
    assert "--tokenizer-mode" not in flags(
        command_for(Target(model="deepseek-ai/DeepSeek-V3.2-Exp", served_name="e"))
    )


def test_every_row_has_a_source_and_flags_in_pairs():
    """A row that says nothing about where it is from would be hearsay."""
    for serving in servings():
        assert serving.source, serving
        assert serving.match, serving
        assert len(serving.flags) % 2 == 0, serving


def test_flags_of_the_callers_own_replace_ours():
    """Nothing is said twice: what the caller says, in any spelling, stands alone."""
    target = target_of("deepseek-v3.2", Catalog.default())
    extra = ["--max_model_len=4096", "--port", "9000", "-tp", "4", "--host", "0.0.0.0"]
    command = command_for(target, gpus=8, extra=[*extra, "--no-enable-prefix-caching"])
    assert command.arguments[-len(extra) - 1 :] == (*extra, "--no-enable-prefix-caching")
    ours = flags(SimpleNamespace(arguments=command.arguments[: -len(extra) - 1]))
    assert not ours.keys() & {"--max-model-len", "--port", "--tensor-parallel-size", "--host"}
    assert "--enable-prefix-caching" not in ours
    assert command.base_url == "http://127.0.0.1:9000/v1"
    assert any("--enable-prefix-caching is switched off" in note for note in command.notes)


def test_an_address_of_version_six():
    """It stands in brackets in a URL."""
    assert command_for(Target(model="m", served_name="m"), host="::1").base_url == (
        "http://[::1]:8000/v1"
    )


@pytest.mark.parametrize("flag", ["--ssl-keyfile", "--ssl_certfile", "--ssl-keyfile=key.pem"])
def test_with_a_certificate_it_is_https(flag):
    """As the server that has one answers."""
    extra = [flag] if "=" in flag else [flag, "file.pem"]
    command = command_for(Target(model="m", served_name="m"), extra=extra)
    assert command.base_url == "https://127.0.0.1:8000/v1"


def test_a_unix_socket_has_no_address(cli, capsys):
    """None is printed that nobody listens at, and it is not run to be asked in vain."""
    words = ("vllm", "serve", "a/model")
    text = cli(*words, "--", "--uds", "/run/v.sock")
    assert "http" not in text
    assert "# --uds: it answers at a Unix socket alone" in text
    assert json.loads(cli(*words, "--json", "--", "--uds=/run/v.sock"))["url"] is None


def test_a_unix_socket_is_not_run(monkeypatch, capsys):
    """The error names the two that exclude each other."""
    monkeypatch.setattr(vllm, "_program", lambda *, running: ("/no/such",))
    assert main(["vllm", "serve", "a/model", "--run", "--", "--uds", "/run/v.sock"]) == 1
    assert "--uds: --run asks the server over TCP" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        *(["--port", "0"], ["--port", "65536"], ["--port", "-1"], ["--", "--port"]),
        *(["--", "--port=0"], ["--", "--port", "x"], ["--", "--port", "--seed", "1"]),
        *(["--", "--host"], ["--", "--api-key"], ["--", "--ssl-keyfile"], ["--", "--uds="]),
    ],
)
def test_flags_that_say_nothing_are_refused(words, capsys):
    """Where it will answer must be known before it is started."""
    assert main(["vllm", "serve", "a/model", *words]) == 1
    error = capsys.readouterr().err
    assert "ConfigError: --" in error
    assert "expected a" in error


def test_a_key_is_noted_and_not_in_the_repr():
    """It is for the server and for who asks it."""
    command = command_for(
        Target(model="m", served_name="m"), extra=["--api-key", "sk-secret", "sk-other"]
    )
    assert command.api_key == "sk-secret"
    assert "sk-" not in repr(command)
    assert any("VLLM_API_KEY" in note for note in command.notes)


def test_an_unknown_model_is_served_without_parsers(tmp_path):
    """Of a directory the name is its own; that its parsers are not known is said."""
    path = tmp_path / "my model"
    path.mkdir()
    command = command_for(target_of(str(path), Catalog.default()))
    assert "--max-model-len" not in flags(command)
    assert flags(command)["--served-model-name"] == "my model"
    assert f"'{path}'" in command.shell()
    assert any("parsers" in note for note in command.notes)
    named = ["--tool-call-parser", "x", "--reasoning-parser", "y"]
    assert not command_for(target_of(str(path), Catalog.default()), extra=named).notes


@pytest.mark.parametrize("model", ["no-such-model", "", "./nowhere", "a/b/c", "deepseek-flash"])
def test_what_is_no_model_is_refused(model):
    """The error says what would do."""
    with pytest.raises(ConfigError, match=r"directory with weights.*mixtral-8x7b"):
        target_of(model, Catalog.default())


@given(st.lists(st.text(st.characters(exclude_characters="\n")), min_size=1, max_size=4))
def test_the_shell_line_is_the_command(words):
    """Pasted into a shell the text gives the same arguments, whatever is in them."""
    target = Target(model=words[0], served_name=words[-1])
    command = command_for(target, extra=[f"--x={word}" for word in words])
    # shlex knows no line continuation; a shell drops these two characters.
    assert tuple(shlex.split(command.shell().replace(" \\\n", " "))) == command.arguments


def test_printed_for_a_shell_and_as_json(cli):
    """Notes are comments, so that all of it can be pasted; flags after -- are passed on."""
    text = cli("vllm", "serve", "mixtral-8x7b-instruct-v0.1", "--port", "9", "--", "--seed", "1")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    words = shlex.split("\n".join(lines).replace(" \\\n", " "))
    assert words[:3] == ["vllm", "serve", "mistralai/Mixtral-8x7B-Instruct-v0.1"]
    assert words[-2:] == ["--seed", "1"]
    assert "export VLLM_BASE_URL=http://127.0.0.1:9/v1" in text
    found = json.loads(cli("vllm", "serve", "mixtral-8x7b-instruct-v0.1", "--json"))
    assert found["url"] == "http://127.0.0.1:8000/v1"
    assert "--tool-call-parser" not in found["arguments"]


def test_vllm_that_is_missing(cli, capsys, monkeypatch):
    """Printing works anywhere; running names the extra."""
    monkeypatch.setattr(vllm, "find_spec", lambda name: None)
    monkeypatch.setattr(vllm.shutil, "which", lambda name: None)
    assert "vllm serve " in cli("vllm", "serve", "mixtral-8x7b-instruct-v0.1")
    assert main(["vllm", "serve", "mixtral-8x7b-instruct-v0.1", "--run"]) == 1
    assert "pip install 'centroute[vllm]'" in capsys.readouterr().err


def test_the_build_for_cpus_is_called_as_a_module(cli, monkeypatch):
    """Its distribution has another name, by which its own command cannot find itself."""

    def unknown(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(vllm, "find_spec", lambda name: SimpleNamespace(origin="here"))
    monkeypatch.setattr(vllm, "version", unknown)
    found = json.loads(cli("vllm", "serve", "mixtral-8x7b-instruct-v0.1", "--json"))
    assert found["arguments"][:5] == [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model"),
        "mistralai/Mixtral-8x7B-Instruct-v0.1",
    ]
