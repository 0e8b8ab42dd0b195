"""What a review of the scorer found: grades that reach too far, files, versions, forks, names."""

from __future__ import annotations

import copy
import os
import threading

import pytest

from classifiers import load_default, load_scorer
from policies import Context, Quote, cascade, explore
from router import Client, InvalidRequestError
from tests.test_policy_utility import ANY, CENT

MODEL = "deepseek-v3.2"
ASKED = "Fix the race condition in our Kubernetes operator."


def p_of(scorer, text):
    return scorer.score(text, [MODEL])[MODEL].p_correct


@pytest.fixture
def scorer():
    return load_default()


@pytest.mark.parametrize("text", ["What is the capital of France?", "Integrate x^2 sin x dx"])
def test_one_bad_grade_does_not_turn_all_traffic(scorer, text):
    before = p_of(scorer, text)
    scorer.learn(ASKED, MODEL, 0.0)
    assert before - p_of(scorer, text) < 0.1
    for _ in range(20):
        scorer.learn(ASKED, MODEL, 0.0)
    assert p_of(scorer, ASKED) < 0.3


def test_what_cannot_be_told_is_not_known(scorer):
    """No word that was ever seen, or too few words to tell by: little is believed of them."""
    gibberish = scorer.score("asdkjh qwezx zzzqq", [MODEL])[MODEL]
    assert gibberish.known == 0.0
    assert gibberish.p_correct == pytest.approx(gibberish.base)
    assert scorer.score("Hi", [MODEL])[MODEL].known < 0.3


def test_a_version_names_just_these_answers(scorer):
    start = scorer.version
    for grade in (0.0, 0.0):
        scorer.learn(ASKED, MODEL, grade)
    wrong = scorer.version
    assert scorer.rollback(start) == 2
    assert scorer.version == start
    for grade in (1.0, 1.0):
        scorer.learn(ASKED, MODEL, grade)
    assert scorer.version != wrong
    with pytest.raises(ValueError, match="led to"):
        scorer.rollback(wrong)


def test_a_scorer_is_saved_under_the_name_given(scorer, tmp_path):
    scorer.place("mine", {"mmlu_pro": 0.7}, mean_tokens=250)
    scorer.learn(ASKED, "mine", 1.0)
    scorer.save(tmp_path / "my.scorer")
    assert [path.name for path in tmp_path.iterdir()] == ["my.scorer"]
    copied = copy.deepcopy(scorer)  # as pickling does: by the same file
    for again in (load_scorer(tmp_path / "my.scorer"), copied):
        assert again.version == scorer.version
        mine, theirs = (s.score(ASKED, ["mine"])["mine"] for s in (scorer, again))
        assert theirs.p_correct == pytest.approx(mine.p_correct, abs=1e-6)
        assert theirs.basis == "placed"
    with Client(scorer=tmp_path / "my.scorer", ledger=":memory:") as client:
        assert client.scorer.version == scorer.version


def test_a_model_is_placed_where_its_scores_say(scorer):
    scorer.place("low", {"mmlu_pro": 0.4})
    scorer.place("high", {"mmlu_pro": 0.85})
    asked = "Which of these is a noble gas?\nA. Iron\nB. Argon\nC. Lead\nD. Zinc"
    found = scorer.score(asked, ["low", "high"])
    assert found["low"].p_correct < found["high"].p_correct
    assert found["low"].base < found["high"].base
    for wrong in ({"no_such": 0.5}, {"mmlu_pro": 1.0}, {}):
        with pytest.raises(ValueError, match="expected"):
            scorer.place("x", wrong)
    with pytest.raises(ValueError, match="like"):
        scorer.place("x", {"mmlu_pro": 0.5}, like="nobody")
    plain = load_default()
    assert plain.score(asked, ["low"])["low"].basis == "prior"
    assert scorer.version != plain.version
    assert scorer.fresh().version == scorer.version


@pytest.mark.parametrize("tenant", [5, None, ["a"]])
def test_tenants_are_texts(scorer, tenant):
    with pytest.raises(ValueError, match="tenant: expected a text"):
        scorer.learn(ASKED, MODEL, 1.0, tenant=tenant)


def test_labels_are_all_checked_before_any_is_learned():
    with Client(ledger=":memory:") as client:
        before = client.scorer.version
        for tags in ({"tenant": ["a"]}, {"tenant": None}, {"task": 5}):
            with pytest.raises(InvalidRequestError, match=r"examples\[1\]"):
                client.learn([("x", MODEL, 1.0), ("ok", MODEL, 1.0, tags)])
        for wrong in (None, 5, "text"):
            with pytest.raises(InvalidRequestError, match="examples"):
                client.learn(wrong)
        assert client.scorer.version == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_may_learn_though_a_thread_was_learning_at_the_fork(scorer):
    stop = threading.Event()

    def keep_learning():
        while not stop.is_set():
            scorer.learn(ASKED, MODEL, 1.0)

    thread = threading.Thread(target=keep_learning)
    thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                scorer.learn("another", MODEL, 1.0)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()


def test_exploring_does_not_climb_down_a_cascade():
    quotes = [
        Quote(name=n, quality=q, cost=c, cost_p90=c, cost_ceiling=c)
        for n, q, c in (
            ("weak", 0.5, CENT // 100),
            ("mid", 0.8, CENT // 20),
            ("strong", 0.81, CENT),
        )
    ]
    policy = explore(cascade("0.01"), 0.9)
    for at in range(20):
        context = Context(now=ANY.now, draw=at / 20, verifiable=True)
        decision = policy(quotes, context)
        if decision.escalation:
            cost = {quote.name: quote.cost for quote in quotes}
            assert cost[decision.escalation[0]] > cost[decision.chosen]
