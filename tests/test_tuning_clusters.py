"""The gate, choices and splits where requests of one conversation belong together."""

from dataclasses import replace

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
    untagged = Traffic(replace(r, tags={}) for r in LOG)
    assert [len(t) for t in untagged.split(cluster="x")] == [len(t) for t in LOG.split()]


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
