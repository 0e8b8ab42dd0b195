"""Prices that follow the load: when they change, what a call is billed, and bills from ids."""

from datetime import timedelta

import pytest
from catalogs import rate, small, utc
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from router.horizon import billed
from router.selfhost import Load, busy, priced, refreshed
from router.telemetry import Telemetry

START = utc("2026-11-22T12:00")


def catalog(**columns):
    """m@h on one GPU that writes at most 100 tokens a second, at 3.60 USD an hour."""
    row = {
        "endpoint": "m@h",
        "gpus": 1,
        "usd_per_gpu_hour": "3.60",
        "utilisation": 45,
        "curve": [{"output": 100}],
        "source": "measured",
        "checked": "2026-11-22",
    }
    return small(host=[{"name": "h", "self_hosted": True}], fleet=[row | columns])


def at(**span):
    return START + timedelta(**span)


def loaded(*minutes, load=None, since=START):
    """A meter that saw so many output tokens a second, minute by minute."""
    load = load or Load()
    for i, each in enumerate(minutes):
        load.served(
            "m@h",
            since + timedelta(minutes=i),
            input_tokens=0,
            cache_read_tokens=0,
            output_tokens=each * 60,
        )
    return load


def test_nothing_changes_until_a_load_is_known():
    """What the fleet assumes holds for the first minutes."""
    mine = catalog()
    assert refreshed(mine, Load(), START) is None
    assert refreshed(mine, loaded(60, 60), at(minutes=2)) is None
    assert list(busy(mine, Load(), START)) == []


def test_a_new_load_is_a_new_price():
    """60 percent of capacity for ten minutes: 3.60 / 3600 / 100 / 0.6 x 1e6 = 16.67 USD."""
    mine, load = catalog(), loaded(*[60] * 10)
    now = at(minutes=10)
    after = refreshed(mine, load, now)
    rates = after.rates("m@h", now)
    assert rates.id == "m@h/1970-01-01#amortised@60%"
    assert rates.output == 16_670_000_000_000
    assert after.rates("m@h", now - timedelta(seconds=1)) == mine.rates("m@h", now)
    assert refreshed(after, load, now) is None
    assert after.version != mine.version


def test_a_price_stays_while_the_load_is_about_the_same():
    """No price flips where a load moves about a step's edge; a clear move is taken."""
    mine = catalog(utilisation=60)
    assert refreshed(mine, loaded(*[58] * 10), at(minutes=10)) is None
    assert refreshed(mine, loaded(*[67] * 10), at(minutes=10)) is None
    assert refreshed(mine, loaded(*[55] * 10), at(minutes=10)) is not None


def test_a_price_changes_once_a_minute_at_most():
    """However the load jumps."""
    load = loaded(*[60] * 10)
    after = refreshed(catalog(), load, at(minutes=10))
    loaded(*[600] * 5, load=load, since=at(minutes=10))
    assert refreshed(after, load, at(minutes=10, seconds=59)) is None
    assert refreshed(after, load, at(minutes=14)) is not None


def test_a_call_is_billed_as_it_was_reserved():
    """The price when it began, though another came into force before it ended."""
    mine = catalog()
    (candidate,) = mine.candidates(at=START)
    began, now, ended = at(minutes=9), at(minutes=10), at(minutes=11)
    after = refreshed(mine, loaded(*[60] * 10), now)
    span = {"began": began, "ended": ended, "until": ended, "input_tokens": 5}
    assert billed(after, candidate, **span) == mine.rates("m@h", began)
    later = span | {"began": now}
    assert billed(after, candidate, **later).id.endswith("@60%")


