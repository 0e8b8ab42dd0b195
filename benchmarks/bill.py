"""Whose bill is right: calls of 2025-02 to 2026-11, priced by us, by others and by hand.

`python -m benchmarks.bill [--litellm PYTHON [--wheel DIR]] [--genai PYTHON]`: interpreters that
have LiteLLM or genai-prices; without them their columns stay empty. DIR is an unpacked LiteLLM
wheel that goes before the installed one. Exit status 1 if one of our bills is not the hand's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from benchmarks._bill_calls import Call, calls
from router.catalog import Catalog
from router.pricing import cost
from router.usage import parse_usage

HERE = Path(__file__).parent
STILL = datetime(2026, 9, 10, 4, tzinfo=UTC)
PICO = Decimal(1).scaleb(-12)
Bills = list[Decimal | None]
NOTE = """\
x: a bill over the hand's; off by: the median of x or 1/x, whichever is above one.
hand: list prices of the day times tokens. LiteLLM prices at what its map says now; it takes the
instant of a call for off-peak hours only. Where the list price of another host than DeepSeek is
known from LiteLLM's or genai-prices' data alone, agreement with the same data shows nothing:
such rows are counted apart. The catalogue has its rows from the sources that the hand quotes: that
ours agree shows that rows, hours, usage and arithmetic are right, not that the sources are."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--litellm", metavar="PYTHON")
    parser.add_argument("--wheel", metavar="DIR")
    parser.add_argument("--genai", metavar="PYTHON")
    given = parser.parse_args()
    table = calls()
    columns: dict[str, Bills] = {"ours": ours(table)}
    if given.litellm:
        extra = [given.wheel] if given.wheel else []
        columns["LiteLLM"] = theirs([given.litellm, HERE / "_bill_litellm.py", *extra], table)
    if given.genai:
        columns["genai"] = theirs([given.genai, HERE / "_bill_genai.py"], table)
    show(table, columns)
    own = [i for i, call in enumerate(table) if call.host == "deepseek"]
    summary("DeepSeek's own API", table, columns, own)
    now = [i for i in own if table[i].at >= STILL]
    summary(
        "of these, at prices that still hold (since 2026-09-10 04:00 UTC)", table, columns, now
    )
    summary("other hosts", table, columns, [i for i in range(len(table)) if i not in own])
    print(f"\n{NOTE}")
    wrong = [c for c, bill in zip(table, columns["ours"], strict=True) if bill != c.bill]
    return 1 if wrong or any(call.by_hand != call.bill for call in table) else 0


def ours(table: Sequence[Call]) -> Bills:
    """As the client does it: the host's usage, the rates at the instant, one multiplication."""
    catalog = Catalog.default()
    bills: Bills = []
    for call in table:
        used = parse_usage(call.usage)
        assert used is not None
        rates = catalog.rates(call.endpoint, call.at, input_tokens=used.input_tokens)
        bills.append(None if rates is None else cost(used, rates).usd)
    return bills


def theirs(command: Sequence[str | Path], table: Sequence[Call]) -> Bills:
    """Bills of another library, run by its own interpreter."""
    asked = [
        {"at": c.at.isoformat(), "model": c.model, "host": c.host, "usage": c.usage} for c in table
    ]
    done = subprocess.run(
        list(map(str, command)),
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    # Sums of floats: nearer than a billionth of a cent is as exact as they get.
    answers = json.loads(done.stdout.splitlines()[-1])
    return [None if text is None else Decimal(text).quantize(PICO) for text in answers]


def show(table: Sequence[Call], columns: dict[str, Bills]) -> None:
    heads = "".join(f"{name:>12}{'x':>7}" for name in columns)
    print(f"{'UTC':17}{'host/model':38}{'usage':18}{'hand, USD':>14}{heads}")
    for i, call in enumerate(table):
        name = f"{call.host}/{call.model.rpartition('/')[2]}"
        cells = "".join(cell(bills[i], call.bill) for bills in columns.values())
        print(f"{call.at:%Y-%m-%d %H:%M} {name:38}{call.kind:18}{call.bill:>14.10f}{cells}")


def cell(bill: Decimal | None, hand: Decimal) -> str:
    if bill is None:
        return f"{'unknown':>12}{'':7}"
    return f"{bill * 1000:>11.6f}m{bill / hand:>7.2f}"


def summary(what: str, table: Sequence[Call], columns: dict[str, Bills], rows: list[int]) -> None:
    print(f"\n{what}: {len(rows)} calls")
    heads = {"exact": 7, "within 1%": 11, "unknown": 9, "median x": 10, "off by": 8, "worst x": 9}
    print(f"  {'':10}" + "".join(f"{head:>{width}}" for head, width in heads.items()))
    for name, bills in columns.items():
        ratios = [b / table[i].bill for i in rows if (b := bills[i]) is not None]
        exact = sum(bills[i] == table[i].bill for i in rows)
        near = sum(abs(ratio - 1) <= Decimal("0.01") for ratio in ratios)
        unknown = len(rows) - len(ratios)
        line = f"  {name:10}{exact:>7}{near:>11}{unknown:>9}"
        if ratios:
            off = statistics.median(max(ratio, 1 / ratio) for ratio in ratios)
            worst = max(ratios, key=lambda ratio: max(ratio, 1 / ratio))
            line += f"{statistics.median(ratios):>10.3f}{off:>8.3f}{worst:>9.2f}"
        print(line)


if __name__ == "__main__":
    sys.exit(main())
