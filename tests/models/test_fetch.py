"""Downloads against a real server on loopback that misbehaves."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import sys
from pathlib import Path

import pytest

from agentos.errors import Failed
from agentos.models.fetch import WrongHash, client, download
from agentos.models.sources import Fetch, Unreachable
from tests.models.conftest import Server

BODY = bytes(range(256)) * 8192  # 2 MiB
SHA = hashlib.sha256(BODY).hexdigest()


async def nothing(done: int, total: int) -> None:
    pass


async def get(server: Server, folder: Path, *, sha: str = SHA, size: int = 0, path: str = "/f") -> bytes:
    async with client() as http:
        got = await download(http, Fetch(server.url + path, "f", size, sha), folder, nothing, pause=0.001)
    return got.read_bytes()


async def test_a_broken_download_goes_on_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.files["/f"] = BODY
    server.break_after = [700_000, 500_000]
    kept: list[int] = []

    async def tell(done: int, total: int) -> None:
        kept.append(done)

    async with client() as http:
        got = await download(http, Fetch(f"{server.url}/f", "f", 0, SHA), tmp_path, tell, pause=0.001)
    assert got.read_bytes() == BODY
    (_, whole), *resumed = server.asked
    starts = [int(said.removeprefix("bytes=").removesuffix("-")) for _, said in resumed if said]
    # a system may lose what was under way as a connection broke; what had come is fetched once
    assert whole is None and len(starts) == len(resumed) == 2
    assert starts[0] <= 700_000 and starts[1] <= starts[0] + 500_000
    assert set(starts) <= set(kept) and kept == sorted(set(kept))
    assert os.listdir(tmp_path) == ["f"]


async def test_the_next_call_takes_up_what_a_cancelled_one_left(server: Server, tmp_path: Path) -> None:
    server.files["/f"] = BODY
    server.break_after = [900_000]
    server.hold.clear()
    task = asyncio.create_task(get(server, tmp_path))
    part = tmp_path / "f.part"
    while not part.exists() or part.stat().st_size < 900_000:
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.hold.set()
    assert part.stat().st_size == 900_000
    assert await get(server, tmp_path) == BODY
    assert server.asked[-1] == ("/f", "bytes=900000-")


async def test_a_server_that_ignores_range_is_read_from_the_start(server: Server, tmp_path: Path) -> None:
    server.files["/f"] = BODY
    server.ranges = False
    (tmp_path / "f.part").write_bytes(b"old" * 1000)
    assert await get(server, tmp_path) == BODY


async def test_a_part_of_something_else_is_fetched_again_from_the_start(server: Server, tmp_path: Path) -> None:
    server.files["/f"] = BODY
    (tmp_path / "f.part").write_bytes(b"?" * 1000)
    assert await get(server, tmp_path) == BODY


async def test_a_part_longer_than_the_file_is_fetched_again(server: Server, tmp_path: Path) -> None:
    server.files["/f"] = BODY
    (tmp_path / "f.part").write_bytes(b"?" * (len(BODY) + 9))
    assert await get(server, tmp_path) == BODY


async def test_without_a_hash_a_part_of_an_older_version_is_not_continued(server: Server, tmp_path: Path) -> None:
    server.files["/f"] = BODY
    server.break_after = [1000] + [0] * 20
    with pytest.raises(Unreachable):
        await get(server, tmp_path, sha="")
    server.etag, server.files["/f"], server.break_after = '"two"', BODY[::-1], []
    assert await get(server, tmp_path, sha="") == BODY[::-1]


@pytest.mark.parametrize("size", [0, len(BODY)])
async def test_a_wrong_hash_is_refused_and_removed(server: Server, tmp_path: Path, size: int) -> None:
    server.files["/f"] = BODY[::-1]
    with pytest.raises(WrongHash, match="promised"):
        await get(server, tmp_path, size=size)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("wrong", [BODY[:-1], BODY + b"x"])
async def test_another_size_than_promised_is_refused_before_it_is_read(
    server: Server, tmp_path: Path, wrong: bytes
) -> None:
    server.files["/f"] = wrong
    with pytest.raises(WrongHash):
        await get(server, tmp_path, size=len(BODY))
    assert os.listdir(tmp_path) == []


async def test_a_server_that_always_breaks_off_is_given_up(server: Server, tmp_path: Path) -> None:
    server.files["/f"] = BODY
    server.break_after = [0] * 50
    with pytest.raises(Unreachable, match="broke off 5 times"):
        await get(server, tmp_path)


@pytest.mark.parametrize("code", [403, 404, 410])
async def test_a_refusal_is_not_asked_again(server: Server, tmp_path: Path, code: int) -> None:
    server.files["/f"], server.fail = BODY, {"/f": code}
    with pytest.raises(Unreachable, match=str(code)):
        await get(server, tmp_path)
    assert len(server.asked) == 1


async def test_a_server_that_is_down_is_unreachable(tmp_path: Path) -> None:
    async with client() as http:
        with pytest.raises(Unreachable, match="cannot be reached"):
            await download(http, Fetch("http://127.0.0.1:9/f", "f"), tmp_path, nothing, pause=0.001)


async def test_what_is_there_already_is_not_fetched(server: Server, tmp_path: Path) -> None:
    server.files["/f"] = BODY
    await get(server, tmp_path)
    assert await get(server, tmp_path) == BODY
    assert len(server.asked) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
async def test_a_full_disk_is_said_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.files["/f"] = BODY
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))
    try:
        with pytest.raises(Failed, match="disk of .* is full.*Free some space"):
            await get(server, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == []


async def test_a_disk_without_room_is_said_before_the_first_byte(server: Server, tmp_path: Path) -> None:
    server.files["/f"] = BODY
    async with client() as http:
        with pytest.raises(Failed, match=r"needs 8\.0 TiB on disk and .* has .* free; nothing was stored"):
            from agentos.models.fetch import room

            room(tmp_path, 8 << 40, "it")
        assert not server.asked and http is not None


async def test_progress_counts_what_was_there(server: Server, tmp_path: Path) -> None:
    server.files["/f"] = BODY
    (tmp_path / "f.part").write_bytes(BODY[:1_000_000])
    seen: list[tuple[int, int]] = []

    async def tell(done: int, total: int) -> None:
        seen.append((done, total))

    async with client() as http:
        await download(http, Fetch(server.url + "/f", "f", 0, SHA), tmp_path, tell)
    assert seen[0][0] > 1_000_000 and seen[-1] == (len(BODY), len(BODY))
