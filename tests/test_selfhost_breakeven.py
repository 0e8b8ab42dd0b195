"""Break-even by hand: replicas for a volume, the load from which a host is dearer, scenarios."""

from decimal import Decimal
from fractions import Fraction

import pytest
from catalogs import rate, small, utc
from hypothesis import given
from hypothesis import strategies as st

from router.catalog import Catalog
from router.errors import InvalidRequestError, UnknownModelError
from router.money import to_pico
from router.selfhost import Fleet, Flow, Mix, Point, rival, rivals, scenarios, sized

NOW = utc("2026-11-22T12:00")
FLEET = Fleet(
    gpus=2,
    usd_per_gpu_hour=to_pico("1.80"),
    curve=(Point(None, Flow(input_tokens=0, output_tokens=100)),),
    input_weight=Fraction(1, 10),
)
MIX = Mix(1000, 0, 100)  # two seconds of a replica each: 0.002 USD when it is saturated


def host(**columns):
    return small(rate(**columns)).rates("m@h", NOW)


def test_replicas_for_a_volume():
    """A month has 2,628,000 seconds: a million requests of two seconds fill 76 percent."""
    assert MIX.flow.tokens == 1100
    found = sized(FLEET, MIX, 1_000_000, 45)
    assert (found.replicas, found.gpus) == (2, 4)
    assert float(found.utilisation) == pytest.approx(2_000_000 / 2_628_000 / 2)
    assert found.usd == 2 * 2 * Decimal("1.80") * 730
    assert sized(FLEET, MIX, 1, 30).replicas == 1
    assert sized(FLEET, MIX, 1_000_000, 77).replicas == 1


@given(st.integers(1, 10**9), st.integers(1, 100))
def test_as_many_replicas_as_needed_and_no_more(requests, percent):
    """No replica is busier than asked for, and one less would be, unless there is only one."""
    found = sized(FLEET, MIX, requests, percent)
    assert found.utilisation <= Fraction(percent, 100)
    if found.replicas > 1:
        fewer = found.utilisation * found.replicas / (found.replicas - 1)
        assert fewer > Fraction(percent, 100)


def test_break_even_by_hand():
    """A host at 0.004 USD a request costs twice a saturated replica: half a replica's load."""
    found = rival(FLEET, MIX, "m@h", host(input="3", output="10"))
    assert found.usd_per_request == Decimal("0.004")
    assert found.utilisation == Fraction(1, 2)
    assert found.requests == 657_000  # 2 x 1.80 x 730 / 0.004
    assert found.tokens == 657_000 * 1100
    assert found.usd(1_000_000) == 4000


def test_cached_input_and_fees_count():
    """The mix's cached part is billed at the cached price, and a fee for each request."""
    rates = host(input="3", cache_read="0.3", output="10", per_request="0.001")
    found = rival(FLEET, Mix(1000, 500, 100), "m@h", rates)
    assert found.usd_per_request == Decimal("0.001") + (500 * 3 + 150 + 1000) / Decimal(10**6)


def test_never():
    """Cheaper than a saturated replica, or free: no load makes one's own pay."""
    cheap = rival(FLEET, MIX, "m@h", host(input="1", output="1"))
    assert cheap.utilisation > 1
    assert cheap.requests is cheap.tokens is None
    free = rival(FLEET, MIX, "m@h", host(input="0", output="0"))
    assert free.requests is None


@given(st.integers(1, 10**5), st.integers(1, 10**5))
def test_at_break_even_the_bills_are_equal(price_in, price_out):
    """At that many requests the host's bill is the replica's rent, to less than a request."""
    rates = host(input=f"{price_in / 1000:f}", output=f"{price_out / 1000:f}")
    found = rival(FLEET, MIX, "m@h", rates)
    if found.requests is not None:
        rent = sized(FLEET, MIX, 1, 100).usd
        assert found.usd(found.requests) >= rent > found.usd(found.requests - 1) - Decimal("1e-6")
        assert found.utilisation <= 1


