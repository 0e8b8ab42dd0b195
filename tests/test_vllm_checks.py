"""What `doctor` finds out about one's own servers: every answer is a finding."""

import json

import pytest
from wire import CUT, STALL, Answer, Wire
from wire_bodies import vllm_models

from router.cli import main
from router.transports.vllm.checks import check

V32 = "deepseek-ai/DeepSeek-V3.2"
CONFIG = (
    'vllm:cache_config_info{block_size="16",enable_prefix_caching="%s",num_gpu_blocks="1000"} 1.0'
)


def json_answer(body, status=200):
    return Answer((json.dumps(body).encode(),), status=status)


def usage(details):
    """A one-token answer with these details of its prompt."""
    counts = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": details}
    return json_answer({"choices": [], "usage": counts})


def said(**message):
    return json_answer({"choices": [{"index": 0, "message": message}], "usage": {}})


SSE = Answer((b'data: {"choices":[]}\n\n', b"data: [DONE]\n\n"), content_type="text/event-stream")
SOUND = {
    "models": vllm_models(**{V32: 163840}),
    "/version": json_answer({"version": "0.32.0"}),
    "/metrics": Answer(((CONFIG % "True").encode(),)),
    "details": usage({"cached_tokens": 0}),
    "tools": said(content="x"),
    "reasoning": said(content=None, reasoning="hmm"),
    "load": SSE,
    "/load": json_answer({"server_load": 1}),
}


class Telling(Wire):
    """Also says how it is, where that is scripted; `counts` the open requests, if told to."""

    counts = False

    def take(self, seen):
        if seen.path.endswith("/metrics") and self._script[seen.path]:
            self.seen.append(seen)
            return self._script[seen.path].popleft()
        if seen.path.endswith("/load") and self.counts:
            self.seen.append(seen)
            return json_answer({"server_load": 0 if self.gone.wait(0.2) else 1})
        return super().take(seen)


@pytest.fixture
def wire():
    with Telling() as server:
        yield server
    assert not server.unscripted


@pytest.fixture
def findings(wire):
    """Checks a server that answers as `SOUND` does but for what is given; what was found."""

    def run(kind="vllm", *, contexts=None, others=(), chat=None, **given):
        wire.models("own", given.pop("models", SOUND["models"]))
        own = {name.replace("_", "/", 1): answer for name, answer in given.items()}
        answers = SOUND | own
        for path in ("/version", "/metrics", "/load", *others):
            if path in answers:
                wire._script[f"/own{path}"].append(answers[path])
        asked = chat or [answers[name] for name in ("details", "tools", "reasoning", "load")]
        wire.script("own", *asked)
        found = list(check(kind, wire.url("own"), "sk-own", contexts=contexts))
        assert not any("sk-own" in f.finding for f in found)
        return {f.what: (f.state, f.finding) for f in found}

    return run


def test_a_sound_server_is_found_sound(findings, wire):
    """All that matters is asked for, with the key, and found."""
    found = findings(contexts={V32: 163840})
    assert {state for state, _ in found.values()} == {"ok"}
    assert found.keys() == {
        *("model", "version", "prefix cache", "KV cache", "cached tokens"),
        *("tool calls", "reasoning", "load"),
    }
    assert (
        found["KV cache"][1] == "16,000 tokens in 1,000 blocks of 16: 0.1 prompts of full length"
    )
    assert {seen.headers["authorization"] for seen in wire.seen} == {"Bearer sk-own"}
    bodies = [seen.body for seen in wire.calls("own")]
    assert [b["max_tokens"] for b in bodies] == [1, 1, 16, 64]
    assert bodies[1]["tool_choice"] == "auto"
    assert bodies[2]["chat_template_kwargs"]["thinking"] is True


def test_a_request_is_open_while_it_is_counted(findings, wire):
    """The stream that is counted is kept until `/load` has answered."""
    wire.counts = True
    first = Answer((b'data: {"choices":[]}\n\n', STALL), content_type="text/event-stream")
    found = findings(load=first)
    assert found["load"] == ("ok", "/load counts open requests")
    assert wire.gone.wait(5)  # and given up then


def metrics(text, **how):
    return {"_metrics": Answer((text.encode(),), **how)}


