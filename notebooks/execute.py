"""Runs every notebook from its first cell to its last, each in a kernel and folder of its own.

    python notebooks/execute.py [FILE ...] [--keep DIR] [--own]

Prints for each how long it took, the line that it ends with and the files that it leaves. A cell
that fails ends the run with status 1 and the cell's error. Without FILE each is run twice: as it
is, and with a reader's own data, put where and as its text says (`own_data.py`); --own does only
that. Keys and addresses of hosts are taken
out of the environment: notebooks answer from recordings, and must never spend money.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SECONDS = 120
"""A cell that takes longer fails; a whole notebook should take a quarter of it."""
_PRIVATE = ("_API_KEY", "_BASE_URL", "_ENDPOINT")


@dataclass(frozen=True)
class Ran:
    """What a run of a notebook came to: wall seconds, the last line printed, the files left."""

    name: str
    seconds: float
    last: str
    files: tuple[str, ...]


class NotebookError(Exception):
    """A cell failed; the message has its number, the error and, in the end, the traceback."""


def execute(path: Path, folder: Path, *, own: bool = False) -> Ran:
    """Run a notebook in `folder`, which stays as the notebook leaves it; `own`: with own data.

    Raises:
        NotebookError: a cell failed, took too long, or nothing was printed at all; or its text
            does not say what to put where.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    book: Any = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(prefix="kernel-") as place, ExitStack() as until:
        until.enter_context(_environment(Path(place)))
        if own:
            until.enter_context(_own(path, book, folder))
        laid = {each.name for each in folder.iterdir()}
        started = time.monotonic()
        client = NotebookClient(
            book,
            km=_kernel(Path(place)),
            timeout=SECONDS,
            resources={"metadata": {"path": str(folder)}},
        )
        try:
            client.execute(cleanup_kc=True)
        except (CellExecutionError, CellTimeoutError) as error:
            raise NotebookError(f"{path.name}: {error}") from error
        seconds = time.monotonic() - started
    printed = _printed(book)
    if not printed:
        raise NotebookError(f"{path.name}: expected a last cell that prints a figure, got none")
    files = tuple(sorted({each.name for each in folder.iterdir()} - laid))
    return Ran(path.stem, seconds, printed[-1], files)


@contextmanager
def _own(path: Path, book: Any, folder: Path) -> Iterator[None]:
    """The notebook as its text says for own data, which lies in `folder` and at a host."""
    sys.path.insert(0, str(HERE))
    import own_data

    try:
        if not own_data.replaced(book):
            raise ValueError(f"expected a cell that says {own_data.MARK}")
    except ValueError as error:
        raise NotebookError(f"{path.name}: {error}") from None
    own_data.lay_out(folder)
    with own_data.host() as address:
        os.environ["VLLM_BASE_URL"] = address
        yield


def _kernel(place: Path) -> Any:
    """A kernel of the very interpreter that runs this, whatever kernels the user has installed."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    spec = place / "kernels" / "python3"
    spec.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    found = {"argv": command, "display_name": "Python 3", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(found), encoding="utf-8")
    specs = KernelSpecManager(kernel_dirs=[str(spec.parent)])
    # Sockets are files, not ports: nothing listens where others could connect.
    return AsyncKernelManager(
        kernel_name="python3",
        kernel_spec_manager=specs,
        transport="ipc",
        connection_file=str(place / "kernel.json"),
        ip=str(place / "kernel"),
    )


@contextmanager
def _environment(place: Path) -> Iterator[None]:
    """No keys, no addresses, no ledger of the user's; settings of Jupyter from an empty folder."""
    before = dict(os.environ)
    for name in before:
        if name.endswith(_PRIVATE) or name.startswith(("CENTROUTE_", "OTEL_")):
            del os.environ[name]
    os.environ |= {
        "CENTROUTE_LEDGER": str(place / "ledger.sqlite3"),
        "IPYTHONDIR": str(place / "ipython"),
        "JUPYTER_CONFIG_DIR": str(place / "config"),
        "JUPYTER_RUNTIME_DIR": str(place / "runtime"),
        "PYTHONWARNINGS": "default",
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _printed(book: Any) -> list[str]:
    """All lines that the notebook printed."""
    outputs = (out for cell in book.cells for out in cell.get("outputs", ()))
    texts = [out.text for out in outputs if out.output_type == "stream" and out.name == "stdout"]
    return [line for line in "".join(texts).splitlines() if line.strip()]


def main(arguments: list[str] | None = None) -> int:
    """Run these notebooks, or all; 1 if any fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("paths", nargs="*", type=Path, metavar="FILE", help="by default all here")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep here what each one leaves")
    parser.add_argument("--own", action="store_true", help="only with own data, not as they are")
    given = parser.parse_args(arguments)
    if missing := [str(path) for path in given.paths if not path.is_file()]:
        parser.error(f"no such notebook: {', '.join(missing)}")
    failed = 0
    ways = (True,) if given.own else (False,) if given.paths else (False, True)
    books = given.paths or sorted(HERE.glob("*.ipynb"))
    for path, own in ((path, own) for path in books for own in ways):
        with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
            try:
                ran = execute(path, Path(folder), own=own)
            except NotebookError as error:
                print(error, file=sys.stderr)
                failed += 1
                continue
            if given.keep and not own:
                shutil.copytree(folder, given.keep / ran.name, dirs_exist_ok=True)
        said = ", own data" if own else ""
        print(f"{ran.name}{said} ({ran.seconds:.1f} s): {ran.last}")
        print(f"  leaves {', '.join(ran.files) or 'nothing'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
