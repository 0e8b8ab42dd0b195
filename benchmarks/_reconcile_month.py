"""A synthetic month at DeepSeek: what was called, what our ledger has, and the host's right bill.

Prices and hours are written down here by hand (DeepSeek's page of 2026-11), not looked up, so that
the right bill does not come from the code that is measured.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from router.ledgers.entries import Entry, Record
from router.types import Usage

START = datetime(2026, 10, 1, tzinfo=UTC)
DAYS = 31
HOLIDAYS = frozenset(range(1, 8))  # October 1 to 7
PRICES = {  # USD a million tokens off peak: fresh, cached, output; peak is twice
    "deepseek-flash": (Fraction("0.15"), Fraction("0.003"), Fraction("0.60")),
    "deepseek-v4-pro": (Fraction("0.66"), Fraction("0.022"), Fraction("1.98")),
}
ROWS = {
    "deepseek-flash": "deepseek-flash@deepseek/2026-09-10T04:00Z",
    "deepseek-v4-pro": "deepseek-v4-pro@deepseek/2026-08-22T16:00Z",
}


@dataclass
class Made:
    """A call as it was. `fresh`, `cached` and `output` are what the host counts as billed."""

    id: str
    model: str
    ended: datetime
    seconds: float
    fresh: int
    cached: int
    output: int
    kind: str  # ok, closed, lost, failed, counted
    whole: int = 0  # output that the stream would have had
    came: int = 0
    peak: bool | None = None
    times: Fraction = Fraction(1)
    extra: Fraction = Fraction(0)


@dataclass
class Month:
    """The calls and the ledger's lines of them."""

    calls: list[Made] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


def at_peak(at: datetime, *, holidays: bool = True, zone: int = 8) -> bool:
    """Whether an instant is in Beijing's peak hours (or those of another offset)."""
    local = at + timedelta(hours=zone)
    if holidays and (local.isoweekday() > 5 or (local.month == 10 and local.day in HOLIDAYS)):
        return False
    return 9 <= local.hour < 12 or 14 <= local.hour < 18


def prices(model: str, peak: bool) -> tuple[Fraction, Fraction, Fraction]:
    """What the host charges a million tokens."""
    fresh, cached, output = PRICES[model]
    times = 2 if peak else 1
    return fresh * times, cached * times, output * times


def month(seed: int, calls: int = 2500, scale: int = 1) -> Month:
    """A month of calls; `scale` makes them longer, and the bill larger."""
    rng = random.Random(seed)
    made = Month()
    for i in range(calls):
        day = rng.randrange(DAYS)
        at = START + timedelta(days=day, seconds=rng.randrange(86_400))
        model = "deepseek-flash" if rng.random() < 0.7 else "deepseek-v4-pro"
        total = int(rng.lognormvariate(8.3, 0.9)) * scale + 20
        cached = int(total * rng.choice([0, 0, 0.5, 0.8, 0.95])) // 128 * 128
        whole = int(rng.lognormvariate(6.3, 0.9)) * scale + 5
        chance = rng.random()
        kind = (
            "closed" if chance < 0.04 else "lost" if chance < 0.045
            else "counted" if chance < 0.055 else "ok"
        )  # fmt: skip
        seconds = 1 + whole / 60 / scale
        call = Made(
            *(f"r{i}", model, at, seconds, total - cached, cached, whole, kind),
            whole=whole,
            came=whole,
        )
        if rng.random() < 0.03:  # an attempt before it that failed
            earlier = replace(
                call, id=f"r{i}/0", kind="failed", ended=at - timedelta(seconds=seconds + 1)
            )
            made.calls.append(earlier)
            made.entries.append(_entry(earlier, rng))
            call.id = f"r{i}/1"
        else:
            call.id = f"r{i}/0"
        if kind == "closed":
            call.came = int(whole * rng.random())
            call.output = min(whole, call.came + rng.randrange(100))
        if kind == "lost" and rng.random() < 0.5:
            call.fresh = call.cached = call.output = 0
        made.calls.append(call)
        made.entries.append(_entry(call, rng))
    made.calls.sort(key=lambda c: c.ended)
    made.entries.sort(key=lambda e: e.at)
    return made


