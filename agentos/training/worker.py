"""The process that trains: `python -m agentos.training.worker RUN_FOLDER`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from agentos.errors import AgentosError, UserError
from agentos.training import checks, trackers
from agentos.training.events import Journal, peak, write_atomically
from agentos.training.spec import MODEL, RESULT, RunSpec, read

STOPPED = 143
"""Exit code of a run that was told to stop and can be gone on with."""


def main(arguments: list[str]) -> int:
    """Runs the run in a folder, from where it was left; gives the exit code.

    Args:
        arguments: The folder; for the further processes of a run also their number and the port they meet at.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    folder = Path(arguments[0])
    rank, port = (int(arguments[1]), int(arguments[2])) if len(arguments) > 2 else (0, 0)
    try:
        spec = read(folder)
        if rank == 0 and finished(folder, spec):
            print("this run has ended already; its model is as it was", flush=True)
            return 0
        return _run(folder, spec, rank, port)
    except AgentosError as error:
        return _fail(folder, rank, "user" if isinstance(error, UserError) else "failed", str(error))
    except BaseException as error:
        from agentos.engines.footprint import exhausted

        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        traceback.print_exc()
        if exhausted(error):
            return _fail(
                folder, rank, "failed", "memory ran out before the first update; no model was written. Choose lora, "
                "a smaller model, or a machine with more memory",
            )
        return _fail(folder, rank, "failed", f"training broke off: {error!r}. No model was written; the log has more")


def finished(folder: Path, spec: RunSpec) -> bool:
    """Whether a run's result says that it went as far as its manifest asks."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads((folder / RESULT).read_text("utf-8"))
        if "error" in said or not (folder / MODEL).is_dir():
            return False
        return bool(said["complete"]) or said.get("limit") == spec.limit
    return False


def _fail(folder: Path, rank: int, kind: str, message: str) -> int:
    print(f"agentos: {message}", file=sys.stderr, flush=True)
    if rank == 0:
        with contextlib.suppress(OSError):
            write_atomically(folder / RESULT, json.dumps({"error": {"kind": kind, "message": message}}))
    return 2 if kind == "user" else 1


def _run(folder: Path, spec: RunSpec, rank: int, port: int) -> int:
    trackers.check(spec.trackers)
    found = checks.check(spec, folder)
    import torch

    from agentos.training.started import processes

    torch.set_num_threads(spec.threads or max(1, len(os.sched_getaffinity(0)) // spec.processes))
    torch.set_flush_denormal(True)
    _hush()
    if torch.cuda.is_available():
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cuda.matmul.allow_tf32 = True
    journal = Journal(folder, spec, quiet=rank > 0)
    try:
        with processes(spec, folder, rank, port) as group:
            code = _train(folder, spec, journal, group, found)
    except BaseException:
        journal.close(failed=True)
        raise
    journal.close(failed=code not in (0, STOPPED))
    return code


def _hush() -> None:
    """Leaves what is printed to the run's own lines."""
    from transformers.utils import logging as told

    logging: Any = told
    logging.disable_progress_bar()
    logging.set_verbosity_error()


def _train(folder: Path, spec: RunSpec, journal: Journal, group: Any, found: list[str]) -> int:
    import torch

    from agentos.training import building, estimate, saving
    from agentos.training.checkpoint import Checkpoints
    from agentos.training.loop import Loop, Parts, Stopped
    from agentos.training.optimizer import Optimizer

    place = building.device(group.rank, group.size)
    started = time.monotonic()
    built = building.build(spec, folder, place)

    def memory() -> int:
        return int(torch.cuda.max_memory_allocated()) if place.type == "cuda" else peak()

    def again() -> dict[str, Any]:
        return building.build(spec, folder, place).method.weights()

    table = building.table(built, group.size)
    optimizer = Optimizer(built.method.named(), built.rate, spec.decay, table)
    loop = Loop(Parts(
        spec, built.corpus, built.objective, built.method, optimizer, group, journal, Checkpoints(folder), memory,
        again, not built.plan.packed, built.budget,
    ))
    for sign in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError):  # only a process's first thread may listen
            signal.signal(sign, lambda *_: loop.stop())
    if not loop.resume():
        if group.first:
            loop.progress.estimate = estimate.plain(estimate.of_loop(spec, folder, built, loop))
        journal.event(
            "start", step=0, steps=loop.target, estimate=loop.progress.estimate, rate=built.rate, device=place.type,
            packed=built.plan.packed, half=built.plan.half,
            text=f"{len(built.corpus.train)} rows to learn from, {len(built.corpus.held)} held out",
        )
        loop.progress.notes += [*found, *built.corpus.notes]
        for note in loop.progress.notes:
            journal.event("note", step=0, text=note)
    try:
        done = loop.run()
    except Stopped:
        return STOPPED
    if not group.first:
        return 0
    told = loop.measure() if built.corpus.held else None
    taken = memory()
    result = {
        "metrics": told.metrics if told else {},
        "seconds": done.seconds, "memory": taken, "steps": done.update, "tokens": done.tokens,
        "tokens_per_second": done.tokens / max(done.seconds, 1e-9),
        "padding_share": 1 - done.tokens / max(done.slots, 1),
        "notes": done.notes, "held_out": len(built.corpus.held), "held_hash": built.corpus.held_hash,
        "loss": done.loss, "best_step": done.best_update or done.update, "labels": list(built.corpus.labels),
        "predictions": saving.save_held_out(told, folder) if told else "",
        "estimate": done.estimate, "device": place.type, "setup_seconds": time.monotonic() - started
        - done.seconds, "limit": spec.limit, "complete": done.over or done.update >= loop.total,
        "learning_rate": built.rate, "parameters": built.parameters,
    }
    result["model_kind"] = saving.save_model(built, spec, folder)
    estimate.remember(spec, folder, place.type, done.tokens / max(done.seconds, 1e-9), taken)
    write_atomically(folder / RESULT, json.dumps(result, ensure_ascii=False))
    if result["complete"]:
        Checkpoints(folder).clear()
    journal.event(
        "end", step=done.update, steps=loop.target, loss=done.loss, metric=told.metrics if told else None,
        text=f"done in {done.seconds:.0f}s: {done.update} updates, {result['tokens_per_second']:,.0f} tokens/s",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
