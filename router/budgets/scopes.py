"""Scopes of budgets: patterns for the values of tags, and what of a value names an account."""

from __future__ import annotations

import re
from collections.abc import Mapping

from router.errors import InvalidBudgetError

LONGEST_TAG = 256
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
CANDIDATE_SCOPES = frozenset(("model", "mode", "host", "candidate"))
"""Names in a scope that are not tags of the request but say who is called."""


def check_scope(scope: object) -> dict[str, str]:
    """A copy of a scope that makes sense; InvalidBudgetError says what does not."""
    if not isinstance(scope, Mapping) or not all(
        isinstance(k, str) and k and isinstance(v, str) and v for k, v in scope.items()
    ):
        raise InvalidBudgetError(
            "Budget scope: expected tag names and values such as {'team': 'search'}, "
            f"got {scope!r}"
        )
    for name, pattern in scope.items():
        # A pattern that can never match would be a limit that never holds.
        if pattern.endswith("/"):
            raise InvalidBudgetError(
                f"Budget scope: {name}={pattern!r} ends in '/'; {pattern.rstrip('/')!r} covers "
                "itself and all below it"
            )
        segments = [pattern] if name in CANDIDATE_SCOPES else pattern.split("/")
        if any("*" in segment and segment != "*" for segment in segments):
            whole = "name" if name in CANDIDATE_SCOPES else "segment between slashes"
            raise InvalidBudgetError(
                f"Budget scope: in {name}={pattern!r}, expected '*' to stand for a whole {whole}"
            )
    return dict(scope)


def is_tag(text: object) -> bool:
    """Whether a text may be a tag's name or value: what every ledger and a CSV file can hold.

    Half of a surrogate pair is a str, too; a server's ledger takes no zero byte; a terminal obeys
    control characters, and overrides of direction show a text as another.
    """
    return isinstance(text, str) and len(text) <= LONGEST_TAG and not _CONTROL.search(text)


def matched(name: str, pattern: str, value: str) -> str | None:
    """The part of a tag's value that names the account; None if the pattern does not cover it."""
    if not isinstance(value, str):
        raise InvalidBudgetError(f"expected text as the value of the tag {name}, got {value!r}")
    # "deepseek-ai/DeepSeek-V3.2" is a name, not a path.
    if "/" not in value or name in CANDIDATE_SCOPES:
        return value if pattern in {"*", value} else None
    wanted = pattern.split("/")
    found = value.split("/")[: len(wanted)]
    if len(found) < len(wanted) or any(
        w not in {"*", f} for w, f in zip(wanted, found, strict=True)
    ):
        return None
    return "/".join(found)


def quoted(text: str) -> str:
    """A text as part of an account's key."""
    # Keeps tags that contain our separators from sharing an account.
    return text.replace("%", "%25").replace(";", "%3B").replace("=", "%3D").replace("/", "%2F")
