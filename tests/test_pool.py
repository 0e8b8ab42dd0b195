"""Several replicas as one host: what is under way where, who is down, what is learned."""

import os
import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pooling import A, B, Bench, Time

from router.prompts.rule import CacheRule
from router.transports.access import Access
from router.transports.discovery import Served
from router.transports.vllm import headers_of, place_of, pools_of


@pytest.fixture
def bench():
    return Bench()


def test_a_hit_waits_for_as_long_as_a_miss_elsewhere_would_take(bench):
    """900 of 1,000 tokens are at A: it is chosen until its queue is about 900 ms long."""
    bench.warm[A] = 900
    queued = 0
    while bench.choose().url == A:
        bench.begin(A, 100)
        queued += 100
    assert 800 <= queued <= 1100
    assert bench.choose().url == B


def test_a_miss_goes_to_the_least_burdened(bench):
    """Not to where it would wait, however few calls that is."""
    bench.begin(A, 5000)
    for _ in range(3):
        bench.begin(B, 100)
    assert bench.choose().url == B
    assert bench.choose(avoid={B}).url == A


def test_what_was_read_no_longer_delays(bench):
    """With the first token a prompt is out of the way, though its answer goes on."""
    ticket = bench.begin(A, 2000)
    assert bench.choose(100).wait == 0.0
    waits = {bench.choose(100, avoid={B}).wait}
    bench.time.pass_(1.5)
    waits.add(bench.choose(100, avoid={B}).wait)
    bench.time.pass_(0.5)
    bench.pool.first_token(ticket)
    waits.add(bench.choose(100, avoid={B}).wait)
    assert sorted(waits) == pytest.approx([0.0, 0.5, 2.0], abs=0.05)
    assert bench.pool.in_flight(A) == 1


def test_an_answer_in_one_piece_is_taken_to_be_read_when_due(bench):
    """Nobody sees its first token: after the time it should take it delays none."""
    bench.begin(A, 1000, stream=False)
    assert bench.choose(100, avoid={B}).wait == pytest.approx(1.0, rel=0.1)
    bench.time.pass_(1.2)
    assert bench.choose(100, avoid={B}).wait == 0.0
    assert bench.pool.in_flight() == 1


def test_a_burst_spreads(bench):
    """Cold prompts of one kind that come at once: each choice sees those that began before."""
    load = Counter()
    for _ in range(60):
        url = bench.choose(300).url
        load[url] += 1
        bench.begin(url, 300)
    assert min(load.values()) >= 25


def test_calls_beside_an_answer_count(bench):
    """Prompts that are read wait for nobody, yet a replica full of answers is the slower one."""
    bench.warm[A] = 20
    for _ in range(40):
        bench.pool.first_token(bench.begin(A, 10))
    assert bench.choose(100).url == B


def test_speed_is_learned_from_what_was_not_cached(bench):
    """By the server's own count of cached tokens, not by what was expected."""
    fresh = Bench(learned=False)
    for tokens in (200, 600, 1000) * 5:
        ticket = fresh.pool.begin(A, 2000, 0, stream=True)
        fresh.time.pass_(tokens * 0.002)
        fresh.pool.first_token(ticket)
        fresh.pool.end(ticket, cache_read_tokens=2000 - tokens)
    assert fresh.state(A).prefill_tokens_per_second == pytest.approx(500, rel=0.05)
    assert fresh.state(B).prefill_tokens_per_second == pytest.approx(500, rel=0.05)


def test_speed_is_learned_in_a_queue(bench):
    """Of prompts that wait for each other each counts from when the one before was read."""
    fresh = Bench(learned=False)
    tickets = [(n, fresh.begin(A, n)) for n in (100, 700, 300, 900) * 5]
    for tokens, ticket in tickets:
        fresh.time.pass_(tokens * 0.004)
        fresh.pool.first_token(ticket)
    for _, ticket in tickets:
        fresh.pool.end(ticket)
    assert fresh.state(A).prefill_tokens_per_second == pytest.approx(250, rel=0.05)


def test_before_any_call_the_server_tells_its_speed():
    """vLLM sums up what it computed, and in how many seconds."""
    bench = Bench(learned=False)
    bench.poll(A, prefilled_tokens=10_000, prefill_seconds=20.0)
    assert bench.state(A).prefill_tokens_per_second == pytest.approx(500)
    assert bench.state(B).prefill_tokens_per_second is None


