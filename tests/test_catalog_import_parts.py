import tomllib
from datetime import time
from decimal import Decimal

import pytest
from hypothesis import given as each
from hypothesis import strategies as st
from price_lists import MODULE, NOW, genai, rates

from router.catalog.imports.amounts import Amounts
from router.catalog.imports.genai_package import read_data_module
from router.catalog.imports.genai_prices import clause
from router.catalog.imports.hours import daily, peak_outside
from router.catalog.imports.offer import SkipError
from router.catalog.imports.toml import to_toml


@each(
    st.lists(
        st.tuples(
            st.integers(0, 1439), st.integers(0, 1439), st.sets(st.integers(1, 7), min_size=1)
        ),
        min_size=1,
        max_size=3,
    )
)
def test_hours_mean_what_the_windows_say(windows):
    """At every minute the schedule's peak is what no off-peak window covers."""

    def text(minute):
        return f"{minute // 60:02}:{minute % 60:02}"

    rules = [{"hours_utc": f"{text(a)}-{text(b)}", "weekdays": sorted(d)} for a, b, d in windows]
    try:
        hours = peak_outside({"windows": rules})
    except SkipError:
        return
    spans = [[int(t[:2]) * 60 + int(t[3:]) for t in span.split("-")] for span in hours.spans]
    for day in range(1, 8):
        for minute in range(0, 1440, 7):
            off = any(
                day in days and (a <= minute < b if a < b else minute >= a or minute < b)
                for a, b, days in windows
            )
            peak = day in hours.weekdays and any(a <= minute < b for a, b in spans)
            assert peak is not off


def test_daily_windows_past_midnight():
    """One window over midnight is two spans of a day; spans that touch are one."""
    assert daily([(time(22), time(2))]).spans == ("00:00-02:00", "22:00-24:00")
    assert daily([(time(1), time(4)), (time(4), time(5))]).spans == ("01:00-05:00",)


@pytest.mark.parametrize(
    ("price", "text", "rounded"),
    [
        (2.8e-7, "0.28", 0),
        ("2.8e-07", "0.28", 0),
        (3.59375e-8, "0.0359375", 0),
        (5.0000000000000004e-8, "0.05", 1),
        (1.0000000000000001e-7, "0.1", 1),
        (1.1428571428571428e-6, "1.142857142858", 1),
        (0, "0", 0),
    ],
)
def test_floats(price, text, rounded):
    """The noise of a float is dropped and counted; a repeating decimal is rounded up."""
    amounts = Amounts()
    assert (amounts.per_token(price), amounts.rounded) == (text, rounded)


@each(st.decimals(min_value=0, max_value=1000, places=12))
def test_prices_that_fit_are_exact(price):
    """What a rate can hold is kept to the last digit, from text and from `Decimal`."""
    amounts = Amounts()
    assert Decimal(amounts.plain(price)) == price
    assert Decimal(amounts.per_token(str(price / 10**6))) == price
    assert amounts.rounded == 0


@pytest.mark.parametrize(
    ("given", "yes", "no"),
    [
        ({"equals": "a-1"}, "a-1", "a-10"),
        ({"starts_with": "a-"}, "a-1", "b-a-1"),
        ({"ends_with": "-1"}, "a-1", "a-1x"),
        ({"contains": "3.2"}, "v3.2-exp", "v3.1"),
        ({"regex": r"^a(?!.*tts)"}, "a-1", "a-tts"),
        ({"or": [{"equals": "a"}, {"equals": "b"}]}, "b", "c"),
        ({"and": [{"starts_with": "a"}, {"ends_with": "c"}]}, "abc", "ab"),
    ],
)
def test_clauses(given, yes, no):
    """Ids are matched as genai-prices matches them."""
    assert clause(given)(yes)
    assert not clause(given)(no)


def test_the_installed_package_is_read_and_not_run():
    """Its records are literals to us; anything that would have to run is refused."""
    providers = read_data_module(MODULE)
    assert providers[0]["models"][0]["match"] == {"or": [{"equals": "x-1"}]}
    assert rates(genai(providers), "x-1@lab", NOW.replace(hour=3)).window == "peak"
    for bad in (
        "open('x')",
        "__import__('os').system('true')",
        "Provider(*[1])",
        "[x for x in ()]",
    ):
        with pytest.raises(ValueError, match="line 1: expected"):
            read_data_module(f"providers = [{bad}]")
    with pytest.raises(ValueError, match="expected a list named providers"):
        read_data_module("x = 1")


@each(st.dictionaries(st.text(), st.text() | st.integers() | st.booleans() | st.dates()))
def test_any_text_survives_toml(row):
    """Keys and strings are escaped so that a reader gets them back."""
    clean = {_plain(k): _plain(v) if isinstance(v, str) else v for k, v in row.items()}
    assert tomllib.loads(to_toml({"rate": [clean]})) == {"rate": [clean]}


def _plain(text):
    return text.encode("utf-8", "ignore").decode()  # a file holds no lone surrogates


def test_values_that_are_not_toml():
    """A float would lose cents, and is refused."""
    with pytest.raises(TypeError, match="no TOML for float"):
        to_toml({"rate": [{"input": 0.1}]})
