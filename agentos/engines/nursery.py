"""Starts engine processes in milliseconds: a process that has the engine's libraries in memory forks them.

The first load of a system is a plain start; once it is done, a nursery process imports in the background what
every such engine imports, and later loads are forked from it. It runs one thread and touches no GPU, so that
what it forks is whole. It ends when its socket closes, however the system ended; what it forked lives on
until its own input closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentos.engines.footprint import held
from agentos.engines.worker import Worker
from agentos.types import Bytes

WARM = frozenset({"transformers"})
"""Engines whose libraries take seconds to import."""
OFFLINE = {
    "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false",
    # threads of two engines that spin while they wait make each other eight times slower than these, on two cores
    "GOMP_SPINCOUNT": "1000",
}
"""What every engine's environment says."""
UNSEEN = 256
"""Exit code of a process whose end nobody was left to see."""
_LIBRARIES = (
    "agentos.engines.transformers", "agentos.engines.encoders", "agentos.engines.adapters", "agentos.engines.quantized",
    "llguidance.hf", "transformers.generation.utils", "transformers.modeling_utils", "jinja2.sandbox",
    *(f"transformers.models.{kind}.modeling_{kind}" for kind in ("qwen2", "llama", "qwen3", "mistral", "bert")),
)
_TRIES = 3
"""Nurseries that may die before they are ready; then every start is plain."""
_MESSAGE = 1 << 20
_PATIENCE = 5.0
"""Seconds in which the nursery must have forked; it takes milliseconds."""


