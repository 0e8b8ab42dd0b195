"""Which hosts are configured, from arguments and the environment; and what is never shown."""

import pytest

from router.catalog import Catalog
from router.errors import ConfigError, MissingKeyError
from router.transports.access import Access, shown

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


def test_no_repr_shows_the_password_of_a_url():
    """Base URLs may hold one."""
    access = Access(base_urls={"vllm": ["http://u:s3cret@a/v1", "http://b/v1"]})
    assert "s3cret" not in repr(access)


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("http://a:8000/v1", "http://a:8000/v1"),
        ("HTTPS://u:s3cret@a:8000/v1", "HTTPS://a:8000/v1"),
        ("http://u:s3/cret@a/v1", "http://a/v1"),
        ("http://u:s3@cret/x@a/v1", "http://a/v1"),
        ("http://u:s3#cr?et@a/v1", "http://a/v1"),
        ("u:s3cret@a:8000/v1", "a:8000/v1"),
        ("u:s3://cret@a", "a"),
        ("http://u:s3cret@[::1", "http://[::1"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_url_is_shown_without_its_password(url, seen):
    """However odd either is."""
    assert shown(url) == seen


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


TWO = ("http://a:8000/v1", "http://b:8000/v1")


@pytest.mark.parametrize(
    "given",
    [
        "http://a:8000/v1,http://b:8000/v1",
        " http://a:8000/v1/ , http://b:8000/v1/,",
        "http://a:8000/v1 http://b:8000/v1",
        "http://a:8000/v1\nhttp://b:8000/v1\n",
        ["http://a:8000/v1", "http://b:8000/v1/"],
        ("http://a:8000/v1", "", "http://b:8000/v1", "http://a:8000/v1"),
        ["http://a:8000/v1,http://b:8000/v1"],
    ],
)
def test_several_urls_are_replicas_of_one_host(given):
    """A list, or one text with commas or blanks; each once, the first is the host's own."""
    access = Access(base_urls={"vllm": given})
    assert access.base_urls_of("vllm", HOSTS["vllm"]) == TWO
    assert access.base_url("vllm", HOSTS["vllm"]) == TWO[0]
    assert access.require("vllm", HOSTS["vllm"]) == (TWO[0], None)


def test_replicas_come_from_the_environment_too():
    """VLLM_BASE_URL may name several; what is not set is no replica."""
    access = Access(environ={"VLLM_BASE_URL": ",".join(TWO)})
    assert access.base_urls_of("vllm", HOSTS["vllm"]) == TWO
    assert access.base_urls_of("sglang", HOSTS["sglang"]) == ()
    assert access.base_urls_of("deepseek", HOSTS["deepseek"]) == ("https://api.deepseek.com",)


def test_a_comma_inside_a_url_separates_nothing():
    """Only a comma before the next URL does."""
    odd = "http://a/v1/x,y"
    assert Access(base_urls={"vllm": odd}).base_urls_of("vllm", HOSTS["vllm"]) == (odd,)


@pytest.mark.parametrize("given", [None, 7, [None], [b"http://a"], b"http://a", {1: 2}])
def test_base_urls_of_a_wrong_kind_are_refused(given):
    """At once, with the name of the host; the value itself is not shown."""
    with pytest.raises(ConfigError, match=r"base_urls\['vllm'\]: expected a URL, or a list"):
        Access(base_urls={"vllm": given})


def test_an_empty_list_is_not_set():
    """No replica is a missing address, which is named."""
    assert Access(base_urls={"vllm": []}).missing("vllm", HOSTS["vllm"]) == "VLLM_BASE_URL"


def test_the_fingerprint_is_of_all_replicas_in_any_order():
    """One more replica changes it, their order does not; of one it is as it always was."""
    one, two, turned = (
        Access(base_urls={"vllm": urls}).fingerprint(HOSTS) for urls in (TWO[:1], TWO, TWO[::-1])
    )
    assert two == turned != one
    assert one == Access(base_urls={"vllm": TWO[0]}).fingerprint(HOSTS)
