"""What a policy is shown of candidates, budgets and chance, and a policy that allows nobody."""

import statistics
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from learning import ASK, HUGE, LARGE, SMALL, Learning, ask, models, staged

from policies import constrained, utility
from policies.types import Purse
from router import Budget, Catalog, Client, NoCandidateError
from router.decide import draw_of
from router.forecast import spread
from router.money import to_pico
from router.pace import Pace
from router.testing import reply

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_quotes_carry_what_the_scorer_says():
    """P(correct) with its error and draws, what it was before reading, on what it rests."""
    draws = (0.5, 0.7, 0.9)
    made = staged(reply("x"), scorer=Learning({"large": 0.7}, draws=draws))
    plan = made.plan(ASK)
    quote = plan.record.quotes[1]
    assert (quote.name, quote.quality, quote.base_quality) == (LARGE, 0.7, 0.6)
    assert (quote.quality_draws, quote.basis, quote.region) == (draws, "trained", "eu")
    assert quote.quality_se == pytest.approx(statistics.pstdev(draws))
    forecast = plan.forecasts[LARGE]
    assert (forecast.quality_se, forecast.base_quality) == (quote.quality_se, 0.6)
    assert (forecast.graded, forecast.known, forecast.task) == (3, 1.0, "")
    assert spread(()) == spread((0.3,)) == 0.0


def test_purses_are_budgets_with_windows():
    """A cap of one request is none; a soft budget is paced, too, but leaves nothing to spare."""
    budgets = [Budget("1", "day"), Budget("2"), Budget("3", "month", hard=False)]
    made = staged(reply("x"), budgets=budgets)
    ask(made)
    spent = to_pico(made.budgets.status()[0].spent)
    context = made.plan(ASK, budget="0.5").record.context
    day = datetime(2026, 11, 22, tzinfo=UTC)
    assert context.purses == (
        Purse(limit=10**12, taken=spent, starts=day, ends=day + timedelta(days=1)),
        Purse(limit=2 * 10**12, taken=spent),
        Purse(
            limit=3 * 10**12,
            taken=spent,
            starts=datetime(2026, 11, 1, tzinfo=UTC),
            ends=datetime(2026, 12, 1, tzinfo=UTC),
            hard=False,
        ),
    )
    assert context.remaining == 10**12 - spent
    assert staged(reply("x")).plan(ASK, budget="0.5").record.context.purses == ()


def test_the_draw_follows_from_the_request_id():
    """The same for the same id, in [0, 1), and even over ids."""
    draws = [draw_of(f"{i:032x}") for i in range(4000)]
    assert all(0 <= draw < 1 for draw in draws)
    assert statistics.fmean(draws) == pytest.approx(0.5, abs=0.02)
    assert statistics.pstdev(draws) == pytest.approx(12**-0.5, abs=0.01)
    record = staged(reply("x")).plan(ASK).record
    assert record.context.draw == draw_of(record.request_id)


def test_a_policy_that_allows_nobody():
    """An error with the policy's reasons, and those of who was out before; nothing is sent."""
    made = staged(reply("x"), policy=constrained(utility(), regions=("us",)))
    with pytest.raises(NoCandidateError, match=r"constrained.*allows none") as caught:
        ask(made, budget="0.001")
    assert caught.value.reasons.keys() == {SMALL, LARGE, HUGE}
    assert caught.value.reasons[SMALL] == "keeps data in eu, allowed: us"
    assert "the budget has" in caught.value.reasons[HUGE]
    assert (made.calls, list(made.kept.entries())) == ([], [])


def test_regions():
    """The endpoint's own, the host's, or on-prem for one's own machines; nobody is guessed at."""
    rows = models("a", "b")
    rows["endpoint"][1]["region"] = "ch"
    found = {c.name: c.region for c in Catalog.load(rows).candidates(at=NOW)}
    assert found == {"a@h": "eu", "b@h": "ch"}
    rows["host"][0].pop("region")
    rows["host"][0]["self_hosted"] = True
    del rows["endpoint"][1]["region"]
    found = {c.region for c in Catalog.load(rows).candidates(at=NOW)}
    assert found == {"on-prem"}
    shipped = {c.host: c.region for c in Catalog.default().candidates(at=NOW)}
    assert shipped["deepseek"] == "cn"
    assert {shipped["vllm"], shipped["sglang"], shipped["ollama"]} == {"on-prem"}
    assert shipped["deepinfra"] == ""


def test_the_catalogue_has_a_version():
    """Equal for equal rows wherever they stood; another one with an overlay."""
    rows = models("a", "b")
    rows["endpoint"][0]["options"] = {"chat": {"refused_fields": ["x", "y", "z"]}}
    first, again = Catalog.load(rows), Catalog.load(rows)
    assert first.version == again.version
    assert len(first.version) == 12
    assert first.overlay({"host": [{"name": "i"}]}).version != first.version
    rows["rate"][0]["input"] = "1.1"
    assert Catalog.load(rows).version != first.version


def test_thinking_candidates():
    """Asked to think, or of a model that only thinks."""
    plan = Client(ledger=":memory:", scorer=Learning()).plan(
        ASK,
        model=[
            "deepseek-v3.2@deepinfra",
            "deepseek-v3.2:thinking@deepinfra",
            "deepseek-v3.2-speciale@azure",
        ],
    )
    assert [q.thinking for q in plan.record.quotes] == [False, True, True]


def test_seconds_are_learned_from_answers():
    """Nothing is said until a few answers came; then the line through their lengths and times."""
    pace = Pace()
    assert pace.expected("m@h", 100) is None
    for tokens in (100, 200, 300, 400):
        assert pace.expected("m@h", 100) is None
        pace.observe("m@h", tokens, 2.0 + tokens / 50)
    assert pace.expected("m@h", 500) == pytest.approx(12.0)
    assert pace.expected("m@h", 0) == pytest.approx(2.0)
    assert pace.expected("n@h", 100) is None
    for _ in range(200):
        pace.observe("m@h", 100, 1.0)  # it has become faster: the past fades
    assert pace.expected("m@h", 200) == pytest.approx(2.0, rel=0.05)
    for tokens, seconds in ((100, 4.0), (200, 3.0), (300, 2.0), (400, 1.0)):
        pace.observe("odd@h", tokens, seconds)
    assert pace.expected("odd@h", 900) == pytest.approx(pace.expected("odd@h", 0))
    for _ in range(5):
        pace.observe("still@h", 0, 0.0)
    assert pace.expected("still@h", 100) is None


def test_seconds_reach_the_quotes():
    """Of the candidate that answered; of the others nothing is known. Streams do not count."""
    ticks = iter(range(10_000))
    made = staged(reply("x"))
    made._core._services = replace(made._core.services(), monotonic=lambda: float(next(ticks)))
    for _ in range(4):
        with made.chat.completions.create(ASK, stream=True) as stream:
            list(stream)
    assert made.plan(ASK).record.quotes[0].seconds is None
    for _ in range(4):
        ask(made)
    seconds = [q.seconds for q in made.plan(ASK).record.quotes]
    assert seconds[0] > 0
    assert seconds[1:] == [None, None]
