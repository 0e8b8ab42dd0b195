import copy
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import router.catalog
from router.catalog import Catalog
from router.errors import (
    CatalogError,
    RetiredModelError,
    UnknownHostError,
    UnknownModelError,
)
from router.money import to_pico

NOW = datetime(2026, 11, 22, 1, tzinfo=UTC)
OWN = """\
# my own server
[[host]]
name = "lab"
kind = "vllm"
base_url = "http://gpu7:8000/v1"
self_hosted = true

[[model]]
name = "smol-moe"

[[endpoint]]
model = "smol-moe"
host = "lab"
model_id = "org/Smol-MoE"
context_tokens = 4096
max_output_tokens = 1024

[[rate]]
endpoint = "smol-moe@lab"
input = "0.10"
output = "0.20"
source = "own measurement"
checked = 2026-11-21
"""


def names(found):
    return [candidate.name for candidate in found]


@pytest.mark.parametrize(
    "name",
    [
        "deepseek-v3.2@deepinfra",
        "deepinfra/deepseek-v3.2",
        "deepinfra/deepseek-ai/DeepSeek-V3.2",
        "deepseek-ai/DeepSeek-V3.2@deepinfra",
        "DeepSeek-V3.2@DeepInfra",
        "deepseek-v3.2:chat@deepinfra",
    ],
)
def test_ways_to_name_a_candidate(name):
    """One candidate goes by model@host, host/model and the host's id, in any case."""
    assert Catalog.default().candidate(name, at=NOW).name == "deepseek-v3.2@deepinfra"


def test_bare_names_mean_every_host_in_the_default_mode():
    """A model's name stands for its live hosts without thinking; ':thinking' asks for it."""
    catalog = Catalog.default()
    chat = catalog.find("deepseek-v3.2", at=NOW)
    assert {"deepseek-v3.2@deepinfra", "deepseek-v3.2@azure", "deepseek-v3.2@vllm"} <= {
        *names(chat)
    }
    assert {candidate.mode for candidate in chat} == {"chat"}
    assert not {candidate.host for candidate in chat} & {"deepseek", "vertex", "bedrock", "quoted"}
    thinking = catalog.find("deepseek-v3.2:thinking", at=NOW)
    assert {candidate.mode for candidate in thinking} == {"thinking"}
    assert "deepseek-v3.2:thinking@openrouter" in names(thinking)
    assert set(names(catalog.find("deepseek/deepseek-v3.2", at=NOW))) == {
        "deepseek-v3.2@novita",
        "deepseek-v3.2@openrouter",
    }


def test_what_a_candidate_sends():
    """Modes differ in the request, and a profile names model and mode, not the host."""
    catalog = Catalog.default()
    chat = catalog.candidate("deepseek-flash@deepseek", at=NOW)
    thinking = catalog.candidate("deepseek-flash:thinking@deepseek", at=NOW)
    assert chat.request_extra == {"thinking": {"type": "disabled"}}
    assert thinking.request_extra == {"thinking": {"type": "enabled"}}
    assert (chat.profile, thinking.profile) == ("deepseek-flash", "deepseek-flash:thinking")
    assert "temperature" in thinking.ignored_fields - chat.ignored_fields
    assert (chat.provider, chat.api_key_env) == ("deepseek", "DEEPSEEK_API_KEY")
    own = catalog.candidate("deepseek-v3.2:thinking@vllm", at=NOW)
    assert own.request_extra == {"chat_template_kwargs": {"thinking": True}}
    assert own.self_hosted and not own.api_key_required and own.base_url_env == "VLLM_BASE_URL"
    past = catalog.candidate(
        "deepseek-v3.2:thinking@deepseek", at=datetime(2026, 2, 1, tzinfo=UTC)
    )
    assert past.model_id == "deepseek-reasoner" and past.max_output_tokens == 65536
    assert past.refused_fields == {"logprobs", "top_logprobs"}
    assert copy.deepcopy(thinking) == thinking


