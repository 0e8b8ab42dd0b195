"""What PromQL adds up is what the ledger has.

Prometheus counts in float64, the ledger in whole pico-dollars. Each amount is rounded once when it
becomes a float, and once more with each sum: n calls are off by at most about n x 1.1e-16 of the
total. 1e-9 is what a million calls stay below by far; tokens and calls are exact up to 2**53.
"""

from decimal import Decimal

import pytest
from scraping import ended, expected_names, summed

from router.telemetry.names import WIDELY

REL = 1e-9
BUDGET = "centroute_budget"
PICO = 10**12


def usd(total):
    return {key: float(Decimal(value) / PICO) for key, value in total.items()}


def approx(expected):
    return pytest.approx(expected, rel=REL, abs=0)


@pytest.fixture(scope="module")
def calls(app, prometheus):
    """The attempts in the ledger: all but answers out of the cache."""
    return [entry for entry in ended(app.entries()) if entry.outcome != "cached"]


@pytest.fixture(scope="module")
def priced(calls):
    """The attempts that were charged, at a known price."""
    return [entry for entry in calls if entry.kind == "settle" and entry.rates_id]


def candidate(entry):
    return entry.record.candidate


def tag(name):
    return lambda entry: entry.record.tags[name]


def source(entry):
    return "estimated" if entry.estimated else "computed"


BY = {
    "candidate": ("centroute_candidate", candidate),
    "policy": ("centroute_policy", lambda entry: entry.record.policy),
    "team": ("centroute_tag_team", tag("team")),
    "tenant": ("centroute_tag_tenant", tag("tenant")),
    "source": ("centroute_cost_source", source),
}


def test_the_traffic_has_all_kinds(app, calls, priced):
    """Otherwise the comparisons below would prove little."""
    assert len({candidate(entry) for entry in priced}) >= 5
    assert {source(entry) for entry in priced} == {"computed", "estimated"}
    assert {entry.outcome for entry in calls} >= {"ok", "closed", "http_503", "http_429"}
    assert {entry.outcome for entry in app.entries()} > {entry.outcome for entry in calls}
    assert any(not entry.rates_id and entry.usage.output_tokens for entry in calls)
    assert app.told["refused"] == 10
    assert {entry.kind for entry in app.entries()} == {"settle", "release", "expire", "correct"}


@pytest.mark.parametrize("by", [(), *[(each,) for each in BY], ("candidate", "team", "source")])
def test_spend(prometheus, priced, by):
    """To the dollar and to nine digits, however it is broken down."""
    labels, keys = [BY[each][0] for each in by], [BY[each][1] for each in by]
    grouped = f"sum by ({', '.join(labels)})" if labels else "sum"
    found = prometheus.by(f"{grouped} (centroute_spend_USD_total)", *labels)
    expected = usd(summed(priced, lambda entry: entry.cost, *keys))
    assert found == (approx(expected) if labels else approx(expected[()]))


@pytest.mark.parametrize("by", [(), ("candidate",), ("team", "policy")])
def test_the_ledgers_total(app, prometheus, by):
    """With the lines that came late: calls that were lost, and those of which the truth came."""
    labels, keys = [BY[each][0] for each in by], [BY[each][1] for each in by]
    grouped = f"sum by ({', '.join(labels)})"

    def total(name):
        return f"({grouped} (centroute_{name}_USD_total))"

    every = f"({grouped} (centroute_attempts_total or centroute_spend_expired_USD_total))"
    found = prometheus.by(
        f"({total('spend')} or 0 * {every}) + ({total('spend_expired')} or 0 * {every}) "
        f"- ({total('spend_corrected')} or 0 * {every}) != 0",
        *labels,
    )
    expected = usd(summed(app.entries(), lambda entry: entry.cost, *keys))
    assert found == (approx(expected) if labels else approx(expected[()]))
    late = prometheus.by("sum(centroute_spend_expired_USD_total)")
    assert late > prometheus.by("sum(centroute_spend_corrected_USD_total)") > 0


