"""Policies into TOML files and back."""

import json
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router import (
    Client,
    ConfigError,
    cascade,
    cheapest,
    cheapest_adequate,
    constrained,
    explore,
    first_of,
    from_spec,
    ladder,
    load_policy,
    pacing,
    presets,
    recorded_prompts,
    restrict,
    sparing,
    threshold,
    to_spec,
    tuning,
    utility,
)
from router.testing import FakeClock

SHARES = st.floats(0.001, 1.0, exclude_min=True)
MONEY = st.decimals("0.000000001", "1000", places=9)
NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
LEAVES = st.one_of(
    st.builds(cheapest),
    st.builds(cheapest_adequate, SHARES),
    st.builds(threshold, SHARES, default=st.none() | NAMES, z=st.floats(0, 5)),
    st.builds(utility, MONEY, default=st.none() | NAMES),
    st.builds(cascade, MONEY),
    st.builds(pacing, MONEY),
)


def wrapped(inner):
    return st.one_of(
        st.builds(sparing, inner, SHARES),
        st.builds(explore, inner, SHARES, max_cost_usd=st.none() | MONEY),
        st.builds(lambda p, deny: constrained(p, deny=deny), inner, st.lists(NAMES, max_size=3)),
        st.builds(
            lambda p, floors: constrained(
                p, quality_floors={f"task={k}": v for k, v in floors.items()}
            ),
            inner,
            st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), SHARES, max_size=2),
        ),
        st.builds(
            lambda p, names, flag: restrict(p, *names, thinking=flag),
            inner,
            st.lists(NAMES, max_size=3),
            st.none() | st.booleans(),
        ),
        st.builds(ladder, inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda found: first_of(*found)),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policy=st.recursive(LEAVES, wrapped, max_leaves=5))
def test_every_policy_is_read_back_equal(policy, tmp_path):
    """Whatever the nesting, the names and the numbers: the file holds the same policy."""
    path = tuning.save_policy(policy, tmp_path / "policy.toml", head="One line.\nAnother.")
    assert load_policy(path) == from_spec(to_spec(policy)) == policy


@pytest.mark.parametrize("name", presets())
def test_presets_are_read_back_equal(name, tmp_path):
    """What is shipped can be saved and changed by hand."""
    assert load_policy(tuning.save_policy(load_policy(name), tmp_path / "p.toml")) == load_policy(
        name
    )


def test_a_file_reads_well():
    """Wrappers stand around their policy, money is text, the figures are a comment."""
    text = tuning.policy_text(sparing(explore(utility("0.02"), 0.1), 0.05), head="Because.")
    assert text == (
        '# Because.\npolicy = "utility"\nvalue_usd = "0.02"\nwait_usd_per_hour = "0"\nz = 0.5\n'
        '[[wrap]]\npolicy = "explore"\nshare = 0.1\n[[wrap]]\npolicy = "sparing"\nshare = 0.05\n'
    )


def test_a_callable_of_ones_own_is_refused(tmp_path):
    """A file cannot hold a function; nothing is written."""
    path = tmp_path / "p.toml"
    for policy in (lambda quotes, context: None, explore(lambda quotes, context: None)):
        with pytest.raises(ConfigError, match="not functions"):
            tuning.save_policy(policy, path)
    assert not path.exists()
    with pytest.raises(ConfigError, match="policy file"):
        tuning.save_policy(cheapest(), tmp_path / "none" / "p.toml")


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    """The file is checked before it takes the old one's place, and no part of it is left."""
    path = tuning.save_policy(cheapest(), tmp_path / "p.toml")
    old = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr("router.tuning.save._keys", lambda spec: ["policy = 'nosuch'"])
        with pytest.raises(ConfigError, match="policy file"):
            tuning.save_policy(utility("0.01"), path)
        patched.setattr("router.tuning.save._keys", lambda spec: ["policy = 'cheapest'"])
        with pytest.raises(ConfigError, match="would not hold"):
            tuning.save_policy(utility("0.01"), path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(head=st.text(st.characters()))
def test_whatever_the_head_says_the_file_is_read(head, tmp_path):
    """Control characters and halves of surrogate pairs, which TOML has no place for, too."""
    head += "a\x00b\x7f\x1b[31m\ud800\tc"
    path = tuning.save_policy(utility("0.01"), tmp_path / "p.toml", head=head)
    assert load_policy(path) == utility("0.01")
    text = path.read_text("utf-8")
    assert all(line[0] == "#" for line in text[: text.index("policy =")].split("\n") if line)


def test_from_recordings_to_a_client_that_runs_the_chosen_policy(tmp_path):
    """Load, sweep, choose, save: the client of the file decides as the chosen policy does."""
    names = ["mixtral-8x7b-instruct-v0.1@replay", "deepseek-v2.5@replay"]
    settings_ = {"ledger": ":memory:", "candidates": names, "now": FakeClock()}
    prompts = recorded_prompts(source="zeroeval")[:60]
    traffic = tuning.recorded(Client(**settings_), prompts)
    swept = tuning.sweep(traffic, tuning.family(utility), progress=False)
    assert all(a.cost_usd <= b.cost_usd for a, b in pairwise(swept))
    choice = tuning.choose(traffic, budget_usd=str(swept[20].cost_usd), progress=False)
    path = choice.save(tmp_path / "chosen.toml", at=FakeClock().instant)
    head = path.read_text("utf-8").splitlines()[0]
    assert head.startswith("# Chosen by router.tuning, 2026-11-22: at most $")
    with Client(policy=path, **settings_) as client:
        for each, request in zip(prompts[:10], traffic, strict=False):
            plan = client.plan([{"role": "user", "content": each.prompt}])
            expected = choice.policy(request.record.quotes, request.record.context)
            assert plan.decision.chosen == expected.chosen
    assert Decimal(choice.value) > 0
    assert json.dumps(to_spec(choice.policy))
