"""Feedback: grades reach the scorer with the right prompt, profile and tenant, and each once."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from learning import LENGTHS, NONE, Learning, models

import classifiers.loading
from classifiers.prompt import Prompt
from classifiers.scores import Score
from router import (
    AlreadyGradedError,
    AsyncClient,
    Client,
    InvalidRequestError,
    ScorerError,
    UnknownModelError,
    UnknownRequestError,
)
from router.errors import ConfigError, RetiredModelError
from router.feedback import Memory, Remembered
from router.testing import AsyncMockTransport, FakeClock, MockTransport, reply

ASK = [{"role": "user", "content": "Which colour has the zebra of my grandmother?"}]
SYSTEM = {"role": "system", "content": "Be brief."}


class Plain:
    """A scorer that does not learn."""

    def score(self, prompt, profiles, *, tenant=""):
        assert isinstance(prompt, Prompt)
        return {p: Score(0.5, LENGTHS, NONE, "trained") for p in profiles}


def client(cls=Client, **settings):
    kind = MockTransport if cls is Client else AsyncMockTransport
    given = {
        "catalog": models("small", "large"),
        "candidates": ["small@h", "large@h"],
        "base_urls": {"h": "http://localhost:1"},
        "policy": "frugal",
        "scorer": Learning(),
        "ledger": ":memory:",
        "now": FakeClock(),
    } | settings
    return cls(transport=kind(reply("Blue")), **given)


@pytest.mark.parametrize("score", [True, False, 0, 1, 0.25])
def test_a_grade_reaches_the_scorer(score):
    """With what was read of the prompt, who answered, and whose it was."""
    made = client(tags={"tenant": "acme", "feature": "search"})
    route = made.chat.completions.create(ASK).route
    made.feedback(route.request_id, score)
    assert made.scorer.told == [(("read", "feature=search"), "small", float(score), "acme")]


def test_the_async_client_does_the_same():
    """There `feedback` is awaited, since it waits for the ledger; `learn` is a plain method."""

    async def run():
        async with client(AsyncClient) as made:
            route = (await made.chat.completions.create(ASK)).route
            await made.feedback(route.request_id, 0.5)
            assert made.learn([("Hi", "large", True)]) == 1
            return made.scorer.told

    assert [(p, g) for _, p, g, _ in asyncio.run(run())] == [("small", 0.5), ("large", 1.0)]


def test_each_answer_once():
    """A second grade of the same answer is refused, and says who gave the first."""
    made = client()
    route = made.chat.completions.create(ASK).route
    made.feedback(route.request_id, 1)
    with pytest.raises(AlreadyGradedError, match="graded by feedback"):
        made.feedback(route.request_id, 0)
    judged = made.chat.completions.create(ASK, verify=lambda c: True).route
    with pytest.raises(AlreadyGradedError, match="graded by the verifier"):
        made.feedback(judged.request_id, 0)
    assert len(made.scorer.told) == 2


@pytest.mark.parametrize("score", [2, -0.1, "good", None, float("nan"), [1]])
def test_what_is_no_grade(score):
    """Refused before anything is looked up or learned."""
    made = client()
    route = made.chat.completions.create(ASK).route
    with pytest.raises(InvalidRequestError, match="expected True, False or a number from 0 to 1"):
        made.feedback(route.request_id, score)
    with pytest.raises(InvalidRequestError, match=r"examples\[0\]: score: expected"):
        made.learn([(ASK, "small", score)])
    made.feedback(route.request_id, score=True)


def test_requests_that_are_not_remembered():
    """An id of another client, a plan's, or no id at all: a typed error that says what to do."""
    made = client()
    with pytest.raises(UnknownRequestError, match=r"not remembered.*use client.learn"):
        made.feedback("0123", score=True)
    with pytest.raises(UnknownRequestError):
        made.feedback(made.plan(ASK).record.request_id, score=True)
    with pytest.raises(InvalidRequestError, match=r"route\.request_id, got ChatCompletion"):
        made.feedback(made.chat.completions.create(ASK), score=True)


def test_a_scorer_that_does_not_learn():
    """It serves; asked to learn it says what it lacks, and a verifier works all the same."""
    made = client(scorer=Plain())
    route = made.chat.completions.create(ASK, verify=lambda c: 0.75).route
    assert (route.verified, route.notes) == (0.75, ())
    assert route.record.versions["scorer"] == f"{__name__}.Plain"
    with pytest.raises(ConfigError, match=r"Plain, does not learn: it has no read, no learn"):
        made.feedback(route.request_id, score=True)
    with pytest.raises(ConfigError, match="does not learn"):
        made.learn([])


def test_a_scorer_that_fails_to_learn():
    """From a verifier: a note. From feedback: the error, and the answer can be graded again."""

    class Failing(Learning):
        broken = True

        def learn(self, prompt, profile, grade, *, tenant=""):
            if self.broken:
                raise OSError("disk full")
            super().learn(prompt, profile, grade, tenant=tenant)

    made = client(scorer=Failing())
    route = made.chat.completions.create(ASK, verify=lambda c: True).route
    assert route.verified == 1.0
    assert route.notes[-1] == "the scorer could not learn: OSError"
    with pytest.raises(OSError, match="disk full"):
        made.feedback(route.request_id, score=True)
    made.scorer.broken = False
    made.feedback(route.request_id, score=True)
    assert len(made.scorer.told) == 1


