"""Servers on nodes: where they land, and that nothing of them outlives the system, its line to them or their node.

The server is a small real one that is started as vLLM's is, from a module of the same name: vLLM itself is not needed
to see where a server runs and when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio

from agentos.engines.vllm_http import Client
from agentos.engines.vllm_server import Launch, Server, Start
from agentos.errors import Failed
from agentos.jobs import serving_node
from agentos.jobs.executor import Executor
from agentos.jobs.ledger import Ledger
from agentos.jobs.local import LocalExecutor
from agentos.jobs.ray import RayExecutor
from agentos.jobs.scheduling import Request, Running
from agentos.jobs.serving import ClusterServer, ClusterStart

KEY = "a-key-that-no-file-holds"
LEASE = 3.0
SERVER = '''
import argparse, http.server, json, os, subprocess, sys

def main():
    told = argparse.ArgumentParser()
    for name in ("--model", "--host", "--port", "--take"):
        told.add_argument(name)
    told = told.parse_args()
    if told.model == "broken":
        sys.exit("ValueError: this model cannot be served")
    taken = bytearray(int(told.take or 0))
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

    class Answers(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_GET(self):
            allowed = self.headers["Authorization"] == "Bearer " + os.environ["VLLM_API_KEY"]
            said = {"gpus": os.environ["CUDA_VISIBLE_DEVICES"], "tmp": os.environ["TMPDIR"]}
            said["pids"] = [os.getpid(), child.pid]
            body = json.dumps(said if allowed else {}).encode()
            self.send_response(200 if allowed else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = http.server.ThreadingHTTPServer((told.host, int(told.port)), Answers)
    print("Application startup complete", flush=True)
    server.serve_forever()

main()
'''


class Cluster(Protocol):
    address: str
    folder: Path

    def add(self, **node: Any) -> str: ...
    def kill(self, node: str) -> None: ...


def launch(folder: Path, model: str = "tiny", **more: Any) -> Launch:
    """A server that is found where vLLM is."""
    place = folder / "environment" / "vllm" / "entrypoints" / "openai"
    place.mkdir(parents=True, exist_ok=True)
    (place / "api_server.py").write_text(SERVER)
    take = more.pop("take", 0)
    environ = {"VLLM_API_KEY": KEY, "PYTHONPATH": str(folder / "environment")}
    arguments = ("--model", model, "--take", str(take))
    return Launch(Path(sys.executable), arguments, environ, folder / f"{model}.log", **more)


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.02)


async def ask(server: Server, key: str = KEY) -> Any:
    """What a server says, once it answers."""
    host, _, port = server.address.rpartition(":")

    def listens() -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection((host, int(port)), 1).close()
            return True
        return not server.alive

    await until(listens)
    client = Client(server.address, key)
    try:
        reply = await client.ask("GET", "/health")
    finally:
        client.close()
    return json.loads(reply.body) if reply.status == 200 else reply.status


async def gone(said: Any) -> None:
    """All of a server's processes, and its temporary folder."""
    await until(lambda: not any(alive(pid) for pid in said["pids"]))
    await until(lambda: not Path(said["tmp"]).exists())


def local(folder: Path, **more: Any) -> LocalExecutor:
    return LocalExecutor(folder / "serving", **{"cpus": 2, "memory": 1 << 30, "gpus": (0, 1), **more})


@pytest_asyncio.fixture(params=["local", "ray"])
async def start(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ClusterStart]:
    executor: Executor
    address = ""
    if request.param == "local":
        executor = local(tmp_path)
    else:
        address = request.getfixturevalue("ray_cluster").address
        executor = RayExecutor(tmp_path / "serving", address, lease=LEASE)
    made = ClusterStart(executor, tmp_path / "serving", address)
    yield made
    await made.close()


async def test_a_server_answers_on_its_node_and_its_key_is_in_no_file(start: ClusterStart, tmp_path: Path) -> None:
    seam: Start = start
    server = await seam(launch(tmp_path))
    said = await ask(server)
    assert said["pids"][0] == server.pid and said["gpus"] == "" and not server.local and server.processes() == []
    assert await ask(server, "another") == 401
    await until(lambda: "Application startup complete" in (tmp_path / "tiny.log").read_text())
    written = [path.read_bytes() for path in (tmp_path / "serving").rglob("*") if path.is_file()]
    assert written and not any(KEY.encode() in text for text in written)
    await server.kill("it was unloaded")
    assert not server.alive and await server.ended() == "it was unloaded"
    await gone(said)
    assert list((tmp_path / "serving").glob("serve-*")) == []


async def test_a_server_that_dies_is_seen_dead_and_takes_its_own_with_it(start: ClusterStart, tmp_path: Path) -> None:
    server = await start(launch(tmp_path))
    said = await ask(server)
    os.kill(server.pid, signal.SIGKILL)
    assert "was killed by SIGKILL" in await server.ended()
    assert not server.alive
    await gone(said)


async def test_a_server_that_cannot_serve_says_why_in_its_log(start: ClusterStart, tmp_path: Path) -> None:
    server = await start(launch(tmp_path, "broken"))
    assert "ended with exit code 1" in await server.ended()
    assert "ValueError: this model cannot be served" in (tmp_path / "broken.log").read_text()


async def test_an_environment_that_its_node_lacks_is_said(start: ClusterStart, tmp_path: Path) -> None:
    with pytest.raises(Failed, match="could not be started on node .*nothing was loaded"):
        await start(Launch(tmp_path / "no" / "python", (), {}, tmp_path / "log"))
    assert {room.memory for room in start.rooms()} == {1 << 30}


