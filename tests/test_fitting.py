"""The whole way on a tiny table: outcomes to arrays to a scorer; and what all models agree on."""

from __future__ import annotations

import io

import numpy as np
import pytest

from classifiers import Scorer, load_scorer
from classifiers.ability import Population
from classifiers.evaluation import auc, coverage
from classifiers.features import featurize
from classifiers.length.arrays import HEAD, POOL, SCALED, THINKING
from classifiers.placement import parse
from classifiers.training import fitting, placing
from classifiers.training import lengths as lengths_of
from classifiers.training.dataset import Outcomes, Prompts, grade_matrix, token_matrix
from classifiers.training.fitting import place_one
from classifiers.training.pooled import fit_pooled
from classifiers.words import load_words

PROFILES = ("alpha", "beta", "gamma")
SUMS, WORDS = 0, 1


def figure(value):
    return {"value": value, "source": "test", "status": "assumed"}


def placed(like=None, published=None, lengths=None, **more):
    scores = {name: figure(value) for name, value in (published or {}).items()}
    return {"like": like, "published": scores, "lengths": lengths or {"kind": "pool"}, **more}


PLACEMENTS = parse(
    {
        "format": "placements/3",
        "benchmarks": {"sums": [["s", "sums"]], "words": [["w", "*"]]},
        "profiles": {
            "strong": placed(
                "alpha",
                {"sums": 0.95, "words": 0.9},
                {"kind": "pool", "mean_tokens": figure(400)},
            ),
            "strong:thinking": placed(
                "strong",
                lengths={"kind": "thinking", "base": "strong"},
                gain=figure(0.8),
                floor="strong",
            ),
            "strong-long": placed(
                "strong:thinking",
                lengths={
                    "kind": "scaled",
                    "base": "strong:thinking",
                    "token_ratio": figure(2.5),
                },
                floor="strong:thinking",
            ),
            "weak": placed(None, {"sums": 0.2, "words": 0.1}),
        },
        "thinking_tokens": {
            "means": [
                {"parts": [["s", "sums"]], **figure(900)},
                {"parts": [["w", "*"]], **figure(4000)},
            ],
        },
        "effort": {"factors": {"low": figure(0.5)}},
    }
)


def tables(n=400):
    """Sums, short to answer, and questions about words, long; beta is good at the latter."""
    rng = np.random.default_rng(0)
    nouns = ["river", "king", "treaty", "novel", "planet", "opera", "castle", "garden"]
    kind = np.arange(n) % 2
    texts = []
    for i in range(n):
        a, b = rng.integers(10, 999, 2)
        one, two = rng.choice(nouns, 2)
        texts.append(
            f"Which {one} near the {two} is the most famous in literature, and why?"
            if kind[i] == WORDS
            else f"What is {a} plus {b}?"
        )
    words = load_words()
    prompts = Prompts(
        ids=[str(i) for i in range(n)],
        texts=texts,
        source=np.where(kind == WORDS, "w", "s").astype(object),
        dataset=np.where(kind == WORDS, "words", "sums").astype(object),
        kind=np.where(kind == WORDS, "words", "sums").astype(object),
        features=[featurize(text, words) for text in texts],
        test=np.arange(n) >= n - 80,
        calibration=np.arange(n) % 5 == 2,
        fold=rng.random(n),
    )
    right = {"alpha": (0.9, 0.2), "beta": (0.2, 0.9), "gamma": (0.6, 0.6)}
    size = {"alpha": 1.0, "beta": 2.0, "gamma": 0.5}
    rows = np.repeat(np.arange(n), 3)
    models = np.array(PROFILES * n, dtype=object)
    p = np.array([right[m][kind[r]] for r, m in zip(rows, models, strict=True)])
    mean = np.array([size[m] * (50, 500)[kind[r]] for r, m in zip(rows, models, strict=True)])
    outcomes = Outcomes(
        row=rows,
        model=models,
        score=(rng.random(3 * n) < p).astype(float),
        tokens=np.round(mean * np.exp(0.3 * rng.normal(size=3 * n))),
        draw=rng.random(3 * n),
    )
    return prompts, outcomes


