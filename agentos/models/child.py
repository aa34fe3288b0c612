"""Runs converting and quantizing as processes of their own, with limits on memory and time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from agentos.engines.started import started
from agentos.errors import Failed
from agentos.models.fetch import full_disk
from agentos.types import Progress
from agentos.types.units import show_bytes, show_seconds

_INSPECT_MEMORY = 1 << 30
_INSPECT_SECONDS = 120.0


class Refused(Failed):
    """The file itself is at fault: it is no model that can be read, or is not what it claims to be."""


async def inspect(source: Path) -> dict[str, Any]:
    """What a .gguf file or a folder of safetensors holds and what converting it takes.

    Raises:
        Refused: it is not a model, or a hostile one; the message says why.
    """
    job = {"do": "inspect", "source": str(source), "out": "", "memory": _INSPECT_MEMORY, "threads": 1}
    return await _run(job, _INSPECT_SECONDS, None, "")


async def convert(
    source: Path, out: Path, facts: dict[str, Any], progress: Progress, name: str, *, threads: int
) -> dict[str, Any]:
    """Makes the folder that an engine loads, within the limits that `inspect` came to.

    Raises:
        Failed: the disk is full.
        Refused: it cannot be read as a model, or took more memory or time than its header accounts for.
    """
    memory = facts["memory"] * 5 // 4 + (256 << 20)
    job = {"do": "convert", "source": str(source), "out": str(out), "memory": memory, "threads": threads}
    return await _run(job, facts["seconds"], progress, name)


async def quantize(
    source: Path, out: Path, bits: int, progress: Progress, name: str, *, memory: int, seconds: float, threads: int
) -> dict[str, Any]:
    """Makes the folder of a model in fewer bits, within limits on memory and time.

    Raises:
        Failed: the disk is full.
        Refused: the model cannot be quantized, or it took more memory or time.
    """
    job = {"source": str(source), "out": str(out), "bits": bits, "memory": memory, "threads": threads}
    return await _run(job, seconds, progress, name, module="agentos.engines.quantizing", doing="quantizing")


async def _run(
    job: dict[str, Any], limit: float, progress: Progress | None, name: str, *,
    module: str = "agentos.models.convert", doing: str = "converting",
) -> dict[str, Any]:
    env = dict(os.environ, HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false",
               HF_HUB_DISABLE_TELEMETRY="1", PYTHONUNBUFFERED="1")
    process = await started(
        sys.executable, "-m", module, json.dumps(job), env=env, limit=1 << 20,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )
    last: dict[str, Any] = {}
    try:
        async with asyncio.timeout(limit):
            assert process.stdout is not None
            async for raw in process.stdout:
                if not raw.startswith(b"{"):
                    continue  # a library's own words
                last = json.loads(raw)
                if progress is not None and "progress" in last:
                    far = (last.get("done"), last.get("total"), last.get("unit", ""))
                    await progress(f"{doing} {name}: {last['progress']}", *far)
            code = await process.wait()
    except TimeoutError:
        raise Refused(f"reading it took longer than {show_seconds(limit)} and was stopped") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if "result" in last:
        return dict(last["result"])
    if last.get("errno"):
        error = full_disk(OSError(last["errno"], last["error"]), Path(job["out"] or job["source"]).parent)
        raise error if isinstance(error, Failed) else Refused(last["error"])
    if "error" in last:
        raise Refused(last["error"])
    died = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    raise Refused(f"the process that read it died ({died}); it was given {show_bytes(job['memory'])} of memory")
