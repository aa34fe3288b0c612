"""Files of every kind are read as they were meant, and what was guessed is said."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agentos.datasets.service import DatasetService
from agentos.errors import UserError
from agentos.types import Context
from tests.datasets.conftest import Told, left, rows

REVIEWS = [
    ("1", '距离川沙公路较近,但是公交指示不对,如果是"蔡陆线"的话,会非常麻烦.'), ("0", "房间很小，\n还很吵"),
    ("1", "very good, would come again"), ("0", 'it said "clean" and was not'), ("1", "早餐不错"),
]


def as_csv(header: list[str], body: list[tuple[str, ...]], **how: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", **how)  # type: ignore[arg-type]
    writer.writerows([header, *body] if header else body)
    return text.getvalue()


async def test_quotes_line_breaks_and_commas_of_a_csv_survive(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    (tmp_path / "hotel.csv").write_text(as_csv(["label", "review"], REVIEWS), "utf-8")
    added = await service.add("hotel.csv", None, ctx)
    assert (added.dataset, added.rows, added.columns, added.skipped) == ("hotel", 5, ("label", "review"), 0)
    assert [(str(row["label"]), row["review"]) for row in rows(root, "hotel")] == REVIEWS
    said = " ".join(added.guessed)
    for word in ("utf-8", "comma", "quoted", "first line", "text: 'review'", "label: 'label'"):
        assert word in said
    file = await service.file("hotel", ctx)
    assert (file.text, file.label, file.labels, file.rows) == (("review",), "label", ("0", "1"), 5)


@pytest.mark.parametrize("seed", range(12))
async def test_any_table_that_is_written_is_read_back(
    *, seed: int, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    rng = random.Random(seed)
    mark, name = rng.choice([(",", "t.csv"), ("\t", "t.tsv"), (";", "t.csv"), ("|", "t.csv")])
    letters = 'ab 中文，。"\n' + mark
    body = [
        (str(rng.randrange(3)), "x" + "".join(rng.choices(letters, k=rng.randrange(60))) + "y")
        for _ in range(rng.randrange(20, 200))
    ]
    encoding = rng.choice(["utf-8", "utf-8-sig", "gb18030", "utf-16"])
    (tmp_path / name).write_bytes(as_csv(["label", "text"], body, delimiter=mark).encode(encoding))
    added = await service.add(name, None, ctx)
    assert [(str(row["label"]), row["text"]) for row in rows(root, "t")] == body, added.guessed


async def test_a_tsv_without_a_header_gets_names_and_keeps_its_quotes(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    lines = ["a stirring , funny film\t1", '" never mind " he says\t0', "it 's slow\t0", '"unclosed and fine\t1'] * 5
    (tmp_path / "dev.tsv").write_text("\n".join(lines), "utf-8")
    added = await service.add("dev.tsv", None, ctx)
    assert added.columns == ("text", "label") and added.rows == 20
    assert [f"{row['text']}\t{row['label']}" for row in rows(root, "dev")] == lines
    assert any("header: none" in said for said in added.guessed)


@pytest.mark.parametrize(("encoding", "text"), [
    ("gb18030", "酒店的位置很好，服务也不错，下次还会再来。\n早餐一般般，房间有点小。\n"),
    ("utf-16", "酒店很好\nfine\n"), ("utf-8-sig", "第一行\nsecond\n"),
    ("cp932", "とても良いホテルでした。\nまた来ます。\n"),
    ("big5", "這家飯店很好，服務也很棒。\n房間太小了，有點吵。\n" * 9),
    ("cp1252", "Déjà vu, très cher\ncafé à côté\n"),
])
async def test_the_encoding_of_a_text_is_found_and_said(
    *, encoding: str, text: str, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    (tmp_path / "notes.txt").write_bytes(text.encode(encoding))
    added = await service.add("notes.txt", None, ctx)
    assert [row["text"] for row in rows(root, "notes")] == text.splitlines()
    assert any(said.startswith("encoding: ") for said in added.guessed)


async def test_a_text_is_a_row_for_each_line_and_an_empty_line_is_one(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    (tmp_path / "poem.md").write_bytes("# 静夜思\r\n\r\n床前明月光\u2028疑是地上霜\r\nend".encode())
    await service.add("poem.md", None, ctx)
    assert [row["text"] for row in rows(root, "poem")] == ["# 静夜思", "", "床前明月光\u2028疑是地上霜", "end"]


async def test_json_lines_with_odd_rows_lose_nothing(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    wanted = [{"text": f"row {n}", "n": n, "extra": None} for n in range(5000)]
    wanted += [{"text": "late", "n": 1.5, "extra": "new column"}, {"text": "later", "n": None, "extra": None}]
    lines = [json.dumps({k: v for k, v in row.items() if v is not None}) for row in wanted]
    (tmp_path / "log.jsonl").write_text("\n".join([*lines[:3], "{broken", "", *lines[3:], "[1, 2]"]), "utf-8")
    added = await service.add("log.jsonl", None, ctx)
    assert rows(root, "log") == wanted and added.skipped == 2
    assert any("line 4" in said and "skipped: 2" in said for said in added.guessed)


async def test_a_json_array_is_read_a_piece_at_a_time(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    wanted = [{"prompt": f"问 {n}", "completion": "答" * (n % 700)} for n in range(5000)]
    (tmp_path / "chat.json").write_text(json.dumps(wanted, ensure_ascii=False, indent=1), "utf-8")
    await service.add("chat.json", None, ctx)
    assert rows(root, "chat") == wanted
    file = await service.file("chat", ctx)
    assert file.text == ("prompt", "completion") and file.label is None


async def test_conversations_stay_what_they_are(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    answer = {"role": "assistant", "content": "ok"}
    wanted = [{"messages": [{"role": "user", "content": f"{n}?"}, answer]} for n in range(9)]
    (tmp_path / "talk.jsonl").write_text("\n".join(map(json.dumps, wanted)), "utf-8")
    await service.add("talk.jsonl", None, ctx)
    assert rows(root, "talk") == wanted
    assert (await service.file("talk", ctx)).text == ("messages",)


async def test_parquet_is_read_with_its_types(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    day = datetime.date(2024, 5, 1)
    table = pa.table({
        "content": pa.array(["好", "bad one", None], pa.large_string()),
        "label": pa.array(["a", "b", "a"]).dictionary_encode(),
        "day": pa.array([day, None, day]), "score": [1.5, None, 2.0],
    })
    pq.write_table(table, tmp_path / "t.parquet")
    await service.add("t.parquet", None, ctx)
    assert rows(root, "t") == table.to_pylist()
    assert (await service.file("t", ctx)).labels == ("a", "b")


async def test_a_packed_file_is_unpacked(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    with gzip.open(tmp_path / "hotel.csv.gz", "wt", encoding="utf-8") as stream:
        stream.write(as_csv(["label", "review"], REVIEWS))
    added = await service.add("hotel.csv.gz", None, ctx)
    assert added.dataset == "hotel" and len(rows(root, "hotel")) == 5


async def test_numbers_and_dates_are_such_only_where_every_row_says_so(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    body = [(str(n), f"{n:05}", str(n / 4), "2024-01-31", f"2024-01-31 10:{n % 60:02}:00", f"note number {n}")
            for n in range(40_000)]
    late = [("n/a", "00001", "1e3", "2024-02-30", "", "last")]
    header = ["id", "zip", "price", "day", "at", "text"]
    (tmp_path / "mixed.csv").write_text(as_csv(header, body + late), "utf-8")
    (tmp_path / "clean.csv").write_text(as_csv(header, body), "utf-8")
    await service.add("mixed.csv", None, ctx)
    await service.add("clean.csv", None, ctx)
    kinds = (await service.card("clean", 0)).columns
    assert [kinds[name] for name in header[:5]] == ["whole number", "text", "number", "date", "time"]
    kinds = (await service.card("mixed", 0)).columns
    assert [kinds[name] for name in header[:5]] == ["text", "text", "number", "text", "time"]
    made = rows(root, "mixed")
    assert len(made) == 40_001 and made[7]["id"] == "7" and made[7]["zip"] == "00007" and made[-1]["at"] is None


async def test_lines_that_do_not_fit_are_counted_and_named(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    lines = ["label,text", *(f"{n % 2},text {n}" for n in range(50)), "1,one,too many", "alone"]
    (tmp_path / "odd.csv").write_text("\n".join(lines), "utf-8")
    added = await service.add("odd.csv", None, ctx)
    assert (added.rows, added.skipped) == (50, 2) and len(rows(root, "odd")) == 50
    assert any("row 52 has 3 values, not 2" in said for said in added.guessed)


async def test_a_table_whose_lines_mostly_do_not_fit_is_refused(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    rng = random.Random(3)
    lines = ["label,text", *("1" + ",word" * rng.randrange(2, 12) for _ in range(100))]
    (tmp_path / "bad.csv").write_text("\n".join(lines), "utf-8")
    with pytest.raises(UserError, match="nothing was stored"):
        await service.add("bad.csv", None, ctx)
    assert left(root) == []


async def test_a_few_broken_bytes_do_not_change_the_encoding(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    (tmp_path / "t.csv").write_bytes(("text,label\n" + "好的，谢谢,1\n" * 500).encode() + b"x\xff\xfey,0\n")
    added = await service.add("t.csv", None, ctx)
    made = [row["text"] for row in rows(root, "t")]
    assert made == ["好的，谢谢"] * 500 + ["x\ufffd\ufffdy"]
    assert any("2 broken places" in said for said in added.guessed)


@pytest.mark.parametrize(("text", "wanted"), [
    ("text\nhello, world\nfine\n", [{"text": "hello, world"}, {"text": "fine"}]),
    ('review\n"a, ""b"""\nc\n', [{"review": 'a, "b"'}, {"review": "c"}]),
    ("a,a,label\n1,2,x\n3,4,y\n", [{"a": 1, "a_2": 2, "label": "x"}, {"a": 3, "a_2": 4, "label": "y"}]),
    ("text,label\rone two,1\rthree,0\r", [{"text": "one two", "label": 1}, {"text": "three", "label": 0}]),
    ("text,label\n" + "y" * 3_000_000 + ",1\n", [{"text": "y" * 3_000_000, "label": 1}]),
])
async def test_odd_tables_are_read_as_they_were_meant(
    *, text: str, wanted: list[dict[str, object]], service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    (tmp_path / "odd.csv").write_bytes(text.encode())
    await service.add("odd.csv", None, ctx)
    assert rows(root, "odd") == wanted


async def test_half_a_character_in_json_is_no_end(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "\\ud800 lone"}\n{"text": "ok"}\n', "utf-8")
    await service.add("t.jsonl", None, ctx)
    assert [row["text"] for row in rows(root, "t")] == ["? lone", "ok"]


async def test_a_quote_that_is_never_closed_is_pointed_at(
    *, service: DatasetService, ctx: Context, tmp_path: Path
) -> None:
    lines = ["label,text", *('1,"quoted, fine"' for _ in range(400)), *("0,plain text" for _ in range(100))]
    lines[401] = '0,"never closed'
    (tmp_path / "torn.csv").write_text("\n".join(lines), "utf-8")
    added = await service.add("torn.csv", None, ctx)
    assert any("never closed" in said and "row 401" in said for said in added.guessed)


@pytest.mark.parametrize(("name", "content", "why"), [
    ("none.csv", None, "there is no file"), ("empty.csv", b"", "is empty"), ("blank.txt", b"\n \n", "is empty"),
    ("pic.csv", b"\x89PNG\r\n\x1a\n" + bytes(99), "an image"), ("x.txt", bytes(range(256)) * 9, "binary"),
    ("x.parquet", b"PAR1 not really", "Parquet"), ("x.json", b'[{"a": 1}, {"a": ', "breaks off"),
    ("x.jsonl", b"no\njson\nhere\n", "no JSON"), ("head.csv", b"label,text\n", "no rows"),
    ("void", "folder", "nothing to read"),
])
async def test_what_cannot_be_read_is_refused_and_nothing_is_left(
    *, name: str, content: bytes | str | None, why: str, service: DatasetService, ctx: Context, tmp_path: Path,
    root: Path,
) -> None:
    if content == "folder":
        (tmp_path / name / "inner").mkdir(parents=True)
    elif isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"(?s){why}.*[Nn]othing was stored|[Nn]othing was stored.*{why}"):
        await service.add(name, None, ctx)
    assert left(root) == [] and service.names() == []


async def test_a_relative_path_of_somebody_elsewhere_is_refused(service: DatasetService, tmp_path: Path) -> None:
    from agentos.types import Caller

    away = Told(Caller("lin", "operator"))
    with pytest.raises(UserError, match="whole path"):
        await service.add("a.csv", None, away)  # type: ignore[arg-type]


async def test_the_caller_is_told_how_far_it_is(
    *, service: DatasetService, ctx: Context, tmp_path: Path
) -> None:
    body = [(str(n % 2), f"some text, number {n}") for n in range(100_000)]
    (tmp_path / "long.csv").write_text(as_csv(["label", "text"], body), "utf-8")
    await service.add("long.csv", None, ctx)
    assert isinstance(ctx, Told) and any("long" in line[0] for line in ctx.lines)
