"""What one's own server costs a token: its load curve measured, and a `[[fleet]]` row to paste.

`python -m benchmarks.selfhost` shows published curves (arXiv 2606.11690): dollars over load. With
`--base-url http://localhost:8000/v1 --endpoint MODEL@vllm --gpus N --usd-per-gpu-hour 3.50` it
measures a running server: levels of load, what input and cached input weigh against output, how
well levels and mixes that were left out are predicted, and prints the row. Use it on idle servers.
"""

from __future__ import annotations

import argparse
import os
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from benchmarks import _tables
from benchmarks._selfhost_measure import Level, Server, Shape, Weights, sweep, weights
from router._clock import utcnow
from router.catalog.fleet import Fleet, Flow, Point
from router.catalog.fleet_rows import FleetRow
from router.money import to_pico

# Requests a second -> requests in flight (rate x median seconds), output tokens a second, on H100
# at 6.98 USD an hour; 512 tokens in and 256 out. Configurations C4 and C5 of the paper.
PAPER = {
    "Qwen3-30B-A3B FP8, 1 x H100": (
        1,
        (
            (1, 1.78, 255.1),
            (5, 13.2, 1252.6),
            (10, 33.4, 2440.4),
            (25, 119, 5279.9),
            (50, 307, 7362.7),
            (100, 403, 8902.5),
            (200, 445, 9271.0),
        ),
    ),
    "Mixtral-8x7B FP16, 2 x H100": (
        2,
        (
            (1, 3.59, 254.2),
            (5, 27.2, 1226.0),
            (10, 72.9, 2327.6),
            (25, 299, 4061.1),
            (50, 405, 4425.0),
            (100, 450, 4454.3),
        ),
    ),
}
NOISE = 0.01  # of an input token: a cached one that takes less was not measured
STEPS = (1, 2, 5, 10, 20, 30, 45, 60, 80, 100)


def paper(name: str) -> _tables.Tables:
    """Dollars per million output tokens of a published curve, by requests a second."""
    gpus, points = PAPER[name]
    curve = tuple(
        Point(Fraction(str(c)), Flow(output_tokens=Fraction(str(out)))) for _, c, out in points
    )
    fleet = Fleet(gpus=gpus, usd_per_gpu_hour=to_pico("6.98"), curve=curve)
    rows = []
    for rate, _, out in points:
        used = fleet.utilisation(Flow(output_tokens=Fraction(str(out))))
        percent = min(100, max(1, round(float(used) * 100)))
        rows.append(
            {
                "requests/s": rate,
                "in use": f"{float(used):.1%}",
                "amortised USD/M out": float(fleet.rent) / 3600 / out / 1e6,
                "marginal USD/M out": fleet.marginal(percent).output / 1e12,
                "as priced": fleet.amortised(fleet.step(used)).output / 1e12,
            }
        )
    return {f"{name}: input counted with output": rows}


