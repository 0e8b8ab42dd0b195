"""One route's own calls: coverage of what follows, changes noticed, truncated answers, saving."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.length.correction import Extra
from classifiers.length.history import HEAD_ROWS, WINDOW, History
from classifiers.spread import MAX_LOG_TOKENS, Z90, Z99, ordered

CENTRE, SPREAD = 5.5, 0.6
NOTHING = Extra(0.0, 0.0, 0.0, 0.0)
TRUTHS = {
    "right": lambda centre, z: centre + SPREAD * z,
    "shift": lambda centre, z: centre + 1.0 + 0.5 * z,
    "scale": lambda centre, z: centre + 1.4 * SPREAD * z,
    "narrow": lambda centre, z: centre - 0.5 + 0.4 * SPREAD * z,
    "slope": lambda centre, z: 2.5 + 0.5 * centre + 0.5 * z,
}


def forecast(centre, spread=SPREAD):
    return centre - Z90 * spread, centre, centre + Z90 * spread, centre + Z99 * spread


def route(truth, seed):
    """Endless calls of a route: forecast, features, true log tokens."""
    rng = np.random.default_rng(seed)
    while True:
        centre = rng.normal(CENTRE, 0.6)
        extra = Extra(*rng.normal(size=4).tolist())
        yield forecast(centre), extra, max(0.0, TRUTHS[truth](centre, rng.normal()))


def replayed(calls, changed_at=None, by=0.0):
    """A history of these calls, and whether p90 and p99 of each forecast, made before, held."""
    history, held = History(), []
    for at, (knots, extra, log) in enumerate(calls):
        took = log if changed_at is None or at < changed_at else max(0.0, log + by)
        _, _, p90, p99 = history.corrected(knots, extra)
        held.append((took <= p90, took <= p99))
        history.observe(knots, extra, took, truncated=False)
    return history, np.array(held)


@pytest.mark.parametrize("truth", TRUTHS)
def test_corrected_forecasts_cover_what_follows(truth) -> None:
    """Calls 200 to 600 of ten routes, each forecast before it is seen: p90 and p99 hold."""
    held = np.concatenate(
        [replayed(islice(route(truth, seed), 600))[1][200:] for seed in range(10)]
    )
    p90, p99 = held.mean(axis=0)
    assert 0.87 <= p90 <= 0.93
    assert p99 >= 0.975


def test_what_is_never_seen_is_never_corrected() -> None:
    """Without a call the forecast itself comes back."""
    knots = forecast(4.0)
    assert History().corrected(knots, Extra(1.0, 2.0, 3.0, 4.0)) is knots
    assert History().calls == History().seen == History().changes == 0


@pytest.mark.parametrize("factor", [2.5, 1 / 2.5])
def test_a_change_of_level_is_noticed(factor) -> None:
    """Calls 320 to 420 after a swap at 300 are covered again; twelve routes notice one change
    each, but for one that may think twice.
    """
    found = [
        replayed(islice(route("shift", seed), 420), changed_at=300, by=math.log(factor))
        for seed in range(12)
    ]
    held = np.concatenate([one[320:, 0] for _, one in found])
    assert 0.85 <= held.mean() <= 0.95
    changes = [history.changes for history, _ in found]
    assert changes.count(1) >= 11
    assert max(changes) <= 2
    assert all(history.calls < 300 < history.seen == 420 for history, _ in found)


def test_hardly_anything_is_noticed_where_nothing_changes() -> None:
    """An alarm in 2,500 calls at most, as chance has it for sums of normal misses; and only what
    a window holds is kept.
    """
    found = [replayed(islice(route("shift", 100 + seed), 2000))[0] for seed in range(8)]
    assert sum(history.changes for history in found) <= 8 * 2000 / 2500
    assert sum(history.changes == 0 for history in found) >= 4
    assert all(history.seen == 2000 and history.calls <= WINDOW for history in found)


def test_truncated_answers_are_lower_bounds() -> None:
    """Three in ten answers cut off: p90 of the true lengths holds, better than if believed."""
    held, believed, cut = [], [], []
    for seed in range(10):
        told, taken = History(), History()
        caps = np.random.default_rng(50 + seed).normal(CENTRE + 1.55, 0.78, size=500).tolist()
        calls = islice(route("shift", seed), 500)
        for at, ((knots, extra, log), cap) in enumerate(zip(calls, caps, strict=True)):
            if at >= 200:
                held.append(log <= told.corrected(knots, extra)[2])
                believed.append(log <= taken.corrected(knots, extra)[2])
            cut.append(log > cap)
            told.observe(knots, extra, min(log, cap), truncated=log > cap)
            taken.observe(knots, extra, min(log, cap), truncated=False)
    assert np.mean(cut) == pytest.approx(0.3, abs=0.03)
    assert 0.87 <= np.mean(held) <= 0.95
    assert np.mean(believed) < 0.82


def test_a_route_that_is_always_cut_off_does_not_run_away() -> None:
    """Each answer says only that it is longer: forecasts grow, and stay an answer's length."""
    history = History()
    for _ in range(400):
        history.observe(forecast(5.0), NOTHING, 4.0, truncated=True)
    found = history.corrected(forecast(5.0), NOTHING)
    assert found[1] > 4.0
    assert found == ordered(*found)
    assert found[3] < MAX_LOG_TOKENS