def test_calls_of_others_count_where_the_server_tells_of_them(bench):
    """Running and waiting beyond our own; a reading that is old says nothing."""
    ours = bench.begin(A, 100)
    bench.pool.first_token(ours)
    bench.poll(A, running=8, waiting=4)
    assert bench.choose().url == B
    assert bench.choose(avoid={B}).load == 12
    assert bench.choose(avoid={B}).wait > 0
    bench.time.pass_(60.0)
    assert bench.choose(avoid={B}).load == 1


def test_a_full_batch_is_waited_for(bench):
    """Where some had to wait, so many are worked on at once: the next waits for one to end."""
    for _ in range(20):
        bench.serve(A, 100, answer=10.0)
    for _ in range(3):
        bench.poll(A, running=2, waiting=1)
    bench.poll(A, running=0, waiting=0)
    for _ in range(2):
        bench.pool.first_token(bench.begin(A, 10))
    assert bench.choose(avoid={B}).wait == pytest.approx(5.0, rel=0.3)
    bench.warm[A] = 1000
    assert bench.choose().url == B


def test_a_call_that_found_a_full_batch_teaches_no_speed(bench):
    """Its wait for a place is not the time of its prompt."""
    before = bench.state(A).prefill_tokens_per_second
    for waiting in (1, 1, 1, 0):
        bench.poll(A, running=1, waiting=waiting)
    ticket = bench.begin(A, 100)
    bench.time.pass_(30.0)
    bench.pool.first_token(ticket)
    bench.pool.end(ticket)
    assert bench.state(A).prefill_tokens_per_second == before


def test_one_to_avoid_is_better_than_none(bench):
    """Both are down: the one whose time comes first; with one to avoid, the other."""
    bench.pool.failed(bench.begin(A), "refused")
    bench.time.pass_(0.1)
    bench.pool.failed(bench.begin(B), "refused")
    assert bench.choose().url == A
    assert bench.choose(avoid={A}).url == B
    assert bench.choose(avoid={A, B}).url == A
    assert bench.pool.elsewhere("", {A})  # it may be back
    assert not bench.pool.elsewhere("", {A, B})


def test_elsewhere_is_where_a_call_may_be_tried(bench):
    """Another replica that serves the model."""
    assert bench.pool.elsewhere("m", {A})
    bench.pool.serving(B, frozenset({"other"}))
    assert not bench.pool.elsewhere("m", {A})
    assert bench.pool.elsewhere("other", {A})


def test_models_decide_where_a_call_may_go(bench):
    """A replica that says it serves other models gets none of this one's calls."""
    bench.pool.serving(A, frozenset({"m", "n"}))
    bench.pool.serving(B, frozenset({"n"}))
    bench.begin(A, 9000)
    assert bench.choose(model="m").url == A
    assert bench.choose(model="n").url == B
    assert bench.pool.knows_models(B)


def test_when_its_metrics_were_read_is_told(bench):
    """By the pool's clock; none were, or none any more: when they last were."""
    assert bench.state(A).read_at is None
    bench.poll(A, running=1)
    read = bench.time.now
    bench.time.pass_(60.0)
    bench.poll(A)
    assert bench.state(A).read_at == read


def test_an_end_counts_once(bench):
    """However often a call is ended, and whatever comes after."""
    ticket = bench.begin(A)
    bench.pool.end(ticket)
    bench.pool.failed(ticket, "refused")
    bench.pool.first_token(ticket)
    bench.pool.end(ticket)
    assert (bench.state(A).status, bench.pool.in_flight(A)) == ("up", 0)
    assert bench.choose(avoid={B}).wait == 0.0


COUNTS = {"input_tokens": 5000, "output_tokens": 100}


@pytest.mark.parametrize(
    ("before", "after", "anew"),
    [
        ({"started_at": 100.0}, {"started_at": 100.4}, False),
        ({"started_at": 100.0}, {"started_at": 160.0}, True),
        (COUNTS, COUNTS | {"input_tokens": 6000}, False),
        (COUNTS, COUNTS | {"input_tokens": 10}, True),
        (COUNTS, COUNTS | {"output_tokens": 0}, True),
        (COUNTS | {"started_at": 5.0}, {"input_tokens": 1, "started_at": 5.0}, False),
    ],
)
def test_a_new_process_begins_empty(bench, before, after, anew):
    """It began at another time, or its counters fell: what it held is forgotten."""
    bench.poll(A, **before)
    assert bench.forgotten == []
    bench.poll(A, **after)
    assert bench.forgotten == ([A] if anew else [])


