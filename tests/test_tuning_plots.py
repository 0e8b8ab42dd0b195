"""Pictures: they come without pyplot, show what they should, and their names do not overlap."""

from dataclasses import replace
from decimal import Decimal
from itertools import combinations

import pytest

from router import Client, ConfigError, cheapest, recorded_prompts, threshold, tuning, utility
from router.testing import FakeClock
from router.tuning import Traffic, plots_forecasts
from router.tuning.plots import frontier_figure

matplotlib = pytest.importorskip("matplotlib")
MODELS = [
    "mixtral-8x7b-instruct-v0.1@replay",
    "deepseek-v2.5@replay",
    "claude-3-5-sonnet-20241022@replay",
]


@pytest.fixture(scope="module")
def traffic():
    client = Client(ledger=":memory:", candidates=MODELS, now=FakeClock())
    return tuning.recorded(client, recorded_prompts(source="zeroeval")[:150])


def boxes(figure):
    """The places of the names beside points, in pixels."""
    renderer = figure.canvas.get_renderer()
    figure.draw(renderer)
    return [text.get_window_extent(renderer) for text in figure.axes[0].texts]


def test_a_frontier_is_readable_as_it_comes(traffic):
    """Single models, the oracle and the point in use are there; names are apart and inside."""
    found = tuning.frontier(traffic, point=utility("0.01"), progress=False)
    figure = found.plot()
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    said = [text.get_text() for text in axes.texts]
    assert said == [*(s.name for s in found.singles), "oracle (knows every grade)"]
    placed = boxes(figure)
    assert not any(a.overlaps(b) for a, b in combinations(placed, 2))
    room = axes.get_window_extent()
    assert all(room.x0 <= box.x0 and box.x1 <= room.x1 for box in placed)
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend[-1] == "in use: utility(0.01)"
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_points_in_a_crowd_keep_their_names_apart(traffic):
    """Five models at nearly one place are all named, and no name lies over another."""
    found = tuning.frontier(traffic, [cheapest()], progress=False)
    single = found.singles[1]
    crowd = tuple(
        replace(
            single,
            name=f"a-model-{i}@somewhere",
            cost_usd=single.cost_usd * (100 + 3 * i) / 100,
            quality=single.quality + 0.002 * i,
        )
        for i in range(5)
    )
    figure = frontier_figure(replace(found, singles=(*crowd, found.singles[0], found.singles[2])))
    placed = boxes(figure)
    assert len(placed) == 8
    assert not any(a.overlaps(b) for a, b in combinations(placed, 2))


def test_one_price_gets_a_plain_axis(traffic):
    """Costs that are close to each other stand on a linear axis."""
    found = tuning.sweep(traffic, {"a": utility("0.01"), "b": utility("0.011")}, progress=False)
    frontier = tuning.Frontier(
        points=found.points, singles=(), oracle=None, point=None, requests=len(traffic)
    )
    assert frontier.plot().axes[0].get_xscale() == "linear"


def test_a_sweep_shows_quality_and_cost(traffic):
    """Against the parameter of a family, else by the names of policies."""
    figure = tuning.sweep(traffic, tuning.family(utility), progress=False).plot()
    above, below = figure.axes
    assert below.get_xlabel() == "value_usd"
    assert below.get_xscale() == "log"
    assert len(above.lines[0].get_xdata()) == 37
    linear = tuning.sweep(traffic, tuning.family(threshold), progress=False).plot()
    assert linear.axes[1].get_xscale() == "linear"
    named = tuning.sweep(traffic, [cheapest(), utility("0.02")], progress=False).plot()
    assert [t.get_text() for t in named.axes[1].get_xticklabels()] == ["cheapest", "utility(0.02)"]


def test_forecasts_are_held_against_what_came(traffic):
    """Calibration counts every graded answer, error and coverage every known cost."""
    calibration = plots_forecasts.calibration(traffic)
    assert "450 graded answers" in calibration.get_suptitle()
    for draw in (plots_forecasts.forecast_error, plots_forecasts.coverage):
        labels = [t.get_text() for t in draw(traffic).axes[0].get_yticklabels()]
        assert sorted(label.partition("\n")[0] for label in labels) == sorted(MODELS)
        assert all(label.endswith("150 calls") for label in labels)
    for draw in (plots_forecasts.calibration, plots_forecasts.forecast_error):
        with pytest.raises(ConfigError, match="got none with both"):
            draw(Traffic([]))


def test_a_waterfall_ends_at_what_was_spent():
    """Each step begins where the one before ended."""
    steps = [("routing", Decimal(-60)), ("caches", Decimal(-15)), ("retries", Decimal(5))]
    axes = plots_forecasts.waterfall(("all to one", Decimal(100)), steps).axes[0]
    spans = [(b.get_y(), b.get_y() + b.get_height()) for b in axes.patches]
    assert spans == [(0, 100), (40, 100), (25, 40), (25, 30), (0, 30)]
    assert [t.get_text() for t in axes.texts] == [
        "$100.00",
        "-$60.00",
        "-$15.00",
        "+$5.00",
        "$30.00",
    ]
    with pytest.raises(ConfigError, match="at least one"):
        plots_forecasts.waterfall(("x", Decimal(1)), [])
