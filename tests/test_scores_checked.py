"""A scorer's answers are checked before anything rests on them, and its words are not quoted."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning import ASK, LENGTHS, NONE, Learning, staged

from classifiers.prompt import Prompt
from classifiers.scores import Quantiles, Score
from router import ScorerError
from router.scoring import scores_of
from router.testing import reply

GOOD = Score(0.5, LENGTHS, NONE, "trained", base=0.5, base_tokens=100.0, visible_tokens=LENGTHS)
NAN, INF = float("nan"), float("inf")
SECRET = "the zebra of my grandmother"


class Odd:
    """Answers the same score of everybody, or fails."""

    def __init__(self, answer):
        self.answer = answer

    def score(self, prompt, profiles, *, tenant=""):
        if isinstance(self.answer, Exception):
            raise self.answer
        return dict.fromkeys(profiles, self.answer)


def asked(score):
    return scores_of(Odd(score), Prompt(text="Hi"), ["m"], "")[1]["m"]


DISORDER = Quantiles(400, 300, 200, 100, 50)
BAD_LENGTHS = [
    DISORDER,
    Quantiles(1, 2, 3, 4, -5),
    Quantiles(-1, 2, 3, 4, 5),
    Quantiles(1, 2, 3, INF, 2),
    Quantiles(1, NAN, 3, 4, 2),
    Quantiles(1, 2, 3, 4, NAN),
    Quantiles(1, 2, "3", 4, 2),
    Quantiles(10, 20, 19, 30, 20),
    5.0,
]


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("p_correct", [1.5, -0.1, NAN, None, "0.5"]),
        ("base", [2.0, NAN, "x"]),
        ("known", [-0.1, 1.1, NAN, INF, None]),
        ("base_tokens", [NAN, -5.0, INF, "5"]),
        ("tokens_calls", [-1, None, "3"]),
        ("draws", [(2.0,), (0.5, NAN), (0.5, "x"), 5]),
        ("output_tokens", [*BAD_LENGTHS, None]),
        ("reasoning_tokens", [*BAD_LENGTHS, None]),
        ("visible_tokens", BAD_LENGTHS),
    ],
)
def test_each_part_is_checked_and_named(part, values):
    """The error says which part of whose score, and what was expected."""
    for value in values:
        with pytest.raises(ScorerError, match=f"the scorer answered {part} .*for 'm'; expected"):
            asked(replace(GOOD, **{part: value}))


def test_what_may_be_missing_may_be_missing():
    """A scorer of one's own need not know what it was before the prompt was read."""
    plain = Score(0.5, NONE, NONE, "prior")
    assert asked(plain) is plain
    assert asked(GOOD) is GOOD


@given(st.lists(st.floats(0, 1e300), min_size=4, max_size=4), st.floats(0, 1e300))
def test_quantiles_in_order_are_sound(values, mean):
    """In any sizes; the mean may be anywhere, for tails are heavy."""
    tokens = Quantiles(*sorted(values), mean)
    score = replace(GOOD, output_tokens=tokens)
    assert asked(score) is score
    if sorted(values) != values:
        with pytest.raises(ScorerError, match="output_tokens"):
            asked(replace(GOOD, output_tokens=Quantiles(*values, mean)))


@pytest.mark.parametrize(
    "answer",
    [
        ValueError(SECRET),
        SECRET,
        replace(GOOD, p_correct=SECRET),
        replace(GOOD, draws=(SECRET,)),
        replace(GOOD, output_tokens=SECRET),
        replace(GOOD, visible_tokens=Quantiles(1, 2, SECRET, 4, 5)),
    ],
)
def test_an_error_does_not_hold_the_prompt(answer):
    """Names of types only; what a scorer raised is the cause."""
    with pytest.raises(ScorerError) as caught:
        asked(answer)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is (answer if isinstance(answer, Exception) else None)


def test_notes_do_not_hold_the_prompt():
    """A scorer that fails after the answer: its error's type, and no word of it."""

    class Failing(Learning):
        def learn(self, prompt, profile, grade, *, tenant=""):
            raise OSError(SECRET)

        def observe(self, prompt, profile, tokens, **more):
            raise RuntimeError(SECRET)

    made = staged(reply("right"), scorer=Failing(), verify=lambda answer: True)
    notes = made.chat.completions.create(ASK).route.notes
    assert "the scorer could not learn: OSError" in notes
    assert "the scorer could not take in a length: RuntimeError" in notes
    assert SECRET not in "".join(notes)
