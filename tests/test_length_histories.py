"""Histories of many routes and models: pooled, then route by route; kept apart, bounded, saved."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from classifiers.length import histories as module
from classifiers.length.correction import Extra
from classifiers.length.histories import ENOUGH, Histories
from classifiers.spread import Z90, Z99

KNOTS = (5.0 - Z90 * 0.5, 5.0, 5.0 + Z90 * 0.5, 5.0 + Z99 * 0.5)
NOTHING = Extra(0.0, 0.0, 0.0, 0.0)


def taught(calls, **more):
    """Histories of `calls`: (route, log tokens) of one model."""
    found = Histories()
    for route, log in calls:
        found.observe("", route, "m", KNOTS, NOTHING, log, **more)
    return found


def corrected(histories, route="", profile="m", tenant="", what=""):
    return histories.correct(tenant, route, profile, KNOTS, NOTHING, what)


def test_without_calls_the_forecast_stays() -> None:
    """Of no route, and of models that were never called."""
    assert corrected(Histories()) == (KNOTS, "prior", 0)
    one = taught([("a", 7.0)] * 30)
    assert corrected(one, profile="other") == (KNOTS, "prior", 0)
    assert corrected(one, tenant="other", route="a") == (KNOTS, "prior", 0)
    assert corrected(one, what="visible") == (KNOTS, "prior", 0)
    assert len(Histories()) == 0
    assert len(one) == 2


@pytest.mark.parametrize("route", ["", "a", "b"])
def test_what_a_forecast_rests_on(route) -> None:
    """Shipped figures, then this model's calls anywhere, then those of the very route."""
    seen = []
    for calls in (ENOUGH - 1, ENOUGH):
        found = corrected(taught([("a", 6.0)] * calls), route)
        seen.append((found.basis, found.calls))
    assert seen == [("prior", 19), ("route" if route == "a" else "pooled", 20)]


def test_a_route_counts_its_own_calls() -> None:
    """Few of its own calls among many others: corrected by both, called pooled."""
    found = taught([("a", 6.0)] * 40 + [("b", 6.0)] * 5)
    assert corrected(found, "a")[1:] == ("route", 40)
    assert corrected(found, "b")[1:] == ("pooled", 45)
    assert corrected(found, "c")[1:] == ("pooled", 45)


def test_a_new_route_starts_from_what_all_routes_say() -> None:
    """And leaves it where its own calls say otherwise."""
    rng = np.random.default_rng(0)
    found = taught([("a", 6.5 + 0.3 * rng.normal()) for _ in range(100)])
    assert corrected(found, "new").knots == corrected(found).knots != KNOTS
    assert corrected(found).knots[1] == pytest.approx(6.5, abs=0.2)
    for _ in range(60):
        found.observe("", "short", "m", KNOTS, NOTHING, 3.0 + 0.3 * rng.normal())
    assert corrected(found, "short").knots[1] == pytest.approx(3.0, abs=0.3)
    assert corrected(found, "a").knots[1] > corrected(found, "short").knots[1] + 1.0


def test_tenants_models_and_kinds_of_tokens_are_apart() -> None:
    """What one says is not heard by another."""
    found = Histories()
    told = {
        ("x", "m", ""): 7.0,
        ("y", "m", ""): 3.0,
        ("x", "n", ""): 4.0,
        ("x", "m", "visible"): 2.0,
    }
    for (tenant, profile, what), log in told.items():
        for _ in range(50):
            found.observe(tenant, "r", profile, KNOTS, NOTHING, log, what=what)
    for (tenant, profile, what), log in told.items():
        knots = corrected(found, "r", profile, tenant, what).knots
        assert knots[1] == pytest.approx(log, abs=0.2)
    assert sorted(found.calls()) == sorted(
        (tenant, route, profile, 50, 0)
        for tenant, profile in (("x", "m"), ("y", "m"), ("x", "n"))
        for route in ("", "r")
    )


def test_the_one_not_used_for_longest_goes_first(monkeypatch) -> None:
    """However many routes there are, a bounded number is kept; all go on working."""
    monkeypatch.setattr(module, "MAX_HISTORIES", 4)
    found = Histories()
    for at in range(10):
        found.observe("", f"route-{at}", "m", KNOTS, NOTHING, 6.0)
    assert len(found) == 4
    assert [row[1] for row in found.calls()] == ["route-7", "route-8", "", "route-9"]
    assert corrected(found).calls == 10
    found.observe("", "route-7", "m", KNOTS, NOTHING, 6.0)
    found.observe("", "route-new", "m", KNOTS, NOTHING, 6.0)
    assert {row[1] for row in found.calls()} == {"", "route-7", "route-9", "route-new"}


def test_what_is_saved_comes_back() -> None:
    """Names in any script, corrections to the last bit, the order in which they go."""
    found = Histories()
    rng = np.random.default_rng(1)
    for at in range(90):
        where = (f"tenant {at % 2}", ["", "数学", 'a"b\\'][at % 3], "m")
        cut = at % 7 == 0
        found.observe(*where, KNOTS, NOTHING, float(rng.normal(6, 1)), truncated=cut)
    state = found.state()
    assert all(isinstance(value, np.ndarray) for value in state.values())
    assert all(value.dtype.kind in "Uif" for value in state.values())
    back = Histories.from_state(state)
    assert back.calls() == found.calls()
    for tenant in ("tenant 0", "tenant 1", "none"):
        for route in ("", "数学", "other"):
            assert corrected(back, route, tenant=tenant) == corrected(found, route, tenant=tenant)
    assert Histories.from_state(Histories().state()).calls() == []


def test_a_state_that_does_not_fit_is_refused() -> None:
    """Rows left out, names without rows, columns of another kind."""
    state = taught([("a", 6.0)] * 5).state()
    bad = [
        {"rows": state["rows"][:-1]},
        {"rows": state["rows"][:, :-1]},
        {"rows": state["rows"].ravel()},
        {"counts": state["counts"][:1]},
        {"names": np.array(json.dumps([["", None, "m", ""]]))},
        {"names": np.array("not json")},
    ]
    for change in bad:
        with pytest.raises(ValueError, match=r"does not hold|Expecting|state of a history"):
            Histories.from_state(state | change)


def test_threads_lose_no_call() -> None:
    """Eight at once, on shared and on own routes."""
    found, failed = Histories(), []

    def work(at):
        try:
            for k in range(60):
                found.observe("", f"r{k % 3}", "m", KNOTS, NOTHING, 6.0, truncated=k % 5 == 0)
                knots = corrected(found, f"r{at % 3}").knots
                assert list(knots) == sorted(knots)
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    counts = {route: seen for _, route, _, seen, _ in found.calls()}
    assert counts == {"": 480, "r0": 160, "r1": 160, "r2": 160}
