"""What Prometheus still knows after the application was killed and started again.

A counter begins at 0 again. PromQL's `increase` and `rate` see that it fell and count on; a plain
sum of the counters is what was spent since the start. Two things are lost to Prometheus, and not
to the ledger: what came after the last scrape before the death, and, for `increase` alone, what a
series began with, for it has no sample before its first. `increase` also extrapolates to the ends
of its range: by half a scrape interval at the beginning and 1.1 of them at the end, at most.
"""

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

import pytest
from scraping import App, Prometheus, ended, expected_names, program

from router.telemetry.names import LATEST, NEWEST

SPEND = "centroute_spend_USD_total"


def spent(entries):
    return float(Decimal(sum(entry.cost for entry in ended(entries))) / 10**12)


def approx(expected):
    return pytest.approx(expected, rel=1e-9)


def steps(values):
    """By how much a counter grew from sample to sample; from 0 where it began again."""
    return [new - old if new >= old else new for old, new in pairwise(values)]


@dataclass
class Lives:
    """Prometheus after two lives of an application: when the first ended, and their calls."""

    prometheus: Prometheus
    ended: float
    before: list
    after: list


@pytest.fixture(scope="module")
def lives(tmp_path_factory):
    """Two rounds, a kill, a start, a round; the GenAI names are of the newest generation."""
    program("prometheus")
    home = tmp_path_factory.mktemp("restart")
    app = App(home, opt_in=LATEST)
    prometheus = Prometheus(home, app.port)
    try:
        for number in range(2):
            app.round(number)
            died = prometheus.scraped(after=0.0)
        app.die()
        before = app.entries()
        app.start()
        app.round(0)
        prometheus.seen = prometheus.scraped(after=0.0)
        yield Lives(prometheus, died, before, app.entries()[len(before) :])
    finally:
        prometheus.stop()
        app.stop()


def test_a_sum_is_of_one_life(lives):
    """Each life's last sums are the ledger's of it, and together they are all of it."""
    ask, first = lives.prometheus.by, f"sum({SPEND} @ {lives.ended})"
    assert ask(first) == approx(spent(lives.before))
    assert ask(f"sum({SPEND})") == approx(spent(lives.after))
    assert ask(f"{first} + sum({SPEND})") == approx(spent(lives.before + lives.after))


def test_an_increase_is_of_both(lives):
    """It has what came after each series' first sample, through the reset, and extrapolates."""
    samples = lives.prometheus.samples(f"{SPEND}[5m]")
    grown = [sum(steps(values)) for values in samples]
    begun = sum(values[0] for values in samples)
    assert sum(grown) == approx(spent(lives.before + lives.after) - begun)
    most = sum(
        by * (1 + 1.6 / max(1, len(values) - 1)) for by, values in zip(grown, samples, strict=True)
    )
    found = lives.prometheus.by(f"sum(increase({SPEND}[5m]))")
    assert sum(grown) * (1 - 1e-9) <= found <= most
    assert lives.prometheus.by(f"sum(resets({SPEND}[5m]))") > 0


def test_the_newest_names(lives):
    """The newest generation of the conventions, under the names that the command shows."""
    assert lives.prometheus.names() == expected_names(NEWEST)
    total = "sum(gen_ai_client_inference_usage_output_tokens_total)"
    assert lives.prometheus.by(total) == sum(e.usage.output_tokens for e in ended(lives.after))
