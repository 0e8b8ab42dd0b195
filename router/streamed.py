"""A streamed attempt, piece by piece. A generator of effects, like the flow."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from router.charge import Stream
from router.effects import Effect, Emit, Open, Read
from router.errors import ProviderTimeoutError
from router.places import Visit
from router.services import Services
from router.types import Call

_PAUSE, _PAUSE_SHARE = 0.02, 0.1
"""Seconds, and the share of the wait, that a reader may take between chunks and not count."""


class StreamClosed(BaseException):
    """Thrown into a flow by its driver: the caller closed the stream before its end."""


def streamed(
    call: Call, services: Services, stream: Stream, began: float, visit: Visit
) -> Generator[Effect, Any, None]:
    """Open a stream and hand its pieces on; what came is in `stream`, however it ends.

    Raises:
        ProviderError: the host refuses it or it breaks.
        ProviderTimeoutError: it does not end in time.
    """
    stream.restart()
    clock = services.monotonic
    sent = asked = clock()
    yield Open(call)
    waited, paused = clock() - asked, 0.0
    stream.came = services.now()
    if not stream.opened:
        stream.opened = True
        paused -= clock()
        yield Emit(None)
        paused += clock()
    while True:
        asked = clock()
        if (chunk := (yield Read())) is None:
            break
        came = clock()
        if stream.first is None:
            stream.first = came - sent - paused
        stream.behind = max(0.0, stream.behind - (came - asked))
        if not any(stream.text):
            waited += came - asked
            if chunk.text or chunk.reasoning:
                services.places.first_token(visit)
                _first_token(call, services, waited, paused)
        stream.take(chunk, services.now())
        if came - began > call.timeout:
            raise ProviderTimeoutError(
                f"the stream did not end within {call.timeout:.0f} s",
                candidate=call.candidate.name,
                billable=True,
            )
        try:
            yield Emit(chunk)
        finally:  # the reader may close it after a long while with this piece
            paused += clock() - came
            stream.behind += clock() - came


def _first_token(call: Call, services: Services, waited: float, paused: float) -> None:
    """Note how long the host took to its first token, unless the reader kept it waiting.

    A host works on while its reader is busy, so that too little would be measured then.
    """
    if call.candidate.kind != "replay" and paused <= max(_PAUSE, _PAUSE_SHARE * waited):
        services.pace.observe_first(call.candidate.endpoint, waited)
