"""How a storm blows, whoever it is sent through: the provider, the processes, the kills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

from benchmarks._storm_calls import full_price, loops, wishes

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, kw_only=True)
class Storm:
    """How hard it blows. `share` of what all calls would cost is the budget; `killed` processes
    are killed once the provider has served `midway` of what the budget pays for.
    """

    processes: int = 8
    threads: int = 200
    calls: int = 8
    share: float = 0.4
    killed: int = 2
    midway: float = 0.5

    @property
    def full(self) -> int:
        """Pico-dollars of all calls."""
        return full_price(self.processes, self.threads, self.calls)

    @property
    def limit(self) -> int:
        """The budget, in whole micro-dollars, as pico-dollars."""
        return int(self.full * self.share) // 10**6 * 10**6

    @property
    def wanted(self) -> int:
        """How many calls there are."""
        return sum(
            len(wishes(p, t, self.calls))
            for p in range(self.processes)
            for t in range(self.threads)
        )

    def __str__(self) -> str:
        looped = len(list(loops(self.threads)))
        return (
            f"{self.processes} processes x {self.threads} threads ({looped} of them event loops), "
            f"{self.wanted:,} calls, {self.killed} processes killed"
        )


def told(url: str, what: str) -> Any:
    """What the provider says of itself."""
    with build_opener(ProxyHandler({})).open(f"{url}/{what}", timeout=60) as answer:
        return json.load(answer)


@contextmanager
def provider() -> Iterator[str]:
    """The provider's process; its URL."""
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks._storm_server"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()
        server.communicate()


def blow(storm: Storm, url: str, command: list[str], given: dict[str, Any]) -> list[Any]:
    """Run the processes, kill some midway; what the others told at their end."""
    processes = [
        subprocess.Popen(
            [*command, json.dumps(given | {"process": p})],
            cwd=ROOT,
            env=os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for p in range(storm.processes)
    ]
    try:
        for process in processes:
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("a process of the storm did not start; see above")
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        # On a slow machine the victims may have ended before so many calls were served.
        enough = storm.wanted * storm.share * storm.midway
        while told(url, "served") < enough and all(p.poll() is None for p in processes):
            time.sleep(0.02)
        for victim in processes[: storm.killed]:
            victim.kill()
        outs = [process.communicate(timeout=1800)[0] for process in processes]
        return [json.loads(out.splitlines()[-1]) for out in outs[storm.killed :]]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
