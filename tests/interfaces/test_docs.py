"""The generated tables say what the code says, and the Chinese page what the English one says; what is stale fails."""

import argparse
from dataclasses import fields
from pathlib import Path

import pytest

from agentos.config import Settings
from agentos.engines.make import ENGINES
from agentos.errors import UserError
from agentos.interfaces import docs, docs_translation
from agentos.interfaces.parser import build_parser
from agentos.registry import Registry, installed
from agentos.syscall import describe, syscall
from agentos.types import Context, Name, Text

PAGE = "# A page\n\n" + "\n".join(f"{name}:\n\n<!-- generated: {name} -->\nold\n<!-- end -->\n" for name in docs.BLOCKS)

ENGLISH = """\
# A page

English | [中文](.docs/README.zh.md)

Two lines
of prose, ![a picture](.docs/a.png).

## Start

It is [here](https://example.org/), not at `[x](y)`:

```sh
# no heading
make run
```

- A step:

  ```yaml
  a: 1
  ```

| what | how |
| --- | --- |
| one | two |

## Tables

"""
CHINESE = """\
# 一页

[English](../README.md) | 中文

两行文字，![一张图](a.png)。

## 开始

在[这里](https://example.org/)，不是 `[x](y)`：

```sh
# no heading
make run
```

- 一步：

  ```yaml
  a: 1
  ```

| 什么 | 怎样 |
| --- | --- |
| 一 | 二 |

## 表格

"""
MARKED = "\n".join(f"<!-- generated: {name} -->\nold\n<!-- end -->\n" for name in docs.BLOCKS)


class Pages:
    """A page and its translation, written, and marked as in step."""

    def __init__(self, folder: Path) -> None:
        self.english, self.chinese = folder / "README.md", folder / ".docs" / "README.zh.md"
        self.chinese.parent.mkdir()
        self.english.write_text(ENGLISH + MARKED, "utf-8")
        self.chinese.write_text(CHINESE + MARKED, "utf-8")
        assert self.run("--translated") == 0

    def run(self, *flags: str) -> int:
        return docs.main([str(self.english), *flags])

    def change(self, page: Path, old: str, new: str) -> None:
        before = page.read_text("utf-8")
        assert old in before
        page.write_text(before.replace(old, new, 1), "utf-8")


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    return Pages(tmp_path)


@syscall(effect="destroy")
async def shred(ctx: Context, paper: Name, often: int = 2, sorts: list[str] | None = None) -> Text:
    """Shreds a paper | for good.

    Args:
        paper: Which one.
        often: How many times.
        sorts: Of which sorts.
    """
    raise NotImplementedError


def test_every_syscall_of_the_package_has_a_row() -> None:
    written = docs.syscalls(installed())
    for call in installed():
        assert f"| `{call.name}` |" in written or call.owner != "agentos"


def test_a_row_tells_parameters_defaults_and_effect_and_escapes_its_bars() -> None:
    table = Registry()
    table.add(describe(shred, "office"))
    table.add(describe(shred, "elsewhere", owner="another-package"))
    head, rule, row = docs.syscalls(table).splitlines()
    assert row == (
        "| `office.shred` | `paper`; `often`: int (2); `sorts`: list | destroy | Shreds a paper \\| for good. |"
    )


def test_every_setting_has_a_row_with_its_environment_variable() -> None:
    written = docs.settings()
    for item in fields(Settings):
        assert f"`AGENTOS_{item.name.upper()}`" in written and item.metadata["doc"] in written


def test_every_command_has_a_row_and_hidden_options_are_not_told() -> None:
    written = docs.commands(build_parser())
    [action] = [each for each in build_parser()._actions if isinstance(each, argparse._SubParsersAction)]
    for name in action.choices:
        assert f"`agentos {name}" in written
    assert "--detached" not in written and "[-h]" not in written


def test_every_engine_has_a_row() -> None:
    written = docs.engines()
    assert len(written.splitlines()) == 2 + len(ENGINES)
    assert all(f"| `{name}` |" in written for name in ENGINES)


def test_stale_tables_of_either_page_fail_the_check_and_are_left_alone(
    pages: Pages, capsys: pytest.CaptureFixture[str]
) -> None:
    for page in (pages.english, pages.chinese):
        pages.change(page, "| `transformers` |", "| `transformer` |")
        stale = page.read_text("utf-8")
        assert pages.run("--check") == 1
        assert page.read_text("utf-8") == stale
        said = capsys.readouterr().err
        assert "-| `transformer` |" in said and f"{page} is stale. Run: make docs" in said
        assert pages.run() == 0


def test_written_tables_pass_the_check_and_the_prose_stays(pages: Pages) -> None:
    assert pages.run("--check") == 0
    english, chinese = pages.english.read_text("utf-8"), pages.chinese.read_text("utf-8")
    assert "\nold\n" not in english + chinese
    assert english.startswith(ENGLISH)
    assert [line for line in chinese.splitlines() if "translated: " not in line][: len(CHINESE.splitlines())] == (
        CHINESE.splitlines()
    )
    assert all(docs.BLOCKS[name]() in page for name in docs.BLOCKS for page in (english, chinese))


@pytest.mark.parametrize("text", ["", PAGE.replace("generated: settings", "generated: sittings"), PAGE + PAGE])
def test_a_missing_unknown_or_repeated_block_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="Nothing was written"):
        docs.render(text)


def test_a_missing_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert docs.main([str(tmp_path / "absent.md")]) == 1
    assert "cannot be read" in capsys.readouterr().err


