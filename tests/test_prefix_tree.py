"""The tree of prompts, against a model that keeps every block by itself."""

from hypothesis import given, settings
from hypothesis import strategies as st

from router.prompts.blocks import BLOCK, WIDTH, Chain, chain_of, common
from router.prompts.tree import FOREVER, Tree

LETTERS = st.lists(st.integers(0, 2), max_size=8)


def blocks(letters):
    return b"".join(bytes([n + 1]) * WIDTH for n in letters)


def prefixes(letters):
    return [tuple(letters[: n + 1]) for n in range(len(letters))]


class Plain:
    """Each prefix by itself: when it can be read, when it was used, whether a unit ends there."""

    def __init__(self):
        self.kept = {}

    def insert(self, letters, now, ready, lives=20.0):
        found = prefixes(letters)
        known = [p for p in found if p in self.kept]
        for p in found:
            before = self.kept.get(p)
            if before is None or before[1] + lives < now:
                before = [ready, now, FOREVER]
            self.kept[p] = [min(before[0], ready), now, before[2]]
        ends = {found[-1]} if found else set()
        others = [p for p in self.kept if p not in found]
        if known and any(p[: len(known[-1])] == known[-1] for p in others):
            ends.add(known[-1])  # two prompts part here, now or before
        if known and len(known) < len(found):
            ends.add(known[-1])
        for p in ends & set(self.kept):
            self.kept[p][2] = min(self.kept[p][2], ready)

    def blocks(self, letters, now, lives):
        n = 0
        for p in prefixes(letters):
            row = self.kept.get(p)
            if row is None or row[0] > now or row[1] + lives < now:
                break
            n += 1
        return n


@given(st.lists(st.tuples(LETTERS, st.integers(0, 5)), max_size=12), LETTERS, st.integers(0, 9))
def test_a_tree_knows_what_was_sent(sent, asked, build):
    """The longest prefix that was sent before, that is built and not too old."""
    tree, plain, now = Tree(), Plain(), 0.0
    for letters, later in sent:
        now += later
        tree.insert(blocks(letters), now, ready=now + build, lives=20.0)
        plain.insert(letters, now, now + build)
    for at in (now, now + build, now + 15, now + 30):
        found = tree.match(blocks(asked), at, lives=20.0, units=False)
        assert found.blocks == plain.blocks(asked, at, 20.0)
    assert tree.blocks == len(plain.kept)


@given(st.lists(LETTERS, max_size=10), st.integers(0, 20))
def test_what_was_used_last_goes_last(sent, drop):
    """The least recently used prompt loses its end first; what was sent last stays whole."""
    tree, order = Tree(), {}
    for at, letters in enumerate(sent):
        tree.insert(blocks(letters), at, ready=at, lives=FOREVER)
        for p in reversed(prefixes(letters)):
            order.pop(p, None)
            order[p] = at
    left = list(order)[drop:]
    tree.evict(drop)
    assert tree.blocks == len(left)
    for letters in sent:
        kept = 0
        while kept < len(letters) and tuple(letters[: kept + 1]) in left:
            kept += 1
        assert tree.match(blocks(letters), 99, lives=FOREVER, units=False).blocks == kept


def test_units_end_where_prompts_ended_or_parted():
    """A + B, then A + C misses, then A + D hits A: the V4 rule of DeepSeek's guide."""
    tree = Tree()

    def hit(letters, at):
        return tree.match(blocks(letters), at, lives=FOREVER, units=True).blocks

    tree.insert(blocks([0, 0, 1, 1]), 0, ready=5, lives=FOREVER)
    assert hit([0, 0, 2, 2], 10) == 0
    assert hit([0, 0, 1, 1, 2], 10) == 4
    assert hit([0, 0, 1, 1], 4) == 0
    tree.insert(blocks([0, 0, 2, 2]), 10, ready=15, lives=FOREVER)
    assert hit([0, 0, 0, 0], 14) == 0
    assert hit([0, 0, 0, 0], 15) == 2
    assert hit([0, 0, 2, 1], 15) == 2


def test_what_is_forgotten_is_built_anew():
    """Once too old a prompt needs its time again; use keeps it alive."""
    tree = Tree()

    def there(at):
        return tree.match(blocks([1, 2]), at, lives=10.0, units=False).blocks

    tree.insert(blocks([1, 2]), 0, ready=5, lives=10.0)
    tree.insert(blocks([1, 2]), 9, ready=14, lives=10.0)
    assert there(18) == 2
    assert there(20) == 0
    tree.insert(blocks([1, 2]), 30, ready=35, lives=10.0)
    assert there(34) == 0
    assert there(35) == 2


def test_all_that_is_older_goes_with_what_is_gone():
    """A server that dropped a prompt dropped what was used before it, too."""
    tree = Tree()
    for at, letter in enumerate([0, 1, 2]):
        tree.insert(blocks([letter] * 3), at, ready=at, lives=FOREVER)
    tree.evict_until(1)
    assert [
        tree.match(blocks([n] * 3), 9, lives=FOREVER, units=False).blocks for n in (0, 1, 2)
    ] == [0, 0, 3]
    assert (tree.blocks, tree.nodes) == (3, 1)


@given(st.lists(st.integers(0, 1), max_size=9), st.lists(st.integers(0, 1), max_size=9))
def test_common_blocks(one, other):
    """As many as are equal from the start."""
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    assert common(blocks(one), blocks(other)) == same
    assert common(blocks(one), blocks([0, *other]), 1) == same


@settings(max_examples=50)
@given(st.lists(st.integers(0, 128_814), max_size=100), st.integers(0, 99), st.integers(1, 9))
def test_chains_of_tokens(ids, at, other):
    """Prompts share the blocks of 16 tokens in which they are equal, and no more."""
    chain = chain_of(ids)
    assert (len(chain.hashes), chain.tokens) == (len(ids) // BLOCK * WIDTH, len(ids))
    assert chain.shared(chain_of([*ids, 5])) == len(ids) // BLOCK * BLOCK
    if at < len(ids):
        changed = [*ids[:at], ids[at] + other, *ids[at + 1 :]]
        assert chain.shared(chain_of(changed)) == min(at, len(ids) // BLOCK * BLOCK) // BLOCK * (
            BLOCK
        )
    assert chain == Chain(chain.hashes, chain.tokens)
    assert str(len(ids)) in repr(chain)
