"""What forecasting all candidates of a prompt costs beyond scoring it, in microseconds.

The forecast step as `router.decide` takes it for each candidate: the prices that the call may
meet, what is expected in the cache, tokens, dollars and seconds. Beside it, its parts.
"""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime
from itertools import count

from classifiers.length.totals import Part, total
from router import Client
from router.budgets import Balance, Hold
from router.forecast import forecast, input_bound, spread
from router.horizon import Horizon
from router.pricing import cost
from router.prompts.blocks import chain_of
from router.prompts.layout import arrange
from router.prompts.text import prompt_of
from router.purses import room_in
from router.scoring import scores_of
from router.types import Request, Usage

N = 3000
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVE = datetime(2026, 11, 23, 5, 59, tzinfo=UTC)
"""A minute before DeepSeek's peak hours: the longest way through the prices."""


def main() -> None:
    client = Client(ledger=":memory:", now=lambda: NOW)
    services = client._core.services()
    live = [c for c in client.catalog.candidates(at=NOW) if client.catalog.rates(c, NOW)]
    flash = next(c for c in live if c.model == "deepseek-flash")
    ordered = [flash, *(c for c in live if c is not flash)]
    print(f"{'what':52}{'p50 us':>9}{'p99 us':>9}")
    for n in (4, 12):
        scoring, step = both(services, ordered[:n], NOW)
        show(f"scoring {n} candidates", scoring)
        show(f"forecasting {n} candidates", step)
    show("forecasting 4 candidates, a minute before the peak", both(services, ordered[:4], EVE)[1])
    for candidate in ordered[:4]:
        for _ in range(40):
            services.pace.observe(candidate.endpoint, 300, 4.0)
            services.pace.observe_first(candidate.endpoint, 0.4)
    show("forecasting 4 candidates, times known", both(services, ordered[:4], NOW)[1])
    rates = client.catalog.rates(flash, NOW)
    usage = Usage(input_tokens=1000, cache_read_tokens=896, output_tokens=200)
    show("Catalog.rates, again", timed(lambda: client.catalog.rates(flash, NOW)))
    show("pricing.cost", timed(lambda: cost(usage, rates)))
    tokens = count(100)
    show("Pace.observe", timed(lambda: services.pace.observe("e", next(tokens) % 700, 3.0)))
    show("Pace.times", timed(lambda: services.pace.times("e", 300.0, 280.0, 500.0)))
    jobs(client, ordered)


def both(services, candidates, now) -> tuple[list[float], list[float]]:
    """Times of scoring, and of the forecast step after it."""
    profiles = list(dict.fromkeys(c.profile for c in candidates))
    scored, stepped = [], []
    for i in range(N):
        messages = ({"role": "user", "content": f"Prove that there are {i} primes before it."},)
        request = Request(id="r", messages=messages)
        layout = arrange(request.messages, request.tools)
        chain = chain_of(services.read_input(layout.messages))
        prompt = prompt_of(layout.messages)
        began = time.perf_counter()
        _, scores = scores_of(services.scorer, prompt, profiles, "")
        middle = time.perf_counter()
        errors = {profile: spread(scores[profile].draws) for profile in profiles}
        horizon, means = Horizon(services.catalog, now, 600.0), {}
        for candidate in candidates:
            bound = input_bound(candidate, 200, 700)
            prices = horizon.prices(candidate, 200, bound)
            forecast(
                candidate,
                request,
                scores[candidate.profile],
                prices,
                input_tokens=200,
                bound=bound,
                cache_read_tokens=services.places.expected(candidate, request, chain, now),
                room=plenty(now),
                pace=services.pace,
                quality_se=errors[candidate.profile],
                means=means,
            )
        ended = time.perf_counter()
        scored.append((middle - began) * 1e6)
        stepped.append((ended - middle) * 1e6)
    return scored, stepped


def plenty(now):
    """The room of a hard budget that is never used up."""
    hold = Hold(key="all", window_start=now, resets_at=None, limit=10**12, hard=True, name="all")
    return room_in([(hold, Balance())])


def jobs(client: Client, candidates) -> None:
    """Seconds for a job of 2,000 requests, and for its total alone."""
    model = [c.name for c in candidates[:2]]
    began = time.perf_counter()
    found = client.plan_job(
        ([{"role": "user", "content": f"Name the prime after {i}."}] for i in range(2000)),
        model=model,
    )
    print(f"\na job of 2,000 requests: {time.perf_counter() - began:.2f} s")
    parts = [Part(i.forecast.output_tokens, 1e6, 1.0, 0.0, "prior") for i in found.requests]
    began = time.perf_counter()
    total(parts)
    print(f"its total of tokens alone: {time.perf_counter() - began:.2f} s")


def timed(call) -> list[float]:
    took = []
    for _ in range(N):
        began = time.perf_counter()
        call()
        took.append((time.perf_counter() - began) * 1e6)
    return took


def show(name: str, took: list[float]) -> None:
    cuts = statistics.quantiles(took, n=100)
    print(f"{name:52}{cuts[49]:>9.1f}{cuts[98]:>9.1f}")


if __name__ == "__main__":
    main()
