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
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from agentos.engines import wire
from agentos.engines.footprint import EXHAUSTED, exhausted, fetched, held, restrict
from agentos.engines.stops import Emit
from agentos.errors import AgentosError, Failed, Retry, UserError
from agentos.types import Completed, Generation, Logprob, ModelSpec, Predicted
from agentos.types.units import show_bytes

_BACKGROUND = ""
Tell = Callable[[int, int], None]
"""Told how many bytes of how many are loaded."""


class Backend(Protocol):
    """What `agentos/engines/<name>.py` defines as `Backend`: one model.

    One request at a time, in the main thread; a backend with a number `concurrent` answers that many at once,
    each in a thread of its own, or by `begin(request, emit, done)` where it has that: it returns at once what cancels
    the request, and `done` is told of a future with the answer.
    """

    grammar: bool
    progress: int
    """Grows with every bit of work: a layer, a token, a piece of a file. Read from another thread."""

    def load(self, spec: ModelSpec, tell: Tell) -> dict[str, Any]:
        """Loads the model; gives `device`, `dtype` and `context`, and `gpu_memory` where it takes some."""
        ...

    def generate(
        self, request: Generation, emit: Emit, cancelled: Callable[[], bool]
    ) -> Completed:
        """Answers; `emit` takes each piece of text, `cancelled` is asked between passes."""
        ...

    def predict(self, texts: Sequence[str]) -> Predicted:
        """Labels with probabilities, or vectors; `UserError` from a model that writes text."""
        ...

    def idle(self) -> Callable[[], None] | None:
        """A little background work, to be done while nothing is asked; None when there is none."""
        ...


