# ruff: noqa: RUF001 (full-width punctuation is what is tested)
from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.features import (
    DENSE_NAMES,
    HEAD_CHARS,
    N_DENSE,
    N_STRUCTURE,
    STRUCTURE_NAMES,
    TAIL_CHARS,
    Features,
    distinct_words,
    featurize,
)
from classifiers.prompt import Prompt
from classifiers.training.split import assign, group_key
from classifiers.words import N_WORDS, load_words

WORDS = load_words()


def features(prompt: Prompt | str) -> Features:
    return featurize(prompt, WORDS)


def dense(text: str) -> dict[str, float]:
    return dict(zip(DENSE_NAMES, features(text).dense.tolist(), strict=True))


def structure(**given: object) -> dict[str, float]:
    prompt = Prompt(text="Hi", **given)  # type: ignore[arg-type]
    return dict(zip(STRUCTURE_NAMES, features(prompt).structure.tolist(), strict=True))


def alike(one: str, other: str) -> float:
    return float(features(one).words @ features(other).words)


def check(found: Features) -> None:
    assert found.dense.shape == (N_DENSE,)
    assert found.words.shape == (N_WORDS,)
    assert found.structure.shape == (N_STRUCTURE,)
    assert {part.dtype for part in found} == {np.dtype(np.float32)}
    assert all(np.isfinite(part).all() for part in found)
    norm = float(np.linalg.norm(found.words))
    assert norm == 0.0 or norm == pytest.approx(1.0, abs=1e-5)
    shares = found.dense[[name.startswith("share") for name in DENSE_NAMES]]
    assert ((shares >= 0.0) & (shares <= 1.0)).all()


@pytest.mark.parametrize(
    "text",
    [
        "", " \n\t", "x" * 1_000_000, "\ud800 lone \udfff", "\x00\x01", "🧮" * 9,
        "数学の問題を解け。" * 4000, "\n" * 1_000_000,
        "\\a" * 50_000, "a " * 500_000, "1 " * 5000, "```" * 5000,
        "\u200b" * 50, "e\u0301" * 3000, "\n" + " " * 100_000, "\uffff", "\U0010ffff",
    ],
)  # fmt: skip
def test_any_text_gives_finite_features_of_fixed_shape(text: str) -> None:
    """Empty, huge, binary and non-Latin prompts all give finite arrays of the same shape."""
    check(features(text))


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec=None), max_size=300), st.integers(1, 40))
def test_whatever_is_drawn_gives_finite_features(text: str, times: int) -> None:
    """Any code points, lone surrogates among them, short or long."""
    check(features(text * times))


