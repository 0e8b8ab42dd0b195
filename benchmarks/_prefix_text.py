"""Seeded text with the statistics that matter here: ordinary words, numbers, JSON, no repeats."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from typing import Any

_THINGS = re.findall(
    r"\w+",
    "order invoice parcel refund account warranty coupon subscription address delivery return "
    "battery charger cable screen keyboard printer router adapter manual voucher pickup store "
    "warehouse label receipt deposit balance password profile reminder shipment exchange",
)
_ACTS = re.findall(
    r"\w+",
    "arrives leaves expires renews fails waits moves changes returns closes opens costs counts "
    "starts stops reaches replaces covers needs follows allows blocks repeats confirms cancels",
)
_KINDS = re.findall(
    r"\w+",
    "open late small heavy express damaged missing prepaid yearly monthly partial second new old "
    "regional foreign private shared broken sealed urgent standard delayed duplicate unpaid",
)
_WHENS = re.findall(
    r"[^|]+",
    "within {} days|after {} hours|before the {}th of a month|on {} of 40 occasions|"
    "for at least {} minutes|unless {} items are left|in zone {}|above {} dollars|"
    "once every {} weeks|up to {} times",
)


def sentence(rng: random.Random) -> str:
    """One sentence of a shop's help pages, about 18 tokens."""
    when = rng.choice(_WHENS).format(rng.randint(2, 30))
    first, second = rng.sample(_THINGS, 2)
    return (
        f"The {rng.choice(_KINDS)} {first} {rng.choice(_ACTS)} {when}, "
        f"and the {rng.choice(_KINDS)} {second} {rng.choice(_ACTS)}."
    )


def paragraph(rng: random.Random, sentences: int) -> str:
    """Some sentences on one line."""
    return " ".join(sentence(rng) for _ in range(sentences))


def question(rng: random.Random) -> str:
    """What a customer asks, about 30 tokens."""
    first, second = rng.sample(_THINGS, 2)
    return (
        f"My {rng.choice(_KINDS)} {first} {rng.choice(_ACTS)} {rng.choice(_WHENS).format(7)}. "
        f"What does that mean for the {second}, and what should I do by day {rng.randint(2, 28)}?"
    )


def tool(rng: random.Random, name: str) -> dict[str, Any]:
    """A tool as OpenAI's API takes it, about 130 tokens."""
    fields = rng.sample(_THINGS, 3)
    properties = {
        f"{field}_id": {"type": "string", "description": sentence(rng)} for field in fields
    }
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": sentence(rng),
            "parameters": {
                "type": "object",
                "properties": properties,
                "required": sorted(properties)[:2],
            },
        },
    }


def record(rng: random.Random) -> dict[str, Any]:
    """What a tool answers, about 170 tokens as JSON."""
    return {
        "status": rng.choice(("ok", "partial")),
        "items": [
            {thing: rng.randint(10, 99_999), "note": sentence(rng)}
            for thing in rng.sample(_THINGS, 4)
        ],
        "page": rng.randint(1, 9),
    }


def scrambled(value: Any, rng: random.Random) -> Any:
    """The same JSON value with the keys of every object in another order."""
    if isinstance(value, Mapping):
        keys = list(value)
        rng.shuffle(keys)
        return {key: scrambled(value[key], rng) for key in keys}
    return [scrambled(one, rng) for one in value] if isinstance(value, list) else value


def dumped(value: Any) -> str:
    """JSON as most programs write it: in the order of the dict."""
    return json.dumps(value)
