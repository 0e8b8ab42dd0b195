"""How many calls a server works on at once, from its own readings."""

from hypothesis import given
from hypothesis import strategies as st

from router.transports.vllm.slots import Slots


def told(*readings):
    slots = Slots()
    for running, waiting in readings:
        slots.add(running, waiting)
    return slots.count


def test_a_moment_says_nothing():
    """One request that waits has just come: three readings in a row are believed."""
    assert told((1, 1)) == 0
    assert told((8, 2), (8, 1), (8, 0), (8, 1), (8, 1)) == 0
    assert told((8, 2), (8, 1), (8, 1)) == 8


def test_it_is_no_less_than_was_seen_to_run():
    """A cache that is full for a while makes few run and others wait: that is no small batch."""
    assert told((40, 0), (2, 5), (2, 5), (2, 5)) >= 36
    assert told((4, 1), (4, 1), (4, 1), (6, 0)) == 6


def test_it_fades():
    """Where fewer and fewer run while others wait, so many are worked on."""
    assert told((40, 1), *[(4, 3)] * 100) == 4


def test_it_is_forgotten_when_none_wait():
    """Ten readings: nobody knows whether more would find a place."""
    full = [(4, 1)] * 3
    assert told(*full, *[(4, 0)] * 9) == 4
    assert told(*full, *[(4, 0)] * 10) == 0


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 5)), max_size=60))
def test_whatever_is_told(readings):
    """Never less than runs, nor more than ever ran; 0 unless three waited in a row."""
    count = told(*readings)
    if count:
        assert readings[-1][0] <= count <= max(1, *(running for running, _ in readings))
        assert any(all(w and r for r, w in readings[i : i + 3]) for i in range(len(readings) - 2))
