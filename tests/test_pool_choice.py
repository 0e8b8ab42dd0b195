"""To which replica a call goes: the rule itself, over any loads and caches."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.prompts.blocks import Chain
from router.transports.vllm import Choice, Pool, keys_of
from router.transports.vllm.choice import best

URLS = tuple(f"http://r{i}:8000/v1" for i in range(4))
KEYS = (b"kind", b"own")


def choice(i, cost, cached=0, load=0):
    return Choice(URLS[i], cached, 0.0, cost, cost, load)


choices = st.lists(
    st.tuples(st.floats(0, 100, allow_nan=False), st.integers(0, 10**5), st.integers(0, 200)),
    min_size=1,
    max_size=4,
).map(lambda rows: [choice(i, *row) for i, row in enumerate(rows)])


@given(choices, st.binary(max_size=8))
def test_nobody_queues_for_longer_than_a_miss_elsewhere_costs(found, key):
    """Whatever is warm where: the cost is within 5 % and 10 ms of the cheapest."""
    chosen = best(found, (key,))
    assert chosen.cost <= min(c.cost for c in found) * 1.05 + 0.010 + 1e-9


@given(choices, st.binary(max_size=8))
def test_among_equals_the_warmest(found, key):
    """No other that costs as little has a block more in its cache."""
    chosen = best(found, (key,))
    limit = min(c.cost for c in found) * 1.05 + 0.010
    assert chosen.cached > max(c.cached for c in found if c.cost <= limit) - 16


@given(choices, st.binary(max_size=8), st.randoms())
def test_the_order_of_replicas_does_not_matter(found, key, draw):
    """So that processes with other lists of the same replicas agree."""
    turned = list(found)
    draw.shuffle(turned)
    assert best(turned, (key,)) == best(found, (key,))


def test_a_warm_cache_draws_a_call_until_its_queue_costs_more():
    """A hit worth a second waits for less than a second, and no longer."""
    cold = choice(1, 1.0, cached=0)
    for wait, chosen in ((0.0, 0), (0.9, 0), (1.0, 0), (1.2, 1), (60.0, 1)):
        assert best([choice(0, wait, cached=1000), cold], KEYS).url == URLS[chosen]


def test_equals_share_conversations_and_keep_them():
    """Each conversation has one home; the homes of many are spread evenly."""
    found = [choice(i, 0.1) for i in range(4)]
    homes = {n: best(found, (b"%d" % n,)).url for n in range(400)}
    assert {n: best(found, (b"%d" % n,)).url for n in range(400)} == homes
    assert min(Counter(homes.values()).values()) > 70


def test_a_home_that_is_gone_moves_only_its_own_conversations():
    """Rendezvous hashing: all others stay where they are."""
    found = [choice(i, 0.1) for i in range(4)]
    before = {n: best(found, (b"%d" % n,)).url for n in range(200)}
    after = {n: best(found[:3], (b"%d" % n,)).url for n in range(200)}
    assert {n for n in before if before[n] != after[n]} == {
        n for n in before if before[n] == URLS[3]
    }


def test_a_home_with_more_than_its_share_sends_on_by_conversation():
    """The kind's home takes its share of load; then each conversation has another home."""
    home = URLS.index(best([choice(i, 0.1) for i in range(4)], (b"kind",)).url)
    full = [choice(i, 0.1, load=9 if i == home else 2) for i in range(4)]
    others = {best(full, (b"kind", b"%d" % n)).url for n in range(50)}
    assert others == set(URLS) - {URLS[home]}


def test_another_process_agrees(tmp_path):
    """Keys are digests of text, without a salt of the process."""
    import subprocess
    import sys

    code = (
        "from router.transports.vllm import keys_of\n"
        "print([k.hex() for k in keys_of([{'role': 'user', 'content': 'Hi'}], [{'a': 1}])])"
    )
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    ours = [key.hex() for key in keys_of([{"role": "user", "content": "Hi"}], [{"a": 1}])]
    assert [each.stdout.strip() for each in said] == [str(ours)] * 2


SYSTEM = {"role": "system", "content": "You are a helpful clerk. " * 200}


def user(text):
    return {"role": "user", "content": text}


def test_what_names_a_conversation():
    """Its kind is the same for all with one system prompt, its own key for all of its turns."""
    first = keys_of([SYSTEM, user("Where is my parcel?")])
    later = keys_of(
        [SYSTEM, user("Where is my parcel?"), {"role": "assistant", "content": "?"}, user("Here")]
    )
    other = keys_of([SYSTEM, user("Who are you?")])
    assert first == later
    assert first[0] == other[0]
    assert first[1] != other[1]
    assert keys_of([user("Hi")], [{"name": "t"}]) != keys_of([user("Hi")])


@pytest.mark.parametrize("messages", [[], [SYSTEM], [{"role": "user", "content": "\ud800"}]])
def test_any_messages_have_keys(messages):
    """None, none of a user, text that UTF-8 cannot hold."""
    assert [len(key) for key in keys_of(messages)] == [16, 16]


def test_a_pool_without_replicas_that_may_take_calls():
    """All are drained by the application: nobody."""
    pool = Pool("vllm", URLS[:2], clock=lambda: 0.0)
    for url in URLS[:2]:
        pool.drain(url)
    assert pool.choose(Chain(b"", 9), "", 9, lambda _: 0) is None
    assert not pool.elsewhere("", ())
    pool.undrain(URLS[1])
    assert pool.choose(Chain(b"", 9), "", 9, lambda _: 0).url == URLS[1]
    with pytest.raises(KeyError):
        pool.drain("http://stranger/v1")
