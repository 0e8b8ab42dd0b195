"""Limits that hold: budgets as values, and the ledger that keeps reservations and spend."""

from router.budgets.budget import Budget, Window, window_period
from router.budgets.ledger import (
    Balance,
    Entry,
    Hold,
    Ledger,
    Record,
    Reservation,
    Settlement,
    exceeded,
    holds_for,
)

__all__ = [
    "Balance",
    "Budget",
    "Entry",
    "Hold",
    "Ledger",
    "Record",
    "Reservation",
    "Settlement",
    "Window",
    "exceeded",
    "holds_for",
    "window_period",
]
