"""Keys and addresses: which hosts are configured, from arguments and the environment."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from router.errors import ConfigError, MissingKeyError


class Reachable(Protocol):
    """What access needs to know of a candidate or host."""

    @property
    def base_url(self) -> str | None: ...
    @property
    def base_url_env(self) -> str | None: ...
    @property
    def api_key_env(self) -> str | None: ...
    @property
    def api_key_required(self) -> bool: ...
    @property
    def kind(self) -> str: ...


_BETWEEN = re.compile(r"\s*,\s*(?=https?://|$)|\s+(?=https?://)")
"""A URL may itself hold a comma: only one before another URL, or at the end, separates them."""
_SCHEME = re.compile(r"(https?://)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Access:
    """Where API keys and base URLs come from: `keys` and `base_urls` by host name, then `environ`.

    Several URLs of one host, a list or one text with commas, are replicas of it. The repr shows
    none of them: keys are secret, and URLs may hold passwords.

    Raises:
        ConfigError: the base URLs of a host are neither a text nor a list of texts.
    """

    environ: Mapping[str, str] = field(repr=False, default_factory=dict)
    keys: Mapping[str, str] = field(repr=False, default_factory=dict)
    base_urls: Mapping[str, str | Sequence[str]] = field(repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        for host, given in self.base_urls.items():
            several = isinstance(given, Sequence) and all(isinstance(url, str) for url in given)
            if not several or isinstance(given, bytes):
                raise ConfigError(
                    f"base_urls[{host!r}]: expected a URL, or a list of URLs of replicas, got a "
                    f"{type(given).__name__}"
                )

    def base_url(self, host: str, target: Reachable) -> str | None:
        """The host's base URL without a slash at its end, None when it is not set.

        Of a host with several replicas it is the first one's.
        """
        return next(iter(self.base_urls_of(host, target)), None)

    def base_urls_of(self, host: str, target: Reachable) -> tuple[str, ...]:
        """The base URLs of a host's replicas as they were given, each once; () when none is."""
        from_env = self.environ.get(target.base_url_env) if target.base_url_env else None
        given = self.base_urls.get(host) or from_env or target.base_url or ()
        texts = (given,) if isinstance(given, str) else given
        urls = (url.strip().rstrip("/") for text in texts for url in _BETWEEN.split(text))
        return tuple(dict.fromkeys(url for url in urls if url))

    def fingerprint(self, hosts: Mapping[str, Reachable]) -> str:
        """A digest of where these hosts are served: it changes with any of their base URLs.

        The order of replicas does not matter.
        """
        urls = {name: sorted(self.base_urls_of(name, host)) for name, host in hosts.items()}
        places = {name: of if len(of) > 1 else of[0] for name, of in urls.items() if of}
        text = json.dumps(places, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def key(self, host: str, target: Reachable) -> str | None:
        """The host's API key without blanks around it, None when it is not set.

        Raises:
            ConfigError: it cannot stand in a header; never shows it.
        """
        from_env = self.environ.get(target.api_key_env) if target.api_key_env else None
        key = (self.keys.get(host) or from_env or "").strip()
        if not (key.isascii() and key.isprintable()):
            raise ConfigError(
                f"the API key of host {host!r} holds characters that no key has (line breaks, "
                "non-ASCII); copy it again"
            )
        return key or None

    def missing(self, host: str, target: Reachable) -> str | None:
        """The environment variable that must be set before this host can be used, or None."""
        if target.kind in {"replay", "engine"}:
            return None
        if self.base_url(host, target) is None:
            return target.base_url_env or f"base_urls[{host!r}]"
        if target.api_key_required and self.key(host, target) is None:
            return target.api_key_env
        return None

    def require(self, host: str, target: Reachable) -> tuple[str, str | None]:
        """Base URL and key of a host.

        Raises:
            MissingKeyError: names the variable to set.
        """
        missing = self.missing(host, target)
        url = self.base_url(host, target)
        if missing or url is None:
            raise missing_key(host, missing or "its base URL")
        return url, self.key(host, target)


def shown(url: str) -> str:
    """A base URL as it may be shown: without anything between its scheme and the last "@"."""
    # A password that was not quoted may hold a slash: a parser would find it in the path.
    before, at, rest = url.rpartition("@")
    scheme = _SCHEME.match(before)
    return (scheme[0] if at and scheme else "") + rest


def missing_key(
    host: str, variable: str, hosts: Mapping[str, str] | None = None
) -> MissingKeyError:
    """The error for a host that was asked for and is not configured; `hosts` are alternatives."""
    others = {h: v for h, v in (hosts or {}).items() if h != host}
    more = f" Other hosts of it: {', '.join(f'{h} ({v})' for h, v in others.items())}."
    return MissingKeyError(
        f"host {host!r} is not configured: set {variable}, or pass "
        f"Client(keys={{{host!r}: ...}}) or base_urls.{more if others else ''} Without any key, "
        "Client(hosts=['replay']) answers from recorded outcomes.",
        variable=variable,
    )
