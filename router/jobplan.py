"""A job's forecast: its totals, who would answer, and whether the budgets hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from classifiers.scores import Quantiles
from router.money import exact_usd, to_usd
from router.outlook import Forecast
from router.shown import dollars, grid, lasting


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One request of a job: who would answer, and its forecast.

    Of a conversation `forecast` is its first turn's; `input_tokens` and the costs (pico-dollars,
    None without a known price) are those of all its `turns`. `cost_ceiling` holds for calls sent
    within the job's span, `forecast.cost_ceiling` for one that is sent now.
    """

    candidate: str
    turns: int
    forecast: Forecast
    input_tokens: int
    cost: int | None
    cost_p90: int | None
    cost_ceiling: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What goes to one candidate; costs in pico-dollars, None where one is not known."""

    requests: int
    cost: int | None
    ceiling: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Whether a budget's remainder (`left`, pico-dollars) holds the requests it applies to.

    At their p90 together, and at their ceilings; None where a price is not known.
    """

    budget: str
    hard: bool
    left: int
    p90_fits: bool | None
    ceiling_fits: bool | None

    @property
    def left_usd(self) -> Decimal:
        """What is left in USD."""
        return to_usd(self.left)

    def __str__(self) -> str:
        words = {True: "fits", False: "does not fit", None: "is not known"}
        return (
            f"{self.budget}: {exact_usd(self.left)} left; the p90 {words[self.p90_fits]}, "
            f"the ceiling {words[self.ceiling_fits]}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """What many requests would take together, forecast without spending.

    `cost` is expected, `cost_p10` to `cost_p99` are quantiles of the total, both as if all were
    sent now; `ceiling` is the sum of the ceilings of calls sent at any time `within` from now on,
    each answered once by the candidate chosen; `sum_of_p90` stands beside for comparison. All are
    pico-dollars, and None where the price of a candidate in `unpriced` is not known. `tokens` is
    the total output, `input_tokens` the total input expected. `notes` say what is to be said of
    the prices, and which turns were left out. As text, it is its table.
    """

    requests: tuple[Item, ...]
    input_tokens: int
    tokens: Quantiles
    cost: int | None
    cost_p10: int | None
    cost_p50: int | None
    cost_p90: int | None
    cost_p99: int | None
    ceiling: int | None
    sum_of_p90: int | None
    within: timedelta
    unpriced: tuple[str, ...] = ()
    budgets: tuple[Fit, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def cost_usd(self) -> Decimal | None:
        """The expected total in USD."""
        return _usd(self.cost)

    @property
    def cost_p10_usd(self) -> Decimal | None:
        """The total in USD that one job in ten stays below."""
        return _usd(self.cost_p10)

    @property
    def cost_p50_usd(self) -> Decimal | None:
        """The median total in USD."""
        return _usd(self.cost_p50)

    @property
    def cost_p90_usd(self) -> Decimal | None:
        """The total in USD that one job in ten exceeds."""
        return _usd(self.cost_p90)

    @property
    def cost_p99_usd(self) -> Decimal | None:
        """The total in USD that one job in a hundred exceeds."""
        return _usd(self.cost_p99)

    @property
    def ceiling_usd(self) -> Decimal | None:
        """The most in USD that all of it can cost if each call is sent `within`, and answered
        once by the candidate chosen: a second answer, as of a cascade, is not in it.
        """
        return _usd(self.ceiling)

    @property
    def sum_of_p90_usd(self) -> Decimal | None:
        """The sum of each request's own p90 in USD, for comparison.

        The total's p90 is usually below it for many independent answers; it need not be where
        tails are heavy, or answers are long together.
        """
        return _usd(self.sum_of_p90)

    @property
    def by_candidate(self) -> Mapping[str, Share]:
        """Requests and expected cost by the candidate that would answer."""
        found: dict[str, list[Item]] = {}
        for item in self.requests:
            found.setdefault(item.candidate, []).append(item)
        return {
            name: Share(
                requests=len(items),
                cost=_sum([i.cost for i in items]),
                ceiling=_sum([i.cost_ceiling for i in items]),
            )
            for name, items in found.items()
        }

    def __str__(self) -> str:
        rows = [
            [name, f"{share.requests:,}", dollars(share.cost), dollars(share.ceiling)]
            for name, share in self.by_candidate.items()
        ]
        rows.append(
            ["together", f"{len(self.requests):,}", dollars(self.cost), dollars(self.ceiling)]
        )
        lines = grid(("candidate", "requests", "expected", "ceiling"), rows)
        if self.unpriced:
            lines.append(f"no total: the price of {', '.join(self.unpriced)} is not known")
        else:
            quantiles = (self.cost_p10, self.cost_p50, self.cost_p90, self.cost_p99)
            p10, p50, p90, p99 = map(dollars, quantiles)
            lines.append(f"total: p10 {p10}, p50 {p50}, p90 {p90}, p99 {p99}")
            lines.append(f"the sum of all p90s would be {dollars(self.sum_of_p90)}")
        lines.append(
            f"tokens: {self.input_tokens:,} in, {self.tokens.mean:,.0f} out expected, "
            f"p90 {self.tokens.p90:,.0f}"
        )
        lines.append(f"ceilings: of calls sent within {lasting(self.within)}")
        return "\n".join([*lines, *map(str, self.budgets), *(f"note: {n}" for n in self.notes)])


def _usd(pico: int | None) -> Decimal | None:
    return None if pico is None else to_usd(pico)


def _sum(amounts: list[int | None]) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None