def test_a_store_that_failed(app, prometheus):
    """Requests that no limit held for, and what was in no ledger until it answered again."""
    labels = "centroute_ledger_operation", "centroute_ledger_action"
    found = prometheus.by("centroute_ledger_failures_total > 0", *labels)
    assert found["reserve", "admitted"] == 4
    assert set(found) <= {("reserve", "admitted"), ("balances", "remembered")}
    assert prometheus.by("max_over_time(centroute_ledger_unposted_calls[3m])") == 2
    assert prometheus.by("max_over_time(centroute_ledger_unposted_cost_USD[3m])") > 0
    assert prometheus.by("centroute_ledger_unposted_calls") == 0
    assert prometheus.by("centroute_ledger_unposted_cost_USD") == 0


def test_forecast_and_reservation(prometheus, priced):
    """Beside what was spent: what was forecast, and what budgets held, for the same calls."""
    budgeted = [entry for entry in priced if entry.record.host != "gpus"]  # that has no budget
    assert len(budgeted) < len(priced)
    for name, of, value in (
        ("forecast_cost", priced, lambda entry: entry.record.forecast_cost),
        ("reservation_cost", budgeted, lambda entry: entry.reserved),
    ):
        found = prometheus.by(
            f"sum by (centroute_candidate) (centroute_{name}_USD_total)", "centroute_candidate"
        )
        assert found == approx(usd(summed(of, value, candidate))), name
    counted = prometheus.by("sum(centroute_forecast_error_count)")
    assert counted == sum(1 for entry in priced if entry.record.forecast_cost)


def test_cost_as_proposed(prometheus, priced):
    """The histogram of PR #443 has the same sum and the same number of calls."""
    assert prometheus.by("sum(gen_ai_client_operation_cost_USD_sum)") == approx(
        usd(summed(priced, lambda entry: entry.cost))[()]
    )
    assert prometheus.by("sum(gen_ai_client_operation_cost_USD_count)") == len(priced)


def test_tokens(prometheus, calls):
    """By kind and team, exactly; also those of answers without a price."""
    found = prometheus.by(
        "sum by (gen_ai_token_type, centroute_tag_team) (centroute_tokens_total) > 0",
        "gen_ai_token_type",
        "centroute_tag_team",
    )
    kinds = ("input", "cache_read", "cache_write", "output", "reasoning")
    expected = {
        (kind, *team): total
        for kind in kinds
        for team, total in summed(
            calls, lambda entry, kind=kind: getattr(entry.usage, f"{kind}_tokens"), tag("team")
        ).items()
    }
    assert found == expected
    assert {kind for kind, _ in found} == {"input", "cache_read", "output", "reasoning"}


def test_the_older_histogram_of_tokens(prometheus, calls):
    """`gen_ai.client.token.usage`, which existing dashboards know, has the same sums."""
    found = prometheus.by(
        "sum by (gen_ai_token_type) (gen_ai_client_token_usage_sum)", "gen_ai_token_type"
    )
    assert found == {
        (kind,): sum(getattr(entry.usage, f"{kind}_tokens") for entry in calls)
        for kind in ("input", "output")
    }


def test_attempts(prometheus, calls):
    """Each call to a host, by how it ended; no label is a good end."""
    found = prometheus.by(
        "sum by (centroute_candidate, error_type) (centroute_attempts_total)",
        "centroute_candidate",
        "error_type",
    )

    def outcome(entry):
        return "" if entry.outcome == "ok" else entry.outcome

    assert found == summed(calls, lambda _: 1, candidate, outcome)
    durations = prometheus.by("sum(gen_ai_client_operation_duration_seconds_count)")
    assert durations == len(calls)


