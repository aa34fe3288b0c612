import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Agentos
from .test_tls import certificate

CHECKS = {
    "settings", "python", "packages", "disk", "gpu", "vllm", "tls", "port", "terminal", "home", "system", "lock", "key",
    "database", "policies", "audit", "clock", "kernel",
}


def found(agentos: Agentos, *only: str) -> dict[str, dict[str, str]]:
    done = agentos.run("doctor", "--json", *(word for name in only for word in ("--only", name)))
    said = json.loads(done.stdout)
    assert done.returncode == (0 if said["ok"] else 1)
    assert said["ok"] == all(one["state"] != "fail" for one in said["checks"])
    return {one["check"]: one for one in said["checks"]}


def lying(home: Path) -> dict[str, tuple[int, int, int]]:
    """Every file of a home: its size, mode and time."""
    return {
        str(path.relative_to(home)): (path.stat().st_size, path.stat().st_mode, path.stat().st_mtime_ns)
        for path in sorted(home.rglob("*")) if path.name != "__pycache__"
    }


def test_a_running_installation_has_no_fault(agentos: Agentos) -> None:
    checks = found(agentos)
    assert set(checks) == CHECKS
    assert {name for name, one in checks.items() if one["state"] == "fail"} <= {"disk"}
    assert str(agentos.pid()) in checks["system"]["text"] and not checks["system"]["mend"]
    assert "are what was written" in checks["audit"]["text"]


def test_it_needs_no_home_and_makes_none(fresh: Agentos) -> None:
    done = fresh.run("doctor")
    assert done.returncode == 0, done.stdout
    assert "made at the first start" in done.stdout
    assert not fresh.home.exists()


def test_every_fault_of_a_home_is_found_can_be_mended_and_nothing_is_changed(fresh: Agentos) -> None:
    home = fresh.home
    assert fresh.run("ask", "how much memory is free?").returncode == 0
    assert fresh.run("stop").returncode == 0
    before = lying(home)
    assert all(one["state"] == "ok" for name, one in found(fresh).items() if name not in ("disk", "gpu", "terminal"))
    assert lying(home) == before

    def key_gone() -> None:
        (home / "secrets.key").rename(home / "kept")

    def key_other() -> None:
        (home / "secrets.key").write_bytes(b"x" * 32)
        (home / "secrets.key").chmod(0o600)

    def key_open() -> None:
        (home / "kept").replace(home / "secrets.key")
        (home / "secrets.key").chmod(0o644)

    def rule_wrong() -> None:
        (home / "policies").mkdir(mode=0o700, exist_ok=True)
        (home / "policies" / "mine.cedar").write_text("permit nonsense", "utf-8")

    def home_open() -> None:
        home.chmod(0o755)

    def lock_left() -> None:
        (home / "agentos.lock").write_text("99999\n", "ascii")
        (home / "agentos.sock").touch()

    def trail_edited() -> None:
        db = sqlite3.connect(home / "agentos.db")
        for (trigger,) in db.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            db.execute(f'drop trigger "{trigger}"')
        db.execute("update audit set user = 'nobody' where id = 1")
        db.commit()
        db.close()

    def clock_back() -> None:
        db = sqlite3.connect(home / "agentos.db")
        db.execute("update runs set started = started + 100000")
        db.commit()
        db.close()

    def database_damaged() -> None:
        with (home / "agentos.db").open("r+b") as file:
            file.seek(0)
            file.write(b"no database at all" * 400)

    def settings_wrong() -> None:
        (home / "config.toml").write_text("context = 'long'\n", "utf-8")

    faults: list[tuple[Callable[[], None], str, str, str]] = [
        (key_gone, "key", "fail", "missing"), (key_other, "key", "fail", "another key"),
        (key_open, "key", "fail", "chmod 600"), (rule_wrong, "policies", "fail", "mine.cedar"),
        (home_open, "home", "warn", "chmod -R go="), (lock_left, "lock", "warn", "99999"),
        (trail_edited, "audit", "fail", "row 1"), (clock_back, "clock", "warn", "set back"),
        (database_damaged, "database", "fail", "backup"), (settings_wrong, "settings", "fail", "context"),
    ]
    for make, check, state, told in faults:
        make()
        before = lying(home)
        one = found(fresh, check)[check]
        assert lying(home) == before
        assert one["state"] == state, one
        assert told in one["text"] + one["mend"] and one["mend"], one


