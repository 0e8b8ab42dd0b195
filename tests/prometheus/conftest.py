"""A real Prometheus that scrapes a real application. These tests run where
`CENTROUTE_TEST_PROMETHEUS` is set: see `make test-prometheus`."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

if not os.environ.get("CENTROUTE_TEST_PROMETHEUS"):
    collect_ignore_glob = ["test_*.py"]


def _load(name):
    """Make a helper beside this file importable, as `tests/conftest.py` does."""
    at = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, at)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


scraping = _load("scraping")


@pytest.fixture(scope="package")
def home(tmp_path_factory):
    """Where the ledger, the logs and Prometheus' data are."""
    return tmp_path_factory.mktemp("prometheus")


@pytest.fixture(scope="package")
def app(home):
    """The application, after two rounds of traffic."""
    scraping.program("prometheus")
    started = scraping.App(home)
    yield started
    if started.process.poll() is None:
        started.stop()


@pytest.fixture(scope="package")
def prometheus(home, app):
    """Prometheus, which has seen the application before, between and after its rounds."""
    started = scraping.Prometheus(home, app.port)
    try:
        for number in range(2):
            app.round(number)
            started.seen = started.scraped()
        yield started
    finally:
        started.stop()
