"""Checks of what agentos runs on: Python, packages, disks, GPUs, engines, TLS, the port, the terminal."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from agentos.config import Settings
from agentos.interfaces.doctor import Check, Fault

_PACKAGE = "llm-agentos"
_LOW, _LEAST = 2 << 30, 256 << 20
"""Free bytes under which a disk is short of room, or too full to work on."""
_DRIVERS = {11: 450, 12: 525, 13: 580}
"""CUDA's minor-version compatibility table: the oldest driver branch for each major version of the runtime."""
_WEEKS = 14 * 86_400
_PORT = 8075
_PROBE = (
    "from importlib.metadata import version; from importlib.util import find_spec;"
    "assert find_spec('vllm') and find_spec('torch'); print(version('vllm'))"
)


def python(settings: Settings) -> str | Fault:
    """The interpreter."""
    from packaging.specifiers import SpecifierSet

    said = ".".join(map(str, sys.version_info[:3]))
    wanted = metadata.metadata(_PACKAGE)["Requires-Python"] or ">=3.11"
    if said not in SpecifierSet(wanted):
        return Fault(f"Python {said}, and {wanted} is needed", "make a new .venv with a newer Python: make setup")
    return f"{said} at {sys.executable}"


def packages(settings: Settings) -> str | Fault:
    """What agentos needs, against the versions that it takes."""
    from packaging.requirements import Requirement

    faults, count = [], 0
    for line in metadata.requires(_PACKAGE) or []:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        count += 1
        try:
            have = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            faults.append(f"{wanted.name} is missing")
            continue
        if not wanted.specifier.contains(have, prereleases=True):
            faults.append(f"{wanted.name} is {have}, and {wanted.specifier} is needed")
    if faults:
        return Fault("; ".join(faults), "make setup (or: pip install --upgrade llm-agentos)")
    return f"{count} packages, each of a version that fits"


def disk(settings: Settings) -> str | Fault:
    """Room where things are kept."""
    from agentos.types.units import show_bytes

    said = []
    for name, path in (("home", settings.home), ("cache", settings.cache)):
        there = next(folder for folder in (path, *path.parents) if folder.exists())
        free = shutil.disk_usage(there).free
        said.append(f"{show_bytes(free)} free for the {name}")
        if free < _LOW:
            mend = f"free some of the disk of {there}, or set {'AGENTOS_' + name.upper()} to a folder on another one"
            return Fault(f"{show_bytes(free)} free for the {name} in {path}", mend, "fail" if free < _LEAST else "warn")
    return ", ".join(said)


def gpu(settings: Settings) -> str | Fault:
    """The driver, and whether torch was built for it; torch itself is not imported."""
    from agentos.engines.install import has_gpu

    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        return Fault("torch is missing", "make setup")
    if not has_gpu():
        return f"no NVIDIA driver; models run on the processor (torch {torch})"
    runtime = next(
        (found for name in ("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu13", "nvidia-cuda-runtime-cu12")
         if (found := _version(name))), "",
    )
    if "+cpu" in torch or not runtime:
        return Fault(
            f"there is an NVIDIA driver, and torch {torch} is built for processors alone",
            "install a CUDA build of torch: pip install -r requirements.txt -r requirements-cuda.txt", "warn",
        )
    driver, least = _driver(), _DRIVERS.get(int(runtime.split(".")[0]), 0)
    if driver and least and int(driver.split(".")[0]) < least:
        return Fault(
            f"driver {driver} is older than CUDA {runtime} of torch {torch} takes ({least} or newer)",
            f"install an NVIDIA driver {least} or newer, or a torch for an older CUDA",
        )
    return f"driver {driver or 'unknown'}, torch {torch} with CUDA {runtime}"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _driver() -> str:
    try:
        text = Path("/proc/driver/nvidia/version").read_text("utf-8", "replace")
    except OSError:
        return ""
    found = re.search(r"\b(\d{3}\.\d+(?:\.\d+)?)\b", text)
    return found[1] if found else ""


def vllm(settings: Settings) -> str | Fault:
    """The environment of vLLM, where there is one."""
    from agentos.engines.install import has_gpu, python, state

    gpu = has_gpu()
    found = state(settings.cache, gpu=gpu, measure=False)
    if not found.installed:
        return "vLLM is not installed, which only its engine needs: agentos engines install vllm"
    mend = "agentos engines remove vllm; agentos engines install vllm"
    command = [str(python(settings.cache, gpu=gpu)), "-c", _PROBE]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Fault(f"vLLM's interpreter does not start ({error})", mend)
    if asked.returncode or asked.stdout.strip() != found.version:
        last = (asked.stderr.strip().splitlines() or [asked.stdout.strip()])[-1]
        return Fault(f"vLLM {found.version} in {found.path} cannot be imported: {last}", mend)
    return f"vLLM {found.version} ({found.variant}) in {found.path}"


def tls(settings: Settings) -> str | Fault:
    """Certificates that are served, and those that are trusted."""
    from agentos.errors import UserError

    if not (settings.tls_cert or settings.tls_key or settings.ca):
        return "no certificate is set; only this machine can be served"
    from cryptography import x509

    from agentos.interfaces import tls as certificates

    try:
        if settings.ca:
            certificates.asking(settings.ca)
        if not (settings.tls_cert or settings.tls_key):
            return f"{settings.ca} is trusted"
        certificates.serving(settings.tls_cert, settings.tls_key)
    except UserError as error:
        return Fault(str(error), "set tls_cert and tls_key (or ca) in config.toml to PEM files that fit")
    first = x509.load_pem_x509_certificates(Path(settings.tls_cert).expanduser().read_bytes())[0]
    left = first.not_valid_after_utc.timestamp() - time.time()
    until = f"{first.not_valid_after_utc:%Y-%m-%d}"
    if left < 0 or first.not_valid_before_utc.timestamp() > time.time():
        return Fault(f"{settings.tls_cert} is not valid now (until {until})", "have a new certificate issued")
    if left < _WEEKS:
        return Fault(f"{settings.tls_cert} is valid until {until} only", "have a new certificate issued", "warn")
    return f"{settings.tls_cert} is valid until {until}"


def port(settings: Settings) -> str | Fault:
    """The port that the examples serve on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        taken = probe.connect_ex(("127.0.0.1", _PORT)) == 0
    return f"something listens on 127.0.0.1:{_PORT}; serve on another port if it is not agentos" if taken else (
        f"127.0.0.1:{_PORT} is free for agentos serve --http"
    )


def terminal(settings: Settings) -> str | Fault:
    """What the terminal can show."""
    encoding = (sys.stdout.encoding or "").lower()
    if "utf" not in encoding:
        return Fault(
            f"the terminal's encoding is {encoding or 'unknown'}: Chinese text and box characters are not shown",
            "export LANG=C.UTF-8", "warn",
        )
    return f"{encoding}, language {settings.language}"


CHECKS: dict[str, Check] = {
    "python": python, "packages": packages, "disk": disk, "gpu": gpu, "vllm": vllm, "tls": tls, "port": port,
    "terminal": terminal,
}