class ForkedChild:
    """A process that a nursery forked; what `asyncio.subprocess.Process` is for one that was started."""

    def __init__(self, pid: int, handle: int, stdout: asyncio.StreamReader, stdin: asyncio.StreamWriter) -> None:
        """`handle` is the process's pidfd: a signal through it can reach no other process."""
        self.pid, self.stdout, self.stdin = pid, stdout, stdin
        self._handle = handle
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def returncode(self) -> int | None:
        """As of a started process; None while it runs, `UNSEEN` where nobody saw the end."""
        return self._code.result() if self._code.done() else None

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        code = await asyncio.shield(self._code)
        self.stdin.close()
        return code

    def kill(self) -> None:
        """Ends it at once."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def ended(self, code: int) -> None:
        """Notes how it ended."""
        if not self._code.done():
            self._code.set_result(code)
            os.close(self._handle)

    def orphaned(self) -> None:
        """From here on its end is seen by its pidfd alone, which tells no exit code."""
        if self.returncode is None:
            loop, handle = asyncio.get_running_loop(), self._handle

            def gone() -> None:
                loop.remove_reader(handle)
                self.ended(UNSEEN)

            loop.add_reader(handle, gone)


class Nursery:
    """One system's nursery process; making this starts nothing."""

    def __init__(self, log: Path | None = None) -> None:
        """A nursery that is not running yet.

        Args:
            log: Where the nursery's standard error goes; None discards it.
        """
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._ready = False
        self._failed = 0
        self._asked: dict[int, asyncio.Future[tuple[int, int] | None]] = {}
        self._early: dict[int, int] = {}
        self._numbers = itertools.count(1)
        self._children: dict[int, ForkedChild] = {}

    @property
    def ready(self) -> bool:
        """Whether the next start is a fork."""
        return self._ready

    @property
    def pid(self) -> int | None:
        """Of the nursery process; None where none runs."""
        process = self._process
        return process.pid if process is not None else None

    def memory(self) -> Bytes:
        """What the nursery process itself holds, each shared page counted once."""
        pid = self.pid
        return held(pid) if pid is not None else 0

    def prepare(self) -> None:
        """Starts the nursery process in the background, where this platform can have one and none runs."""
        able = sys.platform == "linux" and hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal")
        if not able or self._process is not None or self._failed >= _TRIES:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        env = dict(os.environ, OPENBLAS_NUM_THREADS="1", PYTORCH_NVML_BASED_CUDA_CHECK="1", **OFFLINE)
        env.pop("OMP_NUM_THREADS", None)
        with open(self._log or os.devnull, "ab") as log, theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "agentos.engines.nursery", str(theirs.fileno())], pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, env=env, start_new_session=True,
            )
        ours.setblocking(False)
        self._socket = ours
        asyncio.get_running_loop().add_reader(ours, self._hear)

    async def fork(
        self, name: str, log: int, env: Mapping[str, str], threads: int, limit: int
    ) -> ForkedChild | None:
        """An engine process, or None where a plain start is due.

        Args:
            name: The engine.
            log: File descriptor that its standard error goes to.
            env: Its environment.
            threads: Processor threads it may use; 0 leaves the choice to it.
            limit: Longest line it may write, in bytes.
        """
        if name not in WARM or not self._ready:
            return None
        number = next(self._numbers)
        ours, theirs = socket.socketpair()
        try:
            answer = self._asked[number] = asyncio.get_running_loop().create_future()
            said = json.dumps({"number": number, "name": name, "env": dict(env), "threads": threads}).encode()
            assert self._socket is not None
            with theirs, contextlib.suppress(OSError):  # it just died, or the environment fills no one message
                socket.send_fds(self._socket, [said], [theirs.fileno(), log])
                if (made := await self._answered(answer)) is not None:
                    try:
                        reader, writer = await asyncio.open_connection(sock=ours, limit=limit)
                    except BaseException:
                        os.close(made[1])
                        raise
                    child = ForkedChild(made[0], made[1], reader, writer)
                    self._children[made[0]] = child
                    if (code := self._early.pop(made[0], None)) is not None:
                        child.ended(code)
                    elif not self._ready:
                        child.orphaned()
                    return child
        except BaseException:
            ours.close()
            raise
        finally:
            self._asked.pop(number, None)
        ours.close()
        return None

    async def _answered(self, answer: asyncio.Future[tuple[int, int] | None]) -> tuple[int, int] | None:
        """What the nursery made; None where it died, or does not answer and is given up."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asyncio.shield(answer)
        except TimeoutError:
            self._lose()
            return None

    def close(self) -> None:
        """Ends the nursery process; what it forked lives on."""
        process = self._process
        if process is not None:
            process.kill()
            self._lose()

    def __del__(self) -> None:
        """Ends the nursery process of a system that went without closing it."""
        self.close()

    def _hear(self) -> None:
        assert self._socket is not None
        try:
            said, handles, _, _ = socket.recv_fds(self._socket, 4096, 1)
        except BlockingIOError:
            return
        except OSError:
            said, handles = b"", []
        if not said:
            self._lose()
            return
        line: dict[str, Any] = json.loads(said)
        if "ready" in line:
            self._ready, self._failed = True, 0
        elif "code" in line:
            child = self._children.pop(line["pid"], None)
            if child is not None:
                child.ended(line["code"])
            elif self._asked:  # it ended before whoever asked for it had taken it over
                self._early[line["pid"]] = line["code"]
        elif (answer := self._asked.get(line["number"])) is not None and not answer.done() and handles:
            answer.set_result((line["pid"], handles[0]))
        else:  # whoever asked has gone: the other end of its socket is closed, so it ends by itself
            for handle in handles:
                os.close(handle)

    def _lose(self) -> None:
        """The nursery process has ended."""
        process, ear = self._process, self._socket
        self._failed += not self._ready
        self._process, self._socket, self._ready = None, None, False
        if ear is not None:
            with contextlib.suppress(RuntimeError):  # the loop may be gone
                asyncio.get_running_loop().remove_reader(ear)
            ear.close()
        if process is not None:
            process.kill()
            process.wait()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_result(None)
        children, self._children = list(self._children.values()), {}
        for child in children:
            with contextlib.suppress(RuntimeError):
                child.orphaned()


class _Parent:
    """The nursery process: forks what it is asked for and tells how each ended."""

    def __init__(self, ear: socket.socket) -> None:
        self._ear = ear
        self._poll = select.poll()
        self._handles: dict[int, int] = {}

    def run(self) -> None:
        self._ear.send(b'{"ready": true}')
        self._poll.register(self._ear, select.POLLIN)
        while True:
            for handle, _ in self._poll.poll():
                if handle == self._ear.fileno():
                    self._fork()
                else:
                    self._bury(handle)

    def _fork(self) -> None:
        said, passed, _, _ = socket.recv_fds(self._ear, _MESSAGE, 2)
        if not said:
            sys.exit(0)
        if len(os.listdir("/proc/self/task")) != 1:  # a fork would leave the others' locks held for ever
            sys.exit("a library started a thread while it was imported; engines are started plainly")
        asked = json.loads(said)
        pid = os.fork()
        if pid == 0:
            try:
                self._grow(asked, *passed)
            finally:
                os._exit(1)
        handle = os.pidfd_open(pid)
        for each in passed:
            os.close(each)
        self._handles[handle] = pid
        self._poll.register(handle, select.POLLIN)
        socket.send_fds(self._ear, [json.dumps({"pid": pid, "number": asked["number"]}).encode()], [handle])

    def _grow(self, asked: dict[str, Any], line: int, log: int) -> None:
        """What a forked process does."""
        os.setsid()
        self._ear.close()
        for handle in self._handles:
            os.close(handle)
        for standard in (1, 2):
            os.dup2(log, standard)
        os.close(log)
        os.environ.clear()
        os.environ.update(asked["env"])
        with contextlib.suppress(OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(15, b"agentos-engine", 0, 0, 0)  # PR_SET_NAME, for whoever looks with ps
        if asked["threads"]:
            sys.modules["torch"].set_num_threads(asked["threads"])
        both = socket.socket(fileno=line)
        Worker(asked["name"], both.makefile("rb"), both.makefile("wb")).run()

    def _bury(self, handle: int) -> None:
        pid = self._handles.pop(handle)
        self._poll.unregister(handle)
        os.close(handle)
        _, status = os.waitpid(pid, 0)
        self._ear.send(json.dumps({"pid": pid, "code": os.waitstatus_to_exitcode(status)}).encode())


def main() -> None:
    """Imports what engines need, then forks them until the socket named on the command line closes."""
    with socket.socket(fileno=int(sys.argv[1])) as ear:
        ear.set_inheritable(False)
        for name in _LIBRARIES:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        gc.collect()
        gc.freeze()  # a collection in a fork would write to, and so copy, every page of objects
        with contextlib.suppress(BrokenPipeError):
            _Parent(ear).run()


if __name__ == "__main__":
    main()
