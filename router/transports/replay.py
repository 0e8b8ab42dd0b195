"""The embedded default: answers from recorded outcomes of real models, with no key and no network.

Everything it serves is labelled: the host is `replay`, the answer's text says that it is one.
"""

from __future__ import annotations

from typing import Any

from router.catalog import Candidate
from router.errors import ReplayMissError
from router.prompts.text import scored_text
from router.transports.recording import Outcome, find
from router.types import Call, Chunk, Reply, Request, Usage


def unfit(candidate: Candidate, request: Request) -> str | None:
    """Why a replayed candidate cannot answer this request, or None."""
    if candidate.kind != "replay" or _outcome(candidate, request) is not None:
        return None
    return "the recording has no outcome of it for this prompt"


class ReplayTransport:
    """Answers a recorded prompt as the candidate did, cut off at `max_tokens` as a host would."""

    def send(self, call: Call) -> Reply:
        """The recorded outcome as a chat completion."""
        outcome, usage, finish_reason = _replay(call)
        body = _body(call, "chat.completion")
        text = _text(call, outcome, finish_reason)
        body["choices"] = [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": finish_reason,
            }
        ]
        body["replay"] = _label(outcome, finish_reason)
        return Reply(body=body, usage=usage, finish_reason=finish_reason)

    def open(self, call: Call) -> ReplaySource:
        """The same in pieces."""
        return ReplaySource(call)

    def close(self) -> None:
        """Nothing to close."""


class ReplaySource:
    """A replayed stream: the text word by word, then the usage."""

    def __init__(self, call: Call) -> None:
        outcome, usage, finish_reason = _replay(call)
        words = _text(call, outcome, finish_reason).split(" ")
        self._chunks = [self._chunk(call, w + " " * (w is not words[-1])) for w in words]
        end = _body(call, "chat.completion.chunk")
        end["choices"] = [{"index": 0, "delta": {}, "finish_reason": finish_reason}]
        end["replay"] = _label(outcome, finish_reason)
        self._chunks.append(Chunk(body=end, usage=usage, finish_reason=finish_reason))
        self._chunks.reverse()

    def read(self) -> Chunk | None:
        """The next chunk."""
        return self._chunks.pop() if self._chunks else None

    def close(self) -> None:
        """Nothing to close."""

    @staticmethod
    def _chunk(call: Call, text: str) -> Chunk:
        body = _body(call, "chat.completion.chunk")
        body["choices"] = [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
        return Chunk(body=body, text=text)


class AsyncReplayTransport:
    """`ReplayTransport` for an event loop."""

    def __init__(self) -> None:
        self._sync = ReplayTransport()

    async def send(self, call: Call) -> Reply:
        """The recorded outcome as a chat completion."""
        return self._sync.send(call)

    async def open(self, call: Call) -> AsyncReplaySource:
        """The same in pieces."""
        return AsyncReplaySource(self._sync.open(call))

    async def close(self) -> None:
        """Nothing to close."""


class AsyncReplaySource:
    """`ReplaySource` for an event loop."""

    def __init__(self, source: ReplaySource) -> None:
        self._source = source

    async def read(self) -> Chunk | None:
        """The next chunk."""
        return self._source.read()

    async def close(self) -> None:
        """Nothing to close."""


def _outcome(candidate: Candidate, request: Request) -> Outcome | None:
    recorded = find(scored_text(request.messages))
    return recorded.outcomes.get(candidate.model) if recorded else None


def _replay(call: Call) -> tuple[Outcome, Usage, str]:
    outcome = _outcome(call.candidate, call.request)
    if outcome is None:
        raise ReplayMissError("no recorded outcome", candidate=call.candidate.name)
    cut = call.max_tokens is not None and outcome.output_tokens > call.max_tokens
    tokens = call.max_tokens if cut and call.max_tokens is not None else outcome.output_tokens
    # Recorded lengths were counted, with DeepSeek's vocabulary: no host reported them.
    usage = Usage(input_tokens=call.input_tokens, output_tokens=tokens, estimated=True)
    return outcome, usage, "length" if cut else "stop"


def _body(call: Call, kind: str) -> dict[str, Any]:
    return {
        "id": f"replay-{call.request.id}",
        "object": kind,
        "created": 0,
        "model": call.candidate.model_id,
    }


def _label(outcome: Outcome, finish_reason: str) -> dict[str, Any]:
    # An answer that was cut off is not the one that was graded: it counts as wrong.
    return {"score": outcome.score if finish_reason == "stop" else 0.0}


def _text(call: Call, outcome: Outcome, finish_reason: str) -> str:
    cut = ", cut off at max_tokens" if finish_reason == "length" else ""
    return (
        f"[replay] {call.candidate.model} answered this prompt in {outcome.output_tokens} tokens"
        f"{cut}; graded {_label(outcome, finish_reason)['score']:g}. "
        "The answer's text is not part of the recording."
    )
