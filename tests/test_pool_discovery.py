"""Several replicas of one host are asked what they serve; the living answer for it."""

import pytest
from wire_bodies import refusal, vllm_models

from router.catalog import Catalog
from router.transports.access import Access
from router.transports.discovery import ask

DEAD = "http://127.0.0.1:1/v1"


@pytest.fixture
def host():
    return Catalog.default().hosts["vllm"]


def served(host, *urls):
    return ask("vllm", host, Access(base_urls={"vllm": list(urls)}, keys={"vllm": "k"}))


def test_the_models_of_all_that_live(wire, host):
    """Each model with the least context that any of them gives it; the key goes to all."""
    wire.models("a", vllm_models(m=4096, only=100))
    wire.models("b", vllm_models(m=2048))
    found = served(host, wire.url("a"), wire.url("b"), DEAD)
    assert (found.models, found.problem) == ({"m": 2048, "only": 100}, "")
    assert found.replicas[wire.url("a")].models == {"m": 4096, "only": 100}
    assert found.replicas[wire.url("b")].models == {"m": 2048}
    assert found.replicas[DEAD].problem == f"{DEAD} does not answer (ConnectError)"
    assert [seen.headers["authorization"] for seen in wire.seen] == ["Bearer k"] * 2


def test_all_that_fail_are_named(wire, host):
    """If none answers, why each of them does not."""
    wire.models("a", refusal(401, {"error": "Unauthorized"}))
    found = served(host, wire.url("a"), DEAD)
    assert found.models == {}
    assert found.problem == (
        f"{wire.url('a')}/models answers HTTP 401; {DEAD} does not answer (ConnectError)"
    )


def test_a_single_address_is_as_before(wire, host):
    """One answer, which is also that of its one replica."""
    wire.models("a", vllm_models(m=4096))
    found = served(host, wire.url("a"))
    assert (found.models, list(found.replicas)) == ({"m": 4096}, [wire.url("a")])


def test_no_problem_shows_a_password(host):
    """Addresses are told without user and password."""
    found = served(host, "http://user:s3cret@127.0.0.1:1/v1", DEAD)
    assert "s3cret" not in found.problem
    assert "http://127.0.0.1:1/v1 does not answer" in found.problem
