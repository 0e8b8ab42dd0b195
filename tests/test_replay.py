"""The replay transport: recorded outcomes as answers, labelled, and cut where a host would cut."""

import pytest

from router import recorded_prompts
from router.catalog import Catalog
from router.errors import ReplayMissError
from router.testing import FakeClock
from router.transports.recording import find
from router.transports.replay import AsyncReplayTransport, ReplayTransport, unfit
from router.types import Call, Request

NOW = FakeClock()()


@pytest.fixture(scope="module")
def recorded():
    live = {c.model for c in Catalog.default().candidates(at=NOW, hosts=["replay"])}
    return next(r for r in recorded_prompts() if live & r.outcomes.keys())


def call_for(recorded, text=None, max_tokens=None, stream=False):
    candidates = Catalog.default().candidates(at=NOW, hosts=["replay"])
    candidate = next(c for c in candidates if c.model in recorded.outcomes)
    messages = ({"role": "user", "content": recorded.prompt if text is None else text},)
    request = Request(id="r", messages=messages, stream=stream)
    return Call(
        request=request, candidate=candidate, max_tokens=max_tokens, timeout=1.0, input_tokens=33
    )


def test_a_recorded_prompt_is_answered_with_its_outcome(recorded):
    """Tokens and grade are the recorded ones, and the text says that it is a replay."""
    call = call_for(recorded)
    outcome = recorded.outcomes[call.candidate.model]
    made = ReplayTransport().send(call)
    assert (made.usage.input_tokens, made.usage.output_tokens) == (33, outcome.output_tokens)
    assert made.body["replay"] == {"score": outcome.score}
    text = made.body["choices"][0]["message"]["content"]
    assert text.startswith("[replay]")
    assert "not part of the recording" in text
    assert made.finish_reason == "stop"


def test_an_answer_longer_than_max_tokens_is_cut_and_counts_as_wrong(recorded):
    """What was graded is the whole answer, so a part of it has no grade to keep."""
    made = ReplayTransport().send(call_for(recorded, max_tokens=1))
    assert made.usage.output_tokens == 1
    assert made.finish_reason == "length"
    assert made.body["replay"] == {"score": 0.0}
    assert "cut off at max_tokens" in made.body["choices"][0]["message"]["content"]


def test_a_limit_that_is_just_met_cuts_nothing(recorded):
    """As many tokens as the answer has are enough."""
    tokens = recorded.outcomes[call_for(recorded).candidate.model].output_tokens
    made = ReplayTransport().send(call_for(recorded, max_tokens=tokens))
    assert made.finish_reason == "stop"


def test_a_stream_has_the_same_text_and_usage(recorded):
    """Word by word, then usage and label in the last chunk, then the end."""
    whole = ReplayTransport().send(call_for(recorded))
    source = ReplayTransport().open(call_for(recorded, stream=True))
    chunks = list(iter(source.read, None))
    assert "".join(c.text for c in chunks) == whole.body["choices"][0]["message"]["content"]
    assert len(chunks) > 5
    assert chunks[-1].usage == whole.usage
    assert chunks[-1].body["replay"] == whole.body["replay"]
    assert source.read() is None
    source.close()


async def test_the_asynchronous_one_answers_alike(recorded):
    """Both transports give the same replies and chunks."""
    transport = AsyncReplayTransport()
    assert await transport.send(call_for(recorded)) == ReplayTransport().send(call_for(recorded))
    source = await transport.open(call_for(recorded))
    expected = ReplayTransport().open(call_for(recorded))
    while (chunk := await source.read()) is not None:
        assert chunk == expected.read()
    assert expected.read() is None
    await source.close()
    await transport.close()


def test_another_prompt_is_a_typed_miss(recorded):
    """Nothing is made up: an unknown prompt is an error, and known to be one beforehand."""
    call = call_for(recorded, text="Never recorded.")
    with pytest.raises(ReplayMissError, match="no recorded outcome"):
        ReplayTransport().send(call)
    with pytest.raises(ReplayMissError):
        ReplayTransport().open(call)
    assert "no outcome of it for this prompt" in unfit(call.candidate, call.request)
    assert unfit(call.candidate, call_for(recorded).request) is None


def test_live_candidates_are_never_unfit_for_want_of_a_recording(recorded):
    """Only recordings need one."""
    live = Catalog.default().candidate("deepseek-v3.2@deepinfra", at=NOW)
    assert unfit(live, call_for(recorded, text="Never recorded.").request) is None


def test_recordings_are_found_by_text_without_outer_blanks():
    """Every recorded prompt finds itself; test prompts come in a fixed order."""
    prompts = recorded_prompts()
    assert prompts == recorded_prompts()
    assert all(r.split == "test" for r in prompts)
    for r in prompts[:50]:
        assert find(f"\n{r.prompt}  ") == r
        assert all(0 <= o.score <= 1 and o.output_tokens >= 0 for o in r.outcomes.values())
    assert find("Never recorded.") is None
