"""Pairs of consecutive requests with one cause put into them, by cause."""

from __future__ import annotations

import random
from collections.abc import Callable

from benchmarks import _lint_inject_history as history
from benchmarks import _lint_inject_text as text
from benchmarks._lint_inject_text import Pair
from router.prompts import causes

INJECTED: dict[str, Callable[[random.Random], Pair]] = {
    causes.TIMESTAMP: text.timestamp,
    causes.DATE: text.date,
    causes.UUID: text.uuids,
    causes.EPOCH: text.epoch,
    causes.RANDOM_ID: text.random_id,
    causes.COUNTER: text.counter,
    causes.TOOL_ORDER: text.tool_order,
    causes.TOOL_ADDED: text.tool_added,
    causes.TOOL_REMOVED: text.tool_removed,
    causes.TOOL_CHANGED: text.tool_changed,
    causes.TOOL_KEYS: text.tool_keys,
    causes.PROPERTY_ORDER: text.property_order,
    causes.FORMAT: text.format_changed,
    causes.WHITESPACE: text.whitespace,
    causes.SERIALISATION: text.serialisation,
    causes.SYSTEM: text.system_changed,
    causes.USER_DATA: text.user_data,
    causes.QUESTION: text.question_first,
    causes.EXAMPLES: text.examples_reordered,
    causes.DOCUMENTS: text.documents_reordered,
    causes.EDITED: history.edited,
    causes.TRUNCATED: history.truncated,
    causes.REORDERED: history.reordered,
    causes.SUMMARY: history.summary,
    causes.TEMPLATE: history.template,
    causes.IMAGE: history.image,
    causes.MODEL: lambda rng: history.switched(rng, model="deepseek-v3.2-speciale"),
    causes.HOST: lambda rng: history.switched(rng, host="openrouter"),
    causes.SALT: lambda rng: history.switched(rng, salt="u-2"),
    causes.MINIMUM: history.below,
}
