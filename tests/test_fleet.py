"""What one's own GPUs cost a token: amortised and marginal, over load, by hand and as laws."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.catalog.fleet import STEPS, Fleet, Flow, Point
from router.money import to_pico


def point(in_flight, output, read=0, cached=0):
    flow = Flow(
        input_tokens=Fraction(read), cache_read_tokens=Fraction(cached), output_tokens=output
    )
    return Point(None if in_flight is None else Fraction(str(in_flight)), flow)


def paper(gpus, hourly, *points):
    """A configuration of arXiv 2606.11690: in flight, output tokens a second, twice that in."""
    curve = [point(c, Fraction(str(out)), 2 * Fraction(str(out))) for c, out in points]
    return Fleet(gpus=gpus, usd_per_gpu_hour=to_pico(hourly), curve=tuple(curve))


MIXTRAL = paper(
    2, "3.67", (7.57, 252.6), (55.1, 1182.7), (199.6, 1974.1), (273.3, 2342.3), (358.3, 2346.7)
)


def usd(pico):
    return pico / 10**12


def test_amortised_by_hand():
    """2 x 3.67 USD an hour over 7,040.1 tokens a second at 45 percent: 0.6436 USD a million."""
    price = MIXTRAL.amortised(45)
    assert usd(price.input) == usd(price.cache_read) == usd(price.output) == 0.6436
    by_hand = 2 * 3.67 / 3600 / 7040.1 / 0.45 * 1e6
    assert by_hand == pytest.approx(0.6436, abs=5e-5)


def test_the_spread_of_the_paper():
    """Rent over output tokens alone: from 0.21 USD (saturated) to 15.25 (one request a second)."""
    qwen = Fleet(
        gpus=1, usd_per_gpu_hour=to_pico("6.98"), curve=(point(None, Fraction("9271.04")),)
    )
    assert usd(qwen.amortised(100).output) == pytest.approx(0.2091, abs=1e-4)
    served = Fraction("254.229"), Fraction("4454.32")
    mixtral = Fleet(gpus=2, usd_per_gpu_hour=to_pico("6.98"), curve=(point(None, served[1]),))
    used = mixtral.utilisation(Flow(output_tokens=served[0]))
    assert usd(mixtral.amortised(100).output) / float(used) == pytest.approx(15.25, rel=1e-3)
    assert mixtral.step(used) == 5


def test_marginal_is_what_the_curve_slows_down_by():
    """The slope of seconds per token over requests in flight, on the lower hull of the curve."""
    in_flight, work = (
        (Fraction("7.57"), Fraction("273.3")),
        (Fraction("757.8"), Fraction("7026.9")),
    )
    slope = (in_flight[1] / work[1] - in_flight[0] / work[0]) / (in_flight[1] - in_flight[0])
    expected = 2 * 3.67 / 3600 * float(slope) * 1e6
    assert usd(MIXTRAL.marginal(30).output) == pytest.approx(expected, rel=1e-3)
    assert 0.76 < usd(MIXTRAL.marginal(30).output) / usd(MIXTRAL.amortised(100).output) < 0.78


def test_saturated_both_are_equal():
    """With no room left one more token costs what a token costs."""
    assert MIXTRAL.marginal(100) == MIXTRAL.amortised(100)


def test_a_single_point_counts_as_saturated():
    """Without a curve nobody knows how little one more token takes: the most is assumed."""
    fleet = paper(1, "2", (None, 100))
    assert {fleet.marginal(p) for p in STEPS} == {fleet.amortised(100)}
    assert fleet.in_flight(50) is None


def test_a_curve_without_slow_down_is_not_free():
    """Where throughput grows in step with load, the first stretch that slows down counts."""
    fleet = paper(1, "2", (1, 100), (2, 200), (4, 300), (8, 320))
    slopes = [usd(fleet.marginal(p).output) for p in (1, 30, 60, 80, 99)]
    assert min(slopes) > 0
    assert slopes[0] == slopes[1] == usd(fleet.marginal(90).output)
    never = paper(1, "2", (1, 100), (2, 200))
    assert never.marginal(10) == never.amortised(100)


def test_tokens_weigh_what_they_take():
    """Fresh input, cached input and output cost by their GPU time; absent: cached as fresh."""
    curve = (point(None, Fraction(500), 1000, 400),)
    weights = {"input_weight": Fraction("0.2"), "cached_weight": Fraction("0.02")}
    fleet = Fleet(gpus=1, usd_per_gpu_hour=to_pico("3.6"), curve=curve, **weights)
    assert fleet.capacity == 500 + 600 * Fraction("0.2") + 400 * Fraction("0.02")
    price = fleet.amortised(100)
    assert price.input == pytest.approx(price.output * 0.2, rel=1e-3)
    assert price.cache_read == pytest.approx(price.output * 0.02, rel=1e-3)
    plain = Fleet(gpus=1, usd_per_gpu_hour=to_pico("3.6"), curve=curve)
    assert plain.amortised(100).cache_read == plain.amortised(100).input


def test_utilisation_and_its_steps():
    """A load is a part of all replicas' capacity; prices know it in steps, rounded down."""
    two = Fleet(
        gpus=2, usd_per_gpu_hour=10**12, curve=MIXTRAL.curve, replicas=2, least_utilisation=7
    )
    half = Flow(input_tokens=Fraction("4693.4"), output_tokens=Fraction("2346.7"))
    assert two.utilisation(half) == Fraction(1, 2)
    assert two.rent == 4 * 10**12
    steps = {0: 7, 0.01: 7, 0.079: 7, 0.08: 8, 0.449: 40, 0.45: 45, 0.999: 95, 1: 100, 3: 100}
    assert {u: two.step(Fraction(str(u))) for u in steps} == steps
    assert two.amortised(1) == two.amortised(7)


