"""Models that reason: what the shipped figures say where reasoning was counted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks._forecasting_baselines import boosted, quantiles
from benchmarks._forecasting_data import Bench
from benchmarks._forecasting_metrics import Row, judge
from classifiers.length.history import History
from classifiers.prior import PRIOR_THINKING
from classifiers.spread import ordered, token_quantiles
from classifiers.training.thinking import Thoughts, fit_thinking, load_thoughts, own_level

Array = npt.NDArray[np.float64]
PROFILES = {
    "deepseek-r1": ("deepseek-r1-api", "deepseek-r1"),
    "o1-mini": ("o1-mini_chat", "o1-mini"),
    "o1-preview": ("o1-preview_chat",),
}
FOLDS = 5
V32, SPECIALE = "deepseek-v3.2:thinking", "deepseek-v3.2-speciale"
PUBLISHED = (
    ("qwen3_think_nothink/aime25", {V32: 16000, SPECIALE: 23000}),
    ("qwen3_think_nothink/hmmt_feb_2025", {V32: 19000, SPECIALE: 27000}),
    ("mmlu_pro/", {V32: 3800}),
)
"""Mean output tokens: arXiv 2512.02556 table 3; MMLU-Pro of DeepSeek-R1-0528, arXiv 2601.07206."""
EVENS = """Refactor this function to use a list comprehension:

