"""The shipped JSON Schema: equal to the rows' own, and true of what files hold."""

import json
import re
import tomllib
from datetime import date, datetime
from pathlib import Path

import pytest

import router.catalog
from router.catalog.schema import TABLES, json_schema

HERE = Path(router.catalog.__file__).parent
SCHEMA = json.loads((HERE / "catalog.schema.json").read_text("utf-8"))


def test_the_shipped_schema_is_that_of_the_rows():
    """The file says what `python -m router catalog schema` prints."""
    assert json_schema() == SCHEMA


def test_it_describes_what_is_written():
    """Amounts are strings or whole numbers, instants strings, hours texts: the form of a file."""
    rate, schedule = SCHEMA["$defs"]["Rate"], SCHEMA["$defs"]["Schedule"]
    forms = {form.get("type") for form in rate["properties"]["valid_from"]["anyOf"]}
    assert forms == {"string"}
    amount = SCHEMA["$defs"]["Prices"]["properties"]["input"]
    assert [form["type"] for form in amount["anyOf"]] == ["string", "integer"]
    assert schedule["properties"]["hours"]["items"]["type"] == "string"
    assert set(SCHEMA["properties"]) == set(TABLES)
    assert {"endpoint", "source", "checked"} <= set(rate["required"])


def fits(value, schema):
    """Whether a value fits: as much of JSON Schema as ours uses."""
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema:
        return fits(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return any(fits(value, form) for form in schema["anyOf"])
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema:
        return value == schema["const"]
    kind = schema.get("type")
    if kind == "object":
        known, extra = schema.get("properties", {}), schema.get("additionalProperties", True)
        return (
            isinstance(value, dict)
            and set(schema.get("required", ())) <= set(value)
            and all(fits(item, known.get(key, extra)) for key, item in value.items())
        )
    if kind == "array":
        return isinstance(value, list) and all(fits(v, schema.get("items", {})) for v in value)
    if kind == "string":
        return isinstance(value, str) and bool(re.search(schema.get("pattern", ""), value))
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return {"boolean": isinstance(value, bool), "null": value is None}.get(kind, True)


def plain(value):
    """TOML's dates as strings, as JSON has them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, (date, datetime)) else value


@pytest.mark.parametrize("path", sorted((HERE / "data").glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_files_fit(path):
    """Every shipped file is valid by the schema."""
    assert fits(plain(tomllib.loads(path.read_text("utf-8"))), SCHEMA)


@pytest.mark.parametrize(
    "change", [{"input": 0.28}, {"inputs": "1"}, {"valid_from": 20260101}, {"checked": None}]
)
def test_what_we_refuse_does_not_fit(change):
    """A float, an unknown key, an instant that is none: the schema refuses them, too."""
    row = {"endpoint": "m@h", "input": "1", "output": "2", "source": "s", "checked": "2026-11-21"}
    assert fits({"rate": [row]}, SCHEMA)
    assert not fits({"rate": [row | change]}, SCHEMA)
