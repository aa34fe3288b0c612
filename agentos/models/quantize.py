"""`models.quantize`: a stored model in 8 or 4 bits, as a model of its own, measured beside the one it came from."""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import asdict
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, cast

from agentos.config import Settings
from agentos.errors import Failed, UserError
from agentos.models import child, memory
from agentos.models.catalog import catalog
from agentos.models.fetch import full_disk, room
from agentos.models.locks import held
from agentos.models.shelf import Shelf, Stored, is_private
from agentos.types import Completed, Engine, Generation, Measured, ModelSpec, Progress, Prompt, Quantized, Token
from agentos.types.units import show_bytes

_MIB = 1 << 20
_RUNTIME = 1 << 30
"""What the process that quantizes takes and reserves beside tensors: torch and transformers."""
_SHARE = {8: 1.02, 4: 0.66}
"""Bytes of a weight in a layer, scales included."""
_TOKENS, _ROUNDS = 16, 4
"""Tokens that are written at a turn to measure the speed of writing, and turns."""
_BEGINNING = 200
"""Characters of the sample that are given to be gone on with."""
_CONTEXT = 1024
"""Tokens an engine is given to be measured with: no more than the sample takes."""


class _Foretelling(Protocol):
    """An engine that tells how well its model foretells a text."""

    async def perplexity(self, text: str) -> float: ...


def sample() -> str:
    """The text that perplexity is measured on: English, Chinese and code of our own, under the project's licence."""
    return resources.files("agentos.models").joinpath("sample.txt").read_text("utf-8")


async def quantize(  # noqa: PLR0917
    stored: Stored, bits: int, output: str | None, shelf: Shelf, settings: Settings, progress: Progress,
    engine_for: Callable[[str], Engine], free: Callable[[], int] = memory.available,
) -> Quantized:
    """A stored model in fewer bits, put into the store beside it; on failure nothing is left.

    Args:
        stored: The model; it stays as it is.
        bits: 8 or 4.
        output: The new model's name; its own with the bits by default.
        shelf: The store.
        settings: Where locks are, and how many threads to use.
        progress: Told of each stage.
        engine_for: Makes the engines that both are measured in.
        free: Bytes of memory that can be had.

    Raises:
        UserError: it writes no text, is quantized already, the name is taken, or the bits are neither 8 nor 4.
        Failed: disk or memory does not suffice, or the model is built in a way that cannot be quantized.
    """
    started = time.monotonic()
    name = named(stored, bits, output)
    check(stored, bits, name, shelf)
    size = _size(stored, bits)
    need = _need(stored, size)
    _enough(stored, most(stored, bits), free())
    lock = settings.cache / "downloads" / f"{shelf.folder(name).name}.lock"

    async def waiting() -> None:
        await progress(f"another process is making {name}; waiting for it")

    shelf.root.mkdir(parents=True, exist_ok=True)
    async with held(lock, waiting):
        check(stored, bits, name, shelf)
        shelf.sweep_of(name)
        room(shelf.root, size + 64 * _MIB, name)
        work = shelf.begin(name)
        try:
            made = await _made(stored, bits, work, progress, need, settings)
            before, after = await _measured(engine_for, {stored.name: stored.path, name: work}, progress)
            took = round(time.monotonic() - started, 2)
            facts = {"bits": bits, "method": made["method"], "before": asdict(before), "after": asdict(after)}
            await progress(f"storing {name}")
            await asyncio.to_thread(shelf.finish, work, _manifest(stored, name, facts, took))
        except OSError as error:
            raise full_disk(error, shelf.root) from error
        except child.Refused as error:
            raise Failed(f"{stored.name!r} was not quantized: {error}. It is as it was; nothing was stored.") from error
        finally:
            await asyncio.to_thread(shutil.rmtree, work, True)
    return Quantized(name, stored.name, bits, made["method"], before, after, str(shelf.folder(name)), took)


def named(stored: Stored, bits: int, output: str | None) -> str:
    """The new model's name."""
    return output or f"{stored.name}-{bits}bit"


def check(stored: Stored, bits: int, name: str, shelf: Shelf) -> None:
    """Refuses what cannot be quantized, or not under that name (`UserError`)."""
    if bits not in _SHARE:
        raise UserError(f"bits must be 8 or 4, and is {bits}; nothing was changed")
    if stored.kind != "causal":
        raise UserError(
            f"{stored.name!r} is a model of kind {stored.kind!r}; models that write text can be quantized. "
            "Nothing was changed"
        )
    if is_private(stored):
        raise UserError(
            f"{stored.name!r} is private, and what is made of it would not be; nothing was changed. First:"
            f" agentos private model {stored.name} --off"
        )
    said = json.loads((stored.path / "config.json").read_text("utf-8"))
    if stored.quantized or "quantization_config" in said:
        of = f"; quantize {stored.base!r}, which it came from" if stored.base else ""
        raise UserError(f"{stored.name!r} is quantized already, and was left as it is{of}")
    if shelf.get(name) is not None or name in catalog() or shelf.folder(name).exists():
        raise UserError(f"there is a model {name!r} already; it was left as it is. Give another name: --output NAME")


