"""The rungs of the ladder: what each does, and when it does nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from policies import (
    Context,
    Purse,
    Quote,
    cheapest,
    cheapest_adequate,
    constrained,
    ladder,
    sparing,
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


class TestCheaper:
    def test_a_dollar_counts_for_more(self):
        """The dear candidate's gain is not worth it any more; the step says at which price."""
        own = utility("0.1")(THREE, at(1))
        assert own.chosen == "large@cloud"
        decision = only("cheaper", below=1, strength=2)(THREE, at(0.5))
        assert decision.chosen == "small@cloud"
        assert decision.ranking == ("small@cloud", "home@rack")
        (step,) = decision.steps
        assert step == (
            "cheaper: 0.50 of what the window needs is left, a dollar counts as 4.00: nobody "
            "above $0.001000"
        )
        assert decision.reason.startswith(f"{step}; P(correct) 0.80")
        assert decision.rejected["large@cloud"] == "above $0.001000, and money is tight"

    def test_there_is_no_jump_at_the_threshold(self):
        """Just below it a dollar counts as one, and the choice is the policy's own."""
        decision = only("cheaper", below=0.9)(THREE, at(0.8999))
        assert decision.chosen == "large@cloud"
        assert decision.steps == ()

    def test_with_nothing_left_the_cheapest_stays(self):
        """Even if a right answer is worth a hundred dollars."""
        assert only("cheaper", value_usd=100)(THREE, at(0)).chosen == "home@rack"

    @pytest.mark.parametrize(
        ("policy", "parameters", "chosen"),
        [
            (utility("0.1"), {}, "large@cloud"),
            (sparing(constrained(utility("0.1")), 1), {}, "large@cloud"),
            (cheapest_adequate(0.9), {}, "small@cloud"),  # nobody says: a cent
            (cheapest_adequate(0.9), {"value_usd": "0.1"}, "large@cloud"),
            (utility("0.1"), {"value_usd": "0.01"}, "small@cloud"),
        ],
    )
    def test_what_an_answer_is_worth(self, policy, parameters, chosen):
        """The rung's own value, else that of the policy on the ladder, else a cent."""
        ladder_ = only("cheaper", policy, below=1, strength=1, **parameters)
        assert ladder_(THREE, at(0.8)).chosen == chosen

    def test_rules_hold_on_every_rung(self):
        """Whom the policy keeps out is not let in for being cheap."""
        ruled = constrained(utility("0.1"), deny=["rack"], quality_floors={"team=x": 0.9})
        decision = ladder(ruled)(THREE, at(0.3, tags={"team": "x"}))
        assert decision.ranking == ("large@cloud",)
        assert "rack" in decision.rejected["home@rack"]


