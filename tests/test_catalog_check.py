"""The check of a catalogue: each kind of finding, and nothing where nothing is wrong."""

from datetime import date, timedelta

import pytest
from catalogs import by_clock, exchange, rate, small, utc

from classifiers.scores import Quantiles, Score
from policies import cheapest
from router import Client
from router.catalog import Catalog
from router.catalog.check import check
from router.testing import FakeClock

NOW = utc("2026-11-22T00:00")
FRESH = "2026-11-21"


def found(catalog, at=NOW, **options):
    return [(f.kind, f.name, f.says) for f in check(catalog, at, **options)]


def ended(name, successor=None, **columns):
    """An endpoint of the model `name` that has retired."""
    return {
        "model": name,
        "host": "h",
        "model_id": name,
        "context_tokens": 100,
        "max_output_tokens": 10,
        "retires_at": "2026-06-01",
        "successor": successor,
    } | columns


def with_ended(*endpoints):
    models = [{"name": row["model"]} for row in endpoints]
    return small(rate(checked=FRESH)).overlay({"model": models, "endpoint": list(endpoints)})


def test_nothing_to_look_at():
    """A small, fresh catalogue has no finding."""
    assert found(small(rate(checked=FRESH))) == []


def test_the_shipped_catalogue():
    """Today: own servers have no price, and the list of holidays ends with the year."""
    findings = check(Catalog.default(), NOW)
    assert {f.kind for f in findings} == {"unpriced", "calendar"}
    (calendar,) = [f for f in findings if f.kind == "calendar"]
    assert calendar.name == "cn-holidays"
    assert calendar.says.startswith("ends on 2026-12-31")
    assert calendar.file.endswith("deepseek.toml") and calendar.line > 1
    assert "deepseek-v3.2@vllm" in {f.name for f in findings if f.kind == "unpriced"}
    later = check(Catalog.default(), NOW + timedelta(days=90))
    assert {f.kind for f in later} == {"unpriced", "calendar", "stale"}
    (calendar,) = [f for f in later if f.kind == "calendar"]
    assert calendar.says.startswith("ended on 2026-12-31")
    soon = [f for f in check(Catalog.default(), utc("2027-05-15")) if f.kind == "retiring"]
    assert [f.name for f in soon] == ["deepseek-v3.2@azure-fireworks"]


def test_stale_rows():
    """A row in force that was checked too long ago; past rows and those of the retired are not."""
    old = "2026-06-01"
    catalog = small(
        rate(valid_from="2025-01-01", checked=old),
        rate(valid_from="2026-01-01", checked=old, currency="CNY"),
        rate(valid_from="2027-01-01", checked=old, currency="CNY"),
        rate(valid_from="2027-02-01", known_since=old, withdrawn="2026-06-02", checked=old),
        exchange=[
            exchange("0.1", valid_from="2025-01-01", checked=old),
            exchange("0.2", checked=old),
        ],
    )
    names = [name for kind, name, _ in found(catalog, days=60) if kind == "stale"]
    assert names == [
        "m@h/2026-01-01",
        "m@h/2027-01-01",
        "CNY/2025-01-01",
    ]
    assert found(catalog, days=200) == []


def test_the_edge_of_stale():
    """A check lasts its days; a day later the row is stale."""
    catalog = small(rate(checked=date(2026, 9, 23)))
    assert found(catalog, days=60) == []
    ((kind, _, says),) = found(catalog, NOW + timedelta(days=1), days=60)
    assert (kind, says) == ("stale", "[[rate]] last checked on 2026-09-23: compare with s")


def test_a_check_that_is_yet_to_come():
    """A mistyped year would keep a row fresh for ever: told, also where the check is of later."""
    today = NOW.date()
    for days in (2, 3650):
        mine = small(rate(checked=today + timedelta(days=days)))
        for at in (NOW, NOW + timedelta(days=4000)):
            (says,) = [says for kind, _, says in found(mine, at, today=today) if kind == "stale"]
            assert "yet to come" in says
    tomorrow = small(rate(checked=today + timedelta(days=1)))  # it is, in some zone
    assert found(tomorrow, today=today) == []
    assert found(small(rate()), NOW - timedelta(days=900)) == []  # as of then, not of now


