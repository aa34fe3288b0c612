"""Cleaning mends, drops and reports, and the original stays as it is."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agentos.datasets import near, texts
from agentos.datasets.service import DatasetService
from agentos.errors import UserError
from agentos.policy.trash import TrashCan
from agentos.redact import Redactor
from agentos.types import Context
from tests.datasets.conftest import left, rows, sentence


def hide(text: str) -> tuple[str, Mapping[str, int]]:
    """Placeholders are numbered in each row anew."""
    return Redactor().redact(text)


@pytest.fixture
def hiding(root: Path, trash: TrashCan) -> DatasetService:
    return DatasetService(root, trash, redact=hide)


def put(tmp_path: Path, name: str, body: list[dict[str, Any]]) -> str:
    (tmp_path / name).write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in body), "utf-8")
    return name


async def test_every_step_does_its_work_in_order_and_the_original_stays(
    *, hiding: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    body = [
        {"text": "The caf\u00c3\u00a9 was good", "label": "pos"},
        {"text": "The  café\u200b was   good", "label": "pos"},
        {"text": "\u200b \t", "label": "neg"}, {"text": "电话 13812345678，请联系", "label": "neg"},
        {"text": "电话 13912345678，请联系", "label": "neg"}, {"text": "价格ＡＢＣ１２３，不错！", "label": "pos"},
        {"text": None, "label": "pos"},
    ]
    await hiding.add(put(tmp_path, "raw.jsonl", body), None, ctx)
    before = (root / "raw/data.parquet").read_bytes()
    cleaned = await hiding.clean("raw", (), None, ctx)
    assert [row["text"] for row in rows(root, "raw-clean")] == [
        "The café was good", "电话 <PHONE_1>，请联系", "价格ABC123，不错！",
    ]
    assert (root / "raw/data.parquet").read_bytes() == before and rows(root, "raw") == body
    assert (cleaned.dataset, cleaned.source, cleaned.rows, cleaned.dropped) == ("raw-clean", "raw", 3, 4)
    by_step = {step.step: step for step in cleaned.steps}
    assert list(by_step) == ["fix_text", "normalize", "redact", "drop_empty", "dedupe"]
    assert [(by_step[s].changed, by_step[s].dropped) for s in by_step] == [(1, 0), (3, 0), (2, 0), (0, 2), (0, 2)]
    assert by_step["redact"].note == "PHONE: 2" and cleaned.changed == 3
    assert by_step["fix_text"].examples[0]["after"] == "The café was good"  # type: ignore[index,call-overload]
    assert sum(step.dropped for step in cleaned.steps) == len(body) - cleaned.rows


async def test_what_is_private_is_in_no_report_and_no_manifest(
    *, hiding: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    said = "call  13812345678 caf\u00c3\u00a9"
    body = [{"text": f"{said} {n % 3}", "owner": "13700451236", "label": "a"} for n in range(9)]
    await hiding.add(put(tmp_path, "raw.jsonl", body), None, ctx)
    cleaned = await hiding.clean("raw", (), None, ctx)
    told = repr(cleaned) + (root / "raw-clean/dataset.json").read_text("utf-8") + repr(rows(root, "raw-clean"))
    assert "138123" not in told and "1370045" not in told and "PHONE" in told


async def test_a_whole_number_that_is_private_is_hidden_too(
    *, hiding: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    body = [{"text": f"note number {n}", "phone": 13812340000 + n, "age": n} for n in range(9)]
    await hiding.add(put(tmp_path, "raw.jsonl", body), None, ctx)
    await hiding.clean("raw", ("redact",), None, ctx)
    assert [(row["phone"], row["age"]) for row in rows(root, "raw-clean")] == [("<PHONE_1>", n) for n in range(9)]


async def test_without_a_finder_of_private_data_all_steps_say_so_and_the_one_is_refused(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    await service.add(put(tmp_path, "raw.jsonl", [{"text": "one"}, {"text": "two"}]), None, ctx)
    cleaned = await service.clean("raw", (), None, ctx)
    assert "skipped" in next(step.note for step in cleaned.steps if step.step == "redact")
    with pytest.raises(UserError, match="private data.*nothing was changed"):
        await service.clean("raw", ("redact",), "other", ctx)
    with pytest.raises(UserError, match="no cleaning step 'polish'; there are .*dedupe"):
        await service.clean("raw", ("polish",), "other", ctx)
    assert service.names() == ["raw", "raw-clean"]


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_near_copies_go_and_what_differs_stays(
    *, language: str, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    rng = random.Random(7)
    originals = [sentence(rng, language) for _ in range(300)]
    copies = [f"{text[:-2]}！" for text in originals[:40]] + [f"  {text.upper()}" for text in originals[40:60]]
    body = [{"text": text, "label": "a"} for text in originals + copies]
    await service.add(put(tmp_path, "raw.jsonl", body), None, ctx)
    cleaned = await service.clean("raw", ("dedupe",), None, ctx)
    assert [row["text"] for row in rows(root, "raw-clean")] == originals
    (step,) = cleaned.steps
    assert step.dropped == 60 and step.note == "20 the same, 40 nearly the same" and len(step.examples) == 3


async def test_a_small_word_or_another_label_makes_a_text_another_one(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    long = "这家酒店的位置很好，服务员态度也不错，早餐的种类很多，房间里的设施都比较新，下次来还会住这里"
    body = [
        {"text": "服务很好", "label": "1"}, {"text": "服务不好", "label": "0"}, {"text": "it is good", "label": "1"},
        {"text": "it is not good", "label": "0"}, {"text": long, "label": "1"}, {"text": long + "吗", "label": "0"},
    ] * 2
    await service.add(put(tmp_path, "raw.jsonl", body), None, ctx)
    cleaned = await service.clean("raw", ("dedupe",), None, ctx)
    assert rows(root, "raw-clean") == body[:6] and "but for their labels" in cleaned.steps[0].note


async def test_the_same_text_under_two_labels_is_kept_once_and_said(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    body = [{"text": "fine", "label": "1"}, {"text": "Fine ", "label": "0"}, {"text": "bad", "label": "0"}]
    await service.add(put(tmp_path, "raw.jsonl", body * 2), None, ctx)
    cleaned = await service.clean("raw", ("dedupe",), None, ctx)
    assert rows(root, "raw-clean") == [body[0], body[2]] and "another label" in cleaned.steps[0].note


async def test_cleaning_again_gives_the_same_and_a_taken_name_is_refused(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    await service.add(put(tmp_path, "raw.jsonl", [{"text": "a  b"}, {"text": "c"}]), None, ctx)
    await service.clean("raw", (), None, ctx)
    before = left(root)
    await service.clean("raw", (), None, ctx)
    await service.add(put(tmp_path, "taken.jsonl", [{"text": "mine"}]), None, ctx)
    with pytest.raises(UserError, match="'taken' already.*left as it is"):
        await service.clean("raw", (), "taken", ctx)
    assert rows(root, "taken") == [{"text": "mine"}] and set(before) <= set(left(root))


async def test_where_nothing_would_be_left_nothing_is_made(
    *, service: DatasetService, ctx: Context, tmp_path: Path
) -> None:
    await service.add(put(tmp_path, "raw.jsonl", [{"text": " "}, {"text": ""}]), None, ctx)
    with pytest.raises(UserError, match="nothing would be left"):
        await service.clean("raw", ("drop_empty",), None, ctx)
    assert service.names() == ["raw"]


async def test_one_other_character_in_a_chinese_sentence_makes_a_near_copy(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    text = "这家酒店的位置很好服务员态度也不错早餐的种类很多房间里的设施都比较新下次来还会住这里"
    await service.add(put(tmp_path, "raw.jsonl", [{"text": text}, {"text": text.replace("早", "晚")}]), None, ctx)
    assert (await service.clean("raw", ("dedupe",), None, ctx)).rows == 1


@pytest.mark.parametrize(("before", "after"), [
    ("  a \t b  \n\n\n\n c ", "a b\n\n c"), ("e\u0301", "é"), ("Ａ１，。！（）", "A1，。！（）"),
    ("zero\u200bwidth\ufeff", "zerowidth"),
    ("中\u200d文\u200c字", "中文字"), ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
    ("می\u200cخواهم", "می\u200cخواهم"), ("①㎡…“”", "①㎡…“”"),
    ("def f():\n    return  1", "def f():\n    return 1"), ("a\u3000b\x00", "a b"), ("a\r\nb", "a\nb"),
])
def test_normalizing_keeps_what_has_meaning(before: str, after: str) -> None:
    assert texts.normalize(before) == after and texts.normalize(after) == after


@pytest.mark.parametrize(("before", "after"), [
    ("sÃ³ isto", "só isto"), ("&#35828;&#23454;&#35805;", "说实话"),
    ("酒店，很好！（真的）“好”", "酒店，很好！（真的）“好”"),
])
def test_fixing_mends_what_is_broken_alone(before: str, after: str) -> None:
    assert texts.fix(before) == after


def test_pieces_are_shared_as_texts_are() -> None:
    rng = random.Random(1)
    for language in ("en", "zh"):
        text = sentence(rng, language, 60)
        half = text[: len(text) // 2] + sentence(rng, language, 5)
        one, other = (set(near.pieces(words).tolist()) for words in (text, half))
        assert 0.1 < len(one & other) / len(one | other) < 0.6
    assert set(near.pieces("Hello, World!").tolist()) == set(near.pieces("hello world").tolist())
