"""Which candidates a client chooses from: by keys, hosts and names."""

import os

import pytest

from router import (
    AsyncClient,
    Client,
    MissingKeyError,
    NoCandidateError,
    SQLiteLedger,
    recorded_prompts,
)
from router.testing import AsyncMockTransport, reply

ASK = [{"role": "user", "content": "Hi"}]


def names(client, model="auto"):
    return {c.name for c in client.candidates(model)}


def test_without_a_key_recordings_answer():
    """Nothing configured: every candidate is a recording."""
    assert {c.host for c in Client(ledger=":memory:").candidates()} == {"replay"}


def test_a_key_takes_the_recordings_place():
    """With a key, "auto" is that host's candidates and no recording."""
    client = Client(keys={"deepinfra": "secret"}, ledger=":memory:")
    assert "deepseek-v3.2@deepinfra" in names(client)
    assert {c.host for c in client.candidates()} == {"deepinfra"}
    # and a model that only a recording has is still found by its name
    assert names(client, "deepseek-v2.5") == {"deepseek-v2.5@replay"}


@pytest.mark.parametrize("hosts", ["deepinfra", ["deepinfra"]])
def test_hosts_narrow_the_choice(hosts):
    """One host as text or several in a list; the others are out."""
    client = Client(hosts=hosts, keys={"deepinfra": "k", "novita": "k"}, ledger=":memory:")
    assert {c.host for c in client.candidates()} == {"deepinfra"}
    assert names(client, "deepseek-v3.2") == {"deepseek-v3.2@deepinfra"}


def test_candidates_are_what_auto_means():
    """`candidates=` is the portfolio; "auto" among them is the one without it."""
    two = ["deepseek-v2.5@replay", "mixtral-8x7b-instruct-v0.1@replay"]
    assert names(Client(candidates=two, ledger=":memory:")) == set(two)
    everything = names(Client(ledger=":memory:"))
    assert names(Client(candidates=["auto"], ledger=":memory:")) == everything


def test_planning_needs_no_key():
    """A plan may choose among candidates whose hosts are not configured; a call may not."""
    client = Client(candidates=["deepseek-v3.2@novita", "deepseek-v3.2@gmi"], ledger=":memory:")
    assert set(client.plan(ASK).forecasts) == {"deepseek-v3.2@novita", "deepseek-v3.2@gmi"}
    with pytest.raises(MissingKeyError, match="NOVITA_API_KEY"):
        client.chat.completions.create(ASK)


def test_planning_at_chosen_hosts_needs_no_key():
    """The same where only hosts are named."""
    planned = Client(hosts="novita", ledger=":memory:").plan(ASK)
    assert {name.rpartition("@")[2] for name in planned.forecasts} == {"novita"}


def test_a_ledger_that_was_handed_in_stays_open():
    """It is its owner's to close: two clients can share one, in memory too."""
    shared = SQLiteLedger(":memory:")
    question = [{"role": "user", "content": recorded_prompts(source="zeroeval")[0].prompt}]
    with Client(ledger=shared) as client:
        client.chat.completions.create(question)
    assert [entry.kind for entry in shared.entries()] == ["settle"]
    assert Client(ledger=shared).report("model").total > 0


def test_a_missing_key_is_one_that_would_help():
    """Only hosts that the client may use are named, each with its variable."""
    client = Client(hosts=["gmi", "novita"], ledger=":memory:")
    with pytest.raises(MissingKeyError) as caught:
        client.candidates("deepseek-v3.2")
    assert "NOVITA_API_KEY" in str(caught.value)
    assert "GMI_API_KEY" in str(caught.value)
    assert "AZURE" not in str(caught.value)


def test_a_model_that_the_hosts_do_not_serve():
    """A model known elsewhere says that these hosts do not serve it."""
    client = Client(hosts=["novita"], keys={"novita": "k"}, ledger=":memory:")
    with pytest.raises(NoCandidateError, match="not served by the hosts of this client"):
        client.candidates("deepseek-v3.2-speciale")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_an_async_client_lives_on_in_a_fork(tmp_path):
    """Its ledger thread does not exist in the child: the child gets one of its own."""
    question = [{"role": "user", "content": recorded_prompts(source="zeroeval")[0].prompt}]
    client = AsyncClient(ledger=tmp_path / "l.sqlite3", budgets="1")
    await client.chat.completions.create(question)
    child = os.fork()
    if not child:
        import asyncio
        import signal

        signal.alarm(20)
        asyncio._set_running_loop(None)
        try:
            asyncio.new_event_loop().run_until_complete(client.chat.completions.create(question))
        except BaseException:  # noqa: BLE001 - whatever it is, the parent is told
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]  # noqa: ASYNC222 - nothing else runs on this loop
    assert os.waitstatus_to_exitcode(status) == 0
    assert sum(row["requests"] for row in client.report("model")) == 2
    await client.close()


async def test_both_clients_share_a_portfolio_of_mocks():
    """The mock transport of `router.testing` serves an `AsyncClient`, too."""
    transport = AsyncMockTransport(reply("Hello"))
    async with AsyncClient(transport=transport, keys={"novita": "k"}, ledger=":memory:") as client:
        answer = await client.chat.completions.create(ASK, model="deepseek-v3.2@novita")
    assert answer.text == "Hello"
    assert transport.calls[0].candidate.name == "deepseek-v3.2@novita"
