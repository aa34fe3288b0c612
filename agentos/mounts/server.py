"""One mounted server: connected when it is needed, given up when it hangs, started again when it has died.

Its connection lives in a task of its own, and whatever becomes of it, those who call hear of it in a sentence and
nothing else of the system does.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Literal

from agentos.errors import AgentosError, Failed, Retry
from agentos.mounts.answer import Answer, Tool
from agentos.mounts.spec import Spec
from agentos.types import Json, Progress, Seconds

if TYPE_CHECKING:
    from agentos.mounts.session import Peer

START: Seconds = 60.0
"""Until a server must have greeted; one that is fetched first (`npx`, `uvx`) takes a while."""
_LONGEST: Seconds = 60.0
"""Between two attempts to start one that keeps failing."""
_ENDING: Seconds = 15.0

State = Literal["idle", "starting", "running", "failed"]
Connect = Callable[[Spec], "AbstractAsyncContextManager[Peer]"]


class Mounted:
    """A server by its name."""

    def __init__(
        self, name: str, spec: Callable[[], Spec], *, connect: Connect | None = None, start: Seconds = START,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is started before the first call.

        Args:
            name: For what is said of it.
            spec: How it is reached; asked at each start, as it is kept sealed.
            connect: Connects; over the protocol's library where None, which is imported then.
            start: Until it must have greeted.
            clock: Seconds, for the pauses between attempts.
        """
        self.name, self._spec, self._connect, self._patience, self._clock = name, spec, connect, start, clock
        self._ready: asyncio.Future[Peer] | None = None
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._cause = ""
        self._failures, self._until = 0, 0.0
        self.fault = ""
        """Why it ended last, as the end of a sentence; empty while it does well."""

    @property
    def state(self) -> State:
        """How it does."""
        if self._ready is not None and not self._ready.done():
            return "starting"
        if self._task is not None and not self._task.done():
            return "running"
        return "failed" if self.fault else "idle"

    async def tools(self) -> list[Tool]:
        """What it offers.

        Raises:
            Failed: it cannot be started, or does not list them.
            Retry: it failed a moment ago.
        """
        peer = await self._up()
        try:
            async with asyncio.timeout(self._patience):
                return await peer.tools()
        except TimeoutError:
            await self.close(why := f"did not list its tools within {self._patience:.0f} s and was ended")
            raise Failed(f"the server {self.name!r} {why}") from None
        except Failed as error:
            raise Failed(f"the server {self.name!r} did not list its tools: {error}") from error
        except Exception as error:
            raise await self._gone(error, "while it listed its tools") from error

    async def call(self, tool: str, args: dict[str, Json], progress: Progress) -> Answer:
        """What one of its tools gives.

        Raises:
            Failed: the tool failed, the server ended, or it did not answer in time.
            Retry: it failed a moment ago and is not started again yet.
        """
        from agentos.mounts.session import Silent

        peer = await self._up()
        begun, limit = time.monotonic(), self._spec().timeout
        try:
            answer = await peer.call(tool, args, limit, progress)
        except Silent:
            why = f"did not answer within {limit:.0f} s"
            if not peer.heard_since(begun):
                await self.close(f"{why} and was ended")
                why += " and was ended; it is started again at the next call"
            raise Failed(f"the server {self.name!r} {why}. What {tool} may have done stays done.") from None
        except Failed as error:
            self._failures = 0
            raise Failed(f"{self.name}: {error}") from error
        except AgentosError:
            raise
        except Exception as error:
            when = f"in the middle of {tool}, which may or may not have had its effect"
            raise await self._gone(error, when) from error
        self._failures, self.fault = 0, ""
        return answer

    async def close(self, why: str = "") -> None:
        """Ends the connection, and the process where it is one of ours; gives why to those who wait for an answer."""
        self._cause = why
        self._stop.set()
        if self._task is not None:
            done, _ = await asyncio.wait([self._task], timeout=_ENDING)
            if not done:
                self._task.cancel()
                await asyncio.wait([self._task], timeout=_ENDING)

    async def _up(self) -> Peer:
        """The connected server."""
        if self._task is None or self._task.done():
            wait = self._until - self._clock()
            if wait > 0:
                raise Retry(
                    f"the server {self.name!r} {self.fault}; it is started again in {max(1, round(wait))} s at the"
                    " earliest. Nothing was sent to it."
                )
            self._stop, self._cause = asyncio.Event(), ""
            self._ready = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._own(self._ready, self._stop), name=f"mcp:{self.name}")
        assert self._ready is not None
        return await asyncio.shield(self._ready)

    async def _own(self, ready: asyncio.Future[Peer], stop: asyncio.Event) -> None:
        """Holds one connection from its beginning to its end."""
        why, session = "", None
        try:
            # The library takes half a second to import, which must not hold up everything else.
            session = await asyncio.to_thread(__import__, "agentos.mounts.session", fromlist=["connected"])
            connect: Connect = self._connect or session.connected
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(self._patience):
                    peer = await stack.enter_async_context(connect(self._spec()))
                ready.set_result(peer)
                waits = [asyncio.create_task(stop.wait()), asyncio.create_task(peer.ended.wait())]
                try:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for wait in waits:
                        wait.cancel()
                if not stop.is_set():
                    why = await peer.child.ended() if peer.child is not None else "went away"
        except TimeoutError:
            why = f"did not greet within {self._patience:.0f} s and was ended"
        except Exception as error:
            why = session.reason(error) if session is not None else f"could not be reached ({error})"
        finally:
            self._over(ready, self._cause or why)

    def _over(self, ready: asyncio.Future[Peer], why: str) -> None:
        self.fault = why
        if why:
            self._failures += 1
            pause = 0.0 if self._failures == 1 else min(_LONGEST, 2.0 ** (self._failures - 2))
            self._until = self._clock() + pause
        if not ready.done():
            ready.set_exception(Failed(f"the server {self.name!r} {why or 'was ended'}; nothing was sent to it"))
            ready.exception()  # where nobody waits any more, nobody must

    async def _gone(self, error: Exception, when: str) -> Failed:
        """The error of who was waiting when the connection ended."""
        from agentos.mounts.session import reason

        if self._task is not None:
            await asyncio.wait([self._task], timeout=_ENDING)
        why = self.fault or reason(error)
        return Failed(f"the server {self.name!r} {why} {when}. It is started again when needed.")
