"""`ModelService`: the catalog, the store and what is in memory, as syscalls see them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentos.config import Settings
from agentos.errors import Failed, NotFound, Retry, UserError
from agentos.models import adapted, answers, quantize, views
from agentos.models.bases import Bases
from agentos.models.beside import silent
from agentos.models.budget import HOST, Budget, Need
from agentos.models.catalog import catalog, resolve
from agentos.models.choice import REMOTE
from agentos.models.costs import Costs
from agentos.models.library import Library
from agentos.models.memory import available
from agentos.models.meter import Meters
from agentos.models.orders import Orders
from agentos.models.remembered import Remembered
from agentos.models.residency import Residency
from agentos.models.resident import Resident
from agentos.models.shelf import Shelf, on_disk
from agentos.models.supervision import Supervisor
from agentos.store import Store
from agentos.types import (
    Answer,
    Context,
    Deleted,
    Engine,
    Generation,
    LoadedReport,
    ModelCard,
    ModelList,
    Predictions,
    Progress,
    Pulled,
    Quantized,
    Text,
    TrashBin,
    Unloaded,
)
from agentos.types.units import seconds, show_bytes

KEEP_ALIVE = "10m"
"""How long a model stays that was loaded only to answer."""


class ModelService:
    """Implements `Models`; the kernel gets its own engine through `acquire`."""

    def __init__(
        self, settings: Settings, store: Store, engine_for: Callable[[str], Engine], trash: TrashBin,
        *, clock: Callable[[], float] = time.monotonic, free: Callable[[], int] = available,
        keys: Callable[[], Mapping[str, str]] = dict,
        vllm: Callable[[], bool] = lambda: False, cards: Sequence[int] = (),
        timed: Callable[[str, float], None] = lambda engine, seconds: None,
        outgoing: answers.Outgoing | None = None,
    ) -> None:
        """A service over `settings.models`.

        Args:
            settings: Where the store and the cache are, the memory budget, the context.
            store: The database.
            engine_for: Makes a fresh, unloaded engine of a name.
            trash: Where deleted models go.
            clock: Seconds, for expiry.
            free: Bytes of memory that can be had.
            keys: Gives the keys of providers, by the names of their variables.
            vllm: Whether vLLM's environment is installed.
            cards: Bytes of memory of each GPU.
            timed: Told of each load: the engine, and the seconds it took.
            outgoing: The rules over what models say; none where None.
        """
        self._settings = settings
        self._store = store
        self._engine_for = engine_for
        self._trash = trash
        self._outgoing = outgoing
        budget = Budget(free, settings.memory_budget, settings.gpu_memory_budget, cards)
        remembered = Remembered(store)
        self._shelf = Shelf(settings.models)
        self._library = Library(settings, self._shelf, self._resolve)
        self.bases = Bases(self._shelf, self._library, self._resolve, self.names)
        self._meters, self._costs = Meters(clock), Costs(store)
        self.residency = Residency(clock, budget, remembered=remembered, meters=self._meters)
        self.residency.timed = timed
        parts = (settings, self._shelf, engine_for, remembered, self._meters)
        self._orders = Orders(*parts, budget=budget, keys=keys, vllm=vllm)
        self.supervisor = Supervisor(self.residency, clock)
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    def start(self) -> None:
        """Begins to expire idle models and to look after engines; needs a running event loop.

        Raises:
            Retry: it has been closed.
        """
        if self._closed:
            raise Retry("the system is ending; nothing is loaded any more")
        if not self._tasks:
            self._tasks = [asyncio.create_task(self.residency.expiry.run()), asyncio.create_task(self.supervisor.run())]

    async def close(self) -> None:
        """Ends all engines, downloads, the expiry and the supervision."""
        self._closed = True
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.supervisor.close()
        await self._library.close()
        await self.residency.close()

    @property
    def evictions(self) -> int:
        """How many models have left memory to make room for others."""
        return self.residency.admission.evictions

    def listing(self, state: str = "all") -> ModelList:
        """Models, loaded ones first. `stored` are all on disk and `catalog` all that it names, in memory or not."""
        names = [*self.residency.there(), *self.supervisor.down] if state == "loaded" else None
        # who watches asks each second: no manifest is read but of what is there
        found = self._shelf.all() if names is None else [self._shelf.get(name) for name in names]
        stored = {item.name: item for item in found if item is not None}
        return views.listing(state, self.residency, stored, self.supervisor.down, self._orders.remotes.names())

    def names(self) -> list[str]:
        """What models are called here: those in memory, on disk, by a remote's name and in the catalog."""
        stored = [item.name for item in self._shelf.all()]
        return list(dict.fromkeys([*self.residency.there(), *stored, *self._orders.remotes.names(), *catalog()]))

    def card(self, model: str) -> ModelCard:
        """All that is known of one model.

        Raises:
            NotFound: there is none.
        """
        name = self._resolve(model)
        held, stored = self.residency.get(name), self._shelf.get(name)
        engine = held.loaded.engine if held else "transformers"
        need = self._orders.need(name, stored, engine, "auto")[0] if stored else None
        signed = self._shelf.signer.glance(stored.path) if stored else ""
        return views.card(name, held, stored, self.residency.now(), need, signed=signed)

    def _resolve(self, model: str) -> str:
        model = self._orders.remotes.full(model)
        if model.startswith(REMOTE) or model in self.residency.all():
            return model
        return resolve(model, [*(item.name for item in self._shelf.all()), *self.residency.all()])

    def canonical(self, model: str) -> str:
        """The name that rules know a model by; a name nothing bears is given back as it is."""
        try:
            return self._resolve(model)
        except NotFound:
            return model

    async def pull(
        self, model: str, source: str | None = None, progress: Progress = silent, folder: str = ""
    ) -> Pulled:
        """Brings a model to disk; joins a pull of it that is under way; paths start from `folder`.

        Raises:
            NotFound: the catalog does not have it and no source is given.
            UserError: the source is none, or the name is taken by another model.
            Failed: no source has it, or it is refused.
        """
        return await self._library.pull(model, source, progress, folder)

    async def load(
        self, model: str, engine: str = "auto", device: str = "auto", keep_alive: str = KEEP_ALIVE,
        progress: Progress = silent, *, replicas: int = 1,
    ) -> LoadedReport:
        """Brings a model into memory, from the catalog where it is not stored; joins a load that is under way.

        Raises:
            NotFound: nothing bears that name.
            Failed: it cannot be fetched or loaded, or memory does not suffice.
        """
        if replicas < 1:
            raise UserError(f"{replicas} replicas would serve nobody; ask for one or more. Nothing was loaded.")
        held = await self._load(model, engine, device, keep_alive, progress, replicas=replicas)
        made = held.loaded
        return LoadedReport(
            made.name, made.engine, made.device, made.dtype, held.memory, made.seconds, held.keep_text,
            held.order.reason,
        )

    async def acquire(
        self, model: str, engine: str = "auto", *, pin: bool = True, progress: Progress = silent
    ) -> Engine:
        """The loaded engine of a model, for the kernel; a dead one is started again.

        Args:
            model: Its name.
            engine: Which engine runs it.
            pin: Whether it is the kernel's own: it never leaves by itself, and is not unloaded or deleted.
            progress: Told how far fetching and loading are.

        Raises:
            NotFound: nothing bears that name.
            Failed: it cannot be fetched or loaded, or memory does not suffice.
        """
        held = self.residency.get(model)
        if held is None or (pin and not held.kernel):
            held = await self._load(model, engine, "auto", "forever" if pin else KEEP_ALIVE, progress)
            if pin:
                self.residency.pin(held.loaded.name)
        return held.engine

    async def _load(
        self, model: str, engine: str, device: str, keep_alive: str, progress: Progress, *, replicas: int = 1,
        asked: bool = True,
    ) -> Resident:
        keep = _keep(keep_alive)
        self.start()
        name = f"{REMOTE}{model.removeprefix(REMOTE)}" if engine == "litellm" else model
        name = name if engine == "scripted" else self._resolve(name)
        remote = engine == "scripted" or name.startswith(REMOTE)
        here = self.residency.get(name)
        if here is not None and engine not in {"auto", here.loaded.engine, here.order.engine}:
            raise UserError(f"{name!r} is loaded with {here.loaded.engine} already; unload it first")
        if here is not None and replicas > 1 and here.order.engine != f"vllm*{replicas}":
            raise UserError(f"{name!r} is loaded already, and not {replicas} times; unload it first")
        stored = None if remote else await self._library.stored(name, progress)
        if stored is not None and stored.kind == adapted.KIND:
            under = adapted.named(stored.base, [item.name for item in self._shelf.all()])
            if under in catalog() or self._shelf.get(under) is not None:
                await self._library.stored(under, progress)
        order = self._orders.make(name, stored, engine, device, replicas=replicas, keep=keep)
        if here is None:
            await progress(f"loading {name}: it takes about {show_bytes(order.need.host)}")
        return await self.residency.load(order, progress, asked=asked)

    async def unload(self, model: str) -> Unloaded:
        """Takes a model out of memory.

        Raises:
            UserError: it is not in memory, is the kernel's own, or is answering somebody.
        """
        name = self._resolve(model)
        held = self.residency.get(name)
        if held is None:
            down = self.supervisor.down.get(name)
            if down is not None and not down.kernel and await self.supervisor.forget(name):
                return Unloaded(name, 0)
            raise UserError(f"{name!r} is not loaded; nothing was changed")
        if held.kernel:
            raise UserError(
                f"{name!r} is the kernel's own model: without it no sentence can be planned. It stays in memory; "
                "to use another, change the setting 'kernel_model' and start again."
            )
        freed = held.engine.memory()
        await self.residency.drop(name)
        await self.supervisor.forget(name)
        return Unloaded(name, freed)

    async def generate(self, model: str, prompt: str, max_tokens: int, ctx: Context) -> Text:
        """A model's answer to a message, streamed through `ctx.text`; loads the model where need be.

        Raises:
            UserError: the model writes no text, or the prompt is longer than its context.
            Failed: its process died; the next request loads it again.
        """
        return answers.short(await self.answer(model, answers.plain(prompt, max_tokens), ctx))

    async def answer(self, model: str, request: Generation, ctx: Context) -> Answer:
        """As `generate`, to any request."""
        if request.max_tokens < 1:
            raise UserError(f"max_tokens must be at least 1, and is {request.max_tokens}")
        name = self._resolve(model)
        known = self._shelf.get(name) or catalog().get(name)
        if known is not None and known.kind not in {"causal", adapted.KIND}:
            raise UserError(f"{name!r} is an {known.kind} model and writes no text; name a causal model")
        async with self.residency.using(name, lambda: self._bring(name, ctx)) as held:
            try:
                rest: Any = {"meter": self._meters.of(name), "costs": self._costs, "outgoing": self._outgoing}
                return await answers.generate(held.engine, name, request, ctx=ctx, **rest)
            except Failed as error:
                raise answers.died(name, held.alive, error) from error

    async def predict(self, model: str, texts: Sequence[str], ctx: Context) -> Predictions:
        """Labels and scores from a classifier, vectors from an embedder; loads the model where need be.

        Raises:
            UserError: the model writes text, or a text is longer than it reads.
            Failed: its process died; the next request loads it again.
        """
        name = self._resolve(model)
        async with self.residency.using(name, lambda: self._bring(name, ctx)) as held:
            try:
                meter = self._meters.of(name)
                return await answers.predict(held.engine, name, texts, ctx=ctx, meter=meter, costs=self._costs)
            except Failed as error:
                raise answers.died(name, held.alive, error) from error

    async def _bring(self, name: str, ctx: Context) -> Resident:
        return await self._load(name, "auto", "auto", KEEP_ALIVE, ctx.progress, asked=False)

    async def quantize(self, model: str, bits: int, output: str | None, ctx: Context) -> Quantized:
        """A stored model in fewer bits, as a model of its own; measured before and after.

        Raises:
            UserError: it writes no text, is quantized already, or the name is taken.
            Failed: it is not stored, or memory or disk does not suffice.
        """
        stored = await self._library.stored(self._resolve(model), ctx.progress)
        name = quantize.named(stored, bits, output)
        quantize.check(stored, bits, name, self._shelf)
        need = Need({HOST: quantize.most(stored, bits)})
        await self.residency.admission.enter(work := f"making {name}", need, ctx.progress)
        try:
            return await quantize.quantize(
                stored, bits, name, self._shelf, self._settings, ctx.progress, self._engine_for
            )
        finally:
            self.residency.release(work)

    async def delete(self, model: str, call: str, user: str) -> Deleted:
        """Moves a stored model to the trash.

        Raises:
            UserError: it is in memory, not on disk, or the kernel's own.
        """
        name = self._resolve(model)
        stored, held = self._shelf.get(name), self.residency.get(name)
        if (held is not None and held.kernel) or name == self.canonical(self._settings.kernel_model):
            raise UserError(f"{name!r} is the kernel's own model and was left as it is: nothing works without it")
        if held is not None:
            raise UserError(f"{name!r} is loaded and was left as it is. Unload it first, then delete it.")
        if stored is None:
            raise UserError(f"{name!r} is not on this machine; there is nothing to delete")
        await asyncio.to_thread(self._library.puller.forget, stored)
        freed = await asyncio.to_thread(on_disk, stored.path)
        self.residency.eviction.forget(name)
        kept = self._trash.put("model", name, stored.path, call, user)
        return Deleted(name, freed, kept.undo_id, kept.until)


def _keep(text: str) -> tuple[float | None, str]:
    try:
        return seconds(text), text
    except ValueError as fault:
        raise UserError(f"keep_alive: {fault}") from None
