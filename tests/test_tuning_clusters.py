"""The gate, choices and splits where requests of one conversation belong together."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from policies import explore, utility
from router.errors import ConfigError
from router.tuning.choose import choose
from router.tuning.frontier import frontier
from router.tuning.gate import gate
from router.tuning.off_policy import estimate
from router.tuning.traffic import Traffic
from tests.offline import blind, traffic

OTHER = utility("0.05")
KNOWN = Traffic(
    replace(r, tags={"conversation": f"c{i // 10}", "team": "a"})
    for i, r in enumerate(traffic(600, explore(utility("0.01"), 0.3), seed=3))
)
LOG = blind(KNOWN)


def itself(request):
    return request.request_id


@pytest.mark.parametrize("log", [KNOWN, LOG], ids=["known", "logged"])
def test_a_gate_of_clusters_of_one_is_the_plain_gate(log):
    """At one look the same ends, to rounding; at many they know that 600 are not endless."""
    for sequential in (False, True):
        more = {"value_usd": "0.01", "sequential": sequential}
        plain = gate(log, utility("0.003"), **more)
        same = gate(log, utility("0.003"), cluster=itself, **more)
        assert (same.outcome, same.reason) == (plain.outcome, plain.reason)
        for of in ("quality", "cost", "worth"):
            one, other = getattr(plain, of), getattr(same, of)
            if sequential:
                assert 1 < (other.high - other.low) / (one.high - one.low) < 1.005
            else:
                assert (other.low, other.high) == pytest.approx((one.low, one.high), rel=1e-9)
            assert (one.clusters, one.effective_n) == (None, None)
            assert other.clusters == 600


def test_one_cluster_that_holds_nearly_all_leaves_no_interval():
    """A bot with five sixths of the requests: no ends, no verdict, and why."""
    bot = Traffic(
        replace(r, tags={"user": "bot" if i < 500 else f"u{i // 10}"}) for i, r in enumerate(LOG)
    )
    for interval in ("design", "normal", "bernstein", "bootstrap", "sequence"):
        found = estimate(bot, OTHER, cluster="user", interval=interval)
        assert (found.low, found.high) == (0.0, 1.0)
        assert any("the largest has 83% of the requests" in note for note in found.notes)
    said = gate(bot, utility("0.003"), value_usd="0.01", cluster="user")
    assert (said.outcome, said.more) == ("undecided", None)
    assert said.cost.high == np.inf
    assert "more clusters are needed" in str(said)
    assert "<table>" in said._repr_html_()


def test_a_split_keeps_clusters_whole():
    """No conversation is on both sides; those without one go by their ids."""
    for share in (0.2, 0.5):
        first, rest = LOG.split(share, cluster="conversation")
        sides = [{r.tags["conversation"] for r in side} for side in (first, rest)]
        assert not sides[0] & sides[1]
        assert len(first) + len(rest) == len(LOG)
        assert 0 < len(sides[0]) < len(sides[1]) * 3
    untagged = Traffic(replace(r, tags={"x": "1"} if i == 0 else {}) for i, r in enumerate(LOG))
    with_one = [{r.request_id for r in t} for t in untagged.split(cluster="x")]
    plain = [{r.request_id for r in t} for t in LOG.split()]
    assert with_one[0] ^ plain[0] <= {LOG[0].request_id}


class Key:
    """A key that is equal to others, and is spelled by where it lies."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Key) and self.value == other.value

    def __hash__(self):
        return hash(self.value)


@pytest.mark.parametrize(
    "kinds",
    [
        (int, float),
        (int, np.int64),
        (float, np.float64),
        (Decimal, Fraction),
        (lambda n: (n, "a"), lambda n: (float(n), "a")),
        (Key, Key),
        (lambda n: frozenset({n, "a"}), lambda n: frozenset({"a", float(n)})),
        (lambda n: float("inf") if n == 1 else n, lambda n: Decimal("inf") if n == 1 else n),
    ],
)
def test_equal_keys_are_on_one_side_however_they_are_spelled(kinds):
    """1 and 1.0 are one cluster for an estimate, and so they are for a split."""

    def number(request):
        return (int(request.request_id[1:]) - int(LOG[0].request_id[1:])) // 10

    def mixed(request):
        return kinds[int(request.request_id[1:]) % 2](number(request))

    first, rest = LOG.split(0.5, cluster=mixed)
    sides = [{number(r) for r in side} for side in (first, rest)]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 60
    assert min(map(len, sides)) > 15


