"""Attribution that comes with a request from outside: entries of OpenTelemetry's baggage.

Only names that the application lists. What it says itself wins, for baggage is what the callers
of a service sent along, and they are not always to be believed.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from router.budgets.scopes import is_tag

_log = logging.getLogger("router")
_warned: set[str] = set()


def tags_carried(names: Sequence[str], scoped: Collection[str] | None = None) -> dict[str, str]:
    """The entries of these names in the current context (of this thread or task), as tags.

    `scoped` are the tags that budgets are scoped by (None: any may be one). A value of theirs
    that is no tag is kept, and so the request's error: without it the request would pass the
    budget by. Of any other name it is left out, with one warning: it is a stranger's mistake.
    """
    if not names:
        return {}
    from opentelemetry import baggage

    found = {}
    for name in names:
        value = baggage.get_baggage(name)
        if is_tag(value) or (value is not None and (scoped is None or name in scoped)):
            found[name] = value
        elif value is not None and name not in _warned:
            _warned.add(name)
            _log.warning("baggage %r has had a value that is no tag: left out", name)
    return found  # type: ignore[return-value]
