"""Random lines of a ledger, of every kind that there is, for reports and their benchmark."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from router.catalog import Catalog
from router.ledgers.entries import LEASE, Entry, Record
from router.pricing import cost
from router.types import Usage

START = datetime(2026, 10, 20, tzinfo=UTC)
CANDIDATES = (
    "deepseek-v3.2@deepinfra",
    "deepseek-v3.2:thinking@deepinfra",
    "deepseek-v3.2-speciale@azure",
    "deepseek-v3.2@bedrock",
    "deepseek-v4-pro@deepinfra",
    "deepseek-flash@deepseek",
    "mixtral-8x7b-instruct-v0.1@replay",
)
TEAMS = ("search", "ads", "", '=HYPERLINK("http://x")', "größe", "<script>alert(1)</script>")


def random_entries(count, seed=0, days=40, catalog=None):
    """About `count` lines, and sometimes a correction behind them, in order of time."""
    chance = random.Random(seed)
    catalog = catalog or Catalog.default()
    entries, i = [], 0
    while len(entries) < count:
        at = START + timedelta(seconds=chance.uniform(0, days * 86400))
        entries += _call(chance, catalog, f"r{i}", at)
        i += 1
    entries.sort(key=lambda e: e.at)
    return entries


def _call(chance, catalog, rid, at):
    name = chance.choices(CANDIDATES, weights=(40, 15, 8, 10, 8, 15, 4))[0]
    model, _, host = name.partition("@")
    model, _, mode = model.partition(":")
    usage = _usage(chance)
    rates = catalog.rates(name, at, input_tokens=usage.input_tokens)
    billed = 0 if rates is None else cost(usage, rates).pico
    rates_id = "" if rates is None else rates.id
    end = chance.choices(
        (
            "ok",
            "cached",
            "failed",
            "released",
            "lost",
            "late",
            "unpriced",
            "lease",
            "gone",
            "untold",
        ),
        weights=(80, 5, 3, 3, 2, 3, 2, 1, 1, 1),
    )[0]
    tags = {"team": team} if (team := chance.choice(TEAMS)) else {}
    if chance.random() < 0.3:
        tags["feature"] = chance.choice(("chat", "+sum", "a;=b,c"))
    record = Record(
        request_id=rid,
        candidate=name,
        model=model,
        mode=mode or "chat",
        host=host,
        policy="utility",
        tags=tags,
        rates_id=rates_id,
        forecast_cost=None if rates is None else int(billed * chance.lognormvariate(0, 0.4)),
        forecast_cost_p90=None if rates is None else int(billed * 1.7),
        cache_lost_tokens=64 if chance.random() < 0.05 else 0,
        cache_lost_to="moved" if chance.random() < 0.5 else "",
    )
    reserved = billed * 2 + 1000

    def line(kind, cost=0, usage=usage, outcome="ok", at=at, rates_id=rates_id, **more):
        return Entry(
            **{
                "kind": kind,
                "at": at,
                "reservation_id": f"{rid}/0",
                "record": record,
                "usage": usage,
                "cost": cost,
                "reserved": reserved,
                "overage": 0,
                "outcome": outcome,
                "finish_reason": None,
                "seconds": 1.5,
                "rates_id": rates_id,
            }
            | more
        )

    none = Usage()
    lost = line("expire", reserved, Usage(estimated=True), "lost")
    later = at + timedelta(days=chance.choice((0, 0, 25)), minutes=5)
    if end == "lease":
        blank = dict.fromkeys(("candidate", "model", "mode", "host"), "")
        lease = Record(request_id="", policy=LEASE, **blank)
        kind, amount = chance.choice((("expire", 10**9), ("release", 0), ("correct", -(10**8))))
        return [line(kind, amount, none, "lost", record=lease, rates_id="")]
    return {
        "ok": lambda: [line("settle", billed)],
        "cached": lambda: [line("settle", outcome="cached", saved=billed)],
        "failed": lambda: [line("settle", billed, outcome="ServerError")],
        "released": lambda: [line("release", 0, none, "RateLimitError", rates_id="")],
        "lost": lambda: [lost],
        "late": lambda: [lost, line("correct", billed - reserved, at=later)],
        # The truth came, and has no known price.
        "untold": lambda: [lost, line("correct", -reserved, at=later, rates_id="")],
        "unpriced": lambda: [line("settle", rates_id="")],
        # A price row that the catalogue no longer has.
        "gone": lambda: [line("settle", billed + 7, rates_id=f"{name}/1999-01-01")],
    }[end]()


def _usage(chance):
    read = chance.choice((0, 0, 64, 640, 6400, 20_000))
    write = chance.choice((0, 0, 0, 0, 128))
    plain, out = chance.randrange(1, 3000), chance.randrange(0, 4000)
    return Usage(
        input_tokens=plain + read + write,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=chance.choice((0, write)),
        output_tokens=out,
        reasoning_tokens=chance.randrange(0, out + 1),
        estimated=chance.random() < 0.05,
    )


def in_order(entries):
    """Whether lines are in order of time, as a ledger gives them."""
    return all(a.at <= b.at for a, b in pairwise(entries))
