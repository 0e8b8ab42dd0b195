"""How many output tokens an answer takes: trained forecasts, the route's own history, totals.

Importing this loads neither numpy nor scikit-learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from classifiers.length.estimator import LengthForecaster

__all__ = ["LengthForecaster"]


def __getattr__(name: str) -> Any:
    if name == "LengthForecaster":
        from classifiers.length.estimator import LengthForecaster

        return LengthForecaster
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
