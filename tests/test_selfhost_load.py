"""The load meter: own calls, servers' counters, restarts, windows, and when nothing is known."""

import threading
from datetime import timedelta
from fractions import Fraction

import pytest
from catalogs import utc
from hypothesis import given
from hypothesis import strategies as st

from router.selfhost import Load

START = utc("2026-11-22T12:00")


def at(**span):
    return START + timedelta(**span)


def call(load, now, read=100, cached=0, written=60, endpoint="m@h"):
    load.served(endpoint, now, input_tokens=read, cache_read_tokens=cached, output_tokens=written)


def tell(load, now, read, written, replica="a", cached=0, started_at=None):
    load.totals(
        "m@h",
        replica,
        now,
        input_tokens=read,
        cache_read_tokens=cached,
        output_tokens=written,
        started_at=started_at,
    )


def rates(load, now):
    flow = load.flow("m@h", now)
    return flow and (flow.input_tokens, flow.cache_read_tokens, flow.output_tokens)


def test_nothing_is_known_at_first():
    """An endpoint that was never seen, or not for long enough, has no load: not a load of zero."""
    load = Load()
    assert load.flow("m@h", START) is None
    call(load, START)
    assert load.flow("m@h", at(seconds=299)) is None
    assert rates(load, at(seconds=300)) == (Fraction(1, 3), 0, Fraction(1, 5))


def test_own_calls_over_the_window():
    """Tokens of the last fifteen minutes over their seconds; older ones are forgotten."""
    load = Load()
    for minute in range(60):
        call(load, at(minutes=minute), read=600 if minute >= 30 else 6000, cached=60)
    read, cached, written = rates(load, at(minutes=60))
    assert (read, cached, written) == (10, 1, 1)
    assert rates(load, at(minutes=90)) == (0, 0, 0)


def test_counters_go_before_own_calls():
    """A server says what all its clients took; our own calls are among them, not beside them."""
    load = Load()
    tell(load, START, 10**9, 10**9)
    for minute in range(1, 11):
        call(load, at(minutes=minute))
        tell(load, at(minutes=minute), 10**9 + 6000 * minute, 10**9 + 600 * minute)
    assert rates(load, at(minutes=10)) == (100, 0, 10)


def test_own_calls_count_again_when_the_counters_stop():
    """A server that tells nothing for some minutes is not taken for idle."""
    load = Load(window=5)
    tell(load, START, 0, 0)
    for minute in range(20):
        call(load, at(minutes=minute), read=60)
    read, _, _ = rates(load, at(minutes=20))
    assert read == 1


def test_replicas_add_up_and_may_restart():
    """Counters are of one replica each; one that fell counts anew from where it is."""
    load = Load()
    tell(load, START, 5000, 5000, "a")
    tell(load, START, 0, 0, "b")
    tell(load, at(minutes=5), 8000, 8000, "a")
    tell(load, at(minutes=5), 3000, 3000, "b")
    assert rates(load, at(minutes=5)) == (20, 0, 20)
    tell(load, at(minutes=10), 600, 600, "a")
    tell(load, at(minutes=10), 3000, 3000, "b")
    assert rates(load, at(minutes=10)) == (10, 0, 10)
    tell(load, at(minutes=12), 1200, 1200, "a")
    assert rates(load, at(minutes=12))[0] * 720 == 6600


def test_another_process_counts_anew():
    """One that started at another time is no rise of these counters, however high they are."""
    load = Load()
    tell(load, START, 100, 100, started_at=5.0)
    tell(load, at(minutes=5), 10**9, 10**9, started_at=1800.0)
    assert rates(load, at(minutes=5)) == (0, 0, 0)
    tell(load, at(minutes=6), 10**9 + 360, 10**9, started_at=1800.4)
    assert rates(load, at(minutes=6)) == (1, 0, 0)


@pytest.mark.parametrize("starts", [(None, None), (5.0, 9.0)])
def test_counters_that_alternate_are_not_believed(starts):
    """One address, several servers behind it: our own calls count, once it fell three times."""
    load = Load()
    for minute in range(20):
        pod = minute % 2
        call(load, at(minutes=minute), written=60)
        total = (10_000_000, 5_000_000)[pod] + 1000 * minute
        tell(load, at(minutes=minute), 0, total, started_at=starts[pod])
        found = rates(load, at(minutes=minute))
        assert found is None or found[2] <= Fraction(6, 5)
    assert found is not None


def test_counters_are_believed_again():
    """Once they have risen for a whole window, and over what was seen since then."""
    load = Load()
    for total in (9, 5, 9, 5, 9, 5):
        tell(load, START, 0, total * 10**6)
    for minute in range(1, 22):
        call(load, at(minutes=minute), written=60)
        tell(load, at(minutes=minute), 0, 5 * 10**6 + 600 * minute)
    assert rates(load, at(minutes=21))[2] == 10
    call(load, at(minutes=10), written=60)


def test_a_restart_or_two_do_no_harm():
    """A server that was restarted is still one server."""
    load = Load()
    for minute in range(15):
        call(load, at(minutes=minute), written=6)
        tell(load, at(minutes=minute), 0, 600 * (minute % 6))
    assert rates(load, at(minutes=15))[2] > 6


def test_counters_after_a_long_silence_start_anew():
    """What was served in hours that nobody watched is not of the present minute."""
    load = Load()
    tell(load, START, 0, 0)
    tell(load, at(hours=2), 10**9, 10**9)
    tell(load, at(hours=2, minutes=5), 10**9 + 300, 10**9)
    assert rates(load, at(hours=2, minutes=4)) is None  # not: idle all the time
    assert rates(load, at(hours=2, minutes=5))[0] * 300 == 300


def test_replicas_that_are_gone_are_forgotten():
    """Names come and go with autoscaling: those not heard of for a window take no memory."""
    load = Load()
    for hour in range(50):
        tell(load, at(hours=hour), 5, 5, f"pod-{hour}")
    assert len(load._last) == 1


def test_calls_end_in_no_order():
    """A call that is counted late counts in the present minute: no token is lost."""
    load = Load()
    call(load, at(minutes=5), read=300)
    call(load, at(minutes=4), read=300)
    assert rates(load, at(minutes=11))[0] == Fraction(600, 360)


def test_due_once_a_minute():
    """However often it is asked, prices are looked at once in each minute."""
    load = Load()
    asked = [load.due(at(seconds=second)) for second in range(180)]
    assert [i for i, due in enumerate(asked) if due] == [0, 60, 120]


def test_many_threads_lose_no_token():
    """Counting is atomic."""
    load = Load()
    threads = [
        threading.Thread(target=lambda: [call(load, START, read=3) for _ in range(500)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rates(load, at(seconds=300))[0] == Fraction(8 * 500 * 3, 300)


@given(st.lists(st.tuples(st.integers(0, 3600), st.integers(0, 10**6)), min_size=1, max_size=50))
def test_a_load_is_never_more_than_what_was_served(calls):
    """Over any history: tokens a second times the time watched are at most all tokens."""
    load = Load()
    for second, tokens in sorted(calls):
        call(load, at(seconds=second), read=tokens)
    now = at(seconds=max(second for second, _ in calls) + 300)
    first = min(second for second, _ in calls)
    read = rates(load, now)[0]
    span = int((now - at(seconds=first)).total_seconds())
    assert 0 <= read * min(span, 900) <= sum(tokens for _, tokens in calls)
