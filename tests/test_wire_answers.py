"""Answers over a real socket, through both clients: text, usage, cost, ledger, what was sent."""

import pytest
from calling import KEY, MESSAGES
from wire import Answer
from wire_bodies import (
    DONE,
    THINKING_USAGE,
    V3_USAGE,
    VLLM_PLAIN_USAGE,
    deepseek,
    deepseek_stream,
    documented_stream,
    event,
    stream,
    vllm,
    vllm_models,
    vllm_stream,
)

# 896 cached x 0.13 + 104 x 0.26 + 200 out x 0.38 USD per million, in pico-dollars.
V3_COST = 896 * 130_000 + 104 * 260_000 + 200 * 380_000
DEEPSEEK = "deepseek-ai/DeepSeek-V3.2"


def test_a_whole_answer_costs_what_the_catalogue_says(caller, wire):
    """Blank keep-alive lines are skipped, the usage is read and priced to the pico-dollar."""
    wire.script("deepinfra", deepseek("The sky."))
    asked = caller.ask()
    assert asked.text == "The sky."
    usage = asked.route.usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (1000, 896, 200)
    assert usage.reasoning_tokens == 0
    assert not usage.estimated
    assert asked.route.cost.pico == V3_COST == 219_520_000
    assert asked.completion.usage.prompt_tokens_details.cached_tokens == 896
    assert asked.completion.system_fingerprint.startswith("fp_")


def test_the_ledger_has_one_entry_of_the_same_cost(caller, wire):
    """What the route says is what was settled."""
    wire.script("deepinfra", deepseek())
    asked = caller.ask(tags={"team": "search"}, budget="0.5")
    entry = caller.entry()
    assert (entry.kind, entry.outcome, entry.cost) == ("settle", "ok", V3_COST)
    assert entry.usage == asked.route.usage
    assert entry.record.tags == {"team": "search"}
    assert entry.record.request_id == asked.route.request_id
    assert entry.finish_reason == "stop"
    # The host counted 1,000 tokens in a prompt of twenty: recorded as what it is.
    assert entry.overage == entry.cost - entry.reserved > 0


def test_thinking_is_switched_on_and_reasoning_is_counted_once(caller, wire):
    """A `:thinking` candidate sends its host's switch; reasoning is inside the output."""
    wire.script("deepinfra", deepseek("4", usage=THINKING_USAGE, reasoning="2 + 2"))
    asked = caller.ask(model="deepseek-v3.2:thinking@deepinfra")
    assert asked.completion.choices[0].message.reasoning_content == "2 + 2"
    assert asked.route.usage.reasoning_tokens == 150
    assert asked.route.cost.pico == V3_COST
    (call,) = wire.calls("deepinfra")
    assert call.body["reasoning"] == {"enabled": True}


@pytest.mark.parametrize(
    ("model", "switch", "sent"),
    [
        ("deepseek-flash@deepseek", "disabled", {"temperature": 0.5, "top_p": 0.9}),
        ("deepseek-flash:thinking@deepseek", "enabled", {"top_p": 0.9}),
    ],
)
def test_deepseek_gets_no_field_that_it_ignores(caller, wire, model, switch, sent):
    """Fields without effect in a mode stay here; the switch for thinking is always explicit."""
    wire.script("deepseek", deepseek())
    caller.ask(
        "deepseek", model=model, temperature=0.5, top_p=0.9, presence_penalty=1.0, stop=["END"]
    )
    (call,) = wire.calls("deepseek")
    body = call.body
    assert body.pop("thinking") == {"type": switch}
    assert body == {
        "model": "deepseek-flash",
        "messages": MESSAGES,
        "stream": False,
        "stop": ["END"],
        **sent,
    }


def test_the_body_of_a_plain_call_holds_nothing_more(caller, wire):
    """Without a hard budget nothing limits the answer, and defaults are the host's."""
    wire.script("deepinfra", deepseek())
    caller.ask()
    (call,) = wire.calls("deepinfra")
    assert call.body == {
        "model": DEEPSEEK,
        "messages": MESSAGES,
        "stream": False,
        "reasoning": {"enabled": False},
    }
    assert call.method == "POST"


