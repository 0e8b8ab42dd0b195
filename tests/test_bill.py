from datetime import datetime
from decimal import Decimal

import pytest

from router.catalog import Catalog
from router.pricing import cost
from router.usage import parse_usage

HITS = {"prompt_cache_hit_tokens": 896, "prompt_cache_miss_tokens": 104}
NESTED = {"prompt_tokens_details": {"cached_tokens": 896}}
REASONED = {"completion_tokens_details": {"reasoning_tokens": 6000}}

# Instant (UTC) that decides, endpoint, what the host reports beside its totals, output tokens,
# list prices (hit, miss, output; USD per million), bill. 1000 input tokens each. Sources: the
# rows of `benchmarks/_bill_calls.py`, whose table this is a part of.
BILLS = """
2025-02-08T15:59 deepseek-chat@deepseek     both     200 0.014    0.14   0.28   0.000083104
2025-02-08T16:00 deepseek-chat@deepseek     both     200 0.07     0.27   1.10   0.000310800
2025-02-26T16:29 deepseek-chat@deepseek     both     200 0.07     0.27   1.10   0.000310800
2025-02-26T16:30 deepseek-chat@deepseek     both     200 0.035    0.135  0.55   0.000155400
2025-03-10T00:29 deepseek-chat@deepseek     top      200 0.035    0.135  0.55   0.000155400
2025-03-10T00:30 deepseek-chat@deepseek     both     200 0.07     0.27   1.10   0.000310800
2025-05-28T20:00 deepseek-reasoner@deepseek both    6400 0.035    0.135  0.55   0.003565400
2025-09-05T15:59 deepseek-reasoner@deepseek both    6400 0.14     0.55   2.19   0.014198640
2025-09-05T16:00 deepseek-chat@deepseek     both     200 0.07     0.56   1.68   0.000456960
2025-09-05T18:00 deepseek-reasoner@deepseek both    6400 0.07     0.56   1.68   0.010872960
2025-09-28T23:59 deepseek-chat@deepseek     both     200 0.07     0.56   1.68   0.000456960
2025-09-29T00:00 deepseek-chat@deepseek     both     200 0.028    0.28   0.42   0.000138208
2025-12-10T09:00 deepseek-v3.2-speciale@deepseek both 6400 0.028  0.28   0.42   0.002742208
2026-02-01T12:00 deepseek-v3.2@deepseek     both     200 0.028    0.28   0.42   0.000138208
2026-02-01T12:00 deepseek-v3.2@deepseek     top      200 0.028    0.28   0.42   0.000138208
2026-02-01T12:00 deepseek-v3.2@deepseek     nested   200 0.028    0.28   0.42   0.000138208
2026-04-23T23:59 deepseek-chat@deepseek     both     200 0.028    0.28   0.42   0.000138208
2026-04-24T00:00 deepseek-chat@deepseek     both     200 0.028    0.14   0.28   0.000095648
2026-04-25T12:00 deepseek-v4-pro@deepseek   both    6400 0.145    1.74   3.48   0.022582880
2026-04-26T00:00 deepseek-chat@deepseek     both     200 0.0028   0.14   0.28   0.0000730688
2026-06-15T03:00 deepseek-v4-pro@deepseek   both    6400 0.003625 0.435  0.87   0.005616488
2026-08-16T15:59 deepseek-v4-flash@deepseek both     200 0.0028   0.14   0.28   0.0000730688
2026-08-16T16:00 deepseek-v4-flash@deepseek both     200 0.007    0.22   0.66   0.000161152
2026-08-17T01:30 deepseek-v4-flash@deepseek both     200 0.014    0.44   1.32   0.000322304
2026-08-22T01:30 deepseek-v4-pro@deepseek   both     200 0.044    1.32   3.96   0.000968704
2026-08-23T01:30 deepseek-v4-pro@deepseek   both     200 0.022    0.66   1.98   0.000484352
2026-08-24T01:30 deepseek-v4-flash@deepseek both     200 0.014    0.44   1.32   0.000322304
2026-09-10T03:59 deepseek-v4-flash@deepseek both     200 0.014    0.44   1.32   0.000322304
2026-09-10T04:00 deepseek-flash@deepseek    both     200 0.003    0.15   0.60   0.000138288
2026-09-15T02:00 deepseek-v4-pro@deepseek   both    6400 0.044    1.32   3.96   0.025520704
2026-10-01T02:00 deepseek-flash@deepseek    both     200 0.003    0.15   0.60   0.000138288
2026-10-08T02:00 deepseek-flash@deepseek    both     200 0.006    0.30   1.20   0.000276576
2026-11-20T09:59 deepseek-flash@deepseek    top      200 0.006    0.30   1.20   0.000276576
2026-11-20T10:00 deepseek-flash@deepseek    top      200 0.003    0.15   0.60   0.000138288
2026-11-21T02:00 deepseek-flash@deepseek    both     200 0.003    0.15   0.60   0.000138288
2026-11-21T02:00 deepseek-v4-flash@deepseek both     200 0.003    0.15   0.60   0.000138288
2026-11-20T12:00 deepseek-v3.2@deepinfra    nested   200 0.13     0.26   0.38   0.000219520
2026-11-20T12:00 deepseek-v3.2@novita       nested   200 0.1345   0.269  0.40   0.000228488
2026-11-20T12:00 deepseek-v3.2-speciale@azure none  6400 0        0.58   1.68   0.011332000
2026-08-01T12:00 deepseek-v3.2@openrouter   none     200 0        0.2288 0.3432 0.000297440
2026-11-08T23:59 deepseek-v3.2@openrouter   nested   200 0.028    0.28   0.42   0.000138208
2026-11-09T00:00 deepseek-v3.2@openrouter   nested   200 0.13     0.26   0.38   0.000219520
"""
REPORTED = {"both": HITS | NESTED, "top": HITS, "nested": NESTED, "none": {}}


@pytest.mark.parametrize("line", BILLS.strip().splitlines())
def test_the_bill_is_the_hosts(line):
    """Ours is, to the last digit, what list prices make of the tokens that the host reports."""
    at, endpoint, kind, output, hit, miss, out, bill = line.split()
    raw = {"prompt_tokens": 1000, "completion_tokens": int(output), **REPORTED[kind]}
    used = parse_usage(raw | (REASONED if int(output) > 6000 else {}))
    cached = 0 if kind == "none" else 896
    by_hand = (1000 - cached) * Decimal(miss) + cached * Decimal(hit) + int(output) * Decimal(out)
    assert by_hand / 10**6 == Decimal(bill)
    when = datetime.fromisoformat(f"{at}:00+00:00")
    rates = Catalog.default().rates(endpoint, when, input_tokens=used.input_tokens)
    assert cost(used, rates).usd == Decimal(bill)
