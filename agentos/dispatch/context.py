"""What a syscall is given: the services, and a line back to the caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from agentos.types import (
    Audit,
    Caller,
    Datasets,
    Event,
    Jobs,
    Json,
    KernelView,
    Logprob,
    Models,
    Policy,
    Resources,
    Training,
    Trash,
)

Emit = Callable[[Event], Awaitable[None]]


@dataclass(frozen=True)
class Services:
    """All that syscalls reach, wired once at boot."""

    resources: Resources
    models: Models
    jobs: Jobs
    datasets: Datasets
    training: Training
    policy: Policy
    audit: Audit
    trash: Trash
    kernel: KernelView


class CallContext:
    """The `Context` of one call."""

    def __init__(self, services: Services, caller: Caller, call: str, emit: Emit) -> None:
        """Services as one call sees them."""
        self.caller = caller
        self.call = call
        self.resources = services.resources
        self.models = services.models
        self.jobs = services.jobs
        self.datasets = services.datasets
        self.training = services.training
        self.policy = services.policy
        self.audit = services.audit
        self.trash = services.trash
        self.kernel = services.kernel
        self._emit = emit

    async def progress(
        self, message: str, done: float | None = None, total: float | None = None, unit: str = ""
    ) -> None:
        """Tells the caller how far the call is."""
        await self._emit(Event("progress", {"message": message, "done": done, "total": total, "unit": unit}))

    async def text(self, delta: str, logprobs: Sequence[Logprob] = ()) -> None:
        """Streams a piece of a model's answer."""
        likely: list[Json] = [
            {"token": one.token, "logprob": one.value, "top": [[text, value] for text, value in one.top]}
            for one in logprobs
        ]
        await self._emit(Event("text", {"text": delta, "logprobs": likely} if likely else {"text": delta}))
