"""What is handed to a scorer, checked: errors say what was expected."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from operator import index
from typing import SupportsIndex

_kind: type[ValueError] = ValueError


def refuse_as(kind: type[ValueError]) -> None:
    """Refuse with this kind of error from now on: the router's own, which we cannot import."""
    global _kind  # noqa: PLW0603 - said once, by whoever hands scorers out
    _kind = kind


def refusal(why: str) -> ValueError:
    """The error to raise for an argument that makes no sense."""
    return _kind(why)


def check_published(published: object, like: str | None) -> None:
    """Refuse what is not accuracies by benchmark; a model that is `like` another needs none."""
    if not isinstance(published, Mapping):
        raise refusal(
            f"published: expected accuracies such as {{'gsm8k': 0.93}}, got {published!r}"
        )
    for name, value in published.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1:
            raise refusal(f"{name}: expected an accuracy between 0 and 1, got {value!r}")
    if not published and like is None:
        raise refusal("expected a published score, or a profile that it is like")


def check_names(profile: object, tenant: object) -> None:
    """Refuse names that are no text."""
    for what, name in (("profile", profile), ("tenant", tenant)):
        if not isinstance(name, str):
            raise refusal(f"{what}: expected a text, got {type(name).__name__}")


def check_counts(output_tokens: object, reasoning_tokens: object) -> None:
    """Refuse what is no count of tokens, and a part that is larger than its whole."""
    for count in (output_tokens, reasoning_tokens):
        if count is not None and (
            isinstance(count, bool) or not isinstance(count, SupportsIndex) or index(count) < 0
        ):
            raise refusal(f"expected a whole number of tokens from 0, got {count!r}")
    if not isinstance(output_tokens, SupportsIndex):
        raise refusal(f"expected a whole number of tokens from 0, got {output_tokens!r}")
    if isinstance(reasoning_tokens, SupportsIndex) and index(reasoning_tokens) > index(
        output_tokens
    ):
        raise refusal(
            f"expected reasoning_tokens as a part of {output_tokens!r}, got {reasoning_tokens!r}"
        )
