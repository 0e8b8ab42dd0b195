"""Build the replay recording from the public outcome tables (prompts.parquet, outcomes.parquet).

    python -m benchmarks.build_recording --data DIR --date 2026-11-22 \
        --out router/transports/data/replay.jsonl.xz

One header line, then one line per prompt with the outcomes exactly as published: graded score
and whole output tokens. `split` is the trainer's own (`classifiers.training.split`): no weight,
calibration or threshold shipped here has seen a "test" prompt.
"""

from __future__ import annotations

import argparse
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from classifiers.training.split import assign, group_key, unit

WHOLE = frozenset({"full_counted", "full_counted_incl_reasoning", "api_usage"})
MMLU_PRO_PROMPTS = 1000
CANDIDATES = {
    "zeroeval": {
        "Mixtral-8x7B-Instruct-v0.1": "mixtral-8x7b-instruct-v0.1",
        "deepseek-v2.5-0908": "deepseek-v2.5",
        "claude-3-5-sonnet-20241022": "claude-3-5-sonnet-20241022",
    },
    "mmlu_pro": {
        "Mixtral-8x7B-Instruct-v0.1": "mixtral-8x7b-instruct-v0.1",
        "DeepSeek-Coder-V2": "deepseek-coder-v2",
        "gemini-1.5-pro-002": "gemini-1.5-pro-002",
    },
}
HEADER = {
    "format": "replay/1",
    "what": "Graded answers of real models to public questions, for replaying routing decisions.",
    "answer_text": (
        "Not part of the recording: only the published grade of each answer and the length of "
        "its whole text are kept. A replayed answer says so in place of the text."
    ),
    "score": "the source's own grade of one answer, in [0, 1]",
    "output_tokens": "the whole published output, counted with DeepSeek's vocabulary",
    "split": "test: seen by no shipped weight, calibration or threshold; train: may have been",
    "sources": [
        {
            "source": "zeroeval",
            "origin": "https://github.com/WildEval/ZeroEval",
            "license": "Apache-2.0",
            "datasets": "GSM8K (gsm) and CRUXEval output prediction (crux), zero-shot",
        },
        {
            "source": "mmlu_pro",
            "origin": "https://github.com/TIGER-AI-Lab/MMLU-Pro",
            "license": "Apache-2.0 (repository), MIT (data set)",
            "datasets": "a sample stratified by category; answered 5-shot, the prompt kept here "
            "is the bare question",
        },
    ],
}


def complete_rows(prompts: pd.DataFrame, outcomes: pd.DataFrame, source: str) -> Iterator[Any]:
    """The prompts of a source that every candidate answered with a whole token count."""
    names = CANDIDATES[source]
    whole = outcomes[
        (outcomes.source == source)
        & outcomes.model.isin(list(names))
        & outcomes.token_kind.isin(list(WHOLE))
        & outcomes.output_tokens.notna()
    ]
    by_prompt: dict[str, dict[str, dict[str, float | int]]] = {}
    for row in whole.itertuples():
        by_prompt.setdefault(row.prompt_id, {})[names[row.model]] = {
            "score": float(row.score),
            "output_tokens": int(row.output_tokens),
        }
    for row in prompts[prompts.source == source].itertuples():
        found = by_prompt.get(row.prompt_id, {})
        if len(found) == len(names):
            yield {
                "id": row.prompt_id,
                "source": source,
                "dataset": row.dataset,
                "prompt": row.prompt,
                "license": row.license,
                "outcomes": {name: found[name] for name in names.values()},
                "split": row.split,
            }


def stratified(rows: list[Any], size: int) -> list[Any]:
    """About `size` rows, each dataset by its share, drawn by the hash of the question."""
    taken = []
    for dataset in sorted({row["dataset"] for row in rows}):
        own = [row for row in rows if row["dataset"] == dataset]
        own.sort(key=lambda row: (unit(group_key(row["prompt"]), "sample"), row["id"]))
        taken += own[: round(size * len(own) / len(rows))]
    return taken


def build(data: Path, date: str) -> list[Any]:
    """Header and rows of the recording."""
    prompts = pd.read_parquet(data / "prompts.parquet")
    outcomes = pd.read_parquet(data / "outcomes.parquet")
    prompts["split"] = assign(zip(prompts.source, prompts.prompt, strict=True))
    zeroeval = list(complete_rows(prompts, outcomes, "zeroeval"))
    mmlu_pro = [r for r in complete_rows(prompts, outcomes, "mmlu_pro") if r["split"] == "test"]
    rows = zeroeval + stratified(mmlu_pro, MMLU_PRO_PROMPTS)
    rows.sort(key=lambda row: (row["source"] != "zeroeval", row["dataset"], row["id"]))
    return [{**HEADER, "date": date, "rows": len(rows)}, *rows]


def main() -> None:
    """Read the tables, write the recording, say what it holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the two tables")
    parser.add_argument("--date", required=True, help="date to write into the header")
    parser.add_argument("--out", type=Path, required=True, help="the .jsonl.xz to write")
    args = parser.parse_args()
    lines = build(args.data, args.date)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    args.out.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    frame = pd.DataFrame(lines[1:])
    print(frame.groupby(["source", "dataset", "split"]).size().to_string())
    print(f"{args.out}: {len(lines) - 1} rows, {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
