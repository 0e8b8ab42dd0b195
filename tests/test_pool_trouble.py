"""Replicas that hang, fail, go and come back: which calls they get, and when they are up again."""

import pytest
from pooling import A, B, Bench

from router.transports.vllm.replica import Reading


@pytest.fixture
def bench():
    return Bench()


def test_a_replica_that_hangs_draws_no_calls(bench):
    """What is overdue is expected to be as late again; now and then a call tries it."""
    bench.warm[A] = 1000
    bench.begin(A, 100)
    bench.time.pass_(0.1)
    assert bench.choose().url == A
    bench.time.pass_(2.0)
    assert bench.choose().url == B
    assert bench.choose(avoid={B}).wait == pytest.approx(2.0, rel=0.1)
    drawn = 0
    for _ in range(600):
        bench.time.pass_(0.1)
        if (url := bench.choose().url) == A:
            bench.begin(url, 1000, 1000)
            drawn += 1
    assert 0 < drawn < 600 / 6


def test_a_stream_that_nobody_reads_takes_no_replica_out_of_service(bench):
    """Its first token is as late as its reader: the next call finds out, however many they are."""
    bench.warm[A] = 900
    tickets = [bench.begin(A, 100) for _ in range(5)]
    bench.time.pass_(30.0)
    choice = bench.choose(avoid={B})
    assert choice.wait == 0.0
    bench.serve(A, 1000, 900)
    assert bench.choose(avoid={B}).wait == 0.0
    assert bench.choose().url == A
    speed = bench.state(A).prefill_tokens_per_second
    for ticket in tickets:
        bench.pool.first_token(ticket)
        bench.pool.end(ticket)
    assert bench.state(A).prefill_tokens_per_second == speed
    assert bench.pool.in_flight() == 0


def test_a_slow_server_still_teaches_its_speed():
    """Ten times slower than assumed: late, yet none behind it is answered first."""
    fresh = Bench(learned=False)
    for _ in range(10):
        ticket = fresh.begin(A, 5000)
        for _ in range(10):
            fresh.time.pass_(1.0)
            fresh.choose()
        fresh.pool.first_token(ticket)
        fresh.pool.end(ticket)
    assert fresh.state(A).prefill_tokens_per_second == pytest.approx(500, rel=0.1)


def test_three_errors_in_a_row_are_down(bench):
    """A server that answers 500 to everything is left alone."""
    for n in range(3):
        assert bench.state(A).status == "up", n
        bench.pool.failed(bench.begin(A), "failed")
    assert bench.state(A).status == "down"
    assert bench.forgotten == []


@pytest.mark.parametrize("trouble", ["failed", "broke"])
def test_good_polls_do_not_hide_that_every_call_fails(bench, trouble):
    """`/health` answers 200, calls 500, or they break: one now and then, until one ends well."""
    bench.warm[A], sent = 1000, 0
    for _ in range(600):
        bench.time.pass_(1.0)
        bench.poll(A, started_at=5.0)
        if bench.choose().url == A:
            sent += 1
            bench.pool.failed(bench.begin(A), trouble)
    assert bench.state(A).status == "down"
    assert sent < 30
    bench.time.pass_(30.0)
    assert bench.choose().url == A
    bench.pool.end(bench.begin(A))
    assert (bench.state(A).status, bench.choose().url) == ("up", A)


def test_another_process_does_not_pay_for_the_failures_of_the_last(bench):
    """One that began later, or came back after nothing listened, is up with its first poll."""
    for how in ("later", "refused"):
        bench.poll(A, started_at=5.0)
        for _ in range(3):
            bench.pool.failed(bench.begin(A), "failed")
        bench.poll(A, started_at=5.0)
        assert bench.state(A).status == "down"
        if how == "refused":
            bench.pool.polled(A, Reading(refused=True))
        bench.poll(A, started_at=500.0 if how == "later" else 5.0)
        assert bench.state(A).status == "up"


def test_a_trial_that_nobody_ends_blocks_no_other(bench):
    """Half open, its caller gone: after its time another call may try."""
    for _ in range(3):
        bench.pool.failed(bench.begin(A), "failed")
    bench.time.pass_(1.0)
    bench.pool.begin(A, 10, 0, stream=True, lasts=30.0)
    bench.warm[A] = 1000
    assert bench.choose().url == B
    bench.time.pass_(100.0)
    assert bench.choose().url == A


def test_a_replica_that_starts_again_gets_no_calls_until_it_is_ready(bench):
    """Nothing listened, then `/health` answers 503 for two minutes while it loads."""
    bench.warm[A] = 1000
    bench.pool.polled(A, Reading(refused=True))
    for _ in range(120):
        bench.time.pass_(1.0)
        if A in bench.pool.due():
            bench.poll(A, ready=False)
        assert bench.choose().url == B
        assert bench.state(A).status == "down"
    bench.time.pass_(6.0)
    assert A in bench.pool.due()
    bench.poll(A)
    assert (bench.state(A).status, bench.choose().url) == ("up", A)


