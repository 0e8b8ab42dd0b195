"""Attribution that comes with a request from outside: entries of OpenTelemetry's baggage.

Only names that the application lists. What it says itself wins, for baggage is what the callers
of a service sent along, and they are not always to be believed.
"""

from __future__ import annotations

from collections.abc import Sequence


def tags_carried(names: Sequence[str]) -> dict[str, str]:
    """The entries of these names in the current context (of this thread or task), as tags.

    A value that is no tag is the request's error, as any other tag's: it may be what a budget
    is scoped by.
    """
    if not names:
        return {}
    from opentelemetry import baggage

    found = ((name, baggage.get_baggage(name)) for name in names)
    return {name: value for name, value in found if value is not None}  # type: ignore[misc]