def test_refusals(app, prometheus):
    """What no ledger has: requests that nothing was sent for."""
    found = prometheus.by("sum by (error_type) (centroute_refusals_total)", "error_type")
    assert found == {("BudgetExceededError",): 8, ("NoCandidateError",): 2}
    assert sum(found.values()) == app.told["refused"]
    budgets = prometheus.by("sum by (centroute_budget) (centroute_refusals_total)", BUDGET)
    assert budgets == {("request",): 6, ("closed",): 2, ("",): 2}
    joined = prometheus.by(
        f"sum by ({BUDGET}, centroute_budget_unit) (centroute_refusals_total) "
        "* on (centroute_budget, centroute_budget_unit) centroute_budget_limit",
        BUDGET,
    )
    assert joined == approx({("closed",): 2e-6})


def test_savings(app, prometheus):
    """What answers out of the cache had cost, by whom it was saved for."""
    cached = [entry for entry in app.entries() if entry.outcome == "cached"]
    found = prometheus.by(
        "sum by (centroute_tag_team) (centroute_saved_USD_total)", "centroute_tag_team"
    )
    assert found == approx(usd(summed(cached, lambda entry: entry.saved, tag("team"))))
    assert len(cached) == 4


def test_budgets(app, prometheus):
    """Limit, spent, set aside and left of each budget, as the client itself says."""
    labels = ("centroute_budget", "centroute_budget_unit")
    for i, name in enumerate(("limit", "spent", "reserved", "remaining"), start=2):
        found = prometheus.by(f"centroute_budget_{name}", *labels)
        expected = {shown(row): float(row[i]) for row in app.told["budgets"]}
        assert found == approx(expected), name
    assert len(found) == 8
    days = prometheus.by("centroute_budget_window_seconds / 86400", *labels)
    assert set(days) == set(found)
    months = {("the month", "usd"), ("twice (month)", "usd")}
    assert {days[key] for key in set(found) - months} == {1}
    for key in months:
        assert 28 <= days[key] <= 31.05, "an hour more or less where the clock changes"


def shown(row):
    """How a budget is labelled: one of two that have one name says its window."""
    name, unit, limit = row[:3]
    if name == "twice":
        name = {"6": "twice (day)", "60": "twice (month)"}[limit.split(".")[0]]
    return name, unit


def test_rules_and_panels_join_budgets(prometheus):
    """What divides spend by limit finds each account once, those of one name as well."""
    for joined in (
        "centroute_budget_spent / centroute_budget_limit",
        "centroute_budget_remaining / (centroute_budget_limit > 0)",
        "centroute:budget_used:share5m / centroute:budget_window:seconds",
    ):
        found = [row["centroute_budget"] for row, _ in prometheus.query(joined)]
        assert {"twice (day)", "twice (month)", "search"} <= set(found), joined
        assert len(found) == 8, joined


def test_replicas_and_fleets(app, prometheus):
    """One's own servers: who is up, and what a token costs at the present load."""
    assert prometheus.by("centroute_pool_replicas_up", "centroute_host") == {("vllm",): 2}
    states = prometheus.by(
        "centroute_pool_replica_state == 1", "centroute_replica", "centroute_pool_state"
    )
    assert set(states) == {tuple(row) for row in app.told["replicas"]}
    # What replicas say of themselves is shown while it is fresh: calls are made, and they asked.
    assert prometheus.by("max(max_over_time(centroute_pool_kv_usage[1h]))") == 0.25
    assert 0 < prometheus.by("centroute_selfhost_utilisation") <= 1
    assert prometheus.by("count(centroute_selfhost_usd_per_million_tokens_USD)") >= 3


def test_names(prometheus):
    """Prometheus has the metrics under the names that `centroute telemetry names` shows."""
    assert prometheus.names() == expected_names(WIDELY)


def test_labels(prometheus):
    """No tag but those asked for, no request, no prompt: few labels, and few values of each."""
    rows = prometheus.query('{__name__=~"centroute_.*|gen_ai_.*"}')
    labels = {label for row, _ in rows for label in row}
    assert {label for label in labels if label.startswith("centroute_tag_")} == {
        "centroute_tag_team",
        "centroute_tag_tenant",
    }
    assert not {label for label in labels if "request_id" in label or "user" in label}
    assert all(row["otel_scope_name"] == "centroute" for row, _ in rows)
    assert "own 0" not in str(rows)
