"""Names, content that is stored once, the trash, and what happens when things go wrong."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agentos.config import Settings
from agentos.datasets.service import DatasetService
from agentos.errors import Failed, NotFound, UserError
from agentos.policy.trash import TrashCan
from agentos.store import Store
from agentos.types import Context
from tests.datasets.conftest import Told, left, rows


def table(path: Path, count: int = 50, word: str = "text") -> Path:
    path.write_text("label,text\n" + "".join(f"{n % 2},{word} number {n}\n" for n in range(count)), "utf-8")
    return path


async def test_the_same_content_under_two_names_is_stored_once(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    table(tmp_path / "one.csv")
    (tmp_path / "two.tsv").write_text((tmp_path / "one.csv").read_text().replace(",", "\t"), "utf-8")
    await service.add("one.csv", None, ctx)
    await service.add("two.tsv", "second", ctx)
    one, two = [await service.file(name, ctx) for name in ("one", "second")]
    assert one.sha256 == two.sha256 and one.path == two.path
    assert (root / "one/data.parquet").stat().st_ino == (root / "second/data.parquet").stat().st_ino


async def test_adding_the_same_again_gives_what_is_there_and_a_changed_file_is_refused(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    table(tmp_path / "one.csv")
    assert (await service.add("one.csv", None, ctx)).fetched
    assert not (await service.add("one.csv", None, ctx)).fetched
    (tmp_path / "one.csv").touch()
    assert not (await service.add("one.csv", None, ctx)).fetched
    before = left(root)
    table(tmp_path / "one.csv", 51)
    with pytest.raises(UserError, match="'one' already, of other content.*--name one-2"):
        await service.add("one.csv", None, ctx)
    assert left(root) == before
    assert (await service.add("one.csv", "one-2", ctx)).rows == 51


async def test_a_deleted_data_set_comes_back_whole(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path, trash: TrashCan
) -> None:
    table(tmp_path / "one.csv")
    await service.add("one.csv", None, ctx)
    await service.add("one.csv", "twin", ctx)
    card, kept = await service.card("one", 3), await service.file("one", ctx)
    deleted = await service.delete("one", "call-1", "lin")
    assert service.names() == ["twin"] and deleted.dataset == "one"
    with pytest.raises(NotFound, match="twin"):
        await service.card("one", 3)
    await service.delete("twin", "call-2", "lin")
    table(tmp_path / "other.csv", word="other")
    await service.add("other.csv", None, ctx)  # what nothing has any more is swept then
    assert kept.path.exists()
    await trash.restore(deleted.undo, ctx.caller)
    assert await service.card("one", 3) == card and await service.file("one", ctx) == kept
    assert len(rows(root, "one")) == 50


async def test_content_that_nothing_has_any_more_goes_and_no_other(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path, settings: Settings
) -> None:
    store = Store(settings.database)
    trash = TrashCan(store, settings, clock=lambda: 0.0)
    mine = DatasetService(root, trash)
    for word in ("one", "two"):
        await mine.add(str(table(tmp_path / f"{word}.csv", word=word)), None, ctx)
    one, two = [await mine.file(word, ctx) for word in ("one", "two")]
    await mine.delete("one", "c", "lin")
    trash.purge(1e9)
    await mine.add(str(table(tmp_path / "three.csv", word="three")), None, ctx)
    assert not one.path.exists() and two.path.exists()
    store.close()


async def test_a_path_serves_as_a_name_and_a_changed_file_is_another_data_set(
    *, service: DatasetService, ctx: Context, tmp_path: Path
) -> None:
    table(tmp_path / "one.csv")
    first = await service.file("one.csv", ctx)
    assert (first.name, first.rows) == ("one", 50)
    assert await service.file(str(tmp_path / "one.csv"), ctx) == first == await service.file("one", ctx)
    assert service.names() == ["one"]
    table(tmp_path / "one.csv", 60)
    second = await service.file("./one.csv", ctx)
    assert second.rows == 60 and second.name == f"one-{second.sha256[:8]}"
    assert await service.file("one", ctx) == first
    with pytest.raises(NotFound, match="no data set 'two.csv'.*Nor is there a file"):
        await service.file("two.csv", ctx)


@pytest.mark.parametrize("name", ["", "../x", "/etc", ".hidden", "a/b/c", "a b", "x" * 200, "a\nb", "-x"])
async def test_a_name_that_cannot_be_one_is_refused(
    *, name: str, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    table(tmp_path / "one.csv")
    with pytest.raises(UserError, match="cannot be a data set's name"):
        await service.add("one.csv", name or " ", ctx)
    assert left(root) == []


async def test_a_chinese_file_name_is_a_name(service: DatasetService, ctx: Context, tmp_path: Path) -> None:
    table(tmp_path / "酒店 评论.csv")
    assert (await service.add("酒店 评论.csv", None, ctx)).dataset == "酒店-评论"
    assert service.canonical("酒店-评论") == "酒店-评论" and service.canonical("no such") == "no such"


async def test_an_unknown_name_lists_what_there_is(service: DatasetService, ctx: Context, tmp_path: Path) -> None:
    table(tmp_path / "reviews.csv")
    await service.add("reviews.csv", None, ctx)
    for call in (
        service.card("review", 1), service.clean("review", (), None, ctx), service.split("review", 0.8, 0, ctx),
        service.delete("review", "c", "lin"),
    ):
        with pytest.raises(NotFound, match="reviews"):
            await call


async def test_a_full_disk_leaves_nothing_half_written(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    table(tmp_path / "big.csv", 100_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(Failed, match="nothing was stored"):
            await service.add("big.csv", None, ctx)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left(root) == [] and [path.name for path in root.iterdir()] in ([], [".content"])
    assert (await service.add("big.csv", None, ctx)).rows == 100_000


async def test_a_call_that_is_given_up_stores_nothing(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    table(tmp_path / "big.csv", 300_000)
    task = asyncio.create_task(service.add("big.csv", None, ctx))
    while not (isinstance(ctx, Told) and ctx.lines):
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left(root) == [] and service.names() == []


async def test_many_that_add_the_same_at_once_get_the_same(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    table(tmp_path / "one.csv", 3000)
    names = ["one", "one", "two", "one", "two", "three"]
    added = await asyncio.gather(*(service.add("one.csv", name, ctx) for name in names))
    assert [one.dataset for one in added] == names and sum(one.fetched for one in added) == 3
    assert len([path for path in left(root) if path.startswith(".content")]) == 1
    assert not [path for path in root.iterdir() if path.name.startswith(".new")]


ADD_OFTEN = """
import asyncio, sys
from pathlib import Path
from types import SimpleNamespace
from agentos.datasets.service import DatasetService
from agentos.types import Caller

