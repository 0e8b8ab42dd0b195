"""What is expected of hosts' prefix caches, rule by rule, and what their answers correct."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from router.prompts.blocks import chain_of
from router.prompts.prefix import PrefixIndex
from router.prompts.rule import CacheRule
from router.prompts.tree import Tree

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
VLLM = CacheRule(unit_tokens=16, min_tokens=16, holds_output=True, recomputes_tokens=1)
V3 = CacheRule(unit_tokens=64, min_tokens=64, builds_seconds=5, lives_seconds=7200)
OPENAI = CacheRule(unit_tokens=128, min_tokens=1024, builds_seconds=1, lives_seconds=300)


def after(seconds):
    return NOW + timedelta(seconds=seconds)


def chain(tokens, last=0):
    """So many tokens, of which the first are always the same and so many `last` are not."""
    return chain_of([*range(tokens - last), *(7_000 + n for n in range(last))])


def answered(index, rule, sent, at, *, read=0, place="m@h", tokens=None, salt="", **more):
    expected = index.look(place, rule, sent, at, salt)
    index.sent(place, rule, sent, at, salt)
    index.answered(
        place,
        rule,
        sent,
        at,
        salt,
        input_tokens=sent.tokens if tokens is None else tokens,
        cache_read_tokens=read,
        expected=expected,
        **more,
    )


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, 0), (4.9, 0), (5, 960), (7200, 960), (7200.1, 0), (-60, 0)]
)
def test_a_cache_is_built_in_seconds_and_lives_for_hours(seconds, expected):
    """Units of 64 tokens, from five seconds to two hours after its last use."""
    index = PrefixIndex()
    answered(index, V3, chain(1000), NOW)
    assert index.expected("m@h", V3, chain(1200, 200), after(seconds)) == expected


@pytest.mark.parametrize(
    ("rule", "sent", "asked", "expected"),
    [
        (VLLM, 100, 100, 96),
        (VLLM, 96, 96, 80),  # the last token is always computed
        (VLLM, 96, 200, 96),
        (VLLM, 15, 15, 0),
        (replace(VLLM, unit_tokens=128, min_tokens=128), 300, 400, 256),
        (replace(VLLM, unit_tokens=1), 333, 400, 320),  # we know whole blocks of 16
        (V3, 63, 100, 0),
        (V3, 64, 100, 64),
        (OPENAI, 1023, 2000, 0),
        (OPENAI, 1100, 2000, 1024),
        (OPENAI, 1200, 2000, 1152),
    ],
)
def test_rules_of_hosts(rule, sent, asked, expected):
    """Each host reads whole units of its own, from its own minimum on."""
    index = PrefixIndex()
    answered(index, rule, chain_of(range(sent)), NOW)
    assert index.expected("m@h", rule, chain_of(range(asked)), after(10)) == expected


def test_prompts_on_their_way_are_shared_where_caches_need_no_time():
    """vLLM reads what another request computes right now; DeepSeek needs it answered."""
    for rule, expected in ((VLLM, 992), (V3, 0)):
        index = PrefixIndex()
        index.sent("m@h", rule, chain(1000), NOW)
        assert index.expected("m@h", rule, chain(1000), after(60)) == expected


def test_places_and_salts_are_apart():
    """Another model, host or tenant has a cache of its own."""
    index = PrefixIndex()
    answered(index, VLLM, chain(1000), NOW, salt="a")
    sent = chain(1000)
    assert index.expected("m@h", VLLM, sent, NOW, "a") == 992
    assert index.expected("m@h", VLLM, sent, NOW, "b") == 0
    assert index.expected("m@h", VLLM, sent, NOW) == 0
    assert index.expected("m@elsewhere", VLLM, sent, NOW, "a") == 0


def test_answers_are_kept_where_the_host_keeps_them():
    """vLLM reads the answer of the turn before; DeepSeek's V3 cache computes it again."""
    for rule, expected in ((VLLM, 1184), (replace(V3, builds_seconds=0), 960)):
        index = PrefixIndex()
        answered(index, rule, chain(1000), NOW, whole=chain_of(range(1200)), output_tokens=200)
        assert index.expected("m@h", rule, chain_of(range(1300)), after(10)) == expected