async def test_a_server_that_takes_more_than_its_limit_is_ended(start: ClusterStart, tmp_path: Path) -> None:
    server = await start(launch(tmp_path, take=300 << 20, limit=150 << 20))
    assert "may take 150 MiB" in await server.ended()


async def test_memory_and_gpus_are_given_once_and_come_back(start: ClusterStart, tmp_path: Path) -> None:
    first = await start(launch(tmp_path, gpus=1, limit=600 << 20))
    second = await start(launch(tmp_path, "other", gpus=1))
    assert ((await ask(first))["gpus"], (await ask(second))["gpus"]) == ("0", "1")
    with pytest.raises(Failed, match="free for a server .*: 424 MiB, 0 GPUs"):
        await start(launch(tmp_path, limit=600 << 20))
    with pytest.raises(Failed, match="1 GPUs free"):
        await start(launch(tmp_path, gpus=1))
    await first.kill("it was unloaded")
    third = await start(launch(tmp_path, gpus=1, limit=600 << 20))
    assert (await ask(third))["gpus"] == "0"


async def test_what_jobs_hold_is_not_given_to_servers(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.running["7"] = Running(Request("7", "ada", 0.0, memory=600 << 20, gpus=1), "local", 0.0, (0,))
    start = ClusterStart(local(tmp_path), tmp_path / "serving", spare=ledger.free)
    try:
        with pytest.raises(Failed, match="local: 424 MiB, 1 GPUs"):
            await start(launch(tmp_path, limit=600 << 20))
        assert (await ask(await start(launch(tmp_path, gpus=1))))["gpus"] == "1"
    finally:
        await start.close()


async def test_who_does_not_know_the_word_cannot_take_hold_of_a_server(tmp_path: Path) -> None:
    given = json.dumps({"toward": "127.0.0.1", "leash": "", "command": ["true"]})
    node = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", serving_node.__file__, given, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={serving_node.LINE: "the-word"},
    )
    try:
        assert node.stdout is not None
        said = json.loads(await node.stdout.readline())
        reader, writer = await asyncio.open_connection(said["host"], said["line"])
        writer.write(b"another!\n")
        assert await reader.read() == b"" and node.returncode is None
        writer.close()
    finally:
        node.kill()
        await node.communicate()


async def test_ending_the_system_ends_its_servers(start: ClusterStart, tmp_path: Path) -> None:
    servers = [await start(launch(tmp_path)), await start(launch(tmp_path, "other"))]
    said = [await ask(server) for server in servers]
    await start.close()
    for server, each in zip(servers, said, strict=True):
        assert await server.ended() == "the system ends"
        await gone(each)


SYSTEM = '''
import asyncio, json, sys
from pathlib import Path
from agentos.jobs.local import LocalExecutor
from agentos.jobs.ray import RayExecutor
from agentos.jobs.serving import ClusterStart
from tests.jobs.test_serving import LEASE, ask, launch, local

async def main(folder, address):
    executor = RayExecutor(folder / "serving", address, lease=LEASE) if address else local(folder)
    server = await ClusterStart(executor, folder / "serving", address)(launch(folder))
    print(json.dumps(await ask(server)), flush=True)
    await asyncio.sleep(600)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
'''


@pytest.mark.parametrize("kind", ["local", "ray"])
async def test_a_killed_system_leaves_no_server_and_the_next_one_clears_what_it_left(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    address = request.getfixturevalue("ray_cluster").address if kind == "ray" else ""
    root = str(Path(__file__).parents[2])
    system = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SYSTEM, str(tmp_path), address, stdout=subprocess.PIPE, cwd=root
    )
    assert system.stdout is not None
    said = json.loads(await asyncio.wait_for(system.stdout.readline(), 60))
    assert all(alive(pid) for pid in said["pids"])
    system.kill()
    await system.wait()
    await gone(said)
    assert list((tmp_path / "serving").glob("serve-*"))
    executor = RayExecutor(tmp_path / "serving", address, lease=LEASE) if address else local(tmp_path)
    following = ClusterStart(executor, tmp_path / "serving", address)
    await following.open()
    try:
        await until(lambda: not list((tmp_path / "serving").glob("serve-*")))
    finally:
        await following.close()


async def test_replicas_of_a_model_spread_and_those_of_a_dead_node_are_seen_dead(
    ray_cluster: Cluster, tmp_path: Path
) -> None:
    second = ray_cluster.add(num_cpus=2, memory=2 << 30)
    executor = RayExecutor(tmp_path / "serving", ray_cluster.address, lease=LEASE)
    start = ClusterStart(executor, tmp_path / "serving", ray_cluster.address)
    await start.open()
    try:
        await until(lambda: len(executor.available()) == 2)
        servers: list[ClusterServer] = [await start(launch(tmp_path, limit=500 << 20)) for _ in range(2)]
        said = [await ask(server) for server in servers]
        assert servers[0].node.endswith(second[:6])  # there was most room
        assert len({server.node for server in servers}) == 2
        other = await start(launch(tmp_path, "other"))
        assert other.node == servers[0].node
        ray_cluster.kill(second)
        why = await asyncio.wait_for(servers[0].ended(), 60)
        assert not servers[0].alive and why
        await until(lambda: not any(alive(pid) for pid in said[0]["pids"]))
        assert servers[1].alive and (await ask(servers[1]))["pids"] == said[1]["pids"]
        await until(lambda: len(executor.available()) == 1)
        again = await start(launch(tmp_path))
        assert again.node == servers[1].node
    finally:
        await start.close()
