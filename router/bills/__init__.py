"""Bills: what past calls would have cost otherwise, and whether a host's bill is right."""

from router.bills.calls import History, Paid, read_history
from router.bills.causes import Cause
from router.bills.drift import Drift
from router.bills.findings import Tolerance
from router.bills.invoice import read_invoice
from router.bills.lines import BillLine, Invoice
from router.bills.reconcile import reconcile
from router.bills.reprice import Repriced, reprice
from router.bills.result import Correction, Finding, Reconciliation, Residual

__all__ = [
    "BillLine",
    "Cause",
    "Correction",
    "Drift",
    "Finding",
    "History",
    "Invoice",
    "Paid",
    "Reconciliation",
    "Repriced",
    "Residual",
    "Tolerance",
    "read_history",
    "read_invoice",
    "reconcile",
    "reprice",
]