async def progress(*said): pass

async def main(root, folder, word):
    service = DatasetService(Path(root), None)
    ctx = SimpleNamespace(caller=Caller(word, "operator", folder=folder), progress=progress, call="c")
    for number in range(6):
        await service.add("one.csv", f"{word}-{number}", ctx)
        await service.add("one.csv", f"shared-{number}", ctx)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_processes_that_add_the_same_at_once_do_not_break_each_other(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    table(tmp_path / "one.csv", 500)
    given = [str(root), str(tmp_path)]
    workers = [await asyncio.create_subprocess_exec(sys.executable, "-c", ADD_OFTEN, *given, word) for word in "ab"]
    assert [await worker.wait() for worker in workers] == [0, 0]
    assert len(service.names()) == 18 and len({(await service.file(n, ctx)).path for n in service.names()}) == 1


async def test_a_card_says_what_there_is(service: DatasetService, ctx: Context, tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("label,text\n1,ab\n1,abcd\n0,好的呀\n1,\n", "utf-8")
    await service.add("few.csv", None, ctx)
    card = await service.card("few", 2)
    assert [(item.label, item.rows, item.share) for item in card.balance] == [("1", 3, 0.75), ("0", 1, 0.25)]
    (lengths,) = card.lengths
    assert (lengths.least, lengths.median, lengths.p95, lengths.most) == (0, 2, 4, 4)
    assert card.sample == [{"label": 1, "text": "ab"}, {"label": 1, "text": "abcd"}]
    assert (card.rows, card.text, card.label, card.created) == (4, ("text",), "label", 1_000_000.0)
    assert card.source == str(tmp_path / "few.csv") and card.lineage[0] == card.source
    row = service.listing().datasets[0]
    assert (row.dataset, row.rows, row.label, row.user) == ("few", 4, "label", "lin") and row.size > 0
    assert replace(card, sample=[]) == await service.card("few", 0)
    assert os.listdir(tmp_path / "home/datasets/few")
