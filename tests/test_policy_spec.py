"""Policies as data: there and back, and a fingerprint that is the same everywhere."""

import json
import pickle
import subprocess
import sys
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import (
    cascade,
    cheapest,
    cheapest_adequate,
    constrained,
    explore,
    fingerprint,
    first_of,
    from_spec,
    pacing,
    restrict,
    sparing,
    threshold,
    to_spec,
    utility,
)

SHARE = st.floats(0, 1)
SOME = st.floats(0, 1, exclude_min=True)
Z = st.floats(0, 10)
AMOUNT = st.decimals("0.000001", "100", places=6) | st.sampled_from([0.01, 1, "2.50", "1e-9"])
WAIT = AMOUNT | st.just(0)
NAME = st.text("abc*@", min_size=1, max_size=5)
NAMES = st.lists(NAME, max_size=3)
FLAG = st.none() | st.booleans()


def maybe(strategy):
    return st.none() | strategy


SINGLE = (
    st.just(cheapest())
    | st.builds(cheapest_adequate, SHARE, z=Z, max_cost_usd=maybe(AMOUNT))
    | st.builds(threshold, SHARE, default=maybe(NAME), z=Z)
    | st.builds(utility, AMOUNT, wait_usd_per_hour=WAIT, default=maybe(NAME), z=Z)
    | st.builds(cascade, AMOUNT, catches=SHARE, overlap=SHARE, max_stages=st.integers(1, 2))
    | st.builds(
        pacing,
        AMOUNT,
        strength=st.floats(0.1, 50),
        reserve=SHARE,
        profile=maybe(st.lists(st.floats(0.1, 9), min_size=24, max_size=24)),
    )
)


def _around(inner):
    return (
        st.builds(sparing, inner, SOME)
        | st.builds(explore, inner, SOME, max_cost_usd=maybe(AMOUNT))
        | st.builds(
            constrained,
            inner,
            regions=NAMES,
            allow=NAMES,
            deny=NAMES,
            max_seconds=maybe(st.floats(0.1, 99)),
            max_cost_usd=maybe(AMOUNT),
            quality_floors=st.dictionaries(st.sampled_from(["a=b", "c=d", "a=c"]), SHARE),
        )
        | st.builds(
            lambda policy, patterns, **rest: restrict(policy, *patterns, **rest),
            inner,
            NAMES,
            self_hosted=FLAG,
            thinking=FLAG,
            min_quality=SHARE,
        )
        | st.lists(inner, min_size=1, max_size=3).map(lambda many: first_of(*many))
    )


POLICIES = st.recursive(SINGLE, _around, max_leaves=4)


@given(POLICIES)
def test_there_and_back(policy):
    """A spec survives JSON and makes an equal policy with the same hash, spec and fingerprint."""
    spec = to_spec(policy)
    assert json.loads(json.dumps(spec, allow_nan=False)) == spec
    again = from_spec(json.loads(json.dumps(spec)))
    assert again == policy
    assert hash(again) == hash(policy)
    assert to_spec(again) == spec
    assert fingerprint(again) == fingerprint(policy)
    assert (str(again), repr(again)) == (str(policy), repr(policy))


@given(POLICIES)
def test_a_repr_can_be_evaluated_and_a_policy_pickled(policy):
    """Both give an equal policy."""
    assert eval(repr(policy)) == policy
    assert pickle.loads(pickle.dumps(policy)) == policy  # noqa: TID251 - our own bytes


def test_a_spec_by_hand():
    """Parameters by name, defaults included, money as text, the policies inside under `of`."""
    assert to_spec(sparing(utility(0.01))) == {
        "policy": "sparing",
        "share": 0.05,
        "of": {
            "policy": "utility",
            "value_usd": "0.01",
            "wait_usd_per_hour": "0",
            "default": None,
            "z": 0.5,
        },
    }
    both = first_of(restrict(cheapest(), "a*", thinking=True), cheapest())
    assert to_spec(both) == {
        "policy": "first_of",
        "of": [
            {
                "policy": "restrict",
                "of": {"policy": "cheapest"},
                "patterns": ["a*"],
                "self_hosted": None,
                "thinking": True,
                "min_quality": 0.0,
            },
            {"policy": "cheapest"},
        ],
    }
    assert from_spec({"policy": "utility", "value_usd": Decimal("0.010")}) == utility()


def mine(quotes, context):
    raise AssertionError("never called")


class Mine:
    __call__ = mine


def test_strangers_have_no_spec():
    """A callable of one's own cannot be written down, alone or inside of a policy."""
    for policy in (mine, sparing(mine), first_of(cheapest(), Mine())):
        with pytest.raises(ValueError, match=r"^policy: expected one of cascade, .*; got"):
            to_spec(policy)


def test_strangers_are_known_by_name():
    """Their fingerprint is their name; inside of a policy it goes into the digits."""
    assert fingerprint(mine) == f"{__name__}.mine"
    assert fingerprint(Mine()) == f"{__name__}.Mine"
    assert fingerprint(partial(mine)).endswith(".partial")
    assert len(fingerprint(sparing(mine))) == 12
    assert fingerprint(sparing(mine)) != fingerprint(sparing(Mine()))


def test_fingerprints():
    """Written out, so that a change which would orphan logs is seen; equal in every process."""
    assert fingerprint(utility("0.010")) == fingerprint(utility(0.01))
    assert fingerprint(utility("0.02")) != fingerprint(utility(0.01))
    code = "from policies import *; print(fingerprint(sparing(utility())))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == fingerprint(sparing(utility())) == "80790f16884e"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("cheapest", r"expected a policy as a table or mapping, got 'cheapest'"),
        ({}, r"policy: expected one of cascade, .*; got None"),
        ({"policy": "dearest"}, r"policy: expected one of .*; got 'dearest'"),
        ({"policy": ["utility"]}, r"policy: expected one of .*; got \['utility'\]"),
        ({"policy": "cheapest", "z": 1}, "z: cheapest has no such parameter; expected no"),
        ({"policy": "utility", "of": {}}, "of: utility has no such parameter; expected value_usd"),
        ({"policy": "utility", "z": "1"}, "z: expected 0 or more, got '1'"),
        ({"policy": "sparing"}, "of: expected a policy as a table or mapping, got None"),
        ({"policy": "sparing", "policies": []}, "policies: sparing has no such"),
        (
            {"policy": "sparing", "of": {"policy": "utility", "value_usd": 0}},
            r"of\.value_usd: expected an amount above 0",
        ),
        ({"policy": "first_of", "of": {}}, r"of: expected a list of policies, got \{\}"),
        ({"policy": "first_of", "of": []}, "policies: expected one or more, got none"),
        (
            {"policy": "first_of", "of": [{"policy": "cheapest"}, {"policy": "x"}]},
            r"of\[1\]\.policy: expected",
        ),
        (
            {"policy": "restrict", "of": {"policy": "cheapest"}, "patterns": "a*"},
            "patterns: expected a sequence of texts, got 'a",
        ),
        (
            {"policy": "restrict", "of": {"policy": "cheapest"}, "patterns": [1]},
            "patterns: expected a sequence of texts",
        ),
    ],
)
def test_bad_specs(spec, says):
    """The message says where, what was expected, and what came."""
    with pytest.raises(ValueError, match=f"^{says}"):
        from_spec(spec)
