"""Why a prompt no longer begins like the one before it: each cause by name, and what to do."""

from __future__ import annotations

TIMESTAMP = "timestamp"
DATE = "date"
UUID = "uuid"
EPOCH = "epoch"
RANDOM_ID = "random id"
COUNTER = "counter"
TOOL_ORDER = "tool order"
TOOL_ADDED = "tool added"
TOOL_REMOVED = "tool removed"
TOOL_CHANGED = "tool schema changed"
TOOL_KEYS = "tool key order"
PROPERTY_ORDER = "property order"
FORMAT = "response format changed"
WHITESPACE = "whitespace"
SERIALISATION = "serialisation"
SYSTEM = "system prompt changed"
USER_DATA = "user data in front"
QUESTION = "question before context"
EXAMPLES = "examples reordered"
DOCUMENTS = "documents reordered"
EDITED = "edited history"
TRUNCATED = "truncated head"
REORDERED = "reordered history"
SUMMARY = "summary replaced"
TEMPLATE = "template mode"
IMAGE = "image changed"
MODEL = "model switched"
HOST = "host switched"
SALT = "salt rotated"
MINIMUM = "below minimum size"

_LATE = "move it behind what stays the same: into the last user message, directly before its text"
_RESENT = "send the history as it was sent before, byte for byte"

FIXES = {
    TIMESTAMP: f"{_LATE}; or tell the time to the day, or by a tool",
    DATE: f"{_LATE}; a date costs the cache once a day",
    UUID: f"take it out of the prompt, or {_LATE}",
    EPOCH: f"take it out of the prompt, or {_LATE}",
    RANDOM_ID: f"take it out of the prompt, or {_LATE}",
    COUNTER: f"take it out of the prompt, or {_LATE}",
    TOOL_ORDER: "send tools in one order, such as by name; sets and maps have none",
    TOOL_ADDED: "send all tools always and restrict them by tool_choice; new ones go last",
    TOOL_REMOVED: "send all tools always and forbid by tool_choice what must not be called",
    TOOL_CHANGED: "keep tool descriptions and schemas fixed; what changes goes into a message",
    TOOL_KEYS: "serialise tools with their keys in one order (sort_keys=True)",
    PROPERTY_ORDER: "keep the properties of a schema in one order; answers are written in it",
    FORMAT: "keep one response format for a conversation",
    WHITESPACE: "build the text in one way; strip and join it the same way each time",
    SERIALISATION: "keep what was sent as text; do not parse and write it anew",
    SYSTEM: "keep the system prompt as it is in a conversation; say what changed in a message",
    USER_DATA: "put what is of one user or session behind all that is shared: instructions, tools",
    QUESTION: "put what the requests share first; questions, images and the like go last",
    EXAMPLES: "keep examples in one order",
    DOCUMENTS: "put documents in one order, such as by id, and the question behind them",
    EDITED: f"{_RESENT}; say corrections in a new message",
    TRUNCATED: "drop old messages rarely and many at once, not a few with each request",
    REORDERED: "append only: the history keeps the order in which it was sent",
    SUMMARY: "summarise rarely and many messages at once; keep the summary until the next time",
    TEMPLATE: "keep thinking on or off while tools are called, and send reasoning back as it came",
    IMAGE: "send an image by one URL, with one detail; signed URLs change with each request",
    MODEL: "stay with the model for the conversation; each has a cache of its own",
    HOST: "stay with the host for the conversation; each has a cache of its own",
    SALT: "one salt or user_id for all requests that may share; caches are kept apart by it",
    MINIMUM: "put more of what is shared in front, or choose a host with a smaller minimum",
}
"""What to do, by cause; the keys are all the causes there are."""