def test_many_changes_leave_a_bounded_catalogue():
    """Over two days of changing load the rows stay few, and the price in force is the last."""
    mine, load, rows = catalog(), Load(), []
    for i in range(0, 2880, 20):
        loaded(*[10 + (i // 20) % 9 * 10] * 20, load=load, since=at(minutes=i))
        mine = refreshed(mine, load, at(minutes=i + 20)) or mine
        rows.append(len(mine.entries))
    assert max(rows) <= 3 + 1 + 65
    assert len(set(rows[-20:])) == 1
    (now,) = busy(mine, load, at(minutes=2880))
    step = mine.rates("m@h", at(minutes=2880)).id.rpartition("@")[2]
    assert abs(int(step.rstrip("%")) - now.percent) <= 5


def test_a_quoted_price_is_left_alone():
    """Where an explicit [[rate]] counts, the load changes nothing."""
    mine = catalog().overlay({"rate": [rate()]})
    assert refreshed(mine, loaded(*[60] * 10), at(minutes=10)) is None


def test_other_rows_stay():
    """What was discovered or laid over before is in the new catalogue."""
    mine = catalog().overlay({"model": [{"name": "other"}]})
    after = refreshed(mine, loaded(*[60] * 10), at(minutes=10))
    assert "other" in after.models
    assert set(after.fleets(at(minutes=10))) == {"m@h"}


def test_a_bill_can_be_worked_out_again_from_its_id():
    """The id names fleet, basis and step: no record of the load is needed."""
    mine = catalog()
    for change in ({}, {"basis": "marginal"}):
        old = catalog(**change)
        after = refreshed(old, loaded(*[60] * 10), at(minutes=10))
        for rates in (old.rates("m@h", START), after.rates("m@h", at(minutes=10))):
            prices = priced(old, rates.id, START)
            assert (prices.input, prices.cache_read, prices.output) == (
                rates.input,
                rates.cache_read,
                rates.output,
            )
    above = mine.overlay({"fleet": [_row(mine) | {"gpus": 2}]})
    twice = above.rates("m@h", START)
    assert "+1#" in twice.id
    assert priced(above, twice.id, START).output == twice.output
    assert priced(above, mine.rates("m@h", START).id, START).output < twice.output


def test_an_idle_fleet_does_not_price_itself_out():
    """After hours without a call it costs what half of the assumed load makes it cost."""
    mine, load = catalog(), loaded(*[45] * 10)
    now = at(hours=3)
    after = refreshed(mine, load, now)
    assert after.rates("m@h", now).id.endswith("#amortised@22%")
    assert after.rates("m@h", now).output < 2.1 * mine.rates("m@h", now).output


def test_a_bill_outlives_a_change_of_the_least():
    """What was billed at one percent is that still, though no price assumes so little now."""
    old = catalog(least_utilisation=1)
    after = refreshed(old, loaded(*[1] * 10), at(minutes=10)).rates("m@h", at(minutes=10))
    assert after.id.endswith("@1%")
    assert priced(catalog(least_utilisation=30), after.id, START).output == after.output


@pytest.mark.parametrize(
    "name",
    ["m@h/1970-01-01", "m@h/1970-01-01#peak", "m@h/2026-01-01#amortised@45%", "m@h", ""],
)
def test_other_ids_are_none_of_a_fleet(name):
    """A quoted row, another start, nothing: None, not a guess."""
    assert priced(catalog(), name, START) is None


def test_gauges_show_the_present_cost(monkeypatch):
    """Dollars per million tokens by basis and kind, and the utilisation, for dashboards."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    monkeypatch.setattr("opentelemetry.metrics.get_meter", provider.get_meter)
    (now,) = busy(catalog(), loaded(*[60] * 10), at(minutes=10))
    Telemetry().selfhosted(now.endpoint, float(now.utilisation), now.usd_per_million_tokens)
    (resource,) = reader.get_metrics_data().resource_metrics
    points = {m.name: m.data.data_points for s in resource.scope_metrics for m in s.metrics}
    provider.shutdown()
    (used,) = points["centroute.selfhost.utilisation"]
    assert used.value == pytest.approx(0.6)
    cost = {
        (p.attributes["centroute.selfhost.basis"], p.attributes["gen_ai.token.type"]): p.value
        for p in points["centroute.selfhost.usd_per_million_tokens"]
    }
    assert len(cost) == 6
    assert cost["amortised", "output"] == pytest.approx(16.67)
    assert cost["marginal", "output"] == pytest.approx(10.0)
    assert used.attributes == {"centroute.endpoint": "m@h"}


def _row(mine):
    (entry,) = [e for e in mine.entries if e.table == "fleet"]
    row = entry.row
    return {
        "endpoint": row.endpoint,
        "gpus": row.gpus,
        "usd_per_gpu_hour": "3.60",
        "utilisation": 45,
        "curve": [{"output": 100}],
        "source": "s",
        "checked": "2026-11-22",
    }
