"""The `data.py` of an installed genai-prices -> the form of its `data.json`, read, never run."""

from __future__ import annotations

import ast
import re
from datetime import date, time
from decimal import Decimal
from typing import Any

_RECORDS = re.compile(
    r"Provider|ModelInfo|ModelPrice|ConditionalPrice|TieredPrices|Tier|PriceVariant|ArrayMatch"
    r"|StartDateConstraint|TimeOfDateConstraint|UsageExtractor|UsageExtractorMapping|Clause[A-Z]\w+"
)
_RENAMED = {"or_": "or", "and_": "and"}


def read_data_module(source: str) -> list[dict[str, Any]]:
    """The providers that a module text lists as `providers = [Provider(...), ...]`.

    Literals and the constructors of its records are understood, nothing is executed.

    Raises:
        ValueError: anything else in the list, or no such list.
    """
    for statement in ast.parse(source).body:
        if not isinstance(statement, ast.AnnAssign | ast.Assign) or statement.value is None:
            continue
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        if isinstance(target, ast.Name) and target.id == "providers":
            found = _read(statement.value)
            if isinstance(found, list):
                return found
    raise ValueError("expected a list named providers, as in genai_prices/data.py; got none")


def _read(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [_read(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {_read(key): _read(value) for key, value in pairs if key is not None}
    if isinstance(node, ast.Call):
        return _call(node)
    raise ValueError(f"line {node.lineno}: expected a literal or a record")


def _call(node: ast.Call) -> Any:
    name = ast.unparse(node.func)
    arguments = [_read(argument) for argument in node.args]
    if name == "Decimal" and len(arguments) == 1:
        return Decimal(arguments[0])
    if name == "datetime.date":
        return date(*arguments)
    if name == "datetime.time":
        zones = [ast.unparse(keyword.value) for keyword in node.keywords]
        if zones not in ([], ["datetime.UTC"], ["datetime.timezone.utc"]):
            raise ValueError(f"line {node.lineno}: expected a time in UTC, got {zones}")
        return time(*arguments)
    if _RECORDS.fullmatch(name) and not arguments:
        given = ((keyword.arg or "", _read(keyword.value)) for keyword in node.keywords)
        return {_RENAMED.get(key, key): value for key, value in given if value is not None}
    raise ValueError(f"line {node.lineno}: expected a record, got {name}(...)")