def test_under_a_hard_budget_max_tokens_is_what_was_reserved(caller, wire):
    """The host is told the very limit that the reservation counted with."""
    wire.script("deepinfra", deepseek())
    asked = caller.ask(budget="1.00")
    (call,) = wire.calls("deepinfra")
    limit = call.body["max_tokens"]
    assert limit == asked.route.forecast.max_tokens == 500  # p99 of 400 x 1.25
    tokens = asked.route.forecast.input_tokens
    reserved = (tokens + 32) * 260_000 + 500 * 380_000  # 32: a margin for the template
    assert asked.route.forecast.cost_ceiling == reserved
    assert caller.entry().reserved == reserved


def test_the_key_is_in_the_authorization_header_and_nowhere_else(caller, wire):
    """Neither body nor path nor another header carries it, and no repr shows it."""
    wire.script("deepinfra", deepseek())
    asked = caller.ask()
    (call,) = wire.calls("deepinfra")
    headers = dict(call.headers)
    assert headers.pop("authorization") == f"Bearer {KEY}"
    assert KEY not in repr(headers) + call.path + call.content.decode()
    assert KEY not in repr(asked.completion) + repr(asked.route)
    assert KEY not in caller.path.read_bytes().decode("latin-1")


@pytest.mark.parametrize("recorded", [deepseek_stream, documented_stream])
def test_both_shapes_of_a_deepseek_stream_end_with_its_usage(caller, wire, recorded):
    """Usage beside finish_reason and usage in a chunk of its own are settled alike."""
    wire.script("deepinfra", recorded("The ", "sky."))
    asked = caller.ask(stream=True, budget="1")
    assert asked.text == "The sky."
    assert asked.route.usage.cache_read_tokens == 896
    assert asked.route.cost.pico == V3_COST
    entry = caller.entry()
    assert (entry.cost, entry.estimated, entry.finish_reason) == (V3_COST, False, "stop")
    (call,) = wire.calls("deepinfra")
    assert call.body["stream"] is True
    assert call.body["stream_options"] == {"include_usage": True}


def test_a_stream_of_reasoning_keeps_text_and_reasoning_apart(caller, wire):
    """`reasoning_content` deltas are handed on and are no part of the text."""
    wire.script("deepinfra", deepseek_stream("4", reasoning=("2 ", "+ 2"), usage=THINKING_USAGE))
    asked = caller.ask(stream=True, model="deepseek-v3.2:thinking@deepinfra")
    thoughts = [c.choices[0].delta.reasoning_content or "" for c in asked.chunks if c.choices]
    assert "".join(thoughts) == "2 + 2"
    assert asked.text == "4"
    assert asked.route.usage.reasoning_tokens == 150


def test_characters_cut_across_pieces_arrive_whole(caller, wire):
    """Multi-byte UTF-8, CR LF and comments, in pieces of one byte to three."""
    text = "Zebra 🦓 é 数学"
    whole = (
        b": keep-alive\r\n\r\n"
        + event({"content": text}).replace(b"\n", b"\r\n")
        + event({}, finish="stop", usage=V3_USAGE).replace(b"\n", b"\r\n")
        + DONE
    )
    pieces = [whole[i : i + 3] for i in range(0, len(whole), 3)]
    wire.script("deepinfra", stream(*pieces))
    asked = caller.ask(stream=True)
    assert asked.text == text
    assert asked.route.cost.pico == V3_COST