@pytest.mark.parametrize(
    ("name", "when", "successor"),
    [
        ("deepseek-chat", "2026-07-24T15:59", "deepseek-flash"),
        ("deepseek-reasoner", "2026-07-24T15:59", "deepseek-flash:thinking"),
        ("deepseek/deepseek-chat", "2026-07-24T15:59", "deepseek-flash"),
        ("deepseek-v3.2@deepseek", "2026-04-24T00:00", "deepseek-v3.2@deepinfra"),
        ("deepseek-v3.2-speciale@deepseek", "2025-12-15T15:59", "deepseek-v3.2-speciale@azure"),
        ("deepseek-v3.2@vertex", "2026-10-21T00:00", "deepseek-v3.2@deepinfra"),
        (
            "deepseek/deepseek-v3.2-speciale",
            "2026-05-29T00:00",
            "deepseek-v3.2-speciale@azure",
        ),
    ],
)
def test_retired_names_say_when_and_what_now(name, when, successor):
    """A retired name is an error with its date and a successor that works."""
    catalog = Catalog.default()
    with pytest.raises(RetiredModelError, match=successor) as caught:
        catalog.find(name, at=NOW)
    assert caught.value.retired_at == datetime.fromisoformat(when).replace(tzinfo=UTC)
    assert caught.value.did_you_mean == (successor,)
    assert catalog.find(successor, at=NOW)


def test_alias_history():
    """deepseek-chat meant other weights over time; it was live until its last minute."""
    catalog, last = Catalog.default(), datetime(2026, 7, 24, 15, 58, tzinfo=UTC)
    assert names(catalog.find("deepseek-chat", at=last)) == ["deepseek-chat@deepseek"]
    served = [
        catalog.served("deepseek-chat@deepseek", datetime(*day, tzinfo=UTC))
        for day in [(2024, 1, 1), (2025, 11, 30), (2025, 12, 1), (2026, 4, 24)]
    ]
    assert served == [None, "DeepSeek-V3.2-Exp", "DeepSeek-V3.2", "DeepSeek-V4-Flash"]
    assert names(catalog.find("deepseek-v4-flash", at=NOW)) == ["deepseek-flash@deepseek"]


def test_unknown_names_get_suggestions():
    """A misspelt name is answered with the nearest ones, an unknown host with those known."""
    catalog = Catalog.default()
    with pytest.raises(UnknownModelError, match="did you mean") as caught:
        catalog.find("deepseek-v32", at=NOW)
    assert caught.value.did_you_mean[0] == "deepseek-v3.2"
    with pytest.raises(UnknownModelError) as caught:
        catalog.find("qqqqqqqq", at=NOW)
    assert caught.value.did_you_mean == ()
    with pytest.raises(UnknownHostError, match=r"deepinfra.*got 'nowhere'"):
        catalog.find("deepseek-v3.2@nowhere", at=NOW)
    with pytest.raises(UnknownHostError, match="deepinfra"):
        catalog.candidates(at=NOW, hosts=["nowhere"])
    with pytest.raises(UnknownModelError, match="expected a model"):
        catalog.rates("no-such-model@deepinfra", NOW)


def test_names_that_cannot_be_called():
    """Baselines and hosts without a transport are priced, but asking for them says why not."""
    catalog = Catalog.default()
    with pytest.raises(UnknownModelError, match="only a baseline for savings reports"):
        catalog.find("gpt-5", at=NOW)
    with pytest.raises(UnknownModelError, match="not supported yet") as caught:
        catalog.find("deepseek-v3.2@bedrock", at=NOW)
    assert "deepseek-v3.2@deepinfra" in caught.value.did_you_mean
    with pytest.raises(UnknownModelError, match="add @host"):
        catalog.candidate("deepseek-v3.2", at=NOW)
    with pytest.raises(UnknownModelError, match="fits gpt-5@openai"):
        catalog.rates("gpt-5", NOW)


def test_candidates_by_host():
    """All live candidates, or those of the hosts asked for; recordings only when named."""
    catalog = Catalog.default()
    live = catalog.candidates(at=NOW)
    assert not {candidate.kind for candidate in live} & {"reference", "unsupported", "replay"}
    assert all(c.retires_at is None or c.retires_at > NOW for c in live)
    recorded = catalog.candidates(at=NOW, hosts=["replay"])
    assert {"mixtral-8x7b-instruct-v0.1@replay", "deepseek-v2.5@replay"} <= {*names(recorded)}
    assert {candidate.kind for candidate in recorded} == {"replay"}
    assert [c.name for c in recorded if c.self_hosted] == ["mixtral-8x7b-instruct-v0.1@replay"]
    assert names(catalog.find("deepseek-v2.5", at=NOW)) == ["deepseek-v2.5@replay"]


