"""The ladder: what is on when, how rungs add up, and how it is written down."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from policies import (
    Context,
    Decision,
    Purse,
    Quote,
    cheapest,
    explore,
    from_spec,
    ladder,
    load_policy,
    restrict,
    utility,
)

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
NOON = MONDAY + timedelta(hours=12)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
CENT = 10**10
HALF = {"limit": 100 * CENT, "starts": MONDAY, "ends": MONDAY + DAY}


def quote(name, quality, cost, **more):
    return Quote(
        name=name, quality=quality, cost=cost, cost_p90=2 * cost, cost_ceiling=9 * cost, **more
    )


HOME = quote("home@rack", 0.5, CENT // 100, self_hosted=True)
SMALL = quote("small@cloud", 0.8, CENT // 10)
LARGE = quote("large@cloud", 0.99, CENT, output_tokens_p50=500.0, output_tokens_p90=2000.0)
THREE = (LARGE, HOME, SMALL)


def at(left, **more):
    """At noon of a day's budget of a dollar of which `left` times half a dollar is there."""
    taken = 100 * CENT - round(left * 50 * CENT)
    purse = Purse(taken=taken, **HALF)
    given = {"now": NOON, "remaining": purse.remaining, "purses": (purse,), "verifiable": True}
    return Context(**given | more)


def only(do, policy=None, **parameters):
    return ladder(policy or utility("0.1"), [{"do": do, **parameters}])


class TestWhatIsLeft:
    @pytest.mark.parametrize(
        ("purse", "left"),
        [
            (Purse(taken=0, **HALF), 2.0),
            (Purse(taken=50 * CENT, **HALF), 1.0),
            (Purse(taken=75 * CENT, **HALF), 0.5),
            (Purse(taken=900 * CENT, **HALF), 0.0),
            (Purse(limit=0, taken=0, starts=MONDAY, ends=MONDAY + DAY), 0.0),
            (Purse(limit=100, taken=80), 1.0),
            (Purse(limit=100, taken=90), 0.5),
            (Purse(limit=0, taken=0), 0.0),
            (Purse(limit=9, taken=1, starts=MONDAY - DAY, ends=MONDAY), math.inf),
            (Purse(limit=9, taken=9, starts=MONDAY - DAY, ends=MONDAY), 0.0),
        ],
    )
    def test_money_over_what_the_window_needs(self, purse, left):
        """The share of the money over the share of the window; of a fifth for an endless one."""
        assert ladder(cheapest()).left(purse, Context(now=NOON)) == pytest.approx(left)

    def test_a_profile_says_when_requests_come(self):
        """Where all requests come before noon nothing is needed after it, and a morning more."""
        profile = (1.0,) * 12 + (0.0,) * 12
        policy = ladder(cheapest(), profile=profile)
        purse = Purse(taken=50 * CENT, **HALF)
        assert policy.left(purse, Context(now=NOON)) == math.inf
        assert policy.left(purse, Context(now=MONDAY + 6 * HOUR)) == pytest.approx(1.0)

    def test_the_tightest_purse_counts(self):
        """A loose budget beside a tight one loosens nothing."""
        tight, loose = at(0.4).purses[0], Purse(limit=10**15, taken=0)
        policy = only("cheaper", below=0.5)
        for purses in ((tight, loose), (loose, tight)):
            decision = policy(THREE, Context(now=NOON, remaining=CENT, purses=purses))
            assert decision.steps[0].startswith("cheaper: 0.40 of what the window needs is left")


class TestTogether:
    def test_rungs_add_up_in_their_order(self):
        """Each works on what the one before it left; each has its line."""
        home = replace(HOME, output_tokens_p50=900.0, output_tokens_p90=1000.0)
        rungs = [{"do": "cheaper"}, {"do": "shorter"}, {"do": "self_hosted"}, {"do": "defer"}]
        decision = ladder(utility("0.1"), rungs)(
            [LARGE, home, SMALL], at(0.3, patience=DAY.total_seconds())
        )
        assert [step.partition(":")[0] for step in decision.steps] == ["cheaper", "defer"]
        assert decision.chosen == "home@rack"
        assert decision.defer_until == MONDAY + DAY

    def test_a_policy_that_allows_nobody_is_left_alone(self):
        """There is nothing to be done for it."""
        decision = ladder(restrict(cheapest(), "nobody"))(THREE, at(0.1))
        assert decision.ranking == ()
        assert decision.steps == ()

    def test_a_policy_that_is_content_with_all_or_none(self):
        """If it allows nobody among the cheap, the rung is passed over."""

        def choosy(quotes, context):
            names = tuple(q.name for q in quotes)
            ranking = names if len(names) == 3 else ()
            return Decision(ranking=ranking, reason="all", rejected={}, policy="choosy")

        decision = ladder(choosy, [{"do": "cheaper", "below": 1}])(THREE, at(0.1))
        assert decision.ranking == ("large@cloud", "home@rack", "small@cloud")
        assert decision.steps == ()
        assert decision.policy == "ladder(choosy)"

    def test_chances_stay_exact(self):
        """A candidate that had a chance keeps its place in the ranking."""
        long = quote("thinker@cloud", 0.99, CENT, output_tokens_p50=9e3, output_tokens_p90=2e4)
        policy = ladder(explore(utility("0.1"), 0.5), [{"do": "shorter"}])
        decision = policy([LARGE, long], at(0.4, draw=0.9))
        assert set(decision.propensities) == set(decision.ranking)


