"""Folders of images, audio and texts, whose folders are their labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentos.datasets.service import DatasetService
from agentos.errors import UserError
from agentos.types import Context
from tests.datasets.conftest import left, rows

PNG = b"\x89PNG\r\n\x1a\n"


def fill(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


async def test_images_keep_their_bytes_and_their_folder_is_their_label(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    pets = [(label, n) for label in ("cat", "狗") for n in range(20)]
    files = {f"{label}/{n}.png": PNG + label.encode() + bytes([n]) * 50_000 for label, n in pets}
    others = {"cat/.hidden.png": PNG, "notes.txt": b"x", "cat/fake.png": b"text", "cat/zero.png": b""}
    fill(tmp_path / "pets", files | others)
    added = await service.add("pets", None, ctx)
    assert {row["file"]: row["image"] for row in rows(root, "pets")} == files
    assert all(row["label"] == row["file"].split("/")[0] for row in rows(root, "pets"))
    assert added.skipped == 2 and any("fake.png is no png" in said for said in added.guessed)
    file = await service.file("pets", ctx)
    assert (file.medium, file.text, file.label, file.labels) == ("image", ("image",), "label", ("cat", "狗"))
    card = await service.card("pets", 1)
    assert str(card.sample[0]["image"]).endswith("KiB>")  # type: ignore[index,call-overload]


async def test_audio_in_parts_keeps_the_part(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    folders = [f"{part}/{word}" for part in ("train", "test") for word in ("yes", "no")]
    fill(tmp_path / "speech", {f"{folder}/{n}.wav": b"RIFF" + bytes([n]) for folder in folders for n in range(3)})
    await service.add("speech", None, ctx)
    made = rows(root, "speech")
    assert len(made) == 12 and {(row["part"], row["label"]) for row in made} == {
        ("train", "yes"), ("train", "no"), ("test", "yes"), ("test", "no"),
    }
    assert (await service.file("speech", ctx)).medium == "audio"


async def test_texts_in_folders_are_a_row_each_in_whatever_encoding(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    fill(tmp_path / "news", {
        "sport/1.txt": "球队赢了比赛，全场欢呼。\n第二段".encode("gb18030"), "sport/2.txt": b"won",
        "money/1.txt": "股市上涨".encode(), "money/2.md": b"# up",
    })
    await service.add("news", None, ctx)
    made = {row["file"]: (row["label"], row["text"]) for row in rows(root, "news")}
    assert made["sport/1.txt"] == ("sport", "球队赢了比赛，全场欢呼。\n第二段")
    assert made["money/2.md"] == ("money", "# up")
    assert (await service.file("news", ctx)).labels == ("money", "sport")


async def test_files_in_one_folder_have_no_label(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    fill(tmp_path / "flat", {f"{n}.png": PNG + bytes([n]) for n in range(3)})
    await service.add("flat", None, ctx)
    assert (await service.file("flat", ctx)).label is None and set(rows(root, "flat")[0]) == {"image", "file"}


async def test_a_folder_of_tables_says_to_add_them_one_by_one(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    fill(tmp_path / "tables", {"a.csv": b"a,b\n1,2\n", "b.csv": b"a,b\n1,2\n", "readme.md": b"x"})
    with pytest.raises(UserError, match="a.csv, b.csv.*one by one"):
        await service.add("tables", None, ctx)
    assert left(root) == []


async def test_a_link_out_of_the_folder_is_not_followed(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    fill(tmp_path, {"secret.txt": b"secret", "in/a/1.txt": b"one"})
    (tmp_path / "in/a/2.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "in/b").symlink_to(tmp_path, target_is_directory=True)
    await service.add("in", None, ctx)
    assert [row["text"] for row in rows(root, "in")] == ["one"]