def test_same_text_gives_the_same_bytes_in_another_process() -> None:
    """No hash seed or order of a set leaks into the features."""
    code = (
        "import hashlib; from classifiers.features import featurize;"
        "from classifiers.words import load_words; words = load_words();"
        "texts = ('why is a b c 12 ?', '请证明 prove it ' * 99);"
        "found = [featurize(text, words) for text in texts];"
        "print(hashlib.sha256(b''.join(p.tobytes() for f in found for p in f)).hexdigest())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(runs) == 1


def test_shape_features_say_what_they_are_named_for() -> None:
    """Options, LaTeX, digits, code words and the closing question mark are seen."""
    choice = dense("Which is prime?\nA. 4\n\nB. 7\n  (C) 9")
    assert choice["options"] == 3
    assert choice["paragraphs"] == pytest.approx(math.log(2))
    assert choice["word_question"] == 1
    assert dense("Is 7 prime?  ")["ends_with_question"] == 1
    assert dense(r"Find $\frac{1}{2} + \sqrt{2}$")["latex"] == pytest.approx(math.log(3))
    assert dense("1234 and 5")["number_digits_max"] == pytest.approx(math.log(5))
    assert dense("1234 and 5")["number_digits_mean"] == 2.5
    assert dense("```py\nx\n```")["fences"] == pytest.approx(math.log(3))
    assert dense("def f(x):\n    return x")["word_code"] == 1


def test_known_values_of_a_small_text() -> None:
    """Counted by hand: 'Add 12 and 12, add 7!' has words, numbers and marks as its tokens."""
    found = dense("Add 12 and 12, add 7!")
    assert found["chars"] == pytest.approx(math.log1p(21))
    assert found["words"] == pytest.approx(math.log1p(8))  # add 12 and 12 , add 7 !
    assert found["word_length"] == pytest.approx(16 / 8)
    assert found["distinct_share"] == pytest.approx(6 / 8)
    assert found["numbers"] == pytest.approx(math.log1p(3))
    assert found["share_digit"] == pytest.approx(5 / 21)
    assert found["share_upper"] == pytest.approx(1 / 21)
    assert found["share_lower"] == pytest.approx(8 / 21)
    assert found["share_space"] == pytest.approx(5 / 21)
    assert found["char_'!'"] == found["char_','"] == pytest.approx(math.log(2))
    assert found["share_non_ascii"] == found["char_'?'"] == 0.0


def test_keywords_are_seen_in_short_and_long_texts() -> None:
    """The two ways of looking up words agree about the groups."""
    short, long = dense("Prove the theorem."), dense("Prove the theorem. " + "8 " * 1500)
    for name in DENSE_NAMES:
        if name.startswith("word_") and name != "word_length":
            assert short[name] == long[name], name
    assert short["word_prove"] == 1.0
    assert short["word_code"] == 0.0


def test_only_head_and_tail_are_read_but_the_full_length_is_known() -> None:
    """The middle of a long text changes nothing; its length does."""
    head, tail = "the " * (HEAD_CHARS // 4), "proof " * (TAIL_CHARS // 6)
    one, other = features(head + "q " * 5000 + tail), features(head + "r " * 5000 + tail)
    assert [part.tobytes() for part in one] == [part.tobytes() for part in other]
    longer = dense(head + "q " * 9000 + tail)
    assert longer["chars"] > dense(head + "q " * 5000 + tail)["chars"]
    assert set(distinct_words(head + "q " * 5000 + tail)) == {b"the", b"proof"}


def test_number_of_words_hardly_depends_on_typography() -> None:
    """Curly quotes, dashes, full-width forms and accents are read as their plain forms."""
    plain, curly = "He said 'no' - why? cafe x*y 12", "He said \u2018no\u2019 \u2014 why\uff1f "
    curly += "caf\u00e9 x\u00d7y \uff11\uff12"
    one, other = dense(plain), dense(curly)
    assert other.pop("share_non_ascii") > 0.0 == one.pop("share_non_ascii")
    assert other == pytest.approx(one)
    assert alike(plain, curly) == pytest.approx(1.0, abs=1e-5)
    assert alike("re\u00adsume\u200b \ufb01", "resume") == pytest.approx(1.0, abs=1e-5)


def test_chinese_question_is_read() -> None:
    """Punctuation, full-width digits, keywords and vectors of a question in Chinese."""
    found = dense("请证明：如果ｘ是正整数，则方程２ｘ＝１４有解吗？")
    assert found["share_cjk"] > 0.5
    assert found["number_digits_max"] == pytest.approx(math.log(3))
    assert found["ends_with_question"] == 1.0
    assert found["word_prove"] == found["word_loop"] == found["word_algebra"] == 1.0
    assert found["word_medical"] == found["word_code"] == 0.0
    assert dense("患者有什么症状？应该如何治疗？")["word_medical"] == 1.0
    question = "请证明：如果n是质数，那么方程没有整数解"
    assert alike(question, "Prove that if n is prime the equation has no integer solution") > 0.7
    assert alike(question, "The patient has a fever") < 0.3
    assert dense("数学")["share_cjk"] == 1.0


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("Erkläre, warum die Summe der Zahlen falsch ist.", ("explain", "count", "negation")),
        ("Écrivez un poème. Pourquoi ?", ("write", "explain")),
        ("¿Cuántos números enteros hay? Demuestra tu respuesta.", ("count", "algebra", "prove")),
    ],
)
def test_european_questions_are_read(text: str, groups: tuple[str, ...]) -> None:
    """German, French and Spanish instructions raise the keywords of the English ones."""
    found = dense(text)
    assert all(found[f"word_{group}"] == 1.0 for group in groups)
    assert features(text).words.any()


