"""A running server to ask questions over HTTP, and what was found. Nothing here raises httpx's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import httpx

State = Literal["ok", "note", "wrong"]
_SECONDS, _ANSWER_SECONDS = 5.0, 60.0
_HELLO = [{"role": "user", "content": "Count from one to one hundred in words."}]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: "ok", "note" (worth knowing) or "wrong" (says what to do)."""

    state: State
    what: str
    finding: str


class UnansweredError(Exception):
    """A question got no answer, or no answer that can be read; says why, in words."""


class Server:
    """A server to ask. Its key is sent and never shown."""

    def __init__(self, client: httpx.Client, base_url: str) -> None:
        self._client = client
        self.base_url = base_url.rstrip("/")
        self.root = self.base_url.removesuffix("/v1")
        self.shown = without_user(self.base_url)

    def json(self, url: str) -> Any:
        """The JSON at a URL.

        Raises:
            UnansweredError: no answer, none with status 200, no JSON.
        """
        try:
            return json.loads(self.text(url))
        except (ValueError, RecursionError):
            raise UnansweredError("does not answer with JSON") from None

    def text(self, url: str) -> str:
        """The text at a URL.

        Raises:
            UnansweredError: no answer, or none with status 200.
        """
        try:
            response = self._client.get(url, timeout=_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnansweredError(f"does not answer ({type(error).__name__})") from None
        if response.status_code != 200:
            raise UnansweredError(f"answers HTTP {response.status_code}")
        return response.text

    def ask(self, model: str, **fields: Any) -> tuple[int, Any]:
        """Status and JSON body of a chat completion; a body that is no object is {}.

        Raises:
            UnansweredError: no answer.
        """
        body = {"model": model, "messages": _HELLO, "max_tokens": 1, **fields}
        try:
            response = self._client.post(
                f"{self.base_url}/chat/completions", json=body, timeout=_ANSWER_SECONDS
            )
            answer = response.json()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnansweredError(f"did not answer a request ({type(error).__name__})") from None
        except (ValueError, RecursionError):
            answer = {}
        return response.status_code, answer if isinstance(answer, dict) else {}

    def load_of_one(self, model: str) -> int:
        """What `/load` says while one request is being answered.

        Raises:
            UnansweredError: no answer to either.
        """
        body = {"model": model, "messages": _HELLO, "max_tokens": 64, "stream": True}
        body["ignore_eos"] = True
        url = f"{self.base_url}/chat/completions"
        try:
            with self._client.stream("POST", url, json=body, timeout=_ANSWER_SECONDS) as stream:
                # An iterator that is not kept is closed at once, and its request with it.
                pieces = stream.iter_bytes()
                next(pieces, b"")
                return int(self.json(f"{self.root}/load")["server_load"])
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnansweredError(f"did not answer a stream ({type(error).__name__})") from None
        except (LookupError, TypeError, ValueError):
            raise UnansweredError("/load tells no number") from None


def without_user(url: str) -> str:
    """A URL that can be shown: a name and password in it are left out."""
    return re.sub(r"//[^/@]*@", "//...@", url)


def cached_tokens(server: Server, model: str, how: str) -> Iterator[Finding]:
    """Whether an answer says how much of its prompt was cached; `how` makes it do so."""
    try:
        status, answer = server.ask(model)
    except UnansweredError as error:
        yield Finding("wrong", "answer", str(error))
        return
    usage = answer.get("usage")
    if status != 200 or not isinstance(usage, dict):
        yield Finding("wrong", "answer", f"a one-token request failed (HTTP {status})")
    elif isinstance(usage.get("prompt_tokens_details"), dict):
        yield Finding("ok", "cached tokens", "reported")
    else:
        yield Finding("wrong", "cached tokens", f"not reported{how}")
