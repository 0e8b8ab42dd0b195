"""The document of placements: what it must hold, and what is refused by name."""

from __future__ import annotations

import copy
import json
import math
from importlib import resources

import pytest

from classifiers.placement import Anchor, Placement, Placements, logistic, parse
from classifiers.store import shipped_placements


@pytest.fixture
def document() -> dict:
    file = resources.files("classifiers") / "data" / "placements.json"
    return json.loads(file.read_text(encoding="utf-8"))


def test_every_shipped_figure_has_a_source(document) -> None:
    """Published, proxy or assumed, and where it is from."""
    figures = [*document["thinking_tokens"]["means"], *document["effort"]["factors"].values()]
    for entry in document["profiles"].values():
        figures += entry["published"].values()
        figures += [entry[key] for key in ("gain",) if key in entry]
        lengths = entry["lengths"]
        figures += [lengths[key] for key in ("mean_tokens", "token_ratio") if key in lengths]
    assert len(figures) > 20
    for figure in figures:
        assert figure["source"]
        assert figure["status"] in {"published", "proxy", "assumed"}
    for figure in _values(document):
        assert set(figure) >= {"value", "status", "source"}
    shipped = shipped_placements()
    for placement in shipped.profiles.values():
        assert all(0 < value < 1 for value in placement.published.values())
        assert placement.token_ratio >= 1.0
    assert all(100 < anchor.mean_tokens < 50_000 for anchor in shipped.thinking)
    assert all(0.25 <= factor <= 4.0 for factor in shipped.effort.values())
    assert {"low", "medium", "high"} <= set(shipped.effort)


def _values(node):
    """Every mapping anywhere that holds a value."""
    if isinstance(node, dict):
        if "value" in node:
            yield node
        for child in node.values():
            yield from _values(child)
    elif isinstance(node, list):
        for child in node:
            yield from _values(child)


def _set(document, path, value):
    *parents, last = path
    for key in parents:
        document = document[key]
    document[last] = value


THINKING = ("profiles", "deepseek-v3.2:thinking")


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        (("format",), "placements/2", "'placements/3', got 'placements/2'"),
        (("format",), None, "got None"),
        ((*THINKING, "lengths", "kind"), "guessed", "thinking: unknown kind 'guessed'"),
        ((*THINKING, "lengths", "base"), "nobody", "base 'nobody' is not placed"),
        ((*THINKING, "floor"), "nobody", "floor 'nobody' is not placed"),
        ((*THINKING, "published"), {"nosuch": {"value": 0.5}}, "unknown benchmark 'nosuch'"),
        (("thinking_tokens", "means"), [], "means above 0, each with its prompts"),
        (("thinking_tokens", "means"), [{"parts": [], "value": 9}], "means above 0"),
        (("thinking_tokens", "means"), [{"parts": [["a", "b"]], "value": 0}], "means above 0"),
        (
            ("thinking_tokens", "means"),
            [{"parts": [["a", "b"]], "value": float("nan")}],
            "means above 0",
        ),
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
    profiles = {name: Placement(other, {}, "pool") for name, other in like.items()}
    return Placements({}, profiles, (Anchor((("s", "d"),), 900.0),), {"low": 0.5})


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


def test_anchors_and_efforts_are_read_as_written(document) -> None:
    """Mean tokens on their (source, data set), and a factor for each effort."""
    found = parse(document)
    (first, *_), written = found.thinking, document["thinking_tokens"]["means"]
    assert len(found.thinking) == len(written)
    assert first == Anchor((("qwen3_think_nothink", "aime25"),), 16_000.0)
    assert found.effort["low"] == 0.5
    assert found.profiles["deepseek-v3.2-speciale"].token_ratio == 1.65
    assert found.profiles["deepseek-v3.2"].mean_tokens == 490.0


def test_logistic() -> None:
    """At the ends of the range, too."""
    assert [logistic(x) for x in (-1e9, 0.0, 1e9)] == [0.0, 0.5, 1.0]
    assert logistic(1.3) == pytest.approx(1 / (1 + math.exp(-1.3)), abs=1e-15)
