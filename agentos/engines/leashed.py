"""A process that the leash holds, seen from here: told of its end, and ended for certain with all below it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import Callable

from agentos.types import Seconds

_PATIENCE = 10.0


class Held:
    """A leash that has said that it started."""

    def __init__(
        self, process: asyncio.subprocess.Process, folder: str, told: Callable[[str], str] = lambda said: said
    ) -> None:
        """Listens to it.

        Args:
            process: The leash, with pipes to its input and from its output.
            folder: What it holds has this one to itself; it is removed at the end.
            told: Says in the caller's words what the leash says of the end; it says nothing where it was killed.
        """
        self._process, self._folder, self._told = process, folder, told
        self._why = ""
        self._end = asyncio.create_task(self._listen())

    @property
    def pid(self) -> int:
        """Of the leash."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether anything of it is left."""
        return not self._end.done()

    async def ended(self) -> str:
        """Waits until nothing of it is left; why it ended."""
        return await asyncio.shield(self._end)

    async def within(self, patience: Seconds, why: str) -> bool:
        """Whether it ends by itself in time, which is then told as `why`."""
        self._why = self._why or why
        done, _ = await asyncio.wait([self._end], timeout=patience)
        return bool(done)

    async def kill(self, why: str) -> None:
        """Ends it at once and returns when nothing of it is left; `ended` then says why."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if not await self.within(_PATIENCE, why):  # a leash that was stopped: what it holds goes with it
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await asyncio.wait([self._end])

    async def _listen(self) -> str:
        assert self._process.stdout is not None
        said = ""
        while line := await self._process.stdout.readline():
            said = str(json.loads(line).get("ended", said))
        await self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)  # a leash that was killed could not
        return self._why or self._told(said)