def test_speciale_never_has_tools():
    """Speciale offers neither tools nor JSON mode, and no overlay can say it does."""
    catalog = Catalog.default()
    found = catalog.find("deepseek-v3.2-speciale", at=NOW)
    assert {"deepseek-v3.2-speciale@azure", "deepseek-v3.2-speciale@vllm"} == {*names(found)}
    assert not any(candidate.tools or candidate.json_mode for candidate in found)
    assert {candidate.mode for candidate in found} == {"thinking"}
    assert {candidate.profile for candidate in found} == {"deepseek-v3.2-speciale"}
    model = {"name": "deepseek-v3.2-speciale", "modes": ["thinking"], "tools": True}
    with pytest.raises(CatalogError, match="tools = false"):
        catalog.overlay({"model": [model]})
    renamed = {
        "model": "deepseek-v3.2",
        "host": "vllm",
        "model_id": "deepseek-ai/DeepSeek-V3.2-Speciale",
        "context_tokens": 163840,
        "max_output_tokens": 65536,
        "tools": True,
    }
    with pytest.raises(CatalogError, match="Speciale has neither"):
        catalog.overlay({"endpoint": [renamed]})


def test_renamed_speciale_without_a_word_on_tools_has_none():
    """Speciale's weights under another model's name do not inherit that model's tools."""
    catalog = Catalog.default().overlay(
        {
            "model": [{"name": "hard-cases", "modes": ["thinking"], "tools": True}],
            "endpoint": [
                {
                    "model": "hard-cases",
                    "host": "vllm",
                    "model_id": "deepseek-ai/DeepSeek-V3.2-Speciale",
                    "context_tokens": 163840,
                    "max_output_tokens": 65536,
                }
            ],
        }
    )
    assert not catalog.candidate("hard-cases@vllm", at=NOW).tools