def test_the_rule_of_a_replica_is_its_own():
    """The sizes that it tells replace the catalogue's; one that keeps nothing keeps nothing."""
    bench, rule = Bench(), CacheRule(unit_tokens=16, recomputes_tokens=1, holds_output=True)
    assert bench.pool.rule(A, rule) is rule
    bench.poll(A, block_tokens=32, capacity_tokens=3072, keeps=True)
    found = bench.pool.rule(A, rule)
    assert (found.unit_tokens, found.capacity_tokens) == (32, 3072)
    assert (found.recomputes_tokens, found.holds_output) == (1, True)
    assert bench.pool.rule(B, rule) is rule
    bench.poll(A, block_tokens=32, keeps=False)
    assert bench.pool.rule(A, rule).capacity_tokens == 0


def test_output_tokens_per_second_are_those_between_readings(bench):
    """A running mean; a restart begins anew."""
    bench.poll(A, output_tokens=1000, started_at=1.0)
    bench.time.pass_(2.0)
    bench.poll(A, output_tokens=1500, started_at=1.0)
    assert bench.state(A).tokens_per_second == 250.0
    bench.time.pass_(1.0)
    bench.poll(A, output_tokens=10, started_at=500.0)
    assert bench.state(A).tokens_per_second is None


def test_states_show_no_password():
    """The address as it may stand in a report or on a dashboard."""
    bench = Bench(urls=("http://user:s3cret@a:8000/v1", B), learned=False)
    assert [s.url for s in bench.pool.states()] == ["http://a:8000/v1", B]
    assert "s3cret" not in repr(bench.pool.states())


def test_threads_lose_no_call(bench):
    """Eight threads, each its own calls: at the end none is under way, and all were placed."""
    placed = Counter()

    def work():
        for _ in range(200):
            url = bench.choose(100).url
            ticket = bench.begin(url, 100)
            placed[url] += 1
            bench.pool.first_token(ticket)
            bench.pool.end(ticket)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bench.pool.in_flight() == 0
    assert bench.choose(avoid={B}).wait == bench.choose(avoid={A}).wait == 0.0


steps = st.lists(
    st.tuples(st.sampled_from("bfexlorp"), st.sampled_from((A, B)), st.integers(0, 3000)),
    max_size=60,
)


@given(steps)
def test_whatever_happens_the_books_are_right(script):
    """Calls begin, end, break and are left, polls come in: counts never go wrong."""
    bench, open_ = Bench(learned=False), []
    for what, url, number in script:
        bench.time.pass_(number / 1000)
        if what == "b":
            open_.append(bench.begin(url, number, number // 3, stream=bool(number % 2)))
        elif what == "p":
            bench.poll(url, running=number % 7, waiting=number % 3, output_tokens=number)
        elif what == "o":
            bench.poll(url, ready=bool(number % 2))
        elif open_:
            ticket = open_[number % len(open_)]
            if what == "f":
                bench.pool.first_token(ticket)
                continue
            open_.remove(ticket)
            if what == "e":
                bench.pool.end(ticket, cache_read_tokens=number)
            else:
                bench.pool.failed(ticket, {"x": "refused", "l": "", "r": "busy"}[what])
        assert bench.pool.in_flight() == len(open_)
        found = bench.choose(number)
        assert found is not None
        assert found.wait >= 0
        assert found.seconds >= found.wait
    for ticket in open_:
        bench.pool.end(ticket)
    assert bench.pool.in_flight() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_has_none_of_the_calls(bench):
    """What is under way in the parent is no burden of the child's."""
    bench.begin(A, 5000)
    pid = os.fork()
    if pid == 0:
        fine = bench.pool.in_flight() == 0 and bench.choose(avoid={B}).wait == 0.0
        os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert bench.pool.in_flight() == 1


def test_pools_are_made_of_hosts_with_several_addresses():
    """What discovery found is known to them: who serves what, and who is not there."""
    from router.catalog import Catalog

    hosts = Catalog.default().hosts
    access = Access(
        base_urls={"vllm": [A, B], "sglang": "http://c/v1"}, keys={"vllm": "k", "sglang": "l"}
    )
    both = {A: Served({"m": 10}), B: Served({}, "does not answer")}
    forgotten = []
    pools = pools_of(
        hosts,
        access,
        {"vllm": Served({"m": 10}, replicas=both)},
        clock=Time(),
        forget=lambda *what: forgotten.append(what),
    )
    assert list(pools) == ["vllm"]
    assert [s.status for s in pools["vllm"].states()] == ["up", "down"]
    assert [s.models for s in pools["vllm"].states()] == [frozenset({"m"}), None]
    assert forgotten == [("vllm", B)]
    assert headers_of(hosts, access, pools) == {"vllm": {"Authorization": "Bearer k"}}
    assert place_of("m@vllm", A) == "m@vllm#http://a:8000/v1"
