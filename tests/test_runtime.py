"""The scorer as it ships: ranges, floors, what it does not know, learning, saving, threads."""

from __future__ import annotations

import io
import json
import lzma
import pickle
import subprocess
import sys
import threading
from importlib import resources

import numpy as np
import pytest

from classifiers import load_default, load_scorer
from classifiers.prompt import Prompt
from classifiers.runtime import MAX_PROFILES, Reading
from classifiers.store import shipped_placements

HARD = (
    r"Let $a_1, a_2, \dots$ be a sequence of positive integers such that $a_{n+1} = a_n^2 - n$. "
    r"Find the number of ordered triples $(x, y, z)$ with $\sum_{k} x^k \equiv 7 \pmod{1000}$."
)
EASY = "What is 2 plus 3?"
NEW = "x" * 3000
"""Like nothing that was trained on."""
ODD = ["", " ", "\x00\ud800", "数学", "😀" * 500, "x " * 60_000, "\n" * 10_000, "a" * 300_000]
PROMPTS = [EASY, HARD, NEW, "Pick one.\nA. yes\nB. no\nC. both", *ODD]
ZEROEVAL = ("mixtral-8x7b-instruct-v0.1", "deepseek-v2.5", "claude-3-5-sonnet-20241022")
PAIR = ["gpt-4o", "gpt-4o-mini"]


@pytest.fixture(scope="module")
def recording() -> list[dict]:
    file = resources.files("router") / "transports" / "data" / "replay.jsonl.xz"
    lines = lzma.decompress(file.read_bytes()).decode().splitlines()
    return [json.loads(line) for line in lines]


def taught(n=12, profile="gpt-4o", tenant="", grade=0.0):
    scorer = load_default()
    for i in range(n):
        scorer.learn(f"What is {i} plus {i + 3}?", profile, grade, tenant=tenant)
    return scorer


