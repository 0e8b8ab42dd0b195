"""Traffic out of a ledger, a file or a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from router.errors import ConfigError, InvalidRequestError
from router.ledgers.ledger import Ledger
from router.ledgers.open import open_store, server_url
from router.tuning.from_ledger import GRADES, from_ledger
from router.tuning.from_table import Table, from_rows, is_set, read_table, with_tags
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
    tags: str | Sequence[str] = (),
    ignore: str | Sequence[str] = (),
    progress: bool = True,
) -> Traffic:
    """Traffic of a ledger (path, postgresql:// URL, ledger or client), a file or a table.

    A file (.jsonl, .csv, .parquet) or table (pandas, polars, Arrow, a list of dicts) is one that
    `Traffic.to_frame` made, or an evaluation set: rows of `prompt` (or `messages`), `model` (or
    `candidate`), `score` from 0 to 1, and `output_tokens` or `cost_usd` where known. A set needs
    the `client` that plans its prompts, some milliseconds each; nothing is sent. Further columns
    of a table are named: `tags` become tags of its requests, `ignore` are left out. pandas'
    `to_json` rounds what it writes and turns instants into numbers: write Parquet or CSV.

    `since` and `until` are about when a request began. With `since`, a ledger's lines of the two
    days before are read, too, so that no request is cut in two.

    Of several grades of an answer the first of `by` counts: "label", then words of your own,
    "feedback", "verifier", "judge". People go before what you said tells right from wrong, and
    that before a model's opinion. `by="judge"` takes judges' grades alone.

    Raises:
        ConfigError: what is wrong, with the number of the row (from 1), and what was expected.
        UnknownModelError: a ConfigError, too: the row whose model the catalogue does not have.
    """
    for name, instant in (("since", since), ("until", until)):
        if instant is not None and instant.tzinfo is None:
            raise ConfigError(f"{name}: expected an aware instant, got {instant!r}")
    order = (by,) if isinstance(by, str) else tuple(by)
    if isinstance(source, Traffic):
        return _between(source, since, until)
    columns = _names(tags), _names(ignore)
    if _is_ledger(source):
        if any(columns):
            raise ConfigError("tags, ignore: they name columns of a table, and this is a ledger")
        with ledger_of(source) as ledger:
            return from_ledger(ledger, since=since, until=until, by=order)
    rows, where, found = _table(source)
    if any(columns):
        rows, where, found = with_tags((rows, where, found), *columns)
    if is_set(rows, where, found):
        if client is None:
            raise ConfigError(
                f"{where}: an evaluation set (prompts and scores) has no quotes: pass the client "
                "that plans its prompts, load(..., client=client); nothing is sent"
            )
        return _between(from_set(rows, client, where, progress=progress), since, until)
    return _between(from_rows(rows, where), since, until)


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _table(source: Any) -> Table:
    try:
        return read_table(source)
    except InvalidRequestError as error:  # of a request's argument, for frames are read elsewhere
        raise ConfigError(
            f"source: expected a path, a postgresql:// URL, a ledger, a client or a table; {error}"
        ) from None


def _is_ledger(source: object) -> bool:
    if isinstance(source, str | Path):
        return Path(source).suffix.lower() not in _TABLES
    # Frames have their columns as attributes, whatever those are called.
    return hasattr(source, "_core") or callable(getattr(source, "entries", None))


@contextmanager
def ledger_of(source: Any) -> Iterator[Ledger]:
    """The ledger that a path, a postgresql:// URL or a client names, or the ledger itself.

    Raises:
        ConfigError: it is none of them, or there is no such file.
    """
    if not isinstance(source, str | Path):
        core = getattr(source, "_core", None)  # a client's, which is above this package
        ledger = source if core is None else core.ledger
        if not callable(getattr(ledger, "entries", None)):
            raise ConfigError(
                "ledger: expected a path, a postgresql:// URL, a ledger or a client, got "
                f"{type(source).__name__}"
            )
        yield ledger
        return
    if server_url(source) is None and not Path(source).expanduser().is_file():
        raise ConfigError(
            f"source: there is no ledger at {str(source)!r}; expected a ledger, or a table in a "
            f"file that ends in {', '.join(sorted(_TABLES))}"
        )
    with closing(open_store(source)) as ledger:
        yield ledger


def _between(traffic: Traffic, since: datetime | None, until: datetime | None) -> Traffic:
    traffic = traffic if since is None else traffic.since(since)
    return traffic if until is None else traffic.until(until)
