"""Environments of engines that cannot share ours: made from a lock with hashes, whole or not at all."""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentos.errors import Failed, Retry, UserError
from agentos.types import Bytes
from agentos.types.units import show_bytes

VERSION = "0.32.0"
_ROOM = {"cpu": 5 << 30, "gpu": 14 << 30}
_PYTHONS = ((3, 11), (3, 14))
_PROBE = "import vllm, torch; from vllm.entrypoints.openai import api_server; print(vllm.__version__)"
_UNREACHABLE = re.compile(r"(?i)failure in name resolution|connection (?:error|refused)|timed? ?out|unreachable")


@dataclass(frozen=True)
class Installed:
    """An engine's environment."""

    engine: str
    version: str
    variant: str
    """`cpu` or `gpu`."""
    path: str
    installed: bool
    size: Bytes = 0
    """On disk; 0 where it is not installed."""


def has_gpu() -> bool:
    """Whether an NVIDIA driver serves this machine."""
    return os.path.exists("/proc/driver/nvidia/version") or shutil.which("nvidia-smi") is not None


def folder(cache: Path, *, gpu: bool) -> Path:
    """Where vLLM's environment is, or would be."""
    return cache / "engines" / f"vllm-{VERSION}-{'gpu' if gpu else 'cpu'}"


def python(cache: Path, *, gpu: bool) -> Path:
    """The interpreter that runs vLLM. Failed: it is not installed."""
    found = _python(folder(cache, gpu=gpu))
    if not found.exists():
        raise Failed("vLLM is not installed; nothing was loaded. Install it: agentos engines install vllm")
    return found


def state(cache: Path, *, gpu: bool, measure: bool = True) -> Installed:
    """What is known of vLLM's environment; measuring walks through all of it."""
    path = folder(cache, gpu=gpu)
    there = _python(path).exists()
    size = _size(path) if there and measure else 0
    return Installed("vllm", VERSION, "gpu" if gpu else "cpu", str(path), there, size)


def install(cache: Path, say: Callable[[str], None], *, gpu: bool) -> Installed:
    """Makes vLLM's environment where there is none; one that is there is left as it is.

    Raises:
        Failed: it cannot be made; nothing half-made is left.
        Retry: the packages cannot be reached now.
    """
    target, variant = folder(cache, gpu=gpu), "gpu" if gpu else "cpu"
    if not _PYTHONS[0] <= sys.version_info[:2] <= _PYTHONS[1]:
        low, high = (".".join(map(str, version)) for version in _PYTHONS)
        raise Failed(f"vLLM {VERSION} is locked for Python {low} to {high}; nothing was installed.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with _alone(target.parent / "lock", say):
        if _python(target).exists():
            return state(cache, gpu=gpu)
        for left in target.parent.glob(f".{target.name}-*"):
            shutil.rmtree(left, ignore_errors=True)
        free = shutil.disk_usage(target.parent).free
        if free < _ROOM[variant]:
            raise Failed(
                f"vLLM takes {show_bytes(_ROOM[variant])} while it is installed, and {target.parent} has "
                f"{show_bytes(free)} free; nothing was installed. Free some, or set `cache` to another disk."
            )
        made = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            _make(made, variant, say)
            made.rename(target)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    return state(cache, gpu=gpu)


def remove(cache: Path, *, gpu: bool, say: Callable[[str], None]) -> Installed:
    """Takes vLLM's environment away; what it was. UserError: there is none."""
    was = state(cache, gpu=gpu)
    if not was.installed:
        raise UserError("vLLM is not installed; nothing was removed.")
    path = Path(was.path)
    with _alone(path.parent / "lock", say):
        going = path.with_name(f".{path.name}-going")
        path.rename(going)
        shutil.rmtree(going)
    return was


def _make(made: Path, variant: str, say: Callable[[str], None]) -> None:
    lock = importlib.resources.files("agentos.engines").joinpath(f"vllm-{variant}.txt").read_text("utf-8")
    say(f"making an environment for vLLM {VERSION} ({variant})")
    _run([sys.executable, "-m", "venv", "--without-pip", str(made)])
    work = made / "work"
    work.mkdir()
    requirements = work / "requirements.txt"
    requirements.write_text(lock, "utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(_python(made)), "--disable-pip-version-check", "--no-input"]
    version = re.search(r"^torch==([^ ]+)", lock, re.M)
    assert version is not None
    # With hashes to check, pip takes an index's CUDA build before a CPU build that lies in a folder, and without them
    # the other way round. So it first chooses and fetches as it is configured to; what it fetched is then checked.
    say("fetching torch")
    _run([*pip, "download", "--no-deps", "--dest", str(work), f"torch=={version[1]}"])
    if variant == "cpu" and sys.platform == "linux" and not any("+cpu" in file.name for file in work.glob("torch-*")):
        raise Failed(
            f"pip fetches a CUDA build of torch {version[1]}, which this vLLM cannot use; nothing was installed. "
            "Add PyTorch's own index of CPU builds to pip's configuration (extra-index-url) and install again."
        )
    alone = work / "torch.txt"
    alone.write_text("".join(re.findall(r"^torch==.*\n(?:    .*\n)*", lock, re.M)), "utf-8")
    _run([*pip, "install", "--no-deps", "--require-hashes", "--no-index", "--find-links", str(work), "-r", str(alone)])
    say(f"fetching and installing {lock.count('==')} packages, each checked against its hash")
    _run([*pip, "install", "--no-deps", "--require-hashes", "-r", str(requirements)], say)
    shutil.rmtree(work)
    say("trying it")
    told = _run([str(_python(made)), "-c", _PROBE])
    if told.strip().splitlines()[-1:] != [VERSION]:
        raise Failed(f"what was installed calls itself {told.strip()[-200:]!r}, not {VERSION}; nothing was kept.")


def _run(command: list[str], say: Callable[[str], None] | None = None) -> str:
    lines: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as ran:
        assert ran.stdout is not None
        try:
            for line in ran.stdout:
                lines.append(line)
                if say is not None and line.startswith(("Collecting ", "Installing collected")):
                    say(line.split(" (")[0].split(":")[0].strip())
        except BaseException:
            ran.kill()
            raise
    told = "".join(lines)
    if ran.returncode:
        last = told.strip()[-1500:]
        if _UNREACHABLE.search(told):
            raise Retry(f"the packages cannot be reached; nothing was installed. Try again with a network.\n{last}")
        raise Failed(f"vLLM could not be installed; nothing half-made was kept.\n{last}")
    return told


@contextlib.contextmanager
def _alone(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """One at a time, for as long as its process lives."""
    with path.open("ab") as stream:
        told = False
        while not _take(stream):
            if not told:
                say("another process is at it; waiting")
                told = True
            time.sleep(0.5)
        yield


def _take(stream: Any) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _python(path: Path) -> Path:
    return path / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _size(path: Path) -> Bytes:
    return sum(
        os.lstat(os.path.join(root, name)).st_size for root, _, names in os.walk(path) for name in names
    )