def test_runtime_needs_no_scikit_learn() -> None:
    """Scoring, learning and saving load numpy and nothing of the training side."""
    code = (
        "import io, sys; from classifiers import load_default; s = load_default();"
        "s.score('hi', ['gpt-4o']); s.learn('hi', 'gpt-4o', 1.0); s.save(io.BytesIO());"
        "heavy = {'sklearn', 'scipy', 'pandas'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("text", PROMPTS, ids=range(len(PROMPTS)))
def test_every_score_is_in_range_and_ordered(text: str) -> None:
    """Any prompt, any profile: probabilities, rising quantiles, reasoning within output."""
    scorer = load_default()
    names = [*scorer.trained, *scorer.placed, "no-such-model", "no-such-model:thinking"]
    scores = scorer.score(text, names)
    assert list(scores) == names
    for name, score in scores.items():
        q, r = score.output_tokens, score.reasoning_tokens
        assert 0.0 <= score.p_correct <= 1.0, name
        assert 0.0 < score.base < 1.0 < score.base_tokens, name
        assert all(0.0 <= draw <= 1.0 for draw in score.draws), name
        assert 0.0 <= score.known <= 1.0
        assert bool(score.task) == bool(score.known)
        assert 0.0 <= q.p10 <= q.p50 <= q.p90 <= q.p99 <= 393216, name
        assert q.p10 <= q.mean <= q.p99, name
        assert (r.p10, r.p99) == (0.0, 0.0) or 0.0 < r.p10 <= q.p10 <= r.p99 <= q.p99, name


def test_basis_says_where_numbers_come_from() -> None:
    """Own outcomes, published scores, or nothing."""
    scorer = load_default()
    found = scorer.score(EASY, ["deepseek-v2.5", "deepseek-v3.2", "unheard-of"])
    assert [s.basis for s in found.values()] == ["trained", "placed", "prior"]
    assert scorer.score(EASY, []) == {}
    assert not set(scorer.trained) & set(scorer.placed)


def test_models_never_heard_of_are_middling() -> None:
    """All alike but for their draws; thinking is the better and the longer."""
    scores = load_default().score(HARD, ["one", "two", "one:thinking", "gpt-4o"])
    one, two, thinking, _ = scores.values()
    assert one.p_correct == two.p_correct
    assert one.output_tokens == two.output_tokens
    assert thinking.p_correct > one.p_correct
    assert thinking.output_tokens.mean > one.output_tokens.mean
    assert thinking.reasoning_tokens.mean > 0.0 == one.reasoning_tokens.mean


def test_draws_are_paired_and_lie_around_p(recording: list[dict]) -> None:
    """As many for each, the same every time, of one mind on what is hard; on average near p."""
    scorer = load_default()
    gaps, together = [], []
    for row in recording[1:400:7]:
        scores = scorer.score(row["prompt"], ZEROEVAL)
        assert scores == scorer.score(row["prompt"], ZEROEVAL)
        draws = np.array([s.draws for s in scores.values()])
        assert draws.shape[1] >= 4
        for p, own in zip([s.p_correct for s in scores.values()], draws, strict=True):
            assert own.min() <= p <= own.max()
            gaps.append(own.mean() - p)
        if draws.std(axis=1).min() > 0:
            together.append(np.corrcoef(draws)[0, 1])
    assert abs(np.mean(gaps)) < 0.04
    assert np.mean(together) > 0.1


def test_a_prompt_like_none_before_is_scored_by_averages_alone() -> None:
    """known = 0: P(correct) is the base, the same for all such prompts, so that gains tie."""
    scorer = load_default()
    names = [*scorer.trained, *scorer.placed, "no-such-model"]
    one, two = (scorer.score(text, names) for text in (NEW, "\n" * 10_000))
    for name in names:
        assert one[name].known == two[name].known == 0.0
        assert one[name].p_correct == two[name].p_correct
        assert one[name].p_correct == pytest.approx(one[name].base, abs=1e-6)
        assert one[name].draws == two[name].draws
        assert max(one[name].draws) > min(one[name].draws)


def test_structure_that_was_not_trained_on_makes_a_prompt_less_known() -> None:
    """Tools, a long system prompt and many turns."""
    scorer = load_default()
    text = "If Anna has 12 apples and gives 5 of them to Ben, how many apples has she left?"
    plain = scorer.score(Prompt(text=text), PAIR)["gpt-4o"]
    laden = scorer.score(Prompt(text=text, turns=30, system_chars=20_000, tools=40), PAIR)
    assert laden["gpt-4o"].known < plain.known
    assert laden["gpt-4o"].base == plain.base


def test_thinking_never_falls_below_its_floor(recording: list[dict]) -> None:
    """On every prompt, whatever the networks say."""
    scorer = load_default()
    floors = {n: p.floor for n, p in shipped_placements().profiles.items() if p.floor}
    assert floors
    names = [*floors, *floors.values()]
    for text in [*PROMPTS, *(row["prompt"] for row in recording[1::23])]:
        scores = scorer.score(text, list(dict.fromkeys(names)))
        for name, floor in floors.items():
            assert scores[name].p_correct >= scores[floor].p_correct
            assert scores[name].base >= scores[floor].base
            alone = scorer.score(text, [name])[name]
            assert alone.p_correct == pytest.approx(scores[name].p_correct, abs=1e-6)


def test_harder_is_less_likely_and_longer() -> None:
    """A sum against a competition problem: less likely right, more to think, much to gain."""
    names = ["gpt-4o-mini", "deepseek-v3.2", "deepseek-v3.2:thinking"]
    hard, easy = (list(load_default().score(t, names).values()) for t in (HARD, EASY))
    assert all(h.p_correct < e.p_correct for h, e in zip(hard, easy, strict=True))
    assert all(
        h.output_tokens.mean > e.output_tokens.mean for h, e in zip(hard, easy, strict=True)
    )
    assert hard[2].p_correct - hard[1].p_correct > easy[2].p_correct - easy[1].p_correct


def test_a_reading_travels_without_the_text() -> None:
    """Small, picklable, scored and learned from like the prompt itself; the text is not in it."""
    scorer, text = load_default(), "The zebra of my grandmother costs 12 euros. " * 40
    reading = scorer.read(Prompt(text=text, route="zoo"))
    raw = pickle.dumps(reading)
    assert len(raw) < 2000
    assert b"zebra" not in raw
    back = Reading(*pickle.loads(raw))  # noqa: TID251
    assert back.route == "zoo"
    assert scorer.score(back, PAIR) == scorer.score(text, PAIR)
    one, two = load_default(), load_default()
    one.learn(Prompt(text=text, route="zoo"), "gpt-4o", 0.0)
    two.learn(back, "gpt-4o", 0.0)
    assert one.score(reading, PAIR) == two.score(reading, PAIR)
    assert one.version == two.version


@pytest.mark.parametrize(("text", "grade"), [(EASY, 0.0), (HARD, 1.0)])
def test_learning_moves_towards_the_grades_and_stays_with_its_tenant(text, grade) -> None:
    """Wrong answers lower, right ones raise; other profiles and tenants do not change."""
    scorer, before = load_default(), load_default().score(text, PAIR)
    for i in range(40):
        scorer.learn(f"{text} ({i})", "gpt-4o", grade, tenant="a")
    after = scorer.score(text, PAIR, tenant="a")
    left = [abs(grade - scores["gpt-4o"].p_correct) for scores in (before, after)]
    assert left[1] < 0.5 * left[0]
    assert after["gpt-4o"].graded == 40
    assert 0.0 <= min(after["gpt-4o"].draws) <= max(after["gpt-4o"].draws) <= 1.0
    assert after["gpt-4o"].output_tokens == before["gpt-4o"].output_tokens
    assert after["gpt-4o-mini"] == before["gpt-4o-mini"]
    assert scorer.score(text, PAIR, tenant="b") == scorer.score(text, PAIR) == before
    (status,) = scorer.status()
    assert (status.tenant, status.profile, status.graded) == ("a", "gpt-4o", 40)
    assert status.brier < status.brier_prior


def test_scorers_share_arrays_and_not_what_they_learned() -> None:
    """`load_default` and `fresh` start from nothing."""
    scorer = taught()
    assert scorer.version != load_default().version == scorer.fresh().version
    assert load_default().score(EASY, PAIR) == scorer.fresh().score(EASY, PAIR)
    assert scorer.score(EASY, PAIR) != scorer.fresh().score(EASY, PAIR)


def test_rollback_restores_version_and_scores() -> None:
    """What came after the version is forgotten, and counted."""
    scorer = taught(9)
    version, scores = scorer.version, scorer.score(HARD, PAIR)
    for i in range(5):
        scorer.learn(HARD, "gpt-4o", i % 2)
    assert scorer.version != version
    assert scorer.score(HARD, PAIR) != scores
    assert scorer.rollback(version) == 5
    assert scorer.version == version
    found = scorer.score(HARD, PAIR)
    for name in PAIR:
        assert found[name].p_correct == pytest.approx(scores[name].p_correct, abs=1e-6)
        assert found[name].graded == scores[name].graded
    assert scorer.rollback(version) == 0
    assert scorer.rollback(load_default().version) == 9
    assert scorer.score(HARD, PAIR) == load_default().score(HARD, PAIR)


@pytest.mark.parametrize(
    "version", ["", "x", "01234567+0", "{digest}+99", "{digest}+-1", "{digest}"]
)
def test_rollback_to_another_time_or_scorer_is_refused(version: str) -> None:
    """A version of other weights, or one yet to come."""
    scorer = taught(2)
    with pytest.raises(ValueError, match="expected a version that led to"):
        scorer.rollback(version.format(digest=scorer.version.partition("+")[0]))


@pytest.mark.parametrize("n", [0, 1, 30])
def test_a_saved_scorer_comes_back_as_it_was(n: int, tmp_path) -> None:
    """The same scores and version, learns on alike, by path, text of a path or open file."""
    scorer = taught(n, tenant="a")
    scorer.save(tmp_path / "a.npz")
    scorer.save(str(tmp_path / "b.npz"))
    file = io.BytesIO()
    scorer.save(file)
    file.seek(0)
    for source in (tmp_path / "a.npz", str(tmp_path / "b.npz"), file):
        found = load_scorer(source)
        assert found.version == scorer.version
        for text in (EASY, HARD):
            one, two = (s.score(text, PAIR, tenant="a") for s in (found, scorer))
            for name in PAIR:
                assert one[name].p_correct == pytest.approx(two[name].p_correct, abs=1e-6)
                assert one[name].output_tokens == two[name].output_tokens
    assert [s._replace(brier=0) for s in found.status()] == [
        s._replace(brier=0) for s in scorer.status()
    ]


def test_wrong_arguments_are_refused() -> None:
    """The message says what to pass."""
    scorer = load_default()
    for prompt in (None, b"hi", 3, ["hi"], Prompt(text=None)):
        with pytest.raises(ValueError, match="prompt as str"):
            scorer.score(prompt, ["gpt-4o"])
        with pytest.raises(ValueError, match="prompt as str"):
            scorer.learn(prompt, "gpt-4o", 1.0)
    with pytest.raises(ValueError, match="wrap it in a list"):
        scorer.score("hi", "gpt-4o")
    with pytest.raises(ValueError, match="at most"):
        scorer.score("hi", ["m"] * (MAX_PROFILES + 1))
    for grade in (-0.1, 1.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="grade"):
            scorer.learn("hi", "gpt-4o", grade)
    assert scorer.version.endswith("+0")


def test_one_scorer_serves_all_threads() -> None:
    """Concurrent scores agree with a lone one; no answer learned meanwhile is lost."""
    scorer, quiet = load_default(), load_default().score(HARD, ZEROEVAL)
    found, failed = [], []

    def work(at: int) -> None:
        try:
            for i in range(10):
                found.append(scorer.score(HARD, ZEROEVAL, tenant="quiet"))
                scorer.learn(f"What is {at} times {i}?", "gpt-4o", i % 2, tenant=f"t{at % 3}")
                scorer.score(EASY, [*ZEROEVAL, f"m{at}-{i}"], tenant=f"t{at % 3}")
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert all(one == quiet for one in found)
    assert "+80." in scorer.version
    assert sum(status.graded for status in scorer.status()) == 80
