"""From which load on one's own GPUs are cheaper than a host's price for each token."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from math import ceil

from router.catalog import Catalog, Rates, missing
from router.catalog.fleet import Fleet, Flow
from router.errors import InvalidRequestError
from router.money import to_usd
from router.pricing import cost
from router.types import Usage

HOURS_A_MONTH = 730
"""8,760 hours a year over twelve."""
_SECONDS = HOURS_A_MONTH * 3600
_MANY = 10**6


@dataclass(frozen=True, slots=True)
class Mix:
    """Tokens of a typical request; `input_tokens` includes those read from a prefix cache.

    Raises:
        InvalidRequestError: a count is negative, nothing is written, or more is cached than read.
    """

    input_tokens: int
    cache_read_tokens: int
    output_tokens: int

    def __post_init__(self) -> None:
        sound = 0 <= self.cache_read_tokens <= self.input_tokens and self.output_tokens > 0
        if not sound:
            raise InvalidRequestError(
                "mix: expected input tokens, of which so many cached, and at least one output "
                f"token; got {self.input_tokens}, {self.cache_read_tokens}, {self.output_tokens}",
                param="mix",
            )

    @property
    def flow(self) -> Flow:
        """The same, as a fleet counts it."""
        return Flow(
            input_tokens=self.input_tokens,
            cache_read_tokens=self.cache_read_tokens,
            output_tokens=self.output_tokens,
        )

    def pico(self, rates: Rates) -> Fraction:
        """Pico-dollars of one request at these rates."""
        usage = Usage(
            input_tokens=self.input_tokens * _MANY,
            cache_read_tokens=self.cache_read_tokens * _MANY,
            output_tokens=self.output_tokens * _MANY,
        )
        tokens = Fraction(cost(usage, rates).pico - rates.per_request, _MANY)
        return tokens + rates.per_request


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """What so many requests a month need: replicas, their GPUs, how busy (a part), and dollars."""

    requests: int
    replicas: int
    gpus: int
    utilisation: Fraction
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A host's price for the mix, and the load from which on one's own replica is cheaper.

    `utilisation` is the part of a replica's capacity at which the rent equals the host's bill,
    `requests` and `tokens` that load in a month. Above 1 it never is, and these are None: one more
    replica costs more than it saves, at any load. `live` says whether the host can be called.
    """

    endpoint: str
    rates_id: str
    live: bool
    usd_per_request: Decimal
    utilisation: Fraction
    requests: int | None
    tokens: int | None

    def usd(self, requests: int) -> Decimal:
        """USD a month for so many requests."""
        return self.usd_per_request * requests


def sized(fleet: Fleet, mix: Mix, requests: int, percent: int) -> Sized:
    """The replicas that serve so many requests a month at no more than so busy, one at least.

    Raises:
        InvalidRequestError: no requests, or a percentage that is none.
    """
    if requests < 1 or not 1 <= percent <= 100:
        raise InvalidRequestError(
            f"expected at least 1 request a month and 1 to 100 percent, got {requests}, {percent}"
        )
    work = fleet.work(mix.flow) * requests / _SECONDS
    replicas = max(1, ceil(work / (fleet.capacity * percent / 100)))
    return Sized(
        requests=requests,
        replicas=replicas,
        gpus=replicas * fleet.gpus,
        utilisation=work / (fleet.capacity * replicas),
        usd=to_usd(replicas * fleet.gpus * fleet.usd_per_gpu_hour * HOURS_A_MONTH),
    )


def rival(fleet: Fleet, mix: Mix, endpoint: str, rates: Rates, *, live: bool = True) -> Rival:
    """A host at these rates against one replica of this fleet."""
    asked, hourly = mix.pico(rates), fleet.gpus * fleet.usd_per_gpu_hour
    requests = None
    needed = Fraction(_MANY)  # where the host asks nothing
    if asked:
        needed = Fraction(hourly, 3600) * fleet.work(mix.flow) / fleet.capacity / asked
        requests = ceil(hourly * HOURS_A_MONTH / asked) if needed <= 1 else None
    each = mix.input_tokens + mix.output_tokens
    return Rival(
        endpoint=endpoint,
        rates_id=rates.id,
        live=live,
        usd_per_request=to_usd(ceil(asked)),
        utilisation=needed,
        requests=requests,
        tokens=None if requests is None else requests * each,
    )


def rivals(
    catalog: Catalog, model: str, fleet: Fleet, mix: Mix, at: datetime, *, also: Iterable[str] = ()
) -> tuple[Rival, ...]:
    """The hosts that sell this model at `at`, and endpoints named besides, the cheapest first.

    Without those whose price is not known, that have retired, or that are one's own. A host whose
    price follows the clock is taken at its price at `at`.

    Raises:
        UnknownModelError, UnknownHostError: an endpoint named besides is not there.
    """
    lines = {line.candidate.endpoint: line.candidate for line in catalog.describe(at)}
    named = set(also)
    sold = {
        name
        for name, candidate in lines.items()
        if candidate.model == model
        and candidate.kind not in {"reference", "replay"}
        and not (candidate.self_hosted or missing.gone(candidate, at))
    }
    found = []
    for name in sold | named:
        rates = catalog.rates(name, at, input_tokens=mix.input_tokens)
        able = name in lines and missing.live(lines[name], at)
        if rates is not None:
            found.append(rival(fleet, mix, name, rates, live=able))
    return tuple(sorted(found, key=lambda r: (r.usd_per_request, r.endpoint)))
