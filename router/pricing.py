"""The only place that multiplies money: tokens x rates -> Cost, for forecast and bill alike."""

from __future__ import annotations

from collections.abc import Sequence

from router.catalog import Rates
from router.types import Cost, Usage

_MILLION = 10**6


def cost(usage: Usage, rates: Rates) -> Cost:
    """Cost of one request at `rates`: exact in pico-dollars, then rounded up once.

    Where prices depend on the length of input, look `rates` up with `usage.input_tokens`.
    """
    miss = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
    hour = usage.cache_write_1h_tokens
    fresh = miss * rates.input
    read = usage.cache_read_tokens * rates.cache_read
    write = (usage.cache_write_tokens - hour) * rates.cache_write + hour * rates.cache_write_1h
    output = usage.output_tokens * rates.output
    return Cost(
        pico=rates.per_request - (-(fresh + read + write + output) // _MILLION),
        input=fresh // _MILLION,
        cache_read=read // _MILLION,
        cache_write=write // _MILLION,
        output=output // _MILLION,
        rates_id=rates.id,
        request=rates.per_request,
    )


def output_costs(
    rates: Rates,
    input_tokens: int,
    cache_read_tokens: int,
    outputs: Sequence[int],
    *,
    writes: bool = False,
) -> tuple[int, ...]:
    """`cost(...).pico` of one input and each of these outputs, in pico-dollars.

    With `writes` all input that no cache held is billed as a cache write. A fifth of the time of
    so many calls of `cost`: every candidate of every request needs it.
    """
    fresh = rates.cache_write if writes else rates.input
    fixed = (input_tokens - cache_read_tokens) * fresh
    fixed += cache_read_tokens * rates.cache_read
    each, fee = rates.output, rates.per_request
    return tuple([fee - (-(fixed + n * each) // _MILLION) for n in outputs])


def ceiling(input_tokens: int, output_tokens: int, rates: Rates) -> int:
    """The most a call can cost, in pico-dollars: input at its dearest rate, all output used.

    Where prices depend on the length of input, `rates` are those of so many tokens or more.
    """
    tokens = input_tokens * _dearest_input(rates) + output_tokens * rates.output
    return rates.per_request - (-tokens // _MILLION)


def affordable_output(pico: int, input_tokens: int, rates: Rates) -> int | None:
    """Output tokens whose `ceiling` fits into `pico`; negative when the input alone does not.

    None when output is free.
    """
    if rates.output == 0:
        return None if ceiling(input_tokens, 0, rates) <= pico else -1
    left = (pico - rates.per_request) * _MILLION - input_tokens * _dearest_input(rates)
    return left // rates.output


def _dearest_input(rates: Rates) -> int:
    return max(rates.input, rates.cache_read, rates.cache_write, rates.cache_write_1h)
