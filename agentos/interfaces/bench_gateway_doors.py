"""What `gateway` and `soak` measure: an upstream that answers at once, and the gateways before it, each with a home."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from agentos.config import Settings
from agentos.errors import Failed
from agentos.interfaces.client import Client

NAME = "mock"
_PATIENCE = 120.0
"""Seconds a gateway may take to start."""
_PROXY = "import sys; from litellm import run_server; sys.exit(run_server())"


@dataclass(frozen=True)
class Door:
    """Where one is asked."""

    name: str
    port: int
    model: str
    key: str = ""
    pid: int = 0
    """The gateway's first process; 0 where there is none."""

    def cpu(self) -> float:
        """Seconds of processor time that the gateway's processes have taken."""
        return sum(sum(one.cpu_times()[:2]) for one in self._processes())

    def memory(self) -> int:
        """Bytes that the gateway's processes hold."""
        return sum(one.memory_info().rss for one in self._processes())

    def _processes(self) -> list[psutil.Process]:
        first = psutil.Process(self.pid)
        return [first, *first.children(recursive=True)]


@dataclass(frozen=True)
class Took:
    """One answer."""

    status: int
    seconds: float
    first: float
    """Seconds until the first byte of the answer."""
    text: str


class Asking:
    """One connection to a door, kept open."""

    def __init__(self, door: Door, key: str = "") -> None:
        """`key` in place of the door's own."""
        self._door = door
        self._connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=60)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = {"content-type": "application/json"}
        if key or door.key:
            self._headers["authorization"] = f"Bearer {key or door.key}"

    def ask(self, said: str, stream: bool = False) -> Took:
        """Asks for what was said, whole or as a stream."""
        asked: dict[str, Any] = {"model": self._door.model, "messages": [{"role": "user", "content": said}]}
        body = json.dumps({**asked, "stream": True} if stream else asked)
        began = time.perf_counter()
        self._connection.request("POST", "/v1/chat/completions", body, self._headers)
        response = self._connection.getresponse()
        start = response.read1(65536)
        first = time.perf_counter() - began
        whole = start + response.read()
        took = time.perf_counter() - began
        return Took(response.status, took, first, _text(whole, stream) if response.status == 200 else "")

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()


def _text(whole: bytes, stream: bool) -> str:
    if not stream:
        return str(json.loads(whole)["choices"][0]["message"]["content"])
    events = [json.loads(line[6:]) for line in whole.splitlines() if line.startswith(b"data: {")]
    if any("error" in event for event in events):
        raise Failed("a stream ended with an error while it was measured")
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])


@contextmanager
def upstream() -> Iterator[Door]:
    """The server that answers at once.

    Raises:
        Failed: it does not start.
    """
    command = [sys.executable, "-I", str(Path(__file__).with_name("bench_gateway_mock.py"))]
    with _process(command, dict(os.environ), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], _PATIENCE)[0] or not (line := process.stdout.readline()):
            raise Failed("the upstream of the measurement did not start; nothing was measured")
        yield Door("direct", int(line), NAME, pid=process.pid)


@contextmanager
def ours(settings: Settings, folder: Path, before: Door, users: Sequence[str]) -> Iterator[tuple[Door, list[str]]]:
    """A system before the upstream as it is shipped, with an operator's key for each user; those keys.

    Raises:
        Failed: it does not start.
    """
    home, port = folder / "home", free()
    home.mkdir(mode=0o700)
    base = f"http://127.0.0.1:{before.port}/v1"
    entry = {"model_name": NAME, "litellm_params": {"model": f"openai/{NAME}", "api_base": base}}
    (home / "remotes.yaml").write_text(json.dumps({"model_list": [entry]}), "utf-8")  # JSON is YAML
    env = {
        **os.environ, "AGENTOS_HOME": str(home), "AGENTOS_CACHE": str(settings.cache),
        "AGENTOS_KERNEL_ENGINE": "scripted", "AGENTOS_KERNEL_SCRIPT": "[]",
    }
    command = [sys.executable, "-m", "agentos", "serve", "--http", f"127.0.0.1:{port}"]
    with _process(command, env, stderr=subprocess.DEVNULL) as system:
        client = Client(replace(settings, home=home, url="", key=""), door="cli", autostart=False)
        _until(system, "the system", lambda: bool(client.status()["ready"]))
        made = [client.request("POST", "/v1/keys", {"user": user, "role": "operator"}) for user in users]
        keys = [str(one["key"]) for one in made]
        yield Door("agentos", port, f"litellm:{NAME}", keys[0], system.pid), keys


@contextmanager
def litellm(python: str, folder: Path, before: Door) -> Iterator[Door]:
    """LiteLLM's proxy before the upstream: one worker, nothing logged, its master key, its own choice of client.

    Raises:
        Failed: it does not start.
    """
    port, config = free(), folder / "litellm.json"
    params = {"model": f"openai/{NAME}", "api_base": f"http://127.0.0.1:{before.port}/v1", "api_key": "none"}
    chosen = {
        "callbacks": [], "success_callback": [], "failure_callback": [], "set_verbose": False, "num_retries": 0,
        "request_timeout": 60, "telemetry": False,
    }
    entry = {"model_name": NAME, "litellm_params": params}
    key = {"master_key": "sk-" + secrets.token_hex(16)}  # it does not start without one
    config.write_text(
        json.dumps({"model_list": [entry], "litellm_settings": chosen, "general_settings": key}), "utf-8"
    )
    env = {
        **os.environ, "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "NO_DOCS": "True", "NO_PROXY": "127.0.0.1", "PYTHONWARNINGS": "ignore",
    }
    command = [
        python, "-c", _PROXY, "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1",
        "--telemetry", "False",
    ]
    with _process(command, env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder) as proxy:
        _until(proxy, "LiteLLM's proxy", lambda: _listens(port))
        yield Door("litellm", port, NAME, key["master_key"], proxy.pid)


def free() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _listens(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/liveliness")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _until(process: subprocess.Popen[bytes], what: str, up: Any) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            if up():
                return
        except Failed:
            pass
        time.sleep(0.1)
    raise Failed(f"{what} did not start ({process.poll()}); nothing was measured")


@contextmanager
def _process(command: Sequence[str], env: dict[str, str], **rest: Any) -> Iterator[subprocess.Popen[bytes]]:
    try:
        process = subprocess.Popen(command, env=env, **rest)
    except OSError as error:
        raise Failed(f"{command[0]!r} does not run ({error}); nothing was measured") from error
    with process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
