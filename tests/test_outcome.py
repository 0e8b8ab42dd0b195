"""`OutcomeClassifier`: who is good at what, learned from texts; and the scorer says the same."""

from __future__ import annotations

import io

import numpy as np
import pytest

from classifiers import OutcomeClassifier, Scorer
from classifiers.calibration import sigmoid
from classifiers.demand import DemandNet
from classifiers.evaluation import auc, ece
from classifiers.prompt import Prompt
from classifiers.store import load_weights, save, shipped_placements
from classifiers.training.fitting import plain_weights
from classifiers.words import load_words

MODELS = ["sums", "words", "both"]
NOUNS = ["river", "mountain", "king", "treaty", "novel", "planet", "opera", "castle", "desert"]
SMALL = {"n_members": 3, "hidden": 16, "demands": 3, "epochs": 25, "batch_size": 64}
FAR = ["x" * 3000, "def f(x):\n    return x[::-1]\n" * 10, "\n" * 500, "数学" * 200]


def task(n, seed):
    """Sums and questions about words in turn; each of the first two models knows one of them."""
    rng = np.random.default_rng(seed)
    texts = []
    for i in range(n):
        a, b, c = rng.integers(10, 999, 3)
        one, two, three = rng.choice(NOUNS, 3)
        texts.append(
            f"Which {one} near the {two} of the old {three} is the most famous in literature?"
            if i % 2
            else f"What is {a} plus {b} times {c}?"
        )
    odd = np.arange(n) % 2 == 1
    p = np.stack([np.where(odd, 0.2, 0.9), np.where(odd, 0.85, 0.15), np.full(n, 0.6)], axis=1)
    grades = (rng.random(p.shape) < p).astype(float)
    kinds = np.where(odd, "words", "sums").tolist()
    return texts, grades, p, kinds


@pytest.fixture(scope="module")
def fitted() -> OutcomeClassifier:
    texts, grades, _, kinds = task(600, seed=0)
    grades[np.random.default_rng(1).random(grades.shape) < 0.2] = np.nan
    return OutcomeClassifier(net=DemandNet(**SMALL)).fit(texts, grades, kinds, kinds)


@pytest.fixture(scope="module")
def scorer(fitted) -> Scorer:
    file = io.BytesIO()
    save(plain_weights(fitted, MODELS), file)
    file.seek(0)
    return Scorer(load_weights(file), shipped_placements(), load_words())


def test_each_model_is_trusted_with_what_it_is_good_at(fitted) -> None:
    """New prompts are ranked, and the probabilities are calibrated."""
    texts, grades, p, _ = task(300, seed=5)
    found = fitted.predict_proba(texts)
    assert np.abs(found - p).mean() < 0.08
    for m in (0, 1):
        assert auc(grades[:, m], found[:, m]) > 0.8
    assert ece(grades.ravel(), found.ravel()) < 0.08
    assert fitted.n_models_ == 3


def test_known_prompts_are_known_and_far_ones_get_the_average(fitted) -> None:
    """It abstains where it has seen nothing alike: the same for all such prompts."""
    texts, *_ = task(100, seed=6)
    assert fitted.known(fitted.vectorizer_.read(texts)).mean() > 0.9
    assert (fitted.known(fitted.vectorizer_.read(FAR)) == 0).all()
    found = fitted.predict_proba(FAR)
    assert found == pytest.approx(np.tile(sigmoid(fitted.base_.mean(axis=0)), (4, 1)), abs=1e-12)
    assert found[0] == pytest.approx([0.55, 0.5, 0.6], abs=0.12)


def test_what_is_fitted_is_what_ships(fitted, scorer) -> None:
    """Float16 and float32 hold every value: both paths in float64 agree to 1e-12."""
    weights = scorer._prior.weights
    texts, *_ = task(60, seed=7)
    rows = fitted.vectorizer_.read([*texts, *FAR])
    x = weights.standard(np.stack([r.dense for r in rows]), np.stack([r.words for r in rows]))
    demands = weights.net.exact_demands(x)
    theta, base = weights.theta.astype(np.float64)[:, :, :3], weights.base.astype(np.float64)
    logits = np.einsum("nkd,kdm->nkm", demands, theta[:, :-1]) + theta[:, -1]
    known, wide = weights.familiar.known, x.astype(np.float64)
    share = np.array([known(one, r.structure) for one, r in zip(wide, rows, strict=True)])
    p = sigmoid((base[:, :3] + share[:, None, None] * (logits - base[:, :3])).mean(axis=1))
    assert p == pytest.approx(fitted.predict_features(rows), abs=1e-12)


