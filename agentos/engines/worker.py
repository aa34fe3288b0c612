"""The engine's own process: `python -m agentos.engines.worker NAME`.

Requests come on standard input and answers go to what standard output was at the start; anything a
library prints goes to standard error. When standard input closes, however the system ended, so does
the process.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

from agentos.engines import wire
from agentos.errors import AgentosError, Retry, UserError
from agentos.types import Completed, Generation, ModelSpec


class Backend(Protocol):
    """What `agentos/engines/<name>.py` defines as `Backend`: one model, one request at a time."""

    grammar: bool

    def load(self, spec: ModelSpec) -> dict[str, Any]:
        """Loads the model; gives `device`, `dtype` and `context`."""
        ...

    def generate(
        self, request: Generation, emit: Callable[[str], None], cancelled: Callable[[], bool]
    ) -> Completed:
        """Answers; `emit` takes each piece of text, `cancelled` is asked between passes."""
        ...

    def idle(self) -> bool:
        """Does a little background work while nothing is asked; False when there is none."""
        ...


def serve(backend: Backend, source: BinaryIO, sink: BinaryIO) -> None:
    """Answers requests until the source closes."""
    inbox: queue.SimpleQueue[wire.Line] = queue.SimpleQueue()
    cancelled: set[str] = set()
    lock = threading.Lock()

    def read() -> None:
        try:
            for raw in source:
                line = wire.decode(raw)
                if line["op"] == "cancel":
                    cancelled.add(line["id"])
                else:
                    inbox.put(line)
        finally:
            os._exit(0)

    def send(line: wire.Line) -> None:
        with lock:
            sink.write(wire.encode(line))
            sink.flush()

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = inbox.get_nowait()
        except queue.Empty:
            if _idle(backend):
                continue
            line = inbox.get()
        ident = line.get("id", "load")
        try:
            if line["op"] == "load":
                loaded = backend.load(wire.read_spec(line))
                send({"id": ident, "loaded": {**loaded, "memory": resident(), "grammar": backend.grammar}})
            elif ident in cancelled:
                send({"id": ident, "completed": dataclasses.asdict(Completed("cancelled", ""))})
            else:
                request = wire.read_generation(line)
                completed = backend.generate(
                    request,
                    lambda text, ident=ident: send({"id": ident, "token": text}),  # type: ignore[misc]
                    lambda ident=ident: ident in cancelled,  # type: ignore[misc]
                )
                send({"id": ident, "completed": dataclasses.asdict(completed)})
        except Exception as error:
            send({"id": ident, **_fault(error)})
        finally:
            cancelled.discard(ident)


def _fault(error: Exception) -> wire.Line:
    """What is said of an error; one that is a bug goes to the log in full."""
    if isinstance(error, AgentosError):
        kind = "user" if isinstance(error, UserError) else "retry" if isinstance(error, Retry) else "failed"
        return {"error": str(error), "kind": kind}
    if isinstance(error, MemoryError):
        return {"error": "the engine ran out of memory", "kind": "failed"}
    traceback.print_exception(error)
    return {"error": f"{type(error).__name__}: {error}", "kind": "failed"}


def _idle(backend: Backend) -> bool:
    """Background work; what goes wrong in it is logged and costs no request."""
    try:
        return backend.idle()
    except Exception:
        traceback.print_exc()
        return False


def resident() -> int:
    """Bytes of memory this process holds."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def main() -> None:
    """Runs the backend named on the command line."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        module = importlib.import_module(f"agentos.engines.{sys.argv[1]}")
    except ImportError as error:
        why = f"engine {sys.argv[1]!r} cannot start: {error}"
        sink.write(wire.encode({"id": "load", "error": why, "kind": "failed"}))
        sink.flush()
        return
    serve(module.Backend(), sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
