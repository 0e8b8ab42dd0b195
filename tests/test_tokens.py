from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router import tokens
from router.errors import ConfigError, InvalidRequestError
from router.tokens import build, encoder, vocabulary

GOLDEN = json.loads((Path(__file__).parent / "data" / "tokens.json").read_text("utf-8"))
# Where the three care points of the pre-tokenizer meet: digits, CJK, blanks, strays, marks.
TRICKY = st.text(
    st.sampled_from(
        "ab Z\t\n\r\u00a0\u3000190٣½中文々アー・゛\u3040'!_-。\u0301\u200d\ufeff\x00é😀"
    )
)
TEXTS = st.one_of(st.text(), TRICKY)
PRE_TOKENIZER: dict[str, Any] = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
        for regex in (
            r"\p{N}{1,3}",
            "[一-龥\u3040-ゟ\u30a0-ヿ]+",
            (
                r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"""
                "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|"
                "\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
            ),
        )
    ]
    + [{"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}],
}


def rebuilt() -> dict[str, Any]:
    """DeepSeek's tokenizer.json, as far as encoding goes, made from what we ship."""
    held = vocabulary.load()
    letter = dict(zip(vocabulary.byte_order(), build._letters(), strict=True))
    written = {rank: "".join(letter[b] for b in token) for token, rank in held.ranks.items()}
    base = {text: rank for text, rank in held.added.items() if rank < held.first_merge}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": rank, "content": text, "single_word": False, "lstrip": False, "rstrip": False}
            | {"normalized": False, "special": False}
            for text, rank in sorted(held.added.items(), key=lambda item: item[1])
        ],
        "pre_tokenizer": PRE_TOKENIZER,
        "model": {
            "type": "BPE",
            "vocab": base | {text: rank for rank, text in written.items()},
            "merges": [[written[left], written[right]] for left, right in held.merges],
        },
    }


@pytest.fixture(scope="module")
def tokenizer_json() -> dict[str, Any]:
    return rebuilt()


@pytest.fixture(scope="module")
def hugging_face(tokenizer_json: dict[str, Any]) -> Any:
    tokenizers = pytest.importorskip("tokenizers")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return tokenizers.Tokenizer.from_str(json.dumps(tokenizer_json))


@pytest.mark.parametrize(("text", "ids"), GOLDEN, ids=range(len(GOLDEN)))
def test_ids_are_those_of_the_real_tokenizer(text: str, ids: list[int]) -> None:
    """Tricky strings give the ids that `tokenizers` gave with DeepSeek's own tokenizer.json."""
    assert tokens.encode(text) == ids
    assert tokens.count(text) == len(ids)
    assert tokens.decode(ids) == text


@settings(deadline=None)  # the first example loads the vocabulary
@given(TEXTS)
def test_decoding_gives_the_text_back(text: str) -> None:
    """Any text without surrogates survives the round trip, and its count is its ids' number."""
    ids = tokens.encode(text)
    assert tokens.decode(ids) == text
    assert tokens.count(text) == len(ids)


def test_ids_equal_those_of_tokenizers(hugging_face: Any) -> None:
    """On random Unicode the ids equal those of `tokenizers` with the rebuilt tokenizer.json."""

    @settings(max_examples=1000, deadline=None)
    @given(TEXTS)
    def equal(text: str) -> None:
        assert tokens.encode(text) == hugging_face.encode(text, add_special_tokens=False).ids

    equal()


def test_rebuilt_tokenizer_gives_the_golden_ids(hugging_face: Any) -> None:
    """The tokenizer.json made from our data is the real one as far as the golden ids tell."""
    for text, ids in GOLDEN:
        assert hugging_face.encode(text, add_special_tokens=False).ids == ids


def test_every_added_token_is_one_id_within_text() -> None:
    """All 818 added tokens are recognised between other text, and hold a marker."""
    added = vocabulary.load().added
    assert len(added) == 818
    plain_a, plain_b = tokens.encode("a "), tokens.encode(" b")
    for text, rank in added.items():
        assert any(marker in text for marker in encoder.MARKERS)
        assert tokens.encode(f"a {text} b") == [*plain_a, rank, *plain_b]
    assert tokens.encode("".join(added)) == list(added.values())


