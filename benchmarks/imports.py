"""Import time and peak memory, each in fresh interpreters, beside peers where installed."""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys

RUNS = 7
STATEMENTS = {
    "(nothing)": "pass",
    "from router import Client": "from router import Client",
    "router, one replayed request": (
        "from router import Client, recorded_prompts\n"
        "c = Client(ledger=':memory:')\n"
        "q = recorded_prompts(source='zeroeval')[0].prompt\n"
        "c.chat.completions.create([{'role': 'user', 'content': q}])"
    ),
    "import httpx": "import httpx",
    "import openai": "import openai",
    "import litellm": (
        "import os; os.environ['LITELLM_LOCAL_MODEL_COST_MAP'] = 'True'; import litellm"
    ),
}
MEASURE = """
import resource, time
began = time.perf_counter()
exec({statement!r})
seconds = time.perf_counter() - began
print(seconds * 1000, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def main() -> None:
    base = None
    print(f"{'statement':32}{'median ms':>11}{'peak RSS MB':>13}{'ms to ours':>12}")
    for name, statement in STATEMENTS.items():
        module = statement.rsplit("import ", 1)[-1]
        if module in {"openai", "litellm", "httpx"} and importlib.util.find_spec(module) is None:
            print(f"{name:32}{'not installed':>24}")
            continue
        code = MEASURE.format(statement=statement)
        runs = []
        for _ in range(RUNS + 1):  # the first one writes bytecode and warms the disk cache
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            )
            runs.append([float(x) for x in done.stdout.split()])
        ms = statistics.median(run[0] for run in runs[1:])
        rss = max(run[1] for run in runs[1:])
        base = ms if name.startswith("from router") else base
        ratio = f"{ms / base:.1f}x" if base else ""
        print(f"{name:32}{ms:>11.1f}{rss:>13.1f}{ratio:>12}")


if __name__ == "__main__":
    main()
