# ruff: noqa: RUF001 (full-width punctuation is what is tested)
from __future__ import annotations

import io
import math
import random
import subprocess
import sys

import numpy as np
import pytest

from classifiers.training.lexicon import CHINESE, LATIN
from classifiers.words import (
    KEYWORDS,
    N_WORDS,
    WordTable,
    find_shifts,
    load_words,
    save_words,
    split_words,
)

TABLE = load_words()


def small(**more: object) -> WordTable:
    vectors = np.zeros((3, N_WORDS), dtype=np.float32)
    vectors[0, 0], vectors[1, 1], vectors[2, 2] = 3.0, 4.0, 1.0
    return WordTable([b"prove", b"apple", b"if"], vectors, **more)  # type: ignore[arg-type]


def alike(one: str, other: str) -> float:
    vectors = [TABLE.embed(TABLE.find(text.lower().encode()).rows) for text in (one, other)]
    return float(vectors[0] @ vectors[1])


def test_words_are_counted_and_known_ones_have_rows_in_order() -> None:
    """Three words of which two are known and one is there twice; case does not matter."""
    found = small().find(b"Apple, xylophone9prove APPLE!")
    assert (found.total, found.distinct) == (4, 3)
    assert found.rows.tolist() == [2, 1]


def test_embedding_is_the_normalised_sum_of_the_distinct_words() -> None:
    """3 and 4 make 5; a word said twice counts once; nothing known makes zeros."""
    table = small()
    embedded = table.embed(table.find(b"prove apple prove").rows)
    assert embedded[:3].tolist() == pytest.approx([0.6, 0.8, 0.0])
    assert embedded.dtype == np.float32
    assert not table.embed(table.find(b"9 xylophones").rows).any()
    assert not table.embed(table.find(b"").rows).any()


def test_groups_tell_which_keywords_are_there() -> None:
    """`prove` and `if` belong to groups, `apple` to none."""
    table = small()
    names = [
        name
        for name, seen in zip(
            KEYWORDS, table.groups(table.find(b"if apple prove").rows).tolist(), strict=True
        )
        if seen
    ]
    assert names == ["prove", "loop"]
    assert not table.groups(table.find(b"apple").rows).any()


def test_every_keyword_is_in_the_shipped_table() -> None:
    """No group is blind to one of its words, in the short or in the long way of looking up."""
    for at, (name, group) in enumerate(KEYWORDS.items()):
        for word in group:
            for text in (word, f"{word} {'9 ' * 600}"):
                assert TABLE.groups(TABLE.find(text.encode()).rows)[at] == 1, (name, word)


def test_short_and_long_texts_are_looked_up_alike() -> None:
    """The dictionary and the hashed arrays find the same words, whatever stands between them."""
    draw = random.Random(7)
    known = [word.decode() for word in list(TABLE._index)[::40]]
    for _ in range(300):
        parts = [
            draw.choice([*known, "Qqzx", "A", "zz9", "\n", "--", "7", "THE", "", "\x00", "\x84"])
            + draw.choice([" ", "", "_", "\t", "1"])
            for _ in range(draw.randrange(300))
        ]
        raw = "".join(parts).encode("latin-1")[:8192]
        few, many = TABLE._find_few(raw), TABLE._find_many(raw)
        assert few[:2] == many[:2]
        assert sorted(few.rows.tolist()) == sorted(many.rows.tolist())


def test_every_word_of_the_shipped_table_is_found_in_both_ways() -> None:
    """No two words share a slot, and every row comes back."""
    every = list(TABLE._index)
    for at in range(0, len(every), 400):
        raw = b" ".join(every[at : at + 400])[:8192]
        few, many = TABLE._find_few(raw), TABLE._find_many(raw)
        assert len(few.rows) == few.distinct == many.distinct == len(many.rows)
        assert set(few.rows.tolist()) == set(many.rows.tolist())


def test_one_endless_word_and_texts_beyond_the_bound_are_fine() -> None:
    """A word of a megabyte is an unknown word; only the first 8,192 bytes are read."""
    assert TABLE.find(b"x" * 1_000_000)[:2] == (1, 1)
    assert TABLE.find(b"prove " * 2_000_000)[:2] == (1366, 2)  # the last is cut short
    assert TABLE.find(b" " * 1_000_000)[:2] == (0, 0)


def test_aliases_stand_for_the_words_they_mean() -> None:
    """An alias of two words is their sum and has the groups of both."""
    table = small(aliases=["erklaer", "证"], meanings=np.array([[1, 2], [3, 0]], np.uint16))
    assert table.embed(table.find(b"erklaer").rows).tolist()[:2] == pytest.approx([0.6, 0.8])
    assert table.groups(table.find(b"erklaer").rows).sum() == 1
    assert table.groups(table.find_terms("如证证")).sum() == 1
    assert "证" in table
    assert "erklaer" in table
    assert "nobody" not in table


def test_longest_chinese_term_wins_and_terms_do_not_overlap() -> None:
    """`加速度` (acceleration) is not `速度` (velocity), and each term is told once."""
    assert TABLE.find_terms("加速度").tolist() != TABLE.find_terms("速度").tolist()
    assert len(TABLE.find_terms("加速度")) == 1
    assert len(TABLE.find_terms("证明证明证明")) == 1
    assert len(TABLE.find_terms("🧮证明，速度\ud800")) == 2
    assert TABLE.find_terms("no Chinese").tolist() == []


