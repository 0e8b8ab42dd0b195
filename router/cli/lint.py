"""`centroute lint`: what keeps prompts from being read from caches, what it costs, what to do."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from router._clock import utcnow
from router.catalog import Candidate, Catalog
from router.cli.common import add_ledger
from router.cli.instants import instant
from router.cli.lint_read import read
from router.cli.output import Output, add_json
from router.errors import ConfigError, InvalidRequestError, UnknownModelError
from router.money import to_usd
from router.prompts.lint import Sent
from router.prompts.rule import CAUTIOUS, CacheRule
from router.prompts.survey import Loss, Survey, survey
from router.reports.caching import saved_by

MONTH = timedelta(days=30)
_MILLION = 10**6
_MANY, _STEP = 200, 20
"""Requests from which on progress is shown, and how often: some take a tenth of a second."""


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("lint", help="what keeps prompts from hitting caches, and why")
    parser.add_argument("file", nargs="?", help="requests as JSON lines, - for standard input")
    parser.add_argument("--model", metavar="NAME", help="cache rules and prices of this candidate")
    parser.add_argument("--per-month", type=_positive, metavar="N", help="requests a month in all")
    parser.add_argument("--show", action="store_true", help="quote a few tokens of the prompts")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if anything is found")
    parser.add_argument("--skip-bad", action="store_true", help="go on after a line that is bad")
    parser.add_argument("--since", type=instant, metavar="ISO", help="of a ledger: from then on")
    parser.add_argument("--until", type=instant, metavar="ISO", help="of a ledger: before then")
    parser.add_argument("--catalog", action="append", metavar="FILE", help="catalogue overlay")
    add_ledger(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Lint a file of requests, or the rows of a ledger."""
    if bool(given.file) == bool(given.ledger):
        raise ConfigError("expected a file of requests, or --ledger: one of them")
    catalog = Catalog.default()
    if given.catalog:
        catalog = catalog.overlay(*given.catalog)
    out = Output(as_json=given.json)
    if given.ledger:
        from router.cli.lint_ledger import lint_ledger

        found = lint_ledger(given, catalog, out)
    else:
        found = _lint_file(given, Prices(catalog, given.model, utcnow()), out)
    return int(found and given.strict)


class Prices:
    """Cache rules and prices of requests: of one candidate, or of those that they name."""

    def __init__(self, catalog: Catalog, model: str | None, now: datetime) -> None:
        self._catalog, self._now = catalog, now
        self._only = catalog.candidate(model, at=now) if model else None
        self._named = cache(self._find)

    def rule_of(self, sent: Sent) -> CacheRule:
        """How the host of a request caches."""
        candidate = self._only or self._named(sent.model, sent.host)
        return candidate.cache if candidate else CAUTIOUS

    def saves(self, name: str) -> int | None:
        """Pico-dollars a MILLION tokens from the cache save, at "model@host"; None if unknown."""
        model, _, host = name.partition("@")
        candidate = self._only or self._named(model, host)
        if candidate is None:
            return None
        rates = self._catalog.rates(candidate, self._now)
        return None if rates is None else saved_by(rates, writes=candidate.cache.writes)

    def _find(self, model: str, host: str) -> Candidate | None:
        """The one candidate of these names; None where there is none, or several."""
        if not model:
            return None
        try:
            found = self._catalog.find(f"{model}@{host}" if host else model, at=self._now)
        except (UnknownModelError, ConfigError):
            return None
        return found[0] if len(found) == 1 else None


