"""Quality minus lambda times dollars: spend more only where it buys enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from policies import _check
from policies._ranking import decision
from policies._worth import Scale, choose, why_not
from policies.types import Context, Decision, Quote

_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class utility:  # noqa: N801 - used like a function
    """The candidate with the highest P(correct) x value - expected cost - price of waiting.

    `value_usd` is what a correct answer is worth to you: a candidate that costs a cent more must
    be right more often by a cent's worth. It is 1/lambda of "quality minus lambda times dollars".
    `wait_usd_per_hour` is what an hour of waiting costs you; a time nobody knows counts as none.

    P(correct) is estimated, and picking the highest of noisy estimates picks noise. So there is a
    default, left only for a gain above `z` standard errors, and left for a cheaper candidate on
    the same terms. `default` is a candidate's name or a pattern; None means the candidate that one
    would choose without reading the prompt. With `z=0` the highest estimate wins.

    Raises:
        ValueError: an amount is not finite or too small, `z` is below 0, or `default` is no text.
    """

    value_usd: _check.Amount = "0.01"
    _: KW_ONLY
    wait_usd_per_hour: _check.Amount = "0"
    default: str | None = None
    z: float = 0.5

    def __post_init__(self) -> None:
        _check.text_or_none("default", self.default)
        _check.settle(
            self,
            value_usd=_check.money("value_usd", self.value_usd),
            wait_usd_per_hour=_check.money("wait_usd_per_hour", self.wait_usd_per_hour, or_0=True),
            z=_check.at_least("z", self.z),
        )

    def __str__(self) -> str:
        return f"utility({self.value_usd})"

    def __call__(self, quotes: Sequence[Quote], context: Context, /) -> Decision:  # noqa: ARG002
        scale = scale_of(self.value_usd, self.wait_usd_per_hour)
        choice = choose(quotes, scale, self.default, self.z)
        return decision(
            str(self), choice.order, choice.reason, lambda q, chosen: why_not(q, chosen, scale)
        )


def scale_of(value_usd: object, wait_usd_per_hour: object, price: float = 1.0) -> Scale:
    """The scale of amounts in USD that have been checked."""
    second = _check.pico(wait_usd_per_hour) / _SECONDS_PER_HOUR
    return Scale(worth=_check.pico(value_usd), second=second, price=price)