def test_a_cluster_stays_on_its_side_in_more_traffic():
    """What has a text or a number goes where it went, whatever came before it."""

    def number(request):
        return int(request.tags["conversation"][1:])

    for cluster in ("conversation", number, lambda r: (number(r), 0.5)):
        whole = {r.request_id for r in LOG.split(0.5, cluster=cluster)[0]}
        part = {r.request_id for r in LOG[305:].split(0.5, cluster=cluster)[0]}
        assert part == whole & {r.request_id for r in LOG[305:]}
    first = LOG.split(0.5, cluster="conversation")[0]
    assert first == LOG.split(0.5, cluster=lambda r: r.tags["conversation"])[0]


def test_a_split_refuses_what_no_request_has():
    """A slip in a tag is no split of single requests: it says which tags there are."""
    with pytest.raises(ConfigError, match="by tag 'convresation'; tags that they have: conv"):
        LOG.split(cluster="convresation")
    with pytest.raises(ConfigError, match="raised KeyError on request 'r"):
        LOG.split(cluster=lambda r: r.tags["user"])
    assert [len(side) for side in LOG[:0].split(cluster="conversation")] == [0, 0]


def test_choosing_says_that_clusters_are_too_few():
    """Not the requests, of which there are plenty."""
    with pytest.raises(ConfigError, match="600 requests make 1 cluster by tag 'team', and 5"):
        choose(LOG, budget_usd="0.002", cluster="team", progress=False)
    with pytest.raises(ConfigError, match="traffic: 60 clusters are too few to hold some out"):
        choose(LOG, budget_usd="1", cluster="conversation", held_out=1e-6, progress=False)


@pytest.mark.parametrize("log", [KNOWN, LOG], ids=["known", "logged"])
def test_choosing_holds_whole_clusters_out(log):
    """Both parts have clusters of their own, which add up; the figures say how many."""
    found = choose(log, budget_usd="0.002", cluster="conversation", progress=False)
    assert found.fitted.clusters + found.held_out.clusters == 60
    assert found.held_out.effective_n <= 600
    assert f"{found.held_out.clusters} clusters" in found.describe()
    points = frontier(log, cluster="conversation", progress=False)
    assert {p.clusters for p in points.points} == {60}
    with pytest.raises(ConfigError, match="clusters by"):
        choose(
            log,
            budget_usd="0.002",
            cluster=lambda r: int(r.request_id[1:]) // 100,
            progress=False,
        )


def test_a_canary_of_whole_users_is_not_sure_too_soon():
    """Two halves of users who differ by themselves: requests say "worse", users nothing."""
    rows = []
    for i, request in enumerate(LOG):
        user = i // 60
        usual = 0.9 if user in (1, 2, 3, 6, 8) else 0.3
        grade = usual if i % 5 else 1 - usual
        tags = {"user": f"u{user}", "canary": "yes" if user % 2 else "no"}
        rows.append(replace(request, tags=tags, quality=grade, record=None))
    log, arms = Traffic(rows), ("tag", "canary", "yes")
    plain = gate(log, arms=arms, value_usd="1")
    assert plain.outcome != "undecided"
    found = gate(log, arms=arms, value_usd="1", cluster="user")
    assert found.outcome == "undecided"
    assert found.quality.clusters == 10
    assert found.quality.effective_n < 60
    assert found.quality.value == pytest.approx(plain.quality.value)
    daily = gate(log, arms=arms, value_usd="1", cluster="user", sequential=True)
    assert daily.quality.low < found.quality.low < found.quality.high < daily.quality.high
    assert "600 requests in 10 clusters that tell as much as" in str(found)
    assert "<th>clusters</th><th>effective n</th>" in found._repr_html_()
    assert "clusters" not in plain._repr_html_()
