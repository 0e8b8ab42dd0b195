"""The candidates that a name means: of one reading of it, and of all its readings together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from router.catalog.candidate import Candidate
from router.catalog.names import Reading


def pick(found: Iterable[Candidate], reading: Reading) -> list[Candidate]:
    """Those of the reading's mode; without a mode each model's default one."""
    if reading.mode is not None:
        return [candidate for candidate in found if candidate.mode == reading.mode]
    found = list(found)
    # An id on the wire may itself mean thinking: then there is no default mode to prefer.
    plain = {candidate.model for candidate in found if ":" not in candidate.profile}
    return [c for c in found if ":" not in c.profile or c.model not in plain]


def surest(
    meanings: Sequence[Iterable[Candidate]], fits: Callable[[Candidate], bool]
) -> tuple[list[Candidate], list[Candidate]]:
    """Those that fit, at each host by the first of these meanings; and all that do not fit.

    Host by host: a host that joins the catalogue adds to a name, and takes nothing from it.
    """
    chosen: list[Candidate] = []
    others: list[Candidate] = []
    hosts: set[str] = set()
    for meaning in meanings:
        fitting: list[Candidate] = []
        for candidate in meaning:
            (fitting if fits(candidate) else others).append(candidate)
        chosen += [candidate for candidate in fitting if candidate.host not in hosts]
        hosts |= {candidate.host for candidate in fitting}
    return chosen, others
