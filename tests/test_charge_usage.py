"""What a host's own count is worth: zeros, half told, too early, in odd places, asked strictly."""

import json
from types import SimpleNamespace

import pytest
from wire import Answer
from wire_bodies import DONE, V3_USAGE, deepseek, event, stream

from router.charge import Bill, Stream, demand_usage, usage_of
from router.errors import ConnectionFailedError, UsageError
from router.loss import after_failure
from router.testing import FakeClock
from router.types import Chunk, Usage

ZEROS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
EXACT = Usage(input_tokens=1000, cache_read_tokens=896, output_tokens=200)
TEXT = ["one", " two"]
BILL = Bill(began=FakeClock().instant, ended=FakeClock().instant, until=FakeClock().instant)


def call(kind="openai", mode="chat"):
    candidate = SimpleNamespace(
        name="m@h", kind=kind, mode=mode, context_tokens=1000, self_hosted=False
    )
    request = SimpleNamespace(stream=True)
    return SimpleNamespace(candidate=candidate, request=request, input_tokens=50)


services = SimpleNamespace(count_text=lambda text: len(text.split()))


def streamed(*chunks):
    taken = Stream()
    for chunk in chunks:
        taken.take(chunk, FakeClock().instant)
    return taken


def text(words="one two", usage=None, finish=None):
    return Chunk(body={"usage": None}, text=words, usage=usage, finish_reason=finish)


