"""PostgreSQL for tests: a server's address, a schema for each test, cases of the other store."""

import importlib.util
import os
from pathlib import Path
from uuid import uuid4

import pytest

# Read now: later a fixture hides it.
POSTGRES = os.environ.get("CENTROUTE_TEST_POSTGRES", "")
DATA = os.environ.get("CENTROUTE_TEST_POSTGRES_DATA", "")

needs_postgres = pytest.mark.skipif(
    not POSTGRES, reason="needs a server: make test-postgres, or CENTROUTE_TEST_POSTGRES"
)


def say(statement, *values):
    """Run one statement on a connection of its own; its rows."""
    import psycopg

    with psycopg.connect(POSTGRES, autocommit=True) as db:
        cursor = db.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


class Schema:
    """A schema of its own, dropped at the end, and the ledgers that were opened on it."""

    def __init__(self):
        self.name = f"t{uuid4().hex[:12]}"
        self._ledgers = []

    def ledger(self, kind=None, **options):
        """A ledger with connections of its own, as another process would have."""
        from router.budgets.postgres import PostgresLedger

        found = (kind or PostgresLedger)(POSTGRES, schema=self.name, **options)
        self._ledgers.append(found)
        return found

    def drop(self):
        for ledger in self._ledgers:
            ledger.close()
        say(f"DROP SCHEMA IF EXISTS {self.name} CASCADE")


@pytest.fixture(name="schema")
def schema_fixture():
    """A schema for one test."""
    found = Schema()
    yield found
    found.drop()


def borrowed(module):
    """Another module of tests, loaded once more."""
    path = Path(__file__).with_name(f"{module}.py")
    spec = importlib.util.spec_from_file_location(f"borrowed_{module}", path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def cases(module, *, without):
    """Tests of another module by name, to be run with the fixtures of the one that asks."""
    tests = {n: test for n, test in vars(borrowed(module)).items() if n.startswith("test_")}
    assert without <= tests.keys(), f"gone from {module}: {without - tests.keys()}"
    return {name: test for name, test in tests.items() if name not in without}