@pytest.mark.parametrize("calls", [1, 19, 150, 600])
@pytest.mark.parametrize("changed_at", [None, 100])
def test_a_saved_history_goes_on_as_if_nothing_was(calls, changed_at) -> None:
    """State tells it all, alarm and forgotten weight included: the next calls are corrected, and
    changes noticed, to the last bit alike.
    """
    history, _ = replayed(islice(route("slope", 3), calls), changed_at, by=1.2)
    saved = history.state()
    assert saved.shape == (HEAD_ROWS + history.calls, 8)
    back = History.from_state(saved)
    assert (back.calls, back.seen, back.changes) == (history.calls, history.seen, history.changes)
    for knots, extra, log in islice(route("shift", 4), 60):
        assert back.corrected(knots, extra) == history.corrected(knots, extra)
        for one in (back, history):
            one.observe(knots, extra, log, truncated=log > 7.0)
    assert back.state().tolist() == history.state().tolist()


def test_a_broken_state_is_refused() -> None:
    """Too few rows, or numbers that are none."""
    saved = replayed(islice(route("right", 0), 5))[0].state()
    holed = saved.copy()
    holed[-1, 0] = np.nan
    for bad in (saved[:HEAD_ROWS], saved[:0], holed):
        with pytest.raises(ValueError, match="state of a history"):
            History.from_state(bad)
    assert History().state().shape == (0, 8)


LOG = st.floats(0.0, MAX_LOG_TOKENS)
CALL = st.tuples(
    st.tuples(LOG, LOG, LOG, LOG).map(lambda logs: ordered(*sorted(logs))),
    st.builds(Extra, *[st.floats(-10.0, 10.0)] * 4),
    st.floats(0.0, 30.0),
    st.booleans(),
)


@settings(max_examples=60)
@given(st.lists(CALL, min_size=1, max_size=40))
def test_any_calls_leave_forecasts_finite_and_in_order(calls) -> None:
    """Whatever was forecast and whatever came, truncated or not."""
    history = History()
    for knots, extra, log, truncated in calls:
        history.observe(knots, extra, log, truncated=truncated)
        for asked in calls[:3]:
            found = history.corrected(*asked[:2])
            assert all(math.isfinite(knot) for knot in found)
            assert found == ordered(*found)
    if history.calls:
        again = History.from_state(history.state())
        assert again.corrected(*calls[0][:2]) == history.corrected(*calls[0][:2])


@pytest.mark.parametrize("cap", [1, 30, 100, 400])
def test_answers_all_cut_alike_do_not_feed_on_themselves(cap) -> None:
    """Thousands of calls at one short `max_tokens`: forecasts stay near what is known."""
    history = History()
    knots = tuple(math.log1p(n) for n in (40.0, 90.0, 200.0, 500.0))
    extra = Extra(0.0, 0.0, 0.0, 0.0)
    for _ in range(2000):
        history.observe(knots, extra, math.log1p(cap), truncated=True)
    _, p50, _, p99 = (math.expm1(knot) for knot in history.corrected(knots, extra))
    assert history.seen == 2000
    assert p50 < 3 * max(90, cap)
    assert p99 < 3 * max(500, 3 * cap)
