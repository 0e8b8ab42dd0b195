"""What a reader brings to a notebook, small: a ledger, labels, a bill, a fleet, a host.

Each notebook says under "Your data here" what goes in place of its next cell. `replaced` does that
to the letter, and `lay_out` makes the files that the words speak of. So `execute.py` finds out
whether a notebook still runs for a reader who does as it says.
"""

from __future__ import annotations

import csv
import json
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MARK = "**Your data here.**"
_CODE = re.compile(r"```python\n(.*?)\n```", re.DOTALL)
_REQUESTS, _LABELS = 240, 90
_START = datetime(2026, 10, 1, tzinfo=UTC)
_MODELS = ("deepseek-flash@deepseek", "deepseek-v4-pro@deepseek")
_BILL = ("user_id", "utc_date", "model", "api_key_name", "api_key", "type", "price", "amount")
_FLEET = """\
[[fleet]]
endpoint = "deepseek-v3.2@vllm"
gpus = 16
usd_per_gpu_hour = "2.10"
basis = "amortised"
utilisation = 40
input_weight = 0.2
curve = [{ input = 9000, output = 5000 }]
source = "what we pay, and benchmarks/selfhost.py"
checked = 2026-11-20
"""
_MODEL = "mistralai/Mixtral-8x7B-Instruct-v0.1"


def replaced(book: Any) -> int:
    """Put the code under each "Your data here" in place of the cell after it; how many there were.

    Raises:
        ValueError: a place that does not say what to put there, or no cell to replace.
    """
    found = 0
    for cell, after in zip(book.cells, [*book.cells[1:], None], strict=True):
        if cell.cell_type != "markdown" or MARK not in cell.source:
            continue
        code = _CODE.findall(cell.source)
        if len(code) != 1 or after is None or after.cell_type != "code":
            raise ValueError(f"expected one block of Python and a cell after it: {cell.source}")
        after.source = code[0]
        found += 1
    return found


def lay_out(folder: Path) -> None:
    """Write spend.sqlite3, bill.csv, labels.csv and our_fleet.toml into `folder`."""
    (folder / "our_fleet.toml").write_text(_FLEET, encoding="utf-8")
    _labels(folder / "labels.csv")
    _ledger_and_bill(folder / "spend.sqlite3", folder / "bill.csv")


def _labels(path: Path) -> None:
    """Prompts with grades between 0 and 1, and a column that the notebook must leave alone."""
    from router import recorded_prompts

    chance = random.Random(1)
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(("id", "prompt", "model", "score"))
        for number, each in enumerate(recorded_prompts(source="zeroeval")[:_LABELS]):
            out.writerow((number, each.prompt, "deepseek-v3.2", chance.choice([0, 0.25, 1])))


def _ledger_and_bill(path: Path, bill: Path) -> None:
    """A month of two models with lots, grades for most, and requests of no team."""
    from router import Client, explore, utility
    from router.testing import FakeClock, MockTransport, reply

    chance, clock = random.Random(2), FakeClock(_START)
    answer = reply("Done.", input_tokens=900, cache_read_tokens=256, output_tokens=400)
    with Client(
        candidates=_MODELS,
        transport=MockTransport(answer),
        keys={"deepseek": "none"},
        policy=explore(utility("0.10"), 0.5),
        log_decisions=True,
        ledger=str(path),
        now=clock,
    ) as client:
        for number in range(_REQUESTS):
            clock.instant = _START + timedelta(days=31) * number / _REQUESTS
            made = client.chat.completions.create(
                [{"role": "user", "content": f"Case {number}: " + "what may it be? " * 40}],
                tags={"conversation": str(number // 3)} | ({"team": "a"} if number % 3 else {}),
                max_tokens=2_000,
            )
            if number % 5:
                client.feedback(made.route.request_id, chance.choice([0, 1, 1]), by="label")
        spent = client.report(by=["day", "model"], tz="UTC")
    with bill.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(_BILL)
        for row in spent:
            line = ("u", row["day"], row["model"], "main", "sk-***")
            out.writerow((*line, "output_tokens", "0.0000006", row["output_tokens"]))


@contextmanager
def host() -> Iterator[str]:
    """The address of a server on this machine that answers as a reader's own vLLM would."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Two words to whatever is asked, whole or in pieces."""

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": _MODEL, "object": "model"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
        body = {"id": "own", "created": 0, "model": asked["model"]}
        if not asked.get("stream"):
            said = {"role": "assistant", "content": "In Paris."}
            choice = {"index": 0, "message": said, "finish_reason": "stop"}
            return self._send(
                body | {"object": "chat.completion", "choices": [choice], "usage": usage}
            )
        pieces: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": {"content": "In Paris."}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": usage},
        ]
        lines = [json.dumps(body | {"object": "chat.completion.chunk"} | p) for p in pieces]
        text = "".join(f"data: {line}\n\n" for line in (*lines, "[DONE]"))
        return self._send(text, "text/event-stream")

    def _send(self, body: Any, kind: str = "application/json") -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing: what the notebook prints is what counts."""
