"""Limits that hold: the ledgers that keep reservations and spend, and the rules they share."""

from router.ledgers.entries import Adjustment, Entry, Grade, Record, Reservation, Settlement
from router.ledgers.ledger import Ledger, SlabLedger

__all__ = [
    "Adjustment",
    "Entry",
    "Grade",
    "Ledger",
    "Record",
    "Reservation",
    "Settlement",
    "SlabLedger",
]
