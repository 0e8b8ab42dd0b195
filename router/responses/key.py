"""Which requests are the same: one digest of all that the answer depends on. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from policies.types import Policy
from router.prompts.layout import canonical, schema_text
from router.responses.reply import FORMAT
from router.types import Request


def cache_key(
    request: Request,
    *,
    policy: str,
    by: Collection[str] | None = (),
    streams_with_tools: bool = False,
    addresses: str = "",
) -> str | None:
    """The SHA-256 (64 hex digits) of a request, None for one that must not be cached.

    Equal for requests that ask for the same thing of the same models at the same `addresses`
    (see `Access.fingerprint`) under the same `policy` (its fingerprint), for the same tenant (the
    tag `tenant`). Other tags count only if they are named in `by` (None: all of them do); see
    `tags_read`. Id, timeout, retries, patience and `stream` do not count.

    Not cached: a stream that may call tools, unless `streams_with_tools`; a request that JSON
    cannot express.
    """
    if request.stream and request.tools and not streams_with_tools:
        return None
    tags = {n: value for n, value in request.tags.items() if by is None or n in by}
    try:
        text = canonical(
            {
                "format": FORMAT,
                "tenant": request.tags.get("tenant", ""),
                "policy": policy,
                "addresses": addresses,
                "tags": tags,
                "models": list(request.models),
                "messages": [dict(message) for message in request.messages],
                "tools": [schema_text(dict(tool)) for tool in request.tools],
                "tool_choice": request.tool_choice,
                "response_format": request.response_format
                and schema_text(dict(request.response_format)),
                "max_tokens": request.max_tokens,
                "extra": dict(request.extra),
            }
        )
        return hashlib.sha256(text.encode()).hexdigest()
    except (TypeError, ValueError, RecursionError):  # a lone surrogate is a ValueError, too
        return None


def tags_read(policy: Policy) -> tuple[str, ...] | None:
    """The tags that may decide who answers: those of quality floors.

    None, any tag, where the policy is, or holds, a callable that is not one of ours.
    """
    from policies.spec import to_spec

    try:
        return tuple(sorted(_floored(to_spec(policy))))
    except ValueError:
        return None


def _floored(spec: Any) -> set[str]:
    found: set[str] = set()
    if isinstance(spec, Mapping):
        found = {key.partition("=")[0] for key in spec.get("quality_floors") or ()}
        spec = list(spec.values())
    if isinstance(spec, list):
        found = found.union(*map(_floored, spec))
    return found
