"""What a self-hosted server says that it serves, and what becomes of it."""

from datetime import UTC, datetime

import pytest
from wire import CUT, STALL, Answer
from wire_bodies import refusal, vllm_models

from router import Client
from router.catalog import Catalog
from router.errors import NoCandidateError
from router.testing import MockTransport, reply
from router.transports.access import Access
from router.transports.discovery import ask, overlay_for, read_models

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
V32 = "deepseek-ai/DeepSeek-V3.2"
USER = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def hosts():
    return Catalog.default().hosts


def served(wire, hosts, name="vllm", **access):
    return ask(name, hosts[name], Access(base_urls={name: wire.url(name)}, **access))


def test_models_and_contexts_are_read(wire, hosts):
    """vLLM tells max_model_len; where a server does not, a cautious context is assumed."""
    wire.models("vllm", vllm_models(**{V32: 163840, "llama": None}))
    found = served(wire, hosts, keys={"vllm": "k"})
    assert found.models == {V32: 163840, "llama": 8192}
    assert found.problem == ""
    assert wire.seen[0].headers["authorization"] == "Bearer k"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (refusal(401, {"error": "Unauthorized"}), "answers HTTP 401"),
        (refusal(404, {"detail": "Not Found"}), "answers HTTP 404"),
        (Answer((b"<html>",)), "does not answer with a list of models"),
        (Answer((b"[1]",)), "does not answer with a list of models"),
        (Answer((b"null",)), "does not answer with a list of models"),
        (Answer((b'{"data": [{}]}',)), "does not answer with a list of models"),
        (Answer((b'{"data": ["x"]}',)), "does not answer with a list of models"),
        (Answer((b'{"data": [{"id": "x", "max_model_len": "many"}]}',)), "a list of models"),
        (Answer((b"\xff",)), "does not answer with a list of models"),
        (Answer((CUT,), raw=True), "does not answer (RemoteProtocolError)"),
        (Answer((STALL,)), "does not answer (ReadTimeout)"),
    ],
)
def test_a_server_that_does_not_tell_is_a_problem_not_a_crash(
    wire, hosts, monkeypatch, answer, says
):
    """Every failure becomes one line in words; nothing is raised."""
    monkeypatch.setattr("router.transports.discovery._SECONDS", 0.2)
    wire.models("vllm", answer)
    found = served(wire, hosts)
    assert found.models == {}
    assert says in found.problem


def test_a_server_that_is_not_there(hosts):
    """Connection refused says which address does not answer."""
    found = ask("vllm", hosts["vllm"], Access(base_urls={"vllm": "http://127.0.0.1:1/v1"}))
    assert found.problem == "http://127.0.0.1:1/v1 does not answer (ConnectError)"


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": []}])
def test_no_models_are_no_models(body):
    """An empty list is an answer."""
    assert read_models(body) == {}


def overlaid(models):
    catalog = Catalog.default()
    return catalog.overlay(overlay_for("vllm", models, catalog))


def test_listed_ids_need_no_rows():
    """What the catalogue knows at this host stays as it is."""
    assert overlay_for("vllm", {V32: 163840}, Catalog.default()) == {"model": [], "endpoint": []}


@pytest.mark.parametrize(
    ("model_id", "name"),
    [
        ("org/Smol MoE (v2)", "smol-moe-v2"),
        ("/data/llama/", "llama"),
        ("数学", "model"),
        ("qwen2.5:7b", "qwen2.5-7b"),
        ("...", "model"),
    ],
)
def test_any_id_gets_a_name(model_id, name):
    """Local paths, tags and other scripts make a candidate whose wire id is unchanged."""
    (candidate,) = overlaid({model_id: 4096}).find(f"{name}@vllm", at=NOW)
    assert candidate.model_id == model_id
    assert candidate.context_tokens == candidate.max_output_tokens == 4096
    assert overlaid({model_id: 4096}).rates(candidate, NOW) is None


def test_ids_that_share_a_name_are_all_kept():
    """Two organisations' models of one name are two candidates."""
    catalog = overlaid({"a/Foo": 10, "b/foo": 20, "b_foo": 30, "b foo": 40})
    found = {
        c.model_id: c.name
        for c in catalog.candidates(at=NOW, hosts=["vllm"])
        if c.context_tokens <= 40
    }
    assert found == {
        "a/Foo": "foo@vllm",
        "b/foo": "b-foo@vllm",
        "b_foo": "b_foo@vllm",
        "b foo": "b-foo-2@vllm",
    }


def test_a_known_model_from_a_local_directory_keeps_what_is_known_of_it():
    """`vllm serve /models/DeepSeek-V3.2`: the same modes and switch, the id that is served."""
    catalog = overlaid({"/models/DeepSeek-V3.2": 32768})
    chat, thinking = (
        catalog.candidate(name, at=NOW)
        for name in ("deepseek-v3.2@vllm", "deepseek-v3.2:thinking@vllm")
    )
    assert chat.model_id == thinking.model_id == "/models/DeepSeek-V3.2"
    assert thinking.request_extra == {"chat_template_kwargs": {"thinking": True}}
    assert chat.context_tokens == 32768
    elsewhere = catalog.candidate("deepseek-v3.2:thinking@deepinfra", at=NOW)
    assert elsewhere == Catalog.default().candidate(elsewhere.name, at=NOW)


def test_a_model_that_other_hosts_serve_is_offered_without_thinking():
    """How this server would switch thinking on is not known, so only chat is offered."""
    catalog = overlaid({"/models/DeepSeek-V4-Pro": 32768})
    assert [c.name for c in catalog.candidates(at=NOW, hosts=["vllm"]) if "v4-pro" in c.name] == [
        "deepseek-v4-pro@vllm"
    ]
    assert catalog.models["deepseek-v4-pro"].modes == ("chat", "thinking")


def test_a_client_asks_once_and_says_why_a_model_is_not_there(wire, clock):
    """Asking for what the server does not serve names what it does serve."""
    wire.models("vllm", vllm_models(**{"org/Smol": 4096}))
    with Client(
        base_urls={"vllm": wire.url("vllm")},
        hosts=["vllm"],
        ledger=":memory:",
        now=clock,
        transport=MockTransport(reply("Hi")),
    ) as client:
        for _ in range(2):
            with pytest.raises(NoCandidateError, match="serves org/Smol"):
                client.chat.completions.create(USER, model="deepseek-v3.2@vllm")
        assert client.chat.completions.create(USER, model="smol@vllm").text == "Hi"
    assert [s.path for s in wire.seen] == ["/vllm/v1/models"]
