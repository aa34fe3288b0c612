import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agentos.config import load
from agentos.errors import Failed, UserError
from agentos.interfaces.http_auth import peer
from agentos.interfaces.place import answers, check_folder, listening, lock, own_folder
from agentos.interfaces.server import address

from .conftest import Agentos, kill

MEMORY = ("ask", "how much memory is free?")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_client_starts_the_system_and_only_its_owner_can_open_it(fresh: Agentos) -> None:
    assert fresh.run(*MEMORY).returncode == 0
    assert mode(fresh.home) == 0o700
    assert mode(fresh.home / "agentos.sock") == 0o600
    assert mode(fresh.home / "agentos.db") == 0o600
    assert mode(fresh.home / "logs" / "system.log") == 0o600


def test_status_tells_of_no_system_without_starting_one(fresh: Agentos) -> None:
    done = fresh.run("status", "--json")
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert (said["pid"], said["ready"], said["home"]) == (None, False, str(fresh.home))
    assert not fresh.home.exists()
    assert fresh.run("stop").returncode == 0


def test_two_clients_at_once_start_one_system(fresh: Agentos) -> None:
    clients = [fresh.popen(*MEMORY, stdin=subprocess.DEVNULL) for _ in range(3)]
    for client in clients:
        out, err = client.communicate(timeout=120)
        assert client.returncode == 0, err
        assert "available" in out
    assert fresh.log().count("listens on") == 1


def test_a_killed_system_is_replaced_with_its_stale_socket(fresh: Agentos) -> None:
    fresh.run(*MEMORY)
    before = fresh.pid()
    os.kill(before, signal.SIGKILL)
    assert (fresh.home / "agentos.sock").exists()
    assert fresh.run(*MEMORY).returncode == 0
    assert fresh.pid() != before


def test_what_was_held_can_be_answered_after_the_system_was_killed(fresh: Agentos) -> None:
    done = fresh.run("call", "models.delete", "--model", "smollm2-135m", "--json")
    (approval,) = json.loads(done.stdout)["waiting"]
    os.kill(fresh.pid(), signal.SIGKILL)
    assert approval in fresh.run("approvals").stdout
    assert fresh.run("refuse", approval).returncode == 0


def test_a_second_system_on_one_home_is_refused(fresh: Agentos) -> None:
    fresh.run(*MEMORY)
    pid = fresh.pid()
    done = fresh.run("serve")
    assert done.returncode == 1
    assert str(pid) in done.stderr and "agentos stop" in done.stderr
    assert fresh.pid() == pid


def test_stop_returns_when_the_system_has_ended_and_another_can_start(fresh: Agentos) -> None:
    fresh.run(*MEMORY)
    pid = fresh.pid()
    assert fresh.run("stop").returncode == 0
    assert not (fresh.home / "agentos.sock").exists()
    assert fresh.run(*MEMORY).returncode == 0
    assert fresh.pid() != pid


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_system_cleanly(fresh: Agentos, sign: signal.Signals) -> None:
    with fresh.popen("serve") as server:
        assert server.stderr
        until_ready(server)
        server.send_signal(sign)
        server.stderr.read()
    assert server.returncode == 0
    assert not (fresh.home / "agentos.sock").exists()
    held = lock(fresh.home / "agentos.lock")
    assert held is not None
    held.close()


def test_a_system_that_cannot_start_says_why_and_ends(fresh: Agentos) -> None:
    broken = Agentos(fresh.home, fresh.home)  # a folder is no script
    done = broken.run(*MEMORY)
    assert done.returncode == 1
    assert "agentos:" in done.stderr and "Traceback" not in done.stderr
    kill(broken)
    assert fresh.run(*MEMORY).returncode == 0


def test_a_system_that_dies_as_it_starts_is_told_with_its_last_words(fresh: Agentos) -> None:
    fresh.home.mkdir()
    (fresh.home / "agentos.db").write_text("this is no database, whatever its name says")
    done = fresh.run("call", "models.list")
    assert done.returncode == 1
    assert "agentos.db" in done.stderr


def test_a_home_too_long_for_a_socket_works(tmp_path: Path, script: Path) -> None:
    long = Agentos(tmp_path / ("a" * 90) / ("b" * 90), script)
    try:
        assert long.run(*MEMORY).returncode == 0
        place = load(long.env).socket
        assert not str(place).startswith(str(long.home))
        assert mode(place.parent) == 0o700
    finally:
        kill(long)


def until_ready(server: subprocess.Popen[str]) -> str:
    assert server.stderr
    seen = ""
    while "ready" not in seen:
        line = server.stderr.readline()
        assert line, seen
        seen += line
    return seen


def test_a_lock_is_held_by_one_and_ends_with_its_file(tmp_path: Path) -> None:
    held = lock(tmp_path / "lock")
    assert held is not None
    assert lock(tmp_path / "lock") is None
    held.close()
    again = lock(tmp_path / "lock")
    assert again is not None
    again.close()


def test_a_dead_socket_is_replaced_and_a_living_one_answers(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    path.touch()
    assert not answers(path)
    with listening(path):
        assert answers(path)
        assert mode(path) == 0o600
    assert not path.exists()


def test_the_other_side_of_a_socket_is_known_where_the_platform_tells() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert peer(one) == (os.getuid() if sys.platform == "linux" else None)


def test_a_folder_of_another_account_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    own_folder(other)
    try:
        os.chown(other, 12345, -1)
    except PermissionError:
        pytest.skip("only root can make a folder of another account")
    with pytest.raises(Failed, match="another account"):
        check_folder(other)


def test_a_folder_open_to_others_is_narrowed(tmp_path: Path) -> None:
    folder = tmp_path / "wide"
    folder.mkdir(mode=0o755)
    own_folder(folder)
    assert mode(folder) == 0o700


@pytest.mark.parametrize(
    ("said", "is_"), [("127.0.0.1:80", ("127.0.0.1", 80)), ("localhost:0", ("127.0.0.1", 0)), ("[::1]:9", ("::1", 9))]
)
def test_loopback_addresses_are_served(said: str, is_: tuple[str, int]) -> None:
    assert address(said) == is_


@pytest.mark.parametrize("said", [
    "0.0.0.0:80", "[::]:1", "example.com:80", "80", ":80", "127.0.0.1:", "127.0.0.1:99999",
])
def test_no_other_address_is(said: str) -> None:
    with pytest.raises(UserError):
        address(said)
