"""How two lists of tools differ, or two response formats."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from router.prompts import causes
from router.prompts._lint.repair import Repair
from router.prompts._lint.texts import difference
from router.prompts._lint.view import View
from router.prompts._lint.volatile import kind_of_change

_SIMILAR = 0.5
"""The share of tools that two requests have in common if they are of one application."""


def tools_repair(p: View, c: View, *, continues: bool) -> Repair | None:
    """Why the later request's tools are others; None where it is another application's."""
    old, new = list(p.sent.tools), list(c.sent.tools)
    first = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if _raw(a) != _raw(b)),
                 min(len(old), len(new)))  # fmt: skip
    place = f"tools[{first}]" if first < len(new) else "tools"
    before = replace(p.sent, tools=c.sent.tools)
    here, there = {_name(t): t for t in old}, {_name(t): t for t in new}
    added = [name for name in there if name not in here]
    gone = [name for name in here if name not in there]
    if added or gone:
        common = len(here.keys() & there.keys())
        if not continues and common < _SIMILAR * max(len(here), len(there)):
            return None
        new_text = "\n".join(_raw(there[name]) for name in added)
        cause = causes.TOOL_ADDED if added else causes.TOOL_REMOVED
        kept = [[n for n in side if n in here and n in there] for side in (here, there)]
        also = (causes.TOOL_ORDER,) if kept[0] != kept[1] else ()
        return Repair(cause, place, before, new_text, also)
    in_place = first < min(len(old), len(new)) and _name(old[first]) == _name(new[first])
    if in_place and len(here) == len(old):
        as_new = tuple(there[_name(tool)] for tool in old)
        return _same_names(here, there, Repair("", place, replace(p.sent, tools=as_new)))
    if [_name(t) for t in old] != [_name(t) for t in new] and len(here) == len(old):
        sorted_as_new = tuple(here[_name(tool)] for tool in new if _name(tool) in here)
        return Repair(causes.TOOL_ORDER, place, replace(p.sent, tools=sorted_as_new))
    return _same_names(here, there, Repair("", place, before))


def format_repair(p: View, c: View) -> Repair:
    """Why the later request's response format reads otherwise."""
    old, new = p.sent.response_format, c.sent.response_format
    before = replace(p.sent, response_format=new)
    found = Repair(causes.FORMAT, "response_format", before, _raw(new or {}))
    if old and new and _sorted(old) == _sorted(new):
        return replace(found, cause=_order(old, new), new="")
    return found


def _same_names(here: Mapping[str, Any], there: Mapping[str, Any], found: Repair) -> Repair:
    """The cause of schemas that differ under the same names; the first that does counts."""
    unlike = [name for name in there if _raw(here[name]) != _raw(there[name])]
    changed = [name for name in unlike if _sorted(here[name]) != _sorted(there[name])]
    if not changed:
        return replace(found, cause=_order(here[unlike[0]], there[unlike[0]]) if unlike else "")
    old = "\n".join(_raw(here[name]) for name in unlike)
    new = "\n".join(_raw(there[name]) for name in unlike)
    spans = difference(old, new)
    kinds = {kind_of_change(change.before, change.after) for change in spans.changes}
    cause = kinds.pop() if len(kinds) == 1 else causes.TOOL_CHANGED
    return replace(found, cause=cause or causes.TOOL_CHANGED, new=spans.new)


def _order(old: Any, new: Any) -> str:
    """Which keys of a schema changed places: those of `properties`, or others."""
    return causes.PROPERTY_ORDER if _keys_fixed(old) != _keys_fixed(new) else causes.TOOL_KEYS


def _keys_fixed(value: Any, *, named: bool = False) -> str:
    """JSON with sorted keys, but for those of `properties`."""
    if isinstance(value, Mapping):
        keys = list(value) if named else sorted(value, key=str)
        inner = (f"{key}:{_keys_fixed(value[key], named=key == 'properties')}" for key in keys)
        return "{" + ",".join(inner) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_keys_fixed(one) for one in value) + "]"
    return json.dumps(value, default=str)


def _sorted(value: Any) -> str:
    """JSON in which no order counts that a schema gives no meaning to."""
    return json.dumps(_plain(value), sort_keys=True, default=str)


def _plain(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(one, name) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        inner = [_plain(one) for one in value]
        return sorted(inner, key=str) if key == "required" else inner
    return value


def _raw(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _name(tool: Mapping[str, Any]) -> str:
    function = tool.get("function")
    name = function.get("name") if isinstance(function, Mapping) else tool.get("name")
    return name if isinstance(name, str) else _raw(tool)
