"""Traffic out of a ledger: attempts, grades, decisions, and all that follows from them."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from router import (
    Client,
    ConfigError,
    LeasedLedger,
    SQLiteLedger,
    cascade,
    explore,
    load_policy,
    recorded_prompts,
    tuning,
    utility,
)
from router.ledgers import Grade, Record, Reservation, Settlement
from router.testing import FakeClock, MockTransport, reply
from router.types import Cost, Usage

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MODELS = [
    "mixtral-8x7b-instruct-v0.1@replay",
    "deepseek-v2.5@replay",
    "claude-3-5-sonnet-20241022@replay",
]


def right(answer):
    return answer.model_extra["replay"]["score"]


def booked(ledger, number, *, request="r", candidate="a@x", cost=100, **end):
    """A call of a request, begun and ended."""
    at = NOON + timedelta(minutes=number)
    record = Record(
        request_id=request,
        candidate=candidate,
        model=candidate.partition("@")[0],
        mode="chat",
        host="x",
        policy="mine",
        tags={"team": "search"},
        rates_id="row",
        propensity=0.25,
    )
    ledger.reserve(
        Reservation(
            id=f"{request}/{number}",
            at=at,
            lease_until=at + timedelta(hours=1),
            amount=cost,
            holds=(),
            record=record,
        )
    )
    usage = Usage(input_tokens=10, output_tokens=5)
    spent = Cost(pico=cost, rates_id=end.pop("rates_id", "row"))
    ledger.settle(
        f"{request}/{number}",
        Settlement(at=at + timedelta(seconds=2), usage=usage, cost=spent, seconds=2.0, **end),
    )


@pytest.fixture
def ledger(tmp_path):
    with closing(SQLiteLedger(tmp_path / "l.sqlite3")) as found:
        yield found


def test_all_attempts_of_a_request_are_one(ledger):
    """Their costs and seconds are added; the first was chosen, the last that answered served."""
    booked(ledger, 0, cost=100, outcome="ServerError")
    booked(ledger, 1, candidate="b@x", cost=23)
    booked(ledger, 2, request="other", cost=1)
    found = tuning.load(ledger)
    assert [r.request_id for r in found] == ["r", "other"]
    first = found[0]
    assert (first.chosen, first.served, first.cost, first.seconds) == ("a@x", "b@x", 123, 4.0)
    assert (first.policy, first.propensity, first.tags) == ("mine", 0.25, {"team": "search"})
    assert first.at == NOON
    assert first.record is None
    assert any("2 of 2 requests have no decision record" in note for note in found.notes)
    assert any("log_decisions=True" in note for note in found.notes)


def test_an_unknown_price_makes_the_cost_of_the_request_unknown(ledger):
    """One charged attempt without a price, and nobody knows the sum; it is not zero."""
    booked(ledger, 0, cost=100)
    booked(ledger, 1, cost=0, rates_id="")
    found = tuning.load(ledger)
    assert found[0].cost is None
    assert any("unknown cost" in note for note in found.notes)


def test_whose_grade_counts_is_said(ledger):
    """Labels go first, then one's own words, feedback, verifiers, judges; `by` chooses."""
    booked(ledger, 0)
    said = {"judge": 0.1, "verifier": 0.2, "feedback": 0.3, "panel": 0.4, "label": 0.5}
    for number, (by, score) in enumerate(said.items(), start=1):
        ledger.grade([Grade(request_id="r", candidate="", score=score, by=by, at=NOON)])
        expected = said["judge"] if number == 1 else score
        assert tuning.load(ledger)[0].quality == expected, by
    assert tuning.load(ledger, by="judge")[0].quality == 0.1
    assert tuning.load(ledger, by=["verifier", "label"])[0].quality_by == "verifier"
    assert tuning.load(ledger, by="nobody")[0].quality is None


def test_a_grade_of_another_answer_is_not_that_of_the_one_served(ledger):
    """Of a cascade each stage has its grade: the request has that of the answer it was given."""
    booked(ledger, 0, candidate="a@x")
    booked(ledger, 1, candidate="b@x")
    for candidate, score in (("a@x", 0.4), ("b@x", 0.9)):
        ledger.grade(
            [Grade(request_id="r", candidate=candidate, score=score, by="verifier", at=NOON)]
        )
    found = tuning.load(ledger)[0]
    assert (found.served, found.quality) == ("b@x", 0.9)


def test_a_span_takes_whole_requests(ledger):
    """A request belongs to the span in which its first line is, with all its lines."""
    booked(ledger, 0)
    booked(ledger, 5, candidate="b@x", cost=5)
    booked(ledger, 6, request="late")
    found = tuning.load(ledger, until=NOON + timedelta(minutes=3))
    assert [(r.request_id, r.cost) for r in found] == [("r", 105)]
    with pytest.raises(ConfigError, match="since: expected an aware instant"):
        tuning.load(ledger, since=datetime(2026, 1, 1))


