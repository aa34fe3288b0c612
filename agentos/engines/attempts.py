"""Asks one model after another, and each again, until one answers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from agentos.engines.faults import Fault, judge
from agentos.engines.remote import Remote, Target
from agentos.errors import Failed, Retry
from agentos.types import Seconds

Result = TypeVar("Result")


async def attempt(
    remote: Remote,
    once: Callable[[Target, float], Awaitable[Result]],
    begun: Callable[[], bool],
    sleep: Callable[[Seconds], Awaitable[None]] = asyncio.sleep,
) -> Result:
    """What `once` gives for the first model that answers.

    `once` is called with the model and until when, by the running loop's clock, it may take. Once it has `begun` to
    show an answer, nothing is asked again: a person has read it already.

    Raises:
        UserError: the request is at fault; nobody else was asked.
        Retry: all that went wrong may pass.
        Failed: nobody can answer, or an answer that had begun broke off.
    """
    now = asyncio.get_running_loop().time
    end = now() + remote.limits.total
    found: list[tuple[Target, Fault]] = []
    for target in remote.targets:
        for number in range(remote.limits.retries + 1):
            try:
                return await once(target, end)
            except Exception as error:
                fault = judge(error)
            if begun():
                raise Failed(f"{target.model!r} broke off in the middle of its answer: {fault.what}")
            if fault.who == "asker":
                raise fault.error(f"{target.model!r}: {fault.what}")
            if fault.who == "elsewhere" or number == remote.limits.retries:
                break
            pause = fault.wait
            if pause is None:
                pause = remote.limits.backoff * 2**number * random.uniform(0.5, 1.0)  # so that callers part
            if now() + pause >= end:
                break
            await sleep(pause)
        found.append((target, fault))
        if now() >= end:
            break
    raise _nobody(found)


def _nobody(found: list[tuple[Target, Fault]]) -> Exception:
    said = "; ".join(f"{target.model!r}: {_told(fault)}" for target, fault in found)
    errors = {fault.error for _, fault in found}
    kind = Retry if Retry in errors else Failed if len(errors) > 1 else errors.pop()
    hint = "; try again later" if kind is Retry else ""
    return kind(f"{said}{hint}. Nothing was answered.")


def _told(fault: Fault) -> str:
    return fault.what if fault.wait is None else f"{fault.what}, for {fault.wait:.0f} s"
