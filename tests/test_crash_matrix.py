"""Killed at every step of a call: what the ledger says after a restart, and after the sweep."""

import os
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest
from crash_steps import WHOLE
from crashing import LATE, Nursery, hold, open_ledger, prepare

from benchmarks._ledger_stores import fresh as fresh_ledger
from router.ledgers import Settlement
from router.types import Cost, Usage

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

POSTGRES = os.environ.get("CENTROUTE_TEST_POSTGRES", "")
OUT = os.environ.get("CRASH_MATRIX_OUT", "")
STORES = ["sqlite", pytest.param("postgres", marks=pytest.mark.skipif(not POSTGRES, reason="-"))]
CALLS = [
    "answer",
    "async answer",
    "refused",
    "lost answer",
    "interrupted",
    "stream",
    "closed stream",
]
_numbers = count()


@pytest.fixture(scope="module", params=STORES)
def nursery(request, tmp_path_factory):
    """Where children are born that die early; one ledger, an account of its own for each."""
    scratch = tmp_path_factory.mktemp("crash")
    with fresh_ledger(POSTGRES if request.param == "postgres" else "sqlite", scratch) as at:
        made = Nursery(at, scratch)
        yield made
        made.close()


@pytest.fixture(scope="module")
def table():
    """Rows of the matrix, written where CRASH_MATRIX_OUT says."""
    rows = []
    yield rows
    if OUT:
        names = list(rows[0])
        lines = [names, ["---"] * len(names), *([str(row[n]) for n in names] for row in rows)]
        text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        with Path(OUT).open("a", encoding="utf-8") as file:
            file.write(text + "\n")


class After:
    """What the ledger says of one case; opened anew, checked as a whole."""

    def __init__(self, nursery, case, *, sweep=False):
        ledger = open_ledger(nursery.ledger)
        try:
            if sweep:
                ledger.sweep(LATE)
            ledger.check()
            found = ledger.entries()
            self.entries = [e for e in found if e.record.tags.get("case") == case]
            (balance,) = ledger.balances([hold(case)])
        finally:
            ledger.close()
        self.spent, self.reserved = balance.spent, balance.reserved
        self.rows = sum(e.cost for e in self.entries)

    @property
    def state(self):
        """Nothing, an open row, or how it was resolved: exactly one of them."""
        assert self.spent == self.rows, "a torn row"
        if not self.entries:
            return "open" if self.reserved else "nothing"
        assert not self.reserved, "resolved, and still reserved"
        return "+".join(e.kind for e in self.entries)

    def __str__(self):
        words = [f"{e.kind}{' (estimated)' if e.estimated else ''}" for e in self.entries]
        words += ["open"] * bool(self.reserved) + ["slab"] * (self.spent != self.rows)
        told = " + ".join(words) or "nothing"
        return f"{told}, spent {self.spent:,}, reserved {self.reserved:,}"


def fresh(scenario):
    """A case of its own."""
    return f"{scenario.replace(' ', '-')}-{next(_numbers)}-{uuid4().hex[:8]}"


def before_and_after(steps, effect):
    """How many steps come up to the first of an effect, and to its end; 0 where there is none."""
    names = [f"before {effect}", f"after {effect}"]
    return [steps.index(name) + 1 if name in steps else 0 for name in names]


@pytest.mark.parametrize("scenario", CALLS)
def test_a_call_that_dies_anywhere_is_nothing_or_open_or_resolved(nursery, table, scenario):
    """Whatever step it dies at: no torn row, nothing acknowledged is lost, and after the sweep
    the provider's bill is covered."""
    steps, _ = nursery.play(scenario, fresh(scenario))
    end = "release" if scenario == "refused" else "settle"
    begun, held = before_and_after(steps, "reserve")
    ending, ended = before_and_after(steps, end)
    assert 0 < begun < held < ending < ended
    for kill_at, step in enumerate(steps, 1):
        case = fresh(scenario)
        _, billed = nursery.play(scenario, case, kill_at)
        restarted = After(nursery, case)
        possible = {"nothing"} if kill_at <= begun else {"nothing", "open"}
        if kill_at >= held:
            possible = {"open"}
        if kill_at > ending:
            possible = {"open", end}
        if kill_at >= ended:
            possible = {end}
        assert restarted.state in possible, step
        if restarted.state == "nothing":
            assert billed == 0, "sent without a row"
        swept = After(nursery, case, sweep=True)
        assert swept.reserved == 0
        assert swept.spent >= billed
        if restarted.state == "open":
            (entry,) = swept.entries
            assert (entry.kind, entry.estimated, entry.outcome) == ("expire", True, "lost")
            assert entry.cost == restarted.reserved == entry.reserved
        else:
            assert swept.entries == restarted.entries
        if restarted.state == "settle" and not restarted.entries[0].estimated:
            assert swept.spent == billed
        table.append(row(nursery, scenario, kill_at, step, restarted, swept, billed))


def row(nursery, scenario, number, step, restarted, swept, billed):
    return {
        "store": "PostgreSQL" if nursery.ledger.startswith("postgresql:") else "SQLite",
        "call": scenario,
        "killed at step": f"{number}. {step}",
        "after restart": restarted,
        "after the sweep": swept,
        "provider's bill": f"{billed:,}",
    }


