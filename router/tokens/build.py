"""Rebuilds the shipped vocabulary: `python -m router.tokens.build TOKENIZER_JSON OUT`.

Refuses a tokenizer whose ids are not in merge order, for tiktoken takes the id of a token as
its priority, and one whose pre-tokenizer is not the one that `pattern` stands for.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from router.errors import ConfigError
from router.tokens.vocabulary import byte_order, pack, unpack

# sha256 of json.dumps of tokenizer.json's "pre_tokenizer" member, keys sorted.
PRE_TOKENIZER = "d8d32910cbb77e54a181e9b3f9a6808eed7fc330747bbcd913ef8c390bc1c9f9"


def convert(tokenizer: dict[str, Any]) -> bytes:
    """The packed vocabulary of a parsed tokenizer.json.

    Raises:
        ConfigError: not a byte-level BPE whose ids are: special tokens, bytes, merges in order.
    """
    model = tokenizer["model"]
    vocabulary: dict[str, int] = model["vocab"]
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    first = len(vocabulary) - len(pairs) - 256
    merges = [(vocabulary[left], vocabulary[right]) for left, right in pairs]
    added = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    if any(token["lstrip"] or token["rstrip"] for token in tokenizer["added_tokens"]):
        raise ConfigError("added tokens that swallow spaces around them cannot be expressed")
    if digest(tokenizer["pre_tokenizer"]) != PRE_TOKENIZER:
        raise ConfigError("another pre-tokenizer: write its expression in router/tokens/pattern")
    data = pack(merges, first, added)
    ranks = unpack(data).ranks
    letters = {
        letter: bytes((byte,)) for byte, letter in zip(byte_order(), _letters(), strict=True)
    }
    expected = {
        b"".join(letters[letter] for letter in token): rank
        for token, rank in vocabulary.items()
        if token not in added
    }
    if ranks != expected:
        raise ConfigError("the ids are not in merge order: tiktoken would merge differently")
    return data


def digest(member: Any) -> str:
    """sha256 of a JSON value, whatever its layout in the file."""
    return hashlib.sha256(json.dumps(member, sort_keys=True).encode()).hexdigest()


def _letters() -> list[str]:
    """The letters by which GPT-2's byte-level files write the bytes of `byte_order`."""
    printable = byte_order()[:188]
    return [chr(code) for code in [*printable, *range(256, 256 + 68)]]


def main(arguments: list[str]) -> int:
    """Convert one file into another; exit status 2 tells how to call it."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m router.tokens.build TOKENIZER_JSON OUT\n")
        return 2
    source, out = (Path(argument) for argument in arguments)
    data = convert(json.loads(source.read_text(encoding="utf-8")))
    out.write_bytes(data)
    sys.stdout.write(f"{hashlib.sha256(data).hexdigest()}  {out.name}  {len(data)} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
