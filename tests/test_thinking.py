"""How long models think: slopes from few answers, levels from what is published."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers.placement import Anchor
from classifiers.spread import MAX_LOG_TOKENS, ordered, quantiles_of
from classifiers.training.thinking import (
    ASSUMED,
    Thinking,
    Thoughts,
    fit_thinking,
    level_from_means,
    own_level,
)

N = 400
LEVELS = {"a": 7.0, "b": 8.0, "c": 8.5}


def answers(slopes, seed=0, noise=0.5):
    """Thoughts on N prompts of eight data sets by three models, with their centres and logits."""
    rng = np.random.default_rng(seed)
    dataset = np.arange(N) % 8
    centre, logit = rng.normal(5, 1, size=N), rng.normal(1, 2, size=N) + 0.3 * dataset
    model = np.array([*LEVELS])[rng.integers(3, size=N)]
    level = np.array([LEVELS[name] for name in model])
    log = level + slopes[0] * (centre - 5) + slopes[1] * (logit - 1) + noise * rng.normal(size=N)
    tokens = np.expm1(log)
    visible = np.minimum(tokens, np.expm1(1.0 + 0.8 * centre + 0.3 * rng.normal(size=N)))
    visible[::10] = np.nan
    thoughts = Thoughts(
        row=np.arange(N), dataset=dataset.astype(str), model=model, tokens=tokens, visible=visible
    )
    return thoughts, centre, logit


@pytest.mark.parametrize("slopes", [ASSUMED.slopes, (0.8, -0.3), (0.3, -0.4)])
def test_slopes_go_where_answers_say_and_not_far(slopes) -> None:
    """Where the answers agree with what is assumed they stay; else they move towards the truth."""
    thoughts, centre, logit = answers(slopes)
    found = fit_thinking(thoughts, centre, logit)
    for one, assumed, truth in zip(found.slopes, ASSUMED.slopes, slopes, strict=True):
        assert abs(one - truth) <= abs(assumed - truth) + 0.05
    levels = [found.levels[name] for name in LEVELS]
    assert levels == sorted(levels)
    assert (np.diff(found.offsets) > 0).all()
    assert found.offsets[1] == pytest.approx(0.0, abs=0.3)
    assert found.visible[1] == pytest.approx(0.8, abs=0.1)


def test_a_harder_prompt_is_never_thought_about_less() -> None:
    """The slope over the chance to be right falls, whatever a few answers say."""
    thoughts, centre, logit = answers((0.5, -0.2), noise=2.0)
    assert fit_thinking(thoughts, centre, logit).slopes[1] < 0
    assert ASSUMED.slopes[1] < 0 < ASSUMED.slopes[0]


def test_offsets_cover_data_sets_left_out() -> None:
    """p90 around the middle, of folds that were not fitted on: nine answers in ten."""
    thoughts, centre, logit = answers((0.5, -0.2))
    found = fit_thinking(thoughts, centre, logit)
    design = np.column_stack((centre, logit)) @ found.slopes
    level = np.array([found.levels[name] for name in thoughts.model])
    covered = np.log1p(thoughts.tokens) <= design + level + found.offsets[2]
    assert covered.mean() == pytest.approx(0.9, abs=0.06)


def test_taking_some_answers_takes_all_their_columns() -> None:
    """Rows stay together."""
    thoughts, *_ = answers((0.5, -0.2))
    some = thoughts.take(thoughts.model == "a")
    assert set(some.model) == {"a"}
    assert len(some.row) == len(some.tokens) == len(some.visible) == len(some.dataset) < N
    assert some.tokens.tolist() == thoughts.tokens[some.row].tolist()


def test_a_level_meets_what_is_published() -> None:
    """One anchor is met; of two that differ, the level is between theirs; none at all is 0."""
    rng = np.random.default_rng(1)
    centre, logit = rng.normal(5, 1, size=60), rng.normal(1, 2, size=60)
    rows = np.arange(30), np.arange(30, 60)
    anchors = Anchor((("s", "a"),), 3000.0), Anchor((("s", "b"),), 20_000.0)

    def mean(level, where):
        middle = ASSUMED.slopes[0] * centre[where] + ASSUMED.slopes[1] * logit[where]
        knots = [ordered(*(m + level + ASSUMED.offsets).tolist()) for m in middle]
        return np.mean([quantiles_of(k).mean for k in knots])

    low, high = (
        level_from_means({anchor: where}, ASSUMED, centre, logit)
        for anchor, where in zip(anchors, rows, strict=True)
    )
    assert mean(low, rows[0]) == pytest.approx(3000, rel=0.01)
    assert mean(high, rows[1]) == pytest.approx(20_000, rel=0.01)
    both = level_from_means(dict(zip(anchors, rows, strict=True)), ASSUMED, centre, logit)
    assert both == pytest.approx((low + high) / 2)
    empty = {anchors[0]: np.arange(0)}
    assert level_from_means(empty, ASSUMED, centre, logit) == 0.0
    huge = {Anchor((("s", "a"),), 300_000.0): rows[0]}
    assert 0 < level_from_means(huge, ASSUMED, centre, logit) < 3 * MAX_LOG_TOKENS


def test_own_answers_move_a_level_by_their_number() -> None:
    """Ten answers are believed by half; a model under two names counts both; none by nothing."""
    fitted = Thinking((0.5, -0.2), ASSUMED.offsets, (0.5, 0.9), ASSUMED.offsets, LEVELS)
    assert own_level(fitted, ["a"], 9.0, [10]) == pytest.approx(8.0)
    assert own_level(fitted, ["a", "b"], 9.0, [5, 5]) == pytest.approx(9.0 + (7.5 - 9.0) / 2)
    assert own_level(fitted, ["a"], 9.0, [10_000]) == pytest.approx(7.0, abs=0.01)
    assert own_level(fitted, ["unheard of"], 9.0, [0]) == own_level(fitted, [], 9.0, []) == 9.0
