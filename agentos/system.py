"""Boot: the one place that wires the parts together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import agentos
from agentos.config import Settings
from agentos.datasets.service import DatasetService
from agentos.dispatch.context import Services
from agentos.dispatch.dispatcher import Dispatcher, as_json
from agentos.dispatch.looking import Looks, Read
from agentos.dispatch.mounting import Mounting
from agentos.engines.make import maker, served
from agentos.errors import AgentosError, Retry
from agentos.jobs.make import executor
from agentos.jobs.ours import OURS
from agentos.jobs.ray import RayExecutor
from agentos.jobs.scheduling import Node
from agentos.jobs.service import JobService
from agentos.jobs.serving import ClusterStart
from agentos.kernel.context import Before
from agentos.kernel.examples import collect
from agentos.kernel.graph import build, checkpoints, saver_on
from agentos.kernel.planner import Planner
from agentos.kernel.runs import Runs
from agentos.kernel.view import KernelState
from agentos.metrics import Metrics
from agentos.models.service import ModelService
from agentos.mounts.service import Mounts
from agentos.policy.govern import govern
from agentos.policy.outgoing import Outgoing
from agentos.policy.people import People
from agentos.policy.trash import TrashCan
from agentos.redact import Redactor
from agentos.registry import Registry, installed
from agentos.resident import KernelModel, Schooling
from agentos.resources import gpus
from agentos.resources.machine import Machine
from agentos.resources.watch import Watch
from agentos.sealing import Sealer
from agentos.sealing.rotation import opened
from agentos.secrets import Masker, Secrets
from agentos.store import Store
from agentos.training.records import Records
from agentos.training.service import TrainingService
from agentos.training.trackers import Trackers
from agentos.types import Approval, Call, Caller, Engine, Event, Json, Plan, Progress, Redact

log = logging.getLogger(__name__)
HOUR = 3600.0
_PROVIDERS = re.compile(r"_API_KEY$|^(AWS|AZURE|GOOGLE|VERTEX|WATSONX|HF)_")
"""Names of secrets that engines for remote models are given: what providers call their variables."""


def _redactor() -> Redact:
    """What takes private values out of texts that belong together, each value in the same way."""
    return Redactor().redact


def _redacted(text: str) -> tuple[str, Mapping[str, int]]:
    return _redactor()(text)


class System:
    """The resident system. Making it does nothing; `start` boots it."""

    def __init__(self, settings: Settings, table: Registry | None = None) -> None:
        """A system over `settings.home`.

        Args:
            settings: The settings in force.
            table: The syscalls; the installed ones by default.
        """
        self.settings = settings
        self.registry = installed() if table is None else table
        self.version = agentos.__version__
        self.ready = False
        self.boot = "starting"
        self.boot_done: float | None = None
        self.boot_total: float | None = None
        self.boot_unit = ""
        self.boot_error = ""
        self.boot_told: Progress | None = None
        self.metrics = Metrics()
        self.watch = Watch()
        self._kernel = KernelState(settings, self.registry)
        self._loaded = asyncio.Event()
        self._servers: ClusterStart | None = None
        self._background: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Boots: store, policy, kernel graph, then the kernel model (fetched the first time, which takes minutes).

        Raises:
            AgentosError: a part cannot start; `boot_error` says why.
        """
        try:
            await self._start()
        except AgentosError as error:
            self.boot_error = str(error)
            raise
        except Exception as error:
            self.boot_error = f"{type(error).__name__}: {error}"
            raise

    async def _start(self) -> None:
        settings = self.settings
        self.store = opened(settings)
        policies, mounts = settings.home / "policies", Mounts(self.store, self.registry)
        rule = self.governance = govern(settings, self.store, self.registry, self._owner_of)
        self.people, self._owners, self.monitor = rule.people, rule.owners, rule.monitor
        self.approvals, self.audit, self.reviews = rule.approvals, rule.audit, rule.reviews
        self.outgoing = Outgoing(policies, self.people.role_of, self.reviews)
        self.trash, self.secrets = TrashCan(self.store, settings), Secrets(self.store)
        self._servers = self._cluster_servers()
        self._makers = maker(settings, self._servers) if self._servers else maker(settings)
        self.models = ModelService(
            settings, self.store, self._makers, self.trash, keys=self._provider_keys, vllm=lambda: served(settings),
            timed=self.metrics.loaded, cards=gpus.cards(), outgoing=self.outgoing,
        )
        self.models.start()
        machine = Machine()
        self.jobs = JobService(
            self.store, executor(settings, machine.room()), OURS, settings.jobs, vault=self.secrets, masker=Masker,
            quotas=rule.quotas,
        )
        self.datasets = DatasetService(settings.home / "datasets", self.trash, redact=_redacted)
        self.training = TrainingService(
            settings.home / "runs", Records(self.store), jobs=self.jobs, data=self.datasets, models=self.models.bases,
            room=lambda: (settings.job_cpus or machine.room()[0], len(machine.room()[2])),
            trackers=Trackers(settings.trackers, self.secrets.names),
        )
        self.schooling = Schooling(settings, self.registry, self.training, self.models, _redactor)
        services = Services(
            resources=machine, models=self.models, jobs=self.jobs, datasets=self.datasets, training=self.training,
            policy=self.monitor, audit=self.audit, trash=self.trash, kernel=self._kernel,
        )
        dispatcher = self.dispatcher = Dispatcher(
            self.registry, self.monitor, self.approvals, self.audit, services,
            names={"model": self.models.canonical, "job": self.jobs.canonical, "dataset": self.datasets.canonical},
            made=self._owners.made, counts=self.metrics, allowance=rule.allowances,
        )
        self._looks = Looks(dispatcher, self.monitor, self.audit, services)
        self.mounting = Mounting(mounts, self.registry, self.monitor, self.approvals, self.audit)
        self.planner = Planner(
            self.registry, collect(self.registry), self.kernel_engine, known=self._known, timed=self._planned,
            adapter=lambda: self._kernel.adapter, private=settings.redact_local,
        )
        self._checkpoints = await checkpoints(settings.database)
        saver = saver_on(self._checkpoints, Sealer(settings.home, "runs"))
        graph = build(self.planner, dispatcher, self.registry, saver, self.schooling.heard)
        self.runs = Runs(self.store, graph, self.registry, dispatcher)
        await self.jobs.open()
        await self.training.open()
        await self._load_kernel()
        await self.resident.examine(self.planner, self.registry)
        await self.runs.recover(self.approvals.answered)  # before the door opens: an answer would be taken in twice
        self.ready, self.boot = True, "ready"
        self._spawn(self._purge())
        self._spawn(rule.expiring(self.runs.go_on))
        self._spawn(self.planner.warm(lambda: bool(self.jobs.counts().get("running"))))

    async def plan_only(self, told: Progress) -> Planner:
        """Boots the kernel model and a planner, and nothing else: nothing can be run.

        Raises:
            AgentosError: the model cannot be fetched or loaded.
        """
        settings, self.boot_told = self.settings, told
        self.store = Store(settings.database)
        self.people, self.secrets = People(self.store), Secrets(self.store)
        self._makers = maker(settings)
        self.models = ModelService(
            settings, self.store, self._makers, TrashCan(self.store, settings), keys=self._provider_keys
        )
        self.planner = Planner(
            self.registry, collect(self.registry), self.kernel_engine, adapter=lambda: self._kernel.adapter,
            private=self.settings.redact_local,
        )
        await self._load_kernel()
        return self.planner

    async def stop(self) -> None:
        """Ends runs (they go on at the next start) and engines, and closes what is open."""
        self.ready = False
        for task in list(self._background):
            task.cancel()
        for part in ("runs", "mounting", "training", "jobs", "models", "audit"):
            if hasattr(self, part):
                await getattr(self, part).close()
        if hasattr(self, "resident"):
            await self.resident.unload()
        if hasattr(self, "_makers"):
            self._makers.close()
        for more in (self._servers, getattr(self, "_checkpoints", None)):
            if more is not None:
                await more.close()
        if hasattr(self, "store"):
            self.store.close()

    def status(self) -> dict[str, Json]:
        """How the system does; answers while it boots, too."""
        kernel = as_json(self._kernel.status())
        assert isinstance(kernel, dict)
        return {
            **kernel, "pid": os.getpid(), "ready": self.ready, "home": str(self.settings.home),
            "version": self.version, "boot": self.boot, "boot_done": self.boot_done,
            "boot_total": self.boot_total, "boot_unit": self.boot_unit, "boot_error": self.boot_error,
        }

    def run_sentence(
        self, text: str, caller: Caller, plan: str = "", before: Before | None = None
    ) -> AsyncIterator[Event]:
        """Plans a sentence, after what was said before, and runs the plan; or the one that the person made of it."""
        self.governance.allowances.sentence(caller)
        return self.runs.sentence(text, caller, plan, before)

    def run_call(
        self, syscall: str, args: Mapping[str, Json], caller: Caller, yes: bool = False
    ) -> AsyncIterator[Event]:
        """Runs one call."""
        return self.runs.call(syscall, args, caller, yes, self.settings.language)

    async def look(self, syscall: str, args: Mapping[str, Json], caller: Caller, read: Read | None = None) -> Json:
        """What a read gives, for a view that asks again each second; policy decides, the trail notes it once an hour.

        Raises:
            Retry: the system has not come far enough to decide.
            DeniedError: policy says no.
        """
        if not hasattr(self, "_looks"):
            raise Retry(f"the system is starting ({self.boot}); ask again in a second")
        return await self._looks.look(Call(f"look-{secrets.token_hex(5)}", syscall, args, caller), read)

    def answer(self, approval: str, answer: str, caller: Caller, reason: str = "") -> AsyncIterator[Event]:
        """Takes a person's answer to a held call and goes on with its run.

        Raises:
            NotFound: there is no such held call.
            DeniedError: this caller may not answer it.
            UserError: it was answered already.
        """
        held = self.approvals.held(approval, caller)
        said = self.approvals.answer(approval, caller, answer, reason)  # type: ignore[arg-type]
        if not isinstance(said, Approval):
            self.audit.refused(held.call, caller.user)
            return self.runs.go_on(held.run, approval, "no", caller.user, reason)
        return self.runs.go_on(held.run, approval, said.scope, caller.user, reason)

    async def plan(self, text: str, caller: Caller, id: str = "") -> Plan:
        """Plans without running."""
        self.governance.allowances.sentence(caller)
        return (await self.planner.plan(text, id)).plan

    async def cancel(self, run: str, caller: Caller) -> bool:
        """Ends a run; False where it is not running."""
        ended = await self.runs.cancel(run, caller)
        for held in self.approvals.pending() if ended else ():
            if held.run == run:
                self.approvals.settle(held.id, "no", caller.user, "its run was cancelled")
                self.audit.refused(held.call, caller.user)
        return ended

    def _planned(self, seconds: float) -> None:
        self._kernel.planned(seconds)
        self.metrics.planned(seconds)

    def _owner_of(self, kind: str, name: str) -> str | None:
        """Whose a thing is; its own record says whose it is also where the call that made it was cut off."""
        if kind == "Job":
            return self.jobs.owner(name)
        known = self._owners.of(kind, name)
        if known is None and kind == "Model":
            return self.training.maker(name)
        return self.datasets.owner(name) if known is None and kind == "Dataset" else known

    def _provider_keys(self) -> dict[str, str]:
        """What the owner's secrets hold of keys for remote models; the environment's are there besides."""
        owner = self.people.owner().user
        return self.secrets.environment([name for name in self.secrets.names(owner) if _PROVIDERS.search(name)], owner)

    def _cluster_servers(self) -> ClusterStart | None:
        """What places servers of models on a cluster's nodes, beside jobs; None where this machine runs them."""
        if not self.settings.cluster:
            return None
        folder = self.settings.home / "serving"
        def spare(nodes: Iterable[Node]) -> Iterable[Node]:
            return self.jobs.keeper.ledger.free(nodes)  # there are no jobs yet when this is made

        return ClusterStart(RayExecutor(folder, self.settings.cluster), folder, self.settings.cluster, spare)

    def _known(self) -> list[str]:
        """Names of things that exist: models, data sets and users."""
        return [*self.models.names(), *self.datasets.names(), *(user.name for user in self.people.users())]

    async def kernel_engine(self) -> Engine:
        """The kernel's engine, loaded again where its process has died.

        Raises:
            Retry: it is still loading.
        """
        return await self.resident.engine()

    async def _load_kernel(self) -> None:
        self.boot = f"loading {self.settings.kernel_model}"
        self.resident = KernelModel(
            self.settings, self.models, self._makers, self._kernel, keys=self._provider_keys, told=self._boot_progress
        )
        await self.resident.load()

    async def _boot_progress(
        self, message: str, done: float | None = None, total: float | None = None, unit: str = ""
    ) -> None:
        self.boot, self.boot_done, self.boot_total, self.boot_unit = message, done, total, unit
        if self.boot_told is not None:
            await self.boot_told(message, done, total, unit)

    async def _purge(self) -> None:
        while True:
            stored = {"model": {row.model for row in self.models.listing("stored").models}}
            for gone in self.trash.purge(time.time()):
                if gone.name not in stored.get(gone.kind, self.datasets.names()):
                    self.governance.forget(gone.kind, gone.name)
            await asyncio.sleep(HOUR)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(self._quietly(work))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _quietly(self, work: Any) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await work
            except AgentosError:
                log.exception("a background task failed")
