"""No metric has more series than an SDK keeps, whoever is called for whomever; sums stay right.

What comes after an SDK's 2,000 series loses all its labels, the host's and the model's as well.
"""

import random
from collections import Counter
from dataclasses import replace

import pytest
from observing import NEWEST, client_of

from router.telemetry import Telemetry
from router.telemetry.guard import OTHER
from router.telemetry.labels import SETS
from router.types import Call, Cost, Request, Usage

LIMIT = 2000
USAGE = Usage(
    input_tokens=50,
    cache_read_tokens=20,
    cache_write_tokens=3,
    output_tokens=7,
    reasoning_tokens=2,
)
KINDS = {"input": 50, "cache_read": 20, "cache_write": 3, "output": 7, "reasoning": 2}
CANDIDATE, TEAM, POLICY = "centroute.candidate", "centroute.tag.team", "centroute.policy"


@pytest.fixture(scope="module")
def known():
    """All candidates of three hosts, and a forecast."""
    with client_of(
        hosts=["deepinfra", "novita", "replay"], keys={"deepinfra": "k", "novita": "k"}
    ) as client:
        plan = client.plan([{"role": "user", "content": "hi"}])
        return client.candidates(), plan.forecast, plan


class Play:
    """Calls of many kinds, and what they add up to."""

    def __init__(self, known, tags, environ=None):
        self.candidates, self.forecast, self.plan = known
        self.telemetry = Telemetry(tags, environ=environ)
        self.calls = Counter()

    def call(self, candidate, policy="utility(0.01)", outcome="ok", **tags):
        asked = Request(id="r", messages=(), tags=tags)
        call = Call(request=asked, candidate=candidate, max_tokens=9, timeout=1, input_tokens=5)
        observed = self.telemetry.begin(call, self.forecast, policy, 100)
        cost = Cost(pico=10**6, rates_id="row")
        self.telemetry.end(observed, seconds=1.0, usage=USAGE, cost=cost, outcome=outcome)
        self.calls[candidate.name] += 1


def check(observed, play):
    """Every metric is whole, and right by candidate."""
    points = observed.points()
    for name, found in points.items():
        assert len(found) <= LIMIT, name
        assert not [p for p in found if "otel.metric.overflow" in p.attributes], name

    def summed(name, *labels):
        found = Counter()
        for point in points[name]:
            value = point.value if hasattr(point, "value") else point.sum
            found[tuple(point.attributes[label] for label in labels)] += value
        return found

    tokens = summed("centroute.tokens", CANDIDATE, "gen_ai.token.type")
    assert tokens == {(c, k): n * KINDS[k] for c, n in play.calls.items() for k in KINDS}
    assert summed("centroute.attempts", CANDIDATE) == {(c,): n for c, n in play.calls.items()}
    for name in ("centroute.spend", "gen_ai.client.operation.cost"):
        spent = {(c,): pytest.approx(n * 1e-6) for c, n in play.calls.items()}
        assert dict(summed(name, CANDIDATE)) == spent
    return summed


@pytest.mark.parametrize("environ", [{}, NEWEST])
def test_teams_times_candidates(observed, known, caplog, environ):
    """Sixty teams at all candidates: no series without labels, all money by candidate."""
    play, chance = Play(known, ["team"], environ), random.Random(1)
    assert len(play.candidates) >= 10
    for _ in range(4000):
        play.call(chance.choice(play.candidates), team=f"t{chance.randrange(60)}")
    summed = check(observed, play)
    teams = summed("centroute.attempts", TEAM)
    assert teams[OTHER,] > 0
    assert len(teams) > 20, "most teams are told apart at some of the candidates"
    assert set(summed("centroute.attempts", POLICY)) == {("utility(0.01)",)}, "a tag goes first"
    told = [r.getMessage() for r in caplog.records if "sets of values" in r.getMessage()]
    assert len(told) == 1
    assert f"{SETS} sets" in told[0]
    assert "t1" not in told[0]


def test_two_tags_many_policies_and_failures(observed, known):
    """Whatever multiplies: tags, policies, and how calls ended."""
    play, chance = Play(known, ["team", "user"]), random.Random(2)
    for i in range(6000):
        tags = {"team": f"t{chance.randrange(40)}", "user": f"u{chance.randrange(10**5)}"}
        outcome = f"http_{400 + chance.randrange(150)}" if i % 2 else "ok"
        play.call(chance.choice(play.candidates), f"p{chance.randrange(30)}", outcome, **tags)
    summed = check(observed, play)
    ended = summed("centroute.attempts", "error.type")
    assert ended["",] == 3000
    assert sum(ended.values()) == 6000


def test_few_are_told_apart(observed, known, caplog):
    """As many as fit: teams, candidates and policies all keep their names."""
    play = Play(known, ["team"])
    some = play.candidates[:6]
    for team in range(20):
        for candidate in some:
            for policy in ("a", "b"):
                play.call(candidate, policy, team=f"t{team}")
    summed = check(observed, play)
    assert len(summed("centroute.tokens", CANDIDATE, TEAM, POLICY)) == SETS == 20 * 6 * 2
    assert caplog.records == []


def test_refusals_saved_and_overhead(observed, known):
    """Those of requests: by error or candidate as it was, however many teams and users ask."""
    play, chance = Play(known, ["team", "user"]), random.Random(3)
    refused, saved, served = Counter(), Counter(), Counter()
    for _ in range(5000):
        tags = {"team": f"t{chance.randrange(60)}", "user": f"u{chance.randrange(300)}"}
        error = f"Error{chance.randrange(8)}"
        play.telemetry.refused(error, tags)
        refused[error,] += 1
        candidate = chance.choice(play.candidates)
        play.telemetry.saved(candidate, 10**9, tags)
        saved[candidate.name,] += 1
        play.call(candidate, **tags)
        for policy in ("cache", "utility(0.01)"):
            served[candidate.name,] += 1
            decision = replace(known[2].decision, policy=policy)
            route = Route(candidate.name, decision)
            play.telemetry._overhead(route, tags, 1.0)
    summed = check(observed, play)
    assert summed("centroute.refusals", "error.type") == refused
    assert summed("centroute.saved", CANDIDATE) == {
        key: pytest.approx(n * 1e-3) for key, n in saved.items()
    }
    assert summed("centroute.overhead", CANDIDATE) == {
        key: pytest.approx(n) for key, n in served.items()
    }


class Route:
    """What telemetry reads of a route."""

    def __init__(self, candidate, decision):
        self.candidate, self.decision = candidate, decision
