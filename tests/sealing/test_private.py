"""Private data sets and models: sealed under every name, read while they are used, in clear nowhere after."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agentos.config import Settings
from agentos.datasets.service import DatasetService
from agentos.datasets.shelf import DATA, Shelf
from agentos.models.clear import load
from agentos.models.shelf import Shelf as Models
from agentos.models.shelf import Stored, is_private
from agentos.models.signing import Signer
from agentos.policy.trash import TrashCan
from agentos.sealing import KEY, KeyFile
from agentos.sealing.files import Vault, is_sealed
from agentos.sealing.private import Sealed, change, in_clear
from agentos.sealing.rotation import opened, rotate
from agentos.store import Store
from agentos.training.data import read
from agentos.types import Caller, LoadedModel, ModelSpec

PARQUET = b"PAR1"
"""What a file of rows begins with."""
MARK = "zhang.san@private-of-the-test.example.org"


CHILD = """
import os, signal, sys
from pathlib import Path
from agentos.models.shelf import Shelf
from agentos.sealing import private

def killed(*where):
    os.kill(os.getpid(), signal.SIGKILL)

shelf = Shelf(Path(sys.argv[1]) / "models")
if sys.argv[2] == "written":
    os.fsync = killed
else:
    linked, private.linked = private.linked, lambda *where: (linked(*where), killed())
shelf.private(shelf.get("tiny"), True)
"""


class Ctx:
    """What a call gives to a service."""

    caller = Caller("ann", "operator")

    @staticmethod
    async def progress(message: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
        """Nobody watches."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    opened(Settings(home=tmp_path / "home", cache=tmp_path / "cache")).close()
    return tmp_path / "home"


def where(home: Path, mark: bytes) -> list[str]:
    return [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file() and mark in path.read_bytes()]


async def test_a_private_data_set_is_used_as_before_and_so_is_what_is_made_of_it(home: Path, tmp_path: Path) -> None:
    settings, store = Settings(home=home, cache=tmp_path / "cache"), Store(home / "agentos.db")
    service, ctx = DatasetService(home / "datasets", TrashCan(store, settings)), Ctx()
    rows = tmp_path / "rows.jsonl"
    rng = random.Random(1)
    texts = [f"{' '.join(f'{rng.getrandbits(40):x}' for _ in range(12))}  {MARK}" for _ in range(40)]
    rows.write_text("".join(json.dumps({"text": text, "label": "ab"[n % 2]}) + "\n" for n, text in enumerate(texts)))
    for name in ("people", "again", "gone"):
        await service.add(str(rows), name, ctx)  # type: ignore[arg-type]
    await service.delete("gone", "c1", "ann")
    data = await service.file("people", ctx)  # type: ignore[arg-type]
    (home / "runs").mkdir()
    os.link(data.path, home / "runs" / "data.parquet")
    before, shown = where(home, PARQUET), await service.card("people", 3)
    assert len(before) == 5, "the content, three names, and a run's"
    made = Shelf(home / "datasets").private("people", True)
    assert (made.files, made.elsewhere) == (1, 0) and where(home, PARQUET) == []
    assert Shelf(home / "datasets").private("again", True).files == 0, "it has the same content"
    assert await service.card("people", 3) == shown
    for path in (data.path, home / "runs" / "data.parquet"):
        assert is_sealed(path) and MARK in read(str(path), ("text",), "label").texts[0][0]
    await service.split("people", 0.5, 1, ctx)  # type: ignore[arg-type]
    await service.clean("people", ["normalize"], "clean", ctx)  # type: ignore[arg-type]
    for name in ("people-train", "people-test", "clean"):
        assert is_sealed(home / "datasets" / name / DATA), name
    assert where(home, PARQUET) == []
    store.close()
    made_anew = rotate(settings)
    assert made_anew.files == 4 and made_anew.unreadable == 0 and await service.card("people", 3) == shown
    assert Shelf(home / "datasets").private("people", False).files == 1
    assert sorted(where(home, PARQUET)) == sorted(before)


class Reads:
    """An engine that reads what it is given."""

    def __init__(self) -> None:
        self.seen: dict[str, bytes] = {}
        self.path = Path()

    async def load(self, spec: ModelSpec, progress: Any) -> LoadedModel:
        assert spec.path is not None
        self.path = spec.path
        self.seen = {path.name: path.read_bytes() for path in spec.path.iterdir()}
        return LoadedModel(spec.name, "reads", "cpu", "", 1, 0, False, 1.0)

    def generate(self, request: Any) -> AsyncIterator[Any]:
        raise NotImplementedError

    async def unload(self) -> None:
        """Nothing is kept."""


