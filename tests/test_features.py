from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from classifiers.features import (
    BUCKETS,
    DENSE_NAMES,
    HEAD_CHARS,
    N_DENSE,
    TAIL_CHARS,
    featurize,
)
from classifiers.split import assign, group_key


def dense(text: str) -> dict[str, float]:
    return dict(zip(DENSE_NAMES, featurize(text).dense.tolist(), strict=True))


@pytest.mark.parametrize(
    "text",
    ["", " \n\t", "x" * 1_000_000, "\ud800 lone", "\x00\x01", "数学の問題を解け。" * 40, "🧮" * 9],
)
def test_any_text_gives_finite_features_of_fixed_shape(text: str) -> None:
    """Empty, huge, binary and non-Latin prompts all give finite arrays of the same shape."""
    found = featurize(text)
    assert found.dense.shape == (N_DENSE,)
    assert found.dense.dtype == np.float32
    assert np.isfinite(found.dense).all()
    assert found.buckets.shape == found.values.shape
    assert ((found.buckets >= 0) & (found.buckets < BUCKETS)).all()


def test_hashed_part_has_norm_one_and_sorted_distinct_buckets() -> None:
    """Hashed values are L2-normalised, one per distinct bucket."""
    found = featurize("Compute the sum of the first 20 primes; then compute the sum again.")
    assert float(np.square(found.values).sum()) == pytest.approx(1.0, abs=1e-6)
    assert (np.diff(found.buckets) > 0).all()


def test_same_text_gives_the_same_bytes_in_another_process() -> None:
    """No hash seed or order of a set leaks into the features."""
    code = (
        "import hashlib; from classifiers.features import featurize; f = featurize('a b c 12 ?');"
        "print(hashlib.sha256(f.dense.tobytes() + f.buckets.tobytes() + f.values.tobytes())"
        ".hexdigest())"
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
    choice = dense("Which is prime?\nA. 4\nB. 7\nC. 9")
    assert choice["options"] == 3
    assert choice["word_question"] == 1
    assert dense("Is 7 prime?  ")["ends_with_question"] == 1
    assert dense(r"Find $\frac{1}{2} + \sqrt{2}$")["latex"] == pytest.approx(np.log1p(2))
    assert dense("1234 and 5")["number_digits_max"] == pytest.approx(np.log1p(4))
    assert dense("def f(x):\n    return x")["word_code"] == 1
    assert dense("数学")["share_cjk"] == pytest.approx(1.0)


def test_only_head_and_tail_are_read_but_the_full_length_is_known() -> None:
    """The middle of a long text changes nothing; its length does."""
    head, tail = "a " * (HEAD_CHARS // 2), "z " * (TAIL_CHARS // 2)
    one, other = featurize(head + "q " * 5000 + tail), featurize(head + "r " * 5000 + tail)
    assert one.dense.tobytes() == other.dense.tobytes()
    assert one.buckets.tolist() == other.buckets.tolist()
    longer = dense(head + "q " * 9000 + tail)
    assert longer["chars"] > dense(head + "q " * 5000 + tail)["chars"]


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
