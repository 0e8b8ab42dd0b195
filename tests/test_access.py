"""Which hosts are configured, from arguments and the environment; and what is never shown."""

import pytest

from router.catalog import Catalog
from router.errors import ConfigError, MissingKeyError
from router.transports.access import Access

HOSTS = Catalog.default().hosts


@pytest.mark.parametrize(
    ("host", "access", "url", "key"),
    [
        ("deepseek", Access(keys={"deepseek": "a"}), "https://api.deepseek.com", "a"),
        (
            "deepseek",
            Access(environ={"DEEPSEEK_API_KEY": "b"}),
            "https://api.deepseek.com",
            "b",
        ),
        (
            "deepseek",
            Access(environ={"DEEPSEEK_API_KEY": "b"}, keys={"deepseek": "a"}),
            "https://api.deepseek.com",
            "a",
        ),
        (
            "deepseek",
            Access(keys={"deepseek": " a\n"}, base_urls={"deepseek": "http://proxy/v1//"}),
            "http://proxy/v1",
            "a",
        ),
        (
            "vllm",
            Access(environ={"VLLM_BASE_URL": "http://gpu:8000/v1"}),
            "http://gpu:8000/v1",
            None,
        ),
        (
            "vllm",
            Access(environ={"VLLM_BASE_URL": "http://gpu/v1"}, base_urls={"vllm": "http://b/v1"}),
            "http://b/v1",
            None,
        ),
    ],
)
def test_where_a_host_is_and_with_which_key(host, access, url, key):
    """Arguments go before the environment, the environment before the catalogue."""
    target = HOSTS[host]
    assert access.missing(host, target) is None
    assert access.require(host, target) == (url, key)


@pytest.mark.parametrize(
    ("host", "access", "variable"),
    [
        ("deepseek", Access(), "DEEPSEEK_API_KEY"),
        ("deepseek", Access(environ={"DEEPSEEK_API_KEY": ""}), "DEEPSEEK_API_KEY"),
        ("deepseek", Access(environ={"DEEPSEEK_API_KEY": " \n"}), "DEEPSEEK_API_KEY"),
        ("vllm", Access(), "VLLM_BASE_URL"),
        ("vllm", Access(keys={"vllm": "k"}), "VLLM_BASE_URL"),
        ("azure", Access(environ={"AZURE_AI_API_KEY": "k"}), "AZURE_AI_ENDPOINT"),
        ("azure", Access(environ={"AZURE_AI_ENDPOINT": "http://x"}), "AZURE_AI_API_KEY"),
    ],
)
def test_what_is_missing_is_named(host, access, variable):
    """The error names the variable to set, as text and as an attribute."""
    assert access.missing(host, HOSTS[host]) == variable
    with pytest.raises(MissingKeyError, match=variable) as caught:
        access.require(host, HOSTS[host])
    assert caught.value.variable == variable


def test_recordings_need_nothing():
    """The replay host has no address and no key."""
    assert Access().missing("replay", HOSTS["replay"]) is None


def test_no_repr_shows_a_key():
    """Neither keys nor the environment are part of the repr."""
    access = Access(environ={"DEEPSEEK_API_KEY": "s3cret"}, keys={"deepseek": "s3cret"})
    assert "s3cret" not in repr(access)


@pytest.mark.parametrize("key", ["a\nb", "a\rb", "schlüssel", "a\x00b", "\u200bkey"])
def test_a_key_that_no_header_can_hold_is_refused(key):
    """Line breaks and invisible characters are refused before they reach a header or a log."""
    access = Access(environ={"DEEPSEEK_API_KEY": key})
    with pytest.raises(ConfigError, match="copy it again") as caught:
        access.key("deepseek", HOSTS["deepseek"])
    assert key not in str(caught.value)


def test_the_fingerprint_is_of_addresses_alone():
    """Any address changes it, wherever it is said; neither keys nor the order of hosts do."""
    plain = Access().fingerprint(HOSTS)
    turned = dict(reversed(list(HOSTS.items())))
    known = Access(keys={"deepinfra": "k"}, environ={"NOVITA_API_KEY": "k", "HOME": "/x"})
    assert known.fingerprint(turned) == plain
    ours = Access(base_urls={"vllm": "http://a/v1/"}).fingerprint(HOSTS)
    assert Access(environ={"VLLM_BASE_URL": "http://a/v1"}).fingerprint(HOSTS) == ours
    others = [
        Access(base_urls={"vllm": "http://b/v1"}),
        Access(base_urls={"sglang": "http://a/v1"}),
        Access(base_urls={"deepinfra": "http://a/v1"}),
        Access(environ={"AZURE_AI_ENDPOINT": "http://a/v1"}),
    ]
    assert len({plain, ours, *(access.fingerprint(HOSTS) for access in others)}) == 6


def test_the_fingerprint_shows_no_address():
    """An address may hold a password; a digest of all of them does not."""
    made = Access(base_urls={"vllm": "http://u:s3cret@a/v1"}).fingerprint(HOSTS)
    assert len(made) == 64
    assert set(made) <= set("0123456789abcdef")