def test_tool_call_deltas_are_handed_on(caller, wire):
    """A streamed tool call arrives piece by piece; the tools were sent in canonical form."""
    function = {"parameters": {"type": "object", "properties": {}}, "name": "look_up"}
    name = {"index": 0, "id": "call_0", "type": "function", "function": {"name": "look_up"}}
    pieces = ['{"city": ', '"Paris"}']
    wire.script(
        "deepinfra",
        stream(
            event({"role": "assistant", "content": None, "tool_calls": [name]}),
            *(
                event({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
                for piece in pieces
            ),
            event({"content": ""}, finish="tool_calls", usage=V3_USAGE),
            DONE,
        ),
    )
    asked = caller.ask(stream=True, tools=[{"type": "function", "function": function}])
    calls = [
        call
        for c in asked.chunks
        for choice in c.choices
        for call in choice.delta.tool_calls or ()
    ]
    assert "".join(c["function"].get("arguments", "") for c in calls) == "".join(pieces)
    assert caller.entry().finish_reason == "tool_calls"
    sent = wire.calls("deepinfra")[0].content.decode()
    assert '"function":{"name":"look_up","parameters":{"properties":{},"type":"object"}}' in sent


def test_a_whole_tool_call_arrives(caller, wire):
    """An answer without text that calls a tool is an answer."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    wire.script("deepinfra", deepseek(None, tool_calls=[call]))
    asked = caller.ask()
    assert asked.completion.choices[0].message.tool_calls == [call]
    assert asked.text == ""
    assert asked.route.cost.pico == V3_COST


def test_vllm_is_asked_what_it_serves_and_answers(caller, wire):
    """Discovery calls GET /models with the key; vLLM's own fields pass through."""
    wire.models("vllm", vllm_models(**{DEEPSEEK: 163840}))
    wire.script("vllm", vllm("Hi", reasoning="short", usage=VLLM_PLAIN_USAGE))
    asked = caller.ask("vllm", model="deepseek-v3.2:thinking@vllm")
    assert asked.text == "Hi"
    assert asked.completion.choices[0].message.reasoning_content == "short"
    assert wire.seen[0].method == "GET"
    assert wire.seen[0].path == "/vllm/v1/models"
    assert wire.seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert wire.calls("vllm")[0].body["chat_template_kwargs"] == {"thinking": True}
    usage = asked.route.usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (37, 0, 4)
    entry = caller.entry()
    assert (entry.cost, entry.record.rates_id) == (0, "")  # unpriced: unknown, and said so


def test_a_vllm_stream_brings_reasoning_and_usage_without_choices(caller, wire):
    """`reasoning` deltas get DeepSeek's name; the usage chunk has no choices."""
    wire.models("vllm", vllm_models(**{DEEPSEEK: 163840}))
    wire.script("vllm", vllm_stream("H", "i", reasoning=("so ", "short")))
    asked = caller.ask("vllm", model="deepseek-v3.2:thinking@vllm", stream=True)
    assert asked.text == "Hi"
    thoughts = [c.choices[0].delta.reasoning_content or "" for c in asked.chunks if c.choices]
    assert "".join(thoughts) == "so short"
    usage = asked.route.usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (37, 32, 8)
    assert asked.chunks[-1].usage.prompt_tokens == 37


def test_a_model_that_only_the_server_knows_can_be_asked_for(caller, wire):
    """What a server serves beyond the catalogue becomes a candidate under its id."""
    wire.models("vllm", vllm_models(**{"org/Smol-MoE": 4096}))
    wire.script("vllm", vllm("Hi"))
    asked = caller.ask("vllm", model="smol-moe@vllm", max_tokens=64)
    assert asked.text == "Hi"
    assert wire.calls("vllm")[0].body["model"] == "org/Smol-MoE"
    assert wire.calls("vllm")[0].body["max_tokens"] == 64


def test_an_answer_without_usage_is_counted_and_marked(caller, wire):
    """No usage in the answer: its text is counted, the cost is an estimate."""
    wire.script("deepinfra", deepseek("one two three", usage=None))
    asked = caller.ask()
    usage = asked.route.usage
    assert usage.estimated
    assert usage.input_tokens == asked.route.forecast.input_tokens
    assert usage.output_tokens == 3
    entry = caller.entry()
    assert entry.estimated
    assert entry.cost == usage.input_tokens * 260_000 + 3 * 380_000


def test_compressed_answers_are_read(caller, wire):
    """A gateway that compresses is understood: the bytes are decoded before they are parsed."""
    import gzip

    plain = b"".join(p for p in deepseek("zipped").pieces)
    packed = Answer((gzip.compress(plain),), headers={"content-encoding": "gzip"})
    wire.script("deepinfra", packed)
    assert caller.ask().text == "zipped"
