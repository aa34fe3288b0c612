"""A split shares labels fairly, is the same for the same seed, and never leaks."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from agentos.datasets.service import DatasetService
from agentos.errors import UserError
from agentos.types import Context
from tests.datasets.conftest import rows, sentence


def grams(text: str) -> set[str]:
    bare = "".join(char for char in text.lower() if char.isalnum())
    return {bare[at : at + 4] for at in range(max(1, len(bare) - 3))}


def write(tmp_path: Path, name: str, body: list[dict[str, str]]) -> str:
    (tmp_path / name).write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in body), "utf-8")
    return name


@pytest.mark.parametrize("seed", range(4))
async def test_a_split_never_puts_copies_on_both_sides(
    *, seed: int, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    rng = random.Random(seed)
    language = ("en", "zh")[seed % 2]
    body: list[dict[str, str]] = []
    for group in range(120):
        text, label = sentence(rng, language, rng.randrange(15, 60)), rng.choice("aab")
        for _ in range(rng.choice([1, 1, 1, 2, 5])):
            copy = rng.choice([text, text.upper(), f" {text}。", text[1:], text + "!!"])
            body.append({"text": copy, "label": label, "group": f"g{group}"})
    rng.shuffle(body)
    await service.add(write(tmp_path, "raw.jsonl", body), None, ctx)
    made = await service.split("raw", 0.75, seed, ctx)
    train, test = rows(root, made.train), rows(root, made.test)
    assert not {row["group"] for row in train} & {row["group"] for row in test}
    assert sorted(map(str, train + test)) == sorted(map(str, body)) and made.together > 100
    assert abs(len(test) / len(body) - 0.25) < 0.05
    for one in test:
        mine = grams(one["text"])
        assert all(len(mine & other) < 0.8 * len(mine | other) for other in (grams(row["text"]) for row in train))


async def test_labels_have_the_same_shares_and_rows_keep_their_order(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    rng = random.Random(5)
    body = [{"text": f"{n} {sentence(rng, 'en')}", "label": "rare" if n % 20 == 0 else "common"} for n in range(1000)]
    await service.add(write(tmp_path, "raw.jsonl", body), None, ctx)
    made = await service.split("raw", 0.8, 0, ctx)
    train, test = rows(root, made.train), rows(root, made.test)
    assert made.stratified and (made.train_rows, made.test_rows) == (800, 200)
    assert Counter(row["label"] for row in test) == {"rare": 10, "common": 190}
    for part in (train, test):
        numbers = [int(row["text"].split()[0]) for row in part]
        assert numbers == sorted(numbers)
    assert (await service.card(made.test, 0)).lineage[-1].startswith("raw-test: split of raw (train 0.8, seed 0)")


async def test_a_seed_gives_the_same_split_and_another_one_another(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    rng = random.Random(5)
    body = [{"text": sentence(rng, "zh"), "label": rng.choice("ab")} for _ in range(60)]
    await service.add(write(tmp_path, "raw.jsonl", body), None, ctx)
    one = await service.split("raw", 0.5, 3, ctx)
    assert await service.split("raw", 0.5, 3, ctx) == one
    with pytest.raises(UserError, match="'raw-train' already, of other content"):
        await service.split("raw", 0.5, 4, ctx)
    assert service.names() == ["raw", "raw-test", "raw-train"]


async def test_a_second_name_that_is_taken_leaves_no_first(
    *, service: DatasetService, ctx: Context, tmp_path: Path
) -> None:
    rng = random.Random(5)
    await service.add(write(tmp_path, "raw.jsonl", [{"text": sentence(rng, "en")} for _ in range(20)]), None, ctx)
    await service.add(write(tmp_path, "other.jsonl", [{"text": "x"}]), "raw-test", ctx)
    with pytest.raises(UserError, match="'raw-test' already"):
        await service.split("raw", 0.5, 0, ctx)
    assert service.names() == ["raw", "raw-test"]


@pytest.mark.parametrize("train", [0.0, 1.0, 1.5, -1.0, float("nan")])
async def test_a_fraction_that_is_none_is_refused(service: DatasetService, ctx: Context, train: float) -> None:
    with pytest.raises(UserError, match="between 0 and 1"):
        await service.split("raw", train, 0, ctx)


async def test_rows_that_are_all_copies_cannot_be_split(
    *, service: DatasetService, ctx: Context, tmp_path: Path
) -> None:
    await service.add(write(tmp_path, "raw.jsonl", [{"text": "same"}] * 9), None, ctx)
    with pytest.raises(UserError, match="copies of each other"):
        await service.split("raw", 0.8, 0, ctx)


@pytest.mark.parametrize("count", [2, 3, 5])
async def test_few_rows_give_two_parts_with_something_in_each(
    *, count: int, service: DatasetService, ctx: Context, tmp_path: Path
) -> None:
    rng = random.Random(count)
    body = [{"text": sentence(rng, "en"), "label": "ab"[n % 2]} for n in range(count)]
    await service.add(write(tmp_path, "raw.jsonl", body), None, ctx)
    made = await service.split("raw", 0.8, 0, ctx)
    assert made.train_rows >= 1 and made.test_rows >= 1 and made.train_rows + made.test_rows == count


async def test_pairs_that_ask_the_same_stay_together(
    *, service: DatasetService, ctx: Context, tmp_path: Path, root: Path
) -> None:
    rng = random.Random(2)
    body = [
        {"prompt": f"question {group} about {sentence(rng, 'en')}", "completion": sentence(rng, "en")}
        for group in range(30)
    ]
    body += [{"prompt": row["prompt"], "completion": sentence(rng, "zh")} for row in body]
    await service.add(write(tmp_path, "raw.jsonl", body), None, ctx)
    made = await service.split("raw", 0.6, 1, ctx)
    asked = [{row["prompt"] for row in rows(root, name)} for name in (made.train, made.test)]
    assert asked[0] and asked[1] and not asked[0] & asked[1]
