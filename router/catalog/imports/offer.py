"""What a data set says about one model at one host, in our terms, before it meets a catalogue."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

Row = dict[str, Any]
Rows = dict[str, list[Row]]


UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What code that reads an entry meets where the entry is not of the form that it expects."""


class SkipError(Exception):
    """An entry that cannot be imported. "kind: detail" says why; kinds are few, for counting."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Weekly hours of peak prices: ISO weekdays and spans "HH:MM-HH:MM" in a zone."""

    zone: str
    weekdays: tuple[int, ...]
    spans: tuple[str, ...]

    @property
    def name(self) -> str:
        """A schedule's name that says all of it, so that equal hours are one schedule."""
        days = "".join(map(str, self.weekdays))
        spans = "-".join(span.replace(":", "") for span in self.spans)
        zone = self.zone.lower().replace("/", "-")
        return f"imported-{zone}-{days}-{spans}"


@dataclass(frozen=True, slots=True)
class Period:
    """Prices from a day on (midnight UTC); `start` is None where the data set names none.

    `prices` are the money fields of a `[[rate]]` row: flat ones, or `peak` and `off_peak`
    beside `hours`.
    """

    start: date | None
    prices: Mapping[str, Any]
    hours: Hours | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One entry. Limits are tokens, None where they are not stated.

    `accepts` says whether the data set prices another id on the wire by this entry. `chat` is
    False where it is not called as a chat completion. `left_out` names what a row cannot hold.
    """

    key: str
    host: str
    model_id: str
    periods: tuple[Period, ...]
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    tools: bool = False
    json_mode: bool = False
    thinks: bool = False
    chat: bool = True
    retires_on: date | None = None
    accepts: Callable[[str], bool] | None = None
    left_out: tuple[str, ...] = ()

    @property
    def speciale(self) -> bool:
        """Whether these are the weights that know no tools and no JSON mode."""
        return "speciale" in self.model_id.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Rows for `Catalog.overlay`, and what did not become one.

    `skipped`: the data set's key -> "kind: detail". `left_out`: key -> prices of an imported
    entry that a row has no field for (audio, images, searches). `rounded` counts prices finer
    than a rate can hold.
    """

    rows: Mapping[str, list[Row]]
    skipped: Mapping[str, str]
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rounded: int = 0

    @property
    def priced(self) -> tuple[str, ...]:
        """The endpoints that got a price, by name."""
        return tuple(sorted({row["endpoint"] for row in self.rows.get("rate", ())}))

    def reasons(self) -> dict[str, int]:
        """How many entries were skipped for each kind of reason, the most frequent first."""
        counts: dict[str, int] = {}
        for why in self.skipped.values():
            kind = why.partition(":")[0]
            counts[kind] = counts.get(kind, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def wanted(key: str, only: Iterable[str]) -> bool:
    """Whether a key contains one of these, in any case; every key does where there are none."""
    parts = [part.lower() for part in only]
    return not parts or any(part in key.lower() for part in parts)


def limit(value: Any) -> int | None:
    """A limit in tokens; None where there is none, or none above zero.

    Raises:
        ValueError: no number.
    """
    if isinstance(value, bool) or value is None or value == "":
        return None
    tokens = int(float(value))
    return tokens if tokens > 0 else None


def refuse_zero(prices: Mapping[str, Any], model_id: str) -> None:
    """Accept a price of zero only from a model that is called free, or that has a price per
    request: lists write zero for prices that they do not know, and for subscriptions.

    Raises:
        SkipError: input, output or both at zero.
    """
    zeros = [name for name in ("input", "output") if prices[name] == "0"]
    if "per_request" in prices:
        return
    if len(zeros) == 1:
        raise SkipError(f"zero: the {zeros[0]} price beside one that is not")
    if zeros and not re.search(r"[:/-]free$", model_id.lower()):
        raise SkipError("zero: input and output, and nothing says that the model is free")
