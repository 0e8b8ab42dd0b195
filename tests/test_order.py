"""The order of a batch: prefixes are shared as much as any order allows."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from router.prompts.blocks import BLOCK, chain_of
from router.prompts.order import groups, order

LETTERS = {letter: [ord(letter) + i for i in range(BLOCK)] for letter in "abcdexyz"}
WORDS = st.lists(st.text("ab", max_size=5), max_size=8)


def chain(word):
    """A prompt with a block for each letter, and some tokens more."""
    return chain_of([token for letter in word for token in LETTERS[letter]] + [1, 2, 3])


def chains(words):
    return [chain(word) for word in words]


def read(words, places):
    """Blocks read from a cache that only holds the prompt before."""
    pairs = itertools.pairwise([words[place] for place in places])
    return sum(len(shared([one, other])) for one, other in pairs)


def shared(words):
    first, last = min(words), max(words)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first[: min(len(first), len(last)) if length is None else length]


def test_savings_come_first():
    """Prompts that begin alike stand together, those that save most at the front."""
    words = ["x", "aab", "b", "aac", "bxxxxxx", "aad", "bxxxxxy"]
    assert order(chains(words)) == [2, 4, 6, 1, 3, 5, 0]


def test_equals_keep_their_order():
    """Where nothing is gained nothing is moved: the order is stable."""
    assert order(chains(["x", "y", "z"])) == [0, 1, 2]
    assert order(chains(["z", "y", "x", ""])) == [0, 1, 2, 3]
    assert order(chains(["ab", "ab", "ab"])) == [0, 1, 2]
    assert order(chains(["bx", "ax", "by", "ay"])) == [0, 2, 1, 3]
    assert order([]) == []


def test_a_prompt_that_ends_comes_before_those_that_go_on():
    """Hosts that keep whole units can then read it for all that follow."""
    assert order(chains(["abc", "ab", "abd"])) == [1, 0, 2]


@given(WORDS)
def test_every_prompt_is_sent_once(words):
    """An order is a permutation."""
    assert sorted(order(chains(words))) == list(range(len(words)))


@given(st.lists(st.text("ab", max_size=4), max_size=6))
def test_no_order_shares_more(words):
    """Even a cache of one prompt reads all that can be read: total less distinct prefixes."""
    found = read(words, order(chains(words)))
    prefixes = {word[:i] for word in words for i in range(1, len(word) + 1)}
    assert found == sum(map(len, words)) - len(prefixes)
    assert found == max(
        (read(words, places) for places in itertools.permutations(range(len(words)))), default=0
    )


def test_groups_say_what_is_shared():
    """A group for each prefix that is long enough, those inside it below."""
    words = ["aax", "b", "aay", "aabbx", "aabby", "bx", "c"]
    (outer, small) = groups(chains(words), 2 * BLOCK), groups(chains(words), 1)
    assert [(g.shared_tokens, g.members) for g in outer] == [(32, (3, 4, 0, 2))]
    assert [(g.shared_tokens, g.members) for g in outer[0].groups] == [(64, (3, 4))]
    assert [(g.shared_tokens, g.members) for g in small] == [(32, (3, 4, 0, 2)), (16, (1, 5))]
    assert groups(chains(words), 3 * BLOCK)[0].shared_tokens == 64
    assert groups([], 1) == []


def test_a_group_inside_is_worth_its_own_warm_up():
    """What shares hardly more than the group around it is not a group of its own."""
    words = ["aaaax", "aaaay", "aaabx", "aaaby"]
    (whole,) = groups(chains(words), 2 * BLOCK)
    assert (whole.shared_tokens, whole.members, whole.groups) == (48, (0, 1, 2, 3), ())


@given(WORDS, st.integers(1, 3))
def test_groups_hold_what_they_say(words, least):
    """Members share exactly so much; groups of one level are disjoint; none is too small."""
    found = chains(words)
    places = {p: i for i, p in enumerate(order(found))}
    base = set(range(len(words)))
    waiting = [(groups(found, least * BLOCK), base, 0)]
    while waiting:
        level, around, tokens = waiting.pop()
        members = [p for g in level for p in g.members]
        assert len(members) == len(set(members))
        assert set(members) <= around
        for group in level:
            assert len(group.members) > 1
            assert group.shared_tokens == len(shared([words[p] for p in group.members])) * BLOCK
            assert group.shared_tokens >= tokens + least * BLOCK
            spot = places[group.members[0]]
            assert [places[p] for p in group.members] == list(
                range(spot, spot + len(group.members))
            )
            waiting.append((group.groups, set(group.members), group.shared_tokens))


@given(WORDS, st.integers(1, 3))
def test_no_sharing_is_overlooked(words, least):
    """Two prompts that share enough are in one group."""
    found = groups(chains(words), least * BLOCK)
    home = {p: i for i, g in enumerate(found) for p in g.members}
    for one, other in itertools.combinations(range(len(words)), 2):
        if len(shared([words[one], words[other]])) >= least:
            assert home[one] == home[other]


def test_long_conversations_do_not_run_out_of_stack():
    """A thousand turns of one conversation are a thousand groups, one inside the other."""
    words = ["a" * n for n in range(1, 1500)]
    found = chains(words)
    assert order(found) == list(range(len(words)))
    (level,) = groups(found)
    depth = 0
    while level is not None:
        depth, level = depth + 1, (level.groups or (None,))[0]
    assert depth == len(words) - 1
