"""One real conversation with a model on this machine, streamed through a client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from router.client import Client
from router.pricing import cost
from router.types import Usage

ELSEWHERE = "deepseek-v3.2@deepinfra"
"""Where the same tokens are priced: one's own machine has no price until one is given."""
_HANDBOOK = (
    "You are a helpful assistant of a small travel agency. Answer in one short sentence. "
    "We sell trips to cities in Europe by train. Tickets can be changed until the day before "
    "departure. Children under six travel free, and dogs pay half. Groups of ten or more get a "
    "tenth off. Breakfast is part of every hotel price. Refunds are paid within two weeks. The "
    "office is open from nine to five, Monday to Friday, and closed on holidays."
)
_QUESTIONS = ("Which city has the Eiffel Tower?", "What else can I see there?")
_MOST_TOKENS = 60


@dataclass(frozen=True, slots=True)
class Told:
    """One streamed answer: tokens, of those read from the cache as expected and as reported.

    `first_seconds` is the time to the first piece of text, `seconds` to the end; `elsewhere` is
    what the same tokens cost at `ELSEWHERE`, in pico-dollars, None where that has no price now.
    """

    question: str
    text: str
    usage: Usage
    expected_cached: float
    first_seconds: float
    seconds: float
    elsewhere: int | None


def converse(url: str, show: Callable[[str], Any]) -> Iterator[Told]:
    """Ask the llama.cpp server at `url` a question and one that follows from it.

    Each piece of text goes to `show` as it comes.

    Raises:
        RouterError: as in a call.
    """
    messages: list[dict[str, str]] = [{"role": "system", "content": _HANDBOOK}]
    with Client(base_urls={"llamacpp": url}, hosts=["llamacpp"], ledger=":memory:") as client:
        (local,) = client.candidates()
        for question in _QUESTIONS:
            messages.append({"role": "user", "content": question})
            show(f"> {question}\n")
            told = _ask(client, local.name, messages, question, show)
            messages.append({"role": "assistant", "content": told.text})
            yield told


def _ask(
    client: Client,
    model: str,
    messages: list[dict[str, str]],
    question: str,
    show: Callable[[str], Any],
) -> Told:
    began = time.monotonic()
    first: float | None = None
    pieces: list[str] = []
    with client.chat.completions.create(
        messages, model=model, stream=True, temperature=0, max_tokens=_MOST_TOKENS
    ) as stream:
        for chunk in stream:
            if chunk.text and first is None:
                first = time.monotonic() - began
            pieces.append(chunk.text)
            show(chunk.text)
    seconds = time.monotonic() - began
    route = stream.route
    assert route.usage is not None
    rates = client.catalog.rates(ELSEWHERE, route.started_at)
    return Told(
        question=question,
        text="".join(pieces),
        usage=route.usage,
        expected_cached=route.forecast.cache_read_tokens,
        first_seconds=seconds if first is None else first,
        seconds=seconds,
        elsewhere=None if rates is None else cost(route.usage, rates).pico,
    )
