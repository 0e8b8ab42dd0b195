"""How long a server takes to read a prompt, learned from its first tokens."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.transports.vllm.speed import Crowd, Speed


def trained(line, lengths, noise=0.0, seed=1):
    draw, speed = random.Random(seed), Speed()
    for tokens in lengths:
        exact = line[0] + tokens * line[1]
        speed.add(tokens, exact * (1 + noise * draw.uniform(-1, 1)))
    return speed


def test_a_line_is_found():
    """The delay at no tokens, and the time per token."""
    speed = trained((0.03, 0.001), [10, 900, 50, 400, 1500, 30] * 10, noise=0.2)
    assert speed.per_token == pytest.approx(0.001, rel=0.1)
    assert speed.start == pytest.approx(0.03, abs=0.03)
    assert speed.known


def test_of_equal_lengths_all_time_is_for_tokens():
    """Without spread nothing tells start and speed apart; the cautious way is a dear token."""
    speed = trained((0.1, 0.001), [500] * 20)
    assert speed.start == pytest.approx(0.0, abs=1e-9)
    assert speed.per_token == pytest.approx(0.6 / 500)


def test_the_latest_count_most():
    """A server that becomes three times slower is noticed within some dozens of calls."""
    speed = trained((0.0, 0.001), [100, 500, 900] * 30)
    for tokens in [100, 500, 900] * 30:
        speed.add(tokens, tokens * 0.003)
    assert speed.per_token == pytest.approx(0.003, rel=0.1)


def test_an_outlier_counts_but_not_as_one():
    """A call that hung for a minute does not make all later ones dear."""
    speed = trained((0.0, 0.001), [100, 500, 900] * 30)
    speed.add(500, 60.0)
    assert speed.per_token < 0.0015
    assert speed.start < 0.1


def test_until_something_is_known_others_speak():
    """First the server's own figure, then its siblings', then an assumption."""
    common = Speed()
    one, other = Speed(common), Speed(common)
    assert one.per_token == Speed().per_token
    assert not one.known
    for tokens in (100, 500, 900):
        other.add(tokens, tokens * 0.01)
    assert one.per_token == pytest.approx(0.01)
    one.told = 0.5
    assert one.per_token == 0.5
    for tokens in (100, 500, 900):
        one.add(tokens, tokens * 0.02)
    assert one.per_token == pytest.approx(0.02)


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 10**4)), max_size=60),
)
def test_it_is_never_negative_nor_nothing(values):
    """Whatever came in, reading takes some time, and no token gives any back."""
    speed = Speed()
    for tokens, seconds in values:
        speed.add(tokens, seconds)
    assert speed.per_token > 0
    assert speed.start >= 0
    assert speed.usual >= 0


def crowded(base, beside, loads, tokens=100):
    crowd = Crowd()
    for load in loads:
        crowd.add(load, tokens, tokens * (base + beside * load))
    return crowd


def test_what_a_neighbour_costs_is_found():
    """Seconds per token over calls beside it, times the tokens of an answer."""
    crowd = crowded(0.02, 0.003, [1, 4, 9, 2, 16, 5] * 10)
    assert crowd.each == pytest.approx(0.003 * 100, rel=0.02)


def test_of_few_answers_or_one_load_nothing_is_learned():
    """The assumption stands: a base that is slow is no neighbour's doing."""
    known = Crowd().each
    assert crowded(0.5, 0.01, [1, 9] * 5, tokens=200).each == pytest.approx(known)
    assert crowded(0.5, 0.01, [8] * 100, tokens=200).each == pytest.approx(known)


def test_a_neighbour_never_helps_and_is_never_all():
    """Answers that came faster in company cost nothing; no more than all time is a neighbour's."""
    assert crowded(1.0, -0.05, [1, 9] * 30).each == 0.0
    steep = Crowd()
    for load in [1, 9] * 30:
        steep.add(load, 10, 0.001 if load == 1 else 100.0)
    mean = (0.0001 + 10.0) / 2
    assert 0 < steep.each <= mean / 5 * 10 * 1.3


@given(
    st.lists(
        st.tuples(st.floats(0, 1000), st.integers(0, 10**5), st.floats(-1, 10**4)), max_size=80
    )
)
def test_the_cost_of_neighbours_is_never_negative(values):
    """Whatever came in, an answer without tokens or time included."""
    crowd = Crowd()
    for load, tokens, seconds in values:
        crowd.add(load, tokens, seconds)
        assert crowd.each >= 0