@pytest.mark.parametrize("counts", [(-1, 0, 1), (1, 2, 1), (1, 0, 0), (1, -1, 1)])
def test_a_mix_that_makes_no_sense(counts):
    """More cached than read, nothing written, negative."""
    with pytest.raises(InvalidRequestError, match="mix: expected"):
        Mix(*counts)


def test_volumes_that_make_no_sense():
    """No requests; a load that is none."""
    for requests, percent in ((0, 45), (1, 0), (1, 101)):
        with pytest.raises(InvalidRequestError, match="at least 1 request"):
            sized(FLEET, MIX, requests, percent)


def test_rivals_are_the_hosts_that_sell_the_model():
    """The cheapest first; not one's own, the retired or recordings; baselines only when named."""
    catalog = Catalog.default()
    found = rivals(catalog, "deepseek-v3.2", FLEET, MIX, NOW, also=["gpt-4-turbo@openai"])
    names = [each.endpoint for each in found]
    assert {"deepseek-v3.2@deepinfra", "deepseek-v3.2@bedrock", "gpt-4-turbo@openai"} <= set(names)
    assert not {"deepseek-v3.2@vllm", "deepseek-v3.2@deepseek", "deepseek-v3.2@quoted"} & set(
        names
    )
    asked = [each.usd_per_request for each in found]
    assert asked == sorted(asked)
    live = {each.endpoint: each.live for each in found}
    assert live["deepseek-v3.2@deepinfra"] is True
    assert live["deepseek-v3.2@bedrock"] is live["gpt-4-turbo@openai"] is False
    with pytest.raises(UnknownModelError):
        rivals(catalog, "deepseek-v3.2", FLEET, MIX, NOW, also=["nobody@openai"])


def test_shipped_scenarios():
    """Their sources are named, and what the articles had wrong is set right."""
    known = scenarios()
    memory = {each.precision: each.gb for each in known.memory}
    assert memory == {"FP16": 1610, "FP8": 805, "NVFP4": 403}  # vLLM's recipe for the last two
    gpus = {gpu.name: gpu.needed(memory["FP8"]) for gpu in known.gpus}
    assert gpus == {"A100": 16, "H100": 16, "H200": 8}
    assert [gpu.needed(40) for gpu in known.gpus] == [1, 1, 1]
    assert [known.gpus[0].needed(gb) for gb in (81, 161, 321, 641)] == [2, 4, 8, 16]
    assert [volume.requests for volume in known.volumes] == [10**5, 10**6, 10**7, 5 * 10**7]
    for row in (*known.memory, *known.gpus, *(each.row for each in known.fleets)):
        assert row.source


def test_quoted_api_bills_are_200_tokens_in_and_100_out_at_gpt_4_turbo():
    """All four: our reading of what the articles compared with."""
    rates = Catalog.default().rates("gpt-4-turbo@openai", NOW)
    each = Mix(200, 0, 100).pico(rates)
    assert [v.quoted_api for v in scenarios().volumes] == [
        v.requests * each for v in scenarios().volumes
    ]


def test_one_node_never_beats_the_cheapest_host_of_v32():
    """By published figures 8 x H200, saturated, cost more than DeepInfra asks; scale pays."""
    node, scale = (each.row.fleet for each in scenarios().fleets)
    mix = Mix(1000, 0, 300)
    first = rivals(Catalog.default(), "deepseek-v3.2", node, mix, NOW)
    assert first[0].endpoint == "deepseek-v3.2@deepinfra"
    assert first[0].requests is None
    assert {r.endpoint: r.requests is None for r in first}["deepseek-v3.2@azure"] is False
    assert rivals(Catalog.default(), "deepseek-v3.2", scale, mix, NOW)[0].utilisation < 1


def test_input_weight_of_the_one_node_scenario():
    """Two measured mixes, both saturated, give the weight by two equations."""
    read, written = Fraction(4725), Fraction(4243)
    longer, shorter = Fraction(26393), Fraction(1320)
    y = (1 - read / longer) / (written - shorter * read / longer)
    x = (1 - shorter * y) / longer
    assert float(x / y) == pytest.approx(0.135, abs=5e-4)
