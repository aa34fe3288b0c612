"""The generated tables in README.md and its translation, and the Python client's signatures; the translation in step.

`python -m agentos.interfaces.docs` writes tables and signatures; with `--check` it writes nothing and fails where one
is stale or the translation is out of step. `--translated` is for who has brought the translation up to date: it marks
each section as made of the English one as it now is, which nothing else does.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from agentos.config import Settings
from agentos.engines.make import ENGINES
from agentos.errors import AgentosError, UserError
from agentos.interfaces import docs_translation, python_stub
from agentos.interfaces.parser import build_parser
from agentos.registry import Registry, installed
from agentos.syscall import Param

_BLOCK = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)
TRANSLATION = Path(".docs/README.zh.md")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")


def syscalls(table: Registry) -> str:
    """A row for each syscall of the package's own: parameters as `syscalls.md` writes them, effect, what it does."""
    return _table(
        ("syscall", "parameters (default)", "effect", "what it does"),
        (
            (f"`{call.name}`", "; ".join(map(_param, call.params)), call.effect, call.doc)
            for call in table
            if call.owner == "agentos"
        ),
    )


def settings() -> str:
    """A row for each setting, with its default."""
    shown = {"home": "`~/.agentos`", "cache": "`HOME/cache`"}
    return _table(
        ("in config.toml", "in the environment", "default", "what it is"),
        (
            (
                "" if item.name == "home" else f"`{item.name}`",
                f"`AGENTOS_{item.name.upper()}`",
                shown.get(item.name) or (f"`{_value(item.default)}`" if item.default != "" else ""),
                item.metadata["doc"],
            )
            for item in fields(Settings)
        ),
    )


def commands(parser: argparse.ArgumentParser) -> str:
    """A row for each command of the parser: how it is called, what it does."""
    rows: list[tuple[str, str]] = [(f"`{parser.prog}`", "the prompt; where input is a pipe, each line is answered")]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            said = {choice.dest: choice.help or "" for choice in action._choices_actions}
            rows += [(f"`{_usage(made)}`", said[name]) for name, made in action.choices.items() if name in said]
    return _table(("command", "what it does"), rows)


def engines() -> str:
    """A row for each engine."""
    return _table(("engine", "what it runs"), ((f"`{name}`", said) for name, said in ENGINES.items()))


BLOCKS: dict[str, Callable[[], str]] = {
    "syscalls": lambda: syscalls(installed()),
    "settings": settings,
    "commands": lambda: commands(build_parser()),
    "engines": engines,
}


def render(text: str, blocks: dict[str, Callable[[], str]] = BLOCKS) -> str:
    """The text with every marked block as the code has it.

    Raises:
        UserError: a block is not marked in the text, or one is marked that nothing generates.
    """
    marked = [match["name"] for match in _BLOCK.finditer(text)]
    if sorted(marked) != sorted(blocks):
        raise UserError(
            f"the text must have each of the blocks {', '.join(blocks)} once, and has {', '.join(marked) or 'none'}. "
            "Nothing was written. A block is `<!-- generated: NAME -->`, a line break, and `<!-- end -->`."
        )
    return _BLOCK.sub(lambda match: f"{match[1]}\n{blocks[match['name']]()}\n\n{match[4]}", text)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the blocks, or with `--check` says which lines are stale; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m agentos.interfaces.docs", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=Path("README.md"))
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="write nothing; exit code 1 where something is stale")
    mode.add_argument("--translated", action="store_true", help="the Chinese text says what the English one now says")
    args = parser.parse_args(argv)
    translation = args.file.parent / TRANSLATION
    code = 0
    for file, made in (
        (args.file, render),
        (translation, render),
        (python_stub.PATH, lambda _: python_stub.stub(installed())),
    ):
        code = _held(file, made, args.check) or code
    if args.file.is_file() and translation.is_file():
        code = _in_step(args.file, translation, args.check, args.translated) or code
    return code


def _in_step(original: Path, translation: Path, check: bool, translated: bool) -> int:
    """Says what is out of step, which only a check fails for; or marks all as translated, and says what was new."""
    try:
        if translated:
            text, new = docs_translation.mark(original, translation)
            translation.write_text(text, "utf-8")
            print("\n".join(f"{translation}: {title}: marked as translated" for title in new))
            return 0
        found = list(docs_translation.drift(original, translation))
    except AgentosError as error:
        print(f"agentos: {error}", file=sys.stderr)
        return error.exit_code
    if found:
        said = f"agentos: {translation} is out of step. Bring its text in step, then run: make docs ARGS=--translated"
        print("\n".join([*found, said]), file=sys.stderr)
    return int(check and bool(found))


def _held(file: Path, made: Callable[[str], str], check: bool) -> int:
    try:
        before = file.read_text("utf-8")
        after = made(before)
    except OSError as error:
        print(f"agentos: {file} cannot be read: {error.strerror}. Nothing was written.", file=sys.stderr)
        return 1
    except AgentosError as error:
        print(f"agentos: {file}: {error}", file=sys.stderr)
        return error.exit_code
    if before == after:
        return 0
    if check:
        lines = before.splitlines(), after.splitlines()
        stale = difflib.unified_diff(*lines, "as written", "as the code has it", n=0, lineterm="")
        print("\n".join(stale), file=sys.stderr)
        print(f"agentos: {file} is stale. Run: make docs", file=sys.stderr)
        return 1
    file.write_text(after, "utf-8")
    return 0


def _param(param: Param) -> str:
    kinds = {"name": "", "text": "", "private": "", "choice": ", ".join(param.choices)}
    said = ", ".join(param.choices) or kinds.get(param.kind, param.kind)
    if param.many:
        said = f"list of {said}" if said else "list"
    shown = f"`{param.name}`" + (f": {said}" if said else "")
    return shown if param.required or param.default in (None, "") else f"{shown} ({_value(param.default)})"


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _usage(parser: argparse.ArgumentParser) -> str:
    words = _COLOUR.sub("", parser.format_usage()).split()[1:]
    return " ".join(words).replace(" [-h]", "")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