def test_in_flight_is_the_curve_read_backwards():
    """The measured points are met, and between them the way is straight."""
    assert MIXTRAL.in_flight(100) == Fraction("358.3")
    percent = Fraction("1182.7") / Fraction("2346.7") * 100
    below, above = MIXTRAL.in_flight(int(percent)), MIXTRAL.in_flight(int(percent) + 1)
    assert below < Fraction("55.1") < above


def test_it_explains_itself():
    """Rent, capacity and both prices with their reason, a line each."""
    text = "\n".join(MIXTRAL.explain(45))
    for part in ("$7.34 an hour", "7,040 output tokens", "$0.6436 out", "45%", "77%"):
        assert part in text
    assert "without a curve" in paper(1, "2", (None, 100)).explain(45)[-1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"gpus": 0}, "gpus above zero"),
        ({"replicas": -1}, "replicas above zero"),
        ({"usd_per_gpu_hour": 0}, "usd_per_gpu_hour above zero"),
        ({"input_weight": Fraction(0)}, "input_weight above zero"),
        ({"cached_weight": Fraction(0)}, "cached_weight above zero"),
        ({"least_utilisation": 0}, "1 to 100"),
        ({"curve": ()}, "at least one point"),
        ({"curve": (point(None, 0),)}, "above zero"),
        ({"curve": (point(None, 1, 2, 3),)}, "cached ones within the input"),
        ({"curve": (point(None, 1), point(2, 2))}, "rise by in_flight"),
        ({"curve": (point(2, 1), point(2, 2))}, "rise by in_flight"),
        ({"curve": (point(0, 1), point(2, 2))}, "rise by in_flight"),
    ],
)
def test_what_makes_no_sense_is_refused(change, says):
    """The error names what was expected."""
    good = {"gpus": 1, "usd_per_gpu_hour": 1, "curve": (point(None, 1),)}
    with pytest.raises(ValueError, match=says):
        Fleet(**(good | change))


@st.composite
def fleets(draw):
    count = draw(st.integers(1, 5))
    rising = st.lists(st.integers(1, 500), min_size=count, max_size=count, unique=True)
    loads = sorted(draw(rising))
    curve = [
        point(c, Fraction(draw(st.integers(1, 9000))), draw(st.integers(0, 9000))) for c in loads
    ]
    return Fleet(
        gpus=draw(st.integers(1, 64)),
        usd_per_gpu_hour=draw(st.integers(1, 10**14)),
        curve=tuple(curve),
        replicas=draw(st.integers(1, 9)),
        input_weight=Fraction(draw(st.integers(1, 200)), 100),
    )


@given(fleets(), st.sampled_from(STEPS))
def test_amortised_bills_pay_the_rent(fleet, percent):
    """What is served at so many percent, billed at that price, is the rent: at most 0.1% over."""
    work = fleet.capacity * fleet.replicas * Fraction(percent, 100) * 3600
    billed = work * fleet.amortised(percent).output / 10**6
    assert fleet.rent <= billed
    slack = Fraction(1, 999) * fleet.rent + work / 10**6  # four digits, and a whole pico-dollar
    assert billed <= fleet.rent + slack


@given(fleets())
def test_prices_over_load_are_in_order(fleet):
    """Busier: amortised falls, marginal rises, and never above a saturated token or to zero."""
    amortised = [fleet.amortised(p).output for p in STEPS]
    marginal = [fleet.marginal(p).output for p in STEPS]
    assert all(a >= b for a, b in pairwise(amortised))
    assert all(a <= b for a, b in pairwise(marginal))
    assert 0 < marginal[0] <= marginal[-1] == amortised[-1]


@given(fleets(), st.integers(1, 99))
def test_a_load_has_its_requests_in_flight(fleet, percent):
    """More load, more requests in flight, and never beyond where the curve saturates."""
    found = [fleet.in_flight(p) for p in (percent, percent + 1)]
    assert 0 < found[0] < found[1] <= fleet.curve[-1].in_flight