@pytest.mark.parametrize(
    ("calendar", "says"),
    [
        ({"days": [date(2026, 10, 1)], "until": date(2026, 12, 31)}, "ends on 2026-12-31"),
        ({"days": [date(2026, 10, 1)]}, "ended on 2026-10-01"),
        ({"days": [date(2026, 10, 1)], "until": date(2027, 12, 31)}, None),
    ],
)
def test_calendars(calendar, says):
    """A list of holidays that ends soon or has ended is told, where a price in force uses it."""
    schedule = {"name": "s", "zone": "UTC", "hours": ["09:00-12:00"], "calendar": "c"}
    tables = {"schedule": [schedule], "calendar": [calendar | {"name": "c"}]}
    findings = found(small(by_clock(), **tables))
    assert [(kind, text.split(";")[0]) for kind, _, text in findings] == (
        [("calendar", says)] if says else []
    )
    assert found(small(rate(), **tables)) == []


def test_retirements():
    """Endpoints that end soon are told with their successor, ended ones where none is named."""
    catalog = with_ended(
        ended("soon", "m", retires_at="2026-12-24"),
        ended("lone", retires_at="2026-12-25"),
        ended("gone"),
        ended("kept", "m@h"),
    )
    findings = [f for f in found(catalog) if f[0] != "unpriced"]
    assert findings == [
        ("retiring", "soon@h", "retires at 2026-12-24; use m from then on"),
        ("retiring", "lone@h", "retires at 2026-12-25; name a successor"),
        ("retired", "gone@h", "retired at 2026-06-01: name a successor"),
    ]


def test_successors():
    """A successor that is not there, or that leads back to where one came from, is told."""
    catalog = with_ended(ended("a", "b"), ended("b", "a"), ended("c", "nowhere"), ended("d", "c"))
    says = {name: text for kind, name, text in found(catalog) if kind == "alias"}
    assert says["a@h"] == "successors go round: a@h > b > a > b"
    assert "got 'nowhere'" in says["c@h"]
    assert "got 'nowhere'" in says["d@h"]


def test_prices_that_are_not_known():
    """A live candidate without a price is told with what would help; a retired one is not."""
    assert found(small(endpoint={"unpriced": "yours to say"})) == [
        ("unpriced", "m@h", "yours to say")
    ]
    ((_, _, says),) = found(small(rate(currency="CNY")))
    assert "[[exchange]]" in says
    assert found(small(endpoint={"retires_at": "2026-01-01", "successor": "m@h"}))[0][0] == "alias"


def test_withdrawn_after_it_came_into_force():
    """Such a row was charged for a while and never counts: it should have had an end instead."""
    late = rate(valid_from="2026-03-01", withdrawn="2026-04-01", input="9")
    plan = rate(valid_from="2026-03-02", known_since="2026-02-01", withdrawn="2026-02-09")
    findings = found(small(rate(), late, plan))
    assert [(kind, name) for kind, name, _ in findings] == [("withdrawn", "m@h/2026-03-01")]
    assert "write valid_to instead" in findings[0][2]


class Fixed:
    """Every answer takes about 100 tokens."""

    def score(self, prompt, profiles, *, tenant=""):
        lengths, none = Quantiles(50, 100, 300, 400, 120), Quantiles(0, 0, 0, 0, 0)
        return {name: Score(0.5, lengths, none, "trained") for name in profiles}


@pytest.mark.parametrize(
    ("at", "name", "notes"),
    [
        ("2026-11-22T12:00", "deepseek-v3.2@deepinfra", []),
        ("2027-03-21T23:59", "deepseek-v3.2@deepinfra", []),
        ("2027-03-22T00:00", "deepseek-v3.2@deepinfra", ["last checked on 2026-11-21"]),
        ("2027-06-15T12:00", "deepseek-v3.2@deepinfra", ["last checked on 2026-11-21"]),
        (
            "2027-06-15T02:00",
            "deepseek-flash@deepseek",
            ["last checked on 2026-11-21", "the list of holidays has ended"],
        ),
    ],
)
def test_what_a_plan_says_of_shipped_prices_later_on(at, name, notes):
    """A price checked more than 120 days ago is said to be old, in every forecast of it."""
    with Client(
        ledger=":memory:",
        scorer=Fixed(),
        policy=cheapest(),
        now=FakeClock(utc(at)),
        keys={"deepinfra": "k", "deepseek": "k"},
    ) as client:
        plan = client.plan([{"role": "user", "content": "Which colour is snow?"}], model=name)
    said = [note for note in plan.forecast.notes if "price" in note]
    assert len(said) == len(notes)
    assert all(text in note for text, note in zip(notes, said, strict=True))
    assert plan.forecast.cost_usd > 0
