"""Budgets in TOML files: what is read, what is refused and where, and the way back."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.budgets.budget import Budget
from router.budgets.files import dump_budgets, load_budgets
from router.errors import InvalidBudgetError
from router.money import MAX_PICO, to_usd

FILE = """
# two budgets
[[budget]]
name = "search"
limit = "5.00"
tokens = 1_000_000
requests = 200
window = "day"
tz = "Europe/Berlin"
scope = { org = "acme/*", "who calls" = "ann" }
hard = false
warn = [1, 0.8]
quantile = 0.95

[[budget]]
limit = 0.1
window = "rolling 24h"

[[budget]]
requests = 3
[budget.scope]
model = "deepseek-v3.2"
"""


@pytest.fixture
def load(tmp_path):
    def written(text):
        path = tmp_path / "budgets.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_budgets(path)

    return written


def test_a_file_of_budgets(load):
    """Every field can be written; what is left out is as in `Budget`; the order is kept."""
    assert load(FILE) == (
        Budget(
            "5",
            "day",
            {"org": "acme/*", "who calls": "ann"},
            "Europe/Berlin",
            hard=False,
            tokens=10**6,
            requests=200,
            warn=(0.8, 1.0),
            quantile=0.95,
            name="search",
        ),
        Budget("0.1", timedelta(hours=24)),
        Budget(requests=3, scope={"model": "deepseek-v3.2"}),
    )


def test_amounts_as_text_and_as_numbers(load):
    """A float is read by its shortest decimal form, so that 0.1 is ten cents to the last digit."""
    amounts = ['"0.1"', "0.1", "1e-1", '"1e-1"', "0.10"]
    found = load("".join(f"[[budget]]\nlimit = {amount}\n" for amount in amounts))
    assert {budget.limit_pico for budget in found} == {10**11}
    assert load("[[budget]]\nlimit = 7")[0].limit_pico == 7 * 10**12


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"expected one or more tables \[\[budget\]\] with a limit"),
        ("budget = []", "expected one or more tables"),
        ("budget = 5", "expected one or more tables"),
        ("budget = ['5']", "expected one or more tables"),
        ("[budget]\nlimit = '5'", "expected one or more tables"),
        ("limit = '5'", "got the key 'limit'"),
        ("[[budgets]]\nlimit = '5'", "got the key 'budgets'"),
        (
            "[[budget]]\nlimit = '5'\n[[budget]]\nlimt = '5'",
            "2: unknown key 'limt'; expected name,",
        ),
        ("[[budget]]\nlimit_pico = 5", "1: unknown key 'limit_pico'"),
        ("[[budget]]", "1: Budget limit: expected an amount in USD, or tokens"),
        ("[[budget]]\nlimit = true", "1: Budget limit: expected an amount"),
        ("[[budget]]\nlimit = nan", "1: Budget limit: expected a finite amount"),
        ("[[budget]]\nlimit = [1]", "1: Budget limit: expected an amount"),
        ("[[budget]]\nlimit = 2026-11-22", "1: Budget limit: expected an amount"),
        ("[[budget]]\ntokens = '5'", "1: Budget tokens: expected a whole number"),
        ("[[budget]]\nrequests = 1.5", "1: Budget requests: expected a whole number"),
        ("[[budget]]\nlimit = 1\nwindow = 'fortnight'", "1: Budget window: expected request"),
        ("[[budget]]\nlimit = 1\nscope = 'team'", "1: Budget scope: expected tag names"),
        ("[[budget]]\nlimit = 1\nscope = { team = 5 }", "1: Budget scope: expected tag names"),
        ("[[budget]]\nlimit = 1\ntz = 'Berlin'", "1: Budget tz: expected an IANA zone"),
        ("[[budget]]\nlimit = 1\nhard = 'no'", "1: Budget hard: expected True or False"),
        ("[[budget]]\nlimit = 1\nwarn = 0.8", "1: Budget warn: expected shares"),
        ("[[budget]]\nlimit = 1\nquantile = 2", "1: Budget quantile: expected None"),
        ("[[budget]]\nlimit = 1\nname = 5", "1: Budget name: expected one line"),
        ("[[budget]\nlimit = 1", "expected TOML: .*line 1"),
        ("[[budget]]\nlimit = 1\nlimit = 2", "expected TOML: .*overwrite"),
        (b"[[budget]]\nname = '\xff'", "expected TOML: .*utf-8"),
    ],
)
def test_a_bad_file(load, text, says, tmp_path):
    """The error names the file, the table and the key, and says what was expected."""
    with pytest.raises(InvalidBudgetError, match=says) as caught:
        load(text)
    assert str(caught.value).startswith(f"{tmp_path / 'budgets.toml'}: ")


@pytest.mark.parametrize("path", ["nowhere.toml", ".", "a\0b.toml"])
def test_a_file_that_cannot_be_read(path):
    """A path without a readable file is an error of its own kind, with the path."""
    with pytest.raises(InvalidBudgetError, match=re.escape(path) + ": expected a readable TOML"):
        load_budgets(path)


def test_what_is_written(tmp_path):
    """Only what differs from a default is written, amounts as text, a given name but no other."""
    budgets = [
        Budget(0.5, "rolling 1d", {"org": "acme/*", "a b": 'q"\\'}, warn=(0.8,), hard=False),
        Budget(tokens=0, name="none"),
    ]
    text = dump_budgets(budgets)
    assert text == (
        '[[budget]]\nlimit = "0.50"\nwindow = "rolling 24h"\n'
        'scope = { org = "acme/*", "a b" = "q\\"\\\\" }\nhard = false\nwarn = [0.8]\n'
        "\n"
        '[[budget]]\nname = "none"\ntokens = 0\n'
    )
    assert dump_budgets([]) == ""


COUNTS = st.none() | st.integers(0, MAX_PICO)
NAMES = st.text().filter(str.isprintable)
PATTERNS = st.text(min_size=1).filter(lambda p: "*" not in p and not p.endswith("/"))
BUDGETS = st.builds(
    Budget,
    st.integers(0, MAX_PICO).map(to_usd),
    st.sampled_from(["request", "hour", "day", "week", "month", "total"])
    | st.integers(1, 366 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes)),
    st.dictionaries(st.text(min_size=1), PATTERNS | st.just("*"), max_size=3),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"]),
    st.booleans(),
    tokens=COUNTS,
    requests=COUNTS,
    warn=st.lists(st.floats(1e-9, 10), max_size=3).map(tuple),
    quantile=st.none() | st.floats(0.5, 0.999),
    name=NAMES,
)


@given(budgets=st.lists(BUDGETS, min_size=1, max_size=3))
def test_what_was_written_is_read_again(budgets, tmp_path_factory):
    """Any budgets come back equal and in order, whatever their names and tags hold."""
    path = tmp_path_factory.mktemp("round") / "budgets.toml"
    path.write_bytes(dump_budgets(budgets).encode())
    found = load_budgets(path)
    assert found == tuple(budgets)
    assert [budget.name for budget in found] == [budget.name for budget in budgets]
