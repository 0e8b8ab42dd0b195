"""`centroute catalog import`: another project's price list as an overlay of this catalogue."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import sys
from datetime import UTC, datetime, time
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import Any

from router._clock import utcnow
from router._files import replacing
from router.catalog import Catalog
from router.catalog.diff import diff_prices
from router.catalog.imports import Imported, from_genai_prices, from_litellm
from router.catalog.imports.genai_package import read_data_module
from router.catalog.imports.toml import to_toml
from router.cli.catalog_show import add_shared
from router.cli.instants import day
from router.cli.output import Output
from router.errors import ConfigError
from router.money import to_usd

_LISTS: dict[str, tuple[Any, str, str]] = {
    "litellm": (from_litellm, "litellm", "model_prices_and_context_window_backup.json"),
    "genai-prices": (from_genai_prices, "genai_prices", "data.py"),
}
_SHOWN = 40


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "import", help="another project's price list as an overlay: litellm, genai-prices"
    )
    parser.add_argument("list", choices=sorted(_LISTS), help="whose list it is")
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="its JSON file; left out: of the installed package"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="TEXT", help="keys that contain this"
    )
    parser.add_argument("--out", metavar="FILE", help="write the overlay here")
    parser.add_argument("--version", metavar="V", help="the list's version, for `source`")
    parser.add_argument("--checked", type=day, metavar="DATE", help="day of reading (today)")
    parser.add_argument(
        "--since", type=day, metavar="DATE", help="undated prices count from this day (checked)"
    )
    add_shared(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Read the list, write the overlay, say what changed and what was left out.

    1 if there is nothing to write; the file that would be replaced then stays.
    """
    out = Output(as_json=given.json)
    catalog = Catalog.default().overlay(*given.catalog)
    convert, package, data_file = _LISTS[given.list]
    path = Path(given.file) if given.file else _installed(package, data_file)
    text = _read(path)
    version = given.version or (None if given.file else _version(package))
    version = version or f"sha256 {hashlib.sha256(text.encode()).hexdigest()[:12]}"
    checked = given.checked or utcnow().date()
    found: Imported = convert(
        _parse(path, text),
        version=version,
        checked=checked,
        existing=catalog,
        only=given.only,
        since=given.since,
    )
    at = datetime.combine(max(checked, given.since or checked), time(), UTC)
    changes = _changes(catalog, found, at)
    written = given.out if found.priced else None
    if written:
        head = f"{given.list} {version}, read on {checked}; made by `centroute catalog import`."
        with replacing(Path(written)) as file:
            file.write(to_toml(found.rows, head=head))
    _show(out, found, f"{given.list} {version}", changes)
    out.data(
        {
            "list": given.list,
            "version": version,
            "priced": len(found.priced),
            "rows": {table: len(rows) for table, rows in found.rows.items()},
            "rounded": found.rounded,
            "changed": changes,
            "skipped": found.skipped,
            "left_out": found.left_out,
            "written": written,
        }
    )
    if given.out and not written:
        print(f"not written: nothing was priced; {given.out} is as it was", file=sys.stderr)
        return 1
    out.line(f"written: {written}" if written else "not written: name a file with --out")
    return 0


def _show(out: Output, found: Imported, name: str, changes: list[dict[str, Any]]) -> None:
    tables = ", ".join(f"{len(rows)} {table}" for table, rows in found.rows.items()) or "none"
    out.line(f"{name}: {len(found.priced)} endpoints priced; rows: {tables}")
    if found.rounded:
        out.line(f"{found.rounded} prices were finer than a rate can hold, and were rounded")
    if found.left_out:
        out.line(f"{len(found.left_out)} entries have prices beside text tokens, left out")
    reasons = found.reasons()
    out.table("Skipped", ["entries", "reason"], [[n, why] for why, n in reasons.items()])
    title = "Prices that differ from the catalogue's, USD per million tokens"
    if changes:
        columns = ["endpoint", "price", "before", "after", "by %"]
        out.table(title, columns, [list(change.values()) for change in changes[:_SHOWN]])
    else:
        out.line(f"\n{title}: none")
    if len(changes) > _SHOWN:
        out.line(f"... and {len(changes) - _SHOWN} more (--json lists all)")


def _changes(before: Catalog, found: Imported, at: datetime) -> list[dict[str, Any]]:
    """Prices at `at` of endpoints that had one before, and have another now."""
    repriced = {endpoint.name for endpoint in before.endpoints} & {*found.priced}
    return [
        {
            "endpoint": change.name,
            "price": kind,
            "before_usd_per_mtok": _usd(change.before.get(kind)),
            "after_usd_per_mtok": _usd(change.after.get(kind)),
            "percent": None if percent is None else percent.quantize(Decimal("0.1")),
        }
        for change in diff_prices(before, at, before.overlay(found.rows), at)
        if change.name in repriced
        for kind in dict.fromkeys((*change.before, *change.after))
        if change.before.get(kind) != change.after.get(kind)
        for percent in [change.percent(kind)]
    ]


def _usd(pico: int | None) -> Decimal | None:
    return None if pico is None else to_usd(pico).normalize()


def _parse(path: Path, text: str) -> Any:
    try:
        if path.suffix == ".py":
            return read_data_module(text)
        data = json.loads(text, parse_float=Decimal)
    except (ValueError, SyntaxError) as error:
        raise ConfigError(f"{path}: expected a price list in JSON: {error}") from None
    if not isinstance(data, dict | list):
        raise ConfigError(f"{path}: expected a price list, got {type(data).__name__}")
    return data


def _installed(package: str, data_file: str) -> Path:
    """The list inside an installed package, which is found and not imported."""
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder) / data_file).is_file():
            return path
    raise ConfigError(f"expected the FILE of a price list: {package} is not installed here")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package.replace("_", "-"))
    except metadata.PackageNotFoundError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: expected UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
