"""Weights on disk: plain arrays, checked when read; files of others are refused with a reason."""

from __future__ import annotations

import io
import zipfile
from dataclasses import fields, replace

import numpy as np
import pytest

from classifiers import load_default, load_scorer
from classifiers.features import N_DENSE
from classifiers.length.arrays import HEAD, POOL, SCALED, THINKING, LengthArrays
from classifiers.store import FORMAT, Weights, load_weights, save, shipped_weights

OWN = [part.name for part in fields(Weights) if part.name != "lengths"]
LENGTHS = [part.name for part in fields(LengthArrays)]


def with_lengths(weights, **change):
    return replace(weights, lengths=replace(weights.lengths, **change))


def values(weights):
    """Every array and tuple, of correctness and of lengths."""
    return [getattr(weights, n) for n in OWN] + [getattr(weights.lengths, n) for n in LENGTHS]


@pytest.fixture(scope="module")
def weights() -> Weights:
    return shipped_weights()


def written(weights, **more) -> io.BytesIO:
    file = io.BytesIO()
    save(weights, file, **more)
    file.seek(0)
    return file


def arrays(weights, **change) -> io.BytesIO:
    """A file of these weights with some arrays changed, or left out (None)."""
    with np.load(written(weights), allow_pickle=False) as found:
        values = dict(found) | change
    file = io.BytesIO()
    np.savez(file, **{name: value for name, value in values.items() if value is not None})
    file.seek(0)
    return file


def test_a_round_trip_is_exact(weights, tmp_path) -> None:
    """Values, types and digest; through a path, too."""
    save(weights, tmp_path / "w.npz")
    for back in (load_weights(written(weights)), load_weights(tmp_path / "w.npz")):
        assert back.digest() == weights.digest()
        for one, two in zip(values(weights), values(back), strict=True):
            assert type(one) is type(two)
            assert np.array_equal(one, two)
            assert getattr(one, "dtype", None) == getattr(two, "dtype", None)


def test_no_names_stay_no_names(weights) -> None:
    """An empty tuple of strings has lost its type on the way, and gets it back."""
    bare = replace(weights, benchmarks=(), benchmark_demands=weights.benchmark_demands[:0])
    back = load_weights(written(bare))
    assert back.benchmarks == ()
    assert back.digest() == bare.digest()


@pytest.mark.parametrize("name", OWN)
def test_every_array_is_in_the_digest(weights, name) -> None:
    """Any change of any of them is another version."""
    value = getattr(weights, name)
    if isinstance(value, tuple):
        changed = (f"{value[0]} ", *value[1:])
    else:
        changed = value.copy()
        if name == "floor":
            changed[value >= 0] = -1
        else:
            changed.ravel()[0] += 1
    changed = replace(weights, **{name: changed})
    assert changed.digest() != weights.digest()
    assert len(changed.digest()) == 8


@pytest.mark.parametrize("name", LENGTHS)
def test_every_array_of_lengths_is_in_the_digest(weights, name) -> None:
    """As those of correctness."""
    changed = getattr(weights.lengths, name).copy()
    if name == "kind":
        changed[changed == HEAD] = POOL
    elif name == "ref":
        changed[weights.lengths.kind == POOL] -= 1
    else:
        changed.ravel()[0] += 1
    assert with_lengths(weights, **{name: changed}).digest() != weights.digest()


def test_the_file_holds_no_pickles_and_no_prompt(weights) -> None:
    """Arrays of numbers and strings alone, also with what was learned."""
    scorer = load_default()
    scorer.learn("The zebra of my grandmother", "gpt-4o", 1.0, tenant="t")
    file = io.BytesIO()
    scorer.save(file)
    file.seek(0)
    with zipfile.ZipFile(file) as whole:
        for name in whole.namelist():
            with whole.open(name) as one:
                major, _ = np.lib.format.read_magic(one)
                assert major == 1
                dtype = np.lib.format.read_array_header_1_0(one)[2]
            assert dtype.kind in "Ufiu", name
            assert b"zebra" not in whole.read(name)


