"""What an attempt says of prompt caches: what it gives away, and what they hold after it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from router.catalog import Candidate
from router.charge import Stream
from router.errors import InvalidRequestError
from router.places import Pick, Visit
from router.prompts.blocks import Chain
from router.prompts.text import traffic_of
from router.services import Services
from router.types import Call, Reply, Request, Usage
from router.usage import tells_cache, usage_in

if TYPE_CHECKING:
    from router.prompts.lint import Finding

_log = logging.getLogger("router")


def lost_to_cache(
    request: Request, services: Services, candidate: Candidate, pick: Pick, now: datetime
) -> Finding | None:
    """What of its cache this prompt gives away, against those of its route before it."""
    if services.drift is None or candidate.kind == "replay":
        return None
    return services.drift.seen(
        traffic_of(request.tags, request.messages, request.tools),
        request,
        pick.chain,
        pick.rule,
        now,
        place=candidate.endpoint,
        salt=pick.salt,
        thinking=candidate.mode == "thinking",
        expected=pick.expected.held,
    )


def note_cached(
    call: Call,
    visit: Visit,
    usage: Usage,
    services: Services,
    stream: Stream,
    reply: Reply | None,
) -> None:
    """Tell what the cache there now holds; whatever fails here must not cost an answer."""
    if call.candidate.kind == "replay":
        return  # a recording has no cache
    raw = stream.raw if reply is None else usage_in(reply.body)
    whole = None
    try:
        whole = _whole(call, visit.pick, services, stream, reply)
    except Exception:
        _log.warning("an answer could not be noted as cached", exc_info=True)
    services.places.answered(visit, usage, services.now(), told=tells_cache(raw), whole=whole)


def _whole(
    call: Call, pick: Pick, services: Services, stream: Stream, reply: Reply | None
) -> Chain | None:
    """The prompt with its answer, as the next turn would send it, where the host keeps answers.

    Reasoning is not sent again, so that the next prompt parts from this one where it began.
    """
    request = call.request
    if not pick.rule.holds_output or call.candidate.mode == "thinking":
        return None
    message: Mapping[str, Any] = {"role": "assistant", "content": "".join(stream.said)}
    if reply is not None:
        message = (reply.body.get("choices") or [{}])[0].get("message") or {}
    if not message.get("content") and not message.get("tool_calls"):
        return None
    try:
        return services.chain(replace(request, messages=(*request.messages, message)))
    except InvalidRequestError:
        return None
