"""Makes `data/words.npz` from WordLlama's token vectors and the training prompts (dev only).

Run `python -m classifiers.training.build_words --data DIR --wordllama DIR --out FILE`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import struct
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.features import distinct_words
from classifiers.training.lexicon import CHINESE, LATIN
from classifiers.training.split import assign
from classifiers.words import KEYWORDS, N_WORDS, save_words

MIN_DOCUMENTS = 3
ENGLISH_DOCUMENTS = 20
"""A foreign word seen in as many prompts is an English word, too, and stays one."""
SIF = 0.02
"""Weight of a word in a share `f` of the prompts: SIF / (SIF + f)."""
WEIGHTS = "wordllama/weights/l2_supercat_256.safetensors"
TOKENIZER = "wordllama/tokenizers/l2_supercat_tokenizer_config.json"

Floats = npt.NDArray[np.float64]


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the table and say what it holds."""
    import pandas as pd

    parser = argparse.ArgumentParser(prog="classifiers.training.build_words")
    parser.add_argument("--data", type=Path, required=True, help="folder of prompts.parquet")
    parser.add_argument("--wordllama", type=Path, required=True, help="an unpacked wheel")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    table = pd.read_parquet(given.data / "prompts.parquet", columns=["source", "prompt"])
    # The demo lives on prompts that nothing shipped has seen, not even without their grades.
    parts = assign(zip(table["source"], table["prompt"], strict=True))
    documents = [
        distinct_words(text)
        for text, part in zip(table["prompt"], parts, strict=True)
        if part == "train"
    ]
    words, vectors, provenance = _table(documents, given.wordllama)
    aliases, meanings = _aliases(words, documents)
    save_words(given.out, words, vectors, aliases, meanings, provenance)
    sys.stdout.write(
        f"{len(words)} words, {len(aliases)} aliases, {given.out.stat().st_size} bytes\n"
    )


def _table(
    documents: list[list[bytes]], wordllama: Path
) -> tuple[list[bytes], npt.NDArray[np.float32], dict[str, Any]]:
    """Words, those of most documents first, and their weighted vectors of N_WORDS."""
    tokens, tokenizer = _token_vectors(wordllama / WEIGHTS), _tokenizer(wordllama / TOKENIZER)
    seen = Counter(word for document in documents for word in document)
    whole = {
        token[1:].lower().encode()
        for token in tokenizer.get_vocab()
        if re.fullmatch("\u2581[A-Za-z]{2,}", token)
    }
    keywords = {word.encode() for group in KEYWORDS.values() for word in group}
    english = {word.encode() for given in (*CHINESE.values(), *LATIN.values()) for word in given}
    often = {word for word, count in seen.items() if count >= MIN_DOCUMENTS}
    words = sorted(often | whole | keywords | english, key=lambda word: (-seen[word], word))
    encoded = tokenizer.encode_batch(
        [f" {word.decode()}" for word in words], add_special_tokens=False
    )
    wide = np.stack([tokens[one.ids].mean(axis=0) for one in encoded])
    share = np.array([(seen[word] + 1) / len(documents) for word in words])
    wide -= (wide * share[:, None]).sum(axis=0) / share.sum()
    wide *= (SIF / (SIF + share))[:, None]
    narrow = (wide @ _principal(_embeddings(documents, words, wide))).astype(np.float32)
    return words, narrow, _provenance(wordllama, len(documents))


def _embeddings(documents: list[list[bytes]], words: list[bytes], wide: Floats) -> Floats:
    row_of = {word: row for row, word in enumerate(words)}
    rows = [[row_of[word] for word in document if word in row_of] for document in documents]
    sums = np.stack([wide[row].sum(axis=0) for row in rows])
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    found: Floats = sums / np.maximum(norms, 1e-9)
    return found


def _principal(embeddings: Floats) -> Floats:
    """(wide, N_WORDS): the directions in which the prompts differ most, signs fixed."""
    _, directions = np.linalg.eigh(np.cov(embeddings, rowvar=False))
    largest_first: Floats = directions[:, ::-1][:, :N_WORDS]
    strongest = np.abs(largest_first).argmax(axis=0)
    signs: Floats = np.sign(largest_first[strongest, np.arange(N_WORDS)])
    return largest_first * signs


def _aliases(
    words: list[bytes], documents: list[list[bytes]]
) -> tuple[list[str], npt.NDArray[np.uint16]]:
    """Words of other languages, and the rows of the one or two words that each stands for."""
    seen = Counter(word for document in documents for word in document)
    english_too = {word for word in LATIN if seen[word.encode()] >= ENGLISH_DOCUMENTS}
    sys.stdout.write(f"English already: {sorted(english_too)}\n")
    row_of = {word.decode(): row for row, word in enumerate(words, start=1)}
    entries = sorted((word, meant) for word, meant in {**CHINESE, **LATIN}.items())
    kept = [(word, dict.fromkeys(meant)) for word, meant in entries if word not in english_too]
    meanings = np.zeros((len(kept), 2), dtype=np.uint16)
    for at, (_, meant) in enumerate(kept):
        meanings[at, : len(meant)] = [row_of[word] for word in meant]
    return [word for word, _ in kept], meanings


def _token_vectors(path: Path) -> Floats:
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    (name,) = (name for name in header if name != "__metadata__")
    if header[name]["dtype"] != "F16":
        raise ValueError(f"expected F16 vectors, got {header[name]['dtype']}")
    start, end = header[name]["data_offsets"]
    flat = np.frombuffer(data[8 + size + start : 8 + size + end], dtype="<f2")
    return flat.reshape(header[name]["shape"]).astype(np.float64)


def _tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))


def _provenance(wordllama: Path, n_documents: int) -> dict[str, Any]:
    digest = hashlib.sha256((wordllama / WEIGHTS).read_bytes()).hexdigest()
    return {
        "vectors": "WordLlama 0.4.0.post1, l2_supercat_256 (https://github.com/dleemiller/WordLlama)",
        "license": "MIT License, Copyright (c) 2024 Lee Miller",
        "sha256": digest,
        "changes": (
            "Token vectors averaged over lower-cased words, centred, weighted by how rare a word "
            f"is in {n_documents} prompts, reduced to {N_WORDS} dimensions, rounded to bytes."
        ),
        "other_languages": "classifiers/training/lexicon.py, written for this project",
    }


if __name__ == "__main__":
    main()
