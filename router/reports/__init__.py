"""Reports: spend from the ledger, grouped, to the last pico-dollar."""

from router.reports.accuracy import Accuracy, accuracy_from
from router.reports.checksum import verify
from router.reports.fleets import Fleets, fleets_from
from router.reports.focus import Focus, focus_from
from router.reports.rows import FIGURES
from router.reports.savings import BASELINES, Savings, savings_from
from router.reports.spend import Report, report_from
from router.reports.table import Table

__all__ = [
    "BASELINES",
    "FIGURES",
    "Accuracy",
    "Fleets",
    "Focus",
    "Report",
    "Savings",
    "Table",
    "accuracy_from",
    "fleets_from",
    "focus_from",
    "report_from",
    "savings_from",
    "verify",
]
