"""The yardsticks of `benchmarks/prefix.py`: oracles, simulated caches and workloads."""

import re
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks._prefix_oracle import Sent, bounded, unbounded
from benchmarks._prefix_rules import BlockPool, Units64, WholeUnits, played
from benchmarks._prefix_workloads import LAYOUTS, WORKLOADS
from router.prompts.rule import CacheRule
from router.tokens import encode, render

FOURS = CacheRule(unit_tokens=4, recomputes_tokens=1, holds_output=True)
UNITS = CacheRule(unit_tokens=4, match="units", holds_output=True, builds_seconds=3.0)


def sent(text, answer="", at=0.0, salt=""):
    """A request whose tokens are characters."""
    prompt = [ord(c) for c in text]
    return Sent(prompt=prompt, answer=[ord(c) for c in answer], at=at, first=at, salt=salt)


def test_unbounded_reads_whole_blocks_of_what_came_before():
    """A hit ends at a block; the last token is computed anew; another salt has its own cache."""
    sends = [sent("aaaabbbbcc"), sent("aaaabbbbcc"), sent("aaaabbbb"), sent("aaaaxxxx", salt="s")]
    assert unbounded(sends, FOURS) == [0, 8, 4, 0]


def test_unbounded_holds_answers_up_to_their_last_token():
    """A follow-up reads the answer too, but not a block that its last token would have filled."""
    sends = [sent("aaaabb", "bbcccc"), sent("aaaabbbbccccdddd")]
    assert unbounded(sends, FOURS)[1] == 8
    assert unbounded([sent("aaaabb", "bbccccd"), sends[1]], FOURS)[1] == 12
    plain = CacheRule(unit_tokens=4)
    assert unbounded([sent("aaaabb", "bbccccd"), sends[1]], plain)[1] == 4


def test_unbounded_waits_until_it_is_built_and_forgets_what_is_old():
    """What is not built yet or has not been used for long is no hit; a hit is a use."""
    rule = CacheRule(unit_tokens=4, builds_seconds=5.0, lives_seconds=100.0)
    times = [0.0, 4.0, 6.0, 105.0, 206.0, 212.0]
    sends = [sent("aaaabbbb", at=at) for at in times]
    assert unbounded(sends, rule) == [0, 0, 8, 8, 0, 8]


def test_unbounded_of_whole_units_is_the_published_example():
    """A+B, then A+C misses and shows that A is shared, then A+D reads A (DeepSeek's guide)."""
    sends = [sent("aaaaaaaabbbb", at=0), sent("aaaaaaaacccc", at=9), sent("aaaaaaaadddd", at=18)]
    assert unbounded(sends, UNITS) == [0, 0, 8]
    turns = [sent("aaaabbbb", "ccccx", at=0), sent("aaaabbbbccccdddd", at=9)]
    assert unbounded(turns, UNITS) == [0, 12]


def test_bounded_keeps_what_is_needed_next():
    """With room for two prompts of three, the one that comes back last makes room."""
    prompts = ["aaaa_", "bbbb_", "cccc_", "aaaa_", "bbbb_", "aaaa_", "cccc_"]
    sends = [sent(p) for p in prompts]
    # A prompt of five tokens has two blocks while it runs; one of them is kept.
    assert bounded(sends, FOURS, 3) == [0, 0, 0, 4, 0, 4, 0]
    assert bounded(sends, FOURS, 4) == [0, 0, 0, 4, 4, 4, 4] == unbounded(sends, FOURS)
    with pytest.raises(ValueError, match="needs 2 blocks, there are 1"):
        bounded(sends, FOURS, 1)


@st.composite
def traffic(draw):
    """A few prompts over a tiny alphabet of blocks, some of them with a part of a block."""
    blocks = st.lists(st.sampled_from(["aaaa", "bbbb"]), min_size=1, max_size=3)
    texts = draw(st.lists(st.tuples(blocks, st.sampled_from(["", "x"])), min_size=2, max_size=5))
    return [sent("".join(parts) + tail) for parts, tail in texts]


def brute_force(sends, rule, blocks):
    """The most tokens over every way to evict: all sets that may stay after each request."""
    unit = rule.unit_tokens
    best = {frozenset(): 0}
    for one in sends:
        prompt = tuple(one.prompt)
        path = [prompt[:end] for end in range(unit, len(prompt) + 1, unit)]
        partly = bool(len(prompt) % unit)
        after = {}
        for held, before in best.items():
            depth = next((i for i, link in enumerate(path) if link not in held), len(path))
            value = before + rule.hit(depth * unit, len(prompt))
            others = sorted(held - set(path))
            room = min(len(others), blocks - len(path) - partly)
            for some in combinations(others, room):
                kept = frozenset((*some, *path))
                after[kept] = max(after.get(kept, 0), value)
        best = after
    return max(best.values())


@settings(max_examples=300)
@given(traffic(), st.integers(4, 7))
def test_no_way_to_evict_beats_the_bounded_oracle(sends, blocks):
    """It is the maximum over all of them, found by trying all."""
    assert sum(bounded(sends, FOURS, blocks)) == brute_force(sends, FOURS, blocks)