DRIFTS = {
    "code": ("chinese", "make run", "make test", ":8 (开始)", "code at line 15 is `make test`, and `make run` at"),
    "indented code": ("english", "  a: 1", "  a: 2", ":8 (开始)", "code at line 21 is `  a: 1`, and `  a: 2` at"),
    "a longer block": ("english", "make run", "make run\nmake test", ":8 (开始)", "code at line 16 is `"),
    "a block less": ("chinese", "  ```yaml\n  a: 1\n  ```\n", "", ":8 (开始)", "1 code blocks, and 2 in"),
    "a heading's level": ("english", "## Tables", "### Tables", ":28 (表格)", "level 2, and of level 3 in"),
    "a new heading": ("english", "## Start", "## New\n\nNew.\n\n## Start", "", "3 headings, and 4 in"),
    "a heading less": ("chinese", "## 表格\n", "", "", "2 headings, and 3 in"),
    "a row": ("chinese", "| 一 | 二 |\n", "| 一 | 二 |\n| 三 | 四 |\n", ":8 (开始)", "4 lines of tables, and 3 in"),
    "a link": ("chinese", "[这里](https://example.org/)", "这里", ":8 (开始)", "lacking: https://example.org/"),
    "a link elsewhere": ("chinese", "https://example.org/", "https://example.com/", ":8 (开始)", "example.com/"),
    "a picture's path": ("chinese", "(a.png)", "(.docs/a.png)", ":1 (一页)", ".docs/.docs/a.png"),
    "the way back": ("chinese", "(../README.md)", "(README.md)", ":1 (一页)", "the other language's page"),
    "a word": ("english", "It is", "It was", ":8 (开始)", ":8 (Start) was changed since it was translated"),
    "a heading's word": ("english", "# A page", "# The page", ":1 (一页)", "(The page) was changed since"),
    "a cell": ("english", "| one | two |", "| one | three |", ":8 (开始)", "(Start) was changed since"),
    "no mark": ("chinese", "## 开始\n<!-- translated: ", "## 开始\n<!-- ", ":8 (开始)", "is not marked as translated"),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_a_translation_out_of_step_fails_the_check_which_says_where(
    pages: Pages, capsys: pytest.CaptureFixture[str], drift: str
) -> None:
    page, old, new, where, what = DRIFTS[drift]
    pages.change(getattr(pages, page), old, new)
    assert pages.run("--check") == 1
    found, *_, advice = capsys.readouterr().err.splitlines()
    assert found.startswith(f"{pages.chinese}{where}: ") and what in found
    assert "make docs ARGS=--translated" in advice


def test_a_section_without_a_counterpart_is_named(pages: Pages, capsys: pytest.CaptureFixture[str]) -> None:
    pages.change(pages.english, "## Start", "## New\n\nNew.\n\n## Start")
    assert pages.run("--check") == 1
    assert f"without a counterpart: {pages.english}:8 (New)\n" in capsys.readouterr().err


def test_lines_broken_elsewhere_are_no_change(pages: Pages) -> None:
    pages.change(pages.english, "Two lines\nof prose", "Two\nlines of prose")
    assert pages.run("--check") == 0


def test_code_and_generated_tables_are_no_prose() -> None:
    prose = [section.hash for section in docs_translation.sections(ENGLISH + MARKED)]
    changed = (ENGLISH + MARKED).replace("make run", "make test").replace("\nold\n", "\nnew\n")
    assert [section.hash for section in docs_translation.sections(changed)] == prose


def test_only_a_translator_marks_a_section_as_translated(pages: Pages, capsys: pytest.CaptureFixture[str]) -> None:
    pages.change(pages.english, "It is", "It was")
    before = pages.chinese.read_text("utf-8")
    assert pages.run() == 0
    assert pages.chinese.read_text("utf-8") == before and "was changed since" in capsys.readouterr().err
    assert pages.run("--translated") == 0
    after = pages.chinese.read_text("utf-8").splitlines()
    assert capsys.readouterr().out == f"{pages.chinese}: 开始: marked as translated\n"
    assert [old for old, new in zip(before.splitlines(), after, strict=True) if old != new] == before.splitlines()[8:9]
    assert pages.run("--check") == 0


def test_what_differs_in_structure_is_not_marked_as_translated(
    pages: Pages, capsys: pytest.CaptureFixture[str]
) -> None:
    pages.change(pages.english, "| one | two |\n", "| one | two |\n| three | four |\n")
    before = pages.chinese.read_text("utf-8")
    assert pages.run("--translated") == UserError("").exit_code
    assert pages.chinese.read_text("utf-8") == before
    assert "3 lines of tables, and 4 in" in capsys.readouterr().err


def test_a_page_with_text_before_its_title_is_refused(pages: Pages, capsys: pytest.CaptureFixture[str]) -> None:
    pages.change(pages.chinese, "# 一页", "前言\n\n# 一页")
    assert pages.run("--check") == UserError("").exit_code
    assert "line 1 stands before the first heading" in capsys.readouterr().err


def test_a_missing_translation_fails_the_check(pages: Pages, capsys: pytest.CaptureFixture[str]) -> None:
    pages.chinese.unlink()
    assert pages.run("--check") == 1
    assert f"{pages.chinese} cannot be read" in capsys.readouterr().err


def test_the_pages_of_this_project_are_in_step_and_their_links_lead_somewhere() -> None:
    english = Path(__file__).parents[2] / "README.md"
    chinese = english.parent / docs.TRANSLATION
    assert list(docs_translation.drift(english, chinese)) == []
    for page, other, first in (
        (english, chinese, "English | [中文](.docs/README.zh.md)"),
        (chinese, english, "[English](../README.md) | 中文"),
    ):
        read = docs_translation.sections(page.read_text("utf-8"))
        assert [line for line in read[0].prose if line][0] == first
        local = {link for section in read for link in section.links(page, other) if link.startswith("/")}
        assert len(local) == 3 and all(Path(link).is_file() for link in local)
