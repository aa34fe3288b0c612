"""A real system with the scripted engine, reached as people reach it: through processes and sockets."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from .live import Live, running

SCRIPT = r"""
- {when: "memory is free", say: 'resources.query(kind="memory")'}
- {when: "内存", say: 'resources.query(kind="memory")'}
- {when: "two things", say: "resources.query(kind=\"cpu\")\nmodels.list(state=\"stored\")"}
- {when: "delete (\\S+)", say: 'models.delete(model="\1")'}
- {when: "weather", say: "none()"}
"""


@dataclass(frozen=True)
class Agentos:
    """One home and its command line."""

    home: Path
    script: Path

    @property
    def env(self) -> dict[str, str]:
        kept = {name: said for name, said in os.environ.items() if not name.startswith("AGENTOS_")}
        return {
            **kept, "AGENTOS_HOME": str(self.home), "AGENTOS_KERNEL_ENGINE": "scripted", "AGENTOS_LANG": "en",
            "AGENTOS_KERNEL_SCRIPT": str(self.script), "AGENTOS_OFFLINE": "1", "TERM": "dumb", "NO_COLOR": "1",
            "PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1",
        }

    def popen(self, *args: str, **given: object) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **given}
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            [sys.executable, "-m", "agentos", *args], env=self.env, text=True, encoding="utf-8", **pipes
        )

    def run(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        process = self.popen(*args)
        out, err = process.communicate(stdin, timeout=120)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def json(self, *args: str) -> dict[str, object]:
        done = self.run(*args)
        assert done.returncode == 0, done.stderr
        said: dict[str, object] = json.loads(done.stdout)
        return said

    def pid(self) -> int:
        return int(str(self.json("status", "--json")["pid"]))

    def log(self) -> str:
        return (self.home / "logs" / "system.log").read_text("utf-8")


class Terminal:
    """A command with a person at its terminal."""

    def __init__(
        self, agentos: Agentos, *args: str, term: str = "dumb", shell: Sequence[str] = (), **env: str
    ) -> None:
        self._pid, self._master = pty.fork()
        if self._pid == 0:
            command = [*(shell or (sys.executable, "-m", "agentos")), *args]
            os.execve(command[0], command, {**agentos.env, "TERM": term, **env})
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.seen = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._master)

    def expect(self, pattern: str) -> str:
        until = time.monotonic() + 60
        while not re.search(pattern, self.seen):
            readable, _, _ = select.select([self._master], [], [], max(0, until - time.monotonic()))
            assert readable, f"no {pattern!r} in {self.seen!r}"
            try:
                fresh = os.read(self._master, 65536)
                self.seen += fresh.decode("utf-8", "replace")
                if b"\x1b[6n" in fresh:  # where is the cursor? A terminal says so.
                    os.write(self._master, b"\x1b[1;1R")
            except OSError:
                raise AssertionError(f"it ended without {pattern!r}: {self.seen!r}") from None
        found, self.seen = self.seen, ""
        return found

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def ended(self) -> int:
        """The exit code, once it has ended."""
        with contextlib.suppress(OSError):
            while True:
                self.seen += os.read(self._master, 65536).decode("utf-8", "replace")
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def kill(agentos: Agentos) -> None:
    """Ends a home's system, whatever state it is in."""
    agentos.run("stop")
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("AGENTOS_HOME") == str(agentos.home):
                process.kill()


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("script") / "kernel.yaml"
    path.write_text(SCRIPT, "utf-8")
    return path


@pytest.fixture
def fresh(tmp_path: Path, script: Path) -> Iterator[Agentos]:
    """A home where nothing has run."""
    agentos = Agentos(tmp_path / "home", script)
    yield agentos
    kill(agentos)


@pytest.fixture(scope="session")
def agentos(tmp_path_factory: pytest.TempPathFactory, script: Path) -> Iterator[Agentos]:
    """A home whose system runs."""
    made = Agentos(tmp_path_factory.mktemp("running"), script)
    assert made.run("ask", "how much memory is free?").returncode == 0
    yield made
    kill(made)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, tiny_models: dict[str, Path]) -> Iterator[Live]:
    """A system over HTTP with scripted models and a tiny real one."""
    with running(tmp_path_factory.mktemp("live"), tiny_models["qwen2"]) as made:
        yield made
