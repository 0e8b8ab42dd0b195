"""Fixtures of every test: no keys, no network beyond loopback, no ledger of the user's."""

import importlib.util
import os
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from router.testing import FakeClock

# Machines are noisy: no example fails for being slow.
settings.register_profile("centroute", deadline=None)
settings.load_profile("centroute")

_HERE = Path(__file__).parent
_PREFIXES = ("AZURE_", "CENTROUTE_")
_SUFFIXES = ("_API_KEY", "_BASE_URL", "_TOKEN", "_PROXY", "_ENDPOINT")
_LOOPBACK = ("127.", "::1", "localhost")


def _load(name):
    """Make a helper beside this file importable: --import-mode=importlib leaves sys.path alone."""
    spec = importlib.util.spec_from_file_location(name, _HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


wire_module = _load("wire")
_load("wire_bodies")
calling = _load("calling")
_load("learning")
_load("leaving")
_load("waiting")
_load("catalogs")
_load("price_lists")
_load("jobs")
_load("invoices")
_load("spending")
_load("random_ledger")
_load("focus_rules")
_load("keeping")
_load("leasing")
_load("with_postgres")
_load("stores")
_load("crash_steps")
_load("crashing")
_load("replicas")
_load("pooling")
services = _load("by_hand").services
observed = _load("observing").observed


@pytest.fixture(autouse=True)
def clean_environment(tmp_path_factory):
    """Hide the keys, addresses and proxies of hosts; the state directory is a temporary one."""
    state = tmp_path_factory.getbasetemp() / "state"
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.upper().startswith(_PREFIXES) or name.upper().endswith(_SUFFIXES):
                patch.delenv(name)
        patch.setenv("XDG_STATE_HOME", str(state))
        patch.delenv("LOCALAPPDATA", raising=False)
        yield


def _refuse(address, family=socket.AF_INET):
    if family == getattr(socket, "AF_UNIX", None) or not isinstance(address, tuple):
        return
    if not str(address[0]).startswith(_LOOPBACK):
        raise AssertionError(f"a test wants the network: {address[0]}")


@pytest.fixture(autouse=True)
def loopback_only():
    """Refuse connections and look-ups beyond loopback, so that a test cannot reach a host."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    look_up = socket.getaddrinfo

    def checked_connect(self, address):
        _refuse(address, self.family)
        return connect(self, address)

    def checked_connect_ex(self, address):
        _refuse(address, self.family)
        return connect_ex(self, address)

    def checked_look_up(host, *arguments, **named):
        if host is not None:
            name = host.decode() if isinstance(host, bytes) else host
            _refuse((name,))
        return look_up(host, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked_connect)
        patch.setattr(socket.socket, "connect_ex", checked_connect_ex)
        patch.setattr(socket, "getaddrinfo", checked_look_up)
        yield


@pytest.fixture
def clock():
    """A clock that stands still: Sunday 2026-11-22 12:00 UTC, off-peak everywhere."""
    return FakeClock()


@pytest.fixture
def wire():
    """A scripted HTTP server on loopback; see `tests/wire.py`."""
    with wire_module.Wire() as server:
        yield server
    assert not server.unscripted, f"requests beyond the script: {server.unscripted}"


@pytest.fixture
def short_backoff(monkeypatch):
    """Retries wait a millisecond instead of half a second."""
    monkeypatch.setattr("router.dispatch._FIRST_DELAY", 0.001)


@pytest.fixture(params=["sync", "async"])
def caller(request, wire, tmp_path, clock, short_backoff):
    """Calls hosts of `wire` through the real clients; the same tests hold for both."""
    kind = calling.SyncCaller if request.param == "sync" else calling.AsyncCaller
    return kind(wire, tmp_path / "ledger.sqlite3", clock)
