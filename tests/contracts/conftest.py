"""Every engine there is, ready to be asked the same things."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agentos.engines.host import ChildEngine
from agentos.types import Engine, LoadedModel, Message, ModelSpec

WORDS = "one two three four five six seven eight nine ten eleven twelve"


@dataclass
class Case:
    """An engine, a way to make more of them, and what it can and cannot load."""

    engine: Engine
    make: Callable[[], Engine]
    """A further engine of the kind, not running yet."""
    source: str
    """The expression that makes one, for another process: MODULE:CALL."""
    spec: ModelSpec
    broken: ModelSpec
    glutton: tuple[ModelSpec, tuple[Message, ...]] | None = None
    """A model under a limit, and a prompt that takes it past that; None where nothing here can hold it to one."""

    async def ready(self) -> LoadedModel:
        """The model in memory."""
        return self.engine.loaded if self.engine.alive and self.engine.loaded else await self.engine.load(self.spec)


class Provider(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that counts when asked to, or goes on without end."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = asked["messages"][-1]["content"]
        if len(said.split()) > 1000:
            fault = {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}
            self._head(400, "application/json")
            self.wfile.write(json.dumps({"error": fault}).encode())
            return
        self._head(200, "text/event-stream")
        words = WORDS.split() if "count" in said else ["word"] * 5000
        shown = words[: asked["max_tokens"]]
        for index, word in enumerate(shown):
            time.sleep(0 if "count" in said else 0.005)
            self._send({"choices": [{"index": 0, "delta": {"content": word if index == 0 else f" {word}"}}]})
        reason = "length" if len(shown) < len(words) else "stop"
        self._send({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        usage = {"prompt_tokens": len(said.split()), "completion_tokens": len(shown), "total_tokens": 0}
        self._send({"choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def _head(self, status: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def _send(self, chunk: dict[str, Any]) -> None:
        whole = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "counter", **chunk}
        self.wfile.write(f"data: {json.dumps(whole)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def provider() -> Iterator[str]:
    """Its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hung up
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["scripted", "transformers-qwen2", "transformers-llama", "litellm"]
)
async def case(
    request: pytest.FixtureRequest, tiny_models: dict[str, Path], provider: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Case]:
    """One engine of each kind; loaded by whoever needs it first."""
    name, _, style = str(request.param).partition("-")
    folder = tmp_path_factory.mktemp(request.param)
    patch = pytest.MonkeyPatch()
    patch.setenv("OPENAI_API_KEY", "none")
    patch.delenv("COVERAGE_PROCESS_START", raising=False)
    if name == "scripted":
        script = folder / "script.yaml"
        rules = [
            {"when": "count", "say": WORDS}, {"when": "endless", "say": "word " * 5000, "wait": 0.005},
            {"when": "devour", "say": "never", "hold": 1 << 40},
        ]
        script.write_text(json.dumps(rules), "utf-8")
        spec = ModelSpec("script", settings={"script": str(script)}, context=1000)
        broken = replace(spec, settings={"script": str(folder / "none.yaml")})
        glutton = (replace(spec, limit=64 << 20), (Message("user", "devour"),))
    elif name == "litellm":
        spec = ModelSpec("litellm:openai/counter", settings={"api_base": provider}, context=1000)
        broken = replace(spec, name="no-such-provider/model", settings={})
        glutton = None
    else:
        spec = ModelSpec(style, tiny_models[style], "cpu", context=8000)
        (folder / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}', "utf-8")
        (folder / "model.safetensors").write_bytes(b"no weights")
        broken = replace(spec, path=folder)
        glutton = (replace(spec, context=100_000, limit=512 << 20), (Message("user", "too long a prompt " * 8_000),))

    def make() -> Engine:
        return ChildEngine(name, log=folder / "log")

    engine = make()
    yield Case(engine, make, f"agentos.engines.host:ChildEngine({name!r})", spec, broken, glutton)
    await engine.unload()
    patch.undo()
