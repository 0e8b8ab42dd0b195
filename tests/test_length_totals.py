"""The total of many answers: between one answer's own quantiles and a sum that evens out."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.length.totals import SHARED, Part, total
from classifiers.scores import Quantiles
from classifiers.spread import Z90, Z99, capped_mean, ordered, quantiles_of


def tokens(centre, spread):
    return quantiles_of(
        ordered(centre - Z90 * spread, centre, centre + Z90 * spread, centre + Z99 * spread)
    )


def parts(n, basis="route", seed=0, **more):
    """Answers of many sizes."""
    rng = np.random.default_rng(seed)
    sizes = zip(rng.normal(6, 1, size=n), rng.uniform(0.3, 1.2, size=n), strict=True)
    return [Part(tokens(*size), basis=basis, **more) for size in sizes]


def figures(q):
    return [q.p10, q.p50, q.p90, q.p99, q.mean]


def test_one_part_has_its_own_quantiles() -> None:
    """None has zeros; a price and a fixed cost are applied; a cap cuts every figure."""
    one = tokens(6.0, 0.8)
    assert total([]) == Quantiles(0, 0, 0, 0, 0)
    for basis in SHARED:
        assert total([Part(one, basis=basis)]) == one
    found = total([Part(one, weight=3.0, fixed=7.0)])
    assert figures(found) == pytest.approx([3.0 * f + 7.0 for f in figures(one)])
    found = total([Part(one, cap=500.0, weight=2.0, fixed=1.0)])
    expected = [one.p10, one.p50, 500.0, 500.0, capped_mean(one, 500.0)]
    assert figures(found) == pytest.approx([2.0 * f + 1.0 for f in expected])


def test_what_varies_by_itself_evens_out() -> None:
    """A hundred answers: p90 of the total far under the sum of p90s, more so the more calls the
    forecast rests on; p10 over the sum of p10s.
    """
    one = tokens(6.0, 0.8)
    found = {
        basis: total([Part(one, basis=basis)] * 100) for basis in ("prior", "pooled", "route")
    }
    for q in found.values():
        assert 100 * one.p10 < q.p10 < q.p50 < q.p90 < 100 * one.p90
        assert q.mean == pytest.approx(100 * one.mean, rel=0.03)
    widths = [(q.p90 - q.p10) / q.p50 for q in found.values()]
    assert widths[0] > 1.05 * widths[1] > 1.5 * widths[2]
    assert found["route"].p90 < 1.4 * found["route"].p50


def test_a_basis_never_heard_of_is_as_wide_as_none() -> None:
    """The cautious end."""
    assert total(parts(20, basis="guess")) == total(parts(20, basis="prior"))


@pytest.mark.parametrize("basis", SHARED)
@pytest.mark.parametrize("n", [2, 3, 10, 300])
def test_the_mean_is_the_sum_of_means(n, basis) -> None:
    """Whatever answers have in common, with a cap or without."""
    for some in (parts(n, basis), parts(n, basis, cap=400.0, weight=2.0)):
        means = [part.weight * capped_mean(part.tokens, part.cap) for part in some]
        assert total(some).mean == pytest.approx(sum(means), rel=1e-9)


def test_a_told_mean_moves_the_mean_alone() -> None:
    """Heads whose mean is corrected by a factor: quantiles stay those of the quantiles."""
    some = parts(50)
    told = [
        part._replace(tokens=replace(part.tokens, mean=0.8 * part.tokens.mean)) for part in some
    ]
    found, plain = total(told), total(some)
    assert found.mean == pytest.approx(0.8 * plain.mean)
    assert figures(found)[:4] == figures(plain)[:4]


@settings(max_examples=30)
@given(
    st.lists(
        st.builds(
            Part,
            st.builds(tokens, st.floats(0, 11), st.floats(0, 1.5)),
            st.one_of(st.just(math.inf), st.floats(0, 5000)),
            st.floats(0, 100),
            st.floats(0, 1000),
            st.sampled_from([*SHARED]),
        ),
        max_size=12,
    )
)
def test_any_parts_stay_in_order_and_under_their_caps(some) -> None:
    """Never under the fixed part, never over what caps allow."""
    found = total(some)
    low, *_, high = quantiles = figures(found)[:4]
    assert all(math.isfinite(figure) for figure in figures(found))
    assert quantiles == sorted(quantiles)
    most = math.fsum(part.fixed + part.weight * part.cap for part in some if part.weight)
    most += math.fsum(part.fixed for part in some if not part.weight)
    room = 1e-6 + 1e-9 * high
    assert high <= most + room
    assert found.mean <= most + room
    assert low >= math.fsum(part.fixed for part in some) - room


def test_the_same_parts_give_the_same_total() -> None:
    """No chance in it; twice the price is twice the total."""
    some = parts(40, cap=900.0, weight=0.5, fixed=3.0)
    assert total(some) == total(list(some))
    doubled = [part._replace(weight=1.0, fixed=6.0) for part in some]
    assert figures(total(doubled)) == pytest.approx([2 * f for f in figures(total(some))])


def test_ten_thousand_parts_take_little_memory() -> None:
    """What is drawn at once does not grow with the job."""
    some = parts(500) * 20
    tracemalloc.start()
    found = total(some)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6
    assert found.mean == pytest.approx(sum(part.tokens.mean for part in some), rel=0.03)
