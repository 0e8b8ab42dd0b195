"""Reports: spend from the ledger, grouped, to the last pico-dollar."""

from router.reports.spend import Report, report_from

__all__ = ["Report", "report_from"]
