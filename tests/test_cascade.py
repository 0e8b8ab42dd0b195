"""Verifying answers and escalating: no answer is lost, and every stage is charged."""

from dataclasses import replace

import pytest
from learning import ASK, HUGE, LARGE, SMALL, Learning, ask, is_right, stages
from learning import staged as client

from policies import cascade
from router import AsyncClient, Client
from router.errors import ServerError
from router.money import to_usd
from router.testing import reply


@pytest.fixture(params=[Client, AsyncClient])
def cls(request):
    return request.param


def test_a_right_answer_is_final(cls):
    """The first stage is accepted: one call, one charge, and the scorer learns of it."""
    made = client(reply("right"), cls=cls, verify=is_right)
    route = ask(made).route
    assert (route.candidate, route.verified) == (SMALL, 1.0)
    assert [(a.outcome, a.grade) for a in route.attempts] == [("ok", 1.0)]
    assert [(p, g) for _, p, g, _ in made.scorer.told] == [("small", 1.0)]
    assert len(made.calls) == 1


def test_a_wrong_answer_goes_on(cls):
    """Each stage has a reservation, an attempt and a charge of its own; the last serves."""
    answers = [reply("wrong"), reply("no"), reply("right", output_tokens=9)]
    made = client(*answers, cls=cls, verify=is_right, budgets="1", tags={"tenant": "t"})
    found = ask(made)
    route = found.route
    assert found.text == "right"
    assert (route.candidate, route.verified, route.notes) == (HUGE, 1.0, ())
    assert [(a.candidate, a.outcome, a.grade) for a in route.attempts] == [
        (SMALL, "rejected", 0.0),
        (LARGE, "rejected", 0.0),
        (HUGE, "ok", 1.0),
    ]
    entries = list(made.kept.entries())
    assert [e.reservation_id for e in entries] == [f"{route.request_id}/{i}" for i in range(3)]
    assert [e.outcome for e in entries] == ["ok"] * 3  # the calls did work
    assert route.cost.pico == entries[2].cost
    assert sum(a.cost.pico for a in route.attempts) == sum(e.cost for e in entries)
    assert f"{made.budgets.status()[0].spent}" == f"{route.total_cost_usd}"
    assert [(p, g, t) for _, p, g, t in made.scorer.told] == [
        ("small", 0.0, "t"),
        ("large", 0.0, "t"),
        ("huge", 1.0, "t"),
    ]


def test_the_best_graded_answer_is_returned(cls):
    """When no stage is right, the best of them serves; of equals the last."""
    grades = {"a": 0.4, "b": 0.1, "c": 0.2}
    made = client(reply("a"), reply("b"), reply("c"), cls=cls, verify=lambda c: grades[c.text])
    found = ask(made)
    assert (found.text, found.route.candidate, found.route.verified) == ("a", SMALL, 0.4)
    assert found.route.cost == found.route.attempts[0].cost
    assert found.usage.completion_tokens == 5
    assert len(found.route.attempts) == 3
    made = client(reply("a"), reply("b"), reply("c"), cls=cls, verify=lambda c: 0)
    assert ask(made).text == "c"


def test_a_budget_that_refuses_the_next_stage(cls):
    """The answer that is paid for is returned, and a note says why there is no better one."""
    made = client(
        reply("wrong"), reply("right"), cls=cls, verify=is_right, policy=stages(SMALL, HUGE)
    )
    ceiling = client(reply("")).plan(ASK, budget="1", max_tokens=200).forecasts[HUGE].cost_ceiling
    # Exactly enough for either alone, so not for the second after the first.
    found = ask(made, budget=f"{to_usd(ceiling):f}", max_tokens=200)
    assert (found.text, found.route.candidate, found.route.verified) == ("wrong", SMALL, 0.0)
    (note,) = found.route.notes
    assert "found wrong (0), and nobody else answered: BudgetExceededError" in note
    assert [a.candidate for a in found.route.attempts] == [SMALL]
    assert len(made.calls) == 1


def test_a_next_stage_that_fails(cls):
    """A failed stage is noted, the one after it asked; if that fails too, nothing is lost."""
    failed = ServerError("down", status_code=503)
    made = client(reply("wrong"), failed, reply("right"), cls=cls, verify=is_right)
    found = ask(made)
    assert found.text == "right"
    outcomes = [a.outcome for a in found.route.attempts]
    assert outcomes == ["rejected", "http_503", "ok"]
    made = client(reply("wrong"), failed, cls=cls, verify=is_right)
    found = ask(made)
    assert (found.text, found.route.candidate) == ("wrong", SMALL)
    assert "nobody else answered: ServerError" in found.route.notes[-1]
    assert [a.outcome for a in found.route.attempts] == ["rejected", "http_503", "http_503"]


def test_a_bug_in_a_transport_loses_no_answer():
    """Whatever goes wrong after an answer is paid for is a note."""
    made = client(reply("wrong"), ValueError("bug"), verify=is_right)
    found = ask(made)
    assert found.text == "wrong"
    assert "ValueError: bug" in found.route.notes[-1]
    assert made.budgets.status() == []


def test_an_interrupted_stage_passes():
    """Ctrl-C is no failure to be contained."""

    def stop(answer):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(client(reply("wrong"), verify=stop))


def test_a_verifier_without_escalation_is_asked_once(cls):
    """Its grade is told and learned, and the answer stands."""
    made = client(reply("wrong"), cls=cls, verify=is_right, policy=stages(SMALL))
    found = ask(made)
    assert (found.text, found.route.verified, found.route.notes) == ("wrong", 0.0, ())
    assert [(p, g) for _, p, g, _ in made.scorer.told] == [("small", 0.0)]


def test_a_fallback_that_was_tried_is_no_stage(cls):
    """Who failed, or served as the fallback, is not asked again as the next stage."""
    failed = ServerError("down", status_code=503)
    made = client(failed, reply("wrong"), reply("right"), cls=cls, verify=is_right)
    route = ask(made).route
    assert [a.candidate for a in route.attempts] == [SMALL, LARGE, HUGE]
    assert (route.candidate, route.verified) == (HUGE, 1.0)


def test_the_shipped_cascade_escalates():
    """The policy of that name, its verifier and the flow together."""
    scorer = Learning({"small": 0.6, "large": 0.7, "huge": 0.95})
    made = client(
        reply("wrong"), reply("right"), verify=is_right, policy=cascade("0.05"), scorer=scorer
    )
    found = ask(made)
    assert found.text == "right"
    assert found.route.decision.escalation == (found.route.candidate,)
    assert found.route.record.replays()
    plan = made.plan(ASK, verify=False)
    assert plan.decision.escalation == ()
    assert "nothing verifies it" in plan.decision.reason


def test_time_that_is_up(monkeypatch):
    """The request's timeout covers all stages: none is begun after it."""
    made = client(reply("wrong"), reply("right"), verify=is_right)
    services = made._core.services()
    ticks = iter([0.0, 0.0, 0.0, 0.0, 700.0, 700.0, 700.0, 700.0])
    made._core._services = replace(services, monotonic=lambda: next(ticks))
    found = ask(made)
    assert found.text == "wrong"
    assert "no answer within 600 s" in found.route.notes[-1]
