"""What this processor is, and what it multiplies by itself."""

from __future__ import annotations

import contextlib
import platform
from pathlib import Path

_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}


def _told() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/cpuinfo").read_text("utf-8", "replace")
    return ""


def name() -> str:
    """The processor's name as its maker gives it."""
    for line in _told().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return f"{platform.machine()} {platform.processor()}"


def multiplies_bf16() -> bool:
    """Whether it has instructions for products in bf16 (AVX-512 BF16, AMX, Armv8.6's); elsewhere those are slow."""
    return bool(_BF16 & set(_told().split()))
