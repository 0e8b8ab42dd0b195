"""Hosts that exist in this process alone: simulated caches behind the client's own transport."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks._prefix_rules import HostCache
from benchmarks._prefix_text import paragraph
from router.testing import FakeClock, MockTransport, reply
from router.tokens import encode, render
from router.types import Call, Reply


@dataclass(frozen=True, slots=True)
class Answered:
    """A call as its host saw it; tokens, and seconds since the epoch."""

    endpoint: str
    prompt: list[int]
    answer: list[int]
    cached: int
    at: float
    first: float


class SimulatedHosts(MockTransport):
    """Answers every call from the cache of its endpoint and says what was read from it.

    An answer is `sentences` of text and takes `seconds`, by which the clock moves on.
    """

    def __init__(
        self,
        caches: Mapping[str, HostCache],
        clock: FakeClock,
        *,
        seconds: float = 3.0,
        sentences: int = 6,
    ) -> None:
        super().__init__()
        self._caches, self._clock = caches, clock
        self._seconds, self._sentences = seconds, sentences
        self.answered: list[Answered] = []

    def send(self, call: Call) -> Reply:
        """Read the cache, answer, and keep what was computed."""
        request, cache = call.request, self._caches[call.candidate.endpoint]
        text = render(
            request.messages,
            tools=request.tools,
            response_format=request.response_format,
            thinking=call.candidate.thinking,
        )
        prompt = encode(text)
        at = self._clock().timestamp()
        salt = str(request.extra.get("user_id", ""))
        cached = cache.read(prompt, at, salt)
        self._clock.advance(self._seconds)
        said = paragraph(random.Random(f"answer {len(self.answered)}"), self._sentences)
        answer, first = encode(said), self._clock().timestamp()
        cache.keep(prompt, answer, first, salt)
        self.answered.append(Answered(call.candidate.endpoint, prompt, answer, cached, at, first))
        return reply(
            said,
            input_tokens=len(prompt),
            output_tokens=len(answer),
            cache_read_tokens=cached,
        )