@settings(max_examples=200)
@given(traffic(), st.integers(4, 7))
def test_bounds_are_in_order(sends, blocks):
    """vLLM's own eviction is at most the best one, and that at most a cache without end, request
    by request; with room for all, the three are equal."""
    endless, best = unbounded(sends, FOURS), bounded(sends, FOURS, blocks)
    assert all(a <= b for a, b in zip(best, endless, strict=True))
    assert sum(played(BlockPool(4, blocks + 1), sends)) <= sum(best)
    assert played(BlockPool(4), sends) == bounded(sends, FOURS, 99) == endless


def test_the_pool_evicts_tails_before_heads():
    """Of a prompt that is partly evicted, the head is still there."""
    pool = BlockPool(4, 6)  # five in use
    sends = [sent("aaaabbbbcccc_"), sent("xxxxyyyyzzzz_"), sent("aaaabbbbcccc_")]
    assert played(pool, sends) == [0, 0, 4]


def test_simulated_rules_agree_with_the_guides():
    """64-token units from the first token on, after seconds; whole units as in the example."""
    long = [*range(200)]
    cache = Units64(builds=3.0)
    first = Sent(prompt=long, at=0.0, first=1.0)
    soon, later = Sent(prompt=long, at=2.0, first=3.0), Sent(prompt=[*long[:130], 7], at=9.0)
    assert played(cache, [first, soon, later]) == [0, 0, 128]
    assert cache.read(long[:63], 9.0) == cache.read(long, 9.0, "other salt") == 0
    sends = [
        Sent(prompt=[*range(300), *[tail] * 200], at=at, first=at)
        for tail, at in ((1, 0.0), (2, 10.0), (3, 20.0))
    ]
    assert played(WholeUnits(), sends) == [0, 0, 256]
    assert played(WholeUnits(interval=128), sends) == [0, 256, 256]


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from([1, 2]), min_size=1, max_size=4), st.integers(0, 200)),
        max_size=6,
    )
)
def test_simulated_rules_are_the_unbounded_oracle(parts):
    """Two codes written apart from each other, from the same guides, read the same tokens."""
    at, sends = 0.0, []
    for blocks, wait in parts:
        at += wait
        prompt = [one for one in blocks for _ in range(64)]
        sends.append(Sent(prompt=prompt, answer=prompt[:65], at=at, first=at))
    v3 = CacheRule(unit_tokens=64, builds_seconds=3.0, lives_seconds=300.0)
    assert played(Units64(lives=300.0), sends) == unbounded(sends, v3)


def rendered(workload, layout):
    """Every request of a workload as the text a model reads, with the conversation it is of."""
    answers = {}
    for step in workload.steps:
        said = answers.setdefault(step.conversation, [])
        laid = workload.ask(layout, step, said).laid_out()
        yield step.conversation, render(laid.messages, tools=laid.tools)
        said.append(f"answer {len(said)} of {step.conversation}")


@pytest.mark.parametrize("name", WORKLOADS)
def test_planned_requests_begin_with_the_one_before(name):
    """In the planned and in the best layout each request of a conversation starts with all of the
    one before, and says the same; the naive one starts anew somewhere."""
    broken = {}
    for layout in LAYOUTS:
        last = {}
        broken[layout] = 0
        for conversation, text in rendered(WORKLOADS[name](), layout):
            broken[layout] += not text.startswith(last.get(conversation, ""))
            last[conversation] = text
    assert broken["planned"] == broken["best"] == 0
    # Questions over documents break no prefix of their own, they hide what others share.
    assert broken["naive"] or name == "documents"


@pytest.mark.parametrize("name", WORKLOADS)
def test_layouts_say_the_same(name):
    """Sentence by sentence, and the same again with the same seed; the clock aside."""
    first, again = WORKLOADS[name](), WORKLOADS[name]()
    assert list(rendered(first, "naive")) == list(rendered(again, "naive"))
    step = max(first.steps, key=lambda s: (s.turn, s.conversation))
    answers = [f"answer {i}" for i in range(step.turn)]
    said, tools = {}, {}
    for layout in LAYOUTS:
        laid = first.ask(layout, step, answers).laid_out()
        text = "\n".join(str(m["content"]) for m in laid.messages)
        said[layout] = set(re.findall(r"The [^.]*, and the [^.]*\.", text))
        tools[layout] = {t["function"]["name"] for t in laid.tools}
    assert said["planned"] == said["best"] and len(said["best"]) > 20
    assert tools["naive"] == tools["planned"] == tools["best"]
    if name == "agent":  # which cuts old results short
        assert said["naive"] < said["best"]
    else:
        assert said["naive"] == said["best"]


def test_what_repeats_can_be_had_only_where_prompts_are_planned():
    """Of the same traffic, a cache without end reads far more in the planned layout."""
    rule = CacheRule(unit_tokens=16, recomputes_tokens=1)
    for name, kind in WORKLOADS.items():
        read = {}
        for layout in ("naive", "planned"):
            sends = [Sent(prompt=encode(text)) for _, text in rendered(kind(), layout)]
            read[layout] = sum(unbounded(sends, rule)) / sum(len(s.prompt) for s in sends)
        assert read["planned"] > read["naive"] + 0.25, name
