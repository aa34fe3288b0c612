"""The rows that a kernel's adapter learns from: each plan fits its table and says only what its sentence says."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from agentos.errors import UserError
from agentos.kernel import lessons
from agentos.kernel.corpus import joined, tables
from agentos.kernel.corpus.build import Corpus, Row
from agentos.kernel.corpus.said import Pools, Said, dressed, revalued
from agentos.kernel.examples import Example
from agentos.kernel.language import CHAT, NONE, parse, write
from agentos.kernel.sheets import beginning
from agentos.registry import Registry
from agentos.types import Step


@pytest.fixture(scope="module")
def rows(syscalls: Registry, examples: list[Example]) -> list[Row]:
    return Corpus(syscalls, examples, seed=3).rows(600, others=8)


def load(text: str = "load zeta-7b on the gpu for 2 hours") -> Said:
    return Said(text, (Step("s1", "models.load", {"model": "zeta-7b", "device": "gpu", "keep_alive": "2h"}),))


def test_the_same_seed_draws_the_same_rows_and_another_one_others(
    syscalls: Registry, examples: list[Example], rows: list[Row]
) -> None:
    assert Corpus(syscalls, examples, seed=3).rows(600, others=8) == rows
    assert {row.text for row in Corpus(syscalls, examples, seed=4).rows(100, others=2)} - {row.text for row in rows}


def test_rows_have_both_languages_all_kinds_and_several_tables(rows: list[Row], syscalls: Registry) -> None:
    assert len(rows) == 600
    assert {row.kind for row in rows} == {"single", "several", "lacking", "none", "chat"}
    chinese = sum(any("\u3400" <= char <= "\u9fff" for char in row.text) for row in rows)
    assert 0.3 < chinese / len(rows) < 0.7
    real = beginning(syscalls)
    assert 0.35 < sum(row.shown == real for row in rows) / len(rows) < 0.65
    assert len({row.shown for row in rows}) == 9


def test_every_plan_names_only_what_its_table_shows(rows: list[Row]) -> None:
    for row in rows:
        shown = {line.partition("(")[0] for line in row.shown.splitlines()}
        for line in row.plan.splitlines():
            assert line in (NONE, CHAT) or line.partition("(")[0] in shown, row


def test_names_are_copied_from_the_sentence(rows: list[Row], syscalls: Registry) -> None:
    real = beginning(syscalls)
    checked = 0
    for row in rows:
        if row.shown != real:
            continue
        for step in parse(row.plan, syscalls).steps:
            kinds = {param.name: param.kind for param in syscalls[step.syscall].params}
            for name, value in step.args.items():
                if kinds[name] in ("name", "time") and isinstance(value, str):
                    checked += 1
                    assert value in row.text, row
    assert checked > 100


def test_what_is_kept_from_learning_is_never_learned(syscalls: Registry, examples: list[Example]) -> None:
    learned, kept = (Corpus(syscalls, examples, seed=5, dev=dev) for dev in (False, True))
    one = {said.text for said in learned._single + learned._none + learned._chat + learned._strange}
    other = {said.text for said in kept._single + kept._none + kept._chat + kept._strange}
    assert not one & other
    assert len(other) > 50


def test_other_values_stand_in_sentence_and_plan_alike(syscalls: Registry) -> None:
    seen = set()
    for seed in range(20):
        made = revalued(load(), syscalls, Pools(), random.Random(seed), share=1.0)
        args = made.steps[0].args
        assert str(args["model"]) in made.text and "zeta-7b" not in made.text
        assert args["device"] == "gpu"
        assert str(args["keep_alive"])[:-1] in made.text
        seen.add(args["model"])
    assert len(seen) > 5


def test_a_number_that_must_be_one_of_a_few_stays(syscalls: Registry) -> None:
    said = Said("compress zeta to 4 bits", (Step("s1", "models.quantize", {"model": "zeta", "bits": 4}),))
    for seed in range(20):
        assert revalued(said, syscalls, Pools(), random.Random(seed), share=1.0).steps[0].args["bits"] == 4


def test_a_command_with_quotation_marks_is_copied_as_it_is(syscalls: Registry) -> None:
    command = "grep -c 'x y' a.log | sort"
    said = Said(f"run `{command}` in the background", (Step("s1", "jobs.submit", {"command": command}),))
    for seed in range(30):
        made = revalued(said, syscalls, Pools(), random.Random(seed), share=1.0)
        assert str(made.steps[0].args["command"]) in made.text


def test_another_tone_changes_no_value(syscalls: Registry) -> None:
    changed = 0
    for seed in range(60):
        made = dressed(load(), Pools(), random.Random(seed))
        assert made.steps == load().steps
        assert "zeta-7b" in made.text
        changed += made.text != load().text
    assert changed > 20


def test_a_request_that_takes_the_result_of_another_refers_to_it(syscalls: Registry) -> None:
    first = Said("pull zeta-7b", (Step("s1", "models.pull", {"model": "zeta-7b"}),))
    step = Step("s1", "models.load", {"model": "beta-1b", "device": "cpu"})
    second = Said("load the model beta-1b on the cpu", (step,))
    made = joined.handed_on(first, second, syscalls, Pools(), random.Random(1))
    assert made is not None
    assert "beta-1b" not in made.text and "zeta-7b" in made.text
    assert write(made.steps, syscalls).splitlines()[1] == 'models.load(model=s1.model, device="cpu")'


def test_what_only_shows_a_thing_hands_nothing_on(syscalls: Registry) -> None:
    first = Said("describe zeta-7b", (Step("s1", "models.show", {"model": "zeta-7b"}),))
    second = Said("load beta-1b", (Step("s1", "models.load", {"model": "beta-1b"}),))
    assert joined.handed_on(first, second, syscalls, Pools(), random.Random(1)) is None


def test_in_order_waits_and_side_by_side_does_not(syscalls: Registry) -> None:
    parts = [load(), Said("show the disks", (Step("s1", "resources.query", {"kind": "disk"}),))]
    ordered = joined.several(parts, Pools(), random.Random(2), in_order=True)
    free = joined.several(parts, Pools(), random.Random(2), in_order=False)
    assert ordered is not None and ordered.steps[1].after == ("s1",)
    assert free is not None and free.steps[1].after == ()


def test_what_is_left_out_is_asked_for(syscalls: Registry) -> None:
    made = joined.lacking(load(), syscalls, random.Random(3))
    assert made is not None
    assert made.steps[0].args["model"] == "?" and "zeta-7b" not in made.text


def test_a_syscall_that_a_table_lacks_is_declined(syscalls: Registry) -> None:
    strangers, _said = tables.strangers()
    for seed in range(30):
        shown = tables.sampled(syscalls, strangers, random.Random(seed))
        made = shown.of(load())
        assert made is not None
        if "models.load" in shown.names:
            assert made.steps[0].syscall == shown.names["models.load"]
        else:
            assert made.answer == NONE and not made.steps


def test_rows_on_disk_are_what_a_run_reads_and_say_how_they_were_made(syscalls: Registry, tmp_path: Path) -> None:
    made = lessons.write(syscalls, tmp_path / "lessons", rows=40, seed=2)
    table = pq.read_table(made.data.path)
    assert table.column_names == list(lessons.COLUMNS)
    assert len(table) == 40 == made.recipe["rows"]
    assert pq.read_table(made.held).num_rows > 0
    again = lessons.write(syscalls, tmp_path / "again", rows=40, seed=2)
    assert again.recipe == made.recipe


@pytest.mark.parametrize("rows", [0, 15, 10**9])
def test_a_number_of_rows_that_cannot_be_is_refused(syscalls: Registry, tmp_path: Path, rows: int) -> None:
    with pytest.raises(UserError, match="cannot be drawn"):
        lessons.write(syscalls, tmp_path, rows=rows)
