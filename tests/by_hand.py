"""A flow without a world: two candidates at round prices, and steps to drive it by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from classifiers.scores import Quantiles, Score
from policies import cheapest
from router import flow
from router.budgets import Balance, Budget
from router.catalog import Catalog
from router.effects import Balances, Reserve
from router.places import Places
from router.prompts.prefix import PrefixIndex
from router.services import Services
from router.telemetry import Telemetry
from router.types import Request

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ZERO = Quantiles(0, 0, 0, 0, 0)
NAMES = {"deepseek-small": ("1", "2"), "deepseek-large": ("10", "20")}
LIMITS = {"context_tokens": 1000, "max_output_tokens": 500}
KNOWN = {"source": "test", "checked": "2026-11-22"}
CATALOG = Catalog.load(
    {
        "host": [{"name": "h", "base_url": "http://localhost:1"}],
        "model": [{"name": m, "tokenizer": "deepseek-v3"} for m in NAMES],
        "endpoint": [{"model": m, "host": "h", "model_id": m, **LIMITS} for m in NAMES],
        "rate": [
            {"endpoint": f"{m}@h", "input": i, "output": o, **KNOWN} for m, (i, o) in NAMES.items()
        ],
    }
)
SMALL, LARGE = "deepseek-small@h", "deepseek-large@h"


class FixedScorer:
    """Every prompt: small is right half of the time, large nine times in ten; 40 tokens."""

    def score(
        self, prompt: Any, profiles: Sequence[str], *, tenant: str = ""
    ) -> Mapping[str, Score]:
        tokens = Quantiles(20, 40, 80, 160, 50)
        quality = {"deepseek-small": 0.5, "deepseek-large": 0.9}
        return {p: Score(quality[p], tokens, ZERO, "trained") for p in profiles}


@pytest.fixture
def services() -> Services:
    return Services(
        catalog=CATALOG,
        candidates=lambda names, at: CATALOG.candidates(at=at),
        scorer=FixedScorer(),
        read_input=lambda messages, **_: range(10 * len(messages)),
        count_text=lambda text: len(text.split()),
        policy=cheapest(),
        budgets=(Budget("1.00"),),
        places=Places(PrefixIndex()),
        telemetry=Telemetry(),
        unfit=lambda candidate, request: None,
        now=lambda: NOW,
        monotonic=lambda: 0.0,
        random=lambda: 0.0,
    )


def ask(**changes: Any) -> Request:
    """A request of ten input tokens."""
    request = Request(id="r", messages=({"role": "user", "content": "Hi"},))
    return replace(request, **changes)


def to_reserve(line: flow.Flow, spent: int = 0) -> Reserve:
    """Run a flow to its first reservation."""
    assert isinstance(next(line), Balances)
    effect = line.send([Balance(spent=spent)])
    assert isinstance(effect, Reserve)
    return effect


def finish(line: flow.Flow, answer: Any) -> Any:
    """Send the last answer and return what the flow returns."""
    with pytest.raises(StopIteration) as stop:
        line.send(answer)
    return stop.value.value
