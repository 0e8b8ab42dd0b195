"""Kinds of task: what is near one is known and named, what is far from all is new."""

from __future__ import annotations

import math

import numpy as np
import pytest

from classifiers.familiar import NEW_FROM, known_at
from classifiers.features import N_DENSE, N_STRUCTURE
from classifiers.training.kinds import LEAST, fit_kinds
from classifiers.words import N_WORDS

PLAIN = np.zeros(N_STRUCTURE, dtype=np.float32)


def table(kinds, n=150, seed=0):
    """Rows around a place of its own for each kind, in random order."""
    rng = np.random.default_rng(seed)
    rows, names = [], []
    for at, kind in enumerate(kinds):
        own = rng.normal(size=(n, N_DENSE + N_WORDS))
        own[:, at] += 8.0
        own[:, N_DENSE + at] += 4.0
        rows.append(own)
        names += [kind] * n
    order = rng.permutation(len(names))
    matrix = np.concatenate(rows).astype(np.float32)[order]
    return matrix, np.array(names, dtype=object)[order]


@pytest.mark.parametrize("kinds", [("sums",), ("words", "sums"), ("c", "a", "d", "b")])
def test_prompts_of_a_kind_are_known_and_named(kinds) -> None:
    """Held-out ones too; those far from all kinds are not known."""
    matrix, names = table(kinds)
    fresh, truth = table(kinds, seed=1)
    found = fit_kinds(matrix, names, names)
    assert found.names == tuple(sorted(kinds))
    assert np.mean([found.kind(x) == k for x, k in zip(fresh, truth, strict=True)]) > 0.95
    assert np.mean([found.known(x[:N_DENSE], PLAIN) for x in fresh]) > 0.8
    assert found.known(fresh[0, :N_DENSE] + np.float32(20.0), PLAIN) == 0.0
    whiten = found.whiten
    assert (whiten.astype(np.float16).astype(np.float32) == whiten).all()


def test_rows_of_their_kind_lie_about_one_away() -> None:
    """Whitened, the mean square of a coordinate is about 1."""
    matrix, names = table(("a", "b"), n=1000)
    found = fit_kinds(matrix, names, names)
    own = matrix[names == "b", :N_DENSE]
    white = (own - found.centres[1]) @ found.whiten[1].T
    assert (white**2).mean() == pytest.approx(1.0, abs=0.15)


def test_kinds_with_few_prompts_have_no_place_of_their_own() -> None:
    matrix, names = table(("a", "b"))
    names[np.flatnonzero(names == "b")[LEAST - 1 :]] = "a"
    assert fit_kinds(matrix, names, names).names == ("a",)
    with pytest.raises(ValueError, match="at least"):
        fit_kinds(matrix[:50], names[:50], names[:50])


def test_a_large_data_set_does_not_stand_for_all() -> None:
    """Data sets weigh by the root of their size: fits with and without names differ."""
    matrix, names = table(("a", "b"))
    groups = names.copy()
    groups[:30] = "tiny"
    one, two = (fit_kinds(matrix, names, g).weights for g in (names, groups))
    assert np.isfinite([one, two]).all()
    assert (one != two).any()


def test_known_falls_with_distance_and_structure() -> None:
    """From 1 to exactly 0, never outside."""
    shares = [known_at(square, PLAIN) for square in (0.0, 1.0, 3.0, math.exp(NEW_FROM), 6.0, 1e9)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(1.0, abs=0.01)
    assert 0.4 < shares[3] < 0.5
    assert shares[-1] == 0.0
    laden = [known_at(2.0, PLAIN + np.float32(x)) for x in (0.0, 0.5, 1.0, 50.0)]
    assert laden == sorted(laden, reverse=True)
    assert laden[-1] == 0.0
    assert known_at(float("inf"), PLAIN) == 0.0
