"""A provider's counts -> one `Usage`, as far as they can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal
from math import ceil, inf
from typing import Any

from router.errors import UsageError
from router.money import MAX_PICO, PICO_PER_USD
from router.types import Usage
from router.usage.shapes import COSTS, GEMINI, MINUTES, MISS, TOOLS, Shape, at, shape_of


def parse_usage(raw: Any, *, strict: bool = False, after: Usage | None = None) -> Usage | None:
    """The usage in a provider's own object; None when there is none that can be believed.

    `after` is what the same stream told before: it completes a count that has no input
    (Anthropic's `message_delta`). What is repaired is `estimated`; see `router.usage`.

    Raises:
        UsageError: with `strict`, exactly where None or an estimated usage would be given.
    """
    doubts: list[str] = []
    usage = _read(raw, after, doubts)
    if strict and (usage is None or usage.estimated):
        keys = tuple(str(key)[:40] for key in raw)[:20] if isinstance(raw, Mapping) else ()
        why = "; ".join(dict.fromkeys(doubts)) or "it is of no API that we know"
        why = why if isinstance(raw, Mapping) else "there is none" if raw is None else "no object"
        raise UsageError(
            f"expected a usage that adds up: {why} (fields: {', '.join(keys) or 'none'}); "
            "without strict_usage it is repaired or counted, and marked as estimated",
            keys=keys,
        )
    return usage


def merge_usage(earlier: Usage | None, later: Usage | None) -> Usage | None:
    """What a stream has told so far: counts are cumulative, so the later ones stand.

    Input and output each: a later zero, as in chunks that only fill the field, erases nothing.
    """
    if earlier is None or later is None:
        return later or earlier
    if not later.input_tokens and not later.output_tokens:
        return earlier
    cost = earlier.reported_cost if later.reported_cost is None else later.reported_cost
    if later.input_tokens and later.output_tokens:
        return replace(later, reported_cost=cost)
    told, counted = (later, earlier) if later.input_tokens else (earlier, later)
    return replace(
        told,
        output_tokens=counted.output_tokens,
        reasoning_tokens=counted.reasoning_tokens,
        estimated=earlier.estimated or later.estimated,
        reported_cost=cost,
    )


def _read(raw: Any, after: Usage | None, doubts: list[str]) -> Usage | None:
    shape = shape_of(raw) if isinstance(raw, Mapping) else None
    if shape is None:
        return None
    told, output = _part(raw, shape.input, doubts), _part(raw, shape.output, doubts)
    total = _part(raw, shape.total, doubts) or 0
    reasoning = max([_part(raw, path, doubts) or 0 for path in shape.reasoning.split()] or [0])
    if shape is GEMINI and total and raw.get(shape.output) is None:
        output = 0  # it leaves out what is zero; the total says whether that adds up
    if output is not None and after is not None and raw.get(shape.input) is None:
        thought = min(reasoning, output)
        later = Usage(output_tokens=output, reasoning_tokens=thought, estimated=bool(doubts))
        return merge_usage(after, later)
    if told is None or output is None:
        doubts.append(f"no count of {shape.input if told is None else shape.output}")
        return None
    if shape is GEMINI:
        told += _part(raw, TOOLS, doubts) or 0
    read = _part(raw, shape.read, doubts)
    if (miss := _part(raw, MISS, doubts)) is not None:
        read = max(told - miss, 0) if read is None else read
        if read + miss != told:
            doubts.append("hit and miss are not prompt_tokens")
        told = max(told, read + miss)
    write, hour = _written(raw, shape, doubts)
    added = _added_up(shape, told, (read or 0) + write, output, reasoning, total, doubts)
    return added and Usage(
        input_tokens=added[0],
        cache_read_tokens=read or 0,
        cache_write_tokens=write,
        cache_write_1h_tokens=hour,
        output_tokens=added[1],
        reasoning_tokens=min(reasoning, added[1]),
        estimated=bool(doubts),
        reported_cost=_cost(raw),
    )


def _written(raw: Mapping[str, Any], shape: Shape, doubts: list[str]) -> tuple[int, int]:
    """Tokens written to the cache, and those of them that are kept for an hour."""
    hour = _part(raw, shape.write_1h, doubts) or 0
    minutes = _part(raw, MINUTES, doubts)
    split = hour + (minutes or 0)
    write = _part(raw, shape.write, doubts)
    if write is not None and (split > write or (minutes is not None and split != write)):
        doubts.append("cache writes are not the sum of their kinds")
    return max(write or 0, split), hour


def _added_up(
    shape: Shape,
    told: int,
    cached: int,
    output: int,
    reasoning: int,
    total: int,
    doubts: list[str],
) -> tuple[int, int] | None:
    """Input and output, in the reading that adds up.

    The total is the arbiter. xAI counts reasoning beside the completion (docs.x.ai, vercel/ai
    pull request 12425), so do OpenAI-shaped proxies of Gemini (CLIProxyAPI issue 5733), and
    Gemini itself, but not always (LiteLLM looks at its total, too).
    """
    inside = [told] if cached <= told else []
    within = [output] if reasoning <= output else []
    ways = [told + cached] if shape.beside else [*inside, told + cached]
    ends = [output + reasoning, *within] if shape.apart else [*within, output + reasoning]
    for way in ways:
        for end in ends:
            if total and way + end == total:
                return way, end
    if not shape.beside and not inside:
        doubts.append("more cached tokens than input")
        return None
    if not total:
        doubts += [] if within or shape.apart else ["more reasoning than output"]
        return ways[0], ends[0]
    # A total beyond its parts is mostly reasoning that is not told. MiniMax-M1 was recorded with
    # more reasoning than completion (LRMTokenEconomy): where those add up they are the bill.
    doubts.append(f"the parts do not make {shape.total}")
    return ways[0], max(ends[0] if shape.apart else output, total - ways[0])


def _part(raw: Mapping[str, Any], paths: str, doubts: list[str]) -> int | None:
    """The count in the first of these fields that has one; None where none of them is there."""
    found = []
    for path in paths.split():
        value = at(raw, path)
        count = _count(value)
        if value is not None and count != value:
            doubts.append(f"{path} is no count")
        if count is not None:
            found.append(count)
    if len(set(found)) > 1:
        doubts.append(f"{' and '.join(paths.split())} differ")
    return found[0] if found else None


def _count(value: Any) -> int | None:
    # A boolean is no number here; json reads NaN and Infinity, too.
    return ceil(value) if type(value) in {int, float} and 0 <= value < inf else None


def _cost(raw: Mapping[str, Any]) -> int | None:
    for key, units in COSTS.items():
        value: Any = raw.get(key)
        if type(value) in {int, float} and 0 <= value <= MAX_PICO:
            exact = Decimal(str(value)) * PICO_PER_USD / units
            return int(exact.to_integral_value(ROUND_HALF_EVEN)) if exact <= MAX_PICO else None
    return None