def test_a_trial_that_is_refused_for_now_is_no_way_in(bench):
    """It is down, and a call that tried it was told 503: not another one at once."""
    bench.pool.polled(A, Reading(refused=True))
    bench.warm[A] = 1000
    bench.time.pass_(1.0)
    bench.pool.failed(bench.begin(A), "busy", retry_after=0.0)
    assert bench.choose().url == B
    assert A in bench.pool.due()


def test_what_a_replica_serves_is_asked_again_when_it_is_another(bench):
    """After a new start, or when nothing listened: it may serve another model."""
    for how in ("anew", "refused by a poll", "refused by a call"):
        bench.poll(A, started_at=5.0)
        bench.pool.serving(A, frozenset({"m"}))
        if how == "anew":
            bench.poll(A, started_at=500.0)
        elif how == "refused by a poll":
            bench.pool.polled(A, Reading(refused=True))
        else:
            bench.pool.failed(bench.begin(A), "refused")
        assert not bench.pool.knows_models(A), how
        bench.pool.polled(A, Reading(models=frozenset({"n"})))
        assert bench.state(A).models == frozenset({"n"})


def test_refused_is_down_and_empty(bench):
    """Nothing listens: no more calls there, what its cache held is forgotten; a call may try."""
    bench.warm[A] = 1000
    ticket = bench.begin(A)
    bench.pool.failed(ticket, "refused")
    assert bench.forgotten == [A]
    assert (bench.state(A).status, bench.choose().url) == ("down", B)
    assert bench.pool.in_flight() == 0
    bench.time.pass_(1.0)
    assert bench.choose(avoid={B}).url == A
    bench.begin(A)
    assert bench.choose().url == B  # one at a time
    assert bench.state(A).down_seconds == 1.0


def test_a_replica_that_answers_again_is_up(bench):
    """The half-open call was answered, or its first token came."""
    for how in ("first_token", "end"):
        bench.pool.failed(bench.begin(A), "broke")
        bench.time.pass_(1.0)
        getattr(bench.pool, how)(bench.begin(A))
        assert bench.state(A).status == "up"


def test_busy_is_not_down(bench):
    """A queue that is full: the others first, for as long as the server asks."""
    bench.warm[A] = 1000
    bench.pool.failed(bench.begin(A), "busy", retry_after=3.0)
    assert bench.state(A).status == "up"
    assert bench.choose().url == B
    bench.time.pass_(3.0)
    assert bench.choose().url == A


def test_a_call_that_is_left_says_nothing(bench):
    """Closed by its reader: neither learned from nor held against the replica."""
    for _ in range(5):
        bench.pool.failed(bench.begin(A), "")
    assert (bench.state(A).status, bench.pool.in_flight()) == ("up", 0)


def test_draining_lets_running_calls_end(bench):
    """`/health` answers 503: no new calls, those under way go on and end well."""
    bench.warm[A] = 1000
    ticket = bench.begin(A)
    bench.poll(A, ready=False)
    assert (bench.state(A).status, bench.choose().url) == ("draining", B)
    bench.pool.first_token(ticket)
    bench.pool.end(ticket)
    assert bench.state(A).status == "draining"
    bench.poll(A, ready=True)
    assert (bench.state(A).status, bench.choose().url) == ("up", A)


def test_draining_by_the_application_is_not_undone_by_the_server(bench):
    """Until `undrain`."""
    bench.pool.drain(A)
    bench.poll(A, ready=True)
    assert bench.state(A).status == "draining"
    assert bench.choose(avoid={B}).url == B
    bench.pool.undrain(A)
    assert bench.state(A).status == "up"


def test_one_that_comes_back_is_empty_unless_it_is_the_same_process(bench):
    """After a broken connection the start of the process tells; where it does not, empty."""
    for told, anew in (({"started_at": 7.0}, False), ({"running": 0}, True)):
        bench.forgotten.clear()
        bench.poll(A, **told)
        bench.forgotten.clear()
        bench.pool.failed(bench.begin(A), "broke")
        bench.poll(A, **told)
        assert bench.state(A).status == "up"
        assert bench.forgotten == ([A] if anew else [])


def test_a_poll_that_is_refused_is_down_at_once(bench):
    """And forgotten once, however often it is asked again."""
    for _ in range(3):
        bench.pool.polled(A, Reading(refused=True))
        bench.time.pass_(40)
    assert bench.state(A).status == "down"
    assert bench.forgotten == [A]
    bench.pool.polled(A, Reading())
    assert bench.state(A).status == "up"


def test_those_that_are_down_are_polled_less_and_less(bench):
    """Their time must have come."""
    assert bench.pool.due() == (A, B)
    bench.pool.polled(A, Reading(refused=True))
    assert bench.pool.due() == (B,)
    bench.time.pass_(1.0)
    assert bench.pool.due() == (A, B)
    bench.pool.polled(A, Reading(refused=True))
    bench.time.pass_(1.5)
    assert bench.pool.due() == (B,)
