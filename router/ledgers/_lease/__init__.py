"""The parts of `router.ledgers.lease`: accounts, calls in hand, exchanges, the flusher."""
