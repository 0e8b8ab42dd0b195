"""Tasks of a benchmark, run one after another, and what they find as tables."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

Tables = Mapping[str, Sequence[dict[str, object]]]


def run(names: Iterable[str], task: Callable[[str], Tables], out: Path | None) -> None:
    """Run the tasks of these names; print their tables, and append them to `out`."""
    for name in names:
        began = time.perf_counter()
        tables = task(name)
        report = "".join(f"\n### {title}\n\n{markdown(rows)}\n" for title, rows in tables.items())
        report += f"\n`{name}` took {time.perf_counter() - began:.0f} s.\n"
        print(report, flush=True)
        if out is not None:
            with out.open("a", encoding="utf-8") as file:
                file.write(report)


def markdown(rows: Sequence[dict[str, object]]) -> str:
    """A table of rows; a float gets three places."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in rows:
        cells = [_cell(row.get(name, "")) for name in names]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(_cell(one) for one in value)
    if not isinstance(value, float):
        return str(value)
    return "-" if math.isnan(value) else f"{value:.3f}"
