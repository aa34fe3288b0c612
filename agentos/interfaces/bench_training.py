"""`agentos bench --only training`: useful tokens a second against the Hugging Face Trainer, taking turns; and LoRA.

A useful token is one that is no padding. Trainer gets its default configuration and its best: rows grouped by length,
the fused optimizer, bf16 where the machine is faster so, and as many rows an update as ours or more. Every way
trains one whole epoch over the same rows in a process of its own, evaluates nothing and saves nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from agentos.config import Settings
from agentos.datasets.beside import aside
from agentos.errors import Failed, NotFound
from agentos.training.spec import RESULT, RunSpec

MODEL, WRITER = "all-minilm-l6", "qwen2.5-coder-0.5b"
ROWS = 512
"""Rows of the epoch."""
WRITTEN = 48
"""Rows that LoRA learns to write."""
ROUNDS = 3
_LARGE = 128
_BEST = {"train_sampling_strategy": "group_by_length", "optim": "adamw_torch_fused", "logging_steps": 10_000}


def measure(settings: Settings, data: Path | None = None) -> dict[str, Any]:
    """Tokens a second of each way, and ratios of their medians.

    Args:
        settings: Where models lie, and how many threads there are.
        data: A file with texts and labels; the sentences of the suite of plans, by their kind, where None.

    Raises:
        NotFound: a model is not stored.
        Failed: a way broke off.
    """
    for name in (MODEL, WRITER):
        if not (settings.models / name / "config.json").is_file():
            raise NotFound(f"{name!r} is measured here and is not stored: agentos call models.pull --model {name}")
    threads = settings.threads or len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="agentos-bench-") as kept:
        work = Path(kept)
        rows = _rows(data, work)
        figures: dict[str, Any] = {
            "model": MODEL, "data": data.name if data else "plans", "rows": len(rows), "rounds": ROUNDS,
            "load": [round(load, 1) for load in os.getloadavg()], "limit": _limits(threads),
        }
        figures |= _against_trainer(settings.models / MODEL, _write(work / "rows.parquet", rows), work, threads)
        figures["lora"] = _lora(settings.models / WRITER, rows, work, threads, figures["limit"])
    return figures


def _rows(data: Path | None, work: Path) -> list[tuple[str, str]]:
    """Texts and labels, a seeded sample."""
    if data is None:
        from agentos.kernel.evaluation import load_suite
        from agentos.registry import installed

        found = [(case.text, case.kind) for case in load_suite("plans", installed()).cases]
    else:
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

        from agentos.datasets import reading

        built = asyncio.run(aside(_tell, lambda tell: reading.store(data, work, tell)))
        if not built.facts.text or not built.facts.label:
            raise Failed(f"{str(data)!r} has no text with labels; nothing was measured")
        table = pq.read_table(built.path)
        texts, labels = (table[name].to_pylist() for name in (built.facts.text[0], built.facts.label))
        found = [(str(text or ""), str(label)) for text, label in zip(texts, labels, strict=True)]
    random.Random(0).shuffle(found)
    return found[:ROWS]


async def _tell(message: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
    """Says nothing."""


def _write(path: Path, rows: list[tuple[str, str]]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": [row[0] for row in rows], "label": [row[1] for row in rows]}), path)
    return path


def _limits(threads: int) -> dict[str, float]:
    """GFLOP/s of a square product, by what it is made in: the best of several."""
    code = (
        "import json, sys, time, torch\n"
        "torch.set_num_threads(int(sys.argv[1]))\n"
        "found = {}\n"
        "for dtype in (torch.float32, torch.bfloat16):\n"
        "    a, b = (torch.randn(2048, 2048).to(dtype) for _ in range(2))\n"
        "    took = []\n"
        "    for _ in range(6):\n"
        "        began = time.perf_counter(); a @ b; took.append(time.perf_counter() - began)\n"
        "        if sum(took) > 8: break\n"
        "    found[str(dtype)[6:]] = round(2 * 2048**3 / min(took) / 1e9, 1)\n"
        "print(json.dumps(found))\n"
    )
    return dict(json.loads(_process([sys.executable, "-c", code, str(threads)])))


def _process(command: list[str]) -> str:
    # as jobs run: threads that wait give their core away soon
    done = subprocess.run(
        command, env={**os.environ, "GOMP_SPINCOUNT": "1000"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"a way broke off: {done.stderr[-1500:]}")
    return done.stdout.strip().splitlines()[-1]


def _spec(base: Path, data: Path, threads: int, **more: Any) -> RunSpec:
    given: dict[str, Any] = {
        "run": "bench", "kind": "finetune", "model": "bench", "data": "bench", "data_path": str(data), "data_hash": "",
        "text": ("text",), "label": "label", "base": base.name, "base_path": str(base), "method": "full", "epochs": 1,
        "held_out": 0.0, "patience": 0, "threads": threads, "learning_rate": 5e-5, "decay": 0.0, "warmup": 0.0,
    }
    return RunSpec(**{**given, **more})


def _folder(spec: RunSpec, work: Path) -> Path:
    folder = Path(tempfile.mkdtemp(dir=work)) / spec.run
    folder.mkdir()
    spec.save(folder)
    return folder


def _ours(spec: RunSpec, work: Path) -> dict[str, Any]:
    """What our own worker says of a run; in a folder of its own, so that nothing is remembered."""
    folder = _folder(spec, work)
    _process([sys.executable, "-m", "agentos.training.worker", str(folder)])
    result: dict[str, Any] = json.loads((folder / RESULT).read_text("utf-8"))
    result["half"] = json.loads((folder / "plan.json").read_text("utf-8"))["half"]
    return result


def _against_trainer(base: Path, data: Path, work: Path, threads: int) -> dict[str, Any]:
    spec = _spec(base, data, threads)
    half = bool(_ours(dataclasses.replace(spec, limit={"stop_after": 1}), work)["half"])
    best = {**_BEST, "bf16": half}
    ways: dict[str, Any] = {
        "ours_32": {}, "ours_128": {"rows": _LARGE},
        "trainer_default": {"logging_steps": 10_000},
        "trainer_32": {**best, "per_device_train_batch_size": 32},
        "trainer_128": {**best, "per_device_train_batch_size": _LARGE},
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS):
        for name, given in list(ways.items())[:: 1 if turn % 2 else -1]:
            if name.startswith("ours"):
                said = _ours(dataclasses.replace(spec, **given), work)
            else:
                folder = _folder(spec, work)
                command = [sys.executable, "-m", "agentos.training.trainer", str(folder), json.dumps(given)]
                said = json.loads(_process(command))
            took[name].append(said["tokens"] / said["seconds"])
            print(f"{name}: {took[name][-1]:,.0f} tokens/s", file=sys.stderr, flush=True)
    middle = {name: statistics.median(several) for name, several in took.items()}
    ours = max(middle["ours_32"], middle["ours_128"])
    return {
        "half": half, "tokens_s": {name: [round(one) for one in several] for name, several in took.items()},
        "of_default": round(ours / middle["trainer_default"], 2),
        "of_best": round(ours / max(middle["trainer_32"], middle["trainer_128"]), 2),
        "of_default_at_32": round(middle["ours_32"] / middle["trainer_default"], 2),
        "of_best_at_32": round(middle["ours_32"] / middle["trainer_32"], 2),
        "median_tokens_s": {name: round(one) for name, one in middle.items()},
    }


def _lora(base: Path, rows: list[tuple[str, str]], work: Path, threads: int, limit: dict[str, float]) -> dict[str, Any]:
    """LoRA of rank 16 over every linear layer of the writer, learning short texts."""
    data = _write(work / "written.parquet", rows[:WRITTEN])
    spec = _spec(base, data, threads, label=None, task="causal-lm", method="lora", rows=16, learning_rate=2e-4)
    began = time.perf_counter()
    said = _ours(spec, work)
    # a product forward and one for the gradient of what went in; the weights themselves have none
    needed = 4 * said["parameters"]
    speed = said["tokens"] / said["seconds"]
    most = max(limit.values()) * 1e9 / needed
    return {
        "model": base.name, "tokens_s": round(speed, 1), "limit_tokens_s": round(most, 1),
        "of_limit": round(speed / most, 2), "seconds": round(time.perf_counter() - began, 1), "half": said["half"],
    }


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The part's lines of the table."""
    middle, lora = figures["median_tokens_s"], figures["lora"]
    return [
        ("fine-tuning, 32 rows an update", f"{middle['ours_32']:,} tokens/s",
         f"{figures['of_default_at_32']} of Trainer's default ({middle['trainer_default']:,}), "
         f"{figures['of_best_at_32']} of its best at 32 rows ({middle['trainer_32']:,})"),
        ("fine-tuning, the faster of 32 and 128", f"{max(middle['ours_32'], middle['ours_128']):,} tokens/s",
         f"{figures['of_default']} of Trainer's default, {figures['of_best']} of its best"),
        (f"LoRA on {lora['model']}", f"{lora['tokens_s']} tokens/s",
         f"{lora['of_limit']} of what the machine's products allow ({lora['limit_tokens_s']})"),
    ]
