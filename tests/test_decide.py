"""From a request to a plan: who is out and why, and the errors when everyone is."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from classifiers.scores import Quantiles, Score
from policies import cheapest, utility
from policies.types import Decision
from router.budgets import Balance, Budget
from router.catalog import Catalog
from router.decide import decide
from router.errors import (
    BudgetExceededError,
    ContextLengthError,
    NoCandidateError,
    RouterError,
    UnpricedModelError,
)
from router.money import to_pico
from router.places import Places
from router.pricing import ceiling
from router.prompts.blocks import chain_of
from router.prompts.prefix import PrefixIndex
from router.purses import purses_of
from router.services import Services
from router.telemetry import Telemetry
from router.types import Request

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ZERO, TOKENS = Quantiles(0, 0, 0, 0, 0), Quantiles(20, 40, 80, 160, 50)
KNOWN = {"source": "test", "checked": "2026-11-22"}
PRICED = {"deepseek-small": ("1", "2", 5_000), "deepseek-large": ("10", "20", 20_000)}
CATALOG = Catalog.load(
    {
        "host": [{"name": "h", "base_url": "http://localhost:1"}],
        "model": [
            {"name": "deepseek-small", "tools": True, "json_mode": True},
            {"name": "deepseek-large"},
            {"name": "unpriced", "tools": True},
        ],
        "endpoint": [
            {
                "model": name,
                "host": "h",
                "model_id": name,
                "context_tokens": context,
                "max_output_tokens": 2_000,
                "streaming": name != "deepseek-large",
                "options": {"chat": {"refused_fields": ["logprobs"]}}
                if name == "unpriced"
                else {},
            }
            for name, context in [
                *((n, c) for n, (_, _, c) in PRICED.items()),
                ("unpriced", 9_000),
            ]
        ],
        "schedule": [{"name": "noon", "zone": "UTC", "hours": ["12:30-12:45"]}],
        "rate": [
            {"endpoint": f"{n}@h", "input": i, "output": o, **KNOWN}
            for n, (i, o, _) in PRICED.items()
        ],
    }
)
SMALL, LARGE, UNPRICED = "deepseek-small@h", "deepseek-large@h", "unpriced@h"
MINE = Decision(ranking=("x@h",), reason="r", rejected={}, policy="mine")
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"b": 1, "a": 2}}}


class FixedScorer:
    """Small is right half of the time, large nine times in ten; 40 tokens, seldom 80."""

    def score(self, prompt, profiles, *, tenant=""):
        quality = {"deepseek-small": 0.5, "deepseek-large": 0.9, "unpriced": 0.7}
        return {p: Score(quality[p], TOKENS, ZERO, "trained") for p in profiles}


def services(catalog=CATALOG, policy=None, tokens=1000, unfit=None):
    return Services(
        catalog=catalog,
        candidates=lambda models, at: [c for m in models for c in catalog.find(m, at=at)],
        scorer=FixedScorer(),
        read_input=lambda messages, **_: range(tokens),
        count_text=len,
        policy=policy or cheapest(),
        budgets=(),
        places=Places(PrefixIndex()),
        telemetry=Telemetry(),
        unfit=lambda candidate, request: unfit,
        now=lambda: NOW,
        monotonic=lambda: 0.0,
        random=lambda: 0.5,
    )


def request(*models, **columns):
    messages = ({"role": "user", "content": "Which colour has the zebra?"},)
    return Request(id="r", messages=messages, models=models or (SMALL, LARGE), **columns)


def run(made, given=None, budgets=(), balances=None, now=NOW):
    parts = given or services()
    candidates = parts.candidates(made.models, now)
    purses = purses_of(budgets, made, candidates, now)
    if balances:
        purses = purses.filled(balances)
    return decide(made, parts, candidates, purses, now)


@pytest.mark.parametrize(
    ("columns", "out", "why"),
    [
        ({"tools": (TOOL,)}, LARGE, "takes no tools"),
        ({"response_format": {"type": "json_object"}}, LARGE, "has no JSON mode"),
        ({"stream": True}, LARGE, "does not stream"),
    ],
)
def test_an_obstacle_takes_a_candidate_out(columns, out, why):
    """Who cannot serve is out with the reason, and the others are planned."""
    plan = run(request(**columns))
    assert plan.decision.ranking == (SMALL,)
    assert plan.decision.rejected[out] == why
    assert out not in plan.forecasts


def test_a_prompt_longer_than_a_context():
    """The longer window stays; when none holds the prompt, the error is of its own type."""
    plan = run(request(), services(tokens=5_000))
    assert plan.decision.ranking == (LARGE,)
    assert "5,000 tokens, its context 5,000" in plan.decision.rejected[SMALL]
    with pytest.raises(
        ContextLengthError, match=r"20,000 tokens, more than any.*Shorten"
    ) as caught:
        run(request(), services(tokens=20_000))
    assert caught.value.reasons.keys() == {SMALL, LARGE}


def test_an_unpriced_model_under_a_hard_budget():
    """Unknown is not free: a hard budget cannot hold for it; a soft one or none can."""
    with pytest.raises(UnpricedModelError, match=r"overlay.*hard=False") as caught:
        run(request(UNPRICED), budgets=[Budget("1")])
    assert caught.value.reasons.keys() == {UNPRICED}
    for budgets in ([Budget("1", hard=False)], []):
        plan = run(request(UNPRICED), budgets=budgets)
        assert plan.decision.policy == "unpriced"
        assert plan.forecast.cost_ceiling is None


def test_an_unpriced_model_beside_priced_ones():
    """Among models with a price, one without is not chosen, and is told why."""
    plan = run(request(UNPRICED, SMALL))
    assert plan.decision.ranking == (SMALL,)
    assert "price is not known" in plan.decision.rejected[UNPRICED]
    plan = run(request(UNPRICED, SMALL), budgets=[Budget("1")])
    assert "hard budget" in plan.decision.rejected[UNPRICED]


def test_nothing_affordable():
    """The error names the tightest budget, what is left of it, what is needed, and until when."""
    budgets = [Budget("5", "month"), Budget("0.01", "day")]
    balances = [Balance(), Balance(spent=to_pico("0.009"), reserved=to_pico("0.0005"))]
    with pytest.raises(BudgetExceededError) as caught:
        run(request(), budgets=budgets, balances=balances)
    error = caught.value
    assert error.budget == "$0.010000 a day"
    assert (error.limit, error.spent) == (Decimal("0.01"), Decimal("0.009"))
    assert (error.reserved, error.remaining) == (Decimal("0.0005"), Decimal("0.0005"))
    assert error.requested == Decimal("0.00116")  # 1,000 x 1 + 80 x 2 per million, the p90
    assert error.resets_at == datetime(2026, 11, 23, tzinfo=UTC)
    for part in ("$0.000500 left", "needs $0.001160", "2026-11-23 00:00 UTC", SMALL, LARGE):
        assert part in str(error)


def test_an_overspent_budget_has_nothing_left():
    """A balance beyond its limit counts as nothing, not as a negative amount."""
    spent = [Balance(spent=to_pico("2"))]
    with pytest.raises(BudgetExceededError, match=r"\$0\.000000 left") as caught:
        run(request(), budgets=[Budget("1")], balances=spent)
    assert "-$" not in str(caught.value)


def test_a_tight_budget_keeps_the_dear_ones_out():
    """What no longer fits is rejected with the amounts; what fits is chosen."""
    budgets = [Budget("0.003")]
    plan = run(request(), services(policy=utility("1")), budgets=budgets)
    assert plan.decision.ranking == (SMALL,)
    assert "needs $0.011600, the budget has $0.003000 left" in plan.decision.rejected[LARGE]
    free = run(request(), services(policy=utility("1")))
    assert free.decision.chosen == LARGE


def test_max_tokens_under_a_budget():
    """The limit comes from the forecast, or from what the budget can pay, which a note says."""
    wide = run(request(SMALL), budgets=[Budget("1")]).forecast
    assert (wide.max_tokens, wide.notes) == (
        2000,
        ("max_tokens set to 2,000: room for a long answer",),
    )
    tight = run(request(SMALL), budgets=[Budget("0.0012")]).forecast
    assert (tight.max_tokens, tight.notes) == (
        100,
        ("max_tokens set to 100: what the budget can pay",),
    )
    assert tight.cost_ceiling == to_pico("0.0012")


def test_a_soft_budget_limits_nothing():
    """A soft budget neither shortens an answer nor refuses one."""
    plan = run(request(SMALL), budgets=[Budget("0", hard=False)])
    assert plan.forecast.max_tokens == 2_000


def peak_catalog():
    prices = {"off_peak": {"input": "1", "output": "2"}, "peak": {"input": "3", "output": "2"}}
    row = {"endpoint": SMALL, "valid_from": "2026-01-01", "schedule": "noon", **prices, **KNOWN}
    return CATALOG.overlay({"rate": [row]})


@pytest.mark.parametrize(
    ("minute", "timeout", "expected", "ceiled"),
    [
        (0, 600, "1", "1"),  # ends at 12:10, long before
        (25, 600, "1", "3"),  # ends inside the peak
        (35, 300, "3", "3"),
        (40, 600, "3", "3"),  # begins inside
        (50, 600, "1", "1"),
        (0, 7200, "1", "3"),  # off-peak at both ends, peak between
    ],
)
def test_a_call_that_may_meet_the_peak(minute, timeout, expected, ceiled):
    """Forecast at the rates of now, reserved at the dearest that may hold before the timeout."""
    found = run(
        request(SMALL, timeout=timeout),
        services(peak_catalog()),
        now=NOW + timedelta(minutes=minute),
    ).forecast
    assert found.cost == to_pico(expected) // 1000 + 50 * 2 * 10**6
    assert found.cost_ceiling == to_pico(ceiled) // 1000 + 2_000 * 2 * 10**6


def test_a_price_change_may_raise_one_part_and_lower_another():
    """The ceiling takes the dearer input of one row and the dearer output of the other."""
    new = {"endpoint": SMALL, "input": "5", "output": "1", **KNOWN}
    catalog = CATALOG.overlay({"rate": [new | {"valid_from": "2026-11-22T12:05:00Z"}]})
    found = run(request(SMALL), services(catalog)).forecast
    rates = catalog.rates(SMALL, NOW)
    assert found.cost_ceiling == ceiling(1000, 2_000, replace(rates, input=to_pico("5")))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (MINE, "chose ('x@h',)"),
        (replace(MINE, ranking=(SMALL, SMALL)), "each once"),
        (replace(MINE, ranking=(SMALL, "x")), "expected some"),
        (replace(MINE, ranking=(SMALL,), escalation=("x",)), "'mine' escalates to ('x',)"),
        (None, "answered None, expected a Decision"),
        (SMALL, f"answered {SMALL!r}, expected a Decision"),
    ],
)
def test_a_policy_that_answers_nonsense(answer, says):
    """What is not a decision among the candidates is a typed error that shows what came."""
    with pytest.raises(RouterError, match=re.escape(says)):
        run(request(), services(policy=lambda quotes, context: answer))


def test_what_a_policy_is_shown():
    """Quotes carry the forecast's figures; the context carries time, money left and tags."""
    seen = []

    def spy(quotes, context):
        seen.extend([quotes, context])
        return cheapest()(quotes, context)

    tagged = request(tags={"team": "search"})
    budgets = [Budget("1"), Budget("0.5", hard=False), Budget("0.8", scope={"team": "search"})]
    plan = run(tagged, services(policy=spy), budgets=budgets)
    quotes, context = seen
    assert [q.name for q in quotes] == [SMALL, LARGE]
    small = plan.forecasts[SMALL]
    assert (quotes[0].cost, quotes[0].cost_p90) == (small.cost, small.cost_p90)
    assert (quotes[0].cost_ceiling, quotes[0].quality) == (small.cost_ceiling, 0.5)
    assert (context.now, context.tags) == (NOW, {"team": "search"})
    assert context.remaining == to_pico("0.8")


def test_an_unfit_candidate():
    """A candidate that is unfit now is out; when all are, the error says how to go live."""
    with pytest.raises(NoCandidateError, match="DEEPINFRA_API_KEY"):
        run(request(), services(unfit="no recording"))


def test_a_warm_prefix_is_in_the_forecast():
    """What this client sent to the endpoint before is expected in its cache, in whole units."""
    given = services()
    sent = request(SMALL)
    given.places.index.answered(
        SMALL,
        CATALOG.candidate(SMALL, at=NOW).cache,
        chain_of(range(900)),
        NOW - timedelta(minutes=5),
        input_tokens=900,
        cache_read_tokens=0,
    )
    assert run(sent, given).forecast.cache_read_tokens == 896
    assert run(sent).forecast.cache_read_tokens == 0
