"""Settings of a webhook: what is refused, and that nothing of its secrets is shown."""

import pytest

from router.errors import ConfigError
from router.webhook import Webhook


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"url": "ftp://host/s3cret"}, "url"),
        ({"url": "host/s3cret"}, "url"),
        ({"url": "https:///s3cret"}, "url"),
        ({"url": "https://host:99999/s3cret"}, "url"),
        ({"url": "https://ho st/s3cret"}, "url"),
        ({"url": "https://host/s3cret\n"}, "url"),
        ({"url": None}, "url"),
        ({"headers": {"X": "s3cret\r\nY: 1"}}, "headers"),
        ({"headers": ["s3cret"]}, "headers"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"timeout": "5"}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"retries": 1.5}, "retries"),
        ({"retries": 11}, "retries"),
    ],
)
def test_settings_that_make_no_sense(arguments, says):
    """Refused at once, saying which and what was expected; addresses and headers not shown."""
    with pytest.raises(ConfigError, match=f"Webhook {says}: expected") as caught:
        Webhook(**({"url": "https://host/h"} | arguments))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ann:s3cret@chat.example:8443/s3cret?s3cret#s3cret", "https://chat.example:8443"),
        ("http://[::1]:80/s3cret", "http://::1:80"),
        ("HTTPS://Chat.Example/s3cret", "https://chat.example"),
    ],
)
def test_what_is_shown_of_a_url(url, shown):
    """Scheme, host and port."""
    assert repr(Webhook(url, headers={"X-Key": "s3cret"})) == f"Webhook({shown!r})"


def test_a_listener_never_raises(caplog):
    """Whatever it is given: the request that was charged goes on."""
    hook = Webhook("http://127.0.0.1/h")
    hook("no warning at all")
    assert "AttributeError" in caplog.text