def test_a_cache_that_dies_anywhere_costs_nothing_twice(nursery, table):
    """Killed while the cache is made, or the answer is kept in it: the call is charged once, and
    the cache can be used."""
    steps, _ = nursery.play("kept answer", fresh("kept answer"), cache="kept")
    _, looked = before_and_after(steps, "recall")
    _, ended = before_and_after(steps, "settle")
    keeping, kept = before_and_after(steps, "memorize")
    assert 0 < looked < ended < keeping < kept
    for kill_at in (*range(1, looked, 5), looked, *range(ended, kept + 1)):
        case = fresh("kept answer")
        _, billed = nursery.play("kept answer", case, kill_at, cache=case)
        restarted = After(nursery, case)
        charged = WHOLE if kill_at >= ended else 0
        assert restarted.state == ("settle" if charged else "nothing")
        assert restarted.spent == billed == charged
        swept = After(nursery, case, sweep=True)
        table.append(
            row(nursery, "kept answer", kill_at, steps[kill_at - 1], restarted, swept, billed)
        )
        # Then it is had from the cache, or it is asked for and kept again.
        again = fresh("kept answer")
        _, billed = nursery.play("kept answer", again, cache=case)
        assert billed == (0 if kill_at == kept else After(nursery, again).spent)


def test_an_answer_out_of_the_cache_is_a_row_or_none(nursery, table):
    """Killed anywhere: a line that costs nothing, or no line; the provider is not asked."""
    steps, _ = nursery.play("cached answer", fresh("cached answer"), cache="had")
    posting, posted = before_and_after(steps, "post")
    assert 0 < posting < posted
    assert "before reserve" not in steps
    _, looked = before_and_after(steps, "recall")
    for kill_at, step in list(enumerate(steps, 1))[looked - 1 :]:
        case = fresh("cached answer")
        _, billed = nursery.play("cached answer", case, kill_at, cache="had")
        restarted = After(nursery, case)
        assert billed == 0
        possible = {"nothing"} if kill_at <= posting else {"nothing", "settle"}
        assert restarted.state in ({"settle"} if kill_at >= posted else possible), step
        assert restarted.spent == 0
        swept = After(nursery, case, sweep=True)
        assert swept.entries == restarted.entries
        table.append(row(nursery, "cached answer", kill_at, step, restarted, swept, billed))


@pytest.mark.parametrize("scenario", ["leased answer", "leased stream"])
def test_a_leased_call_that_dies_anywhere_is_covered(nursery, table, scenario):
    """Its row may be lost, its money not: the slab it was paid from is charged in full."""
    steps, _ = nursery.play(scenario, fresh(scenario))
    _, held = before_and_after(steps, "reserve")
    _, closed = before_and_after(steps, "close")
    assert 0 < held < closed == len(steps)
    for kill_at, step in enumerate(steps, 1):
        case = fresh(scenario)
        _, billed = nursery.play(scenario, case, kill_at)
        restarted = After(nursery, case)
        if kill_at >= held:
            assert restarted.spent + restarted.reserved >= WHOLE, step
        swept = After(nursery, case, sweep=True)
        assert swept.reserved == 0
        assert billed <= swept.spent <= hold(case).limit, step
        if kill_at == closed:
            assert (restarted.state, restarted.spent) == ("settle", billed)
        table.append(row(nursery, scenario, kill_at, step, restarted, swept, billed))


@pytest.mark.parametrize("scenario", ["sweep", "late settle"])
def test_what_mends_may_die_too(nursery, table, scenario):
    """A sweep that dies is done again, and so is a correction: each is booked once."""
    steps, _ = nursery.play(scenario, prepared(nursery, scenario))
    assert len(steps) >= 3
    for kill_at, step in enumerate(steps, 1):
        case = prepared(nursery, scenario)
        nursery.play(scenario, case, kill_at)
        restarted = After(nursery, case)
        if scenario == "sweep":
            assert restarted.state in {"open", "expire"}, step
        else:
            assert restarted.state in {"expire", "expire+correct"}, step
        assert restarted.spent + restarted.reserved in {2 * WHOLE, WHOLE}
        swept = After(nursery, case, sweep=True)
        assert swept.entries[0].kind == "expire"
        assert swept.entries[0].cost == 2 * WHOLE
        table.append(row(nursery, scenario, kill_at, step, restarted, swept, 0))
        for _ in range(2):
            assert settled_late(nursery, case) == (["expire", "correct"], WHOLE), step


def prepared(nursery, scenario):
    """A case with what the scenario finds."""
    case = fresh(scenario)
    ledger = open_ledger(nursery.ledger)
    prepare(scenario, case, ledger)
    ledger.close()
    return case


def settled_late(nursery, case):
    """Kinds of lines, and spend, once the truth about a lost call has come."""
    ledger = open_ledger(nursery.ledger)
    truth = Settlement(at=LATE, usage=Usage(input_tokens=12), cost=Cost(pico=WHOLE))
    ledger.settle(case, truth)
    ledger.close()
    after = After(nursery, case)
    return [e.kind for e in after.entries], after.spent
