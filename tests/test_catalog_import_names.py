import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from price_lists import GENAI, LITELLM, NOW, SHIPPED, entry, genai, litellm

from router.errors import RetiredModelError, RouterError, UnknownModelError

# LiteLLM's providers that are hosts of ours under the same name; the last two cannot be called.
PROVIDERS = ("deepseek", "deepinfra", "novita", "openrouter", "gmi", "inferenceapis", "vertex_ai")


def spoken(catalog):
    """Every model, alias and id on the wire, alone, with a mode and behind a host."""
    names = set()
    for endpoint in catalog.endpoints:
        model = catalog.models[endpoint.model]
        ids = {option.model_id for option in endpoint.options.values() if option.model_id}
        called = {model.name, *model.aliases, endpoint.model_id, *endpoint.aliases, *ids}
        names |= called
        names |= {f"{name}:{mode}" for name in called for mode in ("chat", "thinking")}
        names |= {f"{name}@{endpoint.host}" for name in called}
        names |= {f"{endpoint.host}/{name}" for name in called}
    return sorted(names)


SPOKEN = spoken(SHIPPED)
IDS = sorted({name.partition("@")[0].removesuffix(":chat") for name in SPOKEN})


def meant(catalog, name):
    try:
        return {candidate.name for candidate in catalog.find(name, at=NOW)}
    except RouterError as error:
        return error


BEFORE = {name: meant(SHIPPED, name) for name in SPOKEN}
FOUND = [name for name in SPOKEN if isinstance(BEFORE[name], set | RetiredModelError)]


def is_kept(name, after):
    """A name still means what it meant, perhaps more; or it fails in the same way.

    Recordings answer to a bare name only where nothing else does.
    """
    before = BEFORE[name]
    if isinstance(after, set):
        called = before if isinstance(before, set) else set()
        return {each for each in called if not each.endswith("@replay")} <= after
    if isinstance(before, RetiredModelError):
        same = (before.retired_at, before.successor) == (after.retired_at, after.successor)
        return same and str(after).startswith(str(before))
    return type(after) is type(before)


def assert_kept(catalog, names=SPOKEN):
    now = {name: meant(catalog, name) for name in names}
    assert not {name: (BEFORE[name], now[name]) for name in names if not is_kept(name, now[name])}


@pytest.mark.parametrize("convert", [litellm, genai])
def test_an_import_takes_nothing_from_a_name(convert):
    """After an import each name of the catalogue means what it meant, and at more hosts."""
    assert_kept(SHIPPED.overlay(convert().rows))


def test_one_import_over_another_takes_nothing_either():
    """Both lists, one over the other."""
    first = SHIPPED.overlay(litellm().rows)
    assert_kept(first.overlay(genai(GENAI, existing=first).rows))


def test_every_name_offered_everywhere():
    """A list may call anything by any name, at hosts that can be called and others."""
    offers = {
        f"{provider}/{name}": entry(litellm_provider=provider)
        for provider in PROVIDERS
        for name in IDS
    }
    assert_kept(SHIPPED.overlay(litellm(offers).rows))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PROVIDERS), st.sampled_from(IDS)), max_size=12))
def test_any_offers_under_known_names(offers):
    """The same for any few offers, and for names that are found or have retired."""
    found = litellm({f"{p}/{n}": entry(litellm_provider=p) for p, n in offers})
    assert_kept(SHIPPED.overlay(found.rows), FOUND)


def test_an_alias_here_is_a_host_s_own_name_there():
    """What one host calls a model in its own words does not hide that it is an alias elsewhere."""
    offers = {
        "azure_ai/deepseek-v4.1-flash": entry(litellm_provider="azure_ai"),
        "novita/deepseek/deepseek-v4-flash": entry(litellm_provider="novita"),
        "novita/deepseek/deepseek-v4-pro": entry(litellm_provider="novita"),
    }
    catalog = SHIPPED.overlay(litellm(offers).rows)
    assert meant(catalog, "deepseek-v4.1-flash") == {
        "deepseek-flash@azure",
        "deepseek-flash@deepinfra",
        "deepseek-flash@deepseek",
    }
    assert meant(catalog, "deepseek-v4-flash") == {
        "deepseek-flash@deepseek",
        "deepseek-v4-flash@novita",
    }
    # The host "deepseek", and what another host writes before its models' names.
    assert meant(catalog, "deepseek/deepseek-v4-pro") == {
        "deepseek-v4-pro@deepseek",
        "deepseek-v4-pro@novita",
    }
    assert meant(catalog, "deepseek-v4-pro@deepseek") == {"deepseek-v4-pro@deepseek"}
    # The price of a host's model is asked for by the model's name, as before.
    assert catalog.rates("deepseek/deepseek-v4-pro", NOW) == SHIPPED.rates(
        "deepseek-v4-pro@deepseek", NOW
    )
    with pytest.raises(UnknownModelError, match="expected one endpoint"):
        catalog.rates("deepseek-v4.1-flash", NOW)


def test_one_host_takes_a_name_for_one_thing():
    """An offer under a model's alias, at a host that has the model, is another name of it."""
    found = litellm({"deepseek/deepseek-v4.1-flash": entry(litellm_provider="deepseek")})
    assert found.rows == {}
    why = found.skipped["deepseek/deepseek-v4.1-flash"]
    assert why == "alias: another name of deepseek-flash@deepseek"


def test_a_retired_name_stays_retired_where_hosts_cannot_be_called():
    """The error says since when and what to use, and which hosts still have the name."""
    providers = ("inferenceapis", "streamlake", "kyma", "sail", "prism", "tencent")
    offers = {f"{p}/deepseek-chat": entry(litellm_provider=p) for p in providers}
    few = SHIPPED.overlay(litellm(dict(list(offers.items())[:1])).rows)
    with pytest.raises(RetiredModelError, match="2026-07-24T15:59Z; use deepseek-flash") as caught:
        few.find("deepseek-chat", at=NOW)
    assert caught.value.successor == "deepseek-flash"
    assert str(caught.value).endswith("(hosts not supported yet still have it: inferenceapis)")
    many = SHIPPED.overlay(litellm(offers).rows)
    with pytest.raises(RetiredModelError, match="sail and 2 more") as caught:
        many.find("deepseek-chat", at=NOW)
    assert len(str(caught.value)) < 200


def test_names_that_only_such_hosts_have():
    """Each is named once, and of many only a few."""
    offers = {f"{p}/new-1": entry(litellm_provider=p) for p in ("a1", "b1", "c1", "d1", "e1")}
    catalog = SHIPPED.overlay(litellm({**LITELLM, **offers}).rows)
    with pytest.raises(UnknownModelError, match="not supported yet") as caught:
        catalog.find("new-1", at=NOW)
    assert "(new-1@a1, new-1@b1, new-1@c1, new-1@d1 and 1 more)" in str(caught.value)
