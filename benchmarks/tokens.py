"""Compare `router.tokens` with Hugging Face `tokenizers`, file by file: ids and speed.

Run from the root of a checkout: `python -m benchmarks.tokens TOKENIZER_JSON [DIRECTORY ...]`.
The corpus is what any machine has: sources of the standard library, docs and sources of the
installed packages, JSON made of their own metadata; directories add to it, such as an unpacked
package with Chinese text. Single-threaded on both sides. Exit status 1 if any ids differ.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from router import tokens

SUFFIXES = {".py", ".md", ".rst", ".txt", ".json", ".toml", ".html", ".css", ".js", ".c", ".h"}
LARGEST = 400_000  # characters of one file: beyond, its head is taken
SHORT = "Write a function that reverses a list in Python, please."


def walk(root: Path, most: int) -> Iterator[tuple[str, str]]:
    """Texts below a directory, in order of their paths, up to `most` characters in all."""
    total = 0
    for path in sorted(root.rglob("*")):
        if path.suffix not in SUFFIXES or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")[:LARGEST]
        except UnicodeDecodeError:
            continue
        if text:
            yield str(path), text
        total += len(text)
        if total > most:
            return


def metadata() -> Iterator[tuple[str, str]]:
    """English: readmes of the installed packages; JSON: their metadata, dense and indented."""
    for one in sorted(importlib.metadata.distributions(), key=lambda d: d.metadata["Name"]):
        name, fields = one.metadata["Name"], one.metadata.json
        yield f"readme {name}", str(fields.get("description", "")) or name
        yield f"json {name}", json.dumps(fields, indent=2)
        listing = [[str(f), f.size, f.hash and f.hash.value] for f in one.files or ()][:500]
        yield f"json-dense {name}", json.dumps(listing, separators=(",", ":"))


def corpus(directories: list[str]) -> dict[str, dict[str, str]]:
    """Kind, then name, to text."""
    paths = sysconfig.get_paths()
    kinds = {
        "code": dict(walk(Path(paths["stdlib"]), 3_000_000)),
        "packages": dict(walk(Path(paths["purelib"]), 3_000_000)),
        "readme, json": dict(metadata()),
    }
    kinds |= {Path(one).name: dict(walk(Path(one), 4_000_000)) for one in directories}
    return kinds


def main(arguments: list[str]) -> int:
    if not arguments:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    import tokenizers

    theirs = tokenizers.Tokenizer.from_file(arguments[0])
    start = time.perf_counter()
    tokens.count("")
    print(f"load: {time.perf_counter() - start:.3f} s")
    total = {"files": 0, "chars": 0, "ids": 0, "differ": 0}
    seconds = [0.0, 0.0]
    for kind, texts in corpus(arguments[1:]).items():
        mine, other, differ, ids = 0.0, 0.0, 0, 0
        for name, text in texts.items():
            t0 = time.perf_counter()
            got = tokens.encode(text)
            t1 = time.perf_counter()
            want = theirs.encode(text, add_special_tokens=False).ids
            t2 = time.perf_counter()
            mine, other, ids = mine + t1 - t0, other + t2 - t1, ids + len(want)
            if got != want:
                differ += 1
                at = next(
                    (i for i, pair in enumerate(zip(got, want, strict=False)) if len({*pair}) > 1),
                    len(got),
                )
                print(f"DIFFERS {name} at token {at}")
        chars = sum(map(len, texts.values()))
        print(
            f"{kind:24} {len(texts):5} files {chars:9,} chars {ids / (chars or 1):.3f} tokens each"
            f"  differ {differ}  {mine:.2f} s against {other:.2f} s, {other / (mine or 1):.1f} x"
        )
        for key, value in zip(total, (len(texts), chars, ids, differ), strict=True):
            total[key] += value
        seconds = [seconds[0] + mine, seconds[1] + other]
    print(
        f"all: {total['files']:,} files, {total['chars']:,} chars, {total['ids']:,} tokens, "
        f"differ {total['differ']}; {seconds[0] / total['chars'] * 1e9:.0f} us per 1k chars, "
        f"{seconds[1] / seconds[0]:.1f} x as fast"
    )
    for label, call in (
        ("count", lambda: tokens.count(SHORT)),
        ("count_messages", lambda: tokens.count_messages([{"role": "user", "content": SHORT}])),
        ("tokenizers", lambda: theirs.encode(SHORT, add_special_tokens=False)),
    ):
        start = time.perf_counter()
        for _ in range(5000):
            call()
        print(f"short prompt, {label}: {(time.perf_counter() - start) / 5000 * 1e6:.1f} us")
    return 1 if total["differ"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