def _entry(call: Made, rng: random.Random) -> Entry:
    peak = at_peak(call.ended)
    row = f"{ROWS[call.model]}#{'peak' if peak else 'off-peak'}"
    fresh, cached, output = prices(call.model, peak)
    dearest = prices(call.model, peak=True)
    total = call.fresh + call.cached
    reserved = -int(-(total * dearest[0] + max(4096, call.whole) * dearest[2]) * 10**6 // 1)
    usage = Usage(input_tokens=total, cache_read_tokens=call.cached, output_tokens=call.output)
    if call.kind == "closed":
        # What the client counts itself has no cache hits: only a host's usage tells them.
        usage = Usage(input_tokens=total, output_tokens=call.came, estimated=True)
    if call.kind == "counted":
        off = 1 + rng.uniform(-0.05, 0.05)
        usage = Usage(
            input_tokens=int(total * off), output_tokens=int(call.output * off), estimated=True,
        )  # fmt: skip
    exact = (
        (usage.input_tokens - usage.cache_read_tokens) * fresh
        + usage.cache_read_tokens * cached
        + usage.output_tokens * output
    ) * 10**6
    cost = -int(-exact // 1)
    kind, outcome = "settle", "closed" if call.kind == "closed" else "ok"
    if call.kind == "lost":
        kind, outcome, usage, cost = "expire", "lost", Usage(estimated=True), reserved
    if call.kind == "failed":
        kind, outcome, usage, cost, row = "release", "http_503", Usage(), 0, ""
    return Entry(
        kind=kind,
        at=call.ended,
        reservation_id=call.id,
        record=Record(
            request_id=call.id.split("/")[0], candidate=f"{call.model}@deepseek",
            model=call.model, mode="chat", host="deepseek", policy="p", rates_id=row,
        ),
        usage=usage,
        cost=cost,
        reserved=reserved,
        overage=0,
        outcome=outcome,
        finish_reason=None,
        seconds=call.seconds,
        tokens=usage.input_tokens + usage.output_tokens,
        requests=0 if kind == "release" else 1,
        rates_id=row,
    )  # fmt: skip


def billed(calls: list[Made]) -> list[Made]:
    """The calls that a host rightly bills: those it answered or began to."""
    return [replace(c) for c in calls if c.kind != "failed" and c.fresh + c.cached + c.output]


def bill_rows(calls: list[Made], *, shift: int = 0, prices_of=prices) -> list[dict[str, object]]:
    """The lines of DeepSeek's export: by day, model, type and price."""
    sums: dict[tuple, Fraction] = {}
    for call in calls:
        day = (call.ended + timedelta(hours=shift)).date()
        peak = at_peak(call.ended) if call.peak is None else call.peak
        each = prices_of(call.model, peak, day)
        counted = (
            ("input_cache_miss_tokens", each[0], call.fresh),
            ("input_cache_hit_tokens", each[1], call.cached),
            ("output_tokens", each[2], call.output),
            ("request_count", None, 1),
        )
        for kind, price, tokens in counted:
            if tokens:
                key = (day, call.model, kind, None if price is None else price * call.times)
                sums[key] = sums.get(key, Fraction(0)) + tokens
    order = sorted(sums, key=lambda k: (k[0], k[1], k[2], k[3] or 0))
    return [
        {
            "day": k[0], "model": k[1], "type": k[2],
            "price": None if k[3] is None else k[3] / 10**6, "amount": int(sums[k]),
        }
        for k in order
    ]  # fmt: skip


def deepseek_csv(rows: list[dict[str, object]]) -> str:
    """The file that DeepSeek's page exports (the key is a name)."""
    lines = ["user_id,utc_date,model,api_key_name,api_key,type,price,amount"]
    for row in rows:
        price = "" if row["price"] is None else f"{float(row['price']):.14f}".rstrip("0")
        lines.append(
            f"u,{row['day']},{row['model']},main,sk-***,{row['type']},{price},{row['amount']}"
        )
    return "\n".join(lines) + "\n"


def totals_csv(calls: list[Made], *, shift: int = 0, prices_of=prices, fee=None) -> str:
    """A plainer bill: one line a day and model with tokens, requests and one amount."""
    sums: dict[tuple, list[Fraction]] = {}
    for call in calls:
        day = (call.ended + timedelta(hours=shift)).date()
        peak = at_peak(call.ended) if call.peak is None else call.peak
        fresh, cached, output = prices_of(call.model, peak, day)
        usd = (call.fresh * fresh + call.cached * cached + call.output * output) / 10**6
        usd = usd * call.times
        usd = fee(usd) if fee else usd
        found = sums.setdefault((day, call.model), [Fraction(0)] * 5)
        for i, v in enumerate((call.fresh, call.cached, call.output, 1, usd)):
            found[i] += v
    lines = ["day,model,fresh_tokens,cache_read_tokens,output_tokens,requests,amount_usd"]
    for (day, model), v in sorted(sums.items()):
        counts = ",".join(str(int(n)) for n in v[:4])
        lines.append(f"{day},{model},{counts},{float(v[4]):.10f}")
    return "\n".join(lines) + "\n"
