"""Runs a remote model through LiteLLM: any provider, any OpenAI-compatible server, many requests at once.

The model's name is LiteLLM's (`openai/gpt-4o-mini`, `anthropic/…`); `agentos.engines.remote` says what can be set.
Keys come with the settings, from the encrypted store, or else from the provider's own variable. Nothing that a
grammar would hold is held here: the kernel reads the answer back and repairs it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import gc
import importlib
import json
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, TypeVar

from agentos.engines import compatible
from agentos.engines.attempts import attempt
from agentos.engines.faults import Fault, Refused
from agentos.engines.remote import PREFIX, Limits, Remote, Target, read, unit
from agentos.engines.remote_chat import Calls, asked, likely, messages
from agentos.engines.stops import Emit, Likely, Shown
from agentos.errors import Failed, Retry, UserError
from agentos.types import Completed, Generation, ModelSpec, Predicted

Result = TypeVar("Result")

POLL = 0.05
"""Seconds between two looks at whether a request was cancelled."""
SWITCHES = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # its price list would be fetched at import
    "LITELLM_MODE": "PRODUCTION",  # else it reads a .env file, and keys from it, in whichever folder it stands
    "LITELLM_LOG": "CRITICAL",
    "DISABLE_AIOHTTP_TRANSPORT": "True",  # one client for both kinds of request: less memory, and a close that closes
    "REPEATED_STREAMING_CHUNK_LIMIT": "1000000000",  # a ruler of dashes is an answer too
}
_OURS = ("openai", "custom_openai", "text-completion-openai")


class Backend:
    """One remote model and its fallbacks."""

    grammar = False
    concurrent = 64

    def __init__(self) -> None:
        """A loop of its own, in a thread: requests wait in it side by side."""
        self._chunks = 0
        self._ticks = 0
        self._asked = 0
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def progress(self) -> int:
        """Pieces that came, and ticks of the loop while it waits: how long is up to the time-outs."""
        return self._chunks + self._ticks

    def load(self, spec: ModelSpec, tell: Callable[[int, int], None]) -> dict[str, Any]:
        """Gets ready to ask; nothing is sent yet.

        Raises:
            Failed: LiteLLM knows no provider for a name, a key is nowhere, or a setting is wrong.
        """
        self._remote: Remote = read(spec)
        self._context = spec.context
        keys = spec.settings.get("keys") or {}
        if not isinstance(keys, dict) or not all(isinstance(value, str) for value in keys.values()):
            raise Failed(f"the setting 'keys' of {spec.name!r} must map names to texts; nothing was loaded")
        os.environ.update(SWITCHES)
        os.environ.update({str(name): str(value) for name, value in keys.items()})  # this process's alone
        import litellm

        litellm.telemetry = False
        litellm.suppress_debug_info = True
        litellm.turn_off_message_logging = True
        litellm.disable_hf_tokenizer_download = True
        litellm.callbacks, litellm.success_callback, litellm.failure_callback = [], [], []
        for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "httpx", "openai"):
            logging.getLogger(name).disabled = True  # they quote prompts, addresses and headers
        self._litellm: Any = litellm
        self._keys = {target: self._key(spec, target) for target in self._remote.targets}
        self._rows = {target: self._known(target) for target in self._remote.targets}
        heeded = litellm.get_supported_openai_params
        self._params = {target: frozenset(heeded(target.model) or ()) for target in self._remote.targets}
        self._servers = {target: server for target in self._remote.targets if (server := self._server(target))}
        self._wait(self._warm())
        gc.freeze()  # LiteLLM's own million objects need not be gone through again and again
        return {"device": "remote", "dtype": "", "context": spec.context}

    def generate(
        self, request: Generation, emit: Emit, cancelled: Callable[[], bool]
    ) -> Completed:
        """Asks the provider and streams its answer; where it cannot answer, the fallbacks are asked.

        Raises:
            Retry: nobody could be reached, is free, or was quick enough.
            UserError: the request or the key was refused.
            Failed: an answer broke off, or nobody can give one.
        """
        return self._wait(self._answer(request, emit), cancelled) or Completed("cancelled", "")

    def begin(
        self, request: Generation, emit: Emit, done: Callable[[Future[Completed]], None]
    ) -> Callable[[], object]:
        """As `generate`, without a thread that waits; gives what cancels it, and tells `done` of the end."""
        future = asyncio.run_coroutine_threadsafe(self._counted(self._answer(request, emit)), self._loop)
        future.add_done_callback(done)
        return future.cancel

    def predict(self, texts: Sequence[str]) -> Predicted:
        """A vector of length 1 for each text. Fallbacks are not asked: vectors of two models do not compare.

        Raises:
            UserError: the model writes text, or the request or the key was refused.
            Retry: the provider could not be reached.
            Failed: it answered with something else than vectors.
        """
        if not texts:
            return Predicted((), ())
        first = Remote(self._remote.targets[:1], self._remote.limits)
        if (self._rows[first.targets[0]] or {}).get("mode", "embedding") != "embedding":
            raise UserError("this model writes text and gives no labels or vectors; name a classifier or an embedder")
        found = self._wait(attempt(first, lambda target, end: self._embed(target, end, texts), lambda: False))
        assert found is not None
        return found

    def idle(self) -> None:
        """Nothing to do."""

    def _run(self) -> None:
        async def tick() -> None:
            while True:
                await asyncio.sleep(0.5)
                self._ticks += self._asked > 0

        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(lambda *_: None)  # what it would print may hold what a provider said
        task = self._loop.create_task(tick())
        self._loop.run_until_complete(task)

    def _wait(
        self, work: Coroutine[Any, Any, Result], cancelled: Callable[[], bool] = lambda: False
    ) -> Result | None:
        """What the work gives; None once it was cancelled, which closes what it had open."""
        future = asyncio.run_coroutine_threadsafe(self._counted(work), self._loop)
        while not future.done():
            concurrent.futures.wait([future], POLL)
            if cancelled():
                future.cancel()
        return None if future.cancelled() else future.result()

    async def _counted(self, work: Coroutine[Any, Any, Result]) -> Result:
        self._asked += 1
        try:
            return await work
        finally:
            self._asked -= 1

    async def _warm(self) -> None:
        """Imports what the first answer would, which takes a second; nothing is sent."""
        importlib.import_module("openai.resources.chat.completions")
        with contextlib.suppress(Exception):  # a real answer tells its error
            made = await self._litellm.acompletion(
                model="openai/none", api_key="none", messages=[], mock_response="ready", stream=True
            )
            async for _ in made:
                pass

    async def _answer(self, request: Generation, emit: Emit) -> Completed:
        if request.max_tokens == 0:
            return Completed("stop", "")
        told = None if request.logprobs is None else Likely(emit)
        started, shown = time.monotonic(), Shown(request.stop, told or emit)
        made = await attempt(
            self._remote, lambda target, end: self._stream(target, end, request, shown, told), lambda: bool(shown.text)
        )
        if made.text != shown.text:  # calls of functions come whole, at the end
            emit(made.text[len(shown.text) :])
        return dataclasses.replace(made, seconds=time.monotonic() - started)

    async def _stream(
        self, target: Target, end: float, request: Generation, shown: Shown, told: Likely | None
    ) -> Completed:
        limits, now = self._remote.limits, self._loop.time
        turns, stream, cut, calls = messages(request.prompt), None, False, Calls()
        wanted = self._taken(target, asked(request, self._context))
        try:
            async with asyncio.timeout_at(min(end, now() + limits.first)) as patience:
                stream = await self._opened(target, turns, wanted)
                held = ""
                async for chunk in stream:
                    self._chunks += 1
                    for choice in chunk.choices:
                        said = getattr(choice.delta, "content", None) or ""
                        called = calls.take(getattr(choice.delta, "tool_calls", None))
                        if said or called or getattr(choice.delta, "reasoning_content", None):
                            patience.reschedule(min(end, now() + limits.between))
                        if told is not None:
                            for one in likely(choice):
                                told.token(one)
                        held += said
                    if told is None and getattr(stream, "more", False):
                        continue  # what came together is shown together
                    cut, held = shown.add(held), ""
                    if cut:
                        break
        except TimeoutError:
            raise Refused(_slow(limits, shown, over=now() >= end)) from None
        finally:
            if stream is not None:
                with contextlib.suppress(Exception):
                    await stream.aclose()
        finish = "stop" if cut else _finish(stream)
        text = shown.finish()
        if made := calls.text():
            text = f"{text}\n{made}" if text else made
        usage, counted = self._usage(target, turns, text, stream)
        return Completed(
            "length" if finish == "length" else "stop", text, usage.prompt_tokens, _cached(usage),
            usage.completion_tokens, cost=self._cost(target, usage), counted=counted,
            served_by="" if target == self._remote.targets[0] else PREFIX + target.model,
        )

    async def _opened(self, target: Target, turns: list[dict[str, Any]], wanted: dict[str, Any]) -> Any:
        """The stream of an answer: from a server of one's own as it is, else through LiteLLM."""
        said = {"messages": turns, "stream": True, "stream_options": {"include_usage": True}, **wanted}
        if (server := self._servers.get(target)) is None:
            return await self._litellm.acompletion(**said, **self._call(target))
        sent = {name: value for name, value in said.items() if value is not None}
        try:
            return await server.ask({"model": target.model.partition("/")[2], **sent})
        except compatible.Answered as error:
            self._litellm.exception_type(  # raises what it calls that
                model=target.model, original_exception=error, custom_llm_provider="openai"
            )
            raise

    def _server(self, target: Target) -> compatible.Server | None:
        key = self._keys[target] or os.environ.get("OPENAI_API_KEY")
        return compatible.server(self._litellm, target, key, self._remote.limits.connect)

    async def _embed(self, target: Target, end: float, texts: Sequence[str]) -> Predicted:
        started, limits = time.monotonic(), self._remote.limits
        try:
            async with asyncio.timeout_at(min(end, self._loop.time() + limits.first)):
                made = await self._litellm.aembedding(input=list(texts), encoding_format="float", **self._call(target))
        except TimeoutError:
            raise Refused(_slow(limits, None, over=self._loop.time() >= end)) from None
        self._chunks += 1
        usage = getattr(made, "usage", None)
        tokens = getattr(usage, "prompt_tokens", 0) or 0
        cost = self._cost(target, usage) if usage is not None else None
        return Predicted((), unit(made.data, len(texts)), tokens, time.monotonic() - started, cost=cost)

    def _taken(self, target: Target, wanted: dict[str, Any]) -> dict[str, Any]:
        """What is asked of a provider; what it would not heed is not dropped in silence, where answers hang on it."""
        known = self._params[target] or wanted
        for name in ("tools", "response_format", "logprobs"):
            if name in wanted and name not in known:
                raise Refused(Fault("asker", f"its provider takes no {name!r}; nothing was asked", UserError))
        return wanted

    def _call(self, target: Target) -> dict[str, Any]:
        limits = self._remote.limits
        patience = self._litellm.httpx.Timeout(limits.total, connect=limits.connect)
        return {
            "model": target.model, "api_base": target.api_base, "api_key": self._keys[target], "timeout": patience,
            "max_retries": 0, "num_retries": 0, "drop_params": True,
        }

    def _key(self, spec: ModelSpec, target: Target) -> str | None:
        """What is sent as its key; None leaves it to LiteLLM, which looks into the provider's own variable."""
        try:
            provider = self._litellm.get_llm_provider(target.model, api_base=target.api_base)[1]
        except Exception:
            raise Failed(f"{target.model!r} names no provider that LiteLLM knows; write it like openai/NAME") from None
        if target.key:
            if value := os.environ.get(target.key):
                return value
            raise Failed(
                f"{spec.name!r} needs the key {target.key!r}, which is neither in the encrypted store nor in the "
                f"environment; nothing was loaded. Keep it with: agentos secrets set {target.key}"
            )
        # a server of one's own asks for no key, but LiteLLM's client will not start without one
        own = target.api_base and provider in _OURS and not os.environ.get("OPENAI_API_KEY")
        return "none" if own else None

    def _known(self, target: Target) -> dict[str, Any] | None:
        """The model's row in LiteLLM's own table."""
        try:
            found = self._litellm.get_model_info(target.model, api_base=target.api_base)
            row: dict[str, Any] | None = self._litellm.model_cost.get(found["key"])
        except Exception:
            return None
        return row

    def _usage(self, target: Target, messages: list[dict[str, Any]], text: str, stream: Any) -> tuple[Any, bool]:
        """What the provider counted, or else what this machine counts, and whether it was that."""
        told = [chunk.usage for chunk in stream.chunks if getattr(chunk, "usage", None) is not None]
        if told:
            return told[-1], False
        asked = self._litellm.token_counter(model=target.model, messages=messages)
        wrote = self._litellm.token_counter(model=target.model, text=text)
        made = self._litellm.Usage(prompt_tokens=asked, completion_tokens=wrote, total_tokens=asked + wrote)
        return made, True

    def _cost(self, target: Target, usage: Any) -> float | None:
        if "input_cost_per_token" not in (self._rows[target] or {}):
            return None
        try:
            if isinstance(usage, SimpleNamespace):
                usage = self._litellm.Usage(**json.loads(json.dumps(usage, default=vars)))
            cost = math.fsum(self._litellm.cost_per_token(model=target.model, usage_object=usage))
        except Exception:
            return None  # a price by something else than tokens
        return cost if math.isfinite(cost) and cost >= 0 else None


def _finish(stream: Any) -> str:
    finish: str | None = stream.received_finish_reason or stream.intermittent_finish_reason
    if finish is None:
        raise Refused(Fault("again", "the connection ended before the answer did", Retry))
    if finish == "content_filter":
        raise Refused(Fault("asker", "its provider's rules on content cut the answer off", UserError))
    return finish


def _cached(usage: Any) -> int:
    return getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", 0) or 0


def _slow(limits: Limits, shown: Shown | None, *, over: bool) -> Fault:
    if over:
        return Fault("again", f"there was no whole answer within {limits.total:g} s", Retry)
    waited = limits.between if shown is not None and shown.text else limits.first
    return Fault("again", f"its provider sent nothing for {waited:g} s", Retry)
