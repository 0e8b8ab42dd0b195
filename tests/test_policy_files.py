"""Policies in TOML files, and the presets that are shipped."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from policies import (
    Context,
    Quote,
    cheapest,
    cheapest_adequate,
    constrained,
    explore,
    first_of,
    from_spec,
    load_policy,
    presets,
    restrict,
    sparing,
    to_spec,
    utility,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CENT = 10**10
PLENTY, TIGHT = 1000 * CENT, CENT


def quote(name, quality, cents, **more):
    cost = round(cents * CENT)
    return Quote(
        name=name, quality=quality, cost=cost, cost_p90=2 * cost, cost_ceiling=9 * cost, **more
    )


OWN = quote("qwen@rack", 0.65, 0.02, self_hosted=True)
OWN_WEAK = quote("tiny@rack", 0.4, 0.001, self_hosted=True)
CHEAP = quote("flash@cloud", 0.7, 0.01)
STRONG = quote("pro@cloud", 0.85, 0.12)
THINKER = quote("r1:thinking@cloud", 0.95, 0.9, thinking=True)
TABLE = (THINKER, STRONG, CHEAP, OWN, OWN_WEAK)


@pytest.mark.parametrize(
    ("name", "remaining", "without", "chosen"),
    [
        ("frugal", PLENTY, (), OWN_WEAK),
        ("careful", PLENTY, (), STRONG),
        ("careful", PLENTY, (STRONG, THINKER), CHEAP),  # none reaches 0.8: the likeliest
        # an answer worth a cent: .85 - .12 = .73 is the best of them
        ("balanced", PLENTY, (), STRONG),
        ("balanced", TIGHT, (), CHEAP),  # a twentieth of a cent: .7 - .01 beats .65 - .02
        ("balanced", None, (), STRONG),
        ("reasoning-first", PLENTY, (), THINKER),
        ("reasoning-first", None, (), THINKER),
        ("reasoning-first", PLENTY, (THINKER,), STRONG),
        ("reasoning-first", TIGHT, (), CHEAP),  # what thinking costs is more than a twentieth
        ("on-prem-first", PLENTY, (), OWN),
        ("on-prem-first", 0, (), OWN),  # one's own machines are not spared
        ("on-prem-first", PLENTY, (OWN,), STRONG),  # the weak one of the rack will not do
        ("on-prem-first", TIGHT, (OWN,), CHEAP),
    ],
)
def test_presets_decide_sensibly(name, remaining, without, chosen):
    """What each preset chooses from one table, as it stands and with candidates missing."""
    quotes = [q for q in TABLE if q not in without]
    decision = load_policy(name)(quotes, Context(now=NOW, remaining=remaining))
    assert decision.chosen == chosen.name
    assert decision.rejected.keys() == {q.name for q in quotes} - {chosen.name}


def test_on_prem_falls_through():
    """When one's own machines do not answer, the others are asked in the order of `balanced`."""
    decision = load_policy("on-prem-first")(TABLE, Context(now=NOW))
    assert decision.ranking[:3] == ("qwen@rack", "pro@cloud", "flash@cloud")


def test_the_list_of_presets_is_complete():
    """What `presets` names is what is shipped; all load, and are described in their first line."""
    assert presets() == ("balanced", "careful", "frugal", "on-prem-first", "reasoning-first")
    for name in presets():
        policy = load_policy(name)
        assert from_spec(to_spec(policy)) == policy
        path = Path(load_policy.__code__.co_filename).parent / "presets" / f"{name}.toml"
        assert path.read_text(encoding="utf-8").startswith("# ")


def test_presets_mean_what_they_say():
    """The presets, written as calls."""
    balanced = sparing(utility("0.01"), 0.05)
    assert load_policy("frugal") == cheapest()
    assert load_policy("careful") == cheapest_adequate(0.8, z=1.0)
    assert load_policy("balanced") == balanced
    assert load_policy("on-prem-first") == first_of(
        restrict(cheapest_adequate(0.6), self_hosted=True, min_quality=0.6), balanced
    )
    assert load_policy("reasoning-first") == sparing(
        first_of(restrict(utility("0.10"), thinking=True), utility("0.01")), 0.05
    )


def write(tmp_path, text):
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


