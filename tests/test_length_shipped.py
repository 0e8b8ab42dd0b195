"""The shipped lengths: the runtime is the trained estimator, and thinking is as published."""

from __future__ import annotations

import json
import lzma
import math
import subprocess
import sys
from importlib import resources
from itertools import pairwise

import numpy as np
import pytest

from classifiers import load_default
from classifiers.length.arrays import HEAD, POOL, SCALED, THINKING
from classifiers.length.asked import Asked, asked_length
from classifiers.length.net import QuantileNet, moved
from classifiers.length.shipped import MAX_STACKS, LengthPrior, LengthProfile
from classifiers.prior import Prior
from classifiers.prompt import Prompt
from classifiers.spread import MAX_LOG_TOKENS
from classifiers.store import Weights, shipped_weights

THINKER, SPECIALE = "deepseek-v3.2:thinking", "deepseek-v3.2-speciale"
HARD = [
    r"""Let $ABC$ be a right triangle with $\angle A = 90^\circ$ and $BC = 38$. There exist points
$K$ and $L$ inside the triangle such that $AK = AL = BK = CL = KL = 14$. The area of the
quadrilateral $BKLC$ can be expressed as $n\sqrt3$ for some positive integer $n$. Find $n$.""",
    r"""Find the number of ordered triples of positive integers $(a, b, c)$ with $abc \le 2025$ for
which $a^2 + b^2 + c^2$ is divisible by $7$, and give the remainder modulo $1000$.""",
    r"""The product $\prod_{k=4}^{63} \frac{\log_k (5^{k^2 - 1})}{\log_{k + 1} (5^{k^2 - 4})}$ is
equal to $\tfrac mn,$ where $m$ and $n$ are relatively prime positive integers. Find $m + n$.""",
]
EASY = ["Hi", "What is 2 + 2?"]


@pytest.fixture(scope="module")
def weights() -> Weights:
    return shipped_weights()


@pytest.fixture(scope="module")
def lengths(weights) -> LengthPrior:
    return LengthPrior(weights.lengths, weights.profiles, weights.basis)


@pytest.fixture(scope="module")
def readings():
    """Real prompts as the scorer reads them, odd ones among them."""
    file = resources.files("router") / "transports" / "data" / "replay.jsonl.xz"
    lines = lzma.decompress(file.read_bytes()).decode().splitlines()
    texts = [json.loads(line)["prompt"] for line in lines[1:2000:20]]
    scorer = load_default()
    return [scorer.read(text) for text in [*texts, *HARD, *EASY, "", "x" * 3000, "数学" * 50]]


def profiles(weights, *kinds):
    """Names and how their lengths follow, of these kinds."""
    rows = zip(weights.profiles, weights.lengths.kind.tolist(), strict=True)
    return [name for name, kind in rows if kind in kinds]


def test_the_runtime_is_the_estimator(weights, lengths, readings) -> None:
    """Heads and pool, in float64 to 1e-9: network, offsets by kind of task, level."""
    stored = weights.lengths
    parts = (stored.w1, stored.b1, stored.coef, stored.intercept)
    net = QuantileNet(*(part.astype(np.float64) for part in parts))
    names = profiles(weights, POOL, HEAD)
    asked = [lengths.profile(name, "prior") for name in names]
    assert {profile.kind for profile in asked} == {POOL, HEAD}
    knots = net.knots(np.stack([reading.x for reading in readings]))
    pool = len(stored.offsets) - 2
    worst = 0.0
    for row, reading in zip(knots, readings, strict=True):
        for kind in range(len(weights.kinds)):
            found = lengths.foretell(reading.x, 1.0, kind, asked, lambda _: 0.0)
            for profile, one in zip(asked, found, strict=True):
                head = profile.kind == HEAD
                offsets = stored.offsets[profile.ref if head else pool + profile.tight]
                column = row[profile.ref if head else pool]
                expected = moved(column, offsets[kind]) + profile.value
                expected = np.clip(expected, 0.0, MAX_LOG_TOKENS)
                worst = max(worst, float(np.abs(expected - one.output).max()))
                assert one.visible is None
    assert worst < 1e-9


def test_profiles_side_by_side_are_as_each_alone(weights, lengths, readings) -> None:
    """Company and order do not matter."""
    names = [lengths.profile(name, "prior") for name in weights.profiles]
    for reading in readings[::10]:
        every = lengths.foretell(reading.x, 0.5, 0, names, lambda _: 1.0)
        back = lengths.foretell(reading.x, 0.5, 0, names[::-1], lambda _: 1.0)[::-1]
        for name, one, two in zip(names, every, back, strict=True):
            (alone,) = lengths.foretell(reading.x, 0.5, 0, [name], lambda _: 1.0)
            for other in (one, two):
                assert other.output == pytest.approx(alone.output, abs=1e-12)
    assert lengths.foretell(reading.x, 0.5, 0, [], lambda _: 1.0) == []


def test_an_unknown_prompt_has_wider_quantiles_around_the_same_middle(
    weights, lengths, readings
) -> None:
    """As much wider as data sets left out wanted it."""
    wider = float(weights.lengths.unfamiliar[0])
    assert wider > 1.0
    names = [lengths.profile(name, "prior") for name in profiles(weights, HEAD)]
    for reading in readings[::10]:
        known, new = (
            lengths.foretell(reading.x, share, 0, names, lambda _: 0.0) for share in (1.0, 0.0)
        )
        for one, two in zip(known, new, strict=True):
            if min(one.output[0], two.output[0]) > 0 and two.output[3] < MAX_LOG_TOKENS:
                gaps = np.diff(two.output), wider * np.diff(one.output)
                assert gaps[0] == pytest.approx(gaps[1], abs=1e-9)
                assert one.output[1] == pytest.approx(two.output[1])


