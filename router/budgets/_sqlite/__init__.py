"""The parts of `router.budgets.sqlite`: opening the file, its schema, its rows."""
