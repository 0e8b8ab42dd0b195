"""`DemandNet`: what prompts demand, learned from many models' grades at once."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers.demand import DemandNet
from classifiers.evaluation import auc

SMALL = {"n_members": 2, "hidden": 16, "demands": 2, "batch_size": 64, "epochs": 30}


def grades(n=900, models=6, seed=0):
    """Half of the models are good at what has x0 > 0, the others at what has not."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 5))
    side = np.where(np.arange(models) % 2 == 0, 2.5, -2.5)
    p = 1 / (1 + np.exp(-np.sign(rows[:, :1]) * side))
    return rows, (rng.random((n, models)) < p).astype(float), p


def test_each_model_gets_its_own_side() -> None:
    """And grades that are missing are not missed."""
    rows, y, p = grades()
    y[np.random.default_rng(1).random(y.shape) < 0.5] = np.nan
    model = DemandNet(**SMALL).fit(rows[:700], y[:700])
    found = model.predict_proba(rows[700:])
    assert found.shape == (200, 6)
    assert ((found > 0) & (found < 1)).all()
    assert np.abs(found - p[700:]).mean() < 0.15
    assert (model.n_models_, model.n_features_in_) == (6, 5)
    assert model.logits(rows).shape == (900, 2, 6)


def test_a_model_with_few_grades_leans_on_the_others() -> None:
    """Twelve grades of its own tell which kind it is; alone they tell less."""
    rows, y, _ = grades(seed=2)
    y[12:700, 5] = np.nan
    shared = DemandNet(**SMALL).fit(rows[:700], y[:700]).predict_proba(rows[700:])[:, 5]
    assert auc(y[700:, 5], shared) > 0.75


def test_the_networks_side_by_side_are_the_members() -> None:
    """`net_` gives each member's demands, in float32 and in float64, row by row as in bulk."""
    rows, y, _ = grades(200)
    model = DemandNet(**SMALL).fit(rows, y)
    net, x = model.net_, rows.astype(np.float32)
    assert net.members == 2
    bulk, exact = net.all_demands(x), net.exact_demands(x)
    assert bulk == pytest.approx(exact, abs=1e-5)
    logits = np.stack(
        [exact[:, k] @ m.ability + m.bias for k, m in enumerate(model.members_)], axis=1
    )
    assert logits == pytest.approx(model.logits(rows), abs=1e-9)
    one = net.demands(x[3], net.hidden(x[3]))
    assert one == pytest.approx(exact[3], abs=1e-5)
    small = net.rounded()
    for name in ("w1", "w2", "skip"):
        value = getattr(small, name)
        assert (value.astype(np.float16).astype(np.float32) == value).all()
        assert value == pytest.approx(getattr(net, name), rel=1e-3, abs=1e-6)


def test_numbers_instead_of_grades() -> None:
    """`link="identity"` regresses, one column or many."""
    rows = np.random.default_rng(0).normal(size=(800, 4))
    y = np.stack([3 * rows[:, 0] + 100, -rows[:, 0]], axis=1)
    model = DemandNet(**SMALL, link="identity").fit(rows[:600], y[:600])
    assert model.logits(rows[600:]).mean(axis=1) == pytest.approx(y[600:], abs=1.5)
    flat = DemandNet(**SMALL, link="identity").fit(rows, y[:, 1])
    assert flat.logits(rows).shape == (800, 2, 1)


def test_weights_of_rows_and_models_count() -> None:
    """What counts for nothing might as well not be there."""
    rows, y, _ = grades(400)
    wrong = np.concatenate([y, 1 - y])
    twice, weight = np.concatenate([rows, rows]), np.repeat([1.0, 0.0], 400)
    model = DemandNet(**SMALL).fit(twice, wrong, sample_weight=weight)
    assert auc(y[:, 0], model.predict_proba(rows)[:, 0]) > 0.85
    muted = DemandNet(**SMALL).fit(rows, y, model_weight=[1, 0, 1, 0, 1, 0])
    p = muted.predict_proba(rows)
    assert auc(y[:, 0], p[:, 0]) > 0.85
    assert np.abs(p[:, 1] - 0.5).max() < np.abs(p[:, 0] - 0.5).max()


def test_members_see_different_groups() -> None:
    """With groups each is drawn another share; the same seed gives the same numbers."""
    rows, y, _ = grades(400)
    groups = np.arange(400) % 8
    one, two = (DemandNet(**SMALL).fit(rows, y, groups).logits(rows) for _ in range(2))
    assert (one == two).all()
    assert (one[:, 0] != one[:, 1]).any()
    assert (one != DemandNet(**SMALL).fit(rows, y).logits(rows)).any()
    assert (one != DemandNet(**SMALL, random_state=1).fit(rows, y, groups).logits(rows)).any()


@pytest.mark.parametrize("n", [1, 2, 7])
def test_a_handful_of_rows(n) -> None:
    rows, y, _ = grades(n)
    found = DemandNet(n_members=2).fit(rows, y).predict_proba(rows)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("y", "settings", "match"),
    [
        (np.full((20, 2), 1.5), {}, r"\[0, 1\]"),
        (np.full((20, 2), -0.1), {}, r"\[0, 1\]"),
        (np.full((20, 2), np.nan), {}, "at least one grade"),
        (np.ones((19, 2)), {}, "20 rows"),
        (np.ones((20, 2, 2)), {}, "20 rows"),
        (1.0, {}, "20 rows"),
        (None, {}, "requires y"),
        (np.ones((20, 2)), {"link": "probit"}, "logistic"),
    ],
)
def test_grades_that_cannot_be_are_refused(y, settings, match) -> None:
    with pytest.raises(ValueError, match=match):
        DemandNet(**settings).fit(np.ones((20, 3)), y)
