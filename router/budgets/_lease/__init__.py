"""The parts of `router.budgets.lease`: accounts, calls in hand, exchanges, the flusher."""