class Worker:
    """Answers requests until their source closes: one thread reads, the other works."""

    def __init__(self, name: str, source: BinaryIO, sink: BinaryIO) -> None:
        """A worker of the engine of that name, which is imported when a model is to be loaded."""
        self._name, self._source, self._sink = name, source, sink
        self._backend: Backend | None = None
        self._inbox: queue.SimpleQueue[wire.Line] = queue.SimpleQueue()
        self._owed: set[str] = set()
        self._cancelled: set[str] = set()
        self._limit: int | None = None
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._begin: Callable[..., Callable[[], object]] | None = None
        self._under_way: dict[str, Callable[[], object]] = {}
        self._done = 0

    def run(self) -> None:
        """Until the source closes; never returns."""
        threading.Thread(target=self._read, daemon=True).start()
        while True:
            try:
                line = self._inbox.get_nowait()
            except queue.Empty:
                if self._background():
                    continue
                line = self._inbox.get()
            if line["op"] == "ping":  # nothing else was under way: this loop itself says that it turns
                self._pulse(line["id"], busy=False)
                continue
            if self._pool is None:
                self._serve(line)
            else:
                self._pool.submit(self._serve, line)

    def _serve(self, line: wire.Line) -> None:
        ident = line["id"]
        try:
            answer = self._answer(line)
        except Exception as error:
            answer = self._fault(error)
        self._give(ident, answer)

    def _give(self, ident: str, answer: wire.Line) -> None:
        self._owed.discard(ident)  # before it is sent: who has the answer finds the engine idle
        self._cancelled.discard(ident)
        self._send({"id": ident, **answer})
        if "ends" in answer:
            os._exit(EXHAUSTED)

    def _read(self) -> None:
        try:
            for raw in self._source:
                line = wire.decode(raw)
                ident = line["id"]
                if line["op"] == "cancel":
                    if ident in self._owed:
                        self._cancelled.add(ident)
                        self._under_way.get(ident, lambda: None)()
                elif line["op"] == "ping" and self._owed:
                    self._pulse(ident, busy=True)
                else:
                    if line["op"] != "ping":
                        self._owed.add(ident)
                    if self._begin is not None and line["op"] == "generate":
                        self._start(self._begin, line)
                    else:
                        self._inbox.put(line)
        finally:
            os._exit(0)

    def _send(self, line: wire.Line) -> None:
        with self._lock:
            self._sink.write(wire.encode(line))
            self._sink.flush()

    def _pulse(self, ident: str, *, busy: bool) -> None:
        # while a library is imported, the engine's own or an adapter's, every module that comes is progress
        made = len(sys.modules) + (0 if self._backend is None else 1_000_000 + self._backend.progress)
        self._send({"id": ident, "progress": made + self._done + fetched(), "busy": busy})

    def _answer(self, line: wire.Line) -> wire.Line:
        ident, op = line["id"], line["op"]
        if op == "load":
            return {"loaded": self._load(line)}
        backend = self._backend
        if backend is None:
            raise Failed("no model is loaded")
        if op == "perplexity":
            if (foretell := getattr(backend, "perplexity", None)) is None:
                raise UserError(f"the {self._name} engine cannot tell how well a model foretells a text")
            return {"perplexity": foretell(line["text"])}
        if op == "adapt":
            adapt = getattr(backend, "adapt", None)
            return {"adapted": bool(adapt and adapt(Path(line["folder"]) if line["folder"] else None))}
        if op == "predict":
            return {"predicted": dataclasses.asdict(backend.predict(line["texts"]))}
        if ident in self._cancelled:
            return {"completed": dataclasses.asdict(Completed("cancelled", ""))}

        completed = backend.generate(wire.read_generation(line), self._emit(ident), lambda: ident in self._cancelled)
        return {"completed": dataclasses.asdict(completed)}

    def _emit(self, ident: str) -> Emit:
        def emit(text: str, logprobs: Sequence[Logprob] = ()) -> None:
            self._done += 1
            likely = {"logprobs": [dataclasses.astuple(one) for one in logprobs]} if logprobs else {}
            self._send({"id": ident, "token": text, **likely})

        return emit

    def _start(self, begin: Callable[..., Callable[[], object]], line: wire.Line) -> None:
        """Has a backend answer that needs no thread for it: none waits between the request and its being sent."""
        ident = line["id"]

        def done(future: Future[Completed]) -> None:
            self._under_way.pop(ident, None)
            try:
                completed = Completed("cancelled", "") if future.cancelled() else future.result()
                answer = {"completed": dataclasses.asdict(completed)}
            except Exception as error:
                answer = self._fault(error)
            self._give(ident, answer)

        try:
            cancel = begin(wire.read_generation(line), self._emit(ident), done)
        except Exception as error:
            self._give(ident, self._fault(error))
            return
        self._under_way[ident] = cancel
        if ident not in self._owed:  # it is done already
            self._under_way.pop(ident, None)

    def _load(self, line: wire.Line) -> wire.Line:
        spec = wire.read_spec(line)
        try:
            module = importlib.import_module(f"agentos.engines.{self._name}")
        except ImportError as error:
            raise Failed(f"engine {self._name!r} cannot start: {error}") from error
        backend: Backend = module.Backend()
        self._backend = backend
        self._limit = spec.limit
        files = spec.path.glob("*.safetensors") if spec.path is not None else ()
        restrict(spec.limit, mapped=sum(file.stat().st_size for file in files))

        def tell(done: int, total: int) -> None:
            self._done += 1
            self._send({"id": line["id"], "done": done, "total": total})

        loaded = backend.load(spec, tell)
        restrict(spec.limit)
        if (many := getattr(backend, "concurrent", 1)) > 1:
            self._pool = ThreadPoolExecutor(many)
            self._begin = getattr(backend, "begin", None)
        return {"gpu_memory": 0, **loaded, "memory": held(os.getpid()), "grammar": backend.grammar}

    def _background(self) -> bool:
        """Background work; what goes wrong in it is logged and costs no request."""
        if self._backend is None:
            return False
        try:
            work = self._backend.idle()
            if work is None:
                return False
            self._owed.add(_BACKGROUND)  # a pulse sees it go forward, as a request
            work()
            self._done += 1
            return True
        except Exception:
            traceback.print_exc()
            return False
        finally:
            self._owed.discard(_BACKGROUND)

    def _fault(self, error: Exception) -> wire.Line:
        """What is said of an error; one that is a bug goes to the log in full."""
        if isinstance(error, AgentosError):
            kind = "user" if isinstance(error, UserError) else "retry" if isinstance(error, Retry) else "failed"
            return {"error": str(error), "kind": kind}
        if exhausted(error):  # the process ends once this is said
            given = f"the {show_bytes(self._limit)} it was given" if self._limit else "memory"
            why = f"the {self._name} engine ran out of {given} and ended; nothing else did"
            return {"error": why, "kind": "failed", "ends": True}
        traceback.print_exception(error)
        return {"error": f"{type(error).__name__}: {error}", "kind": "failed"}


def main() -> None:
    """Serves the engine named on the command line."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    Worker(sys.argv[1], sys.stdin.buffer, sink).run()


if __name__ == "__main__":
    main()