@pytest.fixture(scope="module")
def trained():
    """Prompts, outcomes, weights and the scorer of them."""
    prompts, outcomes = tables()
    train = ~prompts.test
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PROFILES", "REASONING", "GRADED"):
            patch.setattr(fitting, name, dict.fromkeys(PROFILES) if name == "PROFILES" else {})
        patch.setattr(placing, "REASONING", {})
        fitted, models = fitting.fit_outcomes(prompts, outcomes, train)
        matrix = fitted.vectorizer_.transform_features(prompts.features)
        patch.setattr(lengths_of, "PROFILES", dict.fromkeys(PROFILES))
        lengths = lengths_of.fit_lengths(prompts, outcomes, matrix, train, fitted.familiar_)
        weights = fitting.export(fitted, models, lengths, PLACEMENTS, prompts, train)
    return prompts, outcomes, weights, Scorer(weights, PLACEMENTS, load_words())


def scored(trained, name):
    """Kinds, scores and outcomes of one profile on the test prompts."""
    prompts, outcomes, _, scorer = trained
    rows = np.flatnonzero(prompts.test)
    own = outcomes.take(np.isin(outcomes.row, rows) & (outcomes.model == "alpha"))
    if name in PROFILES:
        own = outcomes.take(np.isin(outcomes.row, rows) & (outcomes.model == name))
    found = [scorer.score(prompts.texts[row], [name])[name] for row in own.row]
    return prompts.kind[own.row], found, own


def test_every_profile_is_there_with_its_basis(trained) -> None:
    """Trained, placed, and the two of models never heard of; floors and lengths refer right."""
    _, _, weights, scorer = trained
    names = weights.profiles
    assert scorer.trained == PROFILES
    assert scorer.placed == tuple(PLACEMENTS.profiles)
    assert set(names) == {*PROFILES, *PLACEMENTS.profiles, "prior", "prior:thinking"}
    floors = {n: names[f] for n, f in zip(names, weights.floor, strict=True) if f >= 0}
    assert floors == {"strong:thinking": "strong", "strong-long": "strong:thinking"}
    kinds = dict(zip(names, weights.lengths.kind.tolist(), strict=True))
    assert [kinds[n] for n in ("beta", "strong", "strong:thinking", "strong-long")] == [
        HEAD,
        POOL,
        THINKING,
        SCALED,
    ]
    assert weights.kinds == ("sums", "words")


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_trained_profiles_foretell_prompts_they_never_saw(trained, name) -> None:
    """Right answers are ranked; lengths are covered and of the right size."""
    kinds, found, own = scored(trained, name)
    assert auc(own.score, [s.p_correct for s in found]) > 0.75
    assert all(s.known > 0.5 for s in found)
    assert [s.task for s in found] == kinds.tolist()
    assert 0.75 <= coverage(own.tokens, [s.output_tokens.p90 for s in found]) <= 1.0
    for kind in ("sums", "words"):
        at = kinds == kind
        mean = np.mean(
            [s.output_tokens.mean for s, inside in zip(found, at, strict=True) if inside]
        )
        assert mean == pytest.approx(own.tokens[at].mean(), rel=0.35)


def test_placed_profiles_do_as_published(trained) -> None:
    """On the kind of prompts that was measured; and as many tokens as said."""
    for name, published in (("strong", (0.95, 0.9)), ("weak", (0.2, 0.1))):
        kinds, found, _ = scored(trained, name)
        p = np.array([s.p_correct for s in found])
        means = [p[kinds == kind].mean() for kind in ("sums", "words")]
        assert means == pytest.approx(published, abs=0.12), name
    kinds, found, _ = scored(trained, "strong")
    means = np.array([s.output_tokens.mean for s in found])
    assert means[kinds == "sums"].mean() == pytest.approx(400, rel=0.3)
    better, longer = scored(trained, "strong:thinking")[1], scored(trained, "strong-long")[1]
    for one, two, three in zip(found, better, longer, strict=True):
        assert one.p_correct <= two.p_correct <= three.p_correct
        assert 0 < two.reasoning_tokens.p50 < two.output_tokens.p50
        assert three.output_tokens.p50 + 1 == pytest.approx(2.5 * (two.output_tokens.p50 + 1))


def test_the_scorer_is_saved_learns_and_comes_back(trained) -> None:
    """The file needs nothing else."""
    prompts, *_, scorer = trained
    fresh = scorer.fresh()
    for text in prompts.texts[:20]:
        fresh.learn(text, "weak", 1.0)
    file = io.BytesIO()
    fresh.save(file)
    file.seek(0)
    back = load_scorer(file)
    assert back.version == fresh.version != scorer.version
    text = prompts.texts[-1]
    one, two = (s.score(text, ["weak"])["weak"] for s in (back, fresh))
    assert one.p_correct == pytest.approx(two.p_correct, abs=1e-6)
    assert one.p_correct > scorer.score(text, ["weak"])["weak"].p_correct


