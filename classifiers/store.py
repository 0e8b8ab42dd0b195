"""Trained weights as plain arrays in one npz, never a pickle; placements and card as JSON."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from classifiers.familiar import Familiar
from classifiers.features import DENSE_NAMES, N_DENSE
from classifiers.length.arrays import LengthArrays
from classifiers.net import Net
from classifiers.placement import Placements, parse
from classifiers.standard import Standard
from classifiers.words import N_WORDS

FORMAT = "weights/3"
WEIGHTS_FILE, PLACEMENTS_FILE, CARD_FILE = "weights.npz", "placements.json", "card.json"
N_INPUT = N_DENSE + N_WORDS

_NAMES = frozenset({"profiles", "basis", "kinds", "benchmarks"})
_WHOLE = frozenset({"floor", "length_kind", "length_ref"})
_LENGTH = "length_"

F16 = npt.NDArray[np.float16]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weights:
    """All arrays of a scorer: K networks of D demands, P profiles.

    Correctness: `w1`, `b1`, `w2`, `skip` as in `Net`; `theta` (K, D + 1, P) abilities, `base`
    (K, P) logits before the prompt is read, `floor` (P,) the profile that one never falls below,
    or -1. Kinds of task as in `Familiar`. For models placed
    later: `mean` (K, D + 1) and `cov` (K, D + 1, D + 1) of abilities, `benchmark_demands`
    (B, R, K, D), `kind_demands` (F', R', K, D).
    """

    profiles: tuple[str, ...]
    basis: tuple[str, ...]
    floor: npt.NDArray[np.int64]
    dense_mean: F32
    dense_inverse: F32
    w1: F16
    b1: F32
    w2: F16
    skip: F16
    theta: F32
    base: F32
    kinds: tuple[str, ...]
    centres: F32
    whiten: F16
    kind_weights: F32
    kind_bias: F32
    mean: F64
    cov: F64
    benchmarks: tuple[str, ...]
    benchmark_demands: F16
    kind_demands: F16
    lengths: LengthArrays

    def __post_init__(self) -> None:
        if self.w2.ndim != 3:
            raise ValueError(f"weights: w2 has shape {self.w2.shape}")
        members, width, demands = self.w2.shape
        profiles = len(self.profiles)
        expected: dict[str, tuple[int | None, ...]] = {
            "dense_mean": (N_DENSE,),
            "dense_inverse": (N_DENSE,),
            "w1": (N_INPUT, members * width),
            "w2": (members, width, demands),
            "b1": (members * width,),
            "skip": (N_INPUT, members * demands),
            "theta": (members, demands + 1, profiles),
            "base": (members, profiles),
            "centres": (len(self.kinds), N_DENSE),
            "whiten": (len(self.kinds), N_DENSE, N_DENSE),
            "kind_weights": (N_INPUT, len(self.kinds)),
            "kind_bias": (len(self.kinds),),
            "mean": (members, demands + 1),
            "cov": (members, demands + 1, demands + 1),
            "benchmark_demands": (len(self.benchmarks), None, members, demands),
            "kind_demands": (None, None, members, demands),
            "floor": (profiles,),
        }
        if len(self.basis) != profiles:
            raise ValueError(f"weights: expected {profiles} bases, got {len(self.basis)}")
        for name, shape in expected.items():
            found = getattr(self, name)
            fits = len(found.shape) == len(shape) and all(
                want is None or want == got for want, got in zip(shape, found.shape, strict=True)
            )
            if not fits:
                raise ValueError(f"weights: {name} has shape {found.shape}, expected {shape}")
            if not np.isfinite(found).all():
                raise ValueError(f"weights: {name} holds values that are not finite")
        self._check_references()

    def _check_references(self) -> None:
        """Profiles that others refer to exist, and no profile stands on itself."""
        if missing := {"prior", "prior:thinking"} - set(self.profiles):
            raise ValueError(f"weights: profile {min(missing)!r} is missing")
        if not self.kinds:
            raise ValueError("weights: expected at least one kind of task")
        count, floors = len(self.profiles), self.floor.tolist()
        if any(not -1 <= floor < count for floor in floors):
            raise ValueError("weights: floor refers to no profile")
        for at, name in enumerate(self.profiles):
            above, steps = floors[at], 0
            while above >= 0:
                above, steps = floors[above], steps + 1
                if steps > count:
                    raise ValueError(f"weights: floor of {name!r} leads back to itself")
        self.lengths.check(N_INPUT, len(self.kinds), self.profiles)

    @property
    def standard(self) -> Standard:
        """The scale of the inputs."""
        return Standard(self.dense_mean, self.dense_inverse)

    @property
    def net(self) -> Net:
        """The networks, in float32."""
        f32 = np.float32
        return Net(self.w1.astype(f32), self.b1, self.w2.astype(f32), self.skip.astype(f32))

    @property
    def familiar(self) -> Familiar:
        """The kinds of task."""
        whiten = self.whiten.astype(np.float32)
        return Familiar(self.kinds, self.centres, whiten, self.kind_weights, self.kind_bias)

    def digest(self) -> str:
        """Eight hex digits that any other weights would not have."""
        whole = hashlib.sha256()
        for name, value in _parts(self):
            whole.update(name.encode())
            raw = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
            whole.update(raw)
        return whole.hexdigest()[:8]


def save(weights: Weights, target: Path | IO[bytes], **more: Any) -> None:
    """Write the arrays, and `more` of them beside; the same weights give the same arrays. A file
    is written whole or not at all.
    """
    arrays: dict[str, Any] = {name: np.array(value) for name, value in _parts(weights)} | more
    arrays |= {"format": np.array(FORMAT), "dense_names": np.array(DENSE_NAMES)}
    if not isinstance(target, Path):
        np.savez_compressed(target, **arrays)
        return
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            np.savez_compressed(file, **arrays)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def load_weights(source: Path | IO[bytes]) -> Weights:
    """Read weights written by `save`.

    Raises:
        ValueError: another format, or arrays that do not fit this version's features.
    """
    return weights_from(read_arrays(source))


def read_arrays(source: Path | IO[bytes]) -> dict[str, npt.NDArray[Any]]:
    """All arrays of a file written by `save`; nothing in it is ever run.

    Raises:
        ValueError: not such a file, or a broken one; OSError: it cannot be read.
    """
    try:  # opened here: numpy leaves a file that it cannot read open
        with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
            found = np.load(file, allow_pickle=False)
            if not isinstance(found, np.lib.npyio.NpzFile):
                raise ValueError("a lone array")
            with found as arrays:
                return {name: np.asarray(arrays[name]) for name in arrays.files}
    except OSError:
        raise
    except Exception:  # noqa: BLE001  what numpy and zipfile raise for broken bytes has no end
        raise ValueError(
            f"expected a file written by Scorer.save, got another or a broken one: {source}"
        ) from None  # numpy would suggest to load it unsafely


def weights_from(arrays: Mapping[str, npt.NDArray[Any]]) -> Weights:
    """Weights from the arrays of a file.

    Raises:
        ValueError: another format, or arrays that do not fit this version's features.
    """
    found = str(arrays["format"]) if "format" in arrays else None
    if found != FORMAT:
        raise ValueError(f"expected weights of format {FORMAT!r}, got {found!r}: train anew")
    wanted = [part.name for part in fields(Weights) if part.name != "lengths"]
    wanted += [_LENGTH + part.name for part in fields(LengthArrays)]
    if missing := [name for name in ("dense_names", *wanted) if name not in arrays]:
        raise ValueError(f"weights: {missing[0]} is missing: train anew")
    if tuple(arrays["dense_names"].tolist()) != DENSE_NAMES:
        raise ValueError("these weights belong to other features: train anew")
    values: dict[str, Any] = {}
    for name in wanted:
        value = arrays[name]
        if name in _NAMES:  # an empty one has lost its type on the way
            values[name] = tuple(str(one) for one in value.ravel().tolist())
        elif value.dtype.kind != ("i" if name in _WHOLE else "f"):
            raise ValueError(f"weights: {name} holds {value.dtype}: train anew")
        else:
            values[name] = value
    own = {name: value for name, value in values.items() if not name.startswith(_LENGTH)}
    lengths = {n.removeprefix(_LENGTH): v for n, v in values.items() if n.startswith(_LENGTH)}
    return Weights(**own, lengths=LengthArrays(**lengths))


def _parts(weights: Weights) -> Iterator[tuple[str, Any]]:
    """Every array by the name it is stored under."""
    for part in fields(weights):
        if part.name != "lengths":
            yield part.name, getattr(weights, part.name)
    for part in fields(weights.lengths):
        yield _LENGTH + part.name, getattr(weights.lengths, part.name)


def shipped_weights() -> Weights:
    """The weights inside the package."""
    with (resources.files("classifiers") / "data" / WEIGHTS_FILE).open("rb") as file:
        return load_weights(file)


def shipped_placements() -> Placements:
    """The placements inside the package."""
    return parse(_json(PLACEMENTS_FILE))


def shipped_card() -> dict[str, Any]:
    """The model card inside the package: data, licences, split, figures, limits."""
    return _json(CARD_FILE)


def _json(name: str) -> dict[str, Any]:
    text = (resources.files("classifiers") / "data" / name).read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
