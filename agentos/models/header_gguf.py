"""Reads the header of a GGUF file, strictly: every count and length is held to the size of the file."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from agentos.errors import Failed

MAGIC = b"GGUF"
_MOST_ENTRIES = 65_536
_MOST_ITEMS = 8_000_000
"""Of one array; the largest vocabularies have about a quarter of a million."""
_LONGEST_TEXT = 4 << 20
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _ARRAY = 8, 9
BLOCKS: Mapping[int, tuple[int, int]] = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17),
}
"""Tensor type to elements and bytes of one block."""


@dataclass(frozen=True)
class Tensor:
    """One tensor: where it lies and what it is."""

    name: str
    shape: tuple[int, ...]
    type: int
    start: int
    """From the beginning of the file."""
    size: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def bits(self) -> float:
        """Bits a number takes."""
        elements, size = BLOCKS[self.type]
        return size * 8 / elements


@dataclass(frozen=True)
class GgufHeader:
    """What a GGUF file says of itself; arrays are kept as their length."""

    version: int
    values: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    @property
    def architecture(self) -> str:
        """Such as `qwen2` or `llama`."""
        return str(self.values["general.architecture"])

    @property
    def parameters(self) -> int:
        """How many numbers all tensors hold."""
        return sum(tensor.elements for tensor in self.tensors.values())


class _Reader:
    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream, self.size, self.at = stream, size, 0

    def take(self, count: int) -> bytes:
        if count > self.size - self.at:
            raise Failed("the file ends in the middle of its header")
        data = self.stream.read(count)
        if len(data) != count:
            raise Failed("the file ends in the middle of its header")
        self.at += count
        return data

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self, longest: int = _LONGEST_TEXT) -> str:
        length = self.number("<Q")
        if length > min(longest, self.size - self.at):
            raise Failed(f"a text of {length} bytes is claimed, more than can be")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise Failed("a text is not UTF-8") from None

    def value(self, kind: int, deep: bool = False) -> Any:
        if kind == _TEXT:
            return self.text()
        if kind != _ARRAY:
            if kind not in _SCALARS:
                raise Failed(f"value type {kind} is unknown")
            return self.number(_SCALARS[kind])
        inner, count = self.number("<I"), self.number("<Q")
        if deep or inner == _ARRAY:
            raise Failed("arrays in arrays are refused")
        if inner != _TEXT and inner not in _SCALARS:
            raise Failed(f"value type {inner} is unknown")
        smallest = 8 if inner == _TEXT else struct.calcsize(_SCALARS[inner])
        if count > min(_MOST_ITEMS, (self.size - self.at) // smallest):
            raise Failed(f"an array of {count} items is claimed, more than can be")
        if inner == _TEXT:
            for _ in range(count):
                self.text()
        else:
            self.take(count * smallest)
        return int(count)


def read_gguf(path: Path) -> GgufHeader:
    """The header of a GGUF file, once every tensor is known to lie inside the file and apart from the others.

    Raises:
        Failed: the file is truncated, hostile, or of a kind that is not read; the message says which.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        reader = _Reader(stream, size)
        if size < 24 or reader.take(4) != MAGIC:
            raise Failed("this is not a GGUF file")
        version = reader.number("<I")
        if version not in {2, 3}:
            raise Failed(f"GGUF version {version} is not read; 2 and 3 are")
        tensors, pairs = reader.number("<Q"), reader.number("<Q")
        if tensors > min(_MOST_ENTRIES, size // 32) or pairs > min(_MOST_ENTRIES, size // 13):
            raise Failed(f"{tensors} tensors and {pairs} values are claimed, more than can be")
        values: dict[str, Any] = {}
        for _ in range(pairs):
            key = reader.text(65_535)
            if key in values:
                raise Failed(f"the value {key[:80]!r} is there twice")
            values[key] = reader.value(reader.number("<I"))
        if not isinstance(values.get("general.architecture"), str):
            raise Failed("it names no architecture")
        if values.get("split.count", 1) not in {0, 1}:
            raise Failed("it is one part of a split model; join the parts first (gguf-split --merge)")
        alignment = values.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20 or alignment & (alignment - 1):
            raise Failed("its alignment is not a power of two")
        found = [_tensor(reader) for _ in range(tensors)]
        begin = -(-reader.at // alignment) * alignment
    placed = {
        name: Tensor(name, shape, kind, begin + offset, _size(name, shape, kind)) for name, shape, kind, offset in found
    }
    if not placed or len(placed) < len(found):
        raise Failed("it has no tensors" if not placed else "two tensors share a name")
    end = begin
    for tensor in sorted(placed.values(), key=lambda item: item.start):
        if tensor.start < end or (tensor.start - begin) % alignment:
            raise Failed(f"tensor {tensor.name[:80]!r} lies over another, or askew")
        end = tensor.start + tensor.size
        if end > size:
            raise Failed(f"tensor {tensor.name[:80]!r} ends {end - size} bytes after the file: it is truncated")
    return GgufHeader(version, values, placed)


def _tensor(reader: _Reader) -> tuple[str, tuple[int, ...], int, int]:
    name = reader.text(255)
    count = reader.number("<I")
    if not 1 <= count <= 4:
        raise Failed(f"tensor {name[:80]!r} has {count} dimensions")
    shape = tuple(reader.number("<Q") for _ in range(count))
    return name, shape, reader.number("<I"), reader.number("<Q")


def _size(name: str, shape: tuple[int, ...], kind: int) -> int:
    if kind not in BLOCKS:
        raise Failed(f"tensor {name[:80]!r} has the unknown type {kind}")
    elements, size = BLOCKS[kind]
    if min(shape) < 1 or max(shape) > 1 << 40 or math.prod(shape) > 1 << 44 or shape[0] % elements:
        raise Failed(f"tensor {name[:80]!r} has the impossible shape {shape}")
    return math.prod(shape) // elements * size