def test_a_slab_is_no_request(ledger):
    """What a process sets aside for itself is nobody's call."""
    transport = MockTransport(reply("Paris"))
    with Client(
        ledger=LeasedLedger(ledger), budgets="1", transport=transport, keys={"deepinfra": "k"}
    ) as client:
        client.chat.completions.create(
            [{"role": "user", "content": "Hi"}], model="deepseek-v3.2@deepinfra"
        )
        client._core.ledger.close()
    assert len(tuning.load(ledger)) == 1


def test_answers_of_the_cache_are_left_out(tmp_path):
    """No policy chose them: they are counted in a note."""
    prompt = recorded_prompts(source="zeroeval")[0].prompt
    settings = {"ledger": str(tmp_path / "l.sqlite3"), "candidates": MODELS, "log_decisions": True}
    with Client(cache=tmp_path / "cache", **settings) as client:
        for _ in range(3):
            client.chat.completions.create([{"role": "user", "content": prompt}])
        found = tuning.load(client)
    assert len(found) == 1
    assert any("2 answers out of the response cache" in note for note in found.notes)


def test_from_a_client_that_explores_to_one_that_runs_what_was_chosen(tmp_path):
    """Verdicts and feedback grade what was served; estimates, choice and file follow from them."""
    path = tmp_path / "spend.sqlite3"
    prompts = recorded_prompts(source="zeroeval")[:150]
    settings = {"candidates": MODELS, "now": FakeClock()}
    logging = {"ledger": str(path), "log_decisions": True, **settings}
    with Client(policy=explore(utility("0.01"), 0.5), **logging) as client:
        for number, each in enumerate(prompts):
            made = client.chat.completions.create(
                [{"role": "user", "content": each.prompt}],
                tags={"dataset": each.dataset},
                verify=right if number % 2 else None,
            )
            if not number % 2:
                client.feedback(made.route.request_id, right(made))
    traffic = tuning.load(path)
    assert len(traffic) == len(traffic.graded) == len(traffic.replayable) == 150
    assert not traffic.notes
    assert {r.quality_by for r in traffic} == {"verifier", "feedback"}
    for request in traffic:
        assert request.record.replays()
        assert request.propensity == request.record.decision.propensity < 1
        assert request.served == request.chosen
    scores = {r.prompt.strip(): r for r in prompts}
    assert len(scores) == 150
    swept = tuning.sweep(traffic, tuning.family(utility), value_usd="0.01", progress=False)
    assert {p.method for p in swept} == {"dr"}
    assert all(p.told and p.quality_low <= p.quality <= p.quality_high for p in swept)
    found = tuning.frontier(traffic, progress=False)
    assert found.oracle is None
    assert found.point.name == "as logged"
    choice = tuning.choose(traffic, budget_usd=str(found.point.cost_usd), progress=False)
    saved = choice.save(tmp_path / "policy.toml")
    assert load_policy(saved) == choice.policy
    with Client(policy=saved, ledger=":memory:", **settings) as client:
        plan = client.plan([{"role": "user", "content": prompts[0].prompt}])
        expected = choice.policy(traffic[0].record.quotes, traffic[0].record.context)
        assert plan.decision.policy == expected.policy
    assert tuning.load(traffic.to_frame("pyarrow")) == traffic


def test_logs_without_chance_tell_bounds_and_say_why(tmp_path):
    """A policy that the log never followed has bounds alone, and the frontier says so."""
    path = tmp_path / "spend.sqlite3"
    with Client(
        ledger=str(path),
        candidates=MODELS,
        log_decisions=True,
        policy=utility("0.01"),
        verify=right,
    ) as client:
        for each in recorded_prompts(source="zeroeval")[:40]:
            client.chat.completions.create([{"role": "user", "content": each.prompt}])
    traffic = tuning.load(path)
    found = tuning.sweep(traffic, [utility("10")], progress=False)[0]
    assert found.quality is None
    assert found.total_usd is None
    assert found.quality_low < found.quality_high
    assert any("explore" in note for note in found.notes)
    with pytest.raises(ConfigError, match="does not tell"):
        _ = found.at
    frontier = tuning.frontier(traffic, progress=False)
    assert frontier.untold
    assert "not told by this traffic" in str(frontier)
    assert frontier.plot() is not None
    assert tuning.sweep(traffic, [utility("10")], progress=False).plot() is not None


def test_a_cascade_in_the_ledger_has_all_its_costs(tmp_path):
    """The cost of a request is that of all its stages, as the client tells it."""
    path = tmp_path / "spend.sqlite3"
    totals = {}
    with Client(
        ledger=str(path),
        candidates=MODELS,
        log_decisions=True,
        policy=cascade("0.05"),
        verify=right,
    ) as client:
        for each in recorded_prompts(source="zeroeval")[:40]:
            made = client.chat.completions.create([{"role": "user", "content": each.prompt}])
            totals[made.route.request_id] = made.route
    traffic = tuning.load(path)
    assert any(len(route.attempts) > 1 for route in totals.values())
    for request in traffic:
        route = totals[request.request_id]
        assert request.cost == route.total_cost_usd.scaleb(12)
        assert request.served == route.candidate
        assert request.quality == route.verified
        assert request.chosen == route.decision.chosen
