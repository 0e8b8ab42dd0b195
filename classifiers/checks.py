"""What is handed to a scorer, checked: errors say what was expected."""

from __future__ import annotations

from operator import index
from typing import SupportsIndex


def check_names(profile: object, tenant: object) -> None:
    """Refuse names that are no text."""
    for what, name in (("profile", profile), ("tenant", tenant)):
        if not isinstance(name, str):
            raise ValueError(f"{what}: expected a text, got {type(name).__name__}")


def check_counts(output_tokens: object, reasoning_tokens: object) -> None:
    """Refuse what is no count of tokens, and a part that is larger than its whole."""
    for count in (output_tokens, reasoning_tokens):
        if count is not None and (
            isinstance(count, bool) or not isinstance(count, SupportsIndex) or index(count) < 0
        ):
            raise ValueError(f"expected a whole number of tokens from 0, got {count!r}")
    if not isinstance(output_tokens, SupportsIndex):
        raise ValueError(f"expected a whole number of tokens from 0, got {output_tokens!r}")
    if isinstance(reasoning_tokens, SupportsIndex) and index(reasoning_tokens) > index(
        output_tokens
    ):
        raise ValueError(
            f"expected reasoning_tokens as a part of {output_tokens!r}, got {reasoning_tokens!r}"
        )
