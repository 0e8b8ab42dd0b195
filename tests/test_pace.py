"""Seconds of whole answers and to the first token, learned from what endpoints did lately."""

import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.pace import Pace, Times

E = "m@h"


def fed(seconds, pace=None):
    pace = pace or Pace()
    for i, value in enumerate(seconds):
        pace.observe(E, 100 + 50 * (i % 5), value)
    return pace


def steady(n, factor=lambda i: 1.0):
    """Answers on a line of 1 s and 50 tokens a second, each off it by a factor."""
    return [factor(i) * (1.0 + (100 + 50 * (i % 5)) / 50) for i in range(n)]


def test_nothing_is_said_too_early():
    """The line needs a few answers, its p90 more; the first token its own few streams."""
    pace = Pace()
    assert pace.times(E, 100, 100, 200) == Times(None, None, None)
    fed(steady(3), pace)
    assert pace.times(E, 100, 100, 200) == Times(None, None, None)
    fed(steady(3), pace)
    seconds, late, first = pace.times(E, 100, 100, 200)
    assert seconds == pytest.approx(3.0, rel=0.05)
    assert (late, first) == (None, None)
    assert pace.quantiles(E, 100) is None
    fed(steady(20), pace)
    assert pace.times(E, 100, 100, 200).p90 is not None


def test_quantiles_of_an_endpoint_that_varies():
    """Where one answer in six takes twice as long, the p90 is nearly twice the median, for any
    length."""
    pace = fed(steady(300, lambda i: 2.0 if i % 6 == 0 else 1.0))
    middle, late = pace.quantiles(E, 200)
    assert 1.3 < late / middle < 3.0
    assert middle < late


def test_a_length_that_is_not_known_adds_to_the_p90():
    """With the same host, an answer that may be much longer may take much longer."""
    pace = fed(steady(40))
    sure, unsure = pace.times(E, 200, 200, 200), pace.times(E, 200, 200, 1000)
    assert sure.seconds == unsure.seconds == pytest.approx(5.0, rel=0.05)
    assert sure.p90 == pytest.approx(pace.quantiles(E, 200)[1])
    assert unsure.p90 >= pace.expected(E, 1000) * 0.95


def test_the_first_token_is_a_median_of_streams():
    """It is there without whole answers, and the other way round."""
    pace = Pace()
    for seconds in (0.3, 9.0):
        pace.observe_first(E, seconds)
    assert pace.first_token(E) is None
    pace.observe_first(E, 0.4)
    assert pace.first_token(E) == 0.4
    assert pace.times(E, 100, 100, 100) == Times(None, None, 0.4)
    for _ in range(64):
        pace.observe_first(E, 0.1)  # it has become faster: only the latest are kept
    assert pace.first_token(E) == 0.1


def test_memory_is_bounded():
    """However many answers come, an endpoint keeps its sums and the latest few."""
    pace = fed(steady(1000))
    for _ in range(1000):
        pace.observe_first(E, 0.5)
    host = pace._hosts[E]
    assert len(host.ratios.ranked) == len(host.first.ranked) == 64


@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=200))
def test_ranked_values_are_the_latest_in_order(values):
    """What quantiles are read from is sorted, and just the last 64."""
    pace = Pace()
    for value in values:
        pace.observe_first(E, value)
    assert pace._hosts[E].first.ranked == sorted(values[-64:])


@given(st.lists(st.tuples(st.integers(0, 5000), st.floats(0.0, 600.0)), max_size=80))
def test_times_are_sane_whatever_came(answers):
    """Never negative, never infinite, and p90 never below the median of the same length."""
    pace = Pace()
    for tokens, seconds in answers:
        pace.observe(E, tokens, seconds)
    for value in pace.times(E, 100, 90, 400):
        assert value is None or 0.0 <= value < math.inf
    if (found := pace.quantiles(E, 90)) is not None:
        assert found[0] <= found[1]
        assert pace.times(E, 100, 90, 90).p90 == pytest.approx(found[1])


def test_threads_lose_nothing():
    """Observations from several threads all count."""
    pace = Pace()

    def work():
        for _ in range(200):
            pace.observe_first(E, 1.0)
            pace.observe(E, 100, 2.0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pace.expected(E, 100) == pytest.approx(2.0)
    assert pace._hosts[E].sums[0] == pytest.approx(20.0)  # 1 / (1 - 0.95), of 800