def evens(xs):
    out = []
    for x in xs:
        if x % 2 == 0:
            out.append(x)
    return out"""
EVERYDAY = (
    "Hi",
    "What is 2 + 2?",
    "What is the capital of Australia?",
    "Prove that there are infinitely many primes.",
    "Write a polite email that declines a meeting on Friday.",
    EVENS,
    "Summarise the causes of the First World War in three sentences.",
    "A train leaves at 9:40 and arrives at 13:05 after two stops of 7 minutes. How long is it?",
    "Write a Python function that finds the longest palindromic substring, and explain it.",
    "Plan a week of vegetarian dinners for a family of four, with a shopping list.",
)
SHOWN = ("deepseek-v3.2", V32, SPECIALE, "deepseek-r1", "o1-mini")
STRETCHES = ((0, 20), (20, 50), (50, 100), (100, 10**9))


def thinking(bench: Bench) -> dict[str, list[Row]]:
    """Task 5."""
    thoughts = load_thoughts(bench.data, bench.prompts.ids)
    table, online = left_out(bench, thoughts)
    return {
        "Shipped, where reasoning was counted": shipped(bench, thoughts),
        "Data sets left out, all models that reason": table,
        "Data sets left out, PlanBench call by call": online,
        "Mean output tokens against published ones": means(bench),
        "Everyday prompts: p50 and p90 of output tokens": everyday(bench),
    }


def shipped(bench: Bench, thoughts: Thoughts) -> list[Row]:
    """By source, on all answers and on those to held-out prompts alone."""
    names = [*PROFILES, PRIOR_THINKING]
    rows = np.unique(thoughts.row)
    scores = {row: bench.scorer.score(bench.prompts.texts[row], names) for row in rows.tolist()}
    source = bench.prompts.source[thoughts.row].astype(str)
    test = bench.prompts.test[thoughts.row]
    found: list[Row] = []
    for name in names:
        known = PROFILES.get(name, tuple(np.unique(thoughts.model.astype(str)).tolist()))
        own = np.isin(thoughts.model.astype(str), known)
        for which in np.unique(source[own]).tolist():
            for part, chosen in (("all", own), ("held out", own & test)):
                at = np.flatnonzero(chosen & (source == which))
                if len(at) >= 10:
                    quant = [scores[row][name].output_tokens for row in thoughts.row[at].tolist()]
                    table = np.array([(q.p10, q.p50, q.p90, q.p99, q.mean) for q in quant])
                    logs = np.log1p(thoughts.tokens[at])
                    head: Row = {"profile": name, "source": which, "part": part, "n": len(at)}
                    found.append(head | judge(logs, table))
    return found


def left_out(bench: Bench, thoughts: Thoughts) -> tuple[list[Row], list[Row]]:
    """Slopes, spread and levels from other data sets; beside quantiles and boosting."""
    prior, arrays = bench.scorer._prior, bench.scorer._lengths._prior
    base = arrays.base_of(arrays.profile(PRIOR_THINKING, PRIOR_THINKING))
    n = len(bench.sets)
    centre, logit = bench.left_out.pool[:, 0, 1], np.zeros(n)
    for row in np.unique(thoughts.row).tolist():
        structure = bench.prompts.features[row].structure
        logit[row] = prior.logit(prior.see(bench.matrix[row], structure), base)
    sets, dataset = np.unique(thoughts.dataset.astype(str), return_inverse=True)
    fold = np.random.default_rng(1).permutation(len(sets))[dataset] % FOLDS
    logs, model = np.log1p(thoughts.tokens), thoughts.model.astype(str)
    knots = np.zeros((len(logs), 4))
    plain, trees = np.zeros((len(logs), 5)), np.zeros((len(logs), 5))
    for k in range(FOLDS):
        out, rest = np.flatnonzero(fold == k), fold != k
        fitted = fit_thinking(thoughts.take(rest), centre, logit)
        usual = float(np.mean(list(fitted.levels.values())))
        for name in np.unique(model[out]).tolist():
            at, seen = out[model[out] == name], rest & (model == name)
            level = own_level(fitted, [name], usual, [int(seen.sum())]) if seen.any() else usual
            inputs = np.column_stack((centre[thoughts.row[at]], logit[thoughts.row[at]]))
            middle = inputs @ np.array(fitted.slopes) + level
            knots[at] = [ordered(*row) for row in (middle[:, None] + fitted.offsets).tolist()]
            past = seen if seen.sum() >= 10 else rest
            plain[at] = quantiles(logs[past])
        # 18 answers of a model are not enough to grow trees on: all models as one.
        trees[out] = boosted(bench.matrix[thoughts.row[rest]], logs[rest],
                             bench.matrix[thoughts.row[out]])  # fmt: skip
    tables = {
        "two slopes": token_quantiles(knots),
        "quantile of the model elsewhere": plain,
        "gradient boosting, all models as one": trees,
    }
    found: list[Row] = []
    parts = [(s, bench.prompts.source[thoughts.row] == s)
             for s in np.unique(bench.prompts.source[thoughts.row].astype(str))]  # fmt: skip
    parts += [(f"planbench, {m}", model == ms[0]) for m, ms in PROFILES.items()]
    for part, inside in parts:
        for method, table in tables.items():
            head: Row = {"part": part, "n": int(inside.sum()), "method": method}
            found.append(head | judge(logs[inside], table[inside]))
    return found, corrected(bench, thoughts, knots)


def corrected(bench: Bench, thoughts: Thoughts, knots: Array) -> list[Row]:
    """PlanBench data sets of 60 answers or more of one model, each a route."""
    rng = np.random.default_rng(0)
    logs = np.log1p(thoughts.tokens)
    seen: list[tuple[int, bool, bool, float]] = []
    for name in (names[0] for names in PROFILES.values()):
        for dataset in np.unique(thoughts.dataset.astype(str)):
            own = (thoughts.model == name) & (thoughts.dataset == dataset)
            if own.sum() < 60:
                continue
            past = History()
            for at, k in enumerate(rng.permutation(np.flatnonzero(own)).tolist()):
                p10, p50, p90, p99 = knots[k].tolist()
                extra, log = bench.extra(int(thoughts.row[k])), float(logs[k])
                found = past.corrected((p10, p50, p90, p99), extra)
                seen.append((at, log <= found[2] + 1e-9, log <= found[3], abs(log - found[1])))
                past.observe((p10, p50, p90, p99), extra, log, truncated=False)
    table = np.array(seen)
    lines: list[Row] = []
    for low, high in STRETCHES:
        inside = table[(table[:, 0] >= low) & (table[:, 0] < high)]
        if len(inside):
            c90, c99, error = inside[:, 1:].mean(axis=0).tolist()
            lines.append({"calls": f"{low}-{high if high < 10**9 else ''}", "n": len(inside),
                          "c90": c90, "c99": c99, "p50 error": error})  # fmt: skip
    return lines


def means(bench: Bench) -> list[Row]:
    """The mean forecast over the prompts of a benchmark, and the median prompt's quantiles."""
    found: list[Row] = []
    for name, published in PUBLISHED:
        rows = np.flatnonzero(np.char.startswith(bench.sets, name))[:1000]
        for profile, tokens in published.items():
            scores = [bench.scorer.score(bench.prompts.texts[row], [profile])[profile]
                      for row in rows.tolist()]  # fmt: skip
            quant = [score.output_tokens for score in scores]
            mean = float(np.mean([q.mean for q in quant]))
            found.append({
                "prompts": name.rstrip("/"), "n": len(rows), "profile": profile,
                "published": tokens, "forecast mean": round(mean), "ratio": mean / tokens,
                "p50": round(float(np.median([q.p50 for q in quant]))),
                "p90": round(float(np.median([q.p90 for q in quant]))),
                "known": float(np.mean([score.known for score in scores])),
            })  # fmt: skip
    return found


def everyday(bench: Bench) -> list[Row]:
    """Prompts that no benchmark has."""
    found: list[Row] = []
    for text in EVERYDAY:
        line: Row = {"prompt": text.split("\n")[0][:60]}
        for name, score in bench.scorer.score(text, SHOWN).items():
            q = score.output_tokens
            line[name] = f"{q.p50:,.0f} / {q.p90:,.0f}"
            line["known"] = score.known
        found.append(line)
    return found
