import json
import random
import tomllib
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given as each
from hypothesis import strategies as st
from price_lists import DAY, GENAI, LITELLM, NOW, SHIPPED, entry, genai, litellm, rates, usd

from router.catalog.imports.toml import to_toml
from router.errors import CatalogError

FIELD = st.sampled_from(
    [
        *sorted({field for entry in LITELLM.values() for field in entry}),
        *("id", "match", "prices", "constraint", "price_variants", "when", "range", "windows"),
        *("hours_utc", "weekdays", "input_mtok", "output_mtok", "start_date", "start_time"),
        *("context_window", "base", "tiers", "start", "price", "equals", "or"),
    ]
)


@pytest.mark.parametrize("convert", [litellm, genai])
def test_an_import_is_an_overlay(convert):
    """The rows load over the shipped catalogue, each with the list, its version and its key."""
    found = convert()
    merged = SHIPPED.overlay(found.rows)
    assert {e.name for e in SHIPPED.endpoints} < {e.name for e in merged.endpoints}
    for row in (row for rows in found.rows.values() for row in rows):
        name, _, key = row["source"].partition(": ")
        assert name in {"litellm 1.109.1", "genai-prices 0.2.3"}
        assert key
        assert row["checked"] == DAY
    for name in found.priced:
        assert merged.rates(name, NOW) is not None, name


@pytest.mark.parametrize(("convert", "data"), [(litellm, LITELLM), (genai, GENAI)])
def test_nothing_is_dropped_in_silence(convert, data):
    """Every key became a rate row or has a reason, whose kind is counted."""
    found = convert()
    keys = (
        set(data)
        if convert is litellm
        else {f"{p['id']}/{m['id']}" for p in data for m in p["models"]}
    )
    priced = {row["source"].partition(": ")[2] for row in found.rows["rate"]}
    assert priced | set(found.skipped) == keys
    assert not priced & set(found.skipped)
    assert sum(found.reasons().values()) == len(found.skipped)
    assert not [why for why in found.skipped.values() if why.startswith("unreadable")]


@pytest.mark.parametrize(("convert", "data"), [(litellm, LITELLM), (genai, GENAI)])
def test_the_same_list_gives_the_same_rows(convert, data):
    """Neither the order of keys nor how numbers were read makes a difference."""
    text = json.dumps(data)
    again = json.loads(text, parse_float=Decimal)
    if convert is litellm:
        keys = list(again)
        random.Random(1).shuffle(keys)
        again = {key: again[key] for key in keys}
    assert convert(again) == convert()


@pytest.mark.parametrize("convert", [litellm, genai])
def test_a_second_import_changes_nothing(convert):
    """Over its own result a list has nothing to add."""
    first = convert()
    second = convert(existing=SHIPPED.overlay(first.rows))
    assert second.rows == {}
    assert second.reasons()["unchanged"] >= len(first.priced)


@pytest.mark.parametrize("convert", [litellm, genai])
def test_history_stays(convert):
    """What the catalogue knows of the past is not overwritten by a price of today."""
    merged = SHIPPED.overlay(convert().rows)
    for at in (datetime(2025, 7, 1, 20, tzinfo=UTC), datetime(2026, 11, 20, 2, tzinfo=UTC)):
        for endpoint in SHIPPED.endpoints:
            assert merged.rates(endpoint.name, at) == SHIPPED.rates(endpoint.name, at)


@pytest.mark.parametrize("convert", [litellm, genai])
def test_toml_round_trip(convert):
    """The written file says what the rows say."""
    rows = convert().rows
    text = to_toml(rows, head="two\nlines")
    assert text.startswith("# two\n# lines\n")
    assert tomllib.loads(text) == rows
    assert SHIPPED.overlay(tomllib.loads(text)).version == SHIPPED.overlay(rows).version


def test_known_endpoints_are_repriced_and_not_replaced():
    """A new price goes to the endpoint of that host and id; its row and its model stay."""
    changed = {"deepinfra/deepseek-ai/DeepSeek-V3.2": entry(input_cost_per_token=2.5e-7)}
    found = litellm(changed)
    assert set(found.rows) == {"rate"}
    assert [row["endpoint"] for row in found.rows["rate"]] == ["deepseek-v3.2@deepinfra"]
    merged = SHIPPED.overlay(found.rows)
    assert usd(merged.rates("deepseek-v3.2@deepinfra", NOW).input) == Decimal("0.25")
    before = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)
    assert usd(merged.rates("deepseek-v3.2@deepinfra", before).input) == Decimal("0.26")
    names = [c.name for c in SHIPPED.find("deepseek-v3.2", at=NOW)]
    assert [c.name for c in merged.find("deepseek-v3.2", at=NOW)] == names


def test_equal_prices_keep_the_richer_row():
    """DeepSeek's hours and holidays are not given up for a list that knows fewer of them."""
    for found, key in (
        (litellm(), "deepseek/deepseek-flash"),
        (genai(), "deepseek/deepseek-flash"),
    ):
        assert found.skipped[key] == "unchanged: deepseek-flash@deepseek has these prices"
    holiday = datetime(2026, 10, 1, 2, tzinfo=UTC)
    assert rates(genai(), "deepseek-flash@deepseek", holiday).window == "off-peak"