def _size(stored: Stored, bits: int) -> int:
    """Bytes that the new weights take: embedding and head a byte a weight, layers as many bits as asked for."""
    said: dict[str, Any] = json.loads((stored.path / "config.json").read_text("utf-8"))
    matrices = 1 if said.get("tie_word_embeddings") else 2
    table = min(stored.parameters, int(said.get("vocab_size") or 0) * int(said.get("hidden_size") or 0) * matrices)
    return int(_SHARE[8] * table + _SHARE[bits] * (stored.parameters - table))


def _need(stored: Stored, size: int) -> int:
    """Bytes of memory that the process which quantizes takes: the result, and one tensor in several forms."""
    said: dict[str, Any] = json.loads((stored.path / "config.json").read_text("utf-8"))
    width = int(said.get("hidden_size") or 0)
    largest = width * max(int(said.get("vocab_size") or 0), int(said.get("intermediate_size") or 0), width)
    return _RUNTIME + 2 * size + 20 * largest


def most(stored: Stored, bits: int) -> int:
    """Bytes of memory that it takes: quantizing, then measuring both at once."""
    return max(_need(stored, _size(stored, bits)), 2 * memory.need(stored, "transformers", _CONTEXT).host)


def _enough(stored: Stored, need: int, free: int) -> None:
    """Refuses before a byte is written what memory does not suffice for."""
    if need > free:
        raise Failed(
            f"quantizing {stored.name!r} and measuring it takes {show_bytes(need)} of memory and this machine can give "
            f"{show_bytes(free)}; nothing was changed. Unload other models (agentos ps shows them), then ask again."
        )


async def _made(  # noqa: PLR0917
    stored: Stored, bits: int, work: Path, progress: Progress, need: int, settings: Settings
) -> dict[str, Any]:
    seconds = 600 + stored.parameters / 1_000_000
    return await child.quantize(
        stored.path, work, bits, progress, stored.name, memory=need, seconds=seconds, threads=settings.threads
    )


def _manifest(stored: Stored, name: str, facts: dict[str, Any], seconds: float) -> dict[str, Any]:
    return {
        "name": name, "description": f"{stored.name} in {facts['bits']} bits", "licence": stored.licence,
        "kind": stored.kind, "parameters": stored.parameters, "context": stored.context,
        "source": f"{stored.name}, quantized here", "download": 0, "sha256": stored.sha256, "pinned": stored.pinned,
        "seconds": seconds, "base": stored.name, "quantized": facts,
    }


async def _measured(
    engine_for: Callable[[str], Engine], paths: dict[str, Path], progress: Progress
) -> list[Measured]:
    """Models as they are, each in an engine of its own: size, memory once it has answered, speed, perplexity.

    They write by turns: what else the machine does meanwhile slows all of them alike.
    """
    text, steps, done = sample(), 2 * len(paths) + _ROUNDS, 0
    engines: dict[str, Engine] = {}
    gaps: dict[str, list[float]] = {name: [] for name in paths}
    surprise: dict[str, float] = {}
    try:
        for name, path in paths.items():
            await progress(f"measuring {name}: loading it", done, steps)
            engines[name] = engine_for("transformers")
            await engines[name].load(ModelSpec(name, path, "auto", _CONTEXT))
            done += 1
        for number in range(_ROUNDS):
            await progress(f"measuring {' and '.join(paths)}: how fast they write", done, steps)
            for name, engine in engines.items():
                gaps[name] += await _gaps(engine, f"speed-{number}", text[:_BEGINNING])
            done += 1
        for name, engine in engines.items():
            await progress(f"measuring {name}: how well it foretells a text", done, steps)
            surprise[name] = await cast(_Foretelling, engine).perplexity(text)
            done += 1
        return [
            Measured(_weights(path), engines[name].memory(), round(1 / statistics.median(gaps[name]), 2),
                     round(surprise[name], 4))
            for name, path in paths.items()
        ]
    finally:
        for engine in engines.values():
            await engine.unload()


def _weights(path: Path) -> int:
    return sum(file.stat().st_size for file in path.glob("*.safetensors"))


async def _gaps(engine: Engine, ident: str, beginning: str) -> list[float]:
    """Seconds from each token to the next; of an answer too short to have any, what a token took."""
    answer = cast(AsyncGenerator[Token | Completed, None], engine.generate(
        Generation(ident, Prompt(beginning), _TOKENS)
    ))
    times = [time.perf_counter()]
    async with aclosing(answer):
        async for item in answer:
            if isinstance(item, Token):
                times.append(time.perf_counter())
            elif len(times) < 4:
                return [(time.perf_counter() - times[0]) / max(1, item.tokens)]
    return [max(after - before, 1e-9) for before, after in pairwise(times[1:])]
