"""A client that is closed: what its ledger can still tell, and what it cannot."""

import pytest

from router import AsyncClient, Client, LedgerError, SQLiteLedger, recorded_prompts

ASK = [{"role": "user", "content": recorded_prompts(source="zeroeval")[0].prompt}]
READS = {
    "report": lambda client: client.report(),
    "accuracy": lambda client: client.accuracy(),
    "focus": lambda client: client.focus(),
    "status": lambda client: client.budgets.status(),
    "history": lambda client: client.budgets.history(),
    "ledger": lambda client: client.ledger,
    "plan": lambda client: client.plan(ASK),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_ledger_in_memory_is_gone(read):
    """No report is empty that was not: it says that the ledger is gone, and how one is kept."""
    with Client(ledger=":memory:", budgets="1") as client:
        client.chat.completions.create(ASK)
        assert len(client.report()) == 1
    with pytest.raises(LedgerError, match=r"in memory, is gone.*Client\(ledger='"):
        read(client)


async def test_of_an_async_client():
    """The same of the other client."""
    async with AsyncClient(ledger=":memory:") as client:
        await client.chat.completions.create(ASK)
    with pytest.raises(LedgerError, match="in memory, is gone"):
        client.report()


def test_feedback_after_it_learns_nothing():
    """What cannot be kept is not learned either."""
    with Client(ledger=":memory:") as client:
        made = client.chat.completions.create(ASK)
    with pytest.raises(LedgerError, match="in memory, is gone"):
        client.feedback(made.route.request_id, 1.0)


@pytest.mark.parametrize("kind", ["file", "handed in"])
def test_what_is_kept_can_be_read(tmp_path, kind):
    """A file is opened again, and a ledger that was handed in was never closed."""
    ledger = tmp_path / "l.sqlite3" if kind == "file" else SQLiteLedger(":memory:")
    with Client(ledger=ledger) as client:
        client.chat.completions.create(ASK)
    assert len(client.report()) == 1
    client.ledger.close()


def test_a_stream_that_outlives_its_client():
    """One that began before is settled with the ledger it began with."""
    client = Client(ledger=":memory:")
    stream = client.chat.completions.create(ASK, stream=True)
    next(stream)
    client.close()
    assert list(stream)
    assert stream.route.cost.pico > 0
