"""A bar while something takes its time: in a terminal, in Jupyter, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

T = TypeVar("T")
_UPDATES = 50
"""A notebook is told of so many steps, whatever their number."""


def track(items: Iterable[T], what: str, total: int | None = None) -> Generator[T]:
    """The items, with a bar while they are taken; without one where nobody looks.

    A terminal's bar needs rich (`pip install 'centroute[cli]'`); without it there is none.
    """
    if total is None:
        with suppress(TypeError):
            total = len(items)  # type: ignore[arg-type]
    if _in_notebook():
        yield from _in_cell(items, what, total)
    elif sys.stderr.isatty() and find_spec("rich") is not None:
        from rich.console import Console
        from rich.progress import track as bar

        console = Console(stderr=True)
        yield from bar(items, what, total=total, console=console, transient=True)
    else:
        yield from items


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    found = None if shell is None else shell.get_ipython()
    return found is not None and "IPKernelApp" in getattr(found, "config", {})


def _in_cell(items: Iterable[T], what: str, total: int | None) -> Iterator[T]:
    # Not rich's: in Jupyter it warns where ipywidgets is missing.
    display: Any = import_module("IPython.display")
    shown = display.display(display.HTML(_bar(what, 0, total)), display_id=True)
    step = max(1, (total or 0) // _UPDATES)
    try:
        for done, item in enumerate(items, start=1):
            yield item
            if done % step == 0:
                shown.update(display.HTML(_bar(what, done, total)))
    finally:  # also where they are left before their end
        shown.update(display.HTML(""))


def _bar(what: str, done: int, total: int | None) -> str:
    if total is None:
        return f"{what}: {done:,}"
    return (
        f'{what} <progress value="{done}" max="{max(1, total)}"></progress> {done:,} of {total:,}'
    )
