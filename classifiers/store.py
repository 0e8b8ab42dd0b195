"""Trained weights as plain arrays in one npz, never a pickle; placements and card as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from classifiers.familiar import Familiar
from classifiers.features import DENSE_NAMES, N_DENSE
from classifiers.net import Net
from classifiers.placement import Placements, parse
from classifiers.spread import LEVELS, N_MEAN
from classifiers.standard import Standard
from classifiers.words import N_WORDS

FORMAT = "weights/2"
WEIGHTS_FILE, PLACEMENTS_FILE, CARD_FILE = "weights.npz", "placements.json", "card.json"
N_INPUT = N_DENSE + N_WORDS
POOL, HEAD, THINKING, SCALED = 0, 1, 2, 3
"""How the length of a profile's answers follows: see `Weights.length_kind`."""

_NAMES = frozenset({"profiles", "basis", "kinds", "benchmarks"})
_WHOLE = frozenset({"floor", "length_kind", "length_ref"})

F16 = npt.NDArray[np.float16]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weights:
    """All arrays of a scorer: K networks of D demands, P profiles, H length heads.

    Correctness: `w1`, `b1`, `w2`, `skip` as in `Net`; `theta` (K, D + 1, P) abilities, `base`
    (K, P) logits before the prompt is read, `floor` (P,) the profile that one never falls below,
    or -1. Kinds of task as in `Familiar`. For models placed
    later: `mean` (K, D + 1) and `cov` (K, D + 1, D + 1) of abilities, `benchmark_demands`
    (B, R, K, D), `kind_demands` (F', R', K, D).

    Lengths: `length_w1`, `length_b1` make more inputs for `length_coef` (N, H + 2): centres of the
    heads and the pool, then the log spread. `offsets` (H + 2, 4) and `residuals` (H + 2, N_MEAN)
    in units of the spread: heads, a model of unknown verbosity, one of known verbosity.
    `length_kind`, `length_ref` and `length_value` (P,) say how a profile's length follows: from
    the pool moved by `value`, from head `ref`, from thinking on top of profile `ref`, or from
    profile `ref` times `value`.
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
    length_w1: F16
    length_b1: F32
    length_coef: F16
    length_intercept: F64
    offsets: F64
    residuals: F64
    length_kind: npt.NDArray[np.int64]
    length_ref: npt.NDArray[np.int64]
    length_value: F64

    def __post_init__(self) -> None:
        if self.w2.ndim != 3 or self.offsets.ndim != 2:
            raise ValueError(
                f"weights: w2 and offsets have shapes {self.w2.shape} and {self.offsets.shape}"
            )
        members, width, demands = self.w2.shape
        heads, profiles = self.offsets.shape[0], len(self.profiles)
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
            "length_w1": (N_INPUT, self.length_b1.size),
            "length_b1": (self.length_b1.size,),
            "length_coef": (N_INPUT + self.length_b1.size, heads),
            "length_intercept": (heads,),
            "offsets": (heads, len(LEVELS)),
            "residuals": (heads, N_MEAN),
            "floor": (profiles,),
            "length_kind": (profiles,),
            "length_ref": (profiles,),
            "length_value": (profiles,),
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
        count, heads = len(self.profiles), len(self.offsets) - 2
        ends = {POOL: 0, HEAD: heads, THINKING: count, SCALED: count}
        for name, kind, ref in zip(
            self.profiles, self.length_kind.tolist(), self.length_ref.tolist(), strict=True
        ):
            if kind not in ends or (kind != POOL and not 0 <= ref < ends[kind]):
                raise ValueError(f"weights: the length of {name!r} refers to nothing")
        scaled = np.where(self.length_kind == SCALED, self.length_ref, -1)
        for what, refs in (("floor", self.floor.tolist()), ("length_ref", scaled.tolist())):
            if any(not -1 <= ref < count for ref in refs):
                raise ValueError(f"weights: {what} refers to no profile")
            for at, name in enumerate(self.profiles):
                above, steps = refs[at], 0
                while above >= 0:
                    above, steps = refs[above], steps + 1
                    if steps > count:
                        raise ValueError(f"weights: {what} of {name!r} leads back to itself")

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
        for part in fields(self):
            value = getattr(self, part.name)
            whole.update(part.name.encode())
            raw = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
            whole.update(raw)
        return whole.hexdigest()[:8]


def save(weights: Weights, target: Path | IO[bytes], **more: Any) -> None:
    """Write the arrays, and `more` of them beside; the same weights give the same arrays."""
    arrays: dict[str, Any] = {
        part.name: np.array(getattr(weights, part.name)) for part in fields(weights)
    }
    names = np.array(DENSE_NAMES)
    np.savez_compressed(target, format=np.array(FORMAT), dense_names=names, **arrays, **more)


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
    wanted = [part.name for part in fields(Weights)]
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
    return Weights(**values)


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
