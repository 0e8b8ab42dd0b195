"""Dollars of an answer: list prices, real output lengths, and an assumption where none is known.

Input is counted as a quarter of the characters plus 40 tokens of instructions. The reasoning
of some models was never stored: their bill is taken as `HIDDEN_RATIO` times the output of a plain
model on the same prompt, the median of eight public benchmarks (R1-0528 against V3-0324,
LLMRouterBench, arXiv 2601.07206, table 10); the ratio there is 5 to 17.
"""

from __future__ import annotations

import numpy as np

from benchmarks._routing_data import Array, Bench, Pair

HIDDEN_RATIO = 6.5
INSTRUCTIONS = 40

PRICES: dict[str, tuple[float, float]] = {
    # $ per million input and output tokens; the list price while the answers were recorded.
    # [l]: as in LiteLLM 1.74.0's table of prices; [m]: from memory, not checked again
    "meta-llama/llama-3.3-70b-instruct": (0.12, 0.30),  # OpenRouter, early 2025 [m]
    "meta-llama/llama-4-maverick": (0.17, 0.60),  # OpenRouter, April 2025 [m]
    "meta-llama/llama-4-scout": (0.08, 0.30),  # OpenRouter, April 2025 [m]
    "mistralai/mistral-small-3.1-24b-instruct": (0.10, 0.30),  # Mistral, March 2025 [l]
    "google/gemma-3-27b-it": (0.10, 0.20),  # OpenRouter, March 2025 [m]
    "anthropic/claude-3.5-sonnet": (3.00, 15.00),  # Anthropic [l]
    "anthropic/claude-sonnet-4": (3.00, 15.00),  # Anthropic [l]
    "deepseek/deepseek-r1": (0.55, 2.19),  # DeepSeek, January 2025 [l]
    "openai/o3-mini": (1.10, 4.40),  # OpenAI, January 2025 [l]
    "qwen/qwq-32b": (0.15, 0.20),  # OpenRouter, March 2025 [m]
    "Meta-Llama-3_1-8B-Instruct": (0.05, 0.08),  # DeepInfra, 2024 [m]
    "Meta-Llama-3_1-70B-Instruct": (0.35, 0.40),  # DeepInfra, 2024 [m]
    "gemini-1.5-flash-002": (0.075, 0.30),  # Google, October 2024 [l]
    "gemini-1.5-pro-002": (1.25, 5.00),  # Google, October 2024 [l]
    "DeepSeek-Coder-V2": (0.14, 0.28),  # DeepSeek, 2024 [l]
    "Mistral-7B-Instruct-v0.2": (0.055, 0.055),  # DeepInfra, 2024 [m]
    "Meta-Llama-3.1-8B-Instruct": (0.05, 0.08),  # DeepInfra, 2024 [m]
    "Meta-Llama-3.1-70B-Instruct": (0.35, 0.40),  # DeepInfra, 2024 [m]
    "deepseek-v2.5-0908": (0.14, 0.28),  # DeepSeek, September 2024 [l]
    "gpt-4o-mini-2024-07-18": (0.15, 0.60),  # OpenAI, July 2024 [l]
    "gpt-4o-2024-08-06": (2.50, 10.00),  # OpenAI, August 2024 [l]
    "claude-3-5-sonnet-20241022": (3.00, 15.00),  # Anthropic [l]
    "o1-mini-2024-09-12": (3.00, 12.00),  # OpenAI, September 2024 [l]
    "gpt-4-1106-preview": (10.00, 30.00),  # OpenAI, November 2023 [l]
    "mistralai/Mixtral-8x7B-Instruct-v0.1": (0.24, 0.24),  # as in RouteLLM, arXiv 2406.18665 [m]
}
PLAIN = {"reasoning_gym": "meta-llama/llama-3.3-70b-instruct",
         "zeroeval": "Meta-Llama-3.1-70B-Instruct"}  # fmt: skip
HIDDEN = frozenset(
    {"deepseek/deepseek-r1", "openai/o3-mini", "qwen/qwq-32b", "o1-mini-2024-09-12"}
)


def dollars(bench: Bench, source: str, model: str) -> Array:
    """Dollars of a model's answer to each row; NaN where its length is not known."""
    price_in, price_out = PRICES[model]
    out = bench.column(source, model, "output_tokens")
    if model in HIDDEN:
        out = out + HIDDEN_RATIO * bench.column(source, PLAIN[source], "output_tokens")
    read = np.array([len(text) for text in bench.texts]) / 4 + INSTRUCTIONS
    return np.asarray((price_in * read + price_out * out) / 1e6)


def extra_dollars(bench: Bench, *pairs: Pair) -> Array:
    """What the strong model costs more than the weak one, a number for each row."""
    extra = np.full(len(bench.texts), np.nan)
    for pair in pairs:
        more = dollars(bench, pair.source, pair.strong) - dollars(bench, pair.source, pair.weak)
        extra[~np.isnan(more)] = more[~np.isnan(more)]
    return extra
