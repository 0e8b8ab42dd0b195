"""The document of placements: what it must hold, and what is refused by name."""

from __future__ import annotations

import copy
import json
import math
from importlib import resources

import pytest

from classifiers.placement import Curve, Placement, Placements, logistic, parse, scaled
from classifiers.scores import Quantiles
from classifiers.store import shipped_placements


@pytest.fixture
def document() -> dict:
    file = resources.files("classifiers") / "data" / "placements.json"
    return json.loads(file.read_text(encoding="utf-8"))


def test_every_shipped_figure_has_a_source(document) -> None:
    """Published, proxy or assumed, and where it is from."""
    figures = [*document["thinking_tokens"]["points"], document["log_sigma"]]
    figures.append(document["reasoning_share"])
    for entry in document["profiles"].values():
        figures += entry["published"].values()
        figures += [entry[key] for key in ("gain",) if key in entry]
        lengths = entry["lengths"]
        figures += [lengths[key] for key in ("mean_tokens", "token_ratio") if key in lengths]
    assert len(figures) > 20
    for figure in figures:
        assert figure["source"]
        assert figure["status"] in {"published", "proxy", "assumed"}
    for placement in shipped_placements().profiles.values():
        assert all(0 < value < 1 for value in placement.published.values())


def _set(document, path, value):
    *parents, last = path
    for key in parents:
        document = document[key]
    document[last] = value


THINKING = ("profiles", "deepseek-v3.2:thinking")


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        (("format",), "placements/1", "'placements/2', got 'placements/1'"),
        (("format",), None, "got None"),
        ((*THINKING, "lengths", "kind"), "guessed", "thinking: unknown kind 'guessed'"),
        ((*THINKING, "lengths", "base"), "nobody", "base 'nobody' is not placed"),
        ((*THINKING, "floor"), "nobody", "floor 'nobody' is not placed"),
        ((*THINKING, "published"), {"nosuch": {"value": 0.5}}, "unknown benchmark 'nosuch'"),
        (("thinking_tokens", "points"), [{"p": 0.1, "value": 9}], "two points or more"),
        (("thinking_tokens", "points"), [{"p": 0.5, "value": 9}] * 2, "rising p"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(document, path, value, match) -> None:
    _set(document, path, value)
    with pytest.raises(ValueError, match=match):
        parse(document)


def test_parsing_leaves_the_document_alone(document) -> None:
    before = copy.deepcopy(document)
    assert parse(document) == parse(document)
    assert document == before


def placements(**like):
    """Profiles that are like each other, nothing else."""
    curve = Curve((0.0, 1.0), (8.0, 5.0))
    profiles = {name: Placement(other, {}, "pool") for name, other in like.items()}
    return Placements({}, profiles, curve, 0.8, 0.9)


def test_profiles_come_after_those_they_are_like() -> None:
    """Others than the placed ones are there already."""
    order = placements(a="b", b="c", c=None, d="gpt-4o").order()
    assert sorted(order) == ["a", "b", "c", "d"]
    assert order.index("c") < order.index("b") < order.index("a")


@pytest.mark.parametrize(
    "like", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "a", "c": None}]
)
def test_profiles_like_each_other_have_no_order(like) -> None:
    with pytest.raises(ValueError, match="like each other"):
        placements(**like).order()


def test_a_curve_is_linear_between_its_points_and_flat_outside() -> None:
    curve = Curve((0.0, 0.5, 1.0), (1.0, 2.0, 0.0))
    asked = [-1.0, 0.0, 0.25, 0.5, 0.75, 1.0, 7.0]
    assert [curve(x) for x in asked] == [1.0, 1.0, 1.5, 2.0, 1.0, 0.0, 0.0]


def test_thinking_is_longer_the_harder_the_prompt() -> None:
    """Ordered quantiles around the mean of the curve."""
    shipped = shipped_placements()
    found = [shipped.thinking_tokens(logit) for logit in (-6.0, 0.0, 6.0)]
    assert found[0].mean > found[1].mean > found[2].mean > 0
    for q in found:
        assert q.p10 < q.p50 < q.mean < q.p90 < q.p99
    assert shipped.thinking_tokens(-1e9) == shipped.thinking_tokens(-1e6)


def test_scaled_and_logistic() -> None:
    assert scaled(Quantiles(1, 2, 3, 4, 2.5), 2.0) == Quantiles(2, 4, 6, 8, 5)
    assert [logistic(x) for x in (-1e9, 0.0, 1e9)] == [0.0, 0.5, 1.0]
    assert logistic(1.3) == pytest.approx(1 / (1 + math.exp(-1.3)), abs=1e-15)