def test_a_system_of_another_version_that_hangs_or_could_not_start_is_told(fresh: Agentos) -> None:
    import socket
    import threading

    fresh.home.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(fresh.home / "agentos.sock"))
        server.listen()

        def answer() -> None:
            for body in (b'{"version": "0.0.1", "ready": true, "pid": 1}', b'{"boot_error": "no room", "pid": 1}'):
                while not (asked := server.accept()[0]).recv(65536):  # somebody looked whether anyone listens
                    asked.close()
                asked.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
                asked.close()

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        told = found(fresh, "system")["system"]
        assert told["state"] == "warn" and "0.0.1" in told["text"]
        told = found(fresh, "system")["system"]
        assert told["state"] == "fail" and "no room" in told["text"]
        answering.join(10)
        told = found(fresh, "system")["system"]
        assert told["state"] == "fail" and "does not answer" in told["text"]


def test_a_kernel_model_that_is_not_what_was_stored_is_found(fresh: Agentos, monkeypatch: pytest.MonkeyPatch) -> None:
    from agentos.config import load
    from agentos.interfaces.doctor import Fault
    from agentos.interfaces.doctor_home import kernel
    from agentos.models.shelf import Shelf

    settings = load({"AGENTOS_HOME": str(fresh.home), "AGENTOS_OFFLINE": "1", "AGENTOS_KERNEL_MODEL": "mine"})
    missing = kernel(settings)
    assert isinstance(missing, Fault) and missing.state == "fail" and "offline" in missing.text
    shelf = Shelf(settings.models)
    work = shelf.begin("mine")
    (work / "model.safetensors").write_bytes(b"weights")
    facts = {"name": "mine", "description": "", "licence": "", "kind": "causal", "parameters": 1, "context": 1,
             "source": "", "download": 7, "sha256": "", "pinned": False, "seconds": 0.0}
    stored = shelf.finish(work, facts)
    assert "its hash is right" in str(kernel(settings))
    (stored.path / "model.safetensors").chmod(0o600)
    (stored.path / "model.safetensors").write_bytes(b"weighty")
    changed = kernel(settings)
    assert isinstance(changed, Fault) and "not what was stored" in changed.text and changed.mend


def test_packages_that_do_not_fit_and_a_torch_without_cuda_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from agentos.config import Settings
    from agentos.engines import install
    from agentos.interfaces import doctor_machine
    from agentos.interfaces.doctor import Fault

    versions = {"httpx": "0.1", "torch": "2.13.0+cpu"}
    known = doctor_machine.metadata.version
    monkeypatch.setattr(doctor_machine.metadata, "version", lambda name: versions.get(name) or known(name))
    told = doctor_machine.packages(Settings())
    assert isinstance(told, Fault) and "httpx is 0.1" in told.text and "torch" not in told.text
    monkeypatch.setattr(install, "has_gpu", lambda: True)
    told = doctor_machine.gpu(Settings())
    assert isinstance(told, Fault) and told.state == "warn" and "requirements-cuda.txt" in told.mend
    versions.update({"torch": "2.13.0", "nvidia-cuda-runtime": "13.0.96"})
    monkeypatch.setattr(doctor_machine, "_driver", lambda: "535.104.05")
    told = doctor_machine.gpu(Settings())
    assert isinstance(told, Fault) and told.state == "fail" and "580" in told.mend


def test_certificates_are_held_against_the_clock(tmp_path: Path) -> None:
    from dataclasses import replace

    from agentos.config import Settings
    from agentos.interfaces.doctor import Fault
    from agentos.interfaces.doctor_machine import tls

    cert, key = certificate(tmp_path)
    settings = replace(Settings(), tls_cert=str(cert), tls_key=str(key))
    soon = tls(settings)
    assert isinstance(soon, Fault) and soon.state == "warn" and "valid until" in soon.text, "it is valid for a day"
    key.chmod(0o644)
    told = tls(settings)
    assert isinstance(told, Fault) and "chmod 600" in told.text


def test_an_unknown_check_lists_those_there_are(fresh: Agentos) -> None:
    done = fresh.run("doctor", "--only", "kernal")
    assert done.returncode == 2 and "kernel" in done.stderr


def test_doctor_imports_no_torch(fresh: Agentos) -> None:
    import subprocess
    import sys

    code = ("import sys; from agentos.interfaces.cli import main; main(['doctor', '--json']);"
            " assert 'torch' not in sys.modules")
    assert subprocess.run([sys.executable, "-c", code], env=fresh.env, capture_output=True, check=False).returncode == 0
