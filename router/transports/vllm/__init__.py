"""Servers of one's own (vLLM, SGLang, llama.cpp, Ollama): several as one host, and their tooling.

`pool` chooses among replicas, `watcher` asks them how they are.
"""

from router.transports.vllm.choice import Choice
from router.transports.vllm.health import Trouble, trouble_of
from router.transports.vllm.keys import keys_of
from router.transports.vllm.pool import Pool
from router.transports.vllm.pools import headers_of, pools_of
from router.transports.vllm.replica import Reading, State, Ticket
from router.transports.vllm.watcher import Watcher, look_once

__all__ = [
    "Choice",
    "Pool",
    "Reading",
    "State",
    "Ticket",
    "Trouble",
    "Watcher",
    "headers_of",
    "keys_of",
    "look_once",
    "place_of",
    "pools_of",
    "trouble_of",
]


def place_of(endpoint: str, url: str) -> str:
    """The name of a replica's cache in the prefix index: "model@host#url"."""
    return f"{endpoint}#{url}"
