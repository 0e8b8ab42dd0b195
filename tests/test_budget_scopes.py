"""Scopes of budgets: which requests they cover, and whose account these go to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.budgets import Budget
from router.errors import InvalidBudgetError


@pytest.mark.parametrize(
    ("scope", "tags", "applies"),
    [
        ({}, {}, True),
        ({}, {"team": "search"}, True),
        ({"team": "search"}, {"team": "search", "user": "ann"}, True),
        ({"team": "search"}, {"team": "ads"}, False),
        ({"team": "search"}, {}, False),
        ({"team": "*"}, {"team": "anything"}, True),
        ({"team": "*"}, {"user": "ann"}, False),
        ({"team": "search", "user": "*"}, {"team": "search", "user": "ann"}, True),
        ({"team": "search", "user": "*"}, {"team": "search"}, False),
        # paths: a pattern covers itself and all below it
        ({"org": "acme"}, {"org": "acme/search/ann"}, True),
        ({"org": "acme/search"}, {"org": "acme/search/ann"}, True),
        ({"org": "acme/search"}, {"org": "acme"}, False),
        ({"org": "acme"}, {"org": "acme2/search"}, False),
        ({"org": "acme"}, {"org": "acmesearch"}, False),
        ({"org": "search"}, {"org": "acme/search"}, False),
        ({"org": "*"}, {"org": "acme/search/ann"}, True),
        ({"org": "acme/*"}, {"org": "acme/search/ann"}, True),
        ({"org": "acme/*"}, {"org": "acme"}, False),
        ({"org": "acme/*"}, {"org": "other/search"}, False),
        ({"org": "acme/*/*"}, {"org": "acme/search"}, False),
        ({"org": "acme/*/ann"}, {"org": "acme/search/ann"}, True),
        ({"org": "acme/*/ann"}, {"org": "acme/search/bob"}, False),
        # who is called: whole names, slashes or not
        ({"model": "deepseek-v3.2"}, {"model": "deepseek-v3.2"}, True),
        ({"candidate": "deepseek-v3.2@novita"}, {"candidate": "deepseek-v3.2@novita"}, True),
        ({"candidate": "deepseek-v3.2@novita"}, {"candidate": "deepseek-v3.2@azure"}, False),
        ({"model": "deepseek-ai/DeepSeek-V3.2"}, {"model": "deepseek-ai/DeepSeek-V3.2"}, True),
        ({"model": "deepseek-ai"}, {"model": "deepseek-ai/DeepSeek-V3.2"}, False),
        ({"model": "*"}, {"model": "deepseek-ai/DeepSeek-V3.2"}, True),
        ({"host": "novita", "team": "a"}, {"host": "novita", "team": "a/b"}, True),
        ({"host": "novita"}, {"team": "a"}, False),
    ],
)
def test_scopes(scope, tags, applies):
    """A budget counts the requests whose tags match; a star takes any one segment."""
    budget = Budget("1", scope=scope)
    assert budget.applies(tags) is applies
    if not applies:
        with pytest.raises(InvalidBudgetError, match="does not cover a request"):
            budget.key(tags)


@pytest.mark.parametrize(
    ("pattern", "one", "two", "together"),
    [
        ("*", "ann", "bob", False),
        ("acme", "acme/search/ann", "acme", True),
        ("acme/*", "acme/search/ann", "acme/search/bob", True),
        ("acme/*", "acme/search/ann", "acme/ads/ann", False),
        ("*", "acme/search", "acme/ads", True),
        ("*", "acme/search", "other/search", False),
        ("acme/*/*", "acme/search/ann/laptop", "acme/search/ann/phone", True),
        ("acme/*/*", "acme/search/ann", "acme/search/bob", False),
        ("acme/*/ann", "acme/search/ann", "acme/ads/ann", False),
    ],
)
def test_a_star_gives_each_value_its_own_account(pattern, one, two, together):
    """What a pattern matched names the account; what lies below it spends from the same one."""
    budget = Budget("1", "day", {"org": pattern})
    assert (budget.key({"org": one}) == budget.key({"org": two})) is together


def test_a_change_of_limit_keeps_the_account():
    """Raising a limit does not forget what was spent."""
    tags = {"user": "ann"}
    assert Budget("1", "day", tags).key(tags) == Budget("2", "day", tags, name="ann").key(tags)


@pytest.mark.parametrize(
    ("scope", "tags"),
    [({"model": "*"}, {"model": "a/b"}), ({"candidate": "*"}, {"candidate": "a/b@host"})],
)
def test_each_model_of_an_organisation_has_its_own_account(scope, tags):
    """The slash in a hosted model's name does not put it together with its neighbours."""
    budget = Budget("1", "day", scope)
    other = {name: value + "2" for name, value in tags.items()}
    assert budget.key(tags) != budget.key(other)


