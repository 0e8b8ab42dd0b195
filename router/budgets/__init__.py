"""Budgets as values: limits, windows, scopes, and what a request has to do with them."""

from router.budgets.budget import Budget, Unit
from router.budgets.files import dump_budgets, load_budgets
from router.budgets.holds import Balance, Hold, exceeded, holds_for, left
from router.budgets.windows import Period, Window, window_period

__all__ = [
    "Balance",
    "Budget",
    "Hold",
    "Period",
    "Unit",
    "Window",
    "dump_budgets",
    "exceeded",
    "holds_for",
    "left",
    "load_budgets",
    "window_period",
]
