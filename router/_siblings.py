"""Refuse to start beside a stranger's `policies` or `classifiers`.

Both are top-level packages of this distribution, and both names are common: a
folder of that name in the user's own project would silently take their place.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

_HOME = Path(__file__).resolve().parent.parent


def check(names: tuple[str, ...] = ("policies", "classifiers")) -> None:
    """Raise ImportError if one of `names` would be imported from somewhere else than beside us."""
    for name in names:
        spec = find_spec(name)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        wanted = _HOME / name / "__init__.py"
        if found != wanted:
            where = found or (list(spec.submodule_search_locations or ()) if spec else "nowhere")
            raise ImportError(
                f"router needs its own {name!r} package beside it ({wanted}), but Python finds "
                f"{where}. Rename your {name!r} package or module, or move it off sys.path.",
                name=name,
            )
