"""Four quantiles of log tokens as a distribution: levels, means and capped means."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.scores import Quantiles
from classifiers.spread import (
    LEVELS,
    MAX_LOG_TOKENS,
    SCORES,
    Z90,
    Z99,
    capped_mean,
    knots_of,
    level_at,
    log_at,
    ordered,
    quantiles_of,
    token_quantiles,
)

NORMAL = NormalDist()
TAIL = 2.75
GAP = st.one_of(st.just(0.0), st.floats(0.0, 3.0))


@st.composite
def knots(draw, gap=GAP, most=9.0):
    """Any four logs in order, all equal and zeros among them."""
    p10 = draw(st.one_of(st.just(0.0), st.floats(0.0, most)))
    p50 = p10 + draw(gap)
    p90 = p50 + draw(gap)
    return ordered(p10, p50, p90, p90 + draw(gap))


def line(knots, scores):
    """Logs at normal scores, straight between the knots and beyond them."""
    p10, p50, p90, p99 = knots
    slopes = (p50 - p10) / Z90, (p90 - p50) / Z90, (p99 - p90) / (Z99 - Z90)
    below = p50 + slopes[0] * np.minimum(scores, 0.0)
    between = slopes[1] * np.clip(scores, 0.0, Z90)
    return below + between + slopes[2] * np.maximum(scores - Z90, 0.0)


def integral(knots, log_cap=math.inf):
    """E[min(tokens, cap)] by Simpson's rule; the tail of tokens ends at the score `TAIL`."""
    end = min(log_cap, MAX_LOG_TOKENS, float(line(knots, np.array([TAIL]))[0]))
    corners = np.array([-12.0, 0.0, Z90, 12.0])
    logs = line(knots, corners)
    cuts = [
        a + (end - one) / (two - one) * (b - a)
        for a, b, one, two in zip(corners, corners[1:], logs, logs[1:], strict=False)
        if one < end < two
    ]
    total = 0.0
    borders = sorted({*corners.tolist(), *cuts})
    for a, b in pairwise(borders):
        z, step = np.linspace(a, b, 2001, retstep=True)
        value = np.exp(np.minimum(line(knots, z), end) - 0.5 * z * z) / math.sqrt(2.0 * math.pi)
        inside = 4.0 * value[1::2].sum() + 2.0 * value[2:-1:2].sum()
        total += step / 3.0 * (value[0] + value[-1] + inside)
    return max(0.0, total - 1.0)


@given(knots(gap=st.floats(0.05, 3.0), most=3.0), st.floats(-5.0, 5.0))
def test_level_and_log_are_inverse(knots, score) -> None:
    """Where anything is spread, each undoes the other."""
    assert level_at(knots, log_at(knots, score)) == pytest.approx(NORMAL.cdf(score), abs=1e-9)


@given(knots())
def test_a_log_at_the_scores_of_the_levels_is_the_knot(knots) -> None:
    """p10, p50, p90 and p99 are what they are called."""
    assert [NORMAL.cdf(score) for score in SCORES] == pytest.approx(LEVELS, abs=1e-12)
    found = [log_at(knots, score) for score in SCORES]
    assert found == pytest.approx(knots, abs=1e-9)


@given(knots(), st.lists(st.floats(-5.0, 20.0), min_size=2, max_size=6))
def test_a_level_never_falls_and_is_a_chance(knots, logs) -> None:
    """Also where all quantiles are one."""
    levels = [level_at(knots, log) for log in sorted(logs)]
    assert levels == sorted(levels)
    assert all(0.0 <= level <= 1.0 for level in levels)
    assert level_at(knots, -1e6) < 1e-9
    assert level_at(knots, 1e6) > 1 - 1e-9


@given(knots())
def test_the_mean_is_that_of_the_distribution(knots) -> None:
    """The closed form equals numeric integration to 1e-6, for any knots."""
    found = quantiles_of(knots)
    assert found.mean == pytest.approx(integral(knots), rel=1e-6, abs=1e-6)
    assert found.p10 - 1e-6 <= found.mean <= found.p99 + 1e-6
    assert knots_of(found) == pytest.approx(knots, abs=1e-9)


@given(knots(), st.floats(0.0, 500_000.0))
def test_a_capped_mean_is_that_of_answers_cut_off(knots, cap) -> None:
    """E[min(tokens, cap)] by numeric integration, to 1e-6."""
    found = capped_mean(quantiles_of(knots), cap)
    # Below zero tokens the line of logs goes on; a cap near zero is worth no more than itself.
    expected = min(cap, integral(knots, math.log1p(cap)))
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-5)


@given(knots(), st.lists(st.floats(0.0, 500_000.0), min_size=2, max_size=8), st.floats(0.3, 1.5))
def test_a_capped_mean_rises_with_its_cap_and_stays_under_it(knots, caps, factor) -> None:
    """Whatever mean comes with the quantiles: never over the cap, never over the mean."""
    q = quantiles_of(knots)
    q = Quantiles(q.p10, q.p50, q.p90, q.p99, factor * q.mean)
    found = [capped_mean(q, cap) for cap in sorted(caps)]
    for cap, low, high in zip(sorted(caps), found, [*found[1:], q.mean], strict=True):
        assert 0.0 <= low <= min(cap, q.mean)
        assert low <= high + 1e-9 * (1.0 + high)
    assert capped_mean(q, math.inf) == q.mean
    assert capped_mean(q, 0) == capped_mean(q, -3) == 0.0


def test_knots_without_any_spread() -> None:
    """One length: the mean is that length, a cap above changes nothing."""
    five = math.log1p(5.0)
    assert quantiles_of((0.0,) * 4) == Quantiles(0, 0, 0, 0, 0)
    q = quantiles_of((five,) * 4)
    assert q.mean == pytest.approx(5.0)
    assert capped_mean(q, 7) == pytest.approx(5.0)
    assert capped_mean(q, 3) == pytest.approx(3.0)
    assert [level_at((five,) * 4, five + d) for d in (-0.1, 0.1)] == pytest.approx([0, 1])


@given(*[st.floats(allow_nan=False, allow_infinity=False)] * 4)
def test_any_logs_are_brought_in_order(p10, p50, p90, p99) -> None:
    """Never falling, from no tokens to the longest answer; those in order are left alone."""
    found = ordered(p10, p50, p90, p99)
    assert list(found) == sorted(found)
    assert found[0] >= 0.0
    assert found[3] <= MAX_LOG_TOKENS
    assert ordered(*found) == found


def test_many_are_as_one() -> None:
    """Rows of a table are what each gives alone; no rows give no rows."""
    rows = np.array([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0], [5.0, 4.0, 6.0, 20.0]])
    table = token_quantiles(rows)
    for row, found in zip(rows.tolist(), table.tolist(), strict=True):
        q = quantiles_of(ordered(*row))
        assert found == [q.p10, q.p50, q.p90, q.p99, q.mean]
    assert token_quantiles(np.zeros((0, 4))).shape == (0, 5)
