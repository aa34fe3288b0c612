"""The system's side of an engine: starts its process, speaks to it, and notices when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

from agentos.engines import wire
from agentos.engines.footprint import EXHAUSTED, held
from agentos.engines.nursery import OFFLINE, UNSEEN, WARM, Nursery
from agentos.engines.started import cards, started
from agentos.errors import AgentosError, Failed, Retry, UserError
from agentos.types import (
    PULSE_SECONDS,
    Bytes,
    Completed,
    Generation,
    LoadedModel,
    ModelSpec,
    Predicted,
    Progress,
    Pulse,
    Token,
)

LINE_LIMIT = 32 * 1024 * 1024
_ERRORS: dict[str, type[AgentosError]] = {"user": UserError, "retry": Retry}


class Child(Protocol):
    """An engine's process, started or forked."""

    pid: int

    @property
    def returncode(self) -> int | None:
        """How it ended; the negative of a signal; None while it runs."""
        ...

    @property
    def stdin(self) -> asyncio.StreamWriter | None:
        """Where requests go; closing it ends the process."""
        ...

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        """Where answers come from."""
        ...

    async def wait(self) -> int:
        """`returncode`, once it has ended."""
        ...

    def kill(self) -> None:
        """Ends it at once."""
        ...


class ChildEngine:
    """One model in one child process. Implements `Engine` for every backend."""

    def __init__(self, name: str, *, log: Path | None = None, threads: int = 0, nursery: Nursery | None = None) -> None:
        """An engine that is not running yet.

        Args:
            name: The backend: a module of `agentos.engines`.
            log: Where the process's standard error goes; None discards it.
            threads: Processor threads it may use; 0 leaves the choice to it.
            nursery: Forks the process where it can; else, and without one, it is started plainly.
        """
        self.name = name
        self.loaded: LoadedModel | None = None
        self.spec: ModelSpec | None = None
        self._log = log
        self._threads = threads
        self._nursery = nursery
        self._process: Child | None = None
        self._waiting: dict[str, asyncio.Queue[wire.Line]] = {}
        self._asked: set[str] = set()
        self._numbers = itertools.count(1)
        self._reader: asyncio.Task[None] | None = None
        self._write = asyncio.Lock()
        self._why = ""

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.returncode is None

    async def load(self, spec: ModelSpec, progress: Progress | None = None) -> LoadedModel:
        """Starts the process and loads the weights, telling how far it is; one that ran before is ended first.

        Raises:
            Failed: the model cannot be loaded; no process is left.
        """
        started = time.monotonic()
        await self.unload()
        self.spec = spec
        await self._start()
        process = self._process
        assert process is not None
        try:
            async with contextlib.aclosing(self._ask("load", wire.spec_line(spec))) as answers:
                while "loaded" not in (line := await anext(answers)):
                    if progress is not None:
                        await progress(f"loading {spec.name}", line["done"], line["total"], "B")
        except BaseException:
            await self.unload()
            raise
        if self._process is not process:
            raise Failed(f"the {self.name} engine was ended while it loaded")
        made = line["loaded"]
        self.loaded = LoadedModel(
            spec.name, self.name, made["device"], made["dtype"], made["memory"], process.pid,
            made["grammar"], time.monotonic() - started, made["context"], made["gpu_memory"],
        )
        if self._nursery is not None and self.name in WARM:
            self._nursery.prepare()  # only now: it would take processor time from the load
        return self.loaded

    async def generate(self, request: Generation) -> AsyncIterator[Token | Completed]:
        """Tokens as they come, then one `Completed`; closing the iterator cancels the request.

        Raises:
            Failed: the process died; the answer so far is all there is.
            UserError: the request cannot be met, or one of that id is under way.
        """
        if not self.alive:
            raise Failed(f"the {self.name} engine is not running; load the model again")
        if request.id in self._asked:
            raise UserError(f"request {request.id!r} is already under way; give each its own id")
        self._asked.add(request.id)
        # its own name on the wire: what is left of a cancelled request never reaches one that bears its id later
        ident = f"{request.id}/{next(self._numbers)}"
        answers = self._ask(ident, wire.generation_line(request))
        finished = False
        try:
            async for line in answers:
                if "token" in line:
                    yield wire.read_token(line)
                else:
                    finished = True
                    self._asked.discard(request.id)
                    yield wire.read_completed(line["completed"])
                    return
        except AgentosError:
            finished = True
            self._asked.discard(request.id)
            raise
        finally:
            await answers.aclose()
            if not finished:
                self._asked.discard(request.id)
                if self.alive:
                    await self._send({"op": "cancel", "id": ident})

    async def predict(self, texts: Sequence[str]) -> Predicted:
        """Labels with probabilities, or vectors.

        Raises:
            Failed: the process died.
            UserError: the model writes text, or a text is longer than it can read.
        """
        async with contextlib.aclosing(
            self._ask(f"predict/{next(self._numbers)}", {"op": "predict", "texts": list(texts)})
        ) as answers:
            return wire.read_predicted((await anext(answers))["predicted"])

    async def perplexity(self, text: str) -> float:
        """How well the model foretells a text: the exponential of a token's mean negative log-likelihood.

        Raises:
            Failed: the process died.
            UserError: the model writes no text.
        """
        line = {"op": "perplexity", "text": text}
        async with contextlib.aclosing(self._ask(f"perplexity/{next(self._numbers)}", line)) as answers:
            return float((await anext(answers))["perplexity"])

    async def adapt(self, folder: Path | None) -> bool:
        """Lays an adapter beside the weights for requests that ask for it; None takes it away.

        Raises:
            Failed: it does not fit the model, or the process died.
        """
        line = {"op": "adapt", "folder": None if folder is None else str(folder)}
        async with contextlib.aclosing(self._ask(f"adapt/{next(self._numbers)}", line)) as answers:
            return bool((await anext(answers))["adapted"])

    async def pulse(self) -> Pulse:
        """A sign of life.

        Raises:
            Failed: none came within `PULSE_SECONDS`, or the process has ended.
        """
        answers = self._ask(f"ping/{next(self._numbers)}", {"op": "ping"})
        try:
            async with asyncio.timeout(PULSE_SECONDS), contextlib.aclosing(answers):
                line = await anext(answers)
        except TimeoutError:
            raise Failed(f"the {self.name} engine gave no sign of life for {PULSE_SECONDS:g} s") from None
        return Pulse(line["progress"], line["busy"])

    def memory(self) -> Bytes:
        """What its process holds now, each shared page counted once; 0 where it has ended."""
        return held(self._process.pid) if self._process is not None and self.alive else 0

    def pids(self) -> list[int]:
        """Its process, while it runs: what it does can be seen while it cannot answer."""
        return [self._process.pid] if self._process is not None and self.alive else []

    async def kill(self, why: str) -> None:
        """Ends the process at once; whoever waits for an answer gets `Failed` with that reason."""
        if self._process is None:
            return
        if self.alive:
            self._why = why
            self._process.kill()
        await self.unload()

    async def unload(self) -> None:
        """Ends the process and waits until it is gone."""
        process, self._process, self.loaded = self._process, None, None
        if process is None:
            return
        if process.returncode is None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                pass
            finally:  # also where whoever unloads gives up: nobody else would end it
                if process.returncode is None:
                    process.kill()
            await process.wait()
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=1)
            self._reader.cancel()
            await asyncio.wait([self._reader])
            self._reader = None

    async def _start(self) -> None:
        self._why = ""
        env = dict(os.environ, **OFFLINE, **cards(self.spec.settings if self.spec is not None else {}))
        if self._threads:
            env["OMP_NUM_THREADS"] = str(self._threads)
        with open(self._log or os.devnull, "ab") as log:  # noqa: ASYNC230
            if self._nursery is not None:
                self._process = await self._nursery.fork(self.name, log.fileno(), env, self._threads, LINE_LIMIT)
            if self._process is None:
                self._process = await started(
                    sys.executable, "-m", "agentos.engines.worker", self.name,
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
                    env=env, limit=LINE_LIMIT, start_new_session=os.name == "posix",
                )
        self._reader = asyncio.create_task(self._read(self._process))

    async def _read(self, process: Child) -> None:
        assert process.stdout is not None
        why = "it was unloaded"
        try:
            with contextlib.suppress(ConnectionError):  # it ended with something unread
                while raw := await process.stdout.readline():
                    line = wire.decode(raw)
                    waiting = self._waiting.get(line["id"])
                    if waiting is not None:
                        waiting.put_nowait(line)
            code = await process.wait()
            why = self._why or _cause(code, limited=self.spec is not None and self.spec.limit is not None)
        except ValueError as error:  # no line of ours: nothing it says can be trusted any more
            why = f"it wrote what cannot be read: {error}"
            process.kill()
            await process.wait()
        finally:
            self.loaded = None
            for waiting in self._waiting.values():
                waiting.put_nowait({"error": f"the {self.name} engine's process ended ({why})", "kind": "failed"})

    async def _send(self, line: wire.Line) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise Failed(f"the {self.name} engine is not running; load the model again")
        async with self._write:
            with contextlib.suppress(ConnectionError):
                process.stdin.write(wire.encode(line))
                await process.stdin.drain()

    async def _ask(self, ident: str, line: wire.Line) -> AsyncGenerator[wire.Line, None]:
        if not self.alive:
            raise Failed(f"the {self.name} engine is not running; load the model again")
        inbox: asyncio.Queue[wire.Line] = asyncio.Queue()
        self._waiting[ident] = inbox
        try:
            await self._send({**line, "id": ident})
            if not self.alive:
                raise Failed(f"the {self.name} engine's process ended")
            while True:
                answer = await inbox.get()
                if "error" in answer:
                    if answer.get("ends") and self._reader is not None:
                        await asyncio.wait([self._reader])  # who hears of it finds the engine ended
                    raise _ERRORS.get(answer["kind"], Failed)(answer["error"])
                yield answer
        finally:
            del self._waiting[ident]


def _cause(code: int, *, limited: bool) -> str:
    if code == EXHAUSTED:
        return "it ran out of the memory it was given"
    if code == UNSEEN:
        return "how, nobody was left to see"
    if code < 0:
        import signal

        # libraries in C that are refused memory fall over it
        short = {signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT} if limited else {signal.SIGKILL}
        return f"killed by {signal.Signals(-code).name}" + (", out of memory?" if -code in short else "")
    return f"exit code {code}"
