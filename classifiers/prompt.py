"""A prompt as the scorer reads it: the text in question, and the structure around it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What is asked, and in what setting.

    `text` is the last thing that the user said; `turns` counts the user's messages so far,
    `system_chars` and `schema_chars` the characters of the system prompt and of a demanded JSON
    schema, `tools` the tools on offer. `route` names the kind of traffic this belongs to, ""
    when nobody says: the caller's own tag or the prompt template. `effort` is the reasoning effort
    that the caller asks for ("low", "high", ...), "" for the host's default.
    """

    text: str
    turns: int = 1
    system_chars: int = 0
    tools: int = 0
    schema_chars: int = 0
    wants_json: bool = False
    route: str = ""
    effort: str = ""