def model(home: Path) -> Stored:
    shelf = Models(home / "models")
    work = shelf.begin("tiny")
    (work / "model.safetensors").write_bytes(b"weights " + MARK.encode() * 100_000)
    (work / "config.json").write_text("{}")
    return shelf.finish(work, {
        "name": "tiny", "description": "", "licence": "", "kind": "causal", "parameters": 1, "context": 8,
        "source": "here", "download": 0, "sha256": "", "pinned": False, "seconds": 0.0,
    })


async def test_a_private_model_is_in_clear_while_it_is_loaded_and_stays_signed(home: Path) -> None:
    stored = model(home)
    shelf = Models(home / "models")
    weights = (stored.path / "model.safetensors").read_bytes()
    assert shelf.private(stored, True).files == 1 and is_private(stored) and where(home, MARK.encode()) == []
    assert Signer(home).verify(stored.path).signed == "yes", "what it holds is what was signed"
    engine = Reads()
    await load(engine, ModelSpec("tiny", stored.path), Ctx.progress)  # type: ignore[arg-type]
    assert engine.seen["model.safetensors"] == weights and engine.seen["config.json"] == b"{}"
    assert engine.path != stored.path and not engine.path.exists() and where(home, MARK.encode()) == []
    sealed = bytearray((stored.path / "model.safetensors").read_bytes())
    sealed[-1] ^= 1
    (stored.path / "model.safetensors").write_bytes(sealed)
    with pytest.raises(Exception, match="was changed"):
        await load(engine, ModelSpec("tiny", stored.path), Ctx.progress)  # type: ignore[arg-type]
    assert not list(Path("/dev/shm").glob(f"agentos-{os.geteuid()}-{os.getpid()}-*"))


def test_a_folder_in_clear_is_given_as_it_is_and_one_that_a_dead_process_left_is_swept(home: Path) -> None:
    stored = model(home)
    with in_clear(stored.path) as place:
        assert place == stored.path
    (left := home / "open" / f"agentos-{os.geteuid()}-4194999-x").mkdir(parents=True)
    (left / "weights").write_text(MARK)
    Models(home / "models").private(stored, True)
    with in_clear(stored.path) as place:
        assert place != stored.path and place.stat().st_mode & 0o077 == 0
    assert not left.exists() and not place.exists()


def test_who_asks_again_after_a_kill_gets_it_done(home: Path) -> None:
    (home / "datasets").mkdir()
    (one := home / "datasets" / "one").write_text(MARK)
    os.link(one, two := home / "datasets" / "two")
    Vault(home).seal(one, one)  # killed here: one name of two was done
    assert is_sealed(one) and not is_sealed(two)
    assert change(home, [one, two], True).files == 1
    assert where(home, MARK.encode()) == [] and (home / KEY).exists()


@pytest.mark.parametrize("when", ["written", "linked"])
def test_a_model_is_whole_after_a_kill_and_no_name_of_it_stays_in_clear(home: Path, when: str) -> None:
    stored = model(home)
    KeyFile(home / KEY, marked=True).make()
    (kept := home / "runs" / "r1").mkdir(parents=True)
    for name in ("a", "b"):
        os.link(stored.path / "model.safetensors", kept / name)
    subprocess.run([sys.executable, "-c", CHILD, str(home), when], check=False)
    assert [*home.rglob("*.part")]
    opened(Settings(home=home, cache=home / "cache")).close()
    assert not [*home.rglob("*.part")]
    assert Signer(home).verify(stored.path).signed == "yes"
    made = Models(home / "models").private(stored, True)
    assert made.files == 1 and where(home, MARK.encode()) == []
    assert Signer(home).verify(stored.path).signed == "yes"


def test_what_is_a_link_to_another_disk_is_sealed_there(home: Path, tmp_path: Path) -> None:
    stored = model(home)
    weights = stored.path / "model.safetensors"
    os.rename(weights, far := tmp_path / "far")
    weights.symlink_to(far)
    assert Models(home / "models").private(stored, True) == Sealed(1, len(MARK) * 100_000 + 8, 0)
    assert weights.is_symlink() and is_sealed(far)
    with in_clear(stored.path) as place:
        assert (place / "model.safetensors").read_bytes().startswith(b"weights")