def test_scoring_loads_no_scikit_learn() -> None:
    """Nor anything else of the training side."""
    code = (
        "import sys; from classifiers import load_default; s = load_default();"
        "s.observe('hi', 'gpt-4o', 30); s.score('hi', ['gpt-4o', 'deepseek-v3.2:thinking']);"
        "from classifiers.length.totals import Part, total;"
        "total([Part(s.score('hi', ['gpt-4o'])['gpt-4o'].output_tokens)] * 3);"
        "heavy = {'sklearn', 'scipy', 'pandas'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_thinking_is_as_long_as_published() -> None:
    """Competition problems take 8,000 to 40,000 tokens on average, a greeting under 2,000."""
    scorer = load_default()
    hard, easy = (
        [scorer.score(text, [THINKER])[THINKER].output_tokens.mean for text in texts]
        for texts in (HARD, EASY)
    )
    assert all(8_000 <= mean <= 40_000 for mean in hard), hard
    assert all(mean < 2_000 for mean in easy), easy


def test_speciale_takes_its_factor_at_every_quantile(readings) -> None:
    """Of DeepSeek-V3.2 with thinking, as its report says."""
    scorer = load_default()
    for reading in readings[::7]:
        one, two = (s.output_tokens for s in scorer.score(reading, [THINKER, SPECIALE]).values())
        for low, high in zip(
            (one.p10, one.p50, one.p90, one.p99), (two.p10, two.p50, two.p90, two.p99), strict=True
        ):
            if high < 390_000:
                assert high + 1 == pytest.approx(1.65 * (low + 1), rel=1e-9)


def test_a_harder_prompt_is_not_thought_about_less(weights, lengths, readings) -> None:
    """The chance to be right alone lowered, all else the same: no quantile falls."""
    names = [lengths.profile(n, "prior") for n in profiles(weights, THINKING, SCALED)]
    assert len(names) > 5
    for reading in readings[::10]:
        rows = [
            lengths.foretell(reading.x, 1.0, 0, names, lambda _, logit=logit: logit)
            for logit in (6.0, 2.0, 0.0, -3.0)
        ]
        for easier, harder in pairwise(rows):
            for one, two in zip(easier, harder, strict=True):
                assert all(a <= b for a, b in zip(one.output, two.output, strict=True))
                assert one.visible == two.visible


@pytest.mark.parametrize("tokens", [30, 300, 3000])
def test_a_wish_draws_a_forecast_to_it(weights, lengths, readings, tokens) -> None:
    """Nearer to what was asked, in order, and narrowed to 0.6 of the spread at most; visible
    tokens alone of a model that thinks.
    """
    asked = Asked(math.log1p(tokens), 0.35)
    names = [lengths.profile(name, "prior") for name in weights.profiles]
    for reading in readings[::10]:
        plain, wished = (
            lengths.foretell(reading.x, 1.0, 0, names, lambda _: 0.0, wish)
            for wish in (None, asked)
        )
        for one, two in zip(plain, wished, strict=True):
            thinks = one.visible is not None
            before, after = (one.visible, two.visible) if thinks else (one.output, two.output)
            assert abs(after[1] - asked.log_tokens) <= abs(before[1] - asked.log_tokens) + 1e-9
            assert list(after) == sorted(after)
            if after[0] > 0 and after[3] < MAX_LOG_TOKENS and before[0] > 0:
                shares = (after[2] - after[0]) / max(1e-9, before[2] - before[0])
                assert 0.6 - 1e-6 <= shares <= 3.0 + 1e-6
            if thinks:
                assert one.output == two.output


def test_a_wish_counts_through_the_scorer() -> None:
    """In words or by a schema."""
    scorer = load_default()
    names = ["deepseek-v3.2", "gpt-4o"]
    texts = [f"Explain how a refrigerator works{wish}." for wish in ("", " in 2000 words")]
    plain, long = (scorer.score(text, names) for text in texts)
    small = scorer.score(Prompt(text=texts[0], schema_chars=40), names)
    assert asked_length(texts[1]) is not None
    for name in names:
        assert long[name].output_tokens.p50 > 2 * plain[name].output_tokens.p50
        assert small[name].output_tokens.p50 < plain[name].output_tokens.p50


def test_many_sets_of_heads_do_not_pile_up(weights, lengths, readings) -> None:
    """What is kept ready is bounded."""
    heads = len(weights.lengths.offsets) - 2
    for at in range(MAX_STACKS + 20):
        some = [
            LengthProfile(HEAD, (at + k) % heads, 0.0, tight=False) for k in range(1 + at // heads)
        ]
        lengths.foretell(readings[0].x, 1.0, 0, some, lambda _: 0.0)
    assert len(lengths._stacks) <= MAX_STACKS


def test_usual_lengths_are_means_before_reading(weights, lengths) -> None:
    """Of every profile: above zero, thinking longer than not."""
    prior = Prior(weights)
    usual = {
        name: lengths.usual(profile, prior.usual_logit(lengths.base_of(profile)))
        for name in weights.profiles
        for profile in [lengths.profile(name, "prior")]
    }
    assert all(10 < mean < 100_000 for mean in usual.values()), usual
    assert usual["deepseek-v3.2"] < usual[THINKER] < usual[SPECIALE]
    assert usual["prior"] < usual["prior:thinking"]
