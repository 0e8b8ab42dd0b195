"""Calls with the bill that their host's list prices make, worked out by hand.

A price is quoted as its source has it (USD per million tokens: cache hit, miss, output), and the
bill is written out beside it; `by_hand` multiplies once more, in `Decimal`. Nothing here knows
the catalogue. `at` is the instant that decides the price: under the discount of 2025 that was the
completion. Sources: pages named here, of which copies were read on 2026-11-21.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

_HIT = {"prompt_cache_hit_tokens": 896, "prompt_cache_miss_tokens": 104}
_NESTED = {"prompt_tokens_details": {"cached_tokens": 896}}
_SHORT = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}
_LONG = {"prompt_tokens": 1000, "completion_tokens": 6400, "total_tokens": 7400}
_REASONED = {"completion_tokens_details": {"reasoning_tokens": 6000}}
# What hosts report, in the shapes that occur.
USAGE: dict[str, dict[str, Any]] = {
    "both": {**_SHORT, **_HIT, **_NESTED},
    "top-level": {**_SHORT, **_HIT},
    "nested": {**_SHORT, **_NESTED},
    "no-hits": _SHORT,
    "reasoned": {**_LONG, **_HIT, **_NESTED, **_REASONED},
    "reasoned-no-hits": {**_LONG, **_REASONED},
    # Cut off while it was still thinking: all output is reasoning, and is billed.
    "aborted": {
        **_SHORT,
        **_HIT,
        "completion_tokens_details": {"reasoning_tokens": 200},
    },
}
COUNTS = {  # miss, hit, output
    "both": (104, 896, 200),
    "top-level": (104, 896, 200),
    "nested": (104, 896, 200),
    "no-hits": (1000, 0, 200),
    "reasoned": (104, 896, 6400),
    "reasoned-no-hits": (1000, 0, 6400),
    "aborted": (104, 896, 200),
}


@dataclass(frozen=True)
class Call:
    """One call. `model` is the id on the wire, `endpoint` the catalogue's name for it."""

    at: datetime
    model: str
    host: str
    endpoint: str
    kind: str
    prices: tuple[str, str, str]
    bill: Decimal
    source: str

    @property
    def usage(self) -> dict[str, Any]:
        """The usage that the host reports."""
        return USAGE[self.kind]

    @property
    def by_hand(self) -> Decimal:
        """The bill in USD."""
        miss, hit, output = COUNTS[self.kind]
        cached, fresh, out = map(Decimal, self.prices)
        return (miss * fresh + hit * cached + output * out) / 10**6


PAGE = "https://api-docs.deepseek.com/quick_start/pricing"
SOURCES = {
    "V3": f"{PAGE}-details-usd",
    "PROMO": "LobeChat 1.94.11 deepseek.ts: V2's price for V3 until 2025-02-08 16:00 UTC",
    "CUT": f"{PAGE} (2025-03): 16:30-00:30 UTC, by completion",
    "V31": f"{PAGE} (2025-08): from 2025-09-05 16:00 UTC",
    "EXP": "https://api-docs.deepseek.com/news/news250929",
    "V32": f"{PAGE} (2025-12)",
    "V4": "https://modelpricelab.com/changes/deepseek-v4-pro-flash-launched-2026-04-24",
    "HITS": "https://locoroo.net/reports/2026-april/deepseek: hits at a tenth from 2026-04-26",
    "FINAL": "DeepSeek's footnote 3, quoted at bittide.aicompass.dev: promotion made permanent",
    "PEAK": f"{PAGE} (2026-08): every day at first",
    "WEEK": "e-mail quoted in jeffstric/ZJT issue 685: no weekends from 2026-08-22 16:00 UTC",
    "NOW": f"{PAGE} (2026-11)",
    "HOLIDAY": "footnote 2 of the zh-cn pricing page: holidays are off-peak all day",
    "KEPT": "anomalyco/models.dev PR 6904: the move of 2026-09-14 to Flash prices was called off",
    "LIST": "LiteLLM 1.109.1",
    "ROUTER": "genai-prices 0.2.3 history",
    "SNAPSHOT": "models.dev snapshot of 2026-07-02",
}