def test_overlay_from_toml_and_python(tmp_path):
    """A file and a mapping add and replace rows; the catalogue below stays as it was."""
    path = tmp_path / "own.toml"
    path.write_text(OWN, encoding="utf-8")
    base = Catalog.default()
    moved = {"name": "deepinfra", "base_url": "https://proxy.example/v1", "api_key_env": "K"}
    catalog = base.overlay(path, {"host": [moved]})
    own = catalog.candidate("org/Smol-MoE", at=NOW)
    assert (own.name, own.kind, own.self_hosted) == ("smol-moe@lab", "vllm", True)
    assert not own.api_key_required
    assert catalog.rates(own, NOW).output == to_pico("0.20")
    assert catalog.candidate("deepseek-v3.2@deepinfra", at=NOW).base_url == moved["base_url"]
    assert base.candidate("deepseek-v3.2@deepinfra", at=NOW).base_url != moved["base_url"]
    assert "smol-moe" not in base.models and "smol-moe" in catalog.models
    assert names(Catalog.load(path).candidates(at=NOW)) == ["smol-moe@lab"]


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ('output = "0.20"', "output = 0.20", 21, "write rates as strings"),
        ('output = "0.20"', 'output = "-1"', 21, "zero or more"),
        ("max_output_tokens = 1024", "max_output_tokens = 5000", 11, "at most context_tokens"),
        ("max_output_tokens = 1024", "max_output_tokens = 0", 16, "greater than 0"),
        ('kind = "vllm"', 'kind = "grpc"', 4, "'openai', 'vllm'"),
        ('kind = "vllm"', 'knd = "vllm"', 4, "unknown key; expected one of"),
        ('model_id = "org/Smol-MoE"\n', "", 11, "expected this key, it is not there"),
        ('host = "lab"', 'host = "cellar"', 11, r"name of a \[\[host\]\] row"),
        ('name = "lab"', "name = lab", 3, "expected TOML"),
        ("[[model]]", "[[models]]", 8, r"expected one of \[\[host\]\]"),
        ("[[model]]", "[model]", 8, r"written \[\[model\]\]"),
        ('endpoint = "smol-moe@lab"', 'endpoint = "smol-moe"', 19, "pattern"),
        ("checked = 2026-11-21", "checked = 2026-11-21\nvalid_from = 2026-01-01T00:00:00", 24,
         "offset"),
    ],
)  # fmt: skip
def test_bad_toml_says_where(tmp_path, old, new, line, expected):
    """A mistake in a file is reported with the file, the line and what was expected."""
    assert old in OWN
    path = tmp_path / "own.toml"
    path.write_text(OWN.replace(old, new), encoding="utf-8")
    with pytest.raises(CatalogError, match=expected) as caught:
        Catalog.load(path)
    assert (caught.value.file, caught.value.line) == (str(path), line)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_unreadable_files_are_catalog_errors(tmp_path):
    """A missing file and bytes that are no text are typed errors that name the file."""
    with pytest.raises(CatalogError, match="readable TOML file"):
        Catalog.load(tmp_path / "none.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes(b'[[model]]\nname = "\xe9"\n')
    with pytest.raises(CatalogError, match="UTF-8"):
        Catalog.load(path)
    with pytest.raises(CatalogError, match="path of a TOML file or a mapping, got 3"):
        Catalog.load(3)
    with pytest.raises(CatalogError, match="list of tables"):
        Catalog.load({"model": {"name": "m"}})
    with pytest.raises(CatalogError, match="number 1"):
        Catalog.load({"model": ["m"]})


def test_one_name_once(tmp_path):
    """Two rows of one name in one catalogue are refused, pointing at the second."""
    path = tmp_path / "own.toml"
    path.write_text(OWN + '\n[[model]]\nname = "smol-moe"\n', encoding="utf-8")
    with pytest.raises(CatalogError, match=r"duplicate, first at .*:8") as caught:
        Catalog.load(path)
    assert caught.value.line == 25


def test_shipped_rows_have_source_and_date():
    """Every shipped row says where it comes from and when it was checked."""
    catalog = Catalog.default()
    rows = [*catalog.models.values(), *catalog.hosts.values(), *catalog.endpoints]
    rows += [entry.row for entry in catalog._entries]
    assert len(rows) > 150
    for row in rows:
        assert row.source and row.checked == date(2026, 11, 21), row


def test_every_live_candidate_is_priced_or_says_why_not():
    """A live candidate has rates now, or its row says that they are unknown; never zero."""
    catalog = Catalog.default()
    unknown = {endpoint.name for endpoint in catalog.endpoints if endpoint.unpriced}
    live = (*catalog.candidates(at=NOW), *catalog.candidates(at=NOW, hosts=["replay"]))
    assert len(live) > 25
    for candidate in live:
        rates = catalog.rates(candidate, NOW)
        assert (rates is None) == (candidate.endpoint in unknown), candidate.name
        assert rates is None or min(rates.input, rates.output) > 0


def test_shipped_names_are_unique_and_wire_ready():
    """Names are unique and found again; a called host has an address or a variable for it."""
    catalog = Catalog.default()
    live = catalog.candidates(at=NOW)
    assert len(set(names(live))) == len(live)
    for candidate in live:
        assert catalog.candidate(candidate.name, at=NOW) is candidate
        assert candidate.base_url or candidate.base_url_env
        assert candidate.self_hosted or candidate.api_key_required


def test_self_hosted_mixtral_follows_its_formulas():
    """Amortised: GPUs x rent / throughput / use. Marginal (the recording): their electricity."""
    tokens_per_second = 2346.7 * (512 + 256) / 256
    amortised = 2 * 3.67 / 3600 / tokens_per_second / 0.45 * 1e6
    marginal = 2 * 0.4 * 1.5 * 0.14 / 3600 / tokens_per_second * 1e6
    for host, usd in (("vllm", f"{amortised:.4f}"), ("replay", f"{marginal:.6f}")):
        rates = Catalog.default().rates(f"mixtral-8x7b-instruct-v0.1@{host}", NOW)
        assert rates.input == rates.output == to_pico(usd)


def test_describe_lists_everything_with_a_reason():
    """The listing has one row per candidate; where there is no price it says why."""
    catalog = Catalog.default()
    lines = {line.candidate.name: line for line in catalog.describe(NOW)}
    assert lines["deepseek-v3.2@deepinfra"].rates.input == to_pico("0.26")
    assert lines["deepseek-chat@deepseek"].note == "retired, use deepseek-flash"
    assert lines["gpt-5@openai"].note == "baseline only"
    assert lines["deepseek-v3.2@bedrock"].note == "cannot be called yet"
    assert "overlay" in lines["deepseek-v3.2@vllm"].note
    assert all(line.source and line.checked for line in lines.values())
    assert all(line.rates or line.note for line in lines.values())


def test_importing_the_catalogue_loads_no_pydantic():
    """The rows' validation is loaded with the first catalogue, not with the package."""
    code = "import sys, router.catalog; sys.exit('pydantic' in sys.modules)"
    root = Path(router.catalog.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