def test_retired_names_keep_their_past():
    """A list that still prices a retired name does not bring it back."""
    for found in (litellm(), genai()):
        for key in ("deepseek/deepseek-chat", "deepseek/deepseek-v3.2"):
            assert found.skipped[key].startswith("retired: ")
    assert litellm().skipped["vertex_ai/deepseek-ai/deepseek-v3.2-maas"].startswith("retired: ")
    assert litellm().skipped["deepseek/deepseek-v4-flash-vision-exp"].startswith("alias: ")
    old = litellm({"deepinfra/x1": entry(deprecation_date="2026-11-22")})
    assert old.skipped == {"deepinfra/x1": "retired: on 2026-11-22, as the list says"}
    coming = litellm({"deepinfra/x1": entry(deprecation_date="2026-11-23")})
    assert rates(coming, "x1@deepinfra") is not None
    assert rates(coming, "x1@deepinfra", datetime(2026, 11, 23, tzinfo=UTC)) is None


def test_speciale_never_gets_tools():
    """LiteLLM says that Speciale calls functions; it does not, at any host."""
    key = "deepinfra/deepseek-ai/DeepSeek-V3.2-Speciale"
    able = entry(supports_function_calling=True, supports_response_schema=True)
    found = litellm({key: able})
    merged = SHIPPED.overlay(found.rows)
    speciale = merged.candidate("deepseek-v3.2-speciale@deepinfra", at=NOW)
    assert (speciale.tools, speciale.json_mode, speciale.mode) == (False, False, "thinking")
    azure = "azure_ai/deepseek-v3.2-speciale"
    assert LITELLM[azure]["supports_function_calling"] is True
    assert litellm().skipped[azure].startswith("unchanged: ")


def test_new_models_at_hosts_we_can_call():
    """A host of the catalogue serves them; limits and abilities are those of the list."""
    merged = SHIPPED.overlay(litellm().rows)
    found = merged.candidate("deepseek-v3.1@deepinfra", at=NOW)
    stated = LITELLM["deepinfra/deepseek-ai/DeepSeek-V3.1"]
    assert found.model_id == "deepseek-ai/DeepSeek-V3.1"
    assert found.kind == "openai"
    assert found.context_tokens == stated["max_input_tokens"]
    assert found.tools is stated["supports_function_calling"]
    assert merged.candidate("claude-fable-5@deepinfra", at=NOW).mode == "thinking"


def test_priced_and_never_called():
    """Unknown hosts, other protocols and unstated limits give a price, and no candidate."""
    unstated = entry(max_input_tokens=None, max_output_tokens=None)
    merged = SHIPPED.overlay(litellm({**LITELLM, "deepinfra/x-1": unstated}).rows)
    live = {candidate.name for candidate in merged.candidates(at=NOW)}
    assert merged.hosts["tensormesh"].kind == "unsupported"
    for name in ("deepseek-v4-flash@tensormesh", "gpt-5.4-pro@azure", "x-1@deepinfra"):
        assert merged.rates(name, NOW) is not None
        assert name not in live
    found = next(e for e in merged.endpoints if e.name == "x-1@deepinfra")
    assert (found.context_tokens, found.kind) == (1, "unsupported")


def test_names_that_end_alike():
    """Two ids of one host get two names; the same weights share one across hosts."""
    names = {row["model_id"]: row["model"] for row in litellm().rows["endpoint"]}
    assert names["deepseek/deepseek-r1"] == "deepseek-r1"
    assert names["deepseek/deepseek-r1/community"] == "deepseek-deepseek-r1-community"
    data = {f"deepinfra/{org}/New-1": entry() for org in ("b", "a")}
    data["gmi/a/New-1"] = entry(litellm_provider="gmi")
    rows = litellm(data).rows
    assert [f"{e['model']}@{e['host']}" for e in rows["endpoint"]] == [
        "b-new-1@deepinfra",
        "new-1@deepinfra",
        "new-1@gmi",
    ]
    assert [model["name"] for model in rows["model"]] == ["b-new-1", "new-1"]


def test_an_entry_twice():
    """The prefixed key is taken; the other says whether its prices agree."""
    found = litellm()
    assert found.skipped["deepseek-chat"].startswith("twice: the same prices as deepseek/")
    assert found.skipped["bedrock/ap-south-1/deepseek.v3.2"].startswith("unchanged: ")


def test_only_a_part():
    """Substrings choose keys, in any case; the rest is not even looked at."""
    found = litellm(only=["DEEPSEEK-V3.2"])
    assert {*found.skipped} | {*found.priced}
    assert all("deepseek-v3.2" in key.lower() for key in found.skipped)
    assert genai(only=["x-ai"]).priced == ("grok-4-0709@xai",)
    assert litellm(only=["nothing"]).rows == {}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JUNK = st.recursive(SCALARS, lambda x: st.lists(x, max_size=3) | st.dictionaries(FIELD, x))


@each(st.dictionaries(FIELD, st.dictionaries(FIELD, JUNK), max_size=4))
def test_any_json_is_read_or_skipped(junk):
    """An entry of another form is skipped, with a reason; what is imported loads."""
    data = {key: entry(**fields) for key, fields in junk.items()}
    found = litellm(data)
    SHIPPED.overlay(found.rows)
    assert len(found.skipped) + len(found.priced) == len(data)
    prices = {"input_mtok": 1, "output_mtok": 2}
    models = [{"prices": prices, **fields, "id": key} for key, fields in junk.items()]
    SHIPPED.overlay(genai([{"id": "lab", "models": models}]).rows)


@pytest.mark.parametrize(
    ("convert", "data"),
    [(litellm, []), (genai, {}), (genai, [3]), (genai, [{"id": "x", "models": [{"name": "y"}]}])],
)
def test_another_kind_of_file(convert, data):
    """The list of one project is not read as that of the other."""
    with pytest.raises(CatalogError, match="expected"):
        convert(data)
