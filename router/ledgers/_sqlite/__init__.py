"""The parts of `router.ledgers.sqlite`: opening the file, its schema, its rows."""