def test_a_model_can_be_placed_later_from_what_is_stored(trained) -> None:
    """Benchmark demands and populations are in the weights: abilities follow as in training."""
    _, _, weights, _ = trained
    demands = dict(zip(weights.benchmarks, weights.benchmark_demands, strict=True))
    populations = [Population(m, c) for m, c in zip(weights.mean, weights.cov, strict=True)]
    found = place_one({"sums": 0.2, "words": 0.1}, demands, populations)
    stored = weights.theta[:, :, weights.profiles.index("weak")]
    assert found == pytest.approx(stored, abs=1e-4)


def test_matrices_hold_means_and_gaps() -> None:
    """Two answers of a model to one prompt are averaged; what was not asked is NaN."""
    outcomes = Outcomes(
        row=np.array([0, 0, 2]),
        model=np.array(["a", "a", "b"], dtype=object),
        score=np.array([1.0, 0.0, 1.0]),
        tokens=np.array([10.0, np.nan, 30.0]),
        draw=np.zeros(3),
    )
    models, grades = grade_matrix(outcomes, 3)
    assert models == ["a", "b"]
    assert np.array_equal(grades, [[0.5, np.nan], [np.nan] * 2, [np.nan, 1.0]], equal_nan=True)
    _, tokens = token_matrix(outcomes, 3)
    assert tokens[0, 0] == pytest.approx(np.log1p(10))
    assert np.isnan(tokens[1]).all()


def test_the_pooled_scale_takes_out_each_models_level() -> None:
    """A terse model that answered only the long prompts does not make them look short."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, 4))
    truth = rows @ [1.0, 0.0, -0.5, 0.0]
    targets = truth[:, None] + np.array([3.0, 5.0]) + 0.1 * rng.normal(size=(600, 2))
    targets[truth < 0, 0] = np.nan
    targets[truth > 1, 1] = np.nan
    pooled = fit_pooled(rows, targets, alpha=0.1)
    assert pooled.coef == pytest.approx([1.0, 0.0, -0.5, 0.0], abs=0.08)
    assert pooled.intercept == pytest.approx(4.0, abs=0.15)
    assert (pooled.coef.astype(np.float16).astype(float) == pooled.coef).all()
    with pytest.raises(ValueError, match="at least one target"):
        fit_pooled(rows, np.full((600, 2), np.nan), alpha=1.0)


def test_kinds_of_task_have_offsets_of_their_own() -> None:
    """Many rows decide for themselves; few are drawn to those of all, of p99 most."""
    rng = np.random.default_rng(0)
    knots = np.tile(np.array([1.0, 2.0, 3.0, 4.0]), (3030, 1, 1))
    kind = np.repeat([0, 1, 2], [2000, 1000, 30])
    logs = (2.0 + np.array([0.0, 3.0, 3.0])[kind] + 0.1 * rng.normal(size=3030))[:, None]
    found = lengths_of.by_kind(knots, logs, kind, 4)
    assert found.shape == (1, 4, 4)
    middle = found[0, :, 1]
    assert middle[0] == pytest.approx(0.0, abs=0.2)
    assert middle[1] == pytest.approx(3.0, abs=0.3)
    assert middle[0] < middle[2] < middle[1]
    assert middle[3] == pytest.approx(lengths_of.offsets_of(knots, logs, np.isnan(logs))[0, 1])


def test_a_mean_is_corrected_only_so_far() -> None:
    """Actual over forecast mean; the tail's fault stays with the tail, few rows say little."""
    knots = np.tile(np.array([3.0, 3.0, 3.0, 3.0]), (1000, 4, 1))
    logs = np.full((1000, 4), np.nan)
    logs[:, 0] = np.log1p(np.expm1(3.0) * 1.1)
    logs[:, 1] = np.log1p(np.expm1(3.0) * 9.0)
    logs[:5, 2] = np.log1p(np.expm1(3.0) * 1.2)
    found = lengths_of._means(knots, logs, np.zeros((4, 1, 4)), np.zeros(1000, int), 1)[:, 0]
    assert found[0] == pytest.approx(1.1, abs=0.01)
    assert found[1] == pytest.approx(lengths_of.MEANS[1], abs=0.02)
    assert 1.0 < found[2] < 1.05
    assert found[3] == 1.0