def test_examples_of_ones_own():
    """Text or messages, a model or a candidate, with tags or without: in the order given."""
    made = client(tags={"tenant": "acme"})
    examples = [
        ("What is 2 + 2?", "small", True),
        ([SYSTEM, *ASK], "large@h", 0.5),
        (ASK, "small", 0, {"task": "riddles", "tenant": "other"}),
    ]
    assert made.learn(iter(examples)) == 3
    seen = made.scorer.told
    assert [(p, g, t) for _, p, g, t in seen] == [
        ("small", 1.0, "acme"),
        ("large", 0.5, "acme"),
        ("small", 0.0, "other"),
    ]
    assert seen[0][0] == Prompt(text="What is 2 + 2?")
    assert seen[1][0].route.startswith("template:")
    assert seen[2][0].route == "task=riddles"


@pytest.mark.parametrize(
    ("example", "error", "says"),
    [
        ("Hi", InvalidRequestError, "examples[1]: expected (messages, model, score)"),
        (("Hi", "small"), InvalidRequestError, "examples[1]: expected (messages, model, score)"),
        (("Hi", "small", 1, "x"), InvalidRequestError, "examples[1]: expected tags"),
        (("", "small", 1), InvalidRequestError, "examples[1]: messages: all of them are empty"),
        ((7, "small", 1), InvalidRequestError, "examples[1]: messages: expected a list"),
        (("Hi", 7, 1), InvalidRequestError, "examples[1]: expected the name of a model, got int"),
        (("Hi", "nobody", 1), UnknownModelError, "'nobody'"),
    ],
)
def test_examples_that_cannot_be_used(example, error, says):
    """Which one and why; then none of them is learned."""
    made = client()
    with pytest.raises(error) as caught:
        made.learn([("Hi", "small", 1), example])
    assert says in str(caught.value)
    assert made.scorer.told == []


def test_a_retired_model_is_told():
    """Its answers say nothing of what can be chosen today."""
    with pytest.raises(RetiredModelError) as caught:
        Client(scorer=Learning(), ledger=":memory:").learn([("Hi", "deepseek-chat", 1)])
    assert caught.value.__notes__ == ["in examples[0]"]


def test_the_memory_is_bounded():
    """The oldest are forgotten; a reading is let go once it has served."""
    memory = Memory(3)
    for i in range(5):
        memory.put(str(i), Remembered(f"reading {i}", "p", ""))
    assert len(memory) == 3
    with pytest.raises(UnknownRequestError, match="latest 3"), memory.grading("1", "x"):
        pass
    with memory.grading("2", "x") as kept:
        assert kept.reading == "reading 2"
    assert memory._kept["2"].reading is None


def test_one_of_many_threads_grades():
    """Of those who grade one answer at once exactly one is heard; the memory stays bounded."""
    made = client()
    made._core.memory = memory = Memory(50)
    made._core._services = None
    ids = [made.chat.completions.create(ASK).route.request_id for _ in range(20)]
    barrier, heard = threading.Barrier(8), []

    def grade(_):
        barrier.wait()
        for one in ids:
            try:
                made.feedback(one, score=True)
            except AlreadyGradedError:
                continue
            heard.append(one)
            made.chat.completions.create(ASK)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(grade, range(8)))
    assert sorted(heard) == sorted(ids)
    assert len(made.scorer.told) == 20
    assert len(memory) == 40


def test_a_saved_scorer(tmp_path, monkeypatch):
    """A path is read when it is first needed; one that cannot be used is a setting's error."""
    saved = Learning()

    def load(path):
        if not path.exists():
            raise FileNotFoundError(f"no such file: {path}")
        if path.suffix != ".npz":
            raise ValueError("not a scorer")
        return saved

    monkeypatch.setattr(classifiers.loading, "load_scorer", load, raising=False)
    good, bad = tmp_path / "mine.npz", tmp_path / "mine.txt"
    good.touch()
    bad.touch()
    assert client(scorer=str(good)).scorer is saved
    made = client(scorer=good)
    assert made.chat.completions.create(ASK).text == "Blue"
    assert made.scorer is saved
    with pytest.raises(ConfigError, match="not a scorer"):
        client(scorer=bad).plan(ASK)
    with pytest.raises(ConfigError, match="an object with score, got 5"):
        client(scorer=5)
    with pytest.raises(ConfigError, match="no such file"):
        _ = client(scorer=tmp_path / "none.npz").scorer


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (ValueError("bad"), "the scorer failed: ValueError"),
        (None, "no Score for 'small'"),
        ({}, "no Score for 'small' but NoneType"),
        ({"small": 0.5, "large": 0.5}, "no Score for 'small' but float"),
        (Score(1.5, LENGTHS, NONE, "trained"), "p_correct 1.5 for 'small'"),
    ],
)
def test_a_scorer_that_answers_nonsense(answer, says):
    """A typed error before anything is reserved or sent."""

    class Odd(Plain):
        def score(self, prompt, profiles, *, tenant=""):
            if isinstance(answer, Exception):
                raise answer
            return dict.fromkeys(profiles, answer) if isinstance(answer, Score) else answer

    made = client(scorer=Odd())
    with pytest.raises(ScorerError) as caught:
        made.chat.completions.create(ASK)
    assert says in str(caught.value)
    assert list(made._core.ledger.entries()) == []


def test_the_recording_takes_feedback():
    """Without any key: the recorded grade serves as one's own."""
    from router import recorded_prompts

    question = recorded_prompts(source="zeroeval")[0].prompt
    made = Client(ledger=":memory:", scorer=Learning())
    found = made.chat.completions.create([{"role": "user", "content": question}])
    made.feedback(found.route.request_id, found.model_extra["replay"]["score"])
    assert made.scorer.told[0][1] == found.route.candidate.partition("@")[0]
