"""The system's side of an engine: starts its process, speaks to it, and notices when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

from agentos.engines import wire
from agentos.errors import AgentosError, Failed, Retry, UserError
from agentos.types import Completed, Generation, LoadedModel, ModelSpec, Token

LINE_LIMIT = 32 * 1024 * 1024
_ERRORS: dict[str, type[AgentosError]] = {"user": UserError, "retry": Retry}


class ChildEngine:
    """One model in one child process. Implements `Engine` for every backend."""

    def __init__(self, name: str, *, log: Path | None = None, threads: int = 0) -> None:
        """An engine that is not running yet.

        Args:
            name: The backend: a module of `agentos.engines`.
            log: Where the process's standard error goes; None discards it.
            threads: Processor threads it may use; 0 leaves the choice to it.
        """
        self.name = name
        self.loaded: LoadedModel | None = None
        self.spec: ModelSpec | None = None
        self._log = log
        self._threads = threads
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: dict[str, asyncio.Queue[wire.Line]] = {}
        self._asked: set[str] = set()
        self._numbers = itertools.count(1)
        self._reader: asyncio.Task[None] | None = None
        self._write = asyncio.Lock()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.returncode is None

    async def load(self, spec: ModelSpec) -> LoadedModel:
        """Starts the process and loads the weights; a process that ran before is ended first.

        Raises:
            Failed: the model cannot be loaded; no process is left.
        """
        started = time.monotonic()
        await self.unload()
        self.spec = spec
        await self._start()
        assert self._process is not None
        try:
            async with contextlib.aclosing(self._ask("load", wire.spec_line(spec))) as answers:
                line = await anext(answers)
        except BaseException:
            await self.unload()
            raise
        made = line["loaded"]
        self.loaded = LoadedModel(
            spec.name, self.name, made["device"], made["dtype"], made["memory"], self._process.pid,
            made["grammar"], time.monotonic() - started, made["context"],
        )
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
                    yield Token(line["token"])
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
                process.kill()
                await process.wait()
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=1)
            self._reader.cancel()
            await asyncio.wait([self._reader])
            self._reader = None

    async def _start(self) -> None:
        env = dict(os.environ, HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
        if self._threads:
            env["OMP_NUM_THREADS"] = str(self._threads)
        with open(self._log or os.devnull, "ab") as log:  # noqa: ASYNC230
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "agentos.engines.worker", self.name,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
                env=env, limit=LINE_LIMIT, start_new_session=os.name == "posix",
            )
        self._reader = asyncio.create_task(self._read(self._process))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        why = "it was unloaded"
        try:
            while raw := await process.stdout.readline():
                line = wire.decode(raw)
                waiting = self._waiting.get(line["id"])
                if waiting is not None:
                    waiting.put_nowait(line)
            why = _cause(await process.wait())
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
        inbox: asyncio.Queue[wire.Line] = asyncio.Queue()
        self._waiting[ident] = inbox
        try:
            await self._send({**line, "id": ident})
            if not self.alive:
                raise Failed(f"the {self.name} engine's process ended")
            while True:
                answer = await inbox.get()
                if "error" in answer:
                    raise _ERRORS.get(answer["kind"], Failed)(answer["error"])
                yield answer
        finally:
            del self._waiting[ident]


def _cause(code: int) -> str:
    if code < 0:
        import signal

        return f"killed by {signal.Signals(-code).name}" + (", out of memory?" if code == -signal.SIGKILL else "")
    return f"exit code {code}"
