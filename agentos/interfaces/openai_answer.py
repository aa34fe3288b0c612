"""One answer of a model: in its turn, through dispatch as the syscall it is, piece by piece."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request

from agentos.dispatch.context import CallContext
from agentos.errors import DeniedError, NotFound, Retry
from agentos.interfaces.app import System
from agentos.interfaces.openai_errors import BadRequest, TimedOut
from agentos.interfaces.openai_lanes import Lanes, Place
from agentos.kernel import direct
from agentos.models.answers import said
from agentos.types import (
    Answer,
    Approval,
    Call,
    Caller,
    Denied,
    Event,
    Generation,
    Json,
    Logprob,
    ModelCard,
    NeedsPerson,
    Predictions,
)

LONGEST = 600.0
"""Seconds a request may take, its time in the queue included."""
SYSTEM = "agentos"
"""The name under which the system itself is asked."""
_MANY, _SPOKEN = 64, 8
Result = TypeVar("Result")


@dataclass(frozen=True)
class Piece:
    """Text as it comes."""

    text: str
    logprobs: tuple[Logprob, ...] = ()


@dataclass(frozen=True)
class Note:
    """What happens meanwhile: a place in the queue, a model that is being loaded. It is no part of the answer."""

    text: str


Said = Piece | Note | Answer


class Answers:
    """Asks models for callers of one system."""

    def __init__(self, system: System) -> None:
        """Nobody waits yet."""
        self.system = system
        self.lanes = Lanes(self._slots, system.settings.http_queue, counts=system.metrics.queued)

    def ready(self) -> None:
        """Returns where models can be asked.

        Raises:
            Retry: the system is starting or ending.
        """
        if not self.system.ready:
            raise Retry(f"the system is not ready ({self.system.boot}); ask again in a second")

    async def stream(self, caller: Caller, model: str, request: Generation) -> AsyncGenerator[Said, None]:
        """An answer's pieces, then all of it; closing it ends the work and frees its slot.

        The request itself is the person's yes, as far as they may give one: it names the model and what it is asked.

        Raises:
            NotFound: nothing bears the model's name.
            UserError: the request cannot be met.
            DeniedError: policy says no.
            Busy: too many wait for this model.
            Failed: the model's process died.
        """
        events: asyncio.Queue[Said | Exception] = asyncio.Queue()
        args: dict[str, Json] = {"model": model, "prompt": said(request), "max_tokens": request.max_tokens}

        async def emit(event: Event) -> None:
            events.put_nowait(_piece(event))

        async def make(context: CallContext) -> Answer:
            return await context.models.answer(model, request, context)

        async def work() -> None:
            try:
                call = _call("models.generate", args, caller)
                async with asyncio.timeout(LONGEST), self._turn(model, call, events.put_nowait) as yes:
                    events.put_nowait(await self._made(call, yes, emit, make))
            except TimeoutError:
                events.put_nowait(_late())
            except Exception as error:
                events.put_nowait(error)

        task = asyncio.create_task(work())
        try:
            while True:
                item = await events.get()
                if isinstance(item, Exception):
                    raise item
                yield item
                if isinstance(item, Answer):
                    return
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def vectors(self, caller: Caller, model: str, texts: list[str]) -> Predictions:
        """What an embedder makes of texts.

        Raises:
            NotFound: nothing bears the model's name.
            UserError: it gives no vectors, or cannot read a text.
            DeniedError: policy says no.
            Busy: too many wait for this model.
        """
        async def emit(event: Event) -> None:
            """Progress, which nobody sees."""

        try:
            call = _call("models.predict", {"model": model, "text": [*texts]}, caller)
            async with asyncio.timeout(LONGEST), self._turn(model, call, lambda note: None) as yes:
                made = await self._made(call, yes, emit)
        except TimeoutError:
            raise _late() from None
        assert isinstance(made, Predictions)
        return made

    @asynccontextmanager
    async def _turn(self, model: str, call: Call, told: Callable[[Note], Any]) -> AsyncIterator[Approval | None]:
        """The call's turn, and the caller's own yes to it as far as they may give one."""
        async def place(now: Place) -> None:
            told(Note(str(now)))

        gate = self.system.dispatcher
        said = gate.check(call, yes=True)
        yes = direct.yes_of(call) if not isinstance(said, Denied) and gate.confirms(call) else None
        if isinstance(said, Denied) or (isinstance(said, NeedsPerson) and yes is None):
            yield None  # to be told no at once: who may not ask takes nobody's place
            return
        async with self.lanes.of(self.system.models.canonical(model)).turn(place):
            yield yes

    async def _made(
        self, call: Call, yes: Approval | None, emit: Callable[[Event], Awaitable[None]],
        make: Callable[[CallContext], Awaitable[Any]] | None = None,
    ) -> Any:
        return (await self.system.dispatcher.run(call, yes, emit, make, answers=True)).value

    def _slots(self, model: str) -> int:
        """How many requests a model answers at once: on this machine one, unless vLLM serves it."""
        if model == SYSTEM:
            return _SPOKEN
        if model.startswith("litellm:"):
            return _MANY
        try:
            loaded: Any = self.system.models.card(model).loaded or {}
        except NotFound:
            return 1
        return _MANY if str(loaded.get("engine", "")).startswith(("vllm", "litellm")) else 1


async def until_gone(request: Request, work: Awaitable[Result]) -> Result:
    """What the work gives; a client who goes away ends it.

    Raises:
        DeniedError: the client has gone.
    """
    doing = asyncio.ensure_future(work)

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    watching = asyncio.create_task(gone())
    try:
        await asyncio.wait([doing, watching], return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise Gone("the client went away; the work was ended")
        return doing.result()
    finally:
        for task in (doing, watching):
            task.cancel()
        await asyncio.gather(doing, watching, return_exceptions=True)


class Gone(DeniedError):
    """Nobody waits for the answer any more."""

    http_status = 499


class NoModel(NotFound):
    """Nothing bears the name of the model that is asked."""

    param, code = "model", "model_not_found"


def writes(system: System, model: str) -> None:
    """Checks that a model is one that is here and writes text.

    Raises:
        NotFound: nothing bears that name.
        BadRequest: it gives labels or vectors.
    """
    if not model.startswith("litellm:") and (kind := card(system, model).kind) in ("embedding", "classification"):
        raise BadRequest(f"{model!r} is a {kind} model and writes no text; name a causal model", "model")


def card(system: System, model: str) -> ModelCard:
    """What is known of a model.

    Raises:
        NotFound: nothing bears that name.
    """
    try:
        return system.models.card(model)
    except NotFound as error:
        raise NoModel(str(error)) from None


def _call(syscall: str, args: dict[str, Json], caller: Caller) -> Call:
    return Call(f"h{secrets.token_hex(6)}.0.s1", syscall, args, caller)


def _late() -> TimedOut:
    return TimedOut(f"there was no whole answer within {LONGEST:.0f} s; it was ended")


def _piece(event: Event) -> Said:
    data = event.data
    if event.kind == "text":
        likely: Any = data.get("logprobs") or ()
        told = tuple(Logprob(one["token"], one["logprob"], tuple(map(tuple, one["top"]))) for one in likely)
        return Piece(str(data["text"]), told)
    done, total = data.get("done"), data.get("total")
    part = f" {100 * done / total:.0f}%" if isinstance(done, int | float) and isinstance(total, int | float) else ""
    return Note(f"{data.get('message', '')}{part}")
