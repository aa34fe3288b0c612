"""`agentos bench --only load`: a warm load to the first token, against a fresh process and a copy of the bytes."""

from __future__ import annotations

import asyncio
import gc
import json
import mmap
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentos.config import Settings
from agentos.engines.host import ChildEngine
from agentos.engines.nursery import Nursery
from agentos.errors import Failed, NotFound
from agentos.types import Completed, Generation, Message, ModelSpec, Token

MODEL, OTHER = "qwen2.5-coder-0.5b", "smollm2-135m"
ROUNDS = 5
ASKED = "Name one planet."
FORMS = ("bfloat16", "float32")
READY = 120.0
"""Seconds the nursery may take to be ready."""


def measure(settings: Settings) -> dict[str, Any]:
    """All figures of the part, in seconds and bytes as their names say; the models must be in the store.

    Raises:
        NotFound: a model is not stored.
        Failed: one cannot be loaded.
    """
    folders = {name: settings.models / name for name in (MODEL, OTHER)}
    for name, folder in folders.items():
        if not (folder / "config.json").is_file():
            raise NotFound(f"{name!r} is measured here and is not stored: agentos call models.pull --model {name}")
    with tempfile.TemporaryDirectory(prefix="agentos-bench-") as kept:
        return asyncio.run(_measure(settings, folders, Path(kept)))


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The part's lines of the table."""
    load, fresh, copy, swap = figures["load_s"], figures["fresh_s"], figures["copy_s"], figures["swap_s"]
    return [
        ("warm load to first token, median", f"{load['median']} s",
         f"{figures['of_fresh']} of a fresh process ({fresh['median']} s, {figures['fresh_dtype']})"),
        ("of that, until it is loaded", f"{figures['loaded_s']['median']} s", f"cold: {figures['cold_s']} s"),
        ("copying the model's bytes", f"{copy['median']} s", f"a warm load takes {figures['of_copy']} times that"),
        ("swap of two models, median", f"{swap['median']} s", "one unloaded, the other's first token"),
    ]


async def _measure(settings: Settings, folders: dict[str, Path], kept: Path) -> dict[str, Any]:
    figures: dict[str, Any] = {"model": MODEL, "asked": ASKED, "rounds": ROUNDS}
    figures["load"] = [round(load, 1) for load in os.getloadavg()]
    file = next(folders[MODEL].glob("*.safetensors"))
    figures["bytes"] = file.stat().st_size
    specs = {
        name: ModelSpec(name, folder, "cpu", settings.context, {"kv_cache": str(kept)})
        for name, folder in folders.items()
    }
    nursery = Nursery()
    try:
        figures["cold_s"] = round((await _load(specs[MODEL], settings, nursery))[1], 2)
        await _load(specs[OTHER], settings, nursery)
        await _until_ready(nursery)
        dtype = min(FORMS, key=lambda form: min(_fresh(folders[MODEL], form, settings)[0] for _ in range(2)))
        found: dict[str, list[float]] = {"load_s": [], "loaded_s": [], "fresh_s": [], "copy_s": []}
        for _ in range(ROUNDS):
            loaded, first, said = await _load(specs[MODEL], settings, nursery)
            spent, told = _fresh(folders[MODEL], dtype, settings)
            if said != told:
                raise Failed(f"the two ways answered differently, {said!r} and {told!r}; nothing was compared")
            for name, seconds in (("load_s", first), ("loaded_s", loaded), ("fresh_s", spent), ("copy_s", _copy(file))):
                found[name].append(seconds)
        figures |= {name: _spread(seconds) for name, seconds in found.items()}
        figures["fresh_dtype"] = dtype
        figures["of_fresh"] = round(statistics.median(found["load_s"]) / statistics.median(found["fresh_s"]), 3)
        figures["of_copy"] = round(statistics.median(found["load_s"]) / statistics.median(found["copy_s"]), 1)
        figures["swap_s"] = _spread(await _swaps(specs, settings, nursery))
        figures["nursery_bytes"] = nursery.memory()
    finally:
        nursery.close()
    return figures


async def _load(spec: ModelSpec, settings: Settings, nursery: Nursery) -> tuple[float, float, str]:
    """Seconds until a model is loaded and until its first token, and that token; then it is unloaded."""
    engine = ChildEngine("transformers", threads=settings.threads, nursery=nursery)
    try:
        started = time.perf_counter()
        await engine.load(spec)
        loaded = time.perf_counter() - started
        said, first = await _first(engine, started)
        while await _busy(engine):  # noqa: ASYNC110  # it writes what it keeps for the next load
            await asyncio.sleep(0.1)
        return loaded, first, said
    finally:
        await engine.unload()


async def _busy(engine: ChildEngine) -> bool:
    try:
        return (await engine.pulse()).busy
    except Failed:
        return engine.alive  # a sign of life that is late: it is at work


async def _first(engine: ChildEngine, started: float) -> tuple[str, float]:
    said, first = "", 0.0
    async for item in engine.generate(Generation("bench", (Message("user", ASKED),), max_tokens=1)):
        first = first or time.perf_counter() - started
        said += item.text if isinstance(item, Token) else ""
        if isinstance(item, Completed):
            break
    return said, first


def _fresh(folder: Path, dtype: str, settings: Settings) -> tuple[float, str]:
    """Seconds from starting the plain way to its first token, and that token."""
    command = [sys.executable, "-m", "agentos.engines.fresh", str(folder), dtype, str(settings.threads)]
    env = dict(os.environ, HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(ASKED)
        process.stdin.close()
        line = process.stdout.readline()
        spent = time.perf_counter() - started
    if not line:
        raise Failed(f"the plain way ended with {process.returncode} and no token; nothing was compared")
    return spent, str(json.loads(line)["text"])


def _copy(file: Path) -> float:
    """Seconds that copying a file's bytes takes, from the page cache into fresh memory."""
    with file.open("rb") as source, mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        started = time.perf_counter()
        copy = bytearray(mapped)
        spent = time.perf_counter() - started
    del copy
    gc.collect()
    return spent


async def _swaps(specs: dict[str, ModelSpec], settings: Settings, nursery: Nursery) -> list[float]:
    """Seconds from asking for the model that is not loaded, to its first token, with room for one."""
    engine = ChildEngine("transformers", threads=settings.threads, nursery=nursery)
    await engine.load(specs[MODEL])
    times = []
    for turn in range(2 * ROUNDS):
        started = time.perf_counter()
        await engine.unload()
        engine = ChildEngine("transformers", threads=settings.threads, nursery=nursery)
        await engine.load(specs[OTHER if turn % 2 == 0 else MODEL])
        times.append((await _first(engine, started))[1])
    await engine.unload()
    return times


async def _until_ready(nursery: Nursery) -> None:
    for _ in range(int(10 * READY)):
        if nursery.ready:
            return
        await asyncio.sleep(0.1)
    raise Failed(f"the nursery was not ready within {READY:g} s; nothing was measured")


def _spread(times: Sequence[float]) -> dict[str, float]:
    return {"median": round(statistics.median(times), 3), "least": round(min(times), 3), "most": round(max(times), 3)}
