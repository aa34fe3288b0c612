"""`models.quantize` on real models, in real processes: what comes to be, what is refused, what is left of a failure."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from agentos import config
from agentos.engines.host import ChildEngine
from agentos.engines.make import maker
from agentos.errors import Failed, NotFound, UserError
from agentos.models import quantize as module
from agentos.models.quantize import quantize, sample
from agentos.models.service import ModelService
from agentos.models.shelf import Shelf, Stored, read_manifest
from agentos.policy.trash import TrashCan
from agentos.store import Store
from agentos.types import Completed, Engine, Generation, ModelSpec, Prompt, Quantized

Tell = tuple[str, float | None, float | None, str]


@pytest.fixture
def settings(tmp_path: Path) -> config.Settings:
    return replace(config.load({"AGENTOS_HOME": str(tmp_path / "home")}), threads=1, context=1024)


@pytest.fixture
def llama(tiny_models: dict[str, Path]) -> Path:
    return tiny_models["llama"]


@pytest.fixture
def shelf(settings: config.Settings) -> Shelf:
    return Shelf(settings.models)


def _store(shelf: Shelf, folder: Path, name: str = "tiny", **facts: object) -> Stored:
    work = shelf.begin(name)
    shutil.copytree(folder, work, dirs_exist_ok=True)
    given = {"name": name, "description": "", "licence": "Apache-2.0", "kind": "causal", "parameters": 120_000,
             "context": 4096, "source": "here", "download": 0, "sha256": "0" * 64, "pinned": False, "seconds": 0.0}
    return shelf.finish(work, {**given, **facts})


class Told:
    """A progress that keeps what it is told, and can act on it."""

    def __init__(self, act: Callable[[str], None] = lambda _message: None) -> None:
        self.lines: list[Tell] = []
        self._act = act

    async def __call__(
        self, message: str, done: float | None = None, total: float | None = None, unit: str = ""
    ) -> None:
        self.lines.append((message, done, total, unit))
        self._act(message)


def _engine(name: str) -> Engine:
    return ChildEngine(name, threads=1)


async def _quantize(
    stored: Stored, bits: int, shelf: Shelf, settings: config.Settings, told: Told | None = None, **more: object
) -> Quantized:
    output = more.pop("output", None)
    return await quantize(stored, bits, output, shelf, settings, told or Told(), _engine, **more)  # type: ignore[arg-type]


def _left(shelf: Shelf) -> set[str]:
    return {path.name for path in shelf.root.iterdir()}


@pytest.mark.parametrize("bits", [8, 4])
async def test_a_quantized_model_is_smaller_answers_and_says_what_it_lost(
    tiny: Path, shelf: Shelf, settings: config.Settings, bits: int
) -> None:
    base, told = _store(shelf, tiny), Told()
    made = await _quantize(base, bits, shelf, settings, told)
    assert (made.model, made.base, made.bits) == (f"tiny-{bits}bit", "tiny", bits)
    assert made.after.size < (0.65 if bits == 8 else 0.6) * made.before.size
    assert made.after.perplexity == pytest.approx(made.before.perplexity, rel=0.03 if bits == 8 else 0.5)
    assert made.before.perplexity > 10 and made.after.tokens_per_second > 0 and made.after.memory > 50e6
    stored = shelf.get(made.model)
    assert stored is not None and stored.base == "tiny" and stored.quantized is not None
    assert stored.quantized["bits"] == bits and stored.quantized["after"]["perplexity"] == made.after.perplexity
    assert _left(shelf) == {"tiny", made.model}
    stages = {message.split(":")[0] for message, *_ in told.lines}
    both = f"measuring tiny and {made.model}"
    assert {"quantizing tiny", "measuring tiny", f"measuring {made.model}", both} <= stages
    counted = [(done, total) for message, done, total, unit in told.lines if unit == "B"]
    assert counted and counted[-1][0] == pytest.approx(counted[-1][1], rel=0.05)

    engine = _engine("transformers")
    try:
        loaded = await engine.load(ModelSpec(made.model, stored.path, "cpu", 512))
        assert loaded.dtype == f"int{bits}"
        items = [item async for item in engine.generate(Generation("1", Prompt("def main"), 12))]
    finally:
        await engine.unload()
    assert isinstance(items[-1], Completed) and items[-1].tokens == 12 and items[-1].text


async def test_a_grammar_holds_a_quantized_model_as_any_other(
    llama: Path, shelf: Shelf, settings: config.Settings
) -> None:
    made = await _quantize(_store(shelf, llama), 4, shelf, settings)
    engine = _engine("transformers")
    try:
        await engine.load(ModelSpec(made.model, Path(made.path), "cpu", 512))
        request = Generation("1", Prompt("say:"), 20, grammar='start: "yes" | "no"')
        items = [item async for item in engine.generate(request)]
    finally:
        await engine.unload()
    assert isinstance(items[-1], Completed) and items[-1].text in {"yes", "no"}


async def test_nothing_on_disk_is_a_pickle_and_the_hash_of_the_weights_is_kept(
    llama: Path, shelf: Shelf, settings: config.Settings
) -> None:
    made = await _quantize(_store(shelf, llama), 8, shelf, settings)
    files = {path.name for path in Path(made.path).iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "model.json"} <= files
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    stored = shelf.get(made.model)
    assert stored is not None and set(stored.weights) == {"model.safetensors"}


@pytest.mark.parametrize(("facts", "bits", "output", "said"), [
    ({"kind": "embedding"}, 8, None, "kind 'embedding'"),
    ({}, 5, None, "bits must be 8 or 4"),
    ({}, 8, "tiny", "already"),
    ({}, 8, "smollm2-135m", "already"),
    ({}, 8, "../out", "cannot be a model's name"),
    ({"base": "other", "quantized": {"bits": 8}}, 4, None, "quantize 'other'"),
])
async def test_what_cannot_be_is_refused_before_anything_is_done(  # noqa: PLR0917
    llama: Path, shelf: Shelf, settings: config.Settings, facts: dict[str, object], bits: int, output: str | None,
    said: str,
) -> None:
    base, told = _store(shelf, llama, **facts), Told()
    with pytest.raises(UserError, match=said):
        await _quantize(base, bits, shelf, settings, told, output=output)
    assert _left(shelf) == {"tiny"} and told.lines == []


async def test_a_quantized_model_is_not_quantized_again(llama: Path, shelf: Shelf, settings: config.Settings) -> None:
    made = await _quantize(_store(shelf, llama), 8, shelf, settings)
    stored = shelf.get(made.model)
    assert stored is not None
    with pytest.raises(UserError, match="already"):
        await _quantize(stored, 4, shelf, settings)
    assert _left(shelf) == {"tiny", made.model}


async def test_too_little_memory_is_refused_with_the_numbers(
    llama: Path, shelf: Shelf, settings: config.Settings
) -> None:
    base = _store(shelf, llama)
    with pytest.raises(Failed, match=r"GiB of memory and this machine can give 100.0 MiB"):
        await _quantize(base, 8, shelf, settings, free=lambda: 100 << 20)
    assert _left(shelf) == {"tiny"}


async def test_too_little_disk_is_refused_with_the_numbers(
    llama: Path, shelf: Shelf, settings: config.Settings
) -> None:
    free = shutil.disk_usage(llama).free
    base = _store(shelf, llama, parameters=free)
    with pytest.raises(Failed, match=r"on disk and .* free"):
        await _quantize(base, 8, shelf, settings, free=lambda: 1 << 60)
    assert _left(shelf) == {"tiny"}


async def test_a_model_built_in_another_way_is_refused_and_nothing_is_left(
    llama: Path, shelf: Shelf, settings: config.Settings, tmp_path: Path
) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    other = tmp_path / "gpt2"
    GPT2LMHeadModel(GPT2Config(n_embd=64, n_layer=1, n_head=2, vocab_size=600)).save_pretrained(other)
    shutil.copyfile(llama / "tokenizer.json", other / "tokenizer.json")
    with pytest.raises(Failed, match=r"gpt2.* cannot be quantized"):
        await _quantize(_store(shelf, other, "other"), 8, shelf, settings)
    assert _left(shelf) == {"other"}


def _children(of: str) -> set[psutil.Process]:
    found = set()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # other tests' processes come and go
            if of in " ".join(child.cmdline()):
                found.add(child)
    return found


async def test_a_process_that_is_killed_while_it_quantizes_leaves_nothing(
    llama: Path, shelf: Shelf, settings: config.Settings
) -> None:
    def kill(message: str) -> None:
        if message.startswith("quantizing"):
            for process in _children("agentos.engines.quantizing"):
                os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(Failed, match="SIGKILL"):
        await _quantize(_store(shelf, llama), 8, shelf, settings, Told(kill))
    assert _left(shelf) == {"tiny"}
    assert (await _quantize(_known(shelf), 8, shelf, settings)).model == "tiny-8bit"


def _known(shelf: Shelf) -> Stored:
    stored = shelf.get("tiny")
    assert stored is not None
    return stored


@pytest.mark.parametrize("stage", ["quantizing tiny", "measuring tiny-8bit"])
async def test_who_gives_up_midway_leaves_neither_files_nor_processes(
    llama: Path, shelf: Shelf, settings: config.Settings, stage: str
) -> None:
    reached, before = asyncio.Event(), _children("agentos.engines.")

    def act(message: str) -> None:
        if message.startswith(stage):
            reached.set()

    task = asyncio.create_task(_quantize(_store(shelf, llama), 8, shelf, settings, Told(act)))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _left(shelf) == {"tiny"}
    assert _children("agentos.engines.") <= before


async def test_what_a_killed_system_left_is_swept_by_the_next_try(
    llama: Path, shelf: Shelf, settings: config.Settings
) -> None:
    base = _store(shelf, llama)
    (shelf.begin("tiny-8bit") / "model.safetensors").write_bytes(b"half")
    assert len(_left(shelf)) == 2 and [item.name for item in shelf.all()] == ["tiny"]
    await _quantize(base, 8, shelf, settings)
    assert _left(shelf) == {"tiny", "tiny-8bit"}


async def test_two_that_make_the_same_model_make_it_once(llama: Path, shelf: Shelf, settings: config.Settings) -> None:
    base = _store(shelf, llama)
    made = await asyncio.gather(*(_quantize(base, 8, shelf, settings) for _ in range(2)), return_exceptions=True)
    kinds = sorted(type(item).__name__ for item in made)
    assert kinds == ["Quantized", "UserError"]
    assert _left(shelf) == {"tiny", "tiny-8bit"}


def test_a_manifest_from_before_there_were_quantized_models_is_read(
    llama: Path, shelf: Shelf
) -> None:
    stored = _store(shelf, llama)
    manifest = json.loads((stored.path / "model.json").read_text("utf-8"))
    for fact in ("base", "quantized"):
        del manifest[fact]
    (stored.path / "model.json").write_text(json.dumps(manifest), "utf-8")
    read = read_manifest(stored.path)
    assert read is not None and read.quantized is None and read.base == ""


def test_the_sample_has_english_chinese_and_code() -> None:
    text = sample()
    assert 4000 < len(text.encode()) < 10_000
    assert "ferry" in text and "操作系统" in text and "def moving_average" in text


def test_importing_it_loads_no_torch() -> None:
    import subprocess
    import sys

    ask = f"import sys, {module.__name__}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", ask], check=False).returncode == 0


@pytest.mark.model
async def test_a_real_model_in_8_and_4_bits_answers_and_loses_little(home: config.Settings) -> None:
    store = Store(home.database)
    make = maker(home)
    service = ModelService(home, store, make, TrashCan(store, home))
    shelf = Shelf(home.models)
    try:
        await service.pull("smollm2-135m")
        base = shelf.get("smollm2-135m")
        assert base is not None
        for bits, most in ((8, 1.03), (4, 1.05)):
            made = await quantize(base, bits, None, shelf, home, Told(), make)
            assert made.after.perplexity < most * made.before.perplexity
            assert made.after.memory < made.before.memory and made.after.size < 0.55 * made.before.size
            card = service.card(made.model)
            assert card.base == "smollm2-135m" and isinstance(card.quantized, dict)
            await service.load(made.model, keep_alive="1m")
            await service.unload(made.model)
        with pytest.raises(NotFound):
            service.card("smollm2-135m-2bit")
    finally:
        await service.close()
        make.close()
        store.close()
