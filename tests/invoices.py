"""Ledgers' lines and hosts' bills for tests of `router.bills`: small, and written by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from router.bills import reconcile
from router.ledgers.entries import Entry, Record, Reservation, Settlement
from router.ledgers.sqlite import SQLiteLedger
from router.types import Cost, Usage

FLASH = "deepseek-flash@deepseek"
ROW = "deepseek-flash@deepseek/2026-09-10T04:00Z"
"""0.15 / 0.003 / 0.60 USD a million tokens, twice that at peak."""


@pytest.fixture(name="bill")
def bill_fixture(tmp_path):
    """Write a bill and compare it with a ledger's lines."""

    def compared(text, lines, **options):
        path = tmp_path / "bill.csv"
        path.write_text(text)
        return reconcile(path, lines, **options)

    return compared


def only(found):
    (finding,) = found.findings
    return finding


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def entry(at, usage=None, cost=0, **columns):
    """A settled line of deepseek-flash at DeepSeek, off peak unless `rates_id` says else."""
    record = {
        "request_id": "r",
        "candidate": FLASH,
        "model": "deepseek-flash",
        "mode": "chat",
        "host": "deepseek",
        "policy": "p",
    }
    record |= columns.pop("record", {})
    line = {
        "kind": "settle",
        "at": at,
        "reservation_id": f"r{at.isoformat()}",
        "record": Record(**record),
        "usage": usage or Usage(),
        "cost": cost,
        "reserved": 0,
        "overage": 0,
        "outcome": "ok",
        "finish_reason": None,
        "seconds": 1.0,
        "requests": 1,
        "rates_id": f"{ROW}#off-peak",
    }
    return Entry(**(line | columns))


def told(at, fresh, read, output, *, peak=False, **columns):
    """A call whose host reported its usage, at the price of its hour."""
    times = 2 if peak else 1
    tokens = fresh * 150_000 + read * 3_000 + output * 600_000  # pico-dollars
    usage = Usage(input_tokens=fresh + read, cache_read_tokens=read, output_tokens=output)
    row = f"{ROW}#{'peak' if peak else 'off-peak'}"
    return entry(at, usage, times * tokens, **({"rates_id": row} | columns))


def month(calls=60, **columns):
    """Calls every 12 hours from 2026-10-10 12:30 UTC (off peak), each a little longer."""
    start = utc("2026-10-10T12:30")
    return [
        told(
            start + timedelta(hours=12 * i),
            100_000 + 1_000 * i,
            200_000 + 500 * i,
            50_000 + 300 * (i % 7),
            reservation_id=f"r{i}/0",
            record={"request_id": f"r{i}"},
            **columns,
        )
        for i in range(calls)
    ]


def deepseek(entries, *, change=lambda day, kind, tokens, price: (tokens, price), zone=UTC):
    """The bill of these lines in the form of DeepSeek's export, changed line by line."""
    days = {}
    for line in entries:
        usage, day = line.usage, line.at.astimezone(zone).date()
        sums = days.setdefault(day, [0, 0, 0, 0])
        read = usage.cache_read_tokens
        for i, n in enumerate((usage.input_tokens - read, read, usage.output_tokens, 1)):
            sums[i] += n
    kinds = ("input_cache_miss_tokens", "input_cache_hit_tokens", "output_tokens")
    prices = ("0.00000015", "0.000000003", "0.0000006")
    text = "user_id,utc_date,model,api_key_name,api_key,type,price,amount\n"
    for day, sums in sorted(days.items()):
        for kind, price, tokens in zip(
            (*kinds, "request_count"), (*prices, ""), sums, strict=True
        ):
            billed, at = change(day, kind, tokens, price)
            text += f"u,{day},deepseek-flash,main,sk-x***,{kind},{at},{billed}\n"
    return text


def ledger_of(path, lines):
    """These lines in a file."""
    ledger = SQLiteLedger(path)
    for line in lines:
        reservation = Reservation(
            id=line.reservation_id, at=line.at, lease_until=line.at + timedelta(hours=1),
            amount=0, holds=(), record=line.record,
        )  # fmt: skip
        charge = Cost(pico=line.cost, rates_id=line.rates_id)
        ledger.post(reservation, Settlement(at=line.at, usage=line.usage, cost=charge))
    ledger.close()
    return path


def counted(line):
    """The same call by our own count, which sees no cache hits: as the client writes it."""
    usage = line.usage
    tokens = usage.input_tokens * 150_000 + usage.output_tokens * 600_000
    mine = Usage(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, estimated=True
    )
    return replace(line, usage=mine, cost=tokens)
