"""The rows that hold money: `[[rate]]` and `[[exchange]]`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from itertools import pairwise
from typing import Literal

from pydantic import Field, model_validator

from router.catalog.fields import EPOCH, Amount, Currency, EndpointName, Instant, Row, Tokens

ServiceTier = Literal["batch", "flex", "priority"]


class Prices(Row):
    """1e-12 units of the row's currency per million tokens.

    An absent cache price is the input price; an absent `cache_write_1h` is `cache_write`.
    """

    input: Amount
    cache_read: Amount | None = None
    cache_write: Amount | None = None
    cache_write_1h: Amount | None = None
    """Writing to a cache that keeps an hour (Anthropic's longer time to live)."""
    output: Amount


class Tier(Prices):
    """Prices of a request, all of it, that has more input tokens than `above_input_tokens`."""

    above_input_tokens: Tokens


class ServicePrices(Prices):
    """Prices of a service tier. Where the row has `tiers` and this has none, long requests of
    this service tier have no known price.
    """

    tiers: tuple[Tier, ...] = ()

    @model_validator(mode="after")
    def _tiers_rise(self) -> ServicePrices:
        _rising(self.tiers)
        return self


class Rate(Row):
    """What an endpoint charges from `valid_from` until the next row, `valid_to` or its end.

    Either one set of prices, with `tiers` by length of input and sets for service tiers, or a
    `schedule` with `peak` and `off_peak` sets. `withdrawn` is when an announcement was called
    off: such a row counts only for what was known before.
    """

    endpoint: EndpointName
    valid_from: Instant = EPOCH
    valid_to: Instant | None = None
    known_since: Instant | None = None
    """When it was announced or first seen; absent: at `valid_from`."""
    withdrawn: Instant | None = None
    currency: Currency = "USD"
    input: Amount | None = None
    cache_read: Amount | None = None
    cache_write: Amount | None = None
    cache_write_1h: Amount | None = None
    output: Amount | None = None
    per_request: Amount = 0
    """Currency units a request costs beside its tokens."""
    tiers: tuple[Tier, ...] = ()
    batch: ServicePrices | None = None
    flex: ServicePrices | None = None
    priority: ServicePrices | None = None
    schedule: str | None = None
    peak: Prices | None = None
    off_peak: Prices | None = None
    source: str = Field(min_length=1)
    checked: date

    @property
    def known(self) -> datetime:
        """Since when this price can have been known."""
        return self.known_since or self.valid_from

    @model_validator(mode="after")
    def _one_shape(self) -> Rate:
        amounts = (self.input, self.cache_read, self.cache_write, self.cache_write_1h, self.output)
        sets = (self.tiers or None, self.batch, self.flex, self.priority)
        if self.schedule is None:
            if self.peak or self.off_peak:
                raise ValueError("expected a schedule beside peak and off_peak")
            if self.input is None or self.output is None:
                raise ValueError("expected input and output, or a schedule with peak and off_peak")
        elif (
            self.peak is None
            or self.off_peak is None
            or any(p is not None for p in (*amounts, *sets))
        ):
            raise ValueError(
                "expected peak and off_peak, and no other prices, tiers or service tiers, beside "
                "a schedule"
            )
        _rising(self.tiers)
        return self

    @model_validator(mode="after")
    def _in_order(self) -> Rate:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError(f"expected valid_to after valid_from, got {self.valid_to}")
        if self.withdrawn is not None and self.withdrawn <= self.known:
            raise ValueError(
                "expected withdrawn after known_since (left out: after valid_from), the instant "
                f"of the announcement; got {self.withdrawn}"
            )
        return self


class Exchange(Row):
    """What one unit of a currency is worth in USD, from `valid_from` until the next row."""

    currency: Currency
    valid_from: Instant = EPOCH
    usd: Amount
    source: str = Field(min_length=1)
    checked: date

    @model_validator(mode="after")
    def _sane(self) -> Exchange:
        if self.currency == "USD":
            raise ValueError("expected another currency than USD")
        if self.usd == 0:
            raise ValueError("expected a value above zero")
        return self


def _rising(tiers: Sequence[Tier]) -> None:
    bounds = [tier.above_input_tokens for tier in tiers]
    if any(b <= a for a, b in pairwise(bounds)):
        raise ValueError(f"expected tiers that rise by above_input_tokens, got {bounds}")
