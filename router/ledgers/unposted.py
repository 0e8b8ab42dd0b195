"""What a store has not taken yet, calls and grades, as files: left by a process that must end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from router.budgets.holds import Hold
from router.errors import LedgerError
from router.ledgers.entries import Grade, Record, Reservation, Settlement
from router.types import Cost, Usage


@dataclass(frozen=True, slots=True)
class Unposted:
    """A call, and how it ended: None while it has not."""

    reservation: Reservation
    settlement: Settlement | None


def write_unposted(stem: str, lines: Iterable[Unposted | Grade]) -> Path:
    """Write them to a new file beside a ledger, a JSON line each; nobody has read or changed it.

    Raises:
        OSError: the directory cannot be written.
    """
    path = Path(f"{stem}.unposted-{os.getpid()}-{os.urandom(4).hex()}.jsonl")
    hidden = path.with_suffix(".part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(hidden, flags, 0o600), "w", encoding="utf-8") as file:
        for line in lines:
            row = {"grade": asdict(line)} if isinstance(line, Grade) else asdict(line)
            file.write(json.dumps(row, default=_plain) + "\n")
        file.flush()
        os.fsync(file.fileno())
    hidden.rename(path)  # a reader finds all of it, or nothing
    return path


def beside(ledger: object) -> str:
    """The path of the ledger's file, beside which calls are left; "" for one that has none."""
    store = getattr(ledger, "store", ledger)
    path = str(getattr(store, "path", ""))  # a server's ledger has a place instead
    return "" if path in {"", ":memory:"} else str(Path(path).expanduser())


def find_unposted(stem: str) -> list[Path]:
    """The files that processes left beside a ledger."""
    directory, name = os.path.split(stem)
    return sorted(
        path
        for path in Path(directory or ".").glob("*.jsonl")
        if path.name.startswith(f"{name}.unposted-")
    )


def read_unposted(path: Path) -> Iterator[Unposted | Grade]:
    """The calls and grades of such a file.

    Raises:
        LedgerError: it cannot be read, or a line is neither; the file is left as it is.
    """
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if "grade" in row:
                yield _grade(row["grade"])
                continue
            settlement = row["settlement"]
            yield Unposted(
                _reservation(row["reservation"]),
                None if settlement is None else _settlement(settlement),
            )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise LedgerError(
            f"{path}: its lines cannot be read ({error}); they are not in the ledger. Repair the "
            "file or move it away"
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"no JSON for {type(value).__name__}")


def _grade(row: dict[str, Any]) -> Grade:
    return Grade(**{**row, "at": datetime.fromisoformat(row["at"])})


def _reservation(row: dict[str, Any]) -> Reservation:
    return Reservation(
        **{
            **row,
            "at": datetime.fromisoformat(row["at"]),
            "lease_until": datetime.fromisoformat(row["lease_until"]),
            "holds": tuple(_hold(hold) for hold in row["holds"]),
            "record": Record(**row["record"]),
        }
    )


def _hold(row: dict[str, Any]) -> Hold:
    instants = {
        name: row[name] and datetime.fromisoformat(row[name])
        for name in ("window_start", "resets_at", "since")
    }
    return Hold(**{**row, **instants, "warn": tuple(row["warn"])})


def _settlement(row: dict[str, Any]) -> Settlement:
    return Settlement(
        **{
            **row,
            "at": datetime.fromisoformat(row["at"]),
            "usage": Usage(**row["usage"]),
            "cost": Cost(**row["cost"]),
        }
    )
