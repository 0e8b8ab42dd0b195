"""Policies made of policies: rules, targets, and who comes next."""

from datetime import UTC, datetime

import pytest

from policies import (
    Context,
    Decision,
    Quote,
    cheapest,
    cheapest_adequate,
    constrained,
    explore,
    first_of,
    restrict,
    utility,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANY = Context(now=NOW)
CENT = 10**10


def quote(name, quality, cost, **more):
    return Quote(
        name=name, quality=quality, cost=cost, cost_p90=2 * cost, cost_ceiling=9 * cost, **more
    )


HOME = quote("llama@rack", 0.6, 0, self_hosted=True, region="de", seconds=9.0)
CLOUD = quote("gpt@azure", 0.8, CENT // 10, region="eu", seconds=2.0)
THINKER = quote("r1:thinking@deepseek", 0.95, CENT, thinking=True, seconds=60.0)
THREE = (THINKER, HOME, CLOUD)
NAMES = {q.name for q in THREE}


class TestConstrained:
    @pytest.mark.parametrize(
        ("rules", "ranking"),
        [
            ({}, ("llama@rack", "gpt@azure", "r1:thinking@deepseek")),
            ({"regions": ["eu", "de"]}, ("llama@rack", "gpt@azure")),
            ({"regions": ["eu"]}, ("gpt@azure",)),
            ({"regions": ["us"]}, ()),
            ({"allow": ["*@azure", "r1*"]}, ("gpt@azure", "r1:thinking@deepseek")),
            ({"allow": ["azure"]}, ("gpt@azure",)),
            ({"allow": ["GPT"]}, ("gpt@azure",)),
            ({"deny": ["*:thinking@*"]}, ("llama@rack", "gpt@azure")),
            ({"deny": ["rack", "azure"]}, ("r1:thinking@deepseek",)),
            ({"allow": ["azure"], "deny": ["gpt@*"]}, ()),
        ],
    )
    def test_rules_are_hard(self, rules, ranking):
        """Who breaks a rule is out, with the reason, even if nobody is left."""
        decision = constrained(cheapest(), **rules)(THREE, ANY)
        assert decision.ranking == ranking
        assert decision.rejected.keys() == NAMES - set(ranking[:1])
        assert decision.policy == "constrained(cheapest)"

    def test_rules_say_which(self):
        """The reason of an exclusion names the rule and what it allows."""
        rejected = constrained(cheapest(), regions=["us"])(THREE, ANY).rejected
        assert rejected["gpt@azure"] == "keeps data in eu, allowed: us"
        assert rejected["r1:thinking@deepseek"] == "keeps data nobody says where, allowed: us"
        rejected = constrained(cheapest(), allow=["x*"])(THREE, ANY).rejected
        assert rejected["gpt@azure"] == "its name matches none of the allowed x*"
        rejected = constrained(cheapest(), deny=["gpt"])(THREE, ANY).rejected
        assert rejected["gpt@azure"] == "its name matches one of the denied gpt"

    @pytest.mark.parametrize(
        ("targets", "ranking", "says"),
        [
            ({"max_seconds": 10}, ("llama@rack", "gpt@azure"), "cheapest"),
            ({"max_seconds": 5}, ("gpt@azure",), "cheapest"),
            (
                {"max_seconds": 1},
                ("gpt@azure",),
                "nobody meets the targets, the nearest (2.0 s is above 1 s)",
            ),
            ({"max_cost_usd": "0.001"}, ("llama@rack", "gpt@azure"), "cheapest"),
            ({"max_cost_usd": "0.0005", "max_seconds": 5}, ("llama@rack",), "9.0 s is above 5 s"),
            ({"quality_floors": {"f=pay": 0.7}}, ("gpt@azure", "r1:thinking@deepseek"), "cheap"),
            ({"quality_floors": {"f=pay": 0.7, "team=x": 0.9}}, ("r1:thinking@deepseek",), ""),
            ({"quality_floors": {"f=pay": 0.99}}, ("r1:thinking@deepseek",), "0.95 is below 0.99"),
            ({"quality_floors": {"f=chat": 0.99}}, ("llama@rack", "gpt@azure"), "cheapest"),
        ],
    )
    def test_targets_are_wishes(self, targets, ranking, says):
        """Those on target are kept; when nobody is, the nearest, and the reason says so."""
        tagged = Context(now=NOW, tags={"f": "pay", "team": "x"})
        decision = constrained(cheapest(), **targets)(THREE, tagged)
        assert decision.ranking[: len(ranking)] == ranking
        assert says in decision.reason
        assert decision.rejected.keys() == NAMES - {decision.chosen}

    def test_an_unknown_time_passes(self):
        """Nobody is kept out for a time that is not known."""
        unknown = quote("new@host", 0.1, 0)
        assert constrained(cheapest(), max_seconds=0.1)([unknown, HOME], ANY).chosen == "new@host"

    def test_targets_come_after_rules(self):
        """The nearest to a target is looked for among those that keep the rules."""
        policy = constrained(cheapest(), deny=["azure"], max_seconds=1)
        assert policy(THREE, ANY).chosen == "llama@rack"

    @pytest.mark.parametrize(
        ("parameter", "value"),
        [
            ("regions", "eu"),
            ("allow", [1]),
            ("deny", [""]),
            ("deny", None),
            ("max_seconds", 0),
            ("max_cost_usd", "x"),
            ("quality_floors", {"checkout": 0.5}),
            ("quality_floors", {"=x": 0.5}),
            ("quality_floors", {3: 0.5}),
            ("quality_floors", {"a=b": 2}),
            ("quality_floors", ["a=b"]),
            ("quality_floors", 0.5),
        ],
    )
    def test_bad_parameters(self, parameter, value):
        """A parameter out of range names itself."""
        with pytest.raises(ValueError, match=f"^{parameter}: .*expected .*, got"):
            constrained(cheapest(), **{parameter: value})

    def test_it_is_a_value(self):
        """The order of floors does not matter, and it can be hashed."""
        one = constrained(cheapest(), quality_floors={"a=b": 0.5, "c=d": 1}, regions=["eu"])
        two = constrained(cheapest(), quality_floors={"c=d": 1.0, "a=b": 0.5}, regions=("eu",))
        assert one == two
        assert hash(one) == hash(two)


def at(draw):
    return Context(now=NOW, draw=draw, verifiable=True)


class TestRestrict:
    @pytest.mark.parametrize(
        ("policy", "ranking"),
        [
            (restrict(cheapest()), ("llama@rack", "gpt@azure", "r1:thinking@deepseek")),
            (restrict(cheapest(), "gpt*", "r1*"), ("gpt@azure", "r1:thinking@deepseek")),
            (restrict(cheapest(), "deepseek"), ("r1:thinking@deepseek",)),
            (restrict(cheapest(), self_hosted=True), ("llama@rack",)),
            (restrict(cheapest(), self_hosted=False), ("gpt@azure", "r1:thinking@deepseek")),
            (restrict(cheapest(), thinking=True), ("r1:thinking@deepseek",)),
            (restrict(cheapest(), thinking=False), ("llama@rack", "gpt@azure")),
            (restrict(cheapest(), min_quality=0.7), ("gpt@azure", "r1:thinking@deepseek")),
            (restrict(cheapest(), "rack", thinking=True), ()),
        ],
        ids=str,
    )
    def test_only_who_fits(self, policy, ranking):
        """The others are out, with a reason; nobody is chosen when nobody fits."""
        decision = policy(THREE, ANY)
        assert decision.ranking == ranking
        assert decision.rejected.keys() == NAMES - set(ranking[:1])
        assert decision.policy == str(policy)

    @pytest.mark.parametrize(
        ("policy", "name", "why"),
        [
            (restrict(cheapest(), "x"), "gpt@azure", "its name matches none of x"),
            (restrict(cheapest(), self_hosted=True), "gpt@azure", "not self-hosted"),
            (restrict(cheapest(), self_hosted=False), "llama@rack", "self-hosted"),
            (restrict(cheapest(), thinking=True), "gpt@azure", "not a thinking candidate"),
            (
                restrict(cheapest(), thinking=False),
                "r1:thinking@deepseek",
                "a thinking candidate",
            ),
            (restrict(cheapest(), min_quality=0.7), "llama@rack", "P(correct) 0.60 is below 0.7"),
        ],
    )
    def test_reasons(self, policy, name, why):
        """The reason names the term that a candidate does not fit."""
        assert policy(THREE, ANY).rejected[name] == why

    def test_text(self):
        """Its text can be read, its repr evaluated."""
        policy = restrict(cheapest(), "a*", self_hosted=True, min_quality=0.5)
        assert str(policy) == "restrict(cheapest, 'a*', self_hosted=True, min_quality=0.5)"
        assert repr(policy) == "restrict(cheapest(), 'a*', self_hosted=True, min_quality=0.5)"

    @pytest.mark.parametrize(
        ("make", "says"),
        [
            (lambda: restrict("x"), "policy"),
            (lambda: restrict(cheapest(), 3), "patterns"),
            (lambda: restrict(cheapest(), self_hosted=1), "self_hosted"),
            (lambda: restrict(cheapest(), thinking="no"), "thinking"),
            (lambda: restrict(cheapest(), min_quality=2), "min_quality"),
        ],
    )
    def test_bad_parameters(self, make, says):
        """A parameter out of range names itself."""
        with pytest.raises(ValueError, match=f"^{says}: expected .*, got"):
            make()


class TestFirstOf:
    def test_the_first_that_allows_anybody(self):
        """Its choice holds; whom it kept out stays a fallback in the order of the next."""
        policy = first_of(restrict(cheapest(), self_hosted=True), utility("1"))
        decision = policy(THREE, ANY)
        assert decision.ranking == ("llama@rack", "r1:thinking@deepseek", "gpt@azure")
        assert decision.reason == "cheapest: $0.000000"
        assert decision.rejected == {
            "r1:thinking@deepseek": "not self-hosted",
            "gpt@azure": "not self-hosted",
        }
        assert decision.policy == str(policy)

    def test_the_next_when_the_first_allows_nobody(self):
        """The reason tells of who was passed over; the one chosen then is not rejected."""
        policy = first_of(restrict(cheapest(), self_hosted=True), utility("1"))
        decision = policy((CLOUD, THINKER), ANY)
        assert decision.chosen == "r1:thinking@deepseek"
        assert decision.reason.startswith(
            "restrict(cheapest, self_hosted=True): no candidate fits"
        )
        assert decision.reason.endswith("the most for the money")
        assert decision.rejected == {"gpt@azure": "saves $0.009000 but P(correct) is 0.15 lower"}

    def test_nobody_at_all(self):
        """When no policy allows anybody, the reasons of all are told."""
        policy = first_of(restrict(cheapest(), "x"), constrained(cheapest(), regions=["us"]))
        decision = policy((CLOUD,), ANY)
        assert decision.ranking == ()
        assert decision.rejected == {
            "gpt@azure": "its name matches none of x; keeps data in eu, allowed: us"
        }
        assert "no candidate fits; constrained(cheapest): no candidate keeps" in decision.reason

    def test_what_belongs_to_the_first_is_kept(self):
        """Escalation and chances are those of the policy that decides."""
        policy = first_of(explore(cheapest_adequate(0.7), 0.5), cheapest())
        assert policy(THREE, at(0.9)).propensity == pytest.approx(0.5 + 0.5 / 3)

    def test_functions_of_ones_own(self):
        """Any callable will do, and lends its name to the text."""

        def mine(quotes, context):
            return Decision(ranking=(quotes[0].name,), reason="mine", rejected={}, policy="my own")

        policy = first_of(restrict(mine, "azure"), cheapest())
        assert str(policy) == "first_of(restrict(mine, 'azure'), cheapest)"
        assert repr(policy).startswith("first_of(restrict(<function")
        assert policy(THREE, ANY).chosen == "gpt@azure"

    def test_bad_parameters(self):
        """There must be policies, and nothing else."""
        with pytest.raises(ValueError, match=r"^policies: expected one or more, got none"):
            first_of()
        with pytest.raises(ValueError, match=r"^policies: expected a policy .*, got 'x'"):
            first_of(cheapest(), "x")
