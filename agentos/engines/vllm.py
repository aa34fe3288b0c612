"""vLLM's own server as an engine: many requests at once, in processes and an environment of their own.

`prior` and `draft` of a request are hints that vLLM has no place for: answers come without them.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal

from agentos.engines import install, leash, vllm_args
from agentos.engines.started import cards
from agentos.engines.vllm_http import Client, Gone, Reply
from agentos.engines.vllm_log import LogReader
from agentos.engines.vllm_pulse import Beat
from agentos.engines.vllm_server import Launch, Server, Start, start
from agentos.errors import Failed, UserError
from agentos.types import Bytes, Completed, Generation, LoadedModel, ModelSpec, Predicted, Progress, Pulse, Token

_ENVIRON = {
    "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false", "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "3600",
}
_LAST_WORDS = 10.0


class VllmEngine:
    """One model in one server. Implements `Engine`."""

    name = "vllm"

    def __init__(
        self, cache: Path, *, log: Path, threads: int = 0, start: Start = start, gpu: bool | None = None
    ) -> None:
        """An engine that is not running yet.

        Args:
            cache: Where `agentos engines install` puts environments; what vLLM compiles is kept there too.
            log: Where the server writes.
            threads: Processor threads it may use; 0 leaves the choice to it.
            start: Where servers run; on this machine by default.
            gpu: Whether the server has a GPU; None looks.
        """
        self._loaded: LoadedModel | None = None
        self._cache, self._log, self._threads, self._start = cache, log, threads, start
        self._gpu = install.has_gpu() if gpu is None else gpu
        self._spec: ModelSpec | None = None
        self._server: Server | None = None
        self._client = Client("", "")
        self._beat = Beat(self._client, 0.0)
        self._asked: set[str] = set()

    @property
    def loaded(self) -> LoadedModel | None:
        """The model that its server serves; None where that has ended."""
        return self._loaded if self.alive else None

    @property
    def alive(self) -> bool:
        """Whether its processes run."""
        return self._server is not None and self._server.alive

    async def load(self, spec: ModelSpec, progress: Progress | None = None) -> LoadedModel:
        """Starts the server and waits until it has written a first token.

        Raises:
            Failed: vLLM is not installed or cannot serve the model; no process is left.
        """
        began = time.monotonic()
        await self.unload()
        if spec.path is None:
            raise Failed(f"{spec.name!r} has no folder of weights, and vLLM serves nothing else; nothing was loaded.")
        gpu = self._gpu and spec.device != "cpu"
        if spec.device == "gpu" and not gpu:
            raise Failed(f"{spec.name!r} is to run on a GPU and this machine has none; nothing was loaded.")
        python = install.python(self._cache, gpu=gpu)
        size = vllm_args.sized(spec.path)
        told = vllm_args.arguments(spec, size, gpu=gpu)
        key = secrets.token_urlsafe(32)
        environ = {**_ENVIRON, "VLLM_API_KEY": key, "VLLM_CACHE_ROOT": str(self._cache / "vllm")}
        if self._threads and not gpu:
            environ |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(self._threads)}
        if gpu:
            environ["VLLM_SERVER_DEV_MODE"] = "1"  # sleep and wake are among its development endpoints
            if self._start is start:  # elsewhere, whoever places servers chooses their GPUs
                environ |= cards(spec.settings)
        self._log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        reader = LogReader(self._log)
        gpus = int(float(str(spec.settings.get("tensor_parallel", 1)))) if gpu else 0
        server = await self._start(Launch(python, told, environ, self._log, None if gpu else spec.limit, gpus))
        self._server, self._spec = server, spec
        self._client = Client(server.address, key)
        self._beat = Beat(self._client, 0.0 if gpu else _allowance(size))
        try:
            await self._ready(server, spec, reader, progress)
            form = reader.found(r"dtype=torch\.(\w+)") or vllm_args.dtype(spec.settings, gpu)
            self._loaded = made = LoadedModel(
                spec.name, self.name, "gpu" if gpu else "cpu", form, self.memory(), server.pid, True,
                time.monotonic() - began, vllm_args.length(spec, size), (spec.limit or 0) if gpu else 0,
            )
        except BaseException:
            await self._end("its load was given up")
            raise
        return made

    async def generate(self, request: Generation) -> AsyncIterator[Token | Completed]:
        """Tokens as they come, then one `Completed`; closing the iterator cancels the request.

        Raises:
            Failed: the server died; the answer so far is all there is.
            UserError: the request cannot be met, or one of that id is under way.
        """
        if self._server is None or self._spec is None or self.loaded is None:
            raise Failed("the vllm engine is not running; load the model again")
        if request.id in self._asked:
            raise UserError(f"request {request.id!r} is already under way; give each its own id")
        self._asked.add(request.id)
        try:
            async with aclosing(self._stream(request, self._server, self._spec)) as stream:
                async for item in stream:
                    if isinstance(item, Completed):
                        self._asked.discard(request.id)
                    yield item
        finally:
            self._asked.discard(request.id)

    async def _stream(
        self, request: Generation, server: Server, spec: ModelSpec
    ) -> AsyncGenerator[Token | Completed, None]:
        began = time.monotonic()
        path, asked = vllm_args.body(request, spec)
        chat, pieces = "messages" in asked, []
        reason: Literal["stop", "length"] = "stop"
        usage: dict[str, Any] = {}
        self._beat.asked()
        try:
            async with aclosing(self._client.events(path, asked)) as stream:
                async for events in stream:
                    self._beat.received(len(events))
                    text, likely = "", []
                    for event in events:
                        if isinstance(event, Reply) or "error" in event:
                            raise await self._refusal(server, event)
                        usage = event.get("usage") or usage
                        for choice in event["choices"]:
                            text += (choice["delta"].get("content") if chat else choice["text"]) or ""
                            likely += vllm_args.likely(choice)
                            if choice.get("finish_reason") == "length":
                                reason = "length"
                    if text and request.max_tokens:
                        pieces.append(text)
                        yield Token(text, tuple(likely))
        except Gone:
            raise await self._death(server) from None
        finally:
            self._beat.answered()
        if not usage:
            raise await self._death(server)
        tokens = usage["completion_tokens"] if request.max_tokens else 0
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        yield Completed(
            reason if request.max_tokens else "length", "".join(pieces), usage["prompt_tokens"], cached, tokens, tokens,
            time.monotonic() - began,
        )

    async def predict(self, texts: Sequence[str]) -> Predicted:
        """Nothing: `UserError`, since it is here to write text."""
        raise UserError("vLLM serves models that write text here; load a classifier or embedder with transformers")

    async def adapt(self, folder: Path | None) -> bool:
        """False: vLLM has no adapter that acts on the end of a prompt alone."""
        return False

    async def pulse(self) -> Pulse:
        """A sign of life: tokens while it owes some, one token asked for now and then while it owes none.

        Raises:
            Failed: none came in time, a process of the server is stopped, or it has ended.
        """
        server = self._server
        if server is None or not server.alive:
            raise Failed("the vllm engine is not running; load the model again")
        pids = await asyncio.to_thread(server.processes)
        if self.loaded is None or self._spec is None:
            return Pulse(self._log.stat().st_size, True)
        return await self._beat.pulse(pids, vllm_args.adapted(self._spec))

    def memory(self) -> Bytes:
        """What its processes hold now, each shared page counted once; 0 where it does not run on this machine."""
        return leash.proportional(self._server.processes()) if self._server is not None else 0

    async def sleep(self) -> None:
        """Moves the weights out of GPU memory and drops what was kept of prompts. UserError: it has no GPU."""
        await self._post("/sleep?level=1")

    async def wake(self) -> None:
        """Brings back what `sleep` moved. UserError: it has no GPU."""
        await self._post("/wake_up")

    async def kill(self, why: str) -> None:
        """Ends the server at once; whoever waits for an answer gets `Failed` with that reason."""
        await self._end(why)

    async def unload(self) -> None:
        """Ends the server and waits until nothing of it is left."""
        await self._end("it was unloaded")

    async def _end(self, why: str) -> None:
        server, self._server, self._loaded = self._server, None, None
        if server is not None:
            self._beat.close()
            await server.kill(why)
            self._client.close()

    async def _post(self, path: str) -> None:
        if self._loaded is None or self._loaded.device != "gpu":
            raise UserError("only a model on a GPU can be put to sleep; unload this one instead")
        try:
            reply = await self._client.ask("POST", path)
        except Gone as gone:
            raise Failed(f"the vllm engine's server did not answer: {gone}") from gone
        if reply.status != 200:
            raise Failed(f"the vllm engine's server refused: {_words(reply)}")

    async def _ready(self, server: Server, spec: ModelSpec, reader: LogReader, progress: Progress | None) -> None:
        end = asyncio.ensure_future(server.ended())
        try:
            while True:
                done, _ = await asyncio.wait([end], timeout=0.25)
                said = reader.stage()
                if done:
                    raise Failed(
                        f"vLLM could not serve {spec.name!r}: it {end.result()}. No process is left. "
                        f"The last it wrote ({self._log}):\n{reader.last_words()}"
                    )
                if said and progress is not None:
                    await progress(f"{spec.name}: {said}")
                if reader.ready:
                    with contextlib.suppress(Gone):
                        if await self._beat.canary(vllm_args.adapted(spec)):
                            return
        finally:
            end.cancel()

    async def _refusal(self, server: Server, event: Any) -> Exception:
        words = _words(event)
        code = event.status if isinstance(event, Reply) else (event["error"] or {}).get("code")
        if isinstance(code, int) and 400 <= code < 500:
            return UserError(f"vLLM refused the request: {words}")
        return await self._death(server, words)

    async def _death(self, server: Server, words: str = "") -> Failed:
        """What a caller is told whose answer broke off: why the server ended, once that is known."""
        end = asyncio.ensure_future(server.ended())
        done, _ = await asyncio.wait([end], timeout=_LAST_WORDS)
        if not done:
            end.cancel()
            return Failed(f"the vllm engine broke off the answer: {words or 'it hung up'}")
        self._loaded = None
        return Failed(f"the vllm engine's server ended ({end.result()})")


def _words(event: Any) -> str:
    import json

    said: Any = event
    if isinstance(event, Reply):
        try:
            said = json.loads(event.body)
        except ValueError:
            return f"status {event.status}"
    error = said.get("error", said) if isinstance(said, dict) else said
    return str(error.get("message", error) if isinstance(error, dict) else error)


def _allowance(size: vllm_args.Size) -> float:
    """Seconds that one step over a long prompt may take a slow processor (2 operations a parameter and token)."""
    return max(4.0, 2 * size.parameters * 256 / 20e9)