def test_scripts_are_told_apart() -> None:
    """Each alphabet has a share of its own; symbols and emoji belong to none."""
    shares = ("cjk", "cyrillic", "arabic", "other_script")
    texts = {"cjk": "数학の", "cyrillic": "задача", "arabic": "مسألة", "other_script": "गणितไทย"}
    for name, text in texts.items():
        found = dense(text)
        assert found["share_non_ascii"] == 1.0
        assert [share for share in shares if found[f"share_{share}"] > 0.8] == [name]
    found = dense("∑🧮α")
    assert not any(found[f"share_{share}"] for share in shares)
    assert found["words"] == pytest.approx(math.log1p(3))


def test_code_looks_like_code_and_prose_like_prose() -> None:
    """Vectors and marks of a program are unlike those of a story."""
    code = "def total(items):\n    return sum(item.price for item in items)"
    assert dense(code)["word_code"] == dense(code)["word_loop"] == 1.0
    assert dense(code)["char_'('"] == pytest.approx(math.log1p(2))
    other = "def count(words):\n    for word in words: import json"
    assert alike(code, other) > alike(code, "Write a poem about the sea and the moon")


def test_a_bare_question_has_no_structure() -> None:
    """A text alone, or a prompt that is only text."""
    assert not features("Hi").structure.any()
    assert not any(structure().values())
    text = "What is the capital of France?"
    bare, prompt = features(text), features(Prompt(text=text))
    assert all(np.array_equal(one, other) for one, other in zip(bare, prompt, strict=True))


def test_structure_grows_with_what_surrounds_the_question() -> None:
    """About one where it is plainly there, and only where it is."""
    assert structure(turns=4)["turns"] == pytest.approx(1.0)
    assert structure(turns=2)["turns"] == pytest.approx(0.5)
    assert structure(system_chars=500)["system_chars"] == pytest.approx(1.0)
    assert structure(tools=3)["tools"] == pytest.approx(1.0)
    assert structure(schema_chars=500)["schema_chars"] == pytest.approx(1.0)
    assert structure(wants_json=True) == {**structure(), "wants_json": 1.0}
    assert 1.0 < structure(system_chars=100_000)["system_chars"] < 2.5
    assert not any(structure(turns=0, system_chars=-1, tools=-1, schema_chars=-5).values())


def test_importing_the_package_loads_no_numpy() -> None:
    """`import classifiers` stays light; its names are still listed."""
    code = (
        "import sys, classifiers; assert 'load_default' in dir(classifiers);"
        "assert not {'numpy', 'sklearn', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_question_asked_twice_never_straddles_the_split() -> None:
    """Case, spacing and other options do not move a question to the other side."""
    questions = [f"How many of the {n} apples that Ann sold were red ones?" for n in range(400)]
    rows = [("mmlu_pro", f"{q}\nA. 1\nB. 2") for q in questions]
    rows += [("routellm_mmlu", f"{q.upper()}\nA. 3\nB. 4\nC. 5") for q in questions]
    parts = assign(rows)
    assert parts[:400] == parts[400:]
    assert 40 <= parts[:400].count("test") <= 120


def test_code_that_differs_by_an_operator_is_another_question() -> None:
    """Punctuation identifies code, not prose."""
    assert group_key("def f(a, b):\n    return a + b") != group_key(
        "def f(a, b):\n    return a - b"
    )
    assert group_key("What is the name of it, then?") == group_key("what is the name of it then")
