"""Which replica gets a prompt: measured on simulated and on real servers.

    python -m benchmarks.pool                                   # simulated: 8 like one H100 each
    python -m benchmarks.pool --vllm VENV --model DIR           # two real vLLM servers on the CPU
    python -m benchmarks.pool --vllm VENV --model DIR --kill    # and one of them killed, restarted

VENV has a CPU build of vLLM, DIR a small model. Every policy gets the same conversations, through
a real `Client`; of the others only the choice of the replica is replaced.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections import Counter
from dataclasses import replace
from hashlib import blake2b
from itertools import count
from pathlib import Path

from benchmarks._pool_policies import POLICIES, Ours
from benchmarks._pool_sim import Load, Machine, Sim
from benchmarks._pool_vllm import Ran, Talks, replicas, routed, run
from benchmarks._tables import markdown
from router import Client

MILLISECONDS = ("first token p50 ms", "p90 ms", "p99 ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vllm", type=Path, help="a virtual environment with vLLM")
    parser.add_argument("--model", type=Path, help="the directory of a small model")
    parser.add_argument("--kill", action="store_true", help="kill one of two in mid-run")
    parser.add_argument("--rate", type=float, default=3.5, help="conversations a second")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--blocks", type=int, default=160, help="of 32 tokens, in each server")
    parser.add_argument("--port", type=int, default=18400)
    given = parser.parse_args()
    if given.vllm is None:
        simulated()
        return
    with tempfile.TemporaryDirectory() as folder:
        talks = Talks(given.rate, given.seconds)
        with replicas(given.vllm, given.model, Path(folder), given.blocks, given.port) as both:
            (killed if given.kill else compared)(both, talks, given.rounds)


def simulated() -> None:
    rows = []
    for rate in (6.0, 12.0, 18.0, 22.0):
        for policy, processes in [(p, 1) for p in POLICIES] + [(Ours, 4)]:
            load = Load(rate=rate, seconds=60)
            done = Sim(policy, 8, Machine(), load, processes=processes).run()
            first = sorted(done.first)
            at = [1000 * first[int(share * len(first))] for share in (0.5, 0.9, 0.99)]
            rows.append(
                {
                    "talks/s": f"{rate:g}",
                    "policy": policy.name + (f", {processes} processes" if processes > 1 else ""),
                    "hit ratio": f"{done.cached / done.tokens:.1%}",
                    **dict(zip(MILLISECONDS, (f"{ms:,.0f}" for ms in at), strict=True)),
                }
            )
    print(markdown(rows))


def round_robin():
    turn = count()
    return lambda pool, _keys, avoid: _next(pool, avoid, next(turn))


def least_loaded():
    turn = count()

    def choose(pool, _keys, avoid):
        urls = [u for u in pool.urls if u not in avoid] or list(pool.urls)
        least = min(pool.in_flight(u) for u in urls)
        even = [u for u in urls if pool.in_flight(u) == least]
        return even[next(turn) % len(even)]

    return choose


def affinity():
    """Consistent hashing of the conversation with loads bounded by 1.25 times the mean."""

    def choose(pool, keys, avoid):
        urls = [u for u in pool.urls if u not in avoid] or list(pool.urls)
        most = 1.25 * (pool.in_flight() + 1) / len(pool.urls)
        order = sorted(urls, key=lambda u: blake2b(keys[-1] + u.encode()).digest())
        return next((u for u in order if pool.in_flight(u) + 1 <= most), order[0])

    return choose


def _next(pool, avoid, turn):
    urls = [u for u in pool.urls if u not in avoid] or list(pool.urls)
    return urls[turn % len(urls)]


CHOICES = {
    "round robin": round_robin,
    "least loaded": least_loaded,
    "affinity, bounded": affinity,
    "ours": lambda: None,
}


def client_of(both) -> Client:
    urls = ",".join(replica.url for replica in both)
    return Client(base_urls={"vllm": urls}, ledger=":memory:", environ={}, max_retries=0)


def compared(both, talks: Talks, rounds: int) -> None:
    """Each policy in turn, so that all meet the same neighbours on this machine."""
    ran = {name: Ran() for name in CHOICES}
    with client_of(both) as client:
        run(client, replace(talks, seconds=5.0), "warm-up", 0)
    for turn in range(rounds):
        for name, make in CHOICES.items():
            with client_of(both) as client:
                routed(client, make())
                done = run(client, talks, f"{name}/{turn}", turn)
            ran[name].calls += done.calls
    what = f"{talks.rate:g} conversations a second for {rounds} x {talks.seconds:g} s"
    print(f"two vLLM servers, {what}")
    print(markdown([{"policy": name, **_row(each)} for name, each in ran.items()]))
    for error, times in Counter(c.error for r in ran.values() for c in r.calls).items():
        if error:
            print(f"  {times} x {error[:160]}")


def killed(both, talks: Talks, _rounds: int) -> None:
    """Kill one at a fifth of the run, start it at a quarter; half of the calls are streams."""
    victim, marks = both[0], {}
    with client_of(both) as client:
        run(client, replace(talks, seconds=5.0), "warm-up", 0)
        pool = client._core.services().places.pools["vllm"]
        began = time.monotonic()

        def disturb():
            time.sleep(talks.seconds / 5)
            victim.kill()
            marks["killed"] = time.monotonic() - began
            _until(lambda: _status(pool, victim.url) == "down")
            marks["seen"] = time.monotonic() - began
            time.sleep(max(0.0, talks.seconds / 4 - (time.monotonic() - began)))
            victim.start()
            marks["started"] = time.monotonic() - began
            victim.ready()
            marks["ready"] = time.monotonic() - began
            _until(lambda: _status(pool, victim.url) == "up")
            marks["up"] = time.monotonic() - began

        thread = threading.Thread(target=disturb)
        thread.start()
        ran = run(client, talks, "killed", 7, streams=0.5)
        thread.join()
    told_killed(ran, marks)


def told_killed(ran: Ran, marks) -> None:
    """What was lost: calls that failed, and streams that broke when part of them was out."""
    failed = [call for call in ran.calls if call.error]
    broken = [call for call in failed if call.begun]
    moved = sum(call.replicas > 1 for call in ran.calls if not call.error)
    at = {name: f"{seconds:.1f}" for name, seconds in marks.items()}
    print(f"one of two killed at {at['killed']} s, noticed at {at['seen']} s,")
    print(f"started again at {at['started']} s, ready at {at['ready']} s, used at {at['up']} s")
    print(f"{len(ran.calls)} calls, half of them streams; {moved} went on at the other replica;")
    print(f"lost before their first token: {len(failed) - len(broken)}")
    print(f"streams cut after it: {len(broken)}")
    for error, times in Counter(call.error for call in failed).most_common(5):
        print(f"  {times} x {error[:120]}")
    phases = [
        ("before", 0.0, marks["killed"]), ("one replica", marks["killed"], marks["up"]),
        ("after", marks["up"], float("inf")),
    ]  # fmt: skip
    parts = {
        name: Ran([call for call in ran.calls if start <= call.at < end])
        for name, start, end in phases
    }
    print(markdown([{"when": name, **_row(part)} for name, part in parts.items()]))


def _row(ran: Ran):
    first = (f"{1000 * ran.first(share):,.0f}" for share in (0.5, 0.9, 0.99))
    return {
        "calls": len(ran.calls),
        "hit ratio": f"{ran.hit:.1%}",
        **dict(zip(MILLISECONDS, first, strict=True)),
        "failed": sum(bool(call.error) for call in ran.calls),
    }


def _status(pool, url):
    return next(state.status for state in pool.states() if state.url == url)


def _until(met, seconds=120.0):
    end = time.monotonic() + seconds
    while not met() and time.monotonic() < end:
        time.sleep(0.02)


if __name__ == "__main__":
    main()
