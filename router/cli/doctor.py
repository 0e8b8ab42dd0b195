"""`centroute doctor`: what is configured, what is missing, and what one's own servers lack."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from router._clock import utcnow
from router.catalog import Catalog
from router.cli.common import add_ledger, require_ledger
from router.cli.output import Output, add_json
from router.errors import RouterError
from router.ledgers.open import default_ledger, open_store
from router.transports.access import Access
from router.transports.discovery import SELF_HOSTED
from router.transports.vllm.checks import check
from router.transports.vllm.probe import without_user

Finding = tuple[str, str, str]


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("doctor", help="check keys, hosts, the ledger, your own servers")
    parser.add_argument("--catalog", action="append", default=[], metavar="FILE", help="overlay")
    add_ledger(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Check; 1 if something is wrong. Only one's own servers are contacted."""
    out = Output(as_json=given.json)
    catalog = Catalog.default().overlay(*given.catalog)
    access = Access(environ=os.environ)
    require_ledger(given.ledger)
    findings = [
        *_hosts(catalog, access),
        *_retired(catalog),
        *_ledger(given.ledger or default_ledger(os.environ)),
    ]
    out.table("Doctor", ("", "what", "finding"), findings)
    out.data([dict(zip(("state", "what", "finding"), f, strict=True)) for f in findings])
    return int(any(state == "wrong" for state, _, _ in findings))


def _hosts(catalog: Catalog, access: Access) -> Iterator[Finding]:
    live = {c.host for c in catalog.candidates(at=utcnow())}
    configured = 0
    for name in sorted(live):
        host = catalog.hosts[name]
        if variable := access.missing(name, host):
            yield "off", f"host {name}", f"set {variable} to use it"
            continue
        configured += 1
        if host.kind in SELF_HOSTED:
            yield from _server(name, catalog, access)
        else:
            yield "ok", f"host {name}", "configured (not contacted)"
    if not configured:
        yield "ok", "host replay", "no host is configured: recorded outcomes answer"


def _server(name: str, catalog: Catalog, access: Access) -> Iterator[Finding]:
    host = catalog.hosts[name]
    contexts = {e.model_id: e.context_tokens for e in catalog.endpoints if e.host == name}
    urls = access.base_urls_of(name, host)
    for url in urls:
        # One replica of several is told from the others by its address.
        where = name if len(urls) == 1 else f"{name} {without_user(url)}"
        for found in check(host.kind, url, access.key(name, host), contexts=contexts):
            yield found.state, f"{where}: {found.what}", found.finding


def _retired(catalog: Catalog) -> Iterator[Finding]:
    now = utcnow()
    for name in ("deepseek-chat", "deepseek-reasoner"):
        try:
            catalog.find(name, at=now)
        except RouterError as error:
            yield "note", f"model {name}", str(error)


def _ledger(at: str) -> Iterator[Finding]:
    try:
        with closing(open_store(at)) as ledger:
            ledger.check()
    except RouterError as error:
        yield "wrong", "ledger", str(error)
    else:
        yield "ok", "ledger", f"{getattr(ledger, 'place', at)} adds up"
