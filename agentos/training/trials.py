"""A search's trials as the system sees them: each a run and a job of its own. Imports neither torch nor Optuna."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentos.errors import AgentosError, UserError
from agentos.sealing.files import Vault, home_of, is_sealed, source
from agentos.training import checks
from agentos.training.beside import Queue
from agentos.training.data import hold_out
from agentos.training.data import read as rows_of
from agentos.training.mailbox import BEST, Mailbox
from agentos.training.records import OPEN, Record, Records
from agentos.training.spec import MODEL, RunSpec, read

_SIDE = 4
"""Trials side by side on one machine's processor, at most: each has its own copy of the model."""
_ROWS = "rows.parquet"
"""What trials learn from and are measured on: all rows but those that the best one is measured on in the end."""

Begin = Callable[[RunSpec, str, str, str], Awaitable[Record]]
"""Makes a run and its job of a manifest: with the call that it is for, whose it is, and what kind of run it is."""


def side(cores: int, gpus: int, memory: int) -> int:
    """How many trials run side by side.

    Args:
        cores: That there are.
        gpus: That there are; each has one trial.
        memory: Bytes that one trial is thought to take.
    """
    import psutil

    if gpus:
        return gpus
    room = int(psutil.virtual_memory().available * 0.8 / max(memory, 1))
    return max(1, min(cores, _SIDE, room))


def prepare(spec: RunSpec, folder: Path) -> None:
    """Sets the rows aside that no trial may see, and looks whether what is left can be learned from.

    Raises:
        UserError: it cannot.
    """
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    raw = rows_of(spec.data_path, spec.text, spec.label)
    learned, _held = hold_out(raw, spec.held_out, spec.seed)
    part = folder / f"{_ROWS}.part"
    with source(data := Path(spec.data_path)) as where:
        pq.write_table(pq.read_table(where).take(learned), part)
    if is_sealed(data):
        Vault(home_of(data)).seal(part, part)
    os.replace(part, folder / _ROWS)
    try:
        checks.check(of(spec, folder, "0", {}), folder)
    except UserError as error:
        raise UserError(f"of the rows that trials may see: {error}") from error


def of(spec: RunSpec, folder: Path, trial: str, settings: dict[str, Any]) -> RunSpec:
    """A trial's manifest."""
    made = replace(spec, kind="finetune", limit={}, **settings)
    if trial == BEST:
        return replace(made, data_path=str(folder / "data.parquet"))
    return replace(
        made, data_path=str(folder / _ROWS), data_hash=f"{spec.data_hash} less what is held out",
        model=f"{spec.model}-trial{int(trial) + 1}", threads=max(1, spec.threads // int(str(spec.limit["side"]))),
    )


class Trials:
    """Answers what searches' processes ask for."""

    def __init__(self, root: Path, records: Records, jobs: Queue, begin: Begin) -> None:
        """Over the folder of all runs."""
        self._root, self._records, self._jobs, self._begin = root, records, jobs, begin

    def made(self, search: Record, trial: str) -> Record | None:
        """The run that a trial became."""
        return self._records.of_call(_call(search, trial))

    async def attend(self, search: Record) -> None:
        """One look: begins what is asked for, stops what need not go on, tells what has ended."""
        folder = self._root / search.run
        box = Mailbox(folder)
        for trial, settings in (await asyncio.to_thread(box.asked)).items():
            if box.end(trial) is not None:
                continue
            made = self.made(search, trial)
            if made is None:
                if box.stopped(trial):
                    continue
                kind = "finetune" if trial == BEST else "trial"
                spec = of(await asyncio.to_thread(read, folder), folder, trial, settings)
                try:
                    made = await self._begin(spec, _call(search, trial), search.user, kind)
                except AgentosError as error:
                    box.ended(trial, "failed", str(error))
                    continue
            if not box.run(trial):
                box.begun(trial, made.run)
            if made.state in OPEN:
                if box.stopped(trial):
                    await self._cancel(made, search.user)
                continue
            if trial != BEST:
                await asyncio.to_thread(_lighten, self._root / made.run)
            box.ended(trial, made.state, str((made.summary.get("error") or {}).get("message", "")))

    async def stop(self, search: Record) -> None:
        """Ends all that a search has begun and that has not ended."""
        for trial in Mailbox(self._root / search.run).asked():
            made = self.made(search, trial)
            if made is not None and made.state in OPEN:
                await self._cancel(made, search.user)

    async def _cancel(self, made: Record, user: str) -> None:
        with contextlib.suppress(UserError):  # it has ended by itself
            if made.job:
                await self._jobs.cancel(made.job, user)


def _call(search: Record, trial: str) -> str:
    return f"search-{search.number}.{trial}"


def _lighten(folder: Path) -> None:
    """Lets a trial's weights go: what it told stays."""
    for name in (MODEL, "checkpoints"):
        shutil.rmtree(folder / name, ignore_errors=True)
