"""The parts of `router.ledgers.postgres`: connecting, the schema, what to lock, the rows."""