def test_the_scorer_agrees_with_the_estimator(fitted, scorer) -> None:
    """It computes in float32, for speed: to 1e-6."""
    texts, *_ = task(200, seed=8)
    texts += [*FAR, "Prove that the sum of two primes is even.", "What is 7 plus the king?"]
    expected, known = fitted.predict_proba(texts), fitted.known(fitted.vectorizer_.read(texts))
    for text, row, share in zip(texts, expected, known, strict=True):
        found = scorer.score(text, MODELS)
        assert [s.p_correct for s in found.values()] == pytest.approx(row, abs=1e-6)
        assert found["sums"].known == pytest.approx(share, abs=1e-5)
        assert found["sums"].basis == "trained"
    assert scorer.score(texts[0], ["sums"])["sums"].task == "sums"
    assert scorer.score(texts[1], ["sums"])["sums"].task == "words"


def test_groups_and_kinds_are_optional() -> None:
    """Without kinds the groups serve; without either all is one kind, if there is enough of it."""
    texts, grades, p, kinds = task(240, seed=9)
    quick = DemandNet(**{**SMALL, "epochs": 40})
    for more in ({}, {"groups": kinds}, {"kinds": kinds}):
        model = OutcomeClassifier(net=quick).fit(texts, grades, **more)
        assert model.familiar_.names == (("sums", "words") if more else ("all",))
        assert np.abs(model.predict_proba(texts) - p).mean() < 0.15
    few = OutcomeClassifier(net=quick).fit(texts[:60], grades[:60], kinds[:60])
    assert few.familiar_ is None
    assert few.known(few.vectorizer_.read(FAR)).tolist() == [1.0] * 4
    assert few.predict_proba(texts).shape == (240, 3)
    with pytest.raises(ValueError, match="enough prompts"):
        plain_weights(few, MODELS)


def test_fitting_twice_gives_the_same_numbers_and_keeps_the_given_net() -> None:
    """The network handed in is a recipe: two fits share nothing."""
    texts, grades, _, kinds = task(200, seed=10)
    net = DemandNet(**SMALL)
    one, two = (OutcomeClassifier(net=net).fit(texts, grades, kinds) for _ in range(2))
    assert (one.predict_proba(texts) == two.predict_proba(texts)).all()
    assert not hasattr(net, "members_")


def test_a_model_without_grades_is_a_middling_one() -> None:
    texts, grades, _, kinds = task(240, seed=11)
    grades[:, 2] = np.nan
    found = (
        OutcomeClassifier(net=DemandNet(**SMALL)).fit(texts, grades, kinds).predict_proba(texts)
    )
    assert np.isfinite(found).all()


def test_prompts_carry_their_structure(fitted) -> None:
    """A `Prompt` counts like its text; many tools around it make it less known."""
    text = task(1, seed=12)[0][0]
    plain, laden = (Prompt(text=text), Prompt(text=text, tools=40, system_chars=50_000))
    assert (fitted.predict_proba([plain]) == fitted.predict_proba([text])).all()
    known = fitted.known(fitted.vectorizer_.read([plain, laden]))
    assert known[1] < known[0]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"y": np.ones((8, 2))}, r"shape \(10, models\)"),
        ({"y": np.ones(10)}, r"shape \(10, models\)"),
        ({"y": np.full((10, 2), 1.5)}, r"\[0, 1\]"),
        ({"y": np.full((10, 2), np.nan)}, "at least one grade"),
        ({"groups": ["a"] * 9}, "groups: expected 10"),
        ({"kinds": ["a"] * 11}, "kinds: expected 10"),
        ({"X": "one text"}, "wrap it in a list"),
        ({"X": [None] * 10}, "NoneType"),
        ({"X": [], "y": np.ones((0, 2))}, "at least one prompt"),
    ],
)
def test_training_data_that_cannot_be_is_refused(change, match) -> None:
    given = {"X": [f"What is {i}?" for i in range(10)], "y": np.eye(10)[:, :2]} | change
    with pytest.raises(ValueError, match=match):
        OutcomeClassifier(net=DemandNet(**SMALL)).fit(**given)
