"""What is emitted, read back from the OpenTelemetry SDK; and that all works without it."""

from dataclasses import replace

import pytest
from learning import models, staged
from observing import ANSWER, MODEL, ask, client_of
from opentelemetry.trace import SpanKind, StatusCode

from router.errors import BudgetExceededError, ConfigError, ServerError
from router.money import to_usd
from router.testing import reply


def test_one_span_has_forecast_and_actual(observed):
    """A call is one client span with the forecast and the actual cost side by side."""
    answer = reply(ANSWER, input_tokens=1000, cache_read_tokens=640, output_tokens=200)
    settings = {"tags": {"team": "search", "user": "ann", "plan": "pro"}}
    settings |= {"metric_tags": ["team"], "span_tags": ["user"], "budgets": "1"}
    with client_of(answer, **settings) as client:
        made = ask(client, max_tokens=500)
        (entry,) = client._core.ledger.entries()
    (span,) = observed.spans
    assert span.name == "chat deepseek-ai/DeepSeek-V3.2"
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    found, route = span.attributes, made.route
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.provider.name"] == "deepinfra"
    assert found["gen_ai.request.model"] == "deepseek-ai/DeepSeek-V3.2"
    assert found["gen_ai.request.max_tokens"] == 500
    assert found["gen_ai.request.stream"] is False
    assert found["gen_ai.response.id"] == "mock"
    assert found["gen_ai.response.finish_reasons"] == ("stop",)
    assert found["gen_ai.usage.input_tokens"] == 1000
    assert found["gen_ai.usage.output_tokens"] == 200
    assert found["gen_ai.usage.cache_read.input_tokens"] == 640
    assert found["centroute.candidate"] == MODEL
    assert found["centroute.host"] == "deepinfra"
    assert found["centroute.request.id"] == route.request_id
    assert found["centroute.tag.team"] == "search"
    assert found["centroute.tag.user"] == "ann"
    assert "centroute.tag.plan" not in found
    assert found["centroute.usage.estimated"] is False
    assert found["server.address"] == "api.deepinfra.com"
    assert found["server.port"] == 443
    assert found["centroute.forecast.cost"] == float(route.forecast.cost_usd)
    assert found["centroute.forecast.cost.p90"] == float(route.forecast.cost_p90_usd)
    assert found["centroute.forecast.quality"] == route.forecast.quality
    assert found["gen_ai.usage.cost.amount"] == float(route.cost.usd) > 0
    assert found["gen_ai.usage.cost.currency"] == "USD"
    assert found["gen_ai.usage.cost.source"] == "local"
    assert found["centroute.cost.source"] == "computed"
    assert found["centroute.reservation.cost"] == float(to_usd(entry.reserved))


def test_the_settlement_is_an_event(observed):
    """The event says what was charged, under which price row, and on whose count."""
    with client_of(reply(ANSWER), reply(ANSWER, usage=False)) as client:
        told, counted = ask(client), ask(client)
    for span, made, source in zip(
        observed.spans, (told, counted), ("computed", "estimated"), strict=True
    ):
        (event,) = span.events
        assert event.name == "centroute.settled"
        assert dict(event.attributes) == {
            "gen_ai.usage.cost.amount": float(made.route.cost.usd),
            "gen_ai.usage.cost.currency": "USD",
            "gen_ai.usage.cost.source": "local",
            "centroute.cost.source": source,
            "centroute.rates.id": made.route.cost.rates_id,
        }


def test_metrics(observed):
    """Spend, tokens and duration are measured; only tags that were asked for are labels."""
    answer = reply(ANSWER, input_tokens=1000, output_tokens=200)
    settings = {"tags": {"team": "search", "user": "ann"}, "metric_tags": ["team", "absent"]}
    with client_of(answer, **settings) as client:
        cost = sum(ask(client).route.cost.usd for _ in range(3))
    points = observed.points()
    (spend,) = points["centroute.spend"]
    assert spend.value == pytest.approx(float(cost))
    labels = dict(spend.attributes)
    assert labels["centroute.tag.team"] == "search"
    assert labels["centroute.tag.absent"] == ""
    assert "centroute.tag.user" not in labels
    assert "centroute.request.id" not in labels
    sums = {p.attributes["gen_ai.token.type"]: p.sum for p in points["gen_ai.client.token.usage"]}
    assert sums == {"input": 3000, "output": 600}
    (duration,) = points["gen_ai.client.operation.duration"]
    assert duration.count == 3


def test_a_failed_attempt_has_its_own_span(observed):
    """An attempt that failed ends its span as an error; the retry has the next."""
    error = ServerError("overloaded", candidate=MODEL, status_code=503, retry_after=0.0)
    with client_of(error, reply(ANSWER)) as client:
        ask(client)
    failed, answered = observed.spans
    assert failed.attributes["error.type"] == "http_503"
    assert failed.status.status_code is StatusCode.ERROR
    assert "gen_ai.usage.cost.amount" not in failed.attributes
    assert "error.type" not in answered.attributes
    outcomes = {
        p.attributes.get("error.type")
        for p in observed.points()["gen_ai.client.operation.duration"]
    }
    assert outcomes == {"http_503", None}