WRAPPED_TWICE = """
policy = "utility"
value_usd = "1"
[[wrap]]
policy = "sparing"
share = 0.1
[[wrap]]
policy = "explore"
"""
TABLE_INSIDE = """
policy = "sparing"
[of]
policy = "cheapest"
[[of.wrap]]
policy = "restrict"
patterns = ["a*"]
"""
SEVERAL = """
policy = "first_of"
[[of]]
policy = "cheapest"
[[of.wrap]]
policy = "restrict"
self_hosted = true
[[of]]
policy = "utility"
[[wrap]]
policy = "constrained"
regions = ["eu"]
[wrap.quality_floors]
"feature=checkout" = 0.8
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'policy = "cheapest_adequate"\nquality = 0.9\nmax_cost_usd = "0.005"',
            cheapest_adequate(0.9, max_cost_usd=0.005),
        ),
        (WRAPPED_TWICE, explore(sparing(utility(1), 0.1))),
        (TABLE_INSIDE, sparing(restrict(cheapest(), "a*"))),
        (
            SEVERAL,
            constrained(
                first_of(restrict(cheapest(), self_hosted=True), utility()),
                regions=["eu"],
                quality_floors={"feature=checkout": 0.8},
            ),
        ),
    ],
)
def test_a_policy_from_a_file(tmp_path, text, expected):
    """A TOML file makes the same policy as the call it describes, by path or by text."""
    path = write(tmp_path, text)
    assert load_policy(path) == load_policy(str(path)) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("policy = ", "not TOML"),
        ("quality = 0.5", "policy: expected one of cascade, cheapest, .*; got None"),
        ('policy = "dearest"', "got 'dearest'"),
        ("policy = 3", "got 3"),
        ('policy = ["utility"]', r"got \['utility'\]"),
        ('policy = "cheapest"\nquality = 0.5', "quality: cheapest has no such parameter"),
        ('policy = "utility"\nanswer_value_usd = "1"', "answer_value_usd: utility has no such"),
        ('policy = "cheapest_adequate"\nquality = 2', "quality: expected 0 to 1, got 2"),
        ('policy = "cheapest_adequate"\nquality = "high"', "quality: expected 0 to 1, got 'high'"),
        ('policy = "cheapest"\nsparing = 0.05', "sparing: cheapest has no such parameter"),
        ('policy = "cheapest"\nwrap = 1', r"wrap: expected tables \[\[wrap\]\], got 1"),
        ('policy = "cheapest"\nwrap = [1]', r"wrap: expected tables \[\[wrap\]\], got \[1\]"),
        (
            'policy = "cheapest"\n[[wrap]]\npolicy = "sparing"\nshare = 0',
            "share: expected above 0 and at most 1, got 0",
        ),
        (
            'policy = "cheapest"\n[[wrap]]\npolicy = "sparing"\n[wrap.of]\npolicy = "cheapest"',
            r"wrap\[0\]: expected neither of nor wrap",
        ),
        ('policy = "cheapest"\n[[wrap]]\npolicy = "utility"', "of: utility has no such parameter"),
        ('policy = "first_of"', "of: expected a list of policies, got None"),
        ('policy = "first_of"\nof = [1]', r"of\[0\]: expected a policy as a table"),
        ('policy = "sparing"\nof = "cheapest"', "of: expected a policy as a table"),
        (
            'policy = "first_of"\n[[of]]\npolicy = "utility"\nz = -1',
            r"of\[0\]\.z: expected 0 or more, got -1",
        ),
        (
            'policy = "first_of"\n[[of]]\npolicy = "utility"\nwrap = 1',
            r"of\[0\]\.wrap: expected tables",
        ),
    ],
)
def test_bad_policy_files_are_refused(tmp_path, text, says):
    """What is wrong in a policy file is said with the file's name and the key, as a ValueError."""
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=rf"policy\.toml: {says}|policy\.toml: .*{says}"):
        load_policy(path)


@pytest.mark.parametrize("source", ["fugal", "/no/such/file.toml", Path(), "a\0b"])
def test_a_policy_that_is_not_there(source):
    """A name that is no preset and no file is refused with the presets' names."""
    with pytest.raises(ValueError, match=r"expected a preset .balanced, careful, frugal, on-prem"):
        load_policy(source)


def test_a_binary_policy_file_is_refused(tmp_path):
    """A file that is not text is a ValueError, too."""
    path = tmp_path / "policy.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"policy\.toml"):
        load_policy(path)