@pytest.mark.parametrize(
    ("rungs", "says"),
    [
        ("cheaper", "rungs: expected a sequence of mappings .*, got 'cheaper'"),
        ({"do": "cheaper"}, "rungs: expected a sequence of mappings"),
        (None, "rungs: expected a sequence of mappings .*, got None"),
        ([], "rungs: expected a sequence of mappings .*, got none"),
        (["cheaper"], r"rungs\[0\]: expected a mapping with 'do', got 'cheaper'"),
        ([{}], r"rungs\[0\]\.do: expected one of cheaper, shorter, .*; got None"),
        ([{"do": "pray"}], r"rungs\[0\]\.do: expected one of .*; got 'pray'"),
        (
            [{"do": "refuse"}, {"do": "refuse", "below": 0.5}],
            r"rungs\[1\]\.do: expected each once, got 'refuse' again",
        ),
        (
            [{"do": "defer", "least": 1}],
            r"rungs\[0\]\.least: defer has no such parameter; expected below, hours,",
        ),
        *(
            ([{"do": do, key: value}], rf"rungs\[0\]\.{key}: expected .*, got")
            for do, key, value in [
                ("cheaper", "below", 0),
                ("cheaper", "below", 1.01),
                ("cheaper", "below", "0.5"),
                ("cheaper", "strength", 0),
                ("cheaper", "value_usd", "x"),
                ("shorter", "quantile", 0.4),
                ("shorter", "quantile", 1),
                ("shorter", "least", 0),
                ("shorter", "least", 1.5),
                ("self_hosted", "below", math.nan),
                ("defer", "hours", 0),
                ("defer", "saving", 2),
                ("defer", "impatient", -1),
                ("refuse", "share", True),
            ]
        ),
    ],
)
def test_bad_rungs(rungs, says):
    """The message says which rung, what was expected, and what came."""
    with pytest.raises(ValueError, match=f"^{says}"):
        ladder(cheapest(), rungs)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"policy": "cheapest"}, "policy"),
        ({"policy": cheapest(), "endless": 0}, "endless"),
        ({"policy": cheapest(), "profile": (1.0,)}, "profile"),
        ({"policy": cheapest(), "profile": (0.0,) * 24}, "profile"),
    ],
)
def test_bad_parameters(parameters, says):
    """A parameter out of range names itself."""
    with pytest.raises(ValueError, match=f"^{says}: expected .*, got"):
        ladder(**parameters)


def test_a_bad_rung_in_a_spec_says_where():
    """Down to the rung inside of the policies around it."""
    spec = {"policy": "ladder", "of": {"policy": "cheapest"}, "rungs": [{"do": "x"}]}
    with pytest.raises(ValueError, match=r"^of\.rungs\[0\]\.do: expected one of cheaper"):
        from_spec({"policy": "sparing", "of": spec})


def test_it_can_be_written_in_a_file(tmp_path):
    """Rungs are tables, in their order; what is left out has its default."""
    path = tmp_path / "mine.toml"
    path.write_text(
        """
        policy = "utility"
        value_usd = "0.02"
        [[wrap]]
        policy = "ladder"
        endless = 0.5
        [[wrap.rungs]]
        do = "defer"
        hours = 6
        [[wrap.rungs]]
        do = "cheaper"
        below = 0.8
        """
    )
    rungs = [{"do": "defer", "hours": 6}, {"do": "cheaper", "below": 0.8}]
    assert load_policy(path) == ladder(utility("0.02"), rungs, endless=0.5)