def measured(given: argparse.Namespace) -> _tables.Tables:
    """The tables of a running server, and its row."""
    server = Server(given.base_url, given.model, os.environ.get(given.key_env))
    shape = Shape(given.words, given.output)
    server.level(1, shape, 1)
    most = max(given.concurrency)
    swept = sweep(server, [*given.concurrency, *given.left_out], shape, given.requests)
    levels, left_out = ([swept[n] for n in known] for known in (given.concurrency, given.left_out))
    found = weights(server, most, given.long)
    row = fleet_row(given, levels, found)
    fleet = FleetRow.model_validate(row).fleet
    mix = Shape(given.words * 2, max(1, given.output // 4))
    other = sweep(server, [most], mix, given.requests)[most]
    print(toml(row))
    price = [
        {"in use": f"{step}%"}
        | {
            f"{basis} USD/M {kind}": getattr(fleet.prices(basis, step), kind) / 1e12
            for basis in ("amortised", "marginal")
            for kind in ("input", "cache_read", "output")
        }
        for step in STEPS
    ]
    return {
        "Levels of load": [_level(level) for level in levels],
        "Milliseconds of the server": [
            {k: getattr(found, k) * 1000 for k in ("input", "cached", "output", "request")}
        ],
        "Levels left out: predicted between the others": [
            _level(level)
            | {"predicted work/s": work(fleet, level.in_flight)}
            | {"off by": f"{work(fleet, level.in_flight) / done(fleet, level) - 1:+.1%}"}
            for level in left_out
        ],
        "Another mix (twice the input, a quarter of the output): work a second": [
            {
                "measured": done(fleet, other),
                "capacity": float(fleet.capacity),
                "off by": f"{float(fleet.capacity) / done(fleet, other) - 1:+.1%}",
            }
        ],
        "Dollars over load": price,
    }


def fleet_row(given: argparse.Namespace, levels: list[Level], found: Weights) -> dict[str, object]:
    """The levels as a row of the catalogue; what does not rise is noise, and left out."""
    curve: list[dict[str, float]] = []
    for level in sorted(levels, key=lambda level: level.in_flight):
        point = {"in_flight": level.in_flight, "input": level.input, "output": level.output}
        point = {key: float(f"{value:.4g}") for key, value in point.items()}
        if not curve or point["in_flight"] > curve[-1]["in_flight"]:
            curve.append(point)
    return {
        "endpoint": given.endpoint,
        "gpus": given.gpus,
        "usd_per_gpu_hour": given.usd_per_gpu_hour,
        "basis": "amortised",
        "utilisation": 45,
        "input_weight": float(f"{found.input / found.output:.3g}"),
        "cached_weight": float(f"{max(found.cached, found.input * NOISE) / found.output:.3g}"),
        "curve": curve,
        "source": f"measured with benchmarks/selfhost.py, {given.words} words in",
        "checked": utcnow().date().isoformat(),
    }


def toml(row: dict[str, object]) -> str:
    """The row as a catalogue file has it."""
    lines = ["[[fleet]]"]
    for key, value in row.items():
        if key == "curve":
            assert isinstance(value, list)
            points = [", ".join(f"{k} = {v:g}" for k, v in point.items()) for point in value]
            lines += ["curve = [", *(f"  {{ {point} }}," for point in points), "]"]
        elif isinstance(value, str) and key != "checked":
            lines.append(f'{key} = "{value}"')
        else:
            lines.append(f"{key} = {value}")
    return "\n".join(lines)


def done(fleet: Fleet, level: Level) -> float:
    """Work a second that a level came to."""
    flow = Flow(
        input_tokens=Fraction(level.input),
        cache_read_tokens=Fraction(level.cached),
        output_tokens=Fraction(level.output),
    )
    return float(fleet.work(flow))


def work(fleet: Fleet, in_flight: float) -> float:
    """Work a second that the curve says for so many requests in flight."""
    percent = next(p for p in range(1, 101) if p == 100 or (fleet.in_flight(p) or 0) >= in_flight)
    return float(fleet.capacity) * percent / 100


def _level(level: Level) -> dict[str, object]:
    return {
        "workers": level.workers,
        "in flight": level.in_flight,
        "in/s": level.input,
        "cached/s": level.cached,
        "out/s": level.output,
        "requests/s": level.requests,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", help="of the server, with /v1; absent: published curves")
    parser.add_argument("--model", help="as the server calls it; absent: its first")
    parser.add_argument("--endpoint", default="mixtral-8x7b-instruct-v0.1@vllm")
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--usd-per-gpu-hour", default="3.50", type=lambda text: str(Decimal(text)))
    parser.add_argument("--key-env", default="VLLM_API_KEY", help="variable with the server's key")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--left-out", type=int, nargs="*", default=[3, 6])
    parser.add_argument("--words", type=int, default=200, help="of a prompt")
    parser.add_argument("--long", type=int, default=1500, help="words of a long prompt")
    parser.add_argument("--output", type=int, default=32, help="tokens of an answer")
    parser.add_argument("--requests", type=int, default=4, help="of each worker, per level")
    parser.add_argument("--out", type=Path, help="append the tables to this file")
    given = parser.parse_args()
    if given.base_url is None:
        _tables.run(PAPER, paper, given.out)
        return
    _tables.run(["measured"], lambda _: measured(given), given.out)


if __name__ == "__main__":
    main()
