"""Lengths through a scorer: what calls teach it, by route and tenant; threads, forks and files."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import classifiers
from classifiers import load_default, load_scorer
from classifiers.length import forecaster, histories
from classifiers.prompt import Prompt
from classifiers.store import shipped_placements

TICKET = "Summarise this ticket: the printer on the second floor does not print in colour."
CHAT, THINKER = "deepseek-v3.2", "deepseek-v3.2:thinking"
NAMES = [CHAT, THINKER, "deepseek-v3.2-speciale", "gpt-4o", "never-heard-of:thinking"]
EFFORTS = shipped_placements().effort


def taught(n, tokens=40, profile=CHAT, route="", tenant="", **more):
    scorer = load_default()
    for at in range(n):
        prompt = Prompt(text=f"{TICKET} ({at})", route=route)
        scorer.observe(prompt, profile, tokens + at % 7, tenant=tenant, **more)
    return scorer


def scored(scorer, profile=CHAT, tenant="", **prompt):
    return scorer.score(Prompt(text=TICKET, **prompt), [profile], tenant=tenant)[profile]


def figures(q):
    return [q.p10, q.p50, q.p90, q.p99, q.mean]


def test_forecasts_rest_on_calls_after_twenty_of_them() -> None:
    """Of this model anywhere, then of this very route; the median goes where the answers are."""
    before = scored(load_default())
    assert (before.tokens_basis, before.tokens_calls) == ("prior", 0)
    for n, route, expected in (
        (19, "", ("prior", 19)),
        (20, "", ("pooled", 20)),
        (20, "tickets", ("pooled", 20)),
    ):
        found = scored(taught(n, route=""), route=route)
        assert (found.tokens_basis, found.tokens_calls) == expected
    scorer = taught(40, tokens=2000, route="tickets")
    own, other = (scored(scorer, route=route) for route in ("tickets", "letters"))
    assert (own.tokens_basis, own.tokens_calls) == ("route", 40)
    assert (other.tokens_basis, other.tokens_calls) == ("pooled", 40)
    assert own.output_tokens.p50 == pytest.approx(2003, rel=0.3)
    assert other.output_tokens.p50 == pytest.approx(2003, rel=0.3)
    assert before.output_tokens.p50 < 500
    assert scored(scorer, "gpt-4o") == scored(load_default(), "gpt-4o")
    assert own.p_correct == before.p_correct


def test_tenants_are_apart() -> None:
    """What one tenant's answers take is nobody else's forecast."""
    scorer = taught(30, tokens=3000, tenant="a")
    assert scored(scorer, tenant="a").output_tokens.p50 > 2000
    assert scored(scorer) == scored(scorer, tenant="b") == scored(load_default())
    assert scorer.lengths_seen() == [("a", "", CHAT, 30, 0)]


def test_histories_are_bounded(monkeypatch) -> None:
    """Routes and models without end, as those of names never heard of, leave a bounded memory."""
    monkeypatch.setattr(histories, "MAX_HISTORIES", 5)
    monkeypatch.setattr(forecaster, "MAX_USUAL", 5)
    scorer = load_default()
    for at in range(12):
        scorer.observe(Prompt(text=TICKET, route=f"r{at}"), f"m{at % 4}", 10)
        scorer.score(TICKET, [f"model {at}"])
    assert len(scorer.lengths_seen()) == 5
    assert len(scorer._lengths._usual) <= 5


def test_a_fresh_scorer_has_seen_nothing() -> None:
    """`fresh` forgets calls, and leaves them to the one that has them."""
    scorer = taught(30)
    fresh = scorer.fresh()
    assert fresh.lengths_seen() == []
    assert scored(fresh) == scored(load_default()) != scored(scorer)
    fresh.observe(TICKET, CHAT, 7)
    assert scorer.lengths_seen() == [("", "", CHAT, 30, 0)]


@pytest.mark.parametrize("effort", ["low", "high", "max", "MAX", "none of these"])
def test_an_effort_scales_what_is_thought(effort) -> None:
    """By its factor, at every quantile; unknown ones by none, and answers without thinking not."""
    factor = EFFORTS.get(effort, 1.0)
    plain, asked = (scored(load_default(), THINKER, effort=e) for e in ("", effort))
    for one, two in zip(figures(plain.output_tokens), figures(asked.output_tokens), strict=True):
        assert two + 1.0 == pytest.approx(factor * (one + 1.0), rel=1e-6)
    assert scored(load_default(), CHAT, effort=effort) == scored(load_default(), CHAT)


def test_an_effort_is_a_route_of_its_own() -> None:
    """The same prompts take other lengths; the route itself goes on as it was."""
    scorer = load_default()
    for _ in range(30):
        for effort, tokens in (("low", 300), ("", 6000)):
            prompt = Prompt(text=TICKET, route="r", effort=effort)
            scorer.observe(prompt, THINKER, tokens, reasoning_tokens=tokens - 50)
    low, usual = (scored(scorer, THINKER, route="r", effort=e) for e in ("low", ""))
    assert low.output_tokens.p50 == pytest.approx(300, rel=0.2)
    assert usual.output_tokens.p50 == pytest.approx(6000, rel=0.2)
    assert {row[1] for row in scorer.lengths_seen()} == {"", "r", "r/low"}


@pytest.mark.parametrize("reasoning", [None, 0, 1, 900, 1000])
@pytest.mark.parametrize("n", [0, 1, 30])
def test_reasoning_and_what_is_shown_are_parts_of_the_whole(n, reasoning) -> None:
    """At every quantile, whatever was observed; a model that does not think shows it all."""
    scorer = load_default()
    for at in range(n):
        for name in NAMES:
            scorer.observe(f"{TICKET} ({at})", name, 1000 + at, reasoning_tokens=reasoning)
    for name, score in scorer.score(TICKET, NAMES).items():
        whole, reasoned = figures(score.output_tokens), figures(score.reasoning_tokens)
        shown = figures(score.visible_tokens)
        for rows in (whole, reasoned, shown):
            assert rows[:4] == sorted(rows[:4])
            assert rows[0] - 1e-6 <= rows[4] <= rows[3] + 1e-6
        assert all(part <= all_of_it for part, all_of_it in zip(reasoned, whole, strict=True))
        assert all(part <= all_of_it for part, all_of_it in zip(shown, whole, strict=True))
        if "thinking" in name or "speciale" in name:
            assert min(reasoned) > 0
        else:
            assert score.visible_tokens == score.output_tokens
            assert reasoned == [0.0] * 5


def test_what_is_shown_of_thinking_is_learned_too() -> None:
    """Where the host says how much was reasoning."""
    scorer = load_default()
    for at in range(40):
        scorer.observe(f"{TICKET} ({at})", THINKER, 5000, reasoning_tokens=4970)
    found = scored(scorer, THINKER)
    assert found.visible_tokens.p50 == pytest.approx(30, abs=10)
    assert found.reasoning_tokens.p50 == pytest.approx(4970, rel=0.25)


def test_a_truncated_answer_says_that_it_would_be_longer() -> None:
    """Forty answers cut off at 100 tokens: the forecast is over 100, not at it."""
    cut, whole = (taught(40, tokens=100, truncated=truncated) for truncated in (True, False))
    assert scored(whole).output_tokens.p90 < 130
    assert scored(cut).output_tokens.p50 > 105
    assert scored(cut).output_tokens.p90 > 1.5 * scored(whole).output_tokens.p90


@pytest.mark.parametrize("way", ["file", "path"])
def test_a_saved_scorer_keeps_its_histories(way, tmp_path) -> None:
    """The very same forecasts, and the same after the next call; no prompt is in the file."""
    scorer = taught(70, tokens=900, route="tickets", tenant="a", truncated=True)
    target = tmp_path / "s.npz" if way == "path" else io.BytesIO()
    scorer.save(target)
    if way == "file":
        target.seek(0)
    back = load_scorer(target)
    assert back.lengths_seen() == scorer.lengths_seen()
    for _ in range(2):
        for route in ("tickets", "", "new"):
            one, two = (scored(s, tenant="a", route=route) for s in (scorer, back))
            assert one.output_tokens == two.output_tokens
            assert (one.tokens_basis, one.tokens_calls) == (two.tokens_basis, two.tokens_calls)
        for s in (scorer, back):
            s.observe(Prompt(text=TICKET, route="tickets"), CHAT, 30, tenant="a")


def test_counts_that_cannot_be_are_refused() -> None:
    """And teach nothing."""
    scorer = load_default()
    for output, reasoning in ((-1, None), (float("nan"), None), (float("inf"), None), (5, 6),
                              (5, -1)):  # fmt: skip
        with pytest.raises(ValueError, match=r"whole number of tokens|part of"):
            scorer.observe(TICKET, CHAT, output, reasoning_tokens=reasoning)
    with pytest.raises(ValueError, match="profile: expected a text"):
        scorer.observe(TICKET, 3, 5)
    with pytest.raises(ValueError, match="tenant: expected a text"):
        scorer.observe(TICKET, CHAT, 5, tenant=None)
    with pytest.raises(ValueError, match="prompt as str"):
        scorer.observe(b"hi", CHAT, 5)
    assert scorer.lengths_seen() == []
    scorer.observe(TICKET, CHAT, 0)
    assert scorer.lengths_seen() == [("", "", CHAT, 1, 0)]


def test_a_reading_is_observed_like_its_prompt() -> None:
    """Route and effort travel with it."""
    one, two = load_default(), load_default()
    prompt = Prompt(text=TICKET, route="r", effort="low")
    for _ in range(25):
        one.observe(prompt, THINKER, 700)
        two.observe(two.read(prompt), THINKER, 700)
    assert one.lengths_seen() == two.lengths_seen()
    assert scored(one, THINKER, route="r", effort="low") == scored(
        two, THINKER, route="r", effort="low"
    )


def test_a_model_placed_like_a_thinking_one_thinks() -> None:
    """Its usual length is the one that was said; by its name alone, too."""
    scorer = load_default()
    plain = scored(scorer, THINKER)
    scorer.place("mine", {}, like=THINKER, mean_tokens=3.0 * plain.base_tokens)
    scorer.place("other:thinking", {"gsm8k": 0.9})
    scorer.place("terse", {"gsm8k": 0.9}, mean_tokens=50)
    found = scored(scorer, "mine")
    assert found.base_tokens == pytest.approx(3.0 * plain.base_tokens, rel=0.05)
    assert found.output_tokens.p50 == pytest.approx(3.0 * plain.output_tokens.p50, rel=0.05)
    assert found.reasoning_tokens.p50 > plain.reasoning_tokens.p50
    assert scored(scorer, "other:thinking").reasoning_tokens.p50 > 0
    terse = scored(scorer, "terse")
    assert terse.base_tokens == pytest.approx(50, rel=0.05)
    assert terse.reasoning_tokens.p50 == 0


def test_eight_threads_observe_and_score() -> None:
    """No error, no call lost, and no forecast out of order meanwhile."""
    scorer, failed = load_default(), []

    def work(at):
        try:
            for k in range(15):
                prompt = Prompt(text=TICKET, route=f"r{at % 2}")
                scorer.observe(prompt, CHAT, 100 + k, truncated=k % 4 == 0)
                rows = figures(scored(scorer, route=f"r{at % 2}").output_tokens)
                assert rows[:4] == sorted(rows[:4])
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    counts = {route: seen for _, route, _, seen, _ in scorer.lengths_seen()}
    assert counts == {"": 120, "r0": 60, "r1": 60}


FORKING = """
import json, os, sys, threading, warnings
from classifiers import load_default

warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: forking with threads
scorer, stop = load_default(), threading.Event()
def busy():
    while not stop.is_set():
        scorer.observe("What is 2 + 2?", "gpt-4o", 30)
threads = [threading.Thread(target=busy, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(5):
    pid = os.fork()
    if not pid:
        before = scorer.lengths_seen()[0][3] if scorer.lengths_seen() else 0
        for _ in range(5):
            scorer.observe("What is 2 + 2?", "gpt-4o", 30)
            scorer.score("What is 2 + 2?", ["gpt-4o"])
        os._exit(0 if scorer.lengths_seen()[0][3] == before + 5 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
stop.set()
for thread in threads:
    thread.join()
print(json.dumps(scorer.lengths_seen()))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_amid_observing_threads_leaves_both_sides_working() -> None:
    """However it falls: the child observes and scores, and what it sees stays with it."""
    root = Path(classifiers.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", FORKING],
        check=False,
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    ((_, _, name, seen, _),) = json.loads(done.stdout)
    assert name == "gpt-4o"
    assert seen > 0
