"""Reads the header of a safetensors file, strictly."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentos.errors import Failed
from agentos.sealing.files import opened, size_of

_LONGEST = 100_000_000
SIZES: Mapping[str, int] = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}
"""Bytes of one number."""


@dataclass(frozen=True)
class SafetensorsHeader:
    """What a safetensors file says of itself."""

    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    data: int
    """Bytes of all tensors."""

    @property
    def parameters(self) -> int:
        """How many numbers all tensors hold, integer buffers left out."""
        return sum(math.prod(shape) for name, shape in self.shapes.items() if "F" in self.dtypes[name])


def read_safetensors(path: Path) -> SafetensorsHeader:
    """The header, once the tensors are known to fill the file from end to end without overlap.

    Raises:
        Failed: the file is truncated or hostile; the message says how.
    """
    size = size_of(path)
    with opened(path) as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 10 or not 2 <= length <= min(_LONGEST, size - 8):
            raise Failed(f"a header of {length} bytes is claimed in a file of {size}: not safetensors, or truncated")
        text = stream.read(length)
    if not text.startswith(b"{"):
        raise Failed("this is not a safetensors file: its header is not JSON")
    try:
        header: dict[str, Any] = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Failed(f"its header cannot be read ({str(error)[:80] or 'too deep'})") from None
    header.pop("__metadata__", None)
    if not header:
        raise Failed("it has no tensors")
    spans = sorted(_span(name, item) for name, item in header.items())
    end = 0
    for begin, stop, name in spans:
        if begin != end:
            raise Failed(f"tensor {name[:80]!r} lies over another, or leaves a gap")
        end = stop
    if end != size - 8 - length:
        raise Failed(f"its tensors take {end} bytes and the file holds {size - 8 - length}: it is truncated or padded")
    shapes = {name: tuple(item["shape"]) for name, item in header.items()}
    return SafetensorsHeader(shapes, {name: item["dtype"] for name, item in header.items()}, end)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _span(name: str, item: Any) -> tuple[int, int, str]:
    if not isinstance(item, dict) or set(item) != {"dtype", "shape", "data_offsets"}:
        raise Failed(f"tensor {name[:80]!r} is not described as it must be")
    dtype, shape, offsets = item["dtype"], item["shape"], item["data_offsets"]
    if not isinstance(dtype, str) or dtype not in SIZES:
        raise Failed(f"tensor {name[:80]!r} has the unknown type {str(dtype)[:20]!r}")
    lists = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2
    whole = [*shape, *offsets] if lists else [None]
    if not all(type(number) is int and 0 <= number < 1 << 48 for number in whole) or len(whole) > 10:
        raise Failed(f"tensor {name[:80]!r} has impossible numbers")
    if offsets[1] - offsets[0] != math.prod(shape) * SIZES[dtype]:
        raise Failed(f"tensor {name[:80]!r} has another size than its shape")
    return offsets[0], offsets[1], name
