"""Every engine there is, ready to be asked the same things."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from agentos.engines.host import ChildEngine
from agentos.engines.nursery import Nursery
from agentos.engines.replicas import Replicas
from agentos.types import Engine, LoadedModel, Message, ModelSpec

WORDS = "one two three four five six seven eight nine ten eleven twelve"
COUNT, ENDLESS, STORY = ((Message("user", said),) for said in ("count", "endless", "Tell a long story."))
PLAIN = """
from agentos.engines.host import ChildEngine

async def make():
    return ChildEngine({name!r})
"""
FORKED = """
import asyncio
from agentos.engines.host import ChildEngine
from agentos.engines.nursery import Nursery

async def make():
    global nursery
    nursery = Nursery()
    nursery.prepare()
    while not nursery.ready:
        await asyncio.sleep(0.05)
    return ChildEngine("transformers", nursery=nursery)
"""
SEVERAL = """
from agentos.engines.host import ChildEngine
from agentos.engines.replicas import Replicas

async def make():
    return Replicas([ChildEngine("scripted"), ChildEngine("scripted")])
"""


@dataclass
class Case:
    """An engine, a way to make more of them, and what it can and cannot load."""

    engine: Engine
    make: Callable[[], Engine]
    """A further engine of the kind, not running yet."""
    source: str
    """A program's `async def make()` that makes one, for another process."""
    spec: ModelSpec
    broken: ModelSpec
    glutton: tuple[ModelSpec, tuple[Message, ...]] | str = ""
    """A model under a limit, and a prompt that takes it past that; or why there is none."""
    parts: tuple[ChildEngine, ...] = ()
    """The engines that it consists of, where those are several."""
    nursery: Nursery | None = None
    """What forks its process, where that is not started plainly."""
    count: tuple[Message, ...] = COUNT
    """A prompt whose answer has some dozen tokens or more."""
    endless: tuple[Message, ...] = ENDLESS
    longest: int = 5000
    """Most tokens to ask of the endless prompt: the answer is still under way when a test has seen enough of it."""
    shared: str = ""
    """Why it may not be ended here; empty where it may."""
    hints: bool = True
    """Whether drafts and priors are used, and what a grammar forces costs nothing; if not, they change no answer."""

    async def ready(self) -> LoadedModel:
        """The model in memory."""
        made = self.engine.loaded if self.engine.alive and self.engine.loaded else await self.engine.load(self.spec)
        if self.nursery is not None:
            assert psutil.Process(made.pid).ppid() == self.nursery.pid
        return made

    def pids(self) -> list[int]:
        """The processes that hold the model: one, or one for each part."""
        engines: tuple[Engine, ...] = self.parts or (self.engine,)
        return [engine.loaded.pid for engine in engines if engine.loaded is not None]

    def family(self) -> list[psutil.Process]:
        """Those processes and all below them."""
        heads = [psutil.Process(pid) for pid in self.pids()]
        return [*heads, *(below for head in heads for below in head.children(recursive=True))]

    def ours(self) -> None:
        """Skips what ends the engine where others still need it."""
        if self.shared:
            pytest.skip(self.shared)


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
            time.sleep(0.02 if "count" in said else 0.005)
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


KINDS = ["scripted", "transformers-qwen2", "transformers-llama", "forked", "litellm", "replicas", "vllm"]


@pytest.fixture(scope="module", params=KINDS)
def kind(
    request: pytest.FixtureRequest, tiny_models: dict[str, Path], provider: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Case]:
    """One engine of each kind, not running yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "none")
        patch.delenv("COVERAGE_PROCESS_START", raising=False)
        yield _made(request, tmp_path_factory.mktemp(request.param), tiny_models, provider)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def case(kind: Case) -> AsyncIterator[Case]:
    """One engine of each kind; loaded by whoever needs it first."""
    try:
        if kind.nursery is not None:
            kind.nursery.prepare()
            async with asyncio.timeout(120):
                while not kind.nursery.ready:
                    await asyncio.sleep(0.05)
        yield kind
    finally:
        if not kind.shared:
            await kind.engine.unload()
        if kind.nursery is not None:
            kind.nursery.close()


def _made(request: pytest.FixtureRequest, folder: Path, tiny_models: dict[str, Path], provider: str) -> Case:
    name, _, style = str(request.param).partition("-")
    log = folder / "log"
    if name in {"scripted", "replicas"}:
        return _scripted(folder, several=name == "replicas")
    if name == "litellm":
        spec = ModelSpec("litellm:openai/counter", settings={"api_base": provider}, context=1000)
        broken = replace(spec, name="no-such-provider/model", settings={})
        return Case(
            ChildEngine(name, log=log), lambda: ChildEngine(name, log=log), PLAIN.format(name=name), spec, broken,
            "what this engine takes is another machine's memory",
        )
    if name == "vllm":
        return _vllm(request, folder)
    if name == "forked" and sys.platform != "linux":
        pytest.skip("engines are forked on Linux alone")
    nursery = Nursery(log) if name == "forked" else None
    style = style or "qwen2"
    spec = ModelSpec(style, tiny_models[style], "cpu", context=8000)
    (folder / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}', "utf-8")
    (folder / "model.safetensors").write_bytes(b"no weights")
    greedy = replace(spec, context=100_000, limit=512 << 20)

    def make() -> ChildEngine:
        return ChildEngine("transformers", log=log, nursery=nursery)

    return Case(
        make(), make, PLAIN.format(name="transformers") if nursery is None else FORKED, spec,
        replace(spec, path=folder), (greedy, (Message("user", "too long a prompt " * 8_000),)), nursery=nursery,
    )


def _scripted(folder: Path, *, several: bool) -> Case:
    script = folder / "script.yaml"
    rules = [
        {"when": "count", "say": WORDS}, {"when": "endless", "say": "word " * 5000, "wait": 0.005},
        {"when": "devour", "say": "never", "hold": 1 << 40},
    ]
    script.write_text(json.dumps(rules), "utf-8")
    spec = ModelSpec("script", settings={"script": str(script)}, context=1000)
    broken = replace(spec, settings={"script": str(folder / "none.yaml")})
    glutton = replace(spec, limit=(128 if several else 64) << 20), (Message("user", "devour"),)

    def one() -> ChildEngine:
        return ChildEngine("scripted", log=folder / "log")

    if not several:
        return Case(one(), one, PLAIN.format(name="scripted"), spec, broken, glutton)
    parts = one(), one()
    return Case(
        Replicas(parts), lambda: Replicas([one(), one()]), SEVERAL, spec, broken, glutton, parts,
    )


def _vllm(request: pytest.FixtureRequest, folder: Path) -> Case:
    """The one server of the whole run, which is asked here and ended elsewhere; its start takes minutes."""
    engine = request.getfixturevalue("vllm_engine")
    from agentos.engines.vllm import VllmEngine

    spec = engine._spec
    return Case(
        engine, lambda: VllmEngine(engine._cache, log=folder / "log"), "", spec, replace(spec, path=folder),
        "how a server is held to its limit, tests/engines/test_vllm.py and test_leash.py say", count=STORY,
        endless=STORY, longest=1500, hints=False,
        shared="the one server of this run is ended in tests/engines/test_vllm.py, where these promises are",
    )
