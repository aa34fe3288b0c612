"""A system that runs, over real HTTP on loopback: scripted models, a tiny real one, holders of keys."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from agentos.config import Settings
from agentos.interfaces.http import build
from agentos.interfaces.http_traffic import Traffic
from agentos.system import System
from agentos.tracing import Tracing

SCRIPT = r"""
- {when: "memory is free", say: 'resources.query(kind="memory")'}
- {when: "内存", say: 'resources.query(kind="memory")'}
- {when: "delete (\\S+)", say: 'models.delete(model="\1")'}
- {when: "show (?:it|a model)|显示它", say: "models.show(model=?)"}
- {when: "show (\\S+)", say: 'models.show(model="\1")'}
- {when: "weather", say: "none()"}
- {when: "plainly", say: "It is a fine day and nothing more."}
- {when: "slowly", say: "one two three four five six seven eight nine ten eleven twelve", wait: 0.2}
- when: "call it"
  say: "Let me see. <tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>"
- when: "call both"
  say: "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>\n\
    <tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>"
- {when: "die midway", say: "one two three", die: true}
- {when: "it is (\\w+) there", say: 'It is \1 in Oslo.'}
- {when: "token", say: "Use AKIAQ3EGX7RT5NZ2WLPA for it."}
"""
ROLES = {"ada": "admin", "otto": "operator", "vera": "viewer"}
Result = TypeVar("Result")


@dataclass(frozen=True)
class Live:
    """Its address, the keys of `ROLES`, and the system itself."""

    url: str
    keys: dict[str, str]
    system: System
    loop: asyncio.AbstractEventLoop
    tracing: Tracing

    @property
    def base(self) -> str:
        return f"{self.url}/v1"

    def do(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Runs work in the system's own loop."""
        async def done() -> Result:
            return await work()

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(60)


@contextlib.contextmanager
def running(home: Path, tiny: Path | None = None, **settings: Any) -> Iterator[Live]:
    """A system until the end of the block; `tiny` is the folder of a model to load as `tiny`."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "script.yaml").write_text(SCRIPT, "utf-8")
    made = Settings(
        home=home, cache=home / "cache", kernel_engine="scripted", kernel_script=str(home / "script.yaml"),
        offline=True, lang="en", **settings,
    )
    up, over, found = threading.Event(), [], []

    async def serve() -> None:
        system, loop = System(made), asyncio.get_running_loop()
        ended = asyncio.Event()
        over.append(lambda: loop.call_soon_threadsafe(ended.set))
        try:
            await system.start()
            await system.models.load("talker", "scripted", keep_alive="forever")
            if tiny is not None:
                await system.models.pull("tiny", str(tiny))
                await system.models.load("tiny", "transformers", keep_alive="forever")
            keys = {user: system.people.create_key(user, role).key for user, role in ROLES.items()}  # type: ignore[arg-type]
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
                listener.bind(("127.0.0.1", 0))
                app = build(system, lambda: None, set(), traffic := Traffic(system))
                server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
                serving = asyncio.create_task(server._serve([listener]))
                found.append(Live(f"http://127.0.0.1:{listener.getsockname()[1]}", keys, system, loop, traffic.tracing))
                while not server.started:
                    await asyncio.sleep(0.01)
                up.set()
                await ended.wait()
                server.should_exit = True
                await serving
        finally:
            await system.stop()
            up.set()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert up.wait(120) and found, "the system did not start"
        yield found[0]
    finally:
        over[0]()
        thread.join(60)
