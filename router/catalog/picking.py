"""The candidates that one reading of a name means."""

from __future__ import annotations

from collections.abc import Iterable

from router.catalog.candidate import Candidate
from router.catalog.names import Reading


def at_host(candidate: Candidate, reading: Reading) -> bool:
    """Whether the reading names this candidate's host, or none."""
    return reading.host is None or candidate.host == reading.host


def pick(found: Iterable[Candidate], reading: Reading) -> list[Candidate]:
    """Those of the reading's host and mode; without a mode each model's default one."""
    here = [candidate for candidate in found if at_host(candidate, reading)]
    if reading.mode is not None:
        return [candidate for candidate in here if candidate.mode == reading.mode]
    # An id on the wire may itself mean thinking: then there is no default mode to prefer.
    return [c for c in here if ":" not in c.profile] or here
