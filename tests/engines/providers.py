"""An OpenAI-compatible server on loopback that behaves as badly as it is told, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE = 30


@dataclass
class Asked:
    """One request as it came."""

    path: str
    key: str
    body: dict[str, Any]


@dataclass
class Plan:
    """How one request is answered; what is not said is done well."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ("one", " two", " three")
    usage: Mapping[str, Any] | None = field(
        default_factory=lambda: {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    )
    finish: str | None = "stop"
    hang_after: int | None = None
    """Waits after so many words until the client hangs up or the test lets it go."""
    die_after: int | None = None
    """Closes the connection after so many words."""
    nonsense: bool = False
    """Sends what is no JSON."""
    steps: bool = False
    """Sends each word only when the test says `step()`."""
    vectors: list[list[float]] | None = None


class Provider:
    """Answers by `plans`, one for each request; the last one stays."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.plans: deque[Plan] = deque([Plan()])
        self.lock = threading.Lock()
        self.let_go = threading.Event()
        self.steps = threading.Semaphore(0)
        self.hung_up = threading.Semaphore(0)
        """Released for each client that closed its connection before it had all."""
        self.together = threading.Barrier(1)
        """Passed by all requests together, before the first word."""
        handler = type("Handler", (_Handler,), {"provider": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"

    def step(self, count: int = 1) -> None:
        self.steps.release(count)

    def close(self) -> None:
        self.let_go.set()
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        with self.provider.lock:
            self.provider.asked.append(Asked(self.path, key, body))
            plan = self.provider.plans[0]
            if len(self.provider.plans) > 1:
                self.provider.plans.popleft()
        try:
            self._answer(plan, body)
        except OSError:
            self.provider.hung_up.release()
        self.close_connection = True

    def _answer(self, plan: Plan, body: dict[str, Any]) -> None:
        if plan.status != 200:
            self._head(plan.status, "application/json", plan.headers)
            self.wfile.write(json.dumps({"error": {"message": "no", **plan.error}}).encode())
            return
        if self.path.endswith("/embeddings"):
            self._head(200, "application/json", {})
            rows = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(plan.vectors or [])]
            said = {"object": "list", "data": rows[::-1], "model": body["model"], "usage": plan.usage}
            self.wfile.write(json.dumps(said).encode())
            return
        self.provider.together.wait(PATIENCE)
        self._head(200, "text/event-stream", {})
        self._chunk({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
        for number, word in enumerate(plan.words):
            if plan.hang_after == number:
                self._until_hung_up()
                return
            if plan.die_after == number:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if plan.nonsense:
                self.wfile.write(b"data: {not json\n\n")
                continue
            if plan.steps:
                assert self.provider.steps.acquire(timeout=PATIENCE)
            self._chunk({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
        if plan.finish:
            self._chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": plan.finish}]})
        if plan.usage is not None and body.get("stream_options", {}).get("include_usage"):
            self._chunk({"choices": [], "usage": plan.usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def _until_hung_up(self) -> None:
        self.connection.settimeout(0.02)
        while not self.provider.let_go.is_set():
            with contextlib.suppress(TimeoutError):
                if not self.connection.recv(1):
                    self.provider.hung_up.release()
                    return

    def _head(self, status: int, kind: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _chunk(self, said: dict[str, Any]) -> None:
        whole = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "served", **said}
        self.wfile.write(f"data: {json.dumps(whole)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(*plans: Plan) -> Iterator[Provider]:
    """A provider that runs by these plans."""
    made = Provider()
    if plans:
        made.plans = deque(plans)
    try:
        yield made
    finally:
        made.close()