@pytest.mark.parametrize("load", [load_weights, load_scorer])
def test_files_of_others_are_refused(weights, load, tmp_path) -> None:
    """A lone array, bytes of any kind, an empty file, half a file, a pickle: all by ValueError."""
    whole, lone, pickled, text = (
        written(weights).getvalue(),
        io.BytesIO(),
        io.BytesIO(),
        "hello" * 99,
    )
    np.save(lone, np.arange(3))
    np.save(pickled, np.array([{}], dtype=object))
    flipped = bytearray(whole)
    flipped[5000:5100] = bytes(100)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as other:
        other.writestr("a.txt", text)
    contents = [
        b"",
        text.encode(),
        np.random.default_rng(0).bytes(4000),
        b"\x80\x04N.",
        lone.getvalue(),
        pickled.getvalue(),
        whole[: len(whole) // 2],
        whole[:-10],
        bytes(flipped),
        archive.getvalue(),
    ]
    for content in contents:
        (tmp_path / "x.npz").write_bytes(content)
        for source in (io.BytesIO(content), tmp_path / "x.npz"):
            with pytest.raises(ValueError, match=r"expected (a file|weights)") as found:
                load(source)
            assert "pickle" not in str(found.value)
            assert found.value.__suppress_context__ or found.value.__context__ is None
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.npz")


def test_pickles_inside_are_never_opened(weights) -> None:
    bad = arrays(weights, learned_about=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="broken"):
        load_scorer(bad)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": np.array("weights/2")}, "'weights/3', got 'weights/2': train anew"),
        ({"format": None}, "got None"),
        ({"dense_names": np.array(["a"])}, "other features"),
        ({"dense_names": None}, "dense_names is missing"),
        ({"theta": None}, "theta is missing"),
        ({"b1": np.array(["a"])}, "b1 holds"),
        ({"floor": np.zeros(3)}, "floor holds float64"),
        ({"w2": np.zeros(4)}, "w2 has shape"),
        ({"length_coef": None}, "length_coef is missing"),
        ({"length_kind": np.zeros(3)}, "length_kind holds float64"),
        ({"length_means": np.array(["a"])}, "length_means holds"),
        ({"length_w1": np.zeros(4, dtype=np.float16)}, "length w1 and offsets have shapes"),
        ({"length_offsets": np.zeros(4)}, "length w1 and offsets have shapes"),
    ],
)
def test_files_of_other_versions_are_refused(weights, change, match) -> None:
    assert FORMAT == "weights/3"
    with pytest.raises(ValueError, match=match):
        load_weights(arrays(weights, **change))


def test_a_broken_memory_is_refused(weights) -> None:
    """Of answers learned, and of lengths observed."""
    with pytest.raises(ValueError, match="learned answers"):
        load_scorer(arrays(weights, learned_seq=np.zeros(1)))
    taken = {
        "took_names": np.array('[["", null, "gpt-4o", ""]]'),
        "took_counts": np.array([4]),
        "took_rows": np.zeros((3, 8)),
    }
    with pytest.raises(ValueError, match="does not hold the lengths"):
        load_scorer(arrays(weights, **taken))


def test_shapes_and_values_are_checked(weights) -> None:
    """Every array has its shape by the others; nothing but finite numbers."""
    with pytest.raises(ValueError, match="dense_mean has shape"):
        replace(weights, dense_mean=np.zeros(N_DENSE + 1, dtype=np.float32))
    with pytest.raises(ValueError, match="bases"):
        replace(weights, basis=weights.basis[1:])
    for name in OWN:
        value = getattr(weights, name)
        if isinstance(value, tuple):
            continue
        if name != "kind_demands":  # as many as one likes
            with pytest.raises(ValueError, match=r"weights: \w+"):
                replace(weights, **{name: value[:-1]})
        if value.dtype.kind == "f":
            bad = value.copy()
            bad.ravel()[-1] = np.nan
            with pytest.raises(ValueError, match=f"{name} holds values that are not finite"):
                replace(weights, **{name: bad})
    for name in LENGTHS:
        value = getattr(weights.lengths, name)
        with pytest.raises(ValueError, match=r"weights: length_\w+ has shape"):
            with_lengths(weights, **{name: value[:-1]})
        if value.dtype.kind == "f":
            bad = value.copy()
            bad.ravel()[-1] = np.inf
            with pytest.raises(ValueError, match=f"length_{name} holds values that are not"):
                with_lengths(weights, **{name: bad})


def test_references_lead_to_profiles_and_not_in_circles(weights) -> None:
    """Else a score would never end."""
    n = len(weights.profiles)
    ring = np.full(n, -1)
    ring[:2] = 1, 0
    for floor, match in ((np.full(n, n), "floor refers"), (ring, "back to itself")):
        with pytest.raises(ValueError, match=match):
            replace(weights, floor=floor)
    with pytest.raises(ValueError, match="back to itself"):
        with_lengths(weights, kind=np.where(ring >= 0, SCALED, POOL), ref=ring)
    heads = len(weights.lengths.offsets) - 2
    for kind, ref in ((HEAD, -1), (HEAD, heads), (SCALED, n), (THINKING, n), (THINKING, -1),
                      (9, 0)):  # fmt: skip
        with pytest.raises(ValueError, match="refers to nothing"):
            with_lengths(weights, kind=np.full(n, kind), ref=np.full(n, ref))
    renamed = tuple(name.replace("prior", "former") for name in weights.profiles)
    with pytest.raises(ValueError, match="'prior' is missing"):
        replace(weights, profiles=renamed)
