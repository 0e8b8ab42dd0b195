"""Who goes first in a batch: one alone for each shared prefix, then the others."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.prompts.blocks import BLOCK, chain_of
from router.prompts.order import Group, groups, order
from router.prompts.rule import CAUTIOUS, CacheRule
from router.prompts.warmup import Queue, at_once

BUILT = CacheRule(builds_seconds=5.0)
AT_ONCE = CacheRule()
UNITS = CacheRule(builds_seconds=5.0, match="units")


def queue(words):
    """A queue of prompts with a block for each letter; a shared block is worth waiting for."""
    chains = [chain_of([ord(c) + i for c in word for i in range(BLOCK)]) for word in words]
    return Queue(order(chains), groups(chains, BLOCK))


def taken(waiting, now):
    found = []
    while (position := waiting.take(now)) is not None:
        found.append(position)
    return found


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (AT_ONCE, True),
        (replace(AT_ONCE, holds_output=True, unit_tokens=16, recomputes_tokens=1), True),
        (BUILT, False),
        (CAUTIOUS, False),
        (UNITS, False),
        (CacheRule(match="units"), False),
        (CacheRule(writes=True), False),
    ],
)
def test_where_no_warm_up_is_needed(rule, expected):
    """One vLLM shares what is computed; elsewhere a cold fan-out pays the prefix for each."""
    assert at_once(rule) is expected


def test_one_goes_first_then_all():
    """The others wait for the first answer, and for the seconds in which the cache is built."""
    waiting = queue(["ax", "ay", "az"])
    assert taken(waiting, 0.0) == [0]
    assert waiting.wakes_at is None
    waiting.done(0, 10.0, BUILT)
    assert taken(waiting, 14.9) == []
    assert waiting.wakes_at == 15.0
    assert taken(waiting, 15.0) == [1, 2]
    assert len(waiting) == 0
    assert waiting.take(16.0) is None


def test_groups_do_not_wait_for_each_other():
    """While one prefix is warming others are, and prompts that share nothing go at once."""
    waiting = queue(["ax", "ay", "q", "bx", "by"])
    assert taken(waiting, 0.0) == [0, 3, 2]
    waiting.done(3, 1.0, AT_ONCE)
    assert taken(waiting, 1.0) == [4]


def test_a_group_inside_waits_for_the_one_around():
    """The system prompt is warmed by one, then each document by one, then all go."""
    words = ["sAx", "sAy", "sAz", "sBx", "sBy", "sC"]
    waiting = queue(words)
    assert taken(waiting, 0.0) == [0]
    waiting.done(0, 1.0, AT_ONCE)
    assert taken(waiting, 1.0) == [1, 2, 3, 5]
    waiting.done(3, 2.0, AT_ONCE)
    assert taken(waiting, 2.0) == [4]


def test_whole_units_take_two_tails():
    """DeepSeek V4 keeps a common prefix once two prompts have parted at its end."""
    waiting = queue(["ax", "ay", "az", "aw"])
    assert taken(waiting, 0.0) == [0]
    waiting.done(0, 1.0, UNITS)
    assert taken(waiting, 5.9) == []
    assert taken(waiting, 6.0) == [1]
    waiting.done(1, 7.0, UNITS)
    assert taken(waiting, 11.0) == []
    assert waiting.wakes_at == 12.0
    assert taken(waiting, 12.0) == [2, 3]


def test_the_second_tail_is_of_another_branch():
    """Two that share more part later: only one that parts right here makes the prefix a unit."""
    waiting = queue(["aBx", "aBy", "aBz", "aCx", "aCy"])
    unit = replace(UNITS, builds_seconds=0.0)
    assert taken(waiting, 0.0) == [0]
    waiting.done(0, 1.0, unit)
    assert taken(waiting, 1.0) == [
        1,
        3,
    ]  # the second of aB, and of a the second and of aC the first
    waiting.done(1, 2.0, unit)
    assert taken(waiting, 2.0) == [2]
    waiting.done(3, 3.0, unit)
    assert taken(waiting, 3.0) == [4]


def test_a_failed_first_is_followed_by_another():
    """One failure: the next goes first. Two: nobody waits any longer, the host may be down."""
    waiting = queue(["ax", "ay", "az", "aw"])
    assert taken(waiting, 0.0) == [0]
    waiting.done(0, 1.0, None)
    assert taken(waiting, 1.0) == [1]
    waiting.done(1, 2.0, None)
    assert taken(waiting, 2.0) == [2, 3]


def test_what_no_host_has_seen_warms_nothing():
    """An answer out of a store is neither a warm-up nor a failure."""
    waiting = queue(["ax", "ay", "az"])
    for position in range(2):
        assert taken(waiting, 0.0) == [position]
        waiting.done(position, 1.0, BUILT, sent=False)
    assert taken(waiting, 1.0) == [2]


def test_a_late_answer_does_not_close_what_is_open():
    """Once a prefix is warm it stays so, whoever answers later."""
    waiting = queue(["ax", "ay", "az", "aw"])
    assert waiting.take(0.0) == 0
    waiting.done(0, 0.0, AT_ONCE)
    assert waiting.take(0.0) == 1
    waiting.done(1, 100.0, BUILT)
    assert taken(waiting, 100.0) == [2, 3]


def test_without_groups_all_go_in_order():
    """Where nothing is to be warmed the queue is the order."""
    waiting = Queue([2, 0, 1])
    assert taken(waiting, 0.0) == [2, 0, 1]
    waiting.done(2, 0.0, None)
    waiting.done(0, 0.0, BUILT)


RULES = st.sampled_from([None, AT_ONCE, BUILT, UNITS])


@given(
    st.lists(st.text("ab", max_size=4), max_size=9),
    st.integers(1, 4),
    st.data(),
)
def test_all_are_sent_once_whatever_happens(words, lanes, data):
    """No order of answers and failures leaves a request behind or sends one twice."""
    waiting, now, running, sent = queue(words), 0.0, [], []
    while len(waiting) or running:
        while len(running) < lanes and (position := waiting.take(now)) is not None:
            running.append(position)
            sent.append(position)
        if running:
            now += 1.0
            done = running.pop(data.draw(st.integers(0, len(running) - 1)))
            waiting.done(done, now, data.draw(RULES), sent=data.draw(st.booleans()))
        else:
            assert waiting.wakes_at is not None, "nothing runs, and nothing is waited for"
            assert waiting.wakes_at > now
            now = waiting.wakes_at
    assert sorted(sent) == list(range(len(words)))


@given(st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=9))
def test_each_prefix_is_paid_for_once(words):
    """With a rule of blocks, nothing is sent whose prefix is on its way and not yet answered."""
    waiting, warm, running, now = queue(words), set(), [], 0.0
    while len(waiting) or running:
        while (position := waiting.take(now)) is not None:
            word = words[position]
            fresh = {word[:i] for i in range(1, len(word) + 1)} - warm
            assert not any(fresh & {words[r][:i] for i in range(1, 5)} for r in running)
            running.append(position)
        done = words[running[0]]
        warm |= {done[:i] for i in range(1, len(done) + 1)}
        waiting.done(running.pop(0), now, AT_ONCE)


def test_a_group_may_be_given_by_hand():
    """The queue rests on groups alone, whatever they were found by."""
    waiting = Queue([0, 1, 2], [Group(64, (0, 1, 2), (Group(128, (1, 2)),))])
    assert taken(waiting, 0.0) == [0]
    waiting.done(0, 0.0, AT_ONCE)
    assert taken(waiting, 0.0) == [1]
    waiting.done(1, 0.0, AT_ONCE)
    assert taken(waiting, 0.0) == [2]


@given(
    st.lists(st.text("ab", max_size=4), max_size=9),
    st.integers(1, 4),
    st.data(),
)
def test_the_first_that_may_go_is_taken(words, lanes, data):
    """However they wait, `take` hands out what a search through all of them would find first."""
    waiting, now, running = queue(words), 0.0, []
    line = [position for _, position, _ in waiting._next]
    while line or running:
        while len(running) < lanes:
            free = [position for position in line if waiting._held(position, now) is None]
            assert waiting.take(now) == (free[0] if free else None)
            if not free:
                break
            line.remove(free[0])
            running.append(free[0])
        if running:
            now += data.draw(st.sampled_from([0.0, 1.0, 6.0]))
            done = running.pop(data.draw(st.integers(0, len(running) - 1)))
            waiting.done(done, now, data.draw(RULES), sent=data.draw(st.booleans()))
        else:
            now = waiting.wakes_at


PAIRS = [Group(512, (i, i + 1)) for i in range(0, 2000, 2)]
ONE = [Group(512, tuple(range(2000)))]
NESTED = [Group(512, tuple(range(2000)), tuple(Group(1024, g.members) for g in PAIRS))]


@pytest.mark.parametrize("given", [PAIRS, ONE, NESTED])
@pytest.mark.parametrize(
    ("rule", "sent"), [(BUILT, True), (UNITS, True), (None, True), (BUILT, False)]
)
def test_each_is_looked_at_a_few_times(given, rule, sent, monkeypatch):
    """The work grows with the batch, not its square, while groups wait for what is being built."""
    looks, look = [], Queue._held
    monkeypatch.setattr(Queue, "_held", lambda *asked: looks.append(1) or look(*asked))
    waiting, now, running = Queue(range(2000), given), 0.0, []
    while len(waiting) or running:
        while len(running) < 64 and (position := waiting.take(now)) is not None:
            running.append(position)
        now += 0.1
        if running:
            waiting.done(running.pop(0), now, rule, sent=sent)
    assert len(looks) <= 4 * 2000
