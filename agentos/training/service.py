"""`TrainingService`: runs as syscalls see them. Each one is a job, and goes on whoever listens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentos.errors import AgentosError, Failed, NotFound, UserError
from agentos.training import checks, making, trials, views
from agentos.training.beside import Datasets, Listening, ModelStore, Queue
from agentos.training.estimate import estimate
from agentos.training.following import Follower, result_of
from agentos.training.mailbox import BEST
from agentos.training.records import Record, Records
from agentos.training.spec import RESULT, RunSpec, read
from agentos.training.trackers import Trackers
from agentos.training.waiting import follow
from agentos.types import (
    AdapterRequest,
    Base,
    Caller,
    Context,
    DataFile,
    Evaluated,
    FinetuneRequest,
    PretrainRequest,
    Progress,
    RunList,
    SearchRequest,
    Trained,
)
from agentos.types.units import show_seconds

log = logging.getLogger(__name__)
SHOWN = 50
"""Runs in a listing."""
_POLL = 1.0
"""Seconds between two looks whether a job has ended that nobody may be watching."""


class TrainingService:
    """Implements `Training`. A run's folder holds all that it is; its row says what became of it."""

    def __init__(
        self, root: Path, records: Records, *, jobs: Queue, data: Datasets, models: ModelStore,
        room: Callable[[], tuple[int, int]] = lambda: (1, 0), trackers: Trackers | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """A service over the folder `root`.

        Args:
            root: Holds a folder for each run.
            records: What runs there are.
            jobs: Runs them.
            data: What they learn from.
            models: What they begin with, and where what they make goes.
            room: Processor cores and GPUs that a run may have.
            trackers: Where curves are sent besides TensorBoard's files.
            clock: Seconds since the epoch.
        """
        self.root = root
        self._records, self._jobs, self._data, self._models = records, jobs, data, models
        self._room, self._trackers, self._clock = room, trackers or Trackers(), clock
        self._watched: dict[str, asyncio.Task[None]] = {}
        self._trials = trials.Trials(root, records, jobs, self._child)

    async def open(self) -> None:
        """Takes up the runs that were under way when the last system ended; needs a running event loop."""
        for record in self._records.open():
            if record.job:
                self._watch(record)
            else:
                self._records.end(record.run, "failed", {"error": {
                    "kind": "failed", "message": "the system ended before its job was on disk; nothing was trained",
                }})

    async def close(self) -> None:
        """Lets go; the jobs go on, and the next system takes them up."""
        tasks, self._watched = list(self._watched.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def folder(self, run: str) -> Path:
        """Where a run lies."""
        return self.root / run

    def of(self, run: str) -> Path:
        """The folder of a run that there is.

        Raises:
            NotFound: there is no such run.
        """
        return self.folder(self._records.get(run).run)

    async def finetune(self, request: FinetuneRequest, ctx: Context) -> Trained:
        """A stored model, made better at what a data set shows.

        Raises:
            UserError: data, model and task do not go together; nothing was begun.
            Failed: the run did not come to its end; its folder keeps what there is.
        """
        if (made := self._records.of_call(ctx.call)) is None:
            data = await self._data.file(request.dataset, ctx)
            base = await self._base(request.model, ctx.progress)
            spec = making.finetune(request, data, base, self._common(request.processes))
            name = self._models.free(request.output, making.name_for(base.name, data.name))
            made = await self._begin(replace(spec, model=name), ctx)
        return await self._end(made, request.background, ctx)

    async def pretrain(self, request: PretrainRequest, ctx: Context) -> Trained:
        """A model made from nothing on a data set's text.

        Raises:
            UserError: there is nothing to learn from; nothing was begun.
            Failed: the run did not come to its end.
        """
        if (made := self._records.of_call(ctx.call)) is None:
            data = await self._data.file(request.dataset, ctx)
            spec = making.pretrain(request, data, self._common(1))
            name = self._models.free(request.output, making.name_for(f"{request.objective}-{request.size}", data.name))
            made = await self._begin(replace(spec, model=name), ctx)
        return await self._end(made, request.background, ctx)

    async def adapter(self, data: DataFile, model: str, how: AdapterRequest, ctx: Listening) -> Trained:
        """An adapter that reads what many rows share and learns what follows; it lies in the run's folder alone.

        Raises:
            UserError: the base cannot be trained so; nothing was begun.
        """
        if (made := self._records.of_call(ctx.call)) is None:
            base = await self._base(model, ctx.progress)
            spec = making.adapter(data, base, how, self._common(1))
            made = await self._begin(spec, ctx, "kernel")
        return await self._end(made, True, ctx)

    async def search(self, request: SearchRequest, ctx: Context) -> Trained:
        """A stored model made better by whichever of several ways turns out best; each trial is a run and a job.

        Raises:
            UserError: data, model and task do not go together; nothing was begun.
            Failed: no trial came to its end, or the best one could not be made once more.
        """
        if (made := self._records.of_call(ctx.call)) is None:
            data = await self._data.file(request.dataset, ctx)
            base = await self._base(request.model, ctx.progress)
            cores, gpus = self._room()
            spec = making.search(request, data, base, self._common(1), side=1)
            thought = await asyncio.to_thread(estimate, spec, self.root, "cuda" if gpus else "cpu")
            side = trials.side(cores, gpus, thought.memory)
            spec = making.search(request, data, base, self._common(1), side=side)
            await ctx.progress(
                f"{request.trials} trials, {side} at a time: at most about "
                f"{show_seconds(thought.seconds * (request.trials + side))}; trials that fall behind are let go early"
            )
            name = self._models.free(request.output, making.name_for(base.name, data.name))
            made = await self._begin(replace(spec, model=name), ctx)
        return await self._end(made, request.background, ctx)

    async def evaluate(self, model: str, dataset: str, ctx: Context) -> Evaluated:
        """How good a model is on a data set; of one it was trained on, only the rows that were held out are asked.

        Raises:
            UserError: the model cannot be measured on it.
            Failed: the run did not come to its end.
        """
        if (made := self._records.of_call(ctx.call)) is None:
            base = await self._base(model, ctx.progress)
            data = await self._data.file(dataset, ctx)
            maker = next((item for item in self._records.of_model(base.name) if views.made(item, base.name)), None)
            held = None if maker is None else making.held_rows(self.folder(maker.run), data)
            made = await self._begin(making.evaluate(data, base, self._common(1), held), ctx)
        ended = await self._followed(made, ctx.progress)
        earlier = [item for item in self._records.all(None, 500)[0] if item.number < ended.number]
        return await asyncio.to_thread(views.evaluated, ended, self.root, earlier)

    def runs(self, model: str | None) -> RunList:
        """Runs, of one model or all, newest first."""
        found, total = self._records.all(model, SHOWN)
        return RunList([views.row(record, self.folder(record.run), self._clock()) for record in found], total)

    async def again(self, run: str, ctx: Context) -> Trained:
        """Makes a run once more, from its manifest: same data, base, seed and settings.

        Raises:
            NotFound: there is no such run.
            UserError: it measured a model, or its base or data are no longer what they were.
        """
        if (made := self._records.of_call(ctx.call)) is None:
            was = self._records.get(run)
            spec = read(self.folder(was.run))
            if spec.kind not in ("finetune", "pretrain"):
                raise UserError(f"{run!r} was no training; nothing was begun. Make the call itself again")
            if spec.base:
                base = await self._base(spec.base, ctx.progress)
                if base.sha256 != spec.base_hash:
                    raise UserError(f"{spec.base!r} is not the model any more that {run} began with; nothing was begun")
            if not await asyncio.to_thread(Path(spec.data_path).is_file):
                raise UserError(f"the rows of {spec.data!r} that {run} learned from are gone; nothing was begun")
            name = self._models.free(None, spec.model)
            made = await self._begin(replace(spec, model=name, versions=making.versions()), ctx)
        return await self._end(made, False, ctx)

    def events(self, run: str) -> list[dict[str, Any]]:
        """All that a run has told so far.

        Raises:
            NotFound: there is no such run.
        """
        return Follower(self.of(run)).news()

    def maker(self, model: str) -> str | None:
        """Who began the run that made a model, or is making it; None where none did."""
        return next((item.user for item in self._records.of_model(model) if views.makes(item, model)), None)

    def _common(self, processes: int) -> dict[str, Any]:
        cores, gpus = self._room()
        if gpus and processes > gpus:
            raise UserError(f"{processes} processes need as many GPUs, and there are {gpus}; nothing was begun")
        return {"processes": processes, "trackers": self._trackers.names, "threads": max(1, cores // processes),
                "versions": making.versions()}

    async def _base(self, model: str, progress: Progress) -> Base:
        """A model's files, waited for where a run is making it."""
        while (record := self._records.making(model)) is not None:
            await progress(f"waits for {record.run}, which is making {model}")
            await self._followed(record, progress)
        return await self._models.base(model, progress)

    async def _begin(self, spec: RunSpec, ctx: Listening, kind: str = "") -> Record:
        """Looks at the data, says what the run will take, and puts its job on disk."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        gpus = self._room()[1]
        checked = await asyncio.to_thread(checks.check, spec, self.root) if spec.kind != "evaluate" else []
        for note in checked:
            await ctx.progress(note)
        if spec.kind in ("finetune", "pretrain"):
            device = "cuda" if gpus else "cpu"
            thought = await asyncio.to_thread(estimate, spec, self.root, device)
            await ctx.progress(views.foretold(thought))
        return await self._put(spec, kind or spec.kind, ctx.call, ctx.caller)

    async def _child(self, spec: RunSpec, call: str, user: str, kind: str) -> Record:
        """A run that a search asks for."""
        return await self._put(spec, kind, call, Caller(user, "operator"))

    async def _put(self, spec: RunSpec, kind: str, call: str, caller: Caller) -> Record:
        """A run's row, its folder and its job, in that order."""
        record = self._records.begin(
            call, kind, caller.user, model=spec.model, base=spec.base, dataset=spec.data, method=views.method(spec),
        )
        folder = self.folder(record.run)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        cpus, gpus = self._room()
        if spec.kind == "search":  # it waits for others most of its time
            cpus, gpus = 0, 0
        elif kind == "trial":
            cpus = spec.threads
        try:
            spec = replace(spec, run=record.run, data_path=str(making.own_data(spec, folder)))
            spec.save(folder)
            if spec.kind == "search":
                await asyncio.to_thread(trials.prepare, spec, folder)
            env, kept = self._trackers.variables(caller.user)
            asked = replace(making.job(spec, folder, cpus=cpus, gpus=gpus), env=tuple(env), secrets=tuple(kept))
            job = await self._jobs.submit(asked, caller, f"{call}.job")
        except (AgentosError, OSError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            self._records.end(record.run, "failed", {"error": {"kind": "failed", "message": str(error)}})
            if isinstance(error, OSError):
                raise Failed(f"the run could not be put on disk: {error}. Nothing was begun") from error
            raise
        self._records.submitted(record.run, job.job)
        record = self._records.get(record.run)
        self._watch(record)
        return record

    async def _end(self, record: Record, background: bool, ctx: Listening) -> Trained:
        """A run once it has ended, its events told meanwhile; at once where nobody waits for it."""
        if background:
            return views.trained(self._records.get(record.run), self.folder(record.run))
        ended = await self._followed(record, ctx.progress)
        return await asyncio.to_thread(views.trained, ended, self.folder(ended.run))

    async def _followed(self, record: Record, progress: Progress) -> Record:
        """A run that has ended well; what it tells goes to `progress`.

        Raises:
            UserError: it could not be done with these data or this model.
            Failed: it broke off.
        """
        return await follow(record, self._records, self._jobs, self.folder(record.run), progress)

    def _watch(self, record: Record) -> None:
        """Makes sure that a run's end is written down, and its model stored, whoever listens."""
        task = asyncio.create_task(self._settled(record))
        self._watched[record.run] = task
        task.add_done_callback(lambda _: self._watched.pop(record.run, None))

    async def _settled(self, record: Record) -> None:
        with contextlib.suppress(NotFound):  # a job that was forgotten: what its folder says is all there is
            while (card := await self._jobs.card(record.job)).state not in ("succeeded", "failed", "cancelled"):
                if card.state == "running" and self._records.get(record.run).state == "queued":
                    self._records.state(record.run, "running")
                if record.kind == "search":
                    await self._trials.attend(record)
                await asyncio.sleep(_POLL)
        try:
            if record.kind == "search":
                await self._trials.stop(record)
            await self._settle(record)
        except AgentosError as error:
            log.exception("run %s could not be brought to its end", record.run)
            self._records.end(record.run, "failed", {"error": {"kind": "failed", "message": str(error)}})

    async def _settle(self, record: Record) -> None:
        folder = self.folder(record.run)
        card = None
        with contextlib.suppress(NotFound):
            card = await self._jobs.card(record.job)
        result = result_of(folder, RESULT)
        if card is not None and card.state == "cancelled":
            why = {"kind": "failed", "message": f"{record.run} was cancelled ({card.reason}); no model was stored"}
            self._records.end(record.run, "cancelled", {"error": why})
            return
        if result is None or "error" in result or (card is not None and card.state == "failed"):
            reason = f"its job {card.state}: {card.reason}" if card else "its job is gone"
            said = (result or {}).get("error") or views.broken(record, reason)
            self._records.end(record.run, "failed", {"error": said})
            return
        if record.kind == "search" and (best := self._trials.made(record, BEST)) is not None:
            result = views.searched(result, best)
        if record.kind in ("finetune", "pretrain"):
            spec = read(folder)
            facts: Mapping[str, Any] = await asyncio.to_thread(views.facts, spec, folder, result)
            await self._models.keep(record.model, folder / "model", facts)
        self._records.end(record.run, "succeeded", result)