def test_another_vocabulary():
    """A host that counts a quarter more tokens reads a quarter more from its cache."""
    index = PrefixIndex()
    answered(index, VLLM, chain(800), NOW, tokens=1000)
    assert index.expected("m@h", VLLM, chain(1600, 800), after(1)) == 1000 // 16 * 16


def test_what_a_host_says_of_a_shared_head_is_believed():
    """Its own count of a prefix, once told, is expected of the next that parts there."""
    index = PrefixIndex()
    answered(index, VLLM, chain(1000, 200), NOW, tokens=1100)
    answered(index, VLLM, chain_of([*range(800), *range(9_000, 9_200)]), after(1), read=848)
    found = index.expected("m@h", VLLM, chain_of([*range(800), *range(5_000, 5_400)]), after(2))
    assert found == 848


def test_a_count_past_what_can_be_read_yet_is_not_believed():
    """A host that was faster than we thought told of a longer prefix than the one we saw."""
    index = PrefixIndex()
    answered(index, V3, chain_of(range(640)), NOW)
    longer = chain_of(range(1280))
    answered(index, V3, longer, after(10), read=640)
    answered(index, V3, longer, after(11), read=704)  # the second half is not built yet, we think
    parts = chain_of([*range(640), *range(9_000, 9_640)])
    assert index.expected("m@h", V3, parts, after(30)) == 640


def test_capacity():
    """A server of 64 blocks forgets what was used the longest ago, from its end."""
    index, rule = PrefixIndex(), replace(VLLM, capacity_tokens=1024)
    first, second = chain_of(range(800)), chain_of(range(10_000, 10_800))
    answered(index, rule, first, NOW)
    answered(index, rule, second, after(1))
    assert index.expected("m@h", rule, second, after(2)) == 784
    assert index.expected("m@h", rule, first, after(2)) == 1024 - 800


def test_a_miss_says_what_else_is_gone():
    """One's own server that missed what it should have held dropped all that is older, too."""
    index = PrefixIndex()
    old, older, new = (chain_of(range(n, n + 640)) for n in (0, 10_000, 20_000))
    answered(index, VLLM, older, NOW)
    answered(index, VLLM, old, after(1))
    answered(index, VLLM, new, after(2))
    answered(index, VLLM, old, after(3), read=0)
    assert index.expected("m@h", VLLM, older, after(4)) == 0
    assert index.expected("m@h", VLLM, new, after(4)) == 624
    assert index.expected("m@h", VLLM, old, after(4)) == 624


def test_a_host_that_often_misses_is_expected_to():
    """Best effort: what comes true is learned, in both directions."""
    index = PrefixIndex()
    answered(index, V3, chain(6400), NOW)
    for n in range(1, 20):
        answered(index, V3, chain(6400), after(60 * n), read=0)
    assert index.expected("m@h", V3, chain(6400), after(1200)) < 640
    for n in range(20, 40):
        answered(index, V3, chain(6400), after(60 * n), read=6400)
    assert index.expected("m@h", V3, chain(6400), after(2400)) == 6400


def test_a_host_that_tells_nothing_discounts_nothing():
    """Without a count no cheaper input is billed, so none is forecast; it is held all the same."""
    index = PrefixIndex()
    answered(index, VLLM, chain(1000), NOW, read=None)
    answered(index, VLLM, chain(1000), after(1), read=None)
    found = index.look("m@h", VLLM, chain(1000), after(2))
    assert (found.tokens, found.held) == (0, 992)
    answered(index, VLLM, chain(1000), after(3), read=992)
    assert index.expected("m@h", VLLM, chain(1000), after(4)) == 992


