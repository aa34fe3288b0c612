"""The generated tables say what the code says, and a stale one fails."""

import argparse
from dataclasses import fields
from pathlib import Path

import pytest

from agentos.config import Settings
from agentos.engines.make import ENGINES
from agentos.errors import UserError
from agentos.interfaces import docs
from agentos.interfaces.parser import build_parser
from agentos.registry import Registry, installed
from agentos.syscall import describe, syscall
from agentos.types import Context, Name, Text

PAGE = "# A page\n\n" + "\n".join(f"{name}:\n\n<!-- generated: {name} -->\nold\n<!-- end -->\n" for name in docs.BLOCKS)


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


def test_stale_tables_fail_the_check_and_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "README.md"
    page.write_text(PAGE)
    assert docs.main([str(page), "--check"]) == 1
    assert page.read_text() == PAGE
    said = capsys.readouterr().err
    assert "-old" in said and "make docs" in said


def test_written_tables_pass_the_check_and_the_prose_stays(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(PAGE)
    assert docs.main([str(page)]) == 0
    assert docs.main([str(page), "--check"]) == 0
    assert "\nold\n" not in page.read_text()
    assert page.read_text().startswith("# A page\n\nsyscalls:\n")


@pytest.mark.parametrize("text", ["", PAGE.replace("generated: settings", "generated: sittings"), PAGE + PAGE])
def test_a_missing_unknown_or_repeated_block_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="Nothing was written"):
        docs.render(text)


def test_a_missing_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert docs.main([str(tmp_path / "absent.md")]) == 1
    assert "cannot be read" in capsys.readouterr().err
