"""Limits that hold: budgets as values, and the ledger that keeps reservations and spend."""

from router.budgets.budget import Budget, Unit
from router.budgets.entries import (
    Adjustment,
    Entry,
    Record,
    Reservation,
    Settlement,
)
from router.budgets.files import dump_budgets, load_budgets
from router.budgets.holds import Balance, Hold, exceeded, holds_for, left
from router.budgets.ledger import Ledger, SlabLedger
from router.budgets.windows import Period, Window, window_period

__all__ = [
    "Adjustment",
    "Balance",
    "Budget",
    "Entry",
    "Hold",
    "Ledger",
    "Period",
    "Record",
    "Reservation",
    "Settlement",
    "SlabLedger",
    "Unit",
    "Window",
    "dump_budgets",
    "exceeded",
    "holds_for",
    "left",
    "load_budgets",
    "window_period",
]
