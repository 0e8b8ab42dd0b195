"""`centroute doctor`: what is configured, what is missing, and what a vLLM server lacks."""

from __future__ import annotations

import argparse
import os
import re
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
from router.transports.discovery import SELF_HOSTED, ask

Finding = tuple[str, str, str]


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("doctor", help="check keys, hosts, the ledger and vLLM servers")
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
    served = ask(name, host, access)
    if served.problem:
        yield "wrong", f"host {name}", served.problem
        return
    yield "ok", f"host {name}", f"serves {', '.join(served.models) or 'no model'}"
    if host.kind == "vllm":
        yield from _vllm(access.base_url(name, host) or "", access.key(name, host))


def _vllm(url: str, key: str | None) -> Iterator[Finding]:
    """What a running vLLM lacks for caching and billing to be seen."""
    import httpx

    root = url.removesuffix("/v1")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        metrics = httpx.get(f"{root}/metrics", headers=headers, timeout=5.0).text
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        yield "wrong", "vllm /metrics", f"does not answer ({type(error).__name__})"
        return
    config = re.search(r"vllm:cache_config_info\{(.*?)\}", metrics)
    caching = re.search(r'enable_prefix_caching="(\w+)"', config.group(1)) if config else None
    if caching is None:
        yield "wrong", "vllm prefix cache", "/metrics does not tell; is this a vLLM server?"
    elif caching.group(1) == "True":
        yield "ok", "vllm prefix cache", "on"
    else:
        yield "wrong", "vllm prefix cache", "off: start the server with --enable-prefix-caching"
    yield from _details(url, headers)


def _details(url: str, headers: dict[str, str]) -> Iterator[Finding]:
    import httpx

    try:
        model = httpx.get(f"{url}/models", headers=headers, timeout=5.0).json()["data"][0]["id"]
        body = {
            "model": model,
            "max_tokens": 1,
            "messages": [{"role": "user", "content": "Hello"}],
        }
        reply = httpx.post(f"{url}/chat/completions", json=body, headers=headers, timeout=60.0)
        details = reply.json()["usage"].get("prompt_tokens_details")
    except (httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError) as error:
        yield "wrong", "vllm answer", f"a one-token request failed ({type(error).__name__})"
        return
    if details is None:
        yield (
            "wrong",
            "vllm cached tokens",
            "not reported: start the server with --enable-prompt-tokens-details",
        )
    else:
        yield "ok", "vllm cached tokens", "reported"


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