def test_a_restart():
    """A server that was started anew holds nothing."""
    index = PrefixIndex()
    answered(index, VLLM, chain(1000), NOW)
    index.forget("m@h")
    index.forget("unknown")
    assert index.expected("m@h", VLLM, chain(1000), after(1)) == 0
    assert index.blocks == 0


def test_memory_is_bounded():
    """Beyond its bound the place that was used the longest ago loses first."""
    index = PrefixIndex(max_bytes=2 * 8 * 100 + 2 * 400)
    for n, place in enumerate(("a@h", "b@h", "c@h")):
        answered(index, VLLM, chain_of(range(1600)), after(n), place=place)
    assert 0 < index.blocks <= 200
    found = [index.expected(p, VLLM, chain_of(range(1600)), after(9)) for p in ("a@h", "c@h")]
    assert found == [0, 1584]
    for n in range(50):
        answered(index, VLLM, chain_of(range(n * 100, n * 100 + 3200)), after(10 + n))
        assert index._bytes <= 2400


def test_threads():
    """Callers at once lose nothing and count right."""
    index = PrefixIndex(max_bytes=40_000)

    def work(n):
        for k in range(200):
            sent = chain_of(range(n * 50, n * 50 + 160 + k))
            answered(index, VLLM, sent, after(k), place=f"{n % 3}@h", read=k)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert index._bytes == sum(c.counted for c in index._caches.values()) <= 40_000
    assert index.blocks == sum(c.tree.blocks for c in index._caches.values())


def test_a_miss_of_what_was_only_sent_forgets_nothing_else():
    """Two at once on one new document: that the second misses says nothing of all the others."""
    index = PrefixIndex()
    warm = [chain_of(range(n * 10_000, n * 10_000 + 640)) for n in range(1, 6)]
    for sent in warm:
        answered(index, VLLM, sent, NOW)
    index.sent("m@h", VLLM, chain(640), after(1))
    answered(index, VLLM, chain(640), after(1), read=0)
    for sent in warm:
        assert index.expected("m@h", VLLM, sent, after(2)) == 624


def test_what_was_never_read_is_not_expected():
    """A refused call leaves nothing behind; what others have is untouched."""
    index = PrefixIndex()
    answered(index, VLLM, chain_of(range(320)), NOW)
    index.sent("m@h", VLLM, chain_of(range(960)), after(1))
    assert index.expected("m@h", VLLM, chain_of(range(960)), after(2)) == 944
    index.failed("m@h", VLLM, chain_of(range(960)))
    assert index.expected("m@h", VLLM, chain_of(range(960)), after(2)) == 320
    index.failed("m@h", VLLM, chain_of(range(320)))
    assert index.expected("m@h", VLLM, chain_of(range(960)), after(2)) == 320


def test_an_interrupt_leaves_an_empty_cache_and_no_lock(monkeypatch):
    """Ctrl-C in the middle of a change: the place begins anew, and nothing hangs."""
    index = PrefixIndex(max_bytes=20_000)
    answered(index, VLLM, chain(1600), NOW)
    monkeypatch.setattr(Tree, "_split", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        answered(index, VLLM, chain(1600, 800), after(1))
    monkeypatch.undo()
    assert (index.blocks, index._bytes) == (0, 0)
    for n in range(30):
        answered(index, VLLM, chain_of(range(n * 4000, n * 4000 + 3200)), after(2 + n))
    assert 0 < index._bytes <= 20_000


def test_a_count_needs_enough_to_be_believed():
    """Short prompts and counts of our own teach nothing of a host's vocabulary."""
    index = PrefixIndex()
    for n in range(50):
        answered(index, VLLM, chain_of(range(100)), after(n), tokens=300)
    assert index.scale(["m@h"]) == 1.0
    answered(index, VLLM, chain_of(range(2000)), after(60), tokens=0)
    assert index.scale(["m@h"]) == 1.0
    answered(index, VLLM, chain_of(range(2000)), after(61), tokens=2600)
    assert index.scale(["other@h", "m@h"]) == pytest.approx(1.3)
