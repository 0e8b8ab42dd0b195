"""What the scorer is told of the lengths of answers: true ones, cut ones, and no guesses."""

import asyncio
from dataclasses import replace

import pytest
from learning import ASK, LARGE, SMALL, Learning, ask, is_right, models, staged, stages

from router import AsyncClient, Client, recorded_prompts
from router.errors import ConnectionFailedError
from router.testing import Chunk, chunks, reply


class Observing(Learning):
    """A scorer that learns, and keeps what it was told of lengths."""

    def __init__(self, *arguments, fails=False, **named):
        super().__init__(*arguments, **named)
        self.seen, self.fails = [], fails

    def observe(
        self, prompt, profile, tokens, *, reasoning_tokens=None, truncated=False, tenant=""
    ):
        if self.fails:
            raise RuntimeError("no room")
        self.seen.append((prompt, profile, tokens, reasoning_tokens, truncated, tenant))


class OnlyObserving:
    """A scorer that neither reads nor learns, but wants lengths."""

    learn = read = None

    def __init__(self):
        self.seen = []

    def score(self, prompt, profiles, *, tenant=""):
        return Learning().score(("read", ""), profiles)

    def observe(self, prompt, profile, tokens, **more):
        self.seen.append((prompt, profile, tokens, more))


@pytest.fixture(params=[Client, AsyncClient])
def cls(request):
    return request.param


def streamed(made, stop=None, **arguments):
    """Chunks of a streamed answer, of either client; closed after `stop` of them."""

    async def run():
        stream = await made.chat.completions.create(ASK, stream=True, **arguments)
        async with stream:
            n = 0
            async for _ in stream:
                n += 1
                if n == stop:
                    break
        return stream.route

    if isinstance(made, AsyncClient):
        return asyncio.run(run())
    with made.chat.completions.create(ASK, stream=True, **arguments) as stream:
        for n, _ in enumerate(stream, 1):
            if n == stop:
                break
    return stream.route


def test_an_answers_length_is_told(cls):
    """As the host counted it, with reading, model and tenant; the attempt keeps why it ended."""
    scorer = Observing()
    made = staged(reply("x", output_tokens=77), cls=cls, scorer=scorer, tags={"tenant": "acme"})
    route = ask(made).route
    assert scorer.seen == [(("read", ""), "small", 77, 0, False, "acme")]
    assert route.attempts[0].finish_reason == "stop"
    assert not [n for n in route.notes if "length" in n]


def test_a_cut_answer_is_told_as_cut(cls):
    """finish_reason "length": the answer would have been longer."""
    scorer = Observing()
    made = staged(reply("x", output_tokens=64, finish_reason="length"), cls=cls, scorer=scorer)
    assert ask(made).route.attempts[0].finish_reason == "length"
    streamed(made)
    assert [s[2:5] for s in scorer.seen] == [(64, 0, True)] * 2


def test_a_closed_stream_is_told_as_cut(cls):
    """What came until its reader had enough is a lower bound; of nothing, nothing is told."""
    scorer = Observing()
    made = staged(reply("one two three four five six", output_tokens=6), cls=cls, scorer=scorer)
    route = streamed(made, stop=3)
    came = route.usage.output_tokens
    assert 0 < came < 6
    assert scorer.seen == [(("read", ""), "small", came, 0, True, "")]
    assert route.attempts[0].outcome == "closed"
    scorer.seen.clear()
    streamed(made)
    assert [s[2:5] for s in scorer.seen] == [(6, 0, False)]


def test_a_count_of_ours_is_no_label(cls):
    """A host that reports no usage teaches nothing, streamed or not."""
    scorer = Observing()
    made = staged(reply("one two", usage=False), cls=cls, scorer=scorer)
    assert ask(made).route.usage.estimated
    streamed(made)
    assert scorer.seen == []


def test_failed_attempts_teach_nothing(cls):
    """A stream that broke is charged by what came, but that is no length of an answer."""
    scorer = Observing()
    broken = [*chunks(reply("one two"))[:1], ConnectionFailedError("gone", billable=True)]
    made = staged(broken, cls=cls, scorer=scorer)
    with pytest.raises(ConnectionFailedError):
        streamed(made)
    assert scorer.seen == []


