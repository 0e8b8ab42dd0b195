"""Causes that change how many tokens or requests a bill has."""

from __future__ import annotations

from collections.abc import Iterator

from router.bills.case import Case
from router.bills.causes import (
    BOUNDED,
    DISCRETE,
    FITTED,
    Fit,
    scaled,
    share,
    thousandths,
)
from router.bills.state import OUTPUT, State

_FRESH, _READ = 0, 1


def missing_cache(case: Case, state: State) -> Iterator[Fit]:
    """The host billed tokens as fresh that its own usage called cached."""
    n, full = len(case.days), case.once("unread", lambda: _all_missed(case))
    billed = case.billed.tokens if case.billed.inputs is None else None
    cached = sum(-day[_READ] for day in full.tokens)
    if not cached:
        return
    if billed is None:
        if found := share(case, state, full):
            yield _cache_fit(scaled(full, found, 1000), FITTED, cached * found // 1000, cached)
        return
    change, missed = State.zero(n), 0
    for day in range(n):
        had = -full.tokens[day][_READ]
        gone = min(max(0, state.tokens[day][_READ] - billed[day][_READ]), had)
        gone = min(gone, max(0, billed[day][_FRESH] - state.tokens[day][_FRESH]))
        if gone:
            missed += gone
            part = scaled(State([full.tokens[day]], [full.money[day]], [0]), gone, had)
            change.tokens[day], change.money[day] = part.tokens[0], part.money[0]
    if missed:
        yield _cache_fit(change, FITTED, missed, cached)


def _all_missed(case: Case) -> State:
    full = State.zero(len(case.days))
    for day, priced in case.calls:
        read = priced.tokens[_READ]
        if read and priced.rates is not None:
            full.tokens[day][_FRESH] += read
            full.tokens[day][_READ] -= read
            full.money[day][_FRESH] += read * priced.rates.input
            full.money[day][_READ] -= priced.money[_READ]
    return full


def _cache_fit(change: State, freedom: int, missed: int, cached: int) -> Fit:
    return Fit(
        "missing cache hits",
        change,
        freedom,
        f"{missed:,} of {cached:,} tokens that its answers called cached were billed as fresh "
        "input",
        "ask the host for the difference, with the ledger's lines; or send them elsewhere",
    )


def unseen_cache(case: Case, state: State) -> Iterator[Fit]:
    """The bill has cache hits of calls whose usage told none: its host reports them nowhere else,
    or the usage was counted by us.
    """
    full = case.once("unseen", lambda: _all_cached(case))
    most = sum(day[_READ] for day in full.tokens)
    billed = case.billed.tokens if case.billed.inputs is None else None
    if not most:
        return
    if billed is None:
        if found := share(case, state, full):
            yield _unseen_fit(case, scaled(full, found, 1000), most * found // 1000, most)
        return
    change, seen = State.zero(len(case.days)), 0
    for day in range(len(case.days)):
        room = full.tokens[day][_READ]
        more = min(max(0, billed[day][_READ] - state.tokens[day][_READ]), room)
        more = min(more, max(0, state.tokens[day][_FRESH] - billed[day][_FRESH]))
        if more:
            seen += more
            part = scaled(State([full.tokens[day]], [full.money[day]], [0]), more, room)
            change.tokens[day], change.money[day] = part.tokens[0], part.money[0]
    if seen:
        yield _unseen_fit(case, change, seen, most)


def _all_cached(case: Case) -> State:
    full = State.zero(len(case.days))
    tells = _tells(case)
    for day, priced in case.calls:
        fresh, rates = priced.tokens[_FRESH], priced.rates
        if rates is None or priced.tokens[_READ] or (tells and priced.call.state == "told"):
            continue
        full.tokens[day][_FRESH] -= fresh
        full.tokens[day][_READ] += fresh
        full.money[day][_FRESH] -= priced.money[_FRESH]
        full.money[day][_READ] += fresh * rates.cache_read
    return full


def _tells(case: Case) -> bool:
    """Whether the host's own usages tell cache hits, so that only our counts lack them."""
    return any(p.call.state == "told" and p.tokens[_READ] for _, p in case.calls)


def _unseen_fit(case: Case, change: State, seen: int, most: int) -> Fit:
    return Fit(
        "cache hits not in the ledger",
        change,
        FITTED,
        f"the bill has {seen:,} of {most:,} tokens as cached that no usage told as such",
        "nothing is lost: the ledger charged more than the host; ask it to report cached tokens "
        "with its answers",
        harmless=_tells(case),
    )


def aborted_streams(case: Case, state: State) -> Iterator[Fit]:
    """Streams that ended early were billed to the end that nobody read."""
    n = len(case.days)
    answered = [p.tokens[OUTPUT] for _, p in case.calls if p.call.state == "told"]
    mean = sum(answered) // len(answered) if answered else 0
    most, likely = State.zero(n), State.zero(n)
    left = 0
    for day, priced in case.calls:
        call, rates = priced.call, priced.rates
        if call.state != "counted" or call.outcome == "ok" or rates is None or not rates.output:
            continue
        left += 1
        room = max(0, call.reserved - call.cost) * 10**6 // rates.output
        whole = max(0, mean - priced.tokens[OUTPUT])
        for into, tokens in ((most, room), (likely, min(whole, room) if room else whole)):
            into.tokens[day][OUTPUT] += tokens
            into.money[day][OUTPUT] += tokens * rates.output
    if not left:
        return
    told = case.billed.tokens
    if told is not None:
        change, more = State.zero(n), 0
        for day in range(n):
            extra = told[day][OUTPUT] - state.tokens[day][OUTPUT]
            room = most.tokens[day][OUTPUT]
            extra = min(max(0, extra), room)
            if extra:
                more += extra
                change.tokens[day][OUTPUT] = extra
                change.money[day][OUTPUT] = most.money[day][OUTPUT] * extra // room
        expected = sum(day[OUTPUT] for day in likely.tokens)
        if more and more <= 4 * max(expected, 1):
            yield _aborted_fit(change, BOUNDED, more, left)
        return
    if (found := share(case, state, likely, most=3000)) is not None:
        more = sum(day[OUTPUT] for day in likely.tokens) * found // 1000
        yield _aborted_fit(scaled(likely, found, 1000), BOUNDED, more, left)


def _aborted_fit(change: State, freedom: int, more: int, left: int) -> Fit:
    return Fit(
        "aborted streams",
        change,
        freedom,
        f"{left:,} streams were left before their end, and about {more:,} output tokens that "
        "nobody read were billed",
        "set max_tokens where readers leave, or choose a host that stops when one leaves",
    )


def failed_attempts(case: Case, state: State) -> Iterator[Fit]:
    """Attempts that failed and were charged nothing by us were billed all the same."""
    n = len(case.days)
    siblings = case.like | {p.call.request_id: p for _, p in case.calls if p.rates is not None}
    told = [p for _, p in case.calls if p.call.state == "told" and p.rates is not None]
    if not case.released or not told:
        return
    middle = sorted(told, key=lambda p: sum(p.tokens[:OUTPUT]))[len(told) // 2]
    input_only, whole = State.zero(n), State.zero(n)
    for day, call in case.released:
        like = siblings.get(call.request_id, middle)
        whole.add(day, like)
        input_only.requests[day] += 1
        for kind in range(OUTPUT):
            input_only.tokens[day][kind] += like.tokens[kind]
            input_only.money[day][kind] += like.money[kind]
    for full in (input_only, whole):
        if case.billed.requests is None:
            found = share(case, state, full)
        else:
            more = sum(case.billed.requests) - sum(state.requests)
            found = 1000 * more // len(case.released)
            found = 1000 if 930 < found < 1100 else found if 0 < found <= 930 else None
        if not found:
            continue
        n_billed = len(case.released) * found // 1000
        says = (
            f"about {n_billed:,} of {len(case.released):,} attempts that failed were billed"
            f"{'' if full is whole else ' for their input'}"
        )
        advice = "ask the host; they carry an error status, the ledger has their times"
        change = scaled(full, min(found, 1000), 1000)
        freedom = DISCRETE if found >= 980 else FITTED
        yield Fit("failed attempts", change, freedom, says, advice)
        if (by_day := _bounded(case, state, full)) is not None:
            yield Fit("failed attempts", by_day, BOUNDED, says, advice)


def may_be_attempts(case: Case) -> bool:
    """Whether what a bill has more, by day, is no more than attempts that failed could make."""
    told, requests = case.billed.tokens, case.billed.requests
    if told is None or requests is None or not case.released:
        return False
    failed, more, room = [0] * len(case.days), 0, 0
    for day, call in case.released:
        failed[day] += 1
        like = case.like.get(call.request_id)
        room += sum(like.tokens) if like is not None else 0
    for day, ours in enumerate(case.base.requests):
        extra = requests[day] - ours
        if extra > failed[day]:
            return False
        more += max(0, sum(told[day]) - sum(case.base.tokens[day])) if extra > 0 else 0
    return 4 * more <= 5 * room


def _bounded(case: Case, state: State, full: State) -> State | None:
    """The bill's own surplus of each day, where that is no more than `full` has and like it."""
    told = case.billed.tokens if case.billed.inputs is None else None
    if told is None or case.billed.requests is None:
        return None
    change, prices = State.zero(len(case.days)), case.prices
    for day in range(len(case.days)):
        more = case.billed.requests[day] - state.requests[day]
        if more <= 0:
            continue
        if more > full.requests[day]:
            return None
        change.requests[day] = more
        for kind in range(5):
            extra = max(0, told[day][kind] - state.tokens[day][kind])
            room = full.tokens[day][kind]
            extra = min(extra, room)
            change.tokens[day][kind] = extra
            price = full.money[day][kind] // room if room else prices[kind]
            change.money[day][kind] = extra * price
    return change if any(change.requests) else None


def reasoning_twice(case: Case, state: State) -> Iterator[Fit]:
    """Reasoning tokens, which are part of the output, were billed on top of it."""
    change = State.zero(len(case.days))
    for day, priced in case.calls:
        thought = priced.call.usage.reasoning_tokens
        if thought and priced.rates is not None:
            change.tokens[day][OUTPUT] += thought
            change.money[day][OUTPUT] += thought * priced.rates.output
    if any(day[OUTPUT] for day in change.tokens):
        found = share(case, state, change)
        if found is not None and found >= 900:
            yield Fit(
                "reasoning billed twice",
                change,
                DISCRETE,
                f"reasoning is billed beside the output that holds it ({thousandths(found)})",
                "ask the host whether its output tokens include reasoning",
            )