def test_lone_surrogates_count_as_replacement_characters() -> None:
    """Text that is no Unicode is counted all the same: U+FFFD for halves, pairs joined."""
    assert tokens.encode("a\ud800b") == tokens.encode("a\ufffdb")
    assert tokens.encode("\ud83d\ude00") == tokens.encode("😀")
    assert tokens.encode("<think>\udfff") == tokens.encode("<think>\ufffd")


@pytest.mark.parametrize("character", [" ", "\u200d", "!"])
def test_endless_runs_are_counted(character: str) -> None:
    """A run beyond the regular expression engine's limit is cut, not fatal, and near exact."""
    length = 1_500_000
    single = tokens.count(character * 150_000) * 10
    assert abs(tokens.count("x" + character * length) - single) <= 30


def test_long_ordinary_text_is_not_changed_by_cutting() -> None:
    """Texts longer than the cutting length but without such runs give the same ids as in parts."""
    line = "for i in range(10):\n    print(i)\n"
    many = 1 + encoder._LONGEST_RUN // len(line)
    assert tokens.count(line * many) == tokens.count(line) * many


@pytest.mark.parametrize("wrong", [None, 3, b"bytes", ["a"]])
def test_only_text_is_counted(wrong: Any) -> None:
    """What is not a string is refused by its type alone."""
    with pytest.raises(InvalidRequestError, match=type(wrong).__name__) as caught:
        tokens.count(wrong)
    assert caught.value.param == "text"


@pytest.mark.parametrize("wrong", [[128_815], [-1], [2**40], ["a"], None])
def test_unknown_ids_are_refused(wrong: Any) -> None:
    """Ids outside the vocabulary, and what is no id, are refused with the range."""
    with pytest.raises(InvalidRequestError, match="128814"):
        tokens.decode(wrong)


def test_vocabulary_has_every_id_once() -> None:
    """Base entries and added tokens together are the ids 0 to 128814."""
    held = vocabulary.load()
    ids = sorted([*held.ranks.values(), *held.added.values()])
    assert ids == list(range(128_815))
    assert held.first_merge + len(held.merges) == 128_000


def test_build_packs_what_we_ship(tokenizer_json: dict[str, Any], tmp_path: Path) -> None:
    """The data script makes from a tokenizer.json a file of the same content."""
    source, out = tmp_path / "tokenizer.json", tmp_path / "out"
    source.write_text(json.dumps(tokenizer_json), encoding="utf-8")
    assert build.main([str(source), str(out)]) == 0
    assert vocabulary.unpack(out.read_bytes()) == vocabulary.load()


def test_build_tells_how_to_call_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Without two arguments the script says what it expects and exits with 2."""
    assert build.main([]) == 2
    assert "TOKENIZER_JSON OUT" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["merges", "pre_tokenizer", "strip"])
def test_build_refuses_what_it_cannot_express(tokenizer_json: dict[str, Any], fault: str) -> None:
    """Ids out of merge order, another pre-tokenizer and stripping tokens are refused."""
    changed = json.loads(json.dumps(tokenizer_json))
    if fault == "merges":
        changed["model"]["merges"][:2] = reversed(changed["model"]["merges"][:2])
    elif fault == "pre_tokenizer":
        changed["pre_tokenizer"]["pretokenizers"].pop()
    else:
        changed["added_tokens"][0]["lstrip"] = True
    with pytest.raises(ConfigError):
        build.convert(changed)


@pytest.mark.parametrize("data", [b"", b"not zlib", vocabulary.pack([], 3, {})[:-3]])
def test_damaged_vocabulary_is_named(data: bytes) -> None:
    """Bytes that are not the shipped file raise an error that names it."""
    with pytest.raises(ConfigError, match=vocabulary.FILE):
        vocabulary.unpack(data)


def test_threads_share_one_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many threads at first use build the vocabulary once."""
    loads: list[int] = []
    held = vocabulary.load()

    def load() -> vocabulary.Vocabulary:
        loads.append(1)
        return held

    monkeypatch.setattr(vocabulary, "load", load)
    encoder._build.cache_clear()
    barrier = threading.Barrier(8)
    results: list[int] = []

    def work() -> None:
        barrier.wait()
        results.append(tokens.count("Hello"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1] * 8
    assert len(loads) == 1


def test_import_reads_nothing() -> None:
    """Importing the package loads neither tiktoken nor the vocabulary."""
    code = "import sys, router.tokens; print('tiktoken' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
