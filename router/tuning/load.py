"""Traffic out of a ledger, a file or a table."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from router.errors import ConfigError
from router.ledgers.open import open_store, server_url
from router.tuning.from_ledger import GRADES, from_ledger
from router.tuning.from_table import from_rows, is_set, read_table
from router.tuning.label_set import from_set
from router.tuning.traffic import Traffic

_TABLES = {".jsonl", ".ndjson", ".csv", ".parquet"}


def load(
    source: Any,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    by: str | Sequence[str] = GRADES,
    client: Any = None,
) -> Traffic:
    """Traffic of a ledger (path, postgresql:// URL, ledger or client), a file or a table.

    A file (.jsonl, .csv, .parquet) or table (pandas, polars, Arrow, a list of dicts) is one that
    `Traffic.to_frame` made, or an evaluation set: rows of `prompt` (or `messages`), `model` (or
    `candidate`), `score` from 0 to 1, and `output_tokens` or `cost_usd` where known. A set needs
    the `client` that plans its prompts; nothing is sent.

    Of several grades of an answer the first of `by` counts: "label", then words of your own,
    "feedback", "verifier", "judge". People go before what you said tells right from wrong, and
    that before a model's opinion. `by="judge"` takes judges' grades alone.

    Raises:
        ConfigError: what is wrong, with the number of the row, and what was expected.
    """
    for name, instant in (("since", since), ("until", until)):
        if instant is not None and instant.tzinfo is None:
            raise ConfigError(f"{name}: expected an aware instant, got {instant!r}")
    order = (by,) if isinstance(by, str) else tuple(by)
    if isinstance(source, Traffic):
        return _between(source, since, until)
    core = getattr(source, "_core", None)  # a client's, which is above this package
    ledger = source if core is None else core.ledger
    if hasattr(ledger, "entries"):
        return from_ledger(ledger, since=since, until=until, by=order)
    if isinstance(source, str | Path) and Path(source).suffix.lower() not in _TABLES:
        return _stored(source, since, until, order)
    rows, where = read_table(source)
    if is_set(rows, where):
        if client is None:
            raise ConfigError(
                f"{where}: an evaluation set (prompts and scores) has no quotes: pass the client "
                "that plans its prompts, load(..., client=client); nothing is sent"
            )
        return _between(from_set(rows, client, where), since, until)
    return _between(from_rows(rows, where), since, until)


def _stored(
    source: str | Path, since: datetime | None, until: datetime | None, by: tuple[str, ...]
) -> Traffic:
    if server_url(source) is None and not Path(source).expanduser().is_file():
        raise ConfigError(
            f"source: there is no ledger at {str(source)!r}; expected a ledger, or a table in a "
            f"file that ends in {', '.join(sorted(_TABLES))}"
        )
    with closing(open_store(source)) as ledger:
        return from_ledger(ledger, since=since, until=until, by=by)


def _between(traffic: Traffic, since: datetime | None, until: datetime | None) -> Traffic:
    traffic = traffic if since is None else traffic.since(since)
    return traffic if until is None else traffic.until(until)