@pytest.mark.parametrize(
    ("scope", "by_candidate"),
    [({}, False), ({"team": "a"}, False), *(({n: "x"}, True) for n in ("model", "mode", "host"))],
)
def test_which_budgets_ask_who_is_called(scope, by_candidate):
    """Scopes of model, mode, host and candidate are known once a candidate is."""
    assert Budget("1", scope=scope).by_candidate is by_candidate


def test_a_requests_cap_for_one_model_is_not_that_of_another():
    """Within one request, what another model spent does not count against a model's own cap."""
    called = {"model": "large", "team": "a"}
    cap, all_of_it = Budget("1", "request", {"model": "*", "team": "*"}), Budget("1", "request")
    assert cap.key(called, "r1") == "request/r1/model=large"
    assert cap.key({**called, "model": "small"}, "r1") != cap.key(called, "r1")
    assert all_of_it.key(called, "r1") == "request/r1"
    assert Budget("1", "request", {"team": "a"}).key(called, "r1") == "request/r1"


def test_keys_of_dollars_are_those_of_older_ledgers():
    """The account of a budget in USD has the name it always had; other units have their own."""
    scope, tags = {"user": "*", "team": "search"}, {"user": "a;b", "team": "search"}
    budget = Budget("1", "day", scope, tz="Europe/Berlin", tokens=5, requests=6)
    assert budget.key(tags) == "day/Europe/Berlin/team=search;user=a%3Bb"
    assert budget.key(tags, unit="tokens") == "tokens:day/Europe/Berlin/team=search;user=a%3Bb"
    assert budget.key(tags, unit="requests") == "requests:day/Europe/Berlin/team=search;user=a%3Bb"
    assert Budget("1").key({}) == "total/UTC/"
    assert Budget("1", "request").key({}, "a/b") == "request/a%2Fb"
    assert Budget("1", "rolling 1d", tz="Asia/Tokyo").key({}) == "rolling 24h/UTC/"


PARTS = st.text("ab=;/%*|", min_size=1, max_size=4)
SCOPES = st.dictionaries(PARTS, PARTS)
KINDS = st.sampled_from(["day", "month", "rolling 24h", "rolling 90m"])
UNITS = st.sampled_from(["usd", "tokens", "requests"])


@given(SCOPES, SCOPES, KINDS, KINDS, UNITS, UNITS)
def test_accounts_do_not_collide(first, second, window, other, unit, another):
    """Two accounts are one only if window, unit and all matched values are equal."""
    one = Budget("1", window, dict.fromkeys(first, "*")).key(first, unit=unit)
    two = Budget("1", other, dict.fromkeys(second, "*")).key(second, unit=another)
    heads = [{name: value.split("/")[0] for name, value in s.items()} for s in (first, second)]
    assert (one == two) == (heads[0] == heads[1] and window == other and unit == another)


SEGMENT = st.sampled_from(["a", "b", "", "%2F", "="])
PATTERN = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3)


@st.composite
def covered(draw):
    """A pattern, the path of a value that it matches, and what lies below that path."""
    pattern = draw(PATTERN)
    path = [draw(SEGMENT) if segment == "*" else segment for segment in pattern]
    return "/".join(pattern), path, draw(st.lists(SEGMENT, max_size=2))


def account(pattern, segments):
    return Budget("1", scope={"org": pattern}).key({"org": "/".join(segments)})


@given(covered(), covered())
def test_an_account_is_one_path(first, second):
    """Accounts of any two patterns are one exactly where they stand for the same path."""
    (one, path, below), (two, other, beneath) = first, second
    assert (account(one, path + below) == account(two, other + beneath)) == (path == other)


