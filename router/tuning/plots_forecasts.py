"""Pictures of how good forecasts were, and of where savings come from."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from router.errors import ConfigError
from router.tuning.measure import mean_of
from router.tuning.plots import BLUE, GREEN, GREY, RED, new_figure
from router.tuning.traffic import Logged, Traffic

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_TICKS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50, 100]


def calibration(traffic: Traffic, *, bins: int = 10) -> Figure:
    """Forecast P(correct) of the answer that was served against the grades it got, by bins.

    Bins hold as many requests each. Where all outcomes are known, every candidate's count.

    Raises:
        ConfigError: no request has both quotes and a grade.
    """
    pairs = np.array([pair for request in traffic for pair in _graded(request)])
    if not len(pairs):
        raise ConfigError("traffic: expected decision records and grades, got none with both")
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    groups = [group for group in np.array_split(pairs, min(bins, len(pairs))) if len(group)]
    figure, axes = new_figure(
        f"Is P(correct) right? {len(pairs):,} graded answers", size=(6.0, 5.5)
    )
    axes.plot([0, 1], [0, 1], "--", color=GREY, lw=1.2, label="as forecast")
    means = [mean_of(group[:, 1], 0.95) for group in groups]
    x = [float(group[:, 0].mean()) for group in groups]
    y = [m.mean for m in means]
    low = [max(0.0, m.mean - max(0.0, m.low)) for m in means]
    high = [max(0.0, min(1.0, m.high) - m.mean) for m in means]
    axes.errorbar(x, y, [low, high], fmt="o-", color=BLUE, capsize=3, ms=5, label="graded, 95 %")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("forecast P(correct)")
    axes.set_ylabel("mean grade")
    axes.legend(loc="upper left", frameon=False)
    return figure


def forecast_error(traffic: Traffic) -> Figure:
    """Actual cost of each request over its forecast, by candidate: a box and its 5 % to 95 %.

    Raises:
        ConfigError: no request has both a forecast and a known cost.
    """
    ratios: dict[str, list[float]] = {}
    for request in traffic:
        for name, actual, expected, _ in _costs(request):
            if expected:
                ratios.setdefault(name, []).append(actual / expected)
    if not ratios:
        raise ConfigError("traffic: expected decision records and costs, got none with both")
    names = sorted(ratios, key=lambda name: float(np.median(ratios[name])))
    figure, axes = new_figure("Cost: actual over forecast", size=(8.0, 1.6 + 0.6 * len(names)))
    axes.axvline(1.0, color=GREY, ls="--", lw=1.2)
    boxes = axes.boxplot(
        [ratios[name] for name in names],
        orientation="horizontal",
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        widths=0.5,
    )
    for box in boxes["boxes"]:
        box.set(facecolor=BLUE, alpha=0.35, edgecolor=BLUE)
    for line in boxes["medians"]:
        line.set(color=RED, lw=2)
    axes.set_yticks(
        range(1, len(names) + 1), [f"{name}\n{len(ratios[name]):,} calls" for name in names]
    )
    axes.tick_params(axis="y", labelsize=8.5)
    axes.set_xscale("log")
    _ratio_ticks(axes.xaxis)
    axes.set_xlabel("actual / forecast (1 = as forecast; line: median, whiskers: 5 % to 95 %)")
    return figure


def coverage(traffic: Traffic) -> Figure:
    """The share of requests within the forecast's p90, by candidate, with its 95 % interval.

    Raises:
        ConfigError: as in `forecast_error`.
    """
    within: dict[str, list[float]] = {}
    for request in traffic:
        for name, actual, _, p90 in _costs(request):
            within.setdefault(name, []).append(float(actual <= p90))
    if not within:
        raise ConfigError("traffic: expected decision records and costs, got none with both")
    names = sorted(within)
    figure, axes = new_figure(
        "Share of requests that cost at most the forecast's p90",
        size=(8.0, 1.6 + 0.6 * len(names)),
    )
    axes.axvline(0.9, color=GREY, ls="--", lw=1.2, label="90 %, as promised")
    for at, name in enumerate(names):
        found = mean_of(np.array(within[name]), 0.95)
        low, high = max(0.0, found.low), min(1.0, found.high)
        axes.plot([low, high], [at, at], color=BLUE, lw=3, alpha=0.4)
        axes.plot([found.mean], [at], "o", color=BLUE, ms=7)
        axes.annotate(
            f"{found.mean:.1%}",
            (found.mean, at),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    axes.set_yticks(range(len(names)), [f"{name}\n{len(within[name]):,} calls" for name in names])
    axes.tick_params(axis="y", labelsize=8.5)
    axes.margins(x=0.08, y=0.25)
    axes.set_xlabel("share within p90")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    return figure


def waterfall(start: tuple[str, Decimal], steps: Sequence[tuple[str, Decimal]]) -> Figure:
    """From what a baseline would have cost down to what was spent: each step adds its USD.

    `steps` are such as ("cache", Decimal("-3.20")); the last bar is what is left.

    Raises:
        ConfigError: there are no steps.
    """
    if not steps:
        raise ConfigError("steps: expected at least one, got none")
    figure, axes = new_figure("Where the savings come from", size=(8.0, 4.6))
    axes.grid(visible=False, axis="x")
    left = start[1]
    bars = [(start[0], Decimal(0), left, GREY)]
    for name, change in steps:
        bars.append((name, min(left, left + change), abs(change), RED if change > 0 else GREEN))
        left += change
    bars.append(("spent", Decimal(0), left, BLUE))
    for at, (_, bottom, height, colour) in enumerate(bars):
        axes.bar(at, float(height), bottom=float(bottom), color=colour, width=0.6, alpha=0.85)
    tops = [float(bottom + height) for _, bottom, height, _ in bars]
    amounts = [start[1], *(change for _, change in steps), left]
    for at, (top, amount) in enumerate(zip(tops, amounts, strict=True)):
        sign = "+" if 0 < at < len(bars) - 1 else ""
        axes.annotate(
            _dollars(amount, sign),
            (at, top),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    axes.set_xticks(range(len(bars)), [_wrapped(name) for name, *_ in bars], fontsize=9)
    axes.set_ylabel("USD")
    axes.margins(y=0.12)
    return figure


def _dollars(amount: Decimal, sign: str = "") -> str:
    places = 2 if abs(amount) >= 1 else 4
    return f"{'-' if amount < 0 else sign}${abs(amount):,.{places}f}"


def _wrapped(name: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(name, 16))


def _graded(request: Logged) -> list[tuple[float, float]]:
    """Forecast and grade of each answer whose grade is known."""
    if request.record is None:
        return []
    quotes = {quote.name: quote for quote in request.record.quotes}
    if request.outcomes:
        return [(quotes[n].quality, o.score) for n, o in request.outcomes.items() if n in quotes]
    if request.quality is None or request.served not in quotes:
        return []
    return [(quotes[request.served].quality, request.quality)]


def _costs(request: Logged) -> list[tuple[str, float, float, float]]:
    """Candidate, actual cost, forecast and p90 of each answer whose cost is known."""
    if request.record is None:
        return []
    quotes = {quote.name: quote for quote in request.record.quotes}
    if request.outcomes:
        known = [(name, outcome.cost) for name, outcome in request.outcomes.items()]
    elif request.cost is not None and request.served == request.chosen:
        known = [(request.served, request.cost)]
    else:  # several answered: no one forecast is that of them all
        return []
    return [
        (name, float(pico), float(quotes[name].cost), float(quotes[name].cost_p90))
        for name, pico in known
        if name in quotes
    ]


def _ratio_ticks(axis: Any) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.set_major_locator(FixedLocator(_TICKS))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
