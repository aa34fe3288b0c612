"""Runs a server on a node for as long as the system holds its connection to it, and then nothing of it.

A program of its own, with the standard library alone: `python -I -S -c TEXT JSON`. The system sends this text with
the order, so that the node needs nothing but the server's own environment. It says on the first line of its output
where it listens; whoever knows the word in `AGENTOS_LINE` becomes the line that the leash holds the server by: its
standard input, whose end is the order to end, and its standard output. The kernels of both machines look after that
connection: it ends with the system's process, however that ends, and soon after its machine.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path

LINE = "AGENTOS_LINE"
_PATIENCE, _MOMENT = 60.0, 5.0
_KEEPALIVE = (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 20_000))


def toward(host: str) -> str:
    """The address of this machine on its way to that host; nothing is sent. Loopback where there is no way."""
    with contextlib.suppress(OSError):
        family, kind, _, _, address = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as way:
            way.connect(address)
            return str(way.getsockname()[0])
    return "127.0.0.1"


def watched(line: socket.socket) -> None:
    """Has a connection end within about 20 seconds when the machine at its other end is gone."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _bound(host: str) -> socket.socket:
    """A socket at a free port."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    made.bind((host, 0))
    return made


def _answer(door: socket.socket, word: bytes) -> socket.socket | None:
    """The connection of whoever knows the word; None: nobody came who does."""
    until = time.monotonic() + _PATIENCE
    while (left := until - time.monotonic()) > 0:
        door.settimeout(left)
        with contextlib.suppress(OSError):
            line, _ = door.accept()
            line.settimeout(_MOMENT)
            said = b""
            with contextlib.suppress(OSError):
                while len(said) <= len(word) and (more := line.recv(len(word) + 1 - len(said))):
                    said += more
            if hmac.compare_digest(said, word + b"\n"):
                line.setblocking(True)
                return line
            line.close()
    return None


def main() -> None:
    """Runs what the first argument describes: `toward`, `leash` (the text of that program), `command`."""
    given = json.loads(sys.argv[1])
    host = toward(given["toward"])
    door, kept = _bound(host), _bound(host)
    door.listen()
    port = kept.getsockname()[1]
    print(json.dumps({"host": host, "line": door.getsockname()[1], "port": port}), flush=True)
    line = _answer(door, os.environ.pop(LINE).encode())
    if line is None:
        sys.exit("the system did not take hold of this server; it was not started")
    watched(line)
    folder = tempfile.mkdtemp(prefix="agentos-")
    leash = Path(folder) / "leash.py"
    try:
        leash.write_text(given["leash"], "utf-8")
        os.environ |= {"TMPDIR": folder, "VLLM_RPC_BASE_PATH": folder}
        os.dup2(line.fileno(), 0)
        os.dup2(line.fileno(), 1)
        held = {
            "command": [*given["command"], "--host", host, "--port", str(port)],
            "folder": folder, "vital": "VLLM::", "limit": None, "oom": 500,
        }
        # The port is free from here on: the server binds it as it starts.
        os.execv(sys.executable, [sys.executable, "-I", "-S", str(leash), json.dumps(held)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