class TestShorter:
    @pytest.mark.parametrize(
        ("quantile", "least", "cap"),
        [(0.5, 1, 500), (0.9, 1, 2000), (0.5, 800, 800), (0.95, 256, 2963)],
    )
    def test_the_cap_is_a_quantile_of_the_length(self, quantile, least, cap):
        """p50 and p90 as forecast, others log-normal through them; never below `least`."""
        policy = only("shorter", quantile=quantile, least=least)
        decision = policy([LARGE], at(0.4))
        assert decision.max_tokens == cap
        assert decision.steps[0].endswith(f"the answer ends at {cap:,} tokens")

    def test_it_only_ever_shortens(self):
        """An answer that would be cut there anyway, or of unknown length, is left alone."""
        policy = only("shorter", quantile=0.9)
        for told in (
            replace(LARGE, max_tokens=2000),
            replace(LARGE, output_tokens_p50=0.0),
            replace(LARGE, output_tokens_p50=0.0, output_tokens_p90=0.0),
        ):
            decision = policy([told], at(0.4))
            assert (decision.max_tokens, decision.steps) == (None, ())
        assert policy([replace(LARGE, max_tokens=2001)], at(0.4)).max_tokens == 2000

    def test_a_shorter_cap_of_the_policy_stays(self):
        """Two ladders, one in the other: the shorter cap holds, the steps of both are told."""
        inner = only("shorter", quantile=0.5)
        decision = ladder(inner, [{"do": "shorter", "quantile": 0.9}])([LARGE], at(0.4))
        assert decision.max_tokens == 500
        assert len(decision.steps) == 1

    def test_fallbacks_that_do_not_fit_are_out(self):
        """An answer cut before its middle is money for nothing."""
        long = quote("thinker@cloud", 0.99, CENT + 1, output_tokens_p50=9e3, output_tokens_p90=2e4)
        decision = only("shorter", quantile=0.9)([LARGE, long, SMALL], at(0.4))
        assert decision.ranking == ("large@cloud", "small@cloud")
        assert (
            decision.rejected["thinker@cloud"] == "its usual answer does not fit in 2,000 tokens"
        )

    def test_it_is_the_last_choice_that_is_cut(self):
        """A rung after it that changes the choice changes the cap, too."""
        home = replace(HOME, output_tokens_p50=900.0, output_tokens_p90=1000.0)
        rungs = [{"do": "shorter", "quantile": 0.9}, {"do": "self_hosted", "below": 0.5}]
        decision = ladder(utility("0.1"), rungs)([LARGE, home], at(0.4))
        assert (decision.chosen, decision.max_tokens) == ("home@rack", 1000)
        assert [step.partition(":")[0] for step in decision.steps] == ["self_hosted", "shorter"]


class TestSelfHosted:
    def test_ones_own_machines_only(self):
        """The others are out, with a reason."""
        decision = only("self_hosted", below=0.5)(THREE, at(0.4))
        assert decision.ranking == ("home@rack",)
        assert decision.steps[0].endswith("one's own machines only")
        assert decision.rejected["small@cloud"] == "not self-hosted, and money is tight"

    @pytest.mark.parametrize(
        "quotes",
        [(LARGE, SMALL), (SMALL, replace(HOME, cost=CENT, quality=0.1)), (HOME,)],
        ids=["none", "dearer than the choice", "nothing else"],
    )
    def test_without_any_that_help_nothing_is_done(self, quotes):
        """No step, and the policy's own choice."""
        decision = only("self_hosted", below=0.5)(quotes, at(0.4))
        assert decision.steps == ()
        assert decision.ranking == utility("0.1")(quotes, at(0.4)).ranking


def falling(quoted, hours, cost):
    return replace(quoted, cheaper_at=NOON + hours * HOUR, cheaper_cost=cost)


