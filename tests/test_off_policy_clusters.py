"""Requests of one conversation are alike: intervals count conversations where they are told."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks._off_policy_clusters import (
    LOT,
    TARGET,
    Shares,
    cases_of,
    numbered,
    sizes_of,
    unaware,
)
from benchmarks._off_policy_world import synthetic, truth
from policies import explore, utility
from router.errors import ConfigError
from router.tuning import intervals, known
from router.tuning.clusters import Clusters
from router.tuning.gate import gate
from router.tuning.off_policy import estimate, estimates
from router.tuning.score import models, parts
from router.tuning.sweep import sweep
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
@pytest.mark.parametrize("method", ["dr", "snips", "ips"])
def test_clusters_of_one_change_nothing(log, method):
    """Each request its own cluster: every figure is that of independent requests."""
    for interval in ("design", "normal", "bootstrap", "bernstein"):
        more = {"method": method, "interval": interval, "value_usd": "0.01"}
        alone = estimates(log, OTHER, **more)
        same = estimates(log, OTHER, cluster=itself, **more)
        for of, one in alone.items():
            other = same[of]
            assert other.clusters == 600
            assert other.notes == one.notes
            for name in ("value", "low", "high", "effective_n"):
                assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-9)


def test_without_clusters_results_show_none():
    """No number of clusters, no column of a table, no word."""
    found = estimate(LOG, OTHER)
    assert found.clusters is None
    assert "clusters" not in found.row()
    assert "cluster" not in str(found) + found._repr_html_()
    row = sweep(LOG, [OTHER], progress=False)[0].row()
    assert not {"clusters", "effective_n"} & set(row)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=6, max_size=30), st.integers(1, 6))
def test_copies_of_a_request_tell_nothing_new(values, copies):
    """Each request repeated as a cluster: the interval of the requests, however many copies."""
    once = known.mean(np.array(values))
    of = np.repeat(np.arange(len(values)), copies)
    again = known.mean(np.repeat(values, copies), 0.0, Clusters(of, len(values)))
    assert again.empirical == pytest.approx(once.empirical, abs=1e-12)
    ends = (intervals.normal(each, 0.95) for each in (once, again))
    assert next(ends) == pytest.approx(next(ends), abs=1e-6)
    assert again.effect == pytest.approx(copies, rel=0.3) or once.empirical < 1e-12


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_the_variance_is_that_of_the_textbook(data):
    """CR2 of a mean, by hand; of clusters of one size it is the variance of their means over G."""
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=5, max_size=12))
    values = np.array([data.draw(st.floats(0, 1)) for _ in range(sum(sizes))])
    of = np.repeat(np.arange(len(sizes)), sizes)
    found = known.mean(values, 0.0, Clusters(of, len(sizes)))
    n, mean = len(values), values.mean()
    by_hand = sum(
        (values[of == g] - mean).sum() ** 2 / (1 - sizes[g] / n) for g in range(len(sizes))
    )
    assert found.empirical == pytest.approx(by_hand / n**2, rel=1e-9, abs=1e-18)
    assert found.value == mean
    if len(set(sizes)) == 1:
        means = values.reshape(len(sizes), -1).mean(axis=1)
        assert found.empirical == pytest.approx(means.var(ddof=1) / len(sizes), abs=1e-15)
        assert found.freedom == pytest.approx(len(sizes) - 1)
    else:
        assert found.freedom < len(sizes) - 1


def test_how_alike_requests_are():
    """Between nothing and all; where nothing varies it cannot be seen, and is taken for all."""
    chance = np.random.default_rng(1)
    of = np.repeat(np.arange(200), 10)
    clusters, every = Clusters(of, 200), np.ones(2000, dtype=bool)
    for alike in (0.0, 0.5, 1.0):
        values = np.sqrt(alike) * chance.normal(size=200)[of]
        values = values + np.sqrt(1 - alike) * chance.normal(size=2000)
        found = clusters.alike(values - values.mean(), every)
        assert found == pytest.approx(alike, abs=0.08)
    assert clusters.alike(np.zeros(2000), every) == 1
    assert Clusters(np.arange(2000), 2000).alike(values, every) == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=20, max_size=60), st.integers(1, 30))
def test_few_clusters_may_be_more_alike_than_they_look(values, count):
    """Never less than they look, by less the more tell; requests by themselves are not alike."""
    of = np.arange(len(values)) % count
    clusters, every = Clusters(of, count), np.ones(len(values), dtype=bool)
    moved = np.array(values) - np.mean(values)
    seen, most = clusters.alike(moved, every), clusters.alike_at_most(moved, every)
    assert 0 <= seen <= most <= 1
    assert most - seen <= 1 / (clusters.freedom(moved, every) + 2) + 1e-12
    alone = Clusters(np.arange(len(values)), len(values))
    assert alone.alike_at_most(moved, every) == 0


def test_single_requests_do_not_hide_that_big_clusters_agree():
    """Six big clusters without a failure, and singles that vary: as unsure as without these."""
    values = np.concatenate([np.ones(300), np.arange(54) % 4 != 0])
    of = np.concatenate([np.repeat(np.arange(6), 50), np.arange(6, 60)])
    found = known.mean(values, known.WIDEST, Clusters(of, 60))
    alike = Clusters(of, 60).alike(values - values.mean(), np.ones(354, dtype=bool))
    assert alike > 0.9
    big = known.mean(np.ones(300), known.WIDEST, Clusters(of[:300], 6))
    share = 300 / 354
    assert share**2 <= found.variance / big.variance <= 1.2


@pytest.mark.parametrize(("big", "each", "alone"), [(6, 50, 54), (8, 200, 200), (6, 50, 0)])
def test_coverage_of_a_few_big_clusters(big, each, alone):
    """200 logs, grades right nine times in ten: 93 % hold the truth, whatever stands beside."""
    of = np.concatenate([np.repeat(np.arange(big), each), np.arange(big, big + alone)])
    clusters, held = Clusters(of, big + alone), 0
    for seed in range(200):
        chance = np.random.default_rng([big, each, seed])
        right = chance.random(len(of)) < chance.beta(0.9, 0.1, big + alone)[of]
        found = known.mean(right.astype(float), known.WIDEST, clusters)
        low, high = intervals.design(found, 0.95)
        held += low <= 0.9 <= high
    assert held >= 0.93 * 200


def test_no_ends_are_counted_by_themselves():
    """What is without ends holds the truth and tells nothing: the table says how much that is."""
    key = ("dr", "quality")
    held, wide = np.array([True, True, True, False]), np.array([np.inf, np.inf, 0.4, 0.2])
    naive = np.array([True, False, False, False]), np.full(4, 0.1)
    found = Shares.of({(*key, "with"): (held, wide), (*key, "without"): naive}, *key)
    assert found.cell() == ("75.0%", "50.0%", "50.0%", "25.0%", "x3.00")
    none = Shares.of({(*key, "with"): (held, wide + np.inf), (*key, "without"): naive}, *key)
    assert (none.none, none.covered) == (1.0, 0.75)
    assert np.isnan(none.ends)


def test_no_reward_of_its_cluster_is_in_a_prediction():
    """Cross-fitting: one reward changed, the predictions for all of its cluster stay."""
    of = np.repeat(np.arange(20), 10)
    cases = cases_of(of, 0.5, LOT, [TARGET], np.random.default_rng(2))
    moved = cases.quality.copy()
    moved[57] = 1 - moved[57]
    before, after = (
        models(replace(cases, quality=q)).quality.mean for q in (cases.quality, moved)
    )
    own = of[cases.log.row] == of[57]
    np.testing.assert_array_equal(before[own], after[own])
    assert not np.allclose(before, after, rtol=1e-9)


@pytest.mark.parametrize("uneven", [False, True])
def test_coverage_where_requests_are_alike(uneven):
    """150 logs of 50 conversations: 93 % hold the truth, and fewer that do not know of them."""
    true = dict(zip(("quality", "cost"), truth(synthetic, TARGET), strict=True))
    held = dict.fromkeys(((of, aware) for of in true for aware in (True, False)), 0)
    for seed in range(150):
        chance = np.random.default_rng([seed, uneven])
        of = np.repeat(np.arange(50), sizes_of(50, chance, uneven=uneven))
        cases = cases_of(of, 0.9, LOT, [TARGET], chance)
        for aware, each in ((True, cases), (False, unaware(cases))):
            for name, part in parts(each, models(each), each.targets[0]).items():
                low, high = part.interval("design", 0.95)
                held[name, aware] += low <= true[name] <= high
    assert min(held[of, True] for of in true) >= 0.93 * 150
    assert held["quality", False] <= (0.7 if uneven else 0.87) * 150


def test_few_clusters_are_wider_and_say_so():
    """The same requests in fewer and fewer clusters: wider each time, with a note below 30."""
    ends = []
    for size in (1, 10, 30, 100):
        found = estimate(LOG, OTHER, cluster=lambda r, size=size: int(r.request_id[1:]) // size)
        assert found.clusters == 600 // size
        said = any("few clusters by" in note for note in found.notes)
        assert said == (found.clusters < 30)
        shaky = any("below 10 they may still hold less often" in note for note in found.notes)
        assert shaky == (found.clusters < 10)
        ends.append(intervals.student(0.95, found.clusters - 1))
    assert all(one < other for one, other in pairwise(ends))
    with pytest.raises(ConfigError, match="make 4 clusters by its function, and 5 are the fewest"):
        estimate(LOG, OTHER, cluster=lambda r: int(r.request_id[1:]) % 4)


def test_requests_without_the_tag_stand_for_themselves():
    """They count one by one, and a note says how many they are."""
    some = Traffic(replace(r, tags={} if i % 3 else r.tags) for i, r in enumerate(LOG))
    found = estimate(some, OTHER, cluster="conversation")
    assert found.clusters == 60 + 400
    assert found.notes[-1] == (
        "400 of 600 requests have no value by tag 'conversation': each counts by itself"
    )
    words = gate(some, OTHER, cluster="conversation", value_usd="0.01").notes
    assert sum("400 of 600 requests have no value" in note for note in words) == 1
    by_function = estimate(some, OTHER, cluster=lambda r: r.tags.get("conversation", ""))
    assert (by_function.low, by_function.high) == (found.low, found.high)


@pytest.mark.parametrize(
    ("cluster", "says"),
    [
        (
            "convresation",
            "has a value by tag 'convresation'; tags that they have: conversation, t",
        ),
        ("", "expected the name of a tag, or a function of a request, got ''"),
        (7, "expected the name of a tag"),
        (lambda request: [request.request_id], "to give a text or a number, got a list"),
        (
            lambda request: request.tags["user"],
            "its function raised KeyError on request 'r3000000'; let it give None",
        ),
        (lambda request: 1 / 0, "its function raised ZeroDivisionError on request 'r3000000'"),
        ("team", "600 requests make 1 cluster by tag 'team'"),
    ],
)
def test_what_is_no_cluster_is_refused(cluster, says):
    """A slip in a tag, no tag, what cannot be compared, too few: each says so."""
    for log in (KNOWN, LOG):
        with pytest.raises(ConfigError, match=says):
            estimate(log, OTHER, cluster=cluster)
        with pytest.raises(ConfigError, match=says):
            gate(log, OTHER, cluster=cluster)


def test_few_grades_count_the_clusters_that_have_them():
    """Grades in ten conversations: quality rests on these, cost on all."""
    some = Traffic(r if i < 100 else replace(r, quality=None) for i, r in enumerate(LOG))
    found = estimates(some, OTHER, cluster="conversation", value_usd="0.01")
    assert {of: e.clusters for of, e in found.items()} == {"quality": 10, "cost": 60, "worth": 10}
    assert any("few clusters" in note for note in found["quality"].notes)
    assert not any("few clusters" in note for note in found["cost"].notes)
    two = Traffic(r if i < 20 else replace(r, quality=None) for i, r in enumerate(LOG))
    assert estimate(two, OTHER, cluster="conversation").low == 0.0
    assert estimate(two, OTHER, cluster="conversation").high == 1.0


def test_numbers_of_clusters_do_not_matter():
    """Named otherwise, IPS and SNIPS are the same to the last digits but rounding."""
    of = np.repeat(np.arange(30), 10)
    cases = cases_of(of, 0.5, LOT, [TARGET], np.random.default_rng(3))
    other = Clusters((29 - of) % 30, 30)
    turned = replace(cases, log=replace(cases.log, clusters=other))
    plain = models(cases)
    for method in ("ips", "snips"):
        one, two = (parts(c, plain, c.targets[0], method)["quality"] for c in (cases, turned))
        assert one.interval("design", 0.95) == pytest.approx(two.interval("design", 0.95))
    assert numbered(of + 5).count == 30
