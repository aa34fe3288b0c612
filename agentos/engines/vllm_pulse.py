"""Signs of life of a vLLM server: that tokens move while it owes some, and that it writes one when it owes none."""

from __future__ import annotations

import asyncio
import os
import time

from agentos.engines import leash
from agentos.engines.vllm_http import Client, Gone
from agentos.errors import Failed
from agentos.types import PULSE_SECONDS, Pulse

_CANARY_EVERY = 4.0
_COUNTED = (
    b"vllm:prompt_tokens_total", b"vllm:generation_tokens_total", b"vllm:iteration_tokens_total_count",
    b"vllm:kv_cache_usage_perc", b"vllm:num_requests_",
)


class Beat:
    """Counts what goes forward."""

    def __init__(self, client: Client, allowance: float) -> None:
        """Nothing has been asked yet.

        Args:
            client: Asks the server.
            allowance: Seconds for which processor time alone counts as progress: a step over a long prompt shows
                nothing else while it runs.
        """
        self._client, self._allowance = client, allowance
        self._progress = self._owed = 0
        self._seen: tuple[bytes, ...] = ()
        self._cpu = 0.0
        self._moved = self._last = time.monotonic()
        self._canary: asyncio.Task[bool] | None = None

    def close(self) -> None:
        """The server ends; nothing more is asked."""
        if self._canary is not None:
            self._canary.cancel()

    def asked(self) -> None:
        """A request begins."""
        if not self._owed:
            self._moved = time.monotonic()
        self._owed += 1

    def received(self, events: int) -> None:
        """Something of an answer came."""
        self._progress += events
        self._moved = time.monotonic()

    def answered(self) -> None:
        """A request is over."""
        self._owed -= 1
        self._last = time.monotonic()

    async def pulse(self, pids: list[int], model: str) -> Pulse:
        """A sign of life. Failed: there is none."""
        for pid in pids:
            if leash.fields(pid)[:1] in ([b"T"], [b"t"]):
                raise Failed(f"a process of the vllm engine (process {pid}) is stopped")
        if self._canary is None and not self._owed and time.monotonic() - self._last > _CANARY_EVERY:
            self._moved = time.monotonic()
            self._canary = asyncio.create_task(self.canary(model))
            # where the server ends meanwhile, nobody asks for the outcome
            self._canary.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        try:
            if self._canary is not None:
                await asyncio.wait({self._canary}, timeout=PULSE_SECONDS / 2)
                if self._canary.done():
                    asked, self._canary = self._canary, None
                    if asked.cancelled() or not asked.result():
                        raise Failed("the vllm engine could not write a token")
                    return Pulse(self._progress, self._owed > 0)
            async with asyncio.timeout(PULSE_SECONDS):
                if self._owed or self._canary is not None:
                    await self._look(pids)
                else:
                    await self._client.ask("GET", "/health")
        except TimeoutError:
            if self._owed or self._canary is not None:  # it may still be writing; the counter tells if it stands still
                return Pulse(self._progress, True)
            raise Failed(f"the vllm engine gave no sign of life for {PULSE_SECONDS:g} s") from None
        except Gone as gone:
            raise Failed(f"the vllm engine gave no sign of life: {gone}") from None
        return Pulse(self._progress, self._owed > 0 or self._canary is not None)

    async def canary(self, model: str) -> bool:
        """Whether the engine's own loop writes a token. Gone: the server does not answer."""
        reply = await self._client.ask(
            "POST", "/v1/completions", {"model": model, "prompt": [0], "max_tokens": 1, "temperature": 0}
        )
        if reply.status == 200:
            self._progress += 1
            self._last = time.monotonic()
        return reply.status == 200

    async def _look(self, pids: list[int]) -> None:
        reply = await self._client.ask("GET", "/metrics")
        seen = tuple(line for line in reply.body.splitlines() if line.startswith(_COUNTED))
        if seen != self._seen:
            self._seen = seen
            self.received(1)
            return
        cpu = sum(int(said[11]) + int(said[12]) for said in map(leash.fields, pids) if len(said) > 12)
        spent, self._cpu = (cpu - self._cpu) / os.sysconf("SC_CLK_TCK"), cpu
        if spent > PULSE_SECONDS / 4 and time.monotonic() - self._moved < self._allowance:
            self._progress += 1
