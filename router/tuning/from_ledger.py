"""A ledger as traffic: the lines of each request, its decision, its grade."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from router.errors import RecordError
from router.ledgers import Entry, Grade
from router.ledgers.entries import LEASE
from router.ledgers.ledger import Ledger
from router.packing import unpack
from router.record import DecisionRecord
from router.tuning.traffic import Logged, Traffic

GRADES = ("label", "*", "feedback", "verifier", "judge")
"""Whose grade counts, the first there is; "*" is any other word."""
_CACHED = "cached"
_LONGEST = timedelta(days=2)
"""More than a request takes, patience included; corrections may come later than that."""


@dataclass(slots=True)
class _Request:
    """The lines of one request, oldest first."""

    entries: list[Entry] = field(default_factory=list)
    grades: list[Grade] = field(default_factory=list)
    decision: str = ""


def from_ledger(
    ledger: Ledger,
    *,
    since: datetime | None,
    until: datetime | None,
    by: Sequence[str] = GRADES,
) -> Traffic:
    """The requests that began in [since, until), as `Traffic.since` and `until` tell; later lines
    and grades count, too.

    So that a request is never cut in two, the lines of two days before `since` are read as well.
    A correction of a request from before those is left out, and a note counts it. So are answers
    out of the response cache: no policy chose them. A request without a decision record is kept,
    with what its lines say of the choice.
    """
    back = None if since is None else since - _LONGEST
    requests: defaultdict[str, _Request] = defaultdict(_Request)
    for entry in ledger.entries(since=back):
        if entry.record.policy != LEASE:
            requests[entry.record.request_id].entries.append(entry)
    for request_id, packed in ledger.decisions(since=back):
        if request_id in requests:
            requests[request_id].decision = packed
    for grade in ledger.grades(since=back):
        if grade.request_id in requests:
            requests[grade.request_id].grades.append(grade)
    counted: Counter[str] = Counter()
    made = []
    for request_id, request in requests.items():
        if all(entry.kind == "correct" for entry in request.entries):
            counted["corrected"] += any(_within(e.at, since, until) for e in request.entries)
            continue
        logged = _logged(request_id, request, by)
        if not _within(logged.at, since, until):
            continue
        if all(entry.outcome == _CACHED for entry in request.entries):
            counted["cached"] += 1
            continue
        counted["no record"] += not request.decision
        counted["unreadable"] += bool(request.decision) and logged.record is None
        counted["unpriced"] += logged.cost is None
        counted["ungraded"] += logged.quality is None
        made.append(logged)
    made.sort(key=lambda logged: logged.at)
    return Traffic(made, notes=_notes(counted, len(made)))


def _within(at: datetime, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or at >= since) and (until is None or at < until)


def _logged(request_id: str, request: _Request, by: Sequence[str]) -> Logged:
    first = min(request.entries, key=lambda entry: entry.at - timedelta(seconds=entry.seconds))
    record: DecisionRecord | None = None
    if request.decision:
        with suppress(RecordError):  # of another version
            record = unpack(request.decision)
    served = _served(request)
    grade = _grade(request.grades, served, by)
    decided = record is not None and bool(record.decision.ranking)
    return Logged(
        request_id=request_id,
        at=first.at - timedelta(seconds=first.seconds) if record is None else record.context.now,
        chosen=record.decision.chosen if record and decided else first.record.candidate,
        propensity=record.decision.propensity if record and decided else first.record.propensity,
        tags=dict(first.record.tags),
        record=record,
        served=served,
        policy=record.decision.policy if record else first.record.policy,
        cost=cost_of(request.entries),
        quality=None if grade is None else grade.score,
        quality_by="" if grade is None else grade.by,
        seconds=sum(entry.seconds for entry in request.entries if entry.kind != "correct"),
    )


def _served(request: _Request) -> str:
    """Who answered: the last that did; of several, the one that the verifier liked best."""
    answered = [e.record.candidate for e in request.entries if e.outcome in {"ok", "closed"}]
    if not answered:
        return ""
    said = {g.candidate: g.score for g in request.grades if g.by == "verifier" and g.candidate}
    graded = [name for name in answered if name in said]
    if len(graded) < 2:
        return answered[-1]
    best = max(said[name] for name in graded)
    return next(name for name in reversed(graded) if said[name] == best)


def _grade(grades: Iterable[Grade], served: str, by: Sequence[str]) -> Grade | None:
    """Of the grades of the answer that was served, the one that goes first in `by`."""
    named = {word for word in (*by, *GRADES) if word != "*"}
    mine = [g for g in grades if g.candidate in {"", served}]
    for word in by:
        for grade in mine:
            if grade.by == word or (word == "*" and grade.by not in named):
                return grade
    return None


def cost_of(entries: Iterable[Entry]) -> int | None:
    """Pico-dollars of all lines; None where the price of one that was charged is not known."""
    total = 0
    for entry in entries:
        charged = entry.kind != "release" and entry.outcome != _CACHED
        took = entry.usage.input_tokens or entry.usage.output_tokens
        if charged and took and not entry.rates_id and not entry.cost:
            return None
        total += entry.cost
    return total


def _notes(counted: Mapping[str, int], total: int) -> tuple[str, ...]:
    said = {
        "no record": "have no decision record, so no other policy can decide them: "
        "Client(log_decisions=True) keeps one",
        "unreadable": "have a decision record of another version, which was left out",
        "ungraded": "have no grade: client.feedback(request_id, score), a verifier, "
        "router.tuning.Judge, or ledger.grade([...]) give one",
        "unpriced": "have an unknown cost: give the rates in an overlay of the catalogue",
    }
    notes = [
        f"{counted[k]:,} of {total:,} requests {text}" for k, text in said.items() if counted[k]
    ]
    if counted["cached"]:
        notes.append(f"{counted['cached']:,} answers out of the response cache were left out")
    if counted["corrected"]:
        notes.append(
            f"late corrections of {counted['corrected']:,} requests were left out, for their "
            "first lines were not read: an earlier since takes them in"
        )
    return tuple(notes)
