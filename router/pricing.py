"""The only place that multiplies money: tokens x rates -> Cost, for forecast and bill alike."""

from __future__ import annotations

from router.catalog import Rates
from router.types import Cost, Usage

_MILLION = 10**6


def cost(usage: Usage, rates: Rates) -> Cost:
    """Cost of `usage` at `rates`: exact in pico-dollars, then rounded up once."""
    miss = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
    fresh = miss * rates.input
    read = usage.cache_read_tokens * rates.cache_read
    write = usage.cache_write_tokens * rates.cache_write
    output = usage.output_tokens * rates.output
    return Cost(
        pico=-(-(fresh + read + write + output) // _MILLION),
        input=fresh // _MILLION,
        cache_read=read // _MILLION,
        cache_write=write // _MILLION,
        output=output // _MILLION,
        rates_id=rates.id,
    )


def ceiling(input_tokens: int, output_tokens: int, rates: Rates) -> int:
    """The most a call can cost, in pico-dollars: input at its dearest rate, all output used."""
    dearest = max(rates.input, rates.cache_write, rates.cache_read)
    return -(-(input_tokens * dearest + output_tokens * rates.output) // _MILLION)


def affordable_output(pico: int, input_tokens: int, rates: Rates) -> int | None:
    """Output tokens whose `ceiling` fits into `pico`; negative when the input alone does not.

    None when output is free.
    """
    if rates.output == 0:
        return None if ceiling(input_tokens, 0, rates) <= pico else -1
    dearest = max(rates.input, rates.cache_write, rates.cache_read)
    return (pico * _MILLION - input_tokens * dearest) // rates.output
