"""Route recorded prompts through a client, and keep what is needed to judge it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from router.client import Client
from router.errors import BudgetExceededError
from router.transports.recording import Recorded
from router.types import Route

PORTFOLIO = (
    "mixtral-8x7b-instruct-v0.1@replay",
    "deepseek-v2.5@replay",
    "claude-3-5-sonnet-20241022@replay",
)
"""A self-hosted mixture of experts, a DeepSeek model and a strong one, as recorded."""


@dataclass(frozen=True, slots=True)
class Served:
    """One prompt: how it was routed and graded; `route` is None when the budget refused it."""

    prompt: Recorded
    route: Route | None
    score: float = 0.0

    @property
    def wanted_more(self) -> bool:
        """Whether the budget kept a candidate out that could otherwise have been chosen."""
        return self.route is not None and any(
            "the budget has" in why for why in self.route.decision.rejected.values()
        )


def route_all(client: Client, prompts: Iterable[Recorded]) -> Iterator[Served]:
    """Ask every prompt; a refusal by the budget is a result like any other."""
    for recorded in prompts:
        messages = [{"role": "user", "content": recorded.prompt}]
        try:
            reply = client.chat.completions.create(messages, tags={"dataset": recorded.dataset})
        except BudgetExceededError:
            yield Served(recorded, None)
            continue
        replay = (reply.model_extra or {})["replay"]
        yield Served(recorded, reply.route, float(replay["score"]))