# when (UTC), id, host, kind of usage, hit, miss, output, bill, source
TABLE = """
2025-02-08T15:59 deepseek-chat     deepseek both      0.014 0.14 0.28 0.000083104 PROMO
2025-02-08T16:00 deepseek-chat     deepseek both      0.07  0.27 1.10 0.000310800 V3
2025-02-10T09:00 deepseek-reasoner deepseek reasoned  0.14  0.55 2.19 0.014198640 V3
2025-02-26T16:29 deepseek-chat     deepseek both      0.07  0.27 1.10 0.000310800 V3
2025-02-26T16:30 deepseek-chat     deepseek both      0.035 0.135 0.55 0.000155400 CUT
2025-03-10T00:29 deepseek-chat     deepseek top-level 0.035 0.135 0.55 0.000155400 CUT
2025-03-10T00:30 deepseek-chat     deepseek both      0.07  0.27 1.10 0.000310800 V3
2025-05-28T20:00 deepseek-reasoner deepseek reasoned  0.035 0.135 0.55 0.003565400 CUT
2025-08-25T12:00 deepseek-chat     deepseek nested    0.07  0.27 1.10 0.000310800 V3
2025-09-05T15:59 deepseek-reasoner deepseek reasoned  0.14  0.55 2.19 0.014198640 V3
2025-09-05T16:00 deepseek-chat     deepseek both      0.07  0.56 1.68 0.000456960 V31
2025-09-05T18:00 deepseek-reasoner deepseek reasoned  0.07  0.56 1.68 0.010872960 V31
2025-09-28T23:59 deepseek-chat     deepseek both      0.07  0.56 1.68 0.000456960 V31
2025-09-29T00:00 deepseek-chat     deepseek both      0.028 0.28 0.42 0.000138208 EXP
2025-12-01T09:00 deepseek-reasoner deepseek reasoned  0.028 0.28 0.42 0.002742208 V32
2025-12-10T09:00 speciale          deepseek reasoned  0.028 0.28 0.42 0.002742208 V32
2026-02-01T12:00 deepseek-chat     deepseek both      0.028 0.28 0.42 0.000138208 V32
2026-02-01T12:00 deepseek-chat     deepseek top-level 0.028 0.28 0.42 0.000138208 V32
2026-02-01T12:00 deepseek-chat     deepseek nested    0.028 0.28 0.42 0.000138208 V32
2026-02-01T20:00 deepseek-chat     deepseek both      0.028 0.28 0.42 0.000138208 V32
2026-02-01T12:00 deepseek-reasoner deepseek aborted   0.028 0.28 0.42 0.000138208 V32
2026-04-23T23:59 deepseek-chat     deepseek both      0.028 0.28 0.42 0.000138208 V32
2026-04-24T00:00 deepseek-chat     deepseek both      0.028 0.14 0.28 0.000095648 V4
2026-04-25T12:00 deepseek-v4-pro   deepseek reasoned  0.145 1.74 3.48 0.022582880 V4
2026-04-26T00:00 deepseek-chat     deepseek both      0.0028 0.14 0.28 0.0000730688 HITS
2026-06-15T03:00 deepseek-v4-pro   deepseek reasoned  0.003625 0.435 0.87 0.005616488 FINAL
2026-07-24T15:58 deepseek-reasoner deepseek reasoned  0.0028 0.14 0.28 0.0018090688 HITS
2026-08-16T15:59 deepseek-v4-flash deepseek both      0.0028 0.14 0.28 0.0000730688 HITS
2026-08-16T16:00 deepseek-v4-flash deepseek both      0.007 0.22 0.66 0.000161152 PEAK
2026-08-17T01:30 deepseek-v4-flash deepseek both      0.014 0.44 1.32 0.000322304 PEAK
2026-08-17T04:00 deepseek-v4-pro   deepseek reasoned  0.022 0.66 1.98 0.012760352 PEAK
2026-08-22T01:30 deepseek-v4-pro   deepseek both      0.044 1.32 3.96 0.000968704 PEAK
2026-08-23T01:30 deepseek-v4-pro   deepseek both      0.022 0.66 1.98 0.000484352 WEEK
2026-08-24T01:30 deepseek-v4-flash deepseek both      0.014 0.44 1.32 0.000322304 WEEK
2026-08-28T16:30 deepseek-v4-flash deepseek both      0.007 0.22 0.66 0.000161152 WEEK
2026-09-10T03:59 deepseek-v4-flash deepseek both      0.014 0.44 1.32 0.000322304 PEAK
2026-09-10T04:00 deepseek-flash    deepseek both      0.003 0.15 0.60 0.000138288 NOW
2026-09-10T06:00 deepseek-flash    deepseek both      0.006 0.30 1.20 0.000276576 NOW
2026-09-15T02:00 deepseek-v4-pro   deepseek reasoned  0.044 1.32 3.96 0.025520704 KEPT
2026-10-01T02:00 deepseek-flash    deepseek both      0.003 0.15 0.60 0.000138288 HOLIDAY
2026-10-08T02:00 deepseek-flash    deepseek both      0.006 0.30 1.20 0.000276576 NOW
2026-11-20T09:59 deepseek-flash    deepseek top-level 0.006 0.30 1.20 0.000276576 NOW
2026-11-20T10:00 deepseek-flash    deepseek aborted   0.003 0.15 0.60 0.000138288 NOW
2026-11-21T02:00 deepseek-flash    deepseek both      0.003 0.15 0.60 0.000138288 NOW
2026-11-21T02:00 deepseek-v4-flash deepseek both      0.003 0.15 0.60 0.000138288 NOW
2026-11-20T12:00 deepseek-ai/DeepSeek-V3.2 deepinfra nested 0.13 0.26 0.38 0.000219520 LIST
2026-11-20T12:00 deepseek/deepseek-v3.2 novita     nested  0.1345 0.269 0.40 0.000228488 LIST
2026-11-20T12:00 deepseek-ai/DeepSeek-V3.2 gmi     no-hits - 0.28 0.40 0.000360000 LIST
2026-11-20T12:00 DeepSeek-V3.2     azure    no-hits   - 0.58 1.68 0.000916000 LIST
2026-11-20T12:00 DeepSeek-V3.2-Speciale azure reasoned-no-hits - 0.58 1.68 0.011332000 LIST
2026-05-01T12:00 deepseek-v3p2     fireworks no-hits  - 0.56 1.68 0.000896000 LIST
2026-08-01T12:00 deepseek/deepseek-v3.2 openrouter no-hits - 0.2288 0.3432 0.00029744 SNAPSHOT
2026-10-19T00:00 deepseek/deepseek-v3.2 openrouter nested 0.028 0.28 0.42 0.000138208 ROUTER
2026-11-08T23:59 deepseek/deepseek-v3.2 openrouter nested 0.028 0.28 0.42 0.000138208 ROUTER
2026-11-09T00:00 deepseek/deepseek-v3.2 openrouter nested 0.13 0.26 0.38 0.000219520 ROUTER
"""
_IDS = {
    "speciale": "deepseek-reasoner",  # at an address of its own
    "deepseek-v3p2": "accounts/fireworks/models/deepseek-v3p2",
}
_ENDPOINTS = {
    "speciale": "deepseek-v3.2-speciale",
    "DeepSeek-V3.2-Speciale": "deepseek-v3.2-speciale",
}


def calls() -> list[Call]:
    """The table, read."""
    found = []
    for line in TABLE.strip().splitlines():
        at, model, host, kind, hit, miss, out, bill, source = line.split()
        weights = _ENDPOINTS.get(model, model if host == "deepseek" else "deepseek-v3.2")
        found.append(
            Call(
                at=datetime.fromisoformat(f"{at}:00+00:00"),
                model=_IDS.get(model, model),
                host=host,
                endpoint=f"{weights}@{host}",
                kind=kind,
                prices=("0" if hit == "-" else hit, miss, out),
                bill=Decimal(bill),
                source=SOURCES[source],
            )
        )
    return found