@given(covered())
def test_what_is_below_a_value_stays_with_it(given_):
    """Nobody leaves a budget by adding to a tag: longer values stay in the shorter's account."""
    pattern, path, below = given_
    assert account(pattern, path + below) == account(pattern, path)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"a": "b=c"}, {"a=b": "c"}),
        ({"a": "b;c=d"}, {"a": "b", "c": "d"}),
        ({"a": "="}, {"a": "%3D"}),
        ({"a": ";"}, {"a": "%3B"}),
        ({"a": "/"}, {"a": "%2F"}),
        ({"a": "*"}, {"a": "%2A"}),
    ],
)
def test_tags_that_look_like_others(first, second):
    """Tags that hold our own separators, raw or quoted, do not end up in another's account."""
    keys = {Budget("1", "day", dict.fromkeys(tags, "*")).key(tags) for tags in (first, second)}
    assert len(keys) == 2


@given(st.text(min_size=1), st.text(min_size=1), UNITS)
def test_request_accounts_do_not_collide(first, second, unit):
    """A request's account is its own, and no window of another kind shares it."""
    budget = Budget("1", "request")
    one = budget.key({}, first, unit)
    assert (one == budget.key({}, second, unit)) == (first == second)
    called = Budget("1", "request", {"model": "*"}).key({"model": second}, first)
    assert len({one, called, Budget("1", "total").key({}, first)}) == 3


LONG = st.tuples(
    st.sampled_from(["x", "/", "~", "\U0001f600", "\ud800"]), st.integers(1, 600)
).map(lambda part: part[0] * part[1])


@given(st.lists(LONG, min_size=1, max_size=3).map("".join), st.text("x~", max_size=3), UNITS)
def test_long_accounts_are_short_in_the_ledger(value, more, unit):
    """An index has room for every key; it is whole up to 500 characters, and always its own."""
    budget = Budget("1", "day", {"model": "*"})
    whole = f"day/UTC/model={value.replace('/', '%2F')}"
    whole = whole if unit == "usd" else f"{unit}:{whole}"
    key = budget.key({"model": value}, unit=unit)
    assert key == whole if len(whole) <= 500 else len(key) == 501
    assert key[:400] == whole[:400]
    assert (key == budget.key({"model": value + more}, unit=unit)) == (not more)


def test_nobody_gets_into_a_long_account_by_its_short_key():
    """A tag that spells out the key of another's long one has an account of its own."""
    budget = Budget("1", "day", {"model": "*"})
    key = budget.key({"model": "x" * 1000})
    assert key.startswith("day/UTC/model=xxx") and len(key) == 501
    assert budget.key({"model": key.removeprefix("day/UTC/model=")}) != key
    assert budget.key({"model": "x" * 486}) == "day/UTC/model=" + "x" * 486


def test_the_order_of_tags_does_not_matter():
    """The same tags in another order are the same account."""
    tags = {"a": "1", "b": "2"}
    assert Budget("1", scope={"a": "*", "b": "*"}).key(tags) == Budget(
        "1", scope={"b": "*", "a": "*"}
    ).key(tags)


@pytest.mark.parametrize(
    ("scope", "says"),
    [
        ("team", "expected tag names"),
        ({"team": 1}, "expected tag names"),
        ({"": "x"}, "expected tag names"),
        ({"team": ""}, "expected tag names"),
        ({1: "x"}, "expected tag names"),
        ({"team": "acme/"}, "'acme' covers itself and all below it"),
        ({"team": "acme*"}, "to stand for a whole segment"),
        ({"team": "acme/**"}, "to stand for a whole segment"),
        ({"model": "deepseek*"}, "to stand for a whole name"),
        ({"model": "deepseek-ai/*"}, "to stand for a whole name"),
    ],
)
def test_scopes_that_could_never_match_are_refused(scope, says):
    """A budget that would silently cover nothing is refused when it is made."""
    with pytest.raises(InvalidBudgetError, match=f"Budget scope: .*{says}"):
        Budget("1", scope=scope)


@pytest.mark.parametrize("value", [1, None, b"search", ["search"]])
def test_a_tag_that_is_no_text(value):
    """A scoped tag whose value is no text is an error, not a request outside the budget."""
    with pytest.raises(InvalidBudgetError, match="expected text as the value of the tag team"):
        Budget("1", scope={"team": "*"}).applies({"team": value})


def test_a_scope_is_a_copy():
    """Changing the dict afterwards does not change the budget."""
    scope = {"team": "search"}
    budget = Budget("1", scope=scope)
    scope["team"] = "ads"
    assert budget.applies({"team": "search"})
