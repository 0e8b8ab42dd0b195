"""What people ask of budgets, checked: whose account, how much, by whom and why."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from router.budgets.budget import Unit
from router.budgets.scopes import LONGEST_TAG, is_tag
from router.errors import InvalidBudgetError
from router.money import to_pico

_LONGEST_TEXT, _SHOWN = 500, 80
_MOST = 2**62
"""Tokens or requests that can be added twice to what a row of the ledger holds."""


def checked_tags(tags: object) -> dict[str, str]:
    """Tags that a request may have, and that mean one account; None is none.

    Raises:
        InvalidBudgetError: which one, and what was expected.
    """
    if tags is None:
        return {}
    if not isinstance(tags, Mapping):
        raise InvalidBudgetError(
            f"tags: expected a dict such as {{'team': 'search'}}, got {_short(tags)}"
        )
    for name, value in tags.items():
        if not (name and is_tag(name) and is_tag(value)):
            raise InvalidBudgetError(
                f"tags: expected text of at most {LONGEST_TAG} characters without control "
                f"characters, got {_short(name)}: {_short(value)}"
            )
        if "*" in value.split("/"):
            raise InvalidBudgetError(
                f"tags: {name}={value!r} is a pattern of a scope; say whose account is meant"
            )
    return dict(tags)


def check_text(name: str, value: object) -> None:
    """Refuse what cannot be read in the budgets' history: `by` and `why` are lines of text.

    Raises:
        InvalidBudgetError: empty, too long, or not printable.
    """
    if (
        not isinstance(value, str)
        or not value.strip()
        or len(value) > _LONGEST_TEXT
        or not value.isprintable()
    ):
        raise InvalidBudgetError(
            f"{name}: expected a text of at most {_LONGEST_TEXT} printable characters, got "
            f"{_short(value)}"
        )


def checked_amount(amount: object, unit: Unit) -> int:
    """An amount of USD in pico-dollars, or of tokens or requests; it may be negative.

    Raises:
        InvalidBudgetError: no amount, or one that no ledger can hold.
    """
    if unit == "usd":
        if not isinstance(amount, str | int | Decimal | float):  # Decimal also reads lists
            raise InvalidBudgetError(f"amount: expected an amount in USD, got {_short(amount)}")
        try:
            return to_pico(amount)
        except ValueError as error:
            raise InvalidBudgetError(f"amount: {error}") from None
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise InvalidBudgetError(f"amount: expected whole {unit}, got {_short(amount)}")
    if abs(amount) > _MOST:
        raise InvalidBudgetError(f"amount: expected at most {_MOST:,} {unit}, got more")
    return amount


def _short(value: object) -> str:
    if not isinstance(value, str):
        return type(value).__name__
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