@pytest.mark.parametrize(
    ("foreign", "english", "other"),
    [
        ("erklare warum die summe falsch ist", "explain why the sum is false", "write a poem"),
        ("ecrivez un poeme", "write a poem", "the patient has a disease"),
        ("demuestra que la suma de los numeros", "prove that the sum of numbers", "write a poem"),
    ],
)
def test_european_questions_are_near_their_english_ones(
    foreign: str, english: str, other: str
) -> None:
    """Words of other languages stand for English ones."""
    assert alike(foreign, english) > alike(foreign, other) + 0.2


def test_chinese_question_is_near_its_english_one() -> None:
    """A proof is nearer to a proof than to a disease."""
    asked = TABLE.embed(TABLE.find_terms("请证明：如果n是质数，那么方程没有整数解"))
    proof = TABLE.embed(
        TABLE.find(b"prove that if n is prime then the equation has no integer").rows
    )
    disease = TABLE.embed(TABLE.find(b"the patient has a fever and high blood pressure").rows)
    assert float(asked @ proof) > 0.7
    assert float(asked @ disease) < 0.3


def test_lexicon_is_wide_and_leads_only_to_known_words() -> None:
    """Some hundred terms; each is in the table or is left to English."""
    assert len(CHINESE) >= 300
    assert max(map(len, CHINESE)) <= 6
    assert all(1 <= len(meant) <= 2 for meant in (*CHINESE.values(), *LATIN.values()))
    assert all(word.isascii() and word.isalpha() and word.islower() for word in LATIN)
    assert all(term in TABLE for term in (*CHINESE, *LATIN))
    assert all(word in TABLE for meant in CHINESE.values() for word in meant)


def test_rare_words_weigh_more_than_common_ones() -> None:
    """The weights of smooth inverse frequency are in the vectors."""
    length = {
        word: float(np.linalg.norm(TABLE.vectors[TABLE.find(word.encode()).rows]))
        for word in ("the", "of", "eigenvalue", "sudoku")
    }
    assert max(length["the"], length["of"]) < 0.3 * min(length["eigenvalue"], length["sudoku"])


def test_shipped_table_says_where_it_comes_from() -> None:
    """Source and licence travel with the numbers."""
    assert "WordLlama" in TABLE.provenance["vectors"]
    assert "MIT" in TABLE.provenance["license"]
    assert TABLE.vectors.dtype == np.float32
    assert np.isfinite(TABLE.vectors).all()
    assert len(TABLE) + 1 == len(TABLE.vectors)


def test_a_table_survives_its_file() -> None:
    """Vectors come back within half a step of a byte, words and aliases as they were."""
    file = io.BytesIO()
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2, N_WORDS)).astype(np.float32)
    meanings = np.array([[1, 2], [1, 0]], np.uint16)
    save_words(file, [b"prove", b"if"], vectors, ["证明", "wenn"], meanings, {"from": "a test"})
    again = load_words(io.BytesIO(file.getvalue()))
    steps = np.abs(vectors).max(axis=1, keepdims=True) / 127.0
    assert (np.abs(again.vectors[1:3] - vectors) <= 0.501 * steps).all()
    assert again.provenance == {"from": "a test"}
    assert again.find(b"wenn if").rows.tolist() == [4, 2]
    assert again.find_terms("请证明").tolist() == [3]
    other = io.BytesIO()
    save_words(other, [b"prove", b"if"], vectors, ["证明", "wenn"], meanings, {"from": "a test"})
    assert other.getvalue() == file.getvalue()


def test_wrong_tables_are_refused() -> None:
    """Another format, shapes that do not fit, and shifts of other words are errors."""
    file = io.BytesIO()
    np.savez(file, format=np.array("words/0"))
    with pytest.raises(ValueError, match="format"):
        load_words(io.BytesIO(file.getvalue()))
    with pytest.raises(ValueError, match="vector per word"):
        WordTable([b"one"], np.zeros((2, N_WORDS), np.float32))
    with pytest.raises(ValueError, match="fewer than 65536"):
        WordTable([b"x"] * 65536, np.zeros((65536, N_WORDS), np.float32))
    words = [f"{chr(97 + a)}{chr(97 + b)}q".encode() for a in range(26) for b in range(26)] + [
        bytes([97 + a, 97 + b, 97 + c]) for a in range(26) for b in range(26) for c in range(16)
    ]
    none = np.zeros_like(find_shifts([b"a"]))
    with pytest.raises(ValueError, match="apart"):
        WordTable(words, np.zeros((len(words), N_WORDS), np.float32), shifts=none)


def test_words_are_runs_of_ascii_letters() -> None:
    """Digits, marks and other bytes part words."""
    assert split_words(b"Don't say abc123DEF\x80g_h") == [
        b"don", b"t", b"say", b"abc", b"def", b"g", b"h",
    ]  # fmt: skip


def test_embedding_has_norm_one() -> None:
    """Short or long."""
    for words in (3, 90, 400):
        text = b" ".join(list(TABLE._index)[50 : 50 + words])
        assert math.isclose(
            float(np.linalg.norm(TABLE.embed(TABLE.find(text).rows))), 1.0, abs_tol=1e-5
        )


def test_importing_words_loads_no_scikit_learn() -> None:
    """Numpy is enough at run time."""
    code = (
        "import sys, classifiers.features, classifiers.words;"
        "assert not {'sklearn', 'scipy', 'pandas', 'tokenizers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
