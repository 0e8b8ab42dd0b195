"""Right or wrong, for one model, from any matrix of numbers: a small `DemandNet`, calibrated."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from classifiers.calibration import platt, sigmoid
from classifiers.demand import DemandNet
from classifiers.linear import Array

CALIBRATED_FROM = 100
"""With fewer rows none is held out: a handful says nothing of calibration."""
STEPS = 400
"""Steps of gradient descent to be taken at least, however few rows there are."""


class CorrectnessClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """P(correct) of one model from a numeric matrix (n, d): two classes, or grades in [0, 1].

    A few small networks, averaged. From 100 rows on, every fifth is held out first and tells how
    far to trust the fit (Platt), then all rows are used. Columns are standardised inside.
    Fitted: `classes_`, `net_` (a `DemandNet`), `mean_`, `scale_`, `slope_`, `offset_`.

    >>> import numpy as np
    >>> from classifiers import CorrectnessClassifier
    >>> X = np.linspace(-1.0, 1.0, 60)[:, None]
    >>> model = CorrectnessClassifier().fit(X, X[:, 0] > 0)
    >>> model.predict([[-0.9], [0.9]])
    array([False,  True])
    """

    def __init__(
        self,
        n_members: int = 3,
        hidden: int = 32,
        demands: int = 4,
        epochs: int = 12,
        weight_decay: float = 0.1,
        random_state: Any = 0,
    ) -> None:
        self.n_members = n_members
        self.hidden = hidden
        self.demands = demands
        self.epochs = epochs
        self.weight_decay = weight_decay
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def fit(
        self,
        X: Any,  # noqa: N803
        y: Any,
        sample_weight: npt.ArrayLike | None = None,
    ) -> CorrectnessClassifier:
        """Fit on `y` (n,): labels of two classes, or grades from 0 (wrong) to 1 (right).

        Of two labels the greater is the right answer. A grade between 0 and 1 is that share of a
        right answer; the classes are then 0 and 1. `sample_weight` says how much each row counts.

        Raises:
            ValueError: mismatched lengths, only one class, more than two, or no such grades.
        """
        rows, y = validate_data(self, X, y, dtype=np.float64, y_numeric=False, ensure_2d=True)
        self.classes_, grades = _grades(column_or_1d(y, warn=True))
        weights = _check_sample_weight(sample_weight, rows, ensure_non_negative=True)
        if not weights.any():
            raise ValueError("expected a row with a weight above 0, got none")
        weights = weights / weights.mean()
        self.mean_ = np.average(rows, axis=0, weights=weights)
        spread = np.sqrt(np.average((rows - self.mean_) ** 2, axis=0, weights=weights))
        self.scale_ = np.where(spread > 1e-9 * (1.0 + np.abs(self.mean_)), spread, 1.0)
        matrix = (rows - self.mean_) / self.scale_
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.slope_, self.offset_ = 1.0, 0.0
        if len(matrix) >= CALIBRATED_FROM:
            held = np.arange(len(matrix)) % 5 == 4
            first = self._fitted(matrix[~held], grades[~held], weights[~held], seed)
            judged = held & (weights > 0)
            logits = (
                first.logits(matrix[judged]).mean(axis=1)[:, 0] if judged.any() else grades[:0]
            )
            self.slope_, self.offset_ = platt(logits, grades[judged])
        self.net_ = self._fitted(matrix, grades, weights, seed)
        return self

    def _fitted(self, matrix: Array, grades: Array, weights: Array, seed: int) -> DemandNet:
        batch = int(np.clip(len(matrix) // 8, min(8, len(matrix)), 256))
        each = len(matrix) // batch
        net = DemandNet(
            n_members=self.n_members,
            hidden=self.hidden,
            demands=self.demands,
            epochs=max(self.epochs, -(-STEPS // each)),
            batch_size=batch,
            weight_decay=self.weight_decay,
            random_state=seed,
        )
        return net.fit(matrix, grades, sample_weight=weights)

    def decision_function(self, X: Any) -> Array:  # noqa: N803
        """Calibrated logits (n,) of the greater class."""
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float64)
        logits = self.net_.logits((rows - self.mean_) / self.scale_).mean(axis=1)[:, 0]
        return np.asarray(self.slope_ * logits + self.offset_, dtype=np.float64)

    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """(n, 2): P(wrong), P(correct), as `classes_`."""
        p = sigmoid(self.decision_function(X))
        return np.stack([1.0 - p, p], axis=1)

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """The likelier class (n,)."""
        right = self.decision_function(X) > 0
        return np.asarray(self.classes_[right.astype(int)])


def _grades(y: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Array]:
    """Classes (2,), and grades (n,) in [0, 1]: those given, or 1 for the greater label."""
    if y.dtype.kind == "f" and y.size and ((y >= 0) & (y <= 1)).all() and (y % 1 > 0).any():
        return np.array([0, 1]), y.astype(np.float64)
    check_classification_targets(y)
    kind = type_of_target(y, input_name="y", raise_unknown=True)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) > 2:
        raise ValueError(
            f"Only binary classification is supported. The type of the target is {kind}."
        )
    if len(classes) < 2:
        raise ValueError("expected both right and wrong answers to fit on, got one class only")
    return classes, codes.astype(np.float64)
