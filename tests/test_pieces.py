"""Reading a prompt piece by piece: the same ids as at once, bounded, and no text is kept."""

# DeepSeek's marks are written with U+FF5C, on purpose.
# ruff: noqa: RUF001

import gc
import random
import string
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.tokens import encode
from router.tokens.pieces import Pieces

REAL = ("<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>", "</think>", "<think>", "<|EOT|>")
FALSE = ("<｜foo｜>", "<｜｜>", "<｜ ｜>", "<｜User｜", "｜>", "<｜", "<", "think>", "<|EOS|>")
WORDS = ("word " * 20, "cd", " ", "\n\n", "北京" * 40, "😀" * 70, "\ud83d", "\ude00", "12345" * 30)
TEXTS = st.lists(st.sampled_from(REAL + FALSE + WORDS) | st.text(max_size=80), max_size=12)
KIB = 1024


def everything(value, seen=None):
    """All bytes and strings that can be reached from a value."""
    seen = {} if seen is None else seen
    if id(value) in seen or isinstance(value, type):
        return []
    seen[id(value)] = value
    if isinstance(value, (bytes, str)):
        return [value]
    if isinstance(value, np.ndarray):
        return [value.tobytes()]
    return [found for part in gc.get_referents(value) for found in everything(part, seen)]


def random_text(rng, letters, size):
    return "".join(rng.choice(letters) for _ in range(size))


@given(TEXTS, st.sampled_from([0, 2 * KIB, 32 << 20]))
def test_the_same_ids_as_at_once(parts, most):
    """What looks like an added token and is none cuts nothing; read anew or remembered, whatever
    the bound: the ids are those of `encode`.
    """
    pieces, text = Pieces(most), "".join(parts)
    for part in (text, text + "more", "".join(parts[1:]), text):
        found = pieces.encode(part)
        assert found.dtype == np.uint32
        assert found.tolist() == encode(part)


@pytest.mark.parametrize("false", FALSE)
def test_words_beside_a_false_mark(false):
    """A long text ends in letters that the false mark is read together with."""
    text = "x" * 100 + " and then ＜ <｜not a token｜> " + "ab " * 60 + false + "cd " * 60
    assert Pieces().encode(text).tolist() == encode(text)
    text = ("word" * 30 + false) * 50
    assert Pieces().encode(text).tolist() == encode(text)


def test_neither_text_nor_ids_are_kept():
    """Nothing that is kept holds a part of the text, or the ids it could be read from."""
    pieces = Pieces()
    text = "The customer Ann Example has paid 4711 euros for her ticket to Nowhere. " * 3
    ids = np.array(encode(text), dtype=np.uint32)
    pieces.encode(f"<｜User｜>{text}<｜Assistant｜>")
    kept = everything(vars(pieces))
    assert any(len(part) == ids.nbytes for part in kept if isinstance(part, bytes))
    for part in kept:
        raw = part.encode() if isinstance(part, str) else part
        assert b"customer" not in raw
        assert not any(ids[at : at + 3].tobytes() in raw for at in range(len(ids) - 2))
    assert "customer" not in repr(pieces)


def test_keys_mean_nothing_elsewhere():
    """Two of them keep the same text under different keys, with different masks."""
    one, other = Pieces(), Pieces()
    for pieces in (one, other):
        pieces.encode("the same words " * 10)
    ((key, ids),), ((other_key, other_ids),) = one._known.items(), other._known.items()
    assert key != other_key
    assert ids != other_ids


@pytest.mark.parametrize(
    ("letters", "size"),
    [
        (string.ascii_letters + " ", 64),
        (string.ascii_letters + " ", 5000),
        ([chr(c) for c in range(0x4E00, 0x9000)], 2000),
        ([chr(c) for c in range(0x1F300, 0x1F5FF)], 2000),
    ],
    ids=["short", "words", "Chinese", "emoji"],
)
def test_memory_is_bounded_in_bytes(letters, size):
    """However many ids a letter has and however short pieces are: no more than was said."""
    rng, most = random.Random(1), 256 * KIB
    Pieces().encode(random_text(rng, letters, 64))
    pieces, sent = Pieces(most), 0
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        while sent < 3 * most:
            sent += pieces.encode(random_text(rng, letters, size)).nbytes + 320
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert most // 3 < held <= most


def test_what_is_larger_than_all_is_not_kept():
    """A piece beyond the bound is read, and drops nothing that was kept."""
    pieces = Pieces(2 * KIB)
    pieces.encode("a few words " * 10)
    kept = list(pieces._known)
    large = "another word " * 1000
    assert pieces.encode(large).tolist() == encode(large)
    assert list(pieces._known) == kept


def test_what_was_used_last_stays():
    """The piece that was used the longest ago goes first."""
    pieces = Pieces(2 * (320 + 4 * len(encode("one " * 30))))
    one, two, three = (f"{word} " * 30 for word in ("one", "two", "six"))
    for text in (one, two, one, three):
        pieces.encode(text)
    assert len(pieces._known) == 2
    kept = list(pieces._known)
    pieces.encode(one)
    assert sorted(pieces._known) == sorted(kept)


def test_ids_may_be_changed_by_their_caller():
    """What is handed out is the caller's own: the next gets the same ids again."""
    pieces, text = Pieces(), "the same words " * 10
    pieces.encode(text)[:] = 0
    assert pieces.encode(text).tolist() == encode(text)