class TestDefer:
    @pytest.mark.parametrize(
        ("quotes", "patience", "parameters", "hours"),
        [
            ([falling(LARGE, 3, CENT // 2)], 3, {}, 3),
            ([falling(LARGE, 3, CENT // 2)], 2.9, {}, None),
            ([falling(LARGE, 3, CENT // 2)], 0, {"impatient": 0.5}, 3),
            ([falling(LARGE, 3, CENT * 9 // 10)], 9, {}, None),
            ([falling(LARGE, 3, CENT * 9 // 10)], 9, {"saving": 0.1}, 3),
            ([falling(LARGE, 3, CENT // 2)], 9, {"hours": 2}, None),
            ([LARGE], 12, {}, 12),
            ([LARGE], 11, {}, None),
            ([LARGE], 24, {"hours": 6}, None),
            ([falling(LARGE, 13, CENT // 2)], 24, {}, 12),
            ([LARGE, falling(SMALL, 3, CENT // 99)], 11, {}, None),  # not as sure to be right
            ([replace(LARGE, cost=0)], 24, {}, 12),
        ],
    )
    def test_until_the_price_falls_or_the_budget_is_renewed(
        self, quotes, patience, parameters, hours
    ):
        """The first of both, if it saves enough and the caller waits, or money is nearly gone."""
        policy = only("defer", below=0.5, **parameters)
        decision = policy(quotes, at(0.4, patience=patience * 3600))
        until = None if hours is None else NOON + hours * HOUR
        assert decision.defer_until == until
        assert len(decision.steps) == (hours is not None)
        assert decision.ranking == utility("0.1")(quotes, at(0.4)).ranking

    def test_the_step_says_until_when_and_why(self):
        """In words, with the price to come."""
        decision = only("defer")([falling(LARGE, 3, CENT // 2)], at(0.4, patience=1e5))
        (step,) = decision.steps
        assert step == (
            "defer: 0.40 of what the window needs is left, not before 2026-11-23 15:00:00 UTC, "
            "when large@cloud costs $0.005000"
        )
        assert "renewed" in only("defer")([LARGE], at(0.4, patience=1e5)).steps[0]

    def test_a_better_one_that_becomes_as_cheap_is_waited_for(self):
        """Not only the choice's own price counts."""
        quotes = [SMALL, falling(LARGE, 2, CENT // 20)]
        decision = only("defer", utility("0.001"))(quotes, at(0.4, patience=1e5))
        assert (decision.chosen, decision.defer_until) == ("small@cloud", NOON + 2 * HOUR)

    def test_an_endless_budget_is_not_renewed(self):
        """There is nothing to wait for but a price."""
        purse = Purse(limit=100, taken=99)
        context = Context(now=NOON, remaining=1, purses=(purse,), patience=1e9)
        assert only("defer")([LARGE], context).defer_until is None
        assert only("defer")([falling(LARGE, 1, 1)], context).defer_until == NOON + HOUR

    def test_nothing_comes_after_it(self):
        """What is sent later is decided then."""
        quotes = [falling(LARGE, 3, CENT // 2)]
        rungs = [{"do": "defer"}, {"do": "shorter"}, {"do": "refuse", "below": 1}]
        decision = ladder(utility("0.1"), rungs)(quotes, at(0.4, patience=1e5))
        assert decision.ranking
        assert decision.max_tokens is None
        assert len(decision.steps) == 1


class TestRefuse:
    def test_nobody_is_chosen(self):
        """The reason says why, and everyone has one."""
        decision = only("refuse", below=0.5)(THREE, at(0.4))
        assert decision.ranking == ()
        assert decision.rejected.keys() == {q.name for q in THREE}
        assert decision.rejected["large@cloud"] == "refused, for money is tight"
        assert decision.reason.startswith("refuse: 0.40 of what the window needs is left, $0.01")
        assert decision.steps == (decision.reason.partition("; ")[0],)

    def test_what_is_as_good_as_free_goes_on(self):
        """What takes no more than a share of what is left hurts nobody."""
        policy = only("refuse", cheapest(), below=0.5)
        assert policy(THREE, at(0.4)).chosen == "home@rack"
        assert policy([SMALL], at(0.4)).ranking == ()
        assert policy([replace(SMALL, cost=0)], at(0)).chosen == "small@cloud"

    def test_only_hard_budgets_that_are_renewed_refuse(self):
        """A soft one only records; what an endless one keeps back is kept for nobody."""
        policy = only("refuse", below=0.9)
        spent = Purse(taken=100 * CENT, **HALF)
        loose = Purse(limit=900 * CENT, taken=0, starts=MONDAY, ends=MONDAY + DAY)
        dry = replace(spent, hard=False)
        soft = Context(now=NOON, remaining=None, purses=(dry,))
        both = Context(now=NOON, remaining=loose.remaining, purses=(dry, loose))
        endless = Context(now=NOON, remaining=1, purses=(Purse(limit=100, taken=99),))
        for context in (soft, both, endless):
            assert policy(THREE, context).chosen == "large@cloud"
        hard = Context(now=NOON, remaining=0, purses=(spent, loose))
        assert policy(THREE, hard).ranking == ()