def test_rejected_answers_are_lengths_too(cls):
    """Both the answer that was found wrong and the next one were real."""
    scorer = Observing()
    made = staged(
        reply("wrong", output_tokens=11),
        reply("right", output_tokens=22),
        cls=cls,
        scorer=scorer,
        verify=is_right,
    )
    assert ask(made).route.candidate == LARGE
    assert [s[1:3] for s in scorer.seen] == [("small", 11), ("large", 22)]
    assert [t[1:3] for t in scorer.told] == [("small", 0.0), ("large", 1.0)]


def test_a_scorer_that_fails_costs_a_note(cls):
    """The answer is handed over, and the failure is told."""
    route = ask(staged(reply("x"), cls=cls, scorer=Observing(fails=True))).route
    assert "the scorer could not take in a length: RuntimeError" in route.notes


def test_a_scorer_that_only_observes(cls):
    """It gets the prompt itself; feedback is refused as before."""
    scorer = OnlyObserving()
    made = staged(reply("x", output_tokens=9), cls=cls, scorer=scorer)
    ask(made)
    ((prompt, profile, tokens, more),) = scorer.seen
    assert (prompt.text, profile, tokens) == (ASK[0]["content"], "small", 9)
    assert more == {"reasoning_tokens": 0, "truncated": False, "tenant": ""}


def thinking(*names):
    rows = models(*names)
    for row in rows["model"]:
        row["modes"] = ["thinking"]
    return rows


@pytest.mark.parametrize(("reported", "told"), [(0, None), (40, 40)])
def test_hidden_reasoning_is_not_taken_for_none(cls, reported, told):
    """A thinking model that reports no reasoning tokens hides them."""
    scorer = Observing()
    made = staged(
        reply("x", output_tokens=50, reasoning_tokens=reported),
        cls=cls,
        scorer=scorer,
        catalog=thinking("small", "large", "huge"),
    )
    ask(made)
    assert scorer.seen[0][2:4] == (50, told)


def test_recordings_are_real_lengths():
    """Their counts are ours, but of the model's own answer."""
    scorer = Observing()
    question = recorded_prompts(source="zeroeval")[0].prompt
    with Client(ledger=":memory:", scorer=scorer, policy=stages()) as client:
        made = client.chat.completions.create(
            [{"role": "user", "content": question}], model="deepseek-v2.5"
        )
    assert made.route.usage.estimated
    assert [s[1:3] for s in scorer.seen] == [
        ("deepseek-v2.5", made.route.usage.output_tokens),
    ]


def test_the_effort_reaches_the_scorer(cls):
    """The caller's reasoning_effort is part of the prompt that is read."""
    scorer = Observing()
    ask(staged(reply("x"), cls=cls, scorer=scorer), reasoning_effort="High")
    ask(staged(reply("x"), cls=cls, scorer=scorer))
    assert [p.effort for p in scorer.prompts] == ["high", ""]


def test_the_first_token_of_streams():
    """The host's own time to the first word: opening, an empty chunk, and the word itself."""
    ticks = [0.0]
    made = staged(scorer=Observing())
    made._core._services = replace(made._core.services(), monotonic=lambda: ticks[0])
    role = Chunk(body={"choices": [{"index": 0, "delta": {"role": "assistant"}}]})
    made._transport.enqueue([role, *chunks(reply("one two three"))])
    made._transport.open = _slowly(made._transport.open, ticks)
    pace = made._core._pace
    for _ in range(3):
        streamed(made)
    assert pace.first_token(SMALL) == pytest.approx(0.75)
    for _ in range(3):  # a reader who dawdles hides how long the host took: that is not counted
        with made.chat.completions.create(ASK, stream=True) as stream:
            for _ in stream:
                ticks[0] += 10.0
    assert len(pace._hosts[SMALL].first.ranked) == 3
    assert pace.expected(SMALL, 100) is None


def _slowly(opened, ticks):
    """A transport's `open` that takes a quarter of a second, as does every chunk."""

    def tick(function):
        def timed(*arguments):
            ticks[0] += 0.25
            return function(*arguments)

        return timed

    def open_(call):
        source = opened(call)
        source.read = tick(source.read)
        return source

    return tick(open_)