def _lint_file(given: argparse.Namespace, prices: Prices, out: Output) -> bool:
    bad: list[InvalidRequestError] = []
    name = "standard input" if given.file == "-" else given.file
    try:
        source = (
            nullcontext(sys.stdin)
            if given.file == "-"
            else Path(given.file).open(encoding="utf-8-sig")  # noqa: SIM115
        )
        with source as lines:
            asked = read(lines, name, prices.rule_of, bad.append if given.skip_bad else None)
            found = survey(asked, prices.rule_of, show=given.show, on_done=_progress)
    except OSError as error:
        raise ConfigError(f"cannot read {given.file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: expected text in UTF-8") from None
    for line in bad:
        print(f"skipped: {line}", file=sys.stderr)
    if not found.requests:
        raise InvalidRequestError(f"{name}: expected requests, one a line; there is none")
    months = _months(given, found)
    _head(out, found, months)
    rows = [_row(loss, prices, months) for loss in found.losses]
    if rows:
        out.table("Lost", _COLUMNS, [[row[c] for c in _KEYS] for row in rows], right=_COLUMNS[2:6])
    for cause, fix in dict.fromkeys((loss.cause, loss.fix) for loss in found.losses):
        out.line(f"{cause}: {fix}")
    if given.show:
        for loss in found.losses:
            out.line(f"{loss.route}, {loss.cause}: {loss.shown}")
    if any(row["usd"] is None for row in rows):
        out.line("no price is known of some: name a candidate with --model, such as model@host")
    out.data(_data(found, rows, months, len(bad)))
    return bool(found.losses)


_COLUMNS = ("route", "cause", "requests", "from token", "tokens each", "USD a month", "where")
_KEYS = ("route", "cause", "requests", "first_token", "tokens_each", "shown_usd", "place")


def _row(loss: Loss, prices: Prices, months: int | None) -> dict[str, Any]:
    """A loss with what it costs; `months` is how many millionths of a month were looked at."""
    parts = [(tokens, prices.saves(name)) for name, tokens in loss.tokens.items()]
    known = [tokens * saves // _MILLION for tokens, saves in parts if saves is not None]
    pico = sum(known) if len(known) == len(parts) else None
    monthly = None if pico is None or not months else pico * _MILLION // months
    return {
        "route": loss.route,
        "cause": loss.cause,
        "place": loss.place,
        "requests": loss.requests,
        "first_token": loss.first_token,
        "tokens_each": loss.lost_tokens // loss.requests,
        "lost_tokens": loss.lost_tokens,
        "usd": None if pico is None else to_usd(pico),
        "usd_a_month": None if monthly is None else to_usd(monthly),
        "shown_usd": "unknown" if monthly is None else f"{to_usd(monthly):.2f}",
        "fix": loss.fix,
        "shown": loss.shown,
    }


def _progress(done: int, of: int) -> None:
    """A line on standard error that counts up, where somebody may wait and look."""
    if of >= _MANY and (done % _STEP == 0 or done == of) and sys.stderr.isatty():
        end = "\n" if done == of else ""
        print(f"\rlinted {done:,} of {of:,}", end=end, file=sys.stderr, flush=True)


def _months(given: argparse.Namespace, found: Survey) -> int | None:
    """How much of a month the requests are, in millionths; None where nobody can know."""
    if given.per_month:
        return max(1, int(found.requests * _MILLION // given.per_month))
    if found.first is None or found.last is None or found.first == found.last:
        return None
    return max(1, int((found.last - found.first) / MONTH * _MILLION))


def _head(out: Output, found: Survey, months: int | None) -> None:
    out.line(
        f"{found.requests:,} requests of {len(found.routes):,} routes, "
        f"{found.input_tokens:,} input tokens"
    )
    out.line(f"caches could hold, as sent: {_share(found.as_sent_tokens, found.input_tokens)}")
    out.line(
        f"with every fix:             {_share(found.restructured_tokens, found.input_tokens)}"
    )
    if found.reported is not None:
        out.line(f"hosts reported:             {_share(found.reported[1], found.reported[0])}")
    if months is None:
        out.line("without times, say how many requests a month there are: --per-month N")


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / max(1, whole):.1f} %)"


def _data(
    found: Survey, rows: list[dict[str, Any]], months: int | None, bad: int
) -> dict[str, Any]:
    return {
        "requests": found.requests,
        "skipped": bad,
        "routes": dict(found.routes),
        "input_tokens": found.input_tokens,
        "as_sent_tokens": found.as_sent_tokens,
        "restructured_tokens": found.restructured_tokens,
        "reported_input_tokens": found.reported and found.reported[0],
        "reported_cache_read_tokens": found.reported and found.reported[1],
        "first": found.first,
        "last": found.last,
        "millionths_of_a_month": months,
        "losses": [
            {key: value for key, value in row.items() if key != "shown_usd" and value != ""}
            for row in rows
        ],
    }


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a whole number of requests, got {text!r}")
    return int(text)