@pytest.mark.parametrize(
    ("given", "what", "state", "says"),
    [
        (metrics(CONFIG % "False"), "prefix cache", "wrong", "--enable-prefix-caching"),
        (metrics("# nothing\n"), "prefix cache", "wrong", "is this a vLLM server"),
        (metrics("no", status=404), "/metrics", "wrong", "HTTP 404"),
        ({"_metrics": Answer((CUT,), raw=True)}, "/metrics", "wrong", "does not answer"),
        ({"_version": json_answer({"version": "0.11.2"})}, "version", "wrong", "needs 0.18.0"),
        ({"_version": json_answer([])}, "version", "note", "tells none"),
        ({"details": usage(None)}, "cached tokens", "wrong", "--enable-prompt-tokens-details"),
        ({"details": json_answer({}, 500)}, "answer", "wrong", "HTTP 500"),
        ({"tools": json_answer({}, 400)}, "tool calls", "wrong", "-parser deepseek_v32"),
        ({"tools": json_answer({}, 503)}, "tool calls", "wrong", "HTTP 503"),
        ({"reasoning": said(content="So")}, "reasoning", "wrong", "-parser deepseek_v3"),
        ({"reasoning": json_answer({"choices": []})}, "reasoning", "wrong", "failed"),
        ({"_load": json_answer({"server_load": 0})}, "load", "note", "--enable-server-load-tr"),
        ({"_load": json_answer("?")}, "answer", "wrong", "no number"),
    ],
)
def test_what_a_server_lacks(findings, given, what, state, says):
    """One thing is wrong: it is found, and what to do is said; the rest is found as it is."""
    found = findings(**given)
    assert found[what][0] == state
    assert says in found[what][1]


@pytest.mark.parametrize(
    ("models", "says"),
    [
        (Answer((b"<html>",)), "does not answer with JSON"),
        (json_answer([1]), "no list of models"),
        (json_answer({"data": []}), "serves no model"),
        (Answer((b"{}",), status=401), "HTTP 401"),
        (Answer((STALL,)), "does not answer (ReadTimeout)"),
    ],
)
def test_a_server_without_models_is_asked_nothing_more(wire, monkeypatch, models, says):
    """One finding says what went wrong."""
    monkeypatch.setattr("router.transports.vllm.probe._SECONDS", 0.2)
    wire.models("own", models)
    (found,) = check("vllm", wire.url("own"))
    assert (found.state, found.what) == ("wrong", "models")
    assert says in found.finding


def test_a_server_that_is_not_there():
    """So is one that nobody listens for; a password in its address is not shown."""
    (found,) = check("vllm", "http://me:secret@127.0.0.1:1/v1")
    assert found.state == "wrong"
    assert "secret" not in found.finding
    (found,) = check("vllm", "http://[::1")
    assert found.state == "wrong"


def test_what_the_catalogue_says_of_the_model(findings):
    """A shorter context than the catalogue's is told, and an id that it does not have."""
    state, says = findings(models=vllm_models(**{V32: 4096}), contexts={V32: 163840})["model"]
    assert (state, "context_tokens" in says) == ("note", True)


def test_a_model_the_catalogue_does_not_have(findings):
    """It has no price; of an unknown model nothing is known about parsers, so nothing is wrong."""
    found = findings(
        models=vllm_models(mine=4096),
        contexts={V32: 1},
        chat=[SOUND["details"], json_answer({}, 400), SSE],
    )
    assert found["model"][0] == found["tool calls"][0] == "note"
    assert "no price" in found["model"][1]
    assert "reasoning" not in found


def test_a_sound_sglang(findings):
    """Its own words for the same things."""
    info = {
        "version": "0.5.9",
        "disable_radix_cache": False,
        "page_size": 1,
        "enable_metrics": True,
        "enable_cache_report": True,
        "tool_call_parser": "deepseekv32",
        "reasoning_parser": "deepseek-v3",
    }
    pages = {"others": ["/server_info"], "_server_info": json_answer(info)}
    found = findings("sglang", chat=[SOUND["details"]], **pages)
    assert {state for state, _ in found.values()} == {"ok"}
    assert found.keys() == {"model", "version", "prefix cache", "cached tokens"}


