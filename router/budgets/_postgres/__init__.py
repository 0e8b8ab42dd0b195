"""The parts of `router.budgets.postgres`: connecting, the schema, what to lock, the rows."""
