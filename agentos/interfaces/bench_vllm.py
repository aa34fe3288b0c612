"""`agentos bench --only vllm`: streams through agentos to vLLM against the same server asked directly, taking turns."""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from agentos.config import Settings
from agentos.engines.make import served
from agentos.errors import Failed
from agentos.interfaces.client import Client

MODEL = "smollm2-135m"
TOKENS = 64
ROUNDS = 5
STREAMS = (1, 16)
FIRST_TOKENS = 2
"""Length of the answers by which the time to a first token is taken: short, so that there is time for many."""
FIRST_ROUNDS = {1: 40, 16: 12}


@dataclass(frozen=True)
class _Took:
    tokens: int
    first: float


@dataclass(frozen=True)
class _Round:
    tokens_s: float
    first: float


Way = Callable[[str, int], _Took]


def measure(settings: Settings) -> dict[str, Any]:
    """Tokens a second and milliseconds to the first token, both ways, at each number of streams.

    Raises:
        Failed: vLLM's environment is not installed, or the model does not load.
    """
    if not served(settings):
        raise Failed("vLLM is not installed; nothing was measured. Build it first: agentos engines install vllm")
    with tempfile.TemporaryDirectory() as folder:
        ours = replace(settings, home=Path(folder) / "home")
        env = {
            **os.environ, "AGENTOS_HOME": str(ours.home), "AGENTOS_CACHE": str(settings.cache),
            "AGENTOS_KERNEL_ENGINE": "scripted", "AGENTOS_KERNEL_SCRIPT": "[]", "AGENTOS_CONTEXT": "2048",
        }
        with subprocess.Popen([sys.executable, "-m", "agentos", "serve"], env=env, stderr=subprocess.DEVNULL) as system:
            try:
                return _both(ours, system.pid)
            finally:
                system.terminate()


def _both(settings: Settings, system: int) -> dict[str, Any]:
    client = Client(settings, door="cli", autostart=False)
    _up(client)
    began = time.perf_counter()
    _end(client, "models.load", {"model": MODEL, "engine": "vllm", "keep_alive": "forever"})
    figures: dict[str, Any] = {"model": MODEL, "tokens": TOKENS, "load_s": round(time.perf_counter() - began, 1)}
    path, key = _server(system)
    ways: dict[str, Way] = {
        "agentos": lambda text, most: _through(Client(settings, door="cli", autostart=False), text, most),
        "direct": lambda text, most: _direct(path, key, text, most),
    }
    for way in ways.values():
        way("warm up", TOKENS)
    for streams in STREAMS:
        rates = {name: [one.tokens_s for one in took] for name, took in _turns(ways, streams, TOKENS, ROUNDS).items()}
        found = _turns(ways, streams, FIRST_TOKENS, FIRST_ROUNDS[streams])
        firsts = {name: [one.first for one in took] for name, took in found.items()}
        middle = {name: statistics.median(several) for name, several in firsts.items()}
        added = [one - other for one, other in zip(firsts["agentos"], firsts["direct"], strict=True)]
        figures[str(streams)] = {
            **{f"{name}_tokens_s": round(statistics.median(several), 2) for name, several in rates.items()},
            "of_direct": round(statistics.median(rates["agentos"]) / statistics.median(rates["direct"]), 3),
            "first_ms_added": round(1000 * (middle["agentos"] - middle["direct"]), 1),
            "first_ms_added_quartiles": [round(1000 * part, 1) for part in statistics.quantiles(added, n=4)],
            "direct_first_ms": round(1000 * middle["direct"], 1),
        }
    return figures


def _turns(ways: Mapping[str, Way], streams: int, tokens: int, rounds: int) -> dict[str, list[_Round]]:
    """What each way took in each round, the ways taking turns at going first; no text is asked twice."""
    took: dict[str, list[_Round]] = {name: [] for name in ways}
    for turn in range(rounds):
        for name, way in list(ways.items())[:: 1 if turn % 2 else -1]:
            took[name].append(_side_by_side(way, streams, f"{streams}.{tokens}.{turn}", tokens))
    return took


def _up(client: Client) -> None:
    for _ in range(600):
        try:
            if client.status()["ready"]:
                return
        except Failed:
            pass
        time.sleep(0.1)
    raise Failed("the system that was to be measured did not start")


def _end(client: Client, name: str, args: dict[str, Any]) -> Any:
    result = None
    for event in client.call(name, args, yes=True):
        if event.get("event") == "result":
            result = event["result"]
        if event.get("event") == "error":
            raise Failed(str(event.get("message")))
    return result


def _server(system: int) -> tuple[str, str]:
    """Where vLLM's own server listens, and its key: it is a process below the system's."""
    for process in psutil.Process(system).children(recursive=True):
        line = process.cmdline()
        if "--uds" in line and "VLLM_API_KEY" in process.environ():
            return line[line.index("--uds") + 1], process.environ()["VLLM_API_KEY"]
    raise Failed("no server of vLLM was found below the system")


def _side_by_side(way: Way, streams: int, name: str, tokens: int) -> _Round:
    """Tokens a second of all streams together, and the mean seconds to their first tokens.

    A server admits requests a step at a time, so that the times of many streams lie on few values: a mean moves with
    each stream, where a median would jump from one step to the next.
    """
    took: list[_Took] = []
    asked = [f"Tell story {name}.{number} at length" for number in range(streams)]
    threads = [threading.Thread(target=lambda text=text: took.append(way(text, tokens))) for text in asked]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - began
    if len(took) < streams:
        raise Failed("a stream broke off while it was measured")
    return _Round(sum(one.tokens for one in took) / spent, statistics.fmean(one.first for one in took))


def _through(client: Client, text: str, most: int) -> _Took:
    began, first, tokens = time.perf_counter(), 0.0, 0
    for event in client.call("models.generate", {"model": MODEL, "prompt": text, "max_tokens": most}, yes=True):
        if event.get("event") == "text" and not first:
            first = time.perf_counter() - began
        if event.get("event") == "result":
            tokens = event["result"]["tokens"]
    return _Took(tokens, first)


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def _direct(path: str, key: str, text: str, most: int) -> _Took:
    connection = _Unix(path)
    began, first, tokens = time.perf_counter(), 0.0, 0
    asked = {
        "model": MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": most, "temperature": 0,
        "stream": True, "stream_options": {"include_usage": True},
    }
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(asked), headers)
    for line in connection.getresponse():
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[6:])
        if not first and any(choice["delta"].get("content") for choice in chunk["choices"]):
            first = time.perf_counter() - began
        tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
    connection.close()
    return _Took(tokens, first)


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The part's lines of the table."""
    found = []
    for streams in map(str, STREAMS):
        one = figures[streams]
        found.append((
            f"vLLM, {streams} stream{'s' if streams != '1' else ''}", f"{one['agentos_tokens_s']} tokens/s",
            f"{one['of_direct']} of vLLM asked directly; first token {one['first_ms_added']:+} ms",
        ))
    return found