def test_an_sglang_without_its_options(wire):
    """Each option that is missing is named; the older name of the page is tried, too."""
    info = {
        "disable_radix_cache": True,
        "enable_metrics": False,
        "enable_cache_report": False,
        "tool_call_parser": None,
        "reasoning_parser": None,
    }
    wire.models("own", vllm_models(**{V32: 163840}))
    wire._script["/own/server_info"].append(Answer((b"{}",), status=404))
    wire._script["/own/get_server_info"].append(json_answer(info))
    found = {f.what: f for f in check("sglang", wire.url("own"))}
    for what, flag in (
        ("prefix cache", "--disable-radix-cache"),
        ("/metrics", "--enable-metrics"),
        ("tool call parser", "--tool-call-parser"),
        ("reasoning parser", "--reasoning-parser"),
        ("cached tokens", "--enable-cache-report"),
    ):
        assert found[what].state in {"wrong", "note"}
        assert flag in found[what].finding


def test_a_llamacpp(wire):
    """Slots, metrics and cached tokens; a server that tells none of it is no crash."""
    props = {"default_generation_settings": {"n_ctx": 8192}, "total_slots": 2}
    wire.models("own", vllm_models(smol=None))
    wire._script["/own/props"].append(json_answer(props))
    wire._script["/own/metrics"].append(Answer((b"llamacpp:x 1\n",)))
    wire.script("own", SOUND["details"])
    found = {f.what: f for f in check("llamacpp", wire.url("own"))}
    assert {f.state for f in found.values()} == {"ok"}
    assert found["slots"].finding.startswith("2, each of 8,192 tokens")
    wire.models("own", vllm_models(smol=None))
    wire._script["/own/props"].append(json_answer({}))
    wire._script["/own/metrics"].append(Answer((b"{}",), status=501))
    wire.script("own", usage(None))
    found = {f.what: f for f in check("llamacpp", wire.url("own"))}
    assert [found[w].state for w in ("/props", "/metrics", "cached tokens")] == [
        *("note", "note", "wrong")
    ]


def test_an_ollama(wire):
    """It does not tell what was cached: worth knowing, and nothing to be done about."""
    wire.models("own", vllm_models(smol=None))
    wire._script["/own/api/version"].append(json_answer({"version": "0.12.0"}))
    wire.script("own", usage(None))
    found = {f.what: f for f in check("ollama", wire.url("own"))}
    assert (found["version"].finding, found["cached tokens"].state) == ("0.12.0", "note")


@pytest.mark.parametrize("body", [b"", b"null", b"[[", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_junk_from_every_page(wire, body):
    """Whatever a server sends, it becomes findings."""
    pages = (
        "version metrics load server_info get_server_info props api/version v1/chat/completions"
    )
    for kind in ("vllm", "sglang", "llamacpp", "ollama"):
        wire.models("own", vllm_models(**{V32: 1}))
        for page in pages.split():
            wire._script[f"/own/{page}"] = _Endless(Answer((body,)))
        found = list(check(kind, wire.url("own")))
        assert {f.state for f in found} >= {"ok"}
        assert any(f.state != "ok" for f in found)


class _Endless:
    """A queue that always has the same answer."""

    def __init__(self, answer):
        self._answer = answer

    def popleft(self):
        return self._answer

    def append(self, answer):
        self._answer = answer

    def extend(self, answers):
        pass


def test_doctor_checks_every_replica(wire, monkeypatch, capsys, tmp_path):
    """Each is asked; one that is down is wrong and does not hide the others."""
    monkeypatch.setenv("CENTROUTE_LEDGER", str(tmp_path / "ledger.sqlite3"))
    monkeypatch.setenv("LLAMACPP_BASE_URL", f"{wire.url('own')},http://127.0.0.1:1/v1")
    props = {"default_generation_settings": {"n_ctx": 8192}, "total_slots": 1}
    wire.models("own", vllm_models(smol=None))
    wire._script["/own/props"].append(json_answer(props))
    wire._script["/own/metrics"].append(Answer((b"x 1\n",)))
    wire.script("own", SOUND["details"])
    assert main(["doctor", "--json"]) == 1
    found = {f["what"]: f for f in json.loads(capsys.readouterr().out)}
    assert found[f"llamacpp {wire.url('own')}: cached tokens"]["state"] == "ok"
    assert found["llamacpp http://127.0.0.1:1/v1: models"]["state"] == "wrong"