ANSWERS = {
    "zeros first": stream(
        event({"role": "assistant", "content": ""}, usage=ZEROS),
        *(event({"content": word}, usage=ZEROS) for word in TEXT),
        event(finish="stop", usage=V3_USAGE),
        DONE,
    ),
    "zeros last": stream(
        *(event({"content": word}) for word in TEXT),
        event(finish="stop", usage=V3_USAGE),
        event(usage=ZEROS),
        DONE,
    ),
    "each chunk counts": stream(
        *(
            event({"content": word}, usage={"prompt_tokens": 1000, "completion_tokens": n})
            for n, word in enumerate(TEXT)
        ),
        event(finish="stop"),
        event(usage=V3_USAGE),
        DONE,
    ),
    "under x_groq": stream(
        *(event({"content": word}) for word in TEXT),
        event(finish="stop", x_groq={"id": "req", "usage": V3_USAGE}),
        DONE,
    ),
    "llama.cpp's timings": stream(
        *(event({"content": word}) for word in TEXT),
        event(finish="stop", timings={"cache_n": 896, "prompt_n": 104, "predicted_n": 200}),
        DONE,
    ),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_stream_is_charged_the_hosts_final_count(caller, wire, answer):
    """Wherever it stands and whatever zeros come before or after it: exact, not estimated."""
    wire.script("deepinfra", ANSWERS[answer])
    asked = caller.ask(stream=True, budget="1")
    assert asked.text == "one two"
    assert caller.entry().usage == EXACT == asked.route.usage


@pytest.mark.parametrize("usage", [ZEROS, None, {"tokens": 7}, V3_USAGE | {"prompt_tokens": "x"}])
@pytest.mark.parametrize("whole", [False, True])
def test_text_is_never_free(caller, wire, usage, whole):
    """Zeros alone, nothing, or what cannot be read while text came: counted by us, estimated."""
    pieces = [event({"content": word}) for word in TEXT]
    wire.script(
        "deepinfra",
        deepseek("one two", usage=usage)
        if whole
        else stream(*pieces, event(finish="stop", usage=usage), DONE),
    )
    caller.ask(stream=not whole, budget="1")
    entry = caller.entry()
    assert entry.usage.estimated and entry.usage.output_tokens == 2
    assert entry.usage.input_tokens > 0 < entry.cost


def test_a_whole_answer_with_an_odd_body(caller, wire):
    """A choice that carries the usage, as Moonshot's do, and what the host says it charged."""
    body = json.loads(deepseek("one two").pieces[-1])
    body["choices"][0]["usage"] = body.pop("usage") | {"cost": 0.0001}
    wire.script("deepinfra", Answer((json.dumps(body).encode(),)))
    used = caller.ask(budget="1").route.usage
    assert (used.input_tokens, used.output_tokens, used.reported_cost) == (1000, 200, 10**8)


def test_an_input_of_zero_is_not_believed():
    """Ollama told a cached prompt as none (ollama issue 5370): our input, the host's output."""
    used = usage_of(Usage(output_tokens=90), TEXT, call(), services)
    assert used == Usage(input_tokens=50, output_tokens=90, estimated=True)


def test_a_repaired_count_is_no_less_than_ours():
    """What contradicts itself never makes an answer cheaper than its own text."""
    used = usage_of(Usage(input_tokens=1, output_tokens=1, estimated=True), TEXT, call(), services)
    assert used == Usage(input_tokens=50, output_tokens=2, estimated=True)


def test_a_recordings_length_is_not_that_of_its_stand_in_text():
    """A replayed usage is estimated and yet taken as it is."""
    told = Usage(input_tokens=1, output_tokens=1, estimated=True)
    assert usage_of(told, TEXT, call("replay"), services) == told


def test_a_count_before_the_end_is_not_the_bill():
    """Text that came after the last count is charged, also where the stream ends well."""
    early = Usage(input_tokens=60, output_tokens=1)
    taken = streamed(text("", early), text("one two six"), text("", finish="stop"))
    used = usage_of(taken.usage, taken.text, call(), services)
    assert used == Usage(input_tokens=60, output_tokens=3, estimated=True)


def test_a_count_with_its_own_text_covers_it():
    """Hosts that count along count the chunk that they send; nothing is estimated then."""
    taken = streamed(text("one", Usage(input_tokens=60, output_tokens=1)), text("", finish="stop"))
    assert taken.usage == Usage(input_tokens=60, output_tokens=1)


@pytest.mark.parametrize("early", [Usage(), Usage(input_tokens=60, output_tokens=1)])
def test_the_end_without_its_count_is_not_final(early):
    """Broken between the last word and the count, after hidden thoughts: all that was reserved."""
    taken = streamed(text("", early), text("", finish="stop"))
    reserved = SimpleNamespace(amount=77, tokens=60, record=SimpleNamespace(rates_id="r"))
    error = ConnectionFailedError("it broke", billable=True)
    given = error, call(mode="thinking"), taken, services, reserved, BILL
    lost = after_failure(*given)
    assert (lost.cost.pico, lost.tokens) == (77, 60)
    assert lost.usage.estimated


def test_another_attempt_starts_afresh():
    """What a failed attempt counted is not the next one's."""
    taken = streamed(text(usage=EXACT, finish="stop"))
    taken.restart()
    assert (taken.usage, taken.raw, taken.final, taken.text) == (None, None, False, [])


@pytest.mark.parametrize(
    ("raw", "settled", "why"),
    [
        (None, Usage(estimated=True), "there is none"),
        ({"tokens_in": 7}, Usage(estimated=True), "no API that we know"),
        (ZEROS, Usage(input_tokens=5, output_tokens=2, estimated=True), "less than what came"),
        (
            {"prompt_tokens": 5, "completion_tokens": 10_001},
            Usage(input_tokens=5, output_tokens=2, estimated=True),
            "more than 10 context windows",
        ),
        (
            V3_USAGE | {"prompt_cache_hit_tokens": 0},
            Usage(input_tokens=1000, output_tokens=200, estimated=True),
            "hit and miss",
        ),
    ],
)
def test_strict_says_why_a_count_was_not_the_hosts(raw, settled, why):
    """After settling: what was counted or repaired raises, with the names of the fields."""
    with pytest.raises(UsageError, match=why) as caught:
        demand_usage(raw, settled, call())
    assert caught.value.keys == tuple(raw or ())


def test_strict_asks_nothing_of_an_exact_count_or_of_a_recording():
    """The host's own sound count passes, and so does a recording, which says that it is one."""
    demand_usage(V3_USAGE, EXACT, call())
    demand_usage(None, Usage(estimated=True), call("replay"))