def test_a_stream_is_one_span(observed):
    """A stream's span ends with its usage; one that is closed early says so."""
    with client_of(reply(ANSWER)) as client:
        with ask(client, stream=True) as stream:
            list(stream)
        with ask(client, stream=True) as stream:
            next(iter(stream))
    whole, part = observed.spans
    assert whole.attributes["gen_ai.request.stream"] is True
    assert whole.attributes["gen_ai.usage.output_tokens"] == 5
    assert part.attributes["error.type"] == "closed"
    assert part.attributes["centroute.usage.estimated"] is True
    assert part.attributes["gen_ai.usage.cost.amount"] > 0


def test_a_refusal_is_counted(observed):
    """A request that a budget refused has no span, and is counted: by which error and budget."""
    with client_of(reply(ANSWER), budgets="0") as client, pytest.raises(BudgetExceededError):
        ask(client)
    assert observed.spans == ()
    (refused,) = observed.points()["centroute.refusals"]
    expected = {
        "error.type": "BudgetExceededError",
        "centroute.budget": "$0.000000 in all",
        "centroute.budget.unit": "usd",
    }
    assert (refused.value, dict(refused.attributes)) == (1, expected)


def test_what_the_host_says_it_charged_stays_apart(observed):
    """A host's own figure is an event with its own source; amount and metrics are ours."""
    said = reply(ANSWER)
    with client_of(replace(said, usage=replace(said.usage, reported_cost=123_000_000))) as client:
        made = ask(client)
    (span,) = observed.spans
    settled, reported = span.events
    assert reported.name == "centroute.reported"
    assert dict(reported.attributes) == {
        "gen_ai.usage.cost.amount": 0.000123,
        "gen_ai.usage.cost.currency": "USD",
        "gen_ai.usage.cost.source": "provider",
        "centroute.cost.source": "provider",
    }
    ours = float(made.route.cost.usd)
    assert settled.attributes["gen_ai.usage.cost.amount"] == ours
    assert span.attributes["gen_ai.usage.cost.amount"] == ours
    assert observed.values("centroute.spend") == {(): pytest.approx(ours)}


def unpriced(*answers, **settings):
    """A client of two models, of which `free@h` has no price."""
    rows = models("small", "free")
    del rows["rate"][1]
    return staged(
        *answers, catalog=rows, candidates=["small@h", "free@h"], policy=None, **settings
    )


def test_an_unknown_price_is_no_amount(observed):
    """No attribute, no event and no metric of cost says 0 where nobody knows the price."""
    where = {"h": "http://u:pa/ss@127.0.0.1:9/v1"}
    with unpriced(reply(ANSWER), base_urls=where) as client:
        made = ask(client, model="free@h")
    assert made.route.cost is None
    (span,) = observed.spans
    assert span.attributes["gen_ai.usage.input_tokens"] > 0
    assert (span.attributes["server.address"], span.attributes["server.port"]) == ("127.0.0.1", 9)
    assert not [
        name for name in span.attributes if "usage.cost" in name or "forecast.cost" in name
    ]
    assert span.events == ()
    found = observed.points()
    for name in ("centroute.spend", "gen_ai.client.operation.cost", "centroute.forecast.error"):
        assert name not in found
    assert sum(observed.values("centroute.attempts").values()) == 1


def test_an_answer_kept_without_a_price_has_its_labels(observed, tmp_path):
    """Nobody knows what it saved; who answered is known, also to a client that never called."""
    for _ in range(2):
        with unpriced(reply(ANSWER), cache=tmp_path) as client:
            ask(client, model="free@h")
    called, kept = observed.points()["centroute.overhead"]
    assert kept.attributes["centroute.policy"] == "cache"
    for label in ("gen_ai.provider.name", "gen_ai.request.model", "centroute.candidate"):
        assert kept.attributes[label] == called.attributes[label] != ""
    assert "centroute.saved" not in observed.points()


def test_a_price_that_stands_for_an_unknown_one_is_estimated(observed):
    """Charged at the dearest price known: an estimate, however well the host counted."""
    with unpriced(reply(ANSWER), unpriced="ceiling") as client:
        ask(client, model="free@h")
    (span,) = observed.spans
    assert span.attributes["centroute.usage.estimated"] is False
    assert span.attributes["centroute.cost.source"] == "estimated"


@pytest.mark.parametrize("said", ["two words", "x" * 200, "naïve"])
def test_what_a_host_says_beside_the_answer_is_recorded_if_it_is_a_word(observed, said):
    """An id, a model or a reason that may be the answer's text is left out."""
    answer = reply(ANSWER)
    body = {**answer.body, "id": said, "model": said}
    with client_of(replace(answer, body=body, finish_reason=said)) as client:
        ask(client)
    (span,) = observed.spans
    assert not [name for name in span.attributes if name.startswith("gen_ai.response.")]


def test_a_conversation_is_named_if_its_tag_is(observed):
    """The tag `conversation` is the conventional id, where spans may have it."""
    tags = {"conversation": "c-17"}
    with client_of(reply(ANSWER), tags=tags) as client:
        ask(client)
    with client_of(reply(ANSWER), tags=tags, span_tags=["conversation"]) as client:
        ask(client)
    without, named = observed.spans
    assert "gen_ai.conversation.id" not in without.attributes
    assert named.attributes["gen_ai.conversation.id"] == "c-17"


@pytest.mark.parametrize("setting", ["metric_tags", "span_tags", "baggage"])
@pytest.mark.parametrize("given", ["team", [1], 5, [""], ["a\nb"]])
def test_lists_of_names_are_checked(setting, given):
    """One text would be read letter by letter; the error names the setting."""
    with pytest.raises(ConfigError, match=setting):
        client_of(**{setting: given})
