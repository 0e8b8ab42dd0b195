"""How far a judge is to be trusted: the intervals beside accuracy and kappa."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import ConfigError, tuning

grades = st.floats(0, 1)


def pairs_of(both, judge, label, neither):
    """Grades and labels: so many that both find right, the judge alone, the label alone, none."""
    kinds = [(1.0, 1.0)] * both + [(1.0, 0.0)] * judge + [(0.0, 1.0)] * label
    return zip(*(kinds + [(0.0, 0.0)] * neither), strict=True)


@given(st.lists(st.tuples(grades, grades), min_size=1, max_size=30))
def test_intervals_hold_their_value_and_stay_in_range(pairs):
    """Whatever was graded: low <= value <= high, accuracy from 0 to 1, kappa from -1 to 1."""
    found = tuning.agreement(*zip(*pairs, strict=True))
    low, high = found.accuracy_between
    assert 0 <= low <= found.accuracy <= high <= 1
    assert (found.kappa is None) == (found.kappa_between is None)
    if found.kappa_between is not None:
        low, high = found.kappa_between
        assert -1 - 1e-12 <= low <= found.kappa <= high <= 1 + 1e-12


def test_few_answers_say_little_and_many_say_more():
    """Four right verdicts of four do not make a perfect judge; of four hundred they nearly do."""
    few = tuning.agreement(*pairs_of(2, 0, 0, 2))
    many = tuning.agreement(*pairs_of(200, 0, 0, 200))
    assert few.kappa == many.kappa == few.kappa_between[1] == 1.0
    assert few.kappa_between[0] < 0.4
    assert many.kappa_between[0] > 0.95
    assert "kappa 1.00 (0.9" in str(many)
    assert str(many).endswith("in brackets 95%")


def test_a_judge_that_says_the_same_of_all_is_not_found_better_than_chance():
    """Kappa is 0 and its interval holds 0; where the labels do so too there is none of it."""
    found = tuning.agreement(*pairs_of(30, 30, 0, 0))
    assert found.kappa == 0
    assert found.kappa_between[0] < 0 < found.kappa_between[1] < 0.3
    assert tuning.agreement(*pairs_of(9, 0, 0, 0)).kappa_between is None


def test_more_confidence_is_wider_and_the_same_twice():
    """The same answers have the same interval each time; at 99 % it holds that at 80 %."""
    wide, narrow = (
        tuning.agreement(*pairs_of(20, 6, 4, 10), confidence=share) for share in (0.99, 0.8)
    )
    assert wide.kappa_between[0] < narrow.kappa_between[0] < narrow.kappa
    assert narrow.kappa_between[1] < wide.kappa_between[1]
    again = tuning.agreement(*pairs_of(20, 6, 4, 10), confidence=0.8)
    assert again == narrow
    for share in (0, 1, float("nan"), "0.9", True):
        with pytest.raises(ConfigError, match="confidence: expected"):
            tuning.agreement([1.0], [1.0], confidence=share)


@pytest.mark.parametrize(
    ("cells", "truth"),
    [
        ((0.25, 0.25, 0.25, 0.25), 0.0),
        ((0.35, 0.20, 0.15, 0.30), 0.3),
        ((0.45, 0.10, 0.05, 0.40), 0.7),
        ((0.72, 0.04, 0.08, 0.16), 0.651),
    ],
)
def test_intervals_of_kappa_hold_the_truth(cells, truth):
    """Of 300 samples of 40 answers at least nine in ten intervals at 95 % do, and not by width."""
    drawn = np.random.default_rng(5).multinomial(40, cells, 300)
    told = [tuning.agreement(*pairs_of(*counts)).kappa_between for counts in drawn]
    found = [ends for ends in told if ends is not None]  # of one cell alone there is no kappa
    assert len(found) >= 299
    held = [low <= truth <= high for low, high in found]
    assert np.mean(held) >= 0.9
    assert np.mean([high - low for low, high in found]) < 0.65
