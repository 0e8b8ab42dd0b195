"""Reads a prompt: how likely each model is to answer it right, and how many tokens it will take.

Names load lazily: importing this package loads neither numpy nor scikit-learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from classifiers.difficulty import CorrectnessClassifier
    from classifiers.length import LengthForecaster
    from classifiers.loading import load_default, load_scorer
    from classifiers.outcome import OutcomeClassifier
    from classifiers.runtime import Scorer
    from classifiers.scores import Quantiles, Score
    from classifiers.vectorizer import PromptVectorizer

_HOME = {
    "CorrectnessClassifier": "classifiers.difficulty",
    "LengthForecaster": "classifiers.length",
    "OutcomeClassifier": "classifiers.outcome",
    "PromptVectorizer": "classifiers.vectorizer",
    "Quantiles": "classifiers.scores",
    "Score": "classifiers.scores",
    "Scorer": "classifiers.runtime",
    "load_default": "classifiers.loading",
    "load_scorer": "classifiers.loading",
}

__all__ = [
    "CorrectnessClassifier",
    "LengthForecaster",
    "OutcomeClassifier",
    "PromptVectorizer",
    "Quantiles",
    "Score",
    "Scorer",
    "load_default",
    "load_scorer",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
