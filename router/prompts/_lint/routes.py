"""Which requests belong together: those of one application, by their tools and system prompt."""

from __future__ import annotations

import re
from dataclasses import dataclass

from router.prompts._lint.view import View
from router.prompts._lint.volatile import masked

_SIMILAR = 0.5
_READ = 8000
"""Characters of a system prompt by which an application is known."""


@dataclass(slots=True)
class _Route:
    name: str
    words: frozenset[str]


class Routes:
    """Routes found so far; a request belongs to the one it is most like, or makes its own."""

    def __init__(self) -> None:
        self._routes: list[_Route] = []

    def of(self, view: View) -> str:
        """The route of a request."""
        words = _words(view)
        best = max(self._routes, key=lambda route: _alike(route.words, words), default=None)
        if best is None or _alike(best.words, words) < _SIMILAR:
            best = _Route(f"route {len(self._routes) + 1}", words)
            self._routes.append(best)
        best.words = words  # applications change little by little
        return best.name


def _words(view: View) -> frozenset[str]:
    """What a head says: three words at a time, without what changes by its nature, and the names
    of its tools.
    """
    text = " ".join(line.text for line in view.lines[: view.head])[:_READ]
    names = (tool.get("function", tool).get("name") for tool in view.sent.tools)
    words = re.findall(r"\w+", masked(text).lower())
    threes = (" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2)) if words)
    return frozenset((*threes, *(f"tool:{name}" for name in names)))


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one or other else 1.0
