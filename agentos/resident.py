"""The kernel's model in memory: loaded at boot, again where its process has died, with its adapter beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from agentos.config import Settings
from agentos.errors import AgentosError, Failed, Retry, UserError
from agentos.kernel import language, souping, tuned
from agentos.kernel.feedback import Correction, Feedback, spoken_for
from agentos.kernel.planner import Planner
from agentos.kernel.state import RunState, caller_of
from agentos.kernel.view import KernelState
from agentos.models.service import ModelService
from agentos.registry import Registry
from agentos.training.service import TrainingService
from agentos.training.spec import read
from agentos.types import AdapterRequest, Caller, Engine, ModelSpec, Plan, Progress, Redact, Trained

log = logging.getLogger(__name__)

_RECIPE = "recipe.json"


class KernelModel:
    """The engine that plans."""

    def __init__(
        self, settings: Settings, models: ModelService, makers: Callable[[str], Engine], view: KernelState, *,
        keys: Callable[[], dict[str, str]], told: Progress,
    ) -> None:
        """A model that is not loaded yet.

        Args:
            settings: Name it, and its adapter.
            models: Loads one of this machine.
            makers: Makes the engine of a model that is on none.
            view: Is told what is loaded.
            keys: Providers' keys.
            told: Hears how far loading is.
        """
        self._settings, self._models, self._makers, self._view = settings, models, makers, view
        self._keys, self._told = keys, told
        self.adapters = tuned.Tuned(settings.home / "kernel")
        self._engine: Engine | None = None
        self._reload = asyncio.Lock()

    async def engine(self) -> Engine:
        """The engine, loaded again where its process has died.

        Raises:
            Retry: it is still loading.
        """
        engine = self._engine
        if engine is not None and getattr(engine, "alive", True):
            return engine
        async with self._reload:
            if self._engine is None or not getattr(self._engine, "alive", True):
                await self.load()
        if self._engine is None:
            raise Retry("the kernel model is still loading; try again in a moment")
        return self._engine

    async def load(self) -> None:
        """Loads the model and lays its adapter beside it.

        Raises:
            AgentosError: it cannot be fetched or loaded, or the adapter does not fit.
        """
        settings = self._settings
        name = settings.kernel_model
        if name.startswith("litellm:") or settings.kernel_engine in ("litellm", "scripted"):
            kind = "litellm" if name.startswith("litellm:") else settings.kernel_engine
            engine = self._makers(kind)
            spec = ModelSpec(name.removeprefix("litellm:"), context=settings.context, settings={
                "script": settings.kernel_script, "api_base": settings.api_base, "timeout": settings.remote_timeout,
                "keys": {**self._keys()},
            })
            self._view.model = await engine.load(spec)
        else:
            engine = await self._models.acquire(name, settings.kernel_engine, pin=True, progress=self._told)
            self._view.model = getattr(engine, "loaded", None)
            if self._view.model is None:
                raise Failed(f"the kernel model {name!r} ended just after it was loaded; its log is in {settings.logs}")
            await self.adapt(engine)
        self._engine = engine

    async def examine(self, planner: Planner, table: Registry) -> None:
        """Probes a model that a person chose as kernel, once; what it was found to do is remembered.

        Raises:
            UserError: it cannot be a kernel; the figures are told.
        """
        name, told = self._settings.kernel_model, self._settings.home / "kernel" / "probes.json"
        if name == Settings.kernel_model or not (sha := self._models.bases.fetched(name)):
            return
        from agentos.kernel.probe import EACH, Probed, probe  # only who chose another model pays for it

        known: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(told.read_text("utf-8"))
        if sha not in known:
            await self._told(f"examining {name}: {3 * EACH} sentences")

            async def plan(text: str) -> Plan:
                return (await planner.plan(text)).plan

            known[sha] = asdict(await probe(table.own(), plan))
            told.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            told.write_text(json.dumps(known), "utf-8")
        Probed(**known[sha]).check(name)

    async def adapt(self, engine: Engine | None = None) -> bool:
        """Lays the adapter that is in force beside the model; gives whether one acts now.

        Raises:
            Failed: it does not fit the model, or cannot be read.
        """
        engine = engine or self._engine
        self._view.adapter = None
        if engine is None:
            return False
        asked = self._settings.kernel_adapter
        found = None
        if asked == "auto":
            found = self.adapters.in_force(self._models.bases.fetched(self._settings.kernel_model))
        elif asked != tuned.NONE:
            found = (Path(asked), tuned.read(Path(asked)))
        acts = await engine.adapt(found[0] if found else None)
        self._view.adapter = found[1] if acts and found else None
        self._view.adapter_name = self.adapters.history()[-1] if asked == "auto" else asked
        return acts

    def shown(self) -> dict[str, Any]:
        """Which adapter is in force, what was before it, whether it acts, and its manifest."""
        manifest = self._view.adapter
        history = self.adapters.history()
        return {
            "adapter": history[-1] if self._settings.kernel_adapter == "auto" else self._settings.kernel_adapter,
            "acts": manifest is not None, "history": history,
            "manifest": None if manifest is None else asdict(manifest),
        }

    async def promote(self, name: str, figures: Mapping[str, Any]) -> None:
        """Puts an adapter in force, with the figures that speak for it.

        Raises:
            UserError: there is no such one.
            Failed: it does not fit, or cannot be written; the one in force stays.
        """
        self.adapters.describe(name, figures)
        self.adapters.promote(name)
        try:
            await self.adapt()
        except Failed:
            self.adapters.rollback()
            await self.adapt()
            raise

    async def rollback(self) -> None:
        """Puts the adapter in force that was so before.

        Raises:
            UserError: there is none before it.
        """
        self.adapters.rollback()
        await self.adapt()

    async def unload(self) -> None:
        """Ends the engine."""
        if self._engine is not None:
            await self._engine.unload()


@dataclass(frozen=True)
class _Asked:
    """A call that no syscall makes: nobody listens to it, its run tells how far it is."""

    caller: Caller
    call: str

    async def progress(
        self, message: str, done: float | None = None, total: float | None = None, unit: str = ""
    ) -> None:
        """Tells nobody."""


class Schooling:
    """Trains adapters for the kernel, with the training service, as jobs."""

    def __init__(
        self, settings: Settings, table: Registry, training: TrainingService, models: ModelService,
        redactor: Callable[[], Redact] | None = None,
    ) -> None:
        """Over one table and one kernel model; private values are taken out of what is kept."""
        self._settings, self._table, self._training, self._models = settings, table, training, models
        self._adapters = tuned.Tuned(settings.home / "kernel")
        self.feedback = Feedback(settings.home / "kernel" / "feedback.jsonl", redactor)

    def correct(self, text: str, plan: str, caller: Caller) -> Correction:
        """Keeps what a sentence should have come to.

        Raises:
            UserError: the plan is none that the table can carry out.
            Failed: it cannot be written.
        """
        return self.feedback.add(text, plan, caller.user, self._table)

    def worded(self, plan: Mapping[str, Any]) -> str:
        """A plan as a correction writes it.

        Raises:
            UserError: it is none that the table can carry out.
        """
        try:
            return language.write(Plan.from_json(plan).steps, self._table)
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"this is no plan over the table: {error or 'its steps are not objects'}") from error

    def heard(self, state: RunState) -> None:
        """Keeps what the end of a sentence's run says of its plan, if whose it is agreed to that."""
        user, kind = caller_of(state).user, spoken_for(state)
        if kind is None or not self.feedback.agreed(user):
            return
        try:
            self.feedback.add(state["sentence"], self.worded(state["plan"]), user, self._table, kind)
        except AgentosError as error:  # a run is not worse for what could not be kept of it
            log.warning("nothing was kept of run %s: %s", state["run"], error)

    async def train(
        self, caller: Caller, *, rows: int | None = None, epochs: int = 1, seed: int = 0, feedback: bool = False,
        further: bool = False,
    ) -> Trained:
        """Draws rows from the table and begins a run over them; it goes on whoever listens.

        Args:
            caller: Who asks.
            rows: To learn from; None for as many as the shipped one had.
            epochs: Passes over them.
            seed: Of every draw.
            feedback: Whether to train the adapter in force further, on corrections with rows of the table between.
            further: Whether to train it further on rows of the table alone, instead of a new one.

        Raises:
            UserError: the kernel's model is none that can be trained here; nothing was begun.
            Failed: the rows cannot be written.
        """
        from agentos.kernel import lessons  # a tenth of a second that only who trains pays

        wanted = lessons.ROWS if rows is None else rows
        ident = secrets.token_hex(5)
        folder = self._settings.home / "kernel" / f"lessons-{ident}"
        more, earlier = [], None
        if feedback:
            more = await asyncio.to_thread(self.feedback.rows, self._table.own(), seed)
            if not more:
                raise UserError(
                    "there is nothing to learn from yet: agentos kernel correct SENTENCE PLAN, or agree that more is "
                    "kept: agentos kernel feedback on"
                )
        if feedback or further:
            found = self._adapters.in_force(self._models.bases.fetched(self._settings.kernel_model))
            earlier = None if found is None else found[0]
        made = await asyncio.to_thread(
            partial(lessons.write, self._table.own(), folder, rows=wanted, seed=seed, more=more)
        )
        (folder / _RECIPE).write_text(json.dumps(made.recipe), "utf-8")
        how = AdapterRequest(made.held, f"kernel-{ident}", epochs, seed=seed, adapter=earlier)
        if earlier is not None:
            how = replace(how, learning_rate=how.learning_rate / 2)  # greater steps would first unlearn what it knows
        asked = _Asked(caller, f"kernel-{ident}")
        return await self._training.adapter(made.data, self._settings.kernel_model, how, asked)

    async def keep(self, run: str) -> dict[str, Any]:
        """Keeps the adapter that a run made; gives its name and where it lies.

        Raises:
            NotFound: there is no such run.
            UserError: it made no adapter for the kernel.
            Failed: it cannot be written.
        """
        folder = self._training.of(run)
        spec = await asyncio.to_thread(read, folder)
        if not spec.shared or not (folder / "model").is_dir():
            raise UserError(f"{run!r} has made no adapter for the kernel; nothing was kept")
        recipe: dict[str, Any] = {
            "method": spec.method, "rank": spec.rank, "above": spec.above, "epochs": spec.epochs,
            "learning_rate": spec.learning_rate, "rows_an_update": spec.rows, "versions": spec.versions,
        }
        if spec.adapter_path:
            recipe["begun_with"] = Path(spec.adapter_path).name
        with contextlib.suppress(OSError, ValueError):
            recipe |= json.loads((Path(spec.held_path).parent / _RECIPE).read_text("utf-8"))
        manifest = tuned.Manifest(spec.base, self._models.bases.fetched(spec.base), recipe, run=run)
        name = await asyncio.to_thread(self._adapters.keep, folder / "model", manifest)
        return {"adapter": name, "folder": str(self._adapters.folder(name))}

    async def mean(self, names: Sequence[str]) -> dict[str, Any]:
        """Keeps the mean of adapters; gives its name and where it lies.

        Raises:
            UserError: there is no such adapter, or they have no mean.
            Failed: it cannot be written.
        """
        name = await asyncio.to_thread(souping.mean, self._adapters, names)
        return {"adapter": name, "folder": str(self._adapters.folder(name))}
