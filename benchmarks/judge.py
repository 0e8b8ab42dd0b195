"""A small real model as judge: what it grades, costs and takes, and how far it agrees with labels.

`python -m benchmarks.judge [traffic] [ways] [coverage]`. SmolLM2-135M-Instruct (Q4_1, llama.cpp,
one thread) answers 20 questions with checkable answers, its answers are logged and judged by
itself; then each question's right answer and a wrong one are judged, the rubric as it comes, held
to the form, and with the reference. Prices are made up. `coverage` needs no model: how often
`agreement`'s intervals hold the truth. The first two take a minute or two on two cores.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._tables import Tables, run
from router import Client, tuning
from router.cli.local import local_server, name_of, shipped
from router.errors import ConfigError
from router.money import to_usd
from router.tuning.agreement import Interval

FACTS = [
    ("What is the capital of France?", "Paris", "Rome"),
    ("What is the capital of Japan?", "Tokyo", "Seoul"),
    ("Which planet is closest to the sun?", "Mercury", "Venus"),
    ("How many days are in a week?", "7", "5"),
    ("What colour is made of blue and yellow?", "green", "purple"),
    ("Which animal barks?", "dog", "cat"),
    ("What gas do plants take in?", "carbon dioxide", "helium"),
    ("How many sides has a triangle?", "3", "4"),
    ("Who wrote Hamlet?", "Shakespeare", "Dickens"),
    ("How many minutes are in an hour?", "60", "100"),
]
WORDS = {"3": "three", "7": "seven", "60": "sixty"}
# So much that nothing is refused; what was spent is in the tables.
BUDGET = "0.05"
USD_A_MILLION = {"input": "0.10", "cache_read": "0.01", "output": "0.30"}


def questions() -> list[tuple[str, str, str]]:
    """Each with its right answer, and one that is wrong."""
    chance = random.Random(6)
    sums = []
    for _ in range(10):
        a, b = chance.randint(2, 20), chance.randint(2, 20)
        sums.append(
            (f"What is {a} + {b}?", str(a + b), str(a + b + chance.choice((-2, -1, 1, 3))))
        )
    return [*FACTS, *sums]


@contextmanager
def judging(url: str, ledger: str) -> Iterator[Client]:
    """A client of the server, with decisions on record."""
    model = name_of(shipped())
    rows: dict[str, list[dict[str, Any]]] = {
        "model": [{"name": model, "json_mode": True}],
        "endpoint": [
            {
                "model": model,
                "host": "llamacpp",
                "model_id": model,
                "context_tokens": 8192,
                "max_output_tokens": 2048,
            }
        ],
        "rate": [
            {
                "endpoint": f"{model}@llamacpp",
                "source": "made up",
                "checked": "2026-11-22",
                **USD_A_MILLION,
            }
        ],
    }
    with Client(
        base_urls={"llamacpp": url},
        hosts=["llamacpp"],
        catalog=rows,
        ledger=ledger,
        budgets=BUDGET,
        log_decisions=True,
    ) as client:
        yield client


def judged(
    client: Client, table: list[dict[str, Any]], labels: list[float], ledger: Any, **asked: Any
) -> dict[str, object]:
    """One run of a judge as a row, its agreement with labels at the end."""
    judge = tuning.Judge(client, own=True, **asked)
    began = time.monotonic()
    found = tuning.grade(judge, table, budget_usd=BUDGET, ledger=ledger, progress=False)
    seconds = time.monotonic() - began
    if found.stopped:
        raise SystemExit(str(found))
    row: dict[str, object] = {
        "answers": len(found),
        "graded": sum(score is not None for score in found.scores),
        "no verdict": found.unclear,
        "failed": len(found.failed),
        "USD": "unknown" if found.cost_usd is None else f"{found.cost_usd:.6f}",
        "s": seconds,
    }
    try:
        return row | told(tuning.agreement(found.scores, labels))
    except ConfigError:  # nothing was graded
        return row


def told(found: tuning.Agreement) -> dict[str, object]:
    """What an agreement says, as columns."""
    kappa = "-" if found.kappa is None else spelt(found.kappa, found.kappa_between)
    return {
        "accuracy (95 %)": spelt(found.accuracy, found.accuracy_between),
        "kappa (95 %)": kappa,
        "bias": f"{found.bias:+.2f}",
    }


def spelt(value: float, ends: Interval | None) -> str:
    return f"{value:.2f}" + ("" if ends is None else f" ({ends[0]:.2f} to {ends[1]:.2f})")


def right(answer: str, expected: str) -> bool:
    """Whether a checkable answer has the expected word, or the number as its last one."""
    if not expected.isdigit():
        return expected.lower() in answer.lower()
    numbers = re.findall(r"\d+", answer)
    return numbers[-1:] == [expected] or WORDS.get(expected, " none ") in answer.lower()


def traffic() -> Tables:
    """Its own answers, logged and then judged; grades and labels out of the ledger."""
    with tempfile.TemporaryDirectory() as scratch, local_server() as url:
        path = str(Path(scratch) / "spend.sqlite3")
        with judging(url, path) as client:
            table, labels = [], []
            began = time.monotonic()
            for question, expected, _ in questions():
                reply = client.chat.completions.create(
                    [{"role": "user", "content": question}],
                    max_tokens=30,
                    temperature=0,
                    tags={"task": "ask"},
                )
                route = reply.route
                label = float(right(reply.text, expected))
                client.feedback(route.request_id, label, by="label")
                of = {"request_id": route.request_id, "candidate": route.candidate}
                table.append({"question": question, "answer": reply.text, **of})
                labels.append(label)
            asking = time.monotonic() - began
            row = judged(
                client, table, labels, path, max_tokens=16, response_format=tuning.VERDICT
            )
            spent = [
                {
                    "task": line.group[0],
                    "requests": line.requests,
                    "input tokens": line.input_tokens,
                    "of them cached": line.cache_read_tokens,
                    "output tokens": line.output_tokens,
                    "USD": f"{to_usd(line.cost):f}",
                }
                for line in client.report(by="tag:task").rows
            ]
        kept = {r.request_id: r.quality for r in tuning.load(path, by="judge").graded}
        known = {r.request_id: r.quality for r in tuning.load(path, by="label").graded}
        again = tuning.agreement([kept[i] for i in known], list(known.values()))
        answered = {"right by label": int(sum(labels)), "answering, s": asking}
        return {
            "Its own answers, judged by itself": [row | answered],
            "The same out of the ledger": [told(again)],
            "Spend, a line for each task": spent,
        }


def ways() -> Tables:
    """Right and wrong answers, judged in several ways."""
    table, labels = [], []
    for question, good, bad in questions():
        for answer, label in ((good, 1.0), (bad, 0.0)):
            table.append({"question": question, "answer": answer, "reference": good})
            labels.append(label)
    without = [{**row, "reference": None} for row in table]
    form: dict[str, Any] = {"response_format": tuning.VERDICT, "max_tokens": 16}
    rows = []
    with local_server() as url:
        for name, rows_of, asked in (
            ("as it comes, 30 tokens at most", without, {"max_tokens": 30}),
            ("held to the form", without, form),
            ("held to the form, reference given", table, form),
        ):
            with judging(url, ":memory:") as client:
                rows.append({"way": name, **judged(client, rows_of, labels, None, **asked)})
    return {"Right and wrong answers": rows}


def coverage(reps: int = 200) -> Tables:
    """How often intervals at 95 % hold the truth, for independent answers."""
    chance = np.random.default_rng(1)
    rows = []
    for n in (10, 20, 40, 100, 300):
        held: dict[str, list[float]] = {"accuracy": [], "kappa": []}
        widths = []
        for share in (0.5, 0.8, 0.95):
            for seen, spared in ((0.5, 0.5), (0.7, 0.6), (0.9, 0.8), (0.98, 0.95), (1.0, 1.0)):
                cells = [share * seen, (1 - share) * (1 - spared)]
                cells += [share - cells[0], (1 - share) - cells[1]]
                truth = tables_of(np.array(cells))
                hits: dict[str, list[bool]] = {"accuracy": [], "kappa": []}
                for counts in chance.multinomial(n, cells, reps):
                    found = agreed(counts)
                    hits["accuracy"].append(holds(found.accuracy_between, truth[0]))
                    if found.kappa_between is not None:
                        hits["kappa"].append(holds(found.kappa_between, truth[1]))
                        widths.append(found.kappa_between[1] - found.kappa_between[0])
                for name, each in hits.items():
                    held[name].append(float(np.mean(each)))
        row: dict[str, object] = {"answers": n, "judges x shares": len(held["kappa"])}
        for name, each_of in held.items():
            row |= {f"{name} held": f"{np.mean(each_of):.1%}", "least": f"{min(each_of):.1%}"}
            row[f"{name}, least"] = row.pop("least")
        rows.append(row | {"width of kappa's": float(np.mean(widths))})
    return {"Intervals of agreement at 95 %": rows}


def tables_of(cells: Any) -> tuple[float, float]:
    """Accuracy and kappa of a table of chances."""
    both, judge, label, neither = cells
    same, yes, sure = both + neither, both + judge, both + label
    chance = yes * sure + (1 - yes) * (1 - sure)
    return float(same), float((same - chance) / (1 - chance))


def agreed(counts: Any) -> tuning.Agreement:
    """The agreement of so many answers of each kind."""
    kinds = ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0))
    pairs = [kind for kind, count in zip(kinds, counts, strict=True) for _ in range(count)]
    return tuning.agreement([a for a, _ in pairs], [b for _, b in pairs])


def holds(ends: Interval, truth: float) -> bool:
    return ends[0] - 1e-9 <= truth <= ends[1] + 1e-9


TASKS: dict[str, Callable[[], Tables]] = {
    "traffic": traffic,
    "ways": ways,
    "coverage": coverage,
}


def main() -> None:
    """Run the tasks named on the command line, all if none is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("tasks", nargs="*", choices=[*TASKS, []])
    parser.add_argument("--out", type=Path, help="append the tables to this file")
    given = parser.parse_args()
    try:
        run(given.tasks or TASKS, lambda name: TASKS[name](), given.out)
    except ConfigError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
