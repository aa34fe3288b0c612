"""A trained kernel reads one line for each syscall; a large table is laid out in sheets."""

from __future__ import annotations

from agentos.kernel.examples import Example
from agentos.kernel.retrieval import Retrieval
from agentos.kernel.sheets import SHEET, Sheets, brief, line, tail
from agentos.registry import Registry
from tests.kernel.test_retrieval import many


def test_the_table_there_is_fits_on_one_sheet(syscalls: Registry, examples: list[Example]) -> None:
    laid = Sheets(syscalls).lay(Retrieval(syscalls, examples).find("load zeta"))
    assert laid.blocks == ()
    assert {entry.name for entry in laid.entries} == {entry.name for entry in syscalls}
    assert all(line(entry) in laid.prefix for entry in syscalls)


def test_a_line_shows_what_may_be_left_out_and_what_it_may_be(syscalls: Registry) -> None:
    shown = line(syscalls["models.load"])
    assert shown.startswith("models.load(model, engine?: auto|transformers|vllm|litellm, device?: auto|cpu|gpu, ")
    assert "keep_alive?: duration" in shown and shown.endswith("\n")


def test_a_description_is_its_first_clause() -> None:
    assert brief("Ends a job, whether it waits or runs, with every process.") == "Ends a job"
    assert len(brief("word " * 40)) <= 60


def test_no_prompt_grows_with_the_table(examples: list[Example]) -> None:
    table = many(200)
    sheets, retrieval = Sheets(table), Retrieval(table, examples)
    for sentence in ("load zeta", "frobnicate number 7 and then show the disks"):
        laid = sheets.lay(retrieval.find(sentence))
        assert len(laid.entries) <= SHEET + 12
        shown = laid.prefix + "".join(laid.blocks)
        assert all(line(entry) in shown for entry in laid.entries)


def test_what_a_sentence_needs_of_another_sheet_is_named_behind(examples: list[Example]) -> None:
    table = many(100)
    laid = Sheets(table).lay(Retrieval(table, examples).find("delete zeta, then frobnicate number 7"))
    names = {entry.name for entry in laid.entries}
    assert "models.delete" in names and any(name.startswith("extra") for name in names)


def test_the_sentence_follows_alone() -> None:
    assert tail(" load zeta ") == "\nUser: load zeta\n"
